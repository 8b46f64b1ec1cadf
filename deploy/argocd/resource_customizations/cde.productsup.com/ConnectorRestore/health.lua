-- A request that succeeded or was skipped has no observedGeneration, because its status is valid for every
-- generation. Every other status counts only if its observedGeneration is current. An object that the operator has
-- not seen yet is therefore never treated as finished.
local hs = {
  status = "Progressing",
  message = "Waiting for cde-operator to see the request",
}

if obj.metadata.deletionTimestamp ~= nil then
  hs.message = "The request is being deleted"
  return hs
end

if obj.status == nil then
  return hs
end

local ready = nil
for _, condition in ipairs(obj.status.conditions or {}) do
  if condition.type == "Ready" then
    ready = condition
  end
end
if ready == nil then
  return hs
end

local outcome = obj.status.outcome
if outcome == "Succeeded" or outcome == "Skipped" then
  hs.status = "Healthy"
  hs.message = ready.message
  return hs
end

if obj.status.observedGeneration ~= obj.metadata.generation then
  return hs
end

hs.message = ready.message
if outcome ~= nil then
  hs.status = "Degraded"
elseif ready.reason == "Suspended" then
  hs.status = "Suspended"
end
return hs
