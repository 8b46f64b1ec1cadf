-- A time later than status.lastHandledRetry asks for another attempt. The operator ignores an older one.
local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["cde.productsup.com/retry"] = os.date("!%Y-%m-%dT%H:%M:%SZ")
return obj
