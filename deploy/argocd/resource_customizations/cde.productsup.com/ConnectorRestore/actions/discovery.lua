-- A success is final, so no action applies to it. A retry reopens a failed request, or ends the wait for the next
-- attempt.
local outcome = nil
local waits = false
if obj.status ~= nil then
  outcome = obj.status.outcome
  waits = obj.status.operation ~= nil and obj.status.operation.nextAttemptTime ~= nil
end
local suspended = obj.spec.suspend == true
local final = outcome == "Succeeded" or outcome == "Skipped"
local failed = outcome ~= nil and not final

return {
  ["retry"] = { ["disabled"] = not (failed or waits) },
  ["suspend"] = { ["disabled"] = suspended or outcome ~= nil },
  ["resume"] = { ["disabled"] = final or not suspended },
}
