-- Each resume takes C stack; an interruption must pass them.
local f f=function() return coroutine.wrap(f)() end return f()
local f f=function() local co=coroutine.create(f) return coroutine.resume(co) end return f()
local co=coroutine.wrap(function() while true do coroutine.yield() end end) while true do co() end
while true do coroutine.create(function() end) end
local t={} while true do t[#t+1]=coroutine.create(function() end) end
local t={} while true do local co=coroutine.create(function() coroutine.yield() end) coroutine.resume(co) t[#t+1]=co end
local co=coroutine.create(function() while true do end end) coroutine.resume(co)
while true do local co=coroutine.create(function() while true do end end) coroutine.resume(co) end
local co=coroutine.create(function() local s="x" while true do s=s..s end end) coroutine.resume(co) while true do end
coroutine.wrap(function() pcall(function() while true do end end) while true do end end)()
local co co=coroutine.create(function() coroutine.resume(co) end) return coroutine.resume(co)
coroutine.yield(1)
local co=coroutine.wrap(function() return redis.call("get","x") end) return co()
local co=coroutine.wrap(function() error(setmetatable({},{__tostring=function() while true do end end})) end) co()
pcall(coroutine.yield)
return coroutine.resume(coroutine.create(unpack),{},1,7900)
local co=coroutine.create(function(...) return ... end) return select('#',coroutine.resume(co,unpack({},1,7900)))
coroutine.resume=nil
