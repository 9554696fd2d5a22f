-- Without end, in everything that could catch the interruption.
while true do end
while true do pcall(function() while true do end end) end
repeat until false
local function f() return f() end f()
local function f() f() end f()
local function f() return pcall(f) end return f()
local function f() return xpcall(f,f) end return f()
xpcall(function() while true do end end, function() while true do end end)
while true do xpcall(function() error("x") end, function() while true do end end) end
local t={} while true do t[#t+1]=t end
local t={} for i=1,1e9 do t[i]=tostring(i) end
local s="x" while true do s=s..s end
local s="x" while true do local ok,e=pcall(function() s=s..s end) end
while true do string.rep("",2^31-1) end
while true do string.rep("x",2^24) end
return ("x"):rep(1000):gsub(".",function() while true do end end)
local a=("x"):rep(1e7) local b=("x"):rep(1e7).."y" while true do local c=a<b end
local a=("x"):rep(1e7) while true do local c=a.."y" end
local a=("x"):rep(1e7) while true do a:upper() end
local a=("x"):rep(1e7) while true do a:reverse() end
local a=("x"):rep(1e7) while true do a:byte(-1) end
local a=("x"):rep(1e7) while true do a:find("y",1,true) end
local a=("a"):rep(1e6) local b=("a"):rep(1e5).."b" while true do a:find(b,1,true) end
local a=("x"):rep(1e7) while true do tonumber(a) end
local a=("1"):rep(1e7) while true do tonumber(a) end
while true do string.format("%99.99f",1e308) end
local function f(...) return f(1,...) end f()
local function f(...) return f(...,...) end f(1)
collectgarbage("stop") local t while true do t={t and 1} end
collectgarbage("setpause",1e9) while true do local t={} end
collectgarbage("setstepmul",0) while true do local t={} end
collectgarbage("step",2^31-1)
while true do collectgarbage() end
collectgarbage("stop") local s=("x"):rep(1e6) for i=1,1e6 do local a=s..i end
