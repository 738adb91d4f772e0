-- Health of Roost's Tenants, Branches, Snapshots and TenantClasses for Argo CD (Lua 5.1, no libraries).
-- An idle tenant is healthy: its next query wakes it.

local function condition(kind)
  for _, found in ipairs((obj.status or {}).conditions or {}) do
    if found.type == kind then return found end
  end
  return {}
end

local ready = condition("Ready")
local seen = ready.observedGeneration or 0

local function health(status)
  return { status = status, message = ready.reason .. ": " .. (ready.message or "") }
end

if ready.status == nil or seen < (obj.metadata.generation or 0) then
  return { status = "Progressing", message = "the operator has not seen this spec yet" }
end
if condition("Stalled").status == "True" then return health("Degraded") end
if obj.metadata.deletionTimestamp ~= nil or condition("Reconciling").status == "True" then
  return health("Progressing")
end
if ready.status ~= "True" then return health("Degraded") end
if ready.reason == "Suspended" then return health("Suspended") end
return health("Healthy")
