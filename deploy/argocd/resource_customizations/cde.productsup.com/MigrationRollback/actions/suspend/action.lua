-- No new attempt begins; one that is under way is finished and recorded.
obj.spec.suspend = true
return obj
