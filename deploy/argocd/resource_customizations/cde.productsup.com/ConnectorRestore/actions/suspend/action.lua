-- No new attempt begins. The operator finishes and records an attempt that is under way.
obj.spec.suspend = true
return obj
