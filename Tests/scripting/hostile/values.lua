-- Values at their limits.
local a={} for i=1,1e4 do a={a} end return a
local a={} a[1]=a return a
local a={} a.map={x=a} return a
local a={} a.set={[a]=true} return a
local a={1} for i=1,40 do a={a,a} end return a
local t={} for i=1,1e5 do t[i]=i end t[1e5+1]=nil return t
return {double=0/0}
return {map={[0/1]=1}}
for i=1,1e9 do KEYS[i]="x" end
return 2^1024
for i=1,1/0 do end
for i=1,0/0 do end
for i=1,2,0 do end
for i=1,10,1e-300 do end
local a,b,c,d=1 return a..b
local t={} t[0/0]=1
local t={} t[nil]=1
return {} .. {}
return #nil
return nil + 1
