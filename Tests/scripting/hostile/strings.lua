-- Bombs, and patterns that backtrack.
return string.rep("x",2^31-1)
return string.rep("x",1e9)
return string.rep(string.rep("x",1e4),1e6)
return string.rep("",2^31-1)
return ("x"):rep(1e5):find((".-"):rep(50).."b")
return ("x"):rep(1e5):match("(.-)(.-)(.-)(.-)b")
return ("a"):rep(50):match(("a?"):rep(50)..("a"):rep(50))
return ("a"):rep(1e5):gsub("a*a*a*a*b","")
return ("("):rep(1e6):find("%b()")
return ("x"):rep(1e6):gsub(".-b","")
return ("x"):rep(1e6):find(("x*"):rep(1000).."y")
return ("x"):rep(1e6):find("["..("a-b"):rep(1e5).."]")
return ("x"):rep(1e6):gsub("","y")
return ("x"):rep(1e5):gsub(".",("y"):rep(1e5))
return ("x"):rep(1e5):gsub(".",function() return ("y"):rep(1e5) end)
for k in ("x"):rep(1e6):gmatch(".-.-.-b") do end
return ("x"):rep(100):match(("("):rep(33))
return ("x"):rep(1e4):match(("%1"):rep(100))
return ("x"):rep(1e6):match(("(x)"):rep(32)..("%1"):rep(1e5).."y")
return string.find("x",("["):rep(1e6))
return string.find("x",("%"):rep(1e6))
return string.find("x",("a?"):rep(1e5))
return string.match("x",("x-"):rep(1e6))
return ("x"):rep(1e6):find("^x*$x")
return string.format("%s",("x"):rep(3e7))
return string.format("%q",("\0"):rep(2e7))
return string.format("%1000d",1)
return string.format("%.1000f",1)
return string.format("%#####x",1)
return {string.byte(("x"):rep(1e7),1,-1)}
local s=("x"):rep(1e6) local t={} for i=1,1e4 do t[i]=s end return t
return {verbatim_string={format="",string=""}}
return {ok=("x"):rep(3e7)}
return {err=("\r\n"):rep(1e6)}
return {big_number=("9"):rep(1e6)}
return #KEYS[1]:rep(1e9)
