-- What all scripts share must stay as it is (CVE-2022-24735, CVE-2022-24736, CVE-2025-46818).
local t=setmetatable({},{__index=function() return "x" end}) return table.concat(t,"x",1,1e9)
local t={} for i=1,2e6 do t["k"..(i%1e5)]=i end for k in pairs(t) do t[k]=nil end while true do next(t) end
local t=setmetatable({},{}) getmetatable(t).__index=t return t.x
local t=setmetatable({},{}) getmetatable(t).__newindex=t t.x=1
local a,b={},{} setmetatable(a,{__index=b}) setmetatable(b,{__index=a}) return a.x
local t={} for i=1,200 do t=setmetatable({},{__index=t}) end return t.x
local t=setmetatable({},{__index=function(t,k) return t[k] end}) return t.x
local t=setmetatable({},{__call=function(t) return t() end}) return t()
local t={} setmetatable(t,{__call=t}) return t()
local t=setmetatable({},{__concat=function(a,b) return a..b end}) return t.."x"
local t=setmetatable({},{__eq=function(a,b) return a==b end}) return t==setmetatable({},getmetatable(t))
local t=setmetatable({},{__lt=function(a,b) return a<b end}) return t<t
local t=setmetatable({},{__le=function() while true do end end}) return t<=t
local t=setmetatable({},{__len=function() while true do end end}) return #t
local t=setmetatable({},{__gc=function() while true do end end}) t=nil collectgarbage() return 1
local t=setmetatable({},{__mode="kv"}) while true do t[{}]={} end
local t=setmetatable({},{__unm=function(a) return -a end}) return -t
return tostring(setmetatable({},{__tostring=function() return {} end}))
error(setmetatable({},{__tostring=function() while true do end end}))
error(setmetatable({},{__index=function() while true do end end}))
return setmetatable({},{__index=function() while true do end end})
return {err=setmetatable({},{})}
getmetatable("").__index.rep=nil
getmetatable("").__index=function() end
getmetatable("").__gc=1
setmetatable(getmetatable(""),{})
rawset(getmetatable(""),"__index",1)
rawset(getmetatable("").__index,"rep",1)
table.insert(getmetatable(""),1)
return getmetatable(getmetatable(""))
return getmetatable(getmetatable(_G))
rawset(_G,"x",1)
rawset(getmetatable(_G),"__index",nil)
setmetatable(_G,nil)
_G.__index=1
_G._G=nil
string.rep=nil
redis.call=1
rawset(redis,"call",1)
table.foreach(redis,function(k,v) redis[k]=nil end)
for k in pairs(redis) do redis[k]=nil end
for k in pairs(_G) do _G[k]=nil end
local m=getmetatable(_G) for k in pairs(m) do m[k]=nil end
math.random=1
bit.band=nil
KEYS=nil
function pcall() end
function string.x() end
redis=nil
return redis.call(setmetatable({},{__tostring=function() return "get" end}))
for k, v in pairs(getmetatable(_G, 1e300)) do end
for k, v in pairs(getmetatable("", {})) do end
return rawget(getmetatable(_G, "x"), 1)
return cjson.encode(getmetatable(_G, nil, 5))
setmetatable({}, nil, _G, 1e300)
return next(_G, nil, 1e300)
return unpack(_G, 1, 1, 1e300)
