-- cjson is Debian's: depth, sizes that are ints (CVE-2022-24834), memory of its own, sparse arrays.
cjson.encode=nil
return cjson.decode(("["):rep(1e6))
return cjson.decode(("[" ):rep(900)..("]"):rep(900))
cjson.decode_max_depth(2^31-1) return cjson.decode(("["):rep(1e6))
cjson.encode_max_depth(2^31-1) local t={} t[1]=t return cjson.encode(t)
cjson.encode_max_depth(2^31-1) local t={} t.x=t return cjson.encode(t)
local t={1} for i=1,30 do t={t,t} end return cjson.encode(t)
local t={1} for i=1,30 do t={a=t,b=t} end return #cjson.encode(t)
cjson.encode_sparse_array(false,0) return cjson.encode({[2^31-1]=1})
cjson.encode_sparse_array(true,0,2^31-1) return cjson.encode({[1e15]=1})
return #cjson.encode(("\0"):rep(2e7))
return #cjson.encode(("\\"):rep(1e7))
local s=("\0"):rep(1e6) local t={} for i=1,1e4 do t[i]=s end return #cjson.encode(t)
cjson.encode_number_precision(14) while true do cjson.encode(1) end
cjson.encode_keep_buffer(false) while true do cjson.encode(("x"):rep(1e6)) end
while true do pcall(cjson.encode,{redis.call}) end
while true do pcall(cjson.decode,"["..("1,"):rep(1e5)) end
local s="["..("1,"):rep(3e6).."1]" while true do pcall(cjson.decode,s) end
local hold={} for i=1,1e9 do hold[i]=cjson.decode('{"a":[1,2,3]}') end
local s='"'..("\\u0041"):rep(1e6)..'"' while true do cjson.decode(s) end
return cjson.decode('"\\uD800"')
return cjson.decode('"\\uDC00\\uD800"')
return cjson.decode("1e999")
return cjson.decode(("1"):rep(1e6))
return cjson.decode("-")
return cjson.decode("nul")
return cjson.decode("\0")
return cjson.decode('{"a":1')
return cjson.decode('{1:1}')
return cjson.new().decode(("["):rep(1e6))
while true do cjson.new() end
local t={} while true do t[#t+1]=cjson.new() end
local c=cjson.new() return #c.encode(("\0"):rep(3e7))
return cjson.encode(string)
