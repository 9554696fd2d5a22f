import Testing

/// From RESP to Lua and back, as Redis documents it.
@Suite struct LuaConversionTests {
    @Test(arguments: [
        Case("return 3.99", ":3\r\n"), Case("return -3.99", ":-3\r\n"),
        Case("return 1e300", ":-9223372036854775808\r\n"), Case("return 0/0", ":-9223372036854775808\r\n"),
        Case("return 9007199254740992", ":9007199254740992\r\n"), Case("return 'a\\0b'", "$3\r\na\0b\r\n"),
        Case("return ''", "$0\r\n\r\n"), Case("return true", ":1\r\n"), Case("return false", "$-1\r\n"),
        Case("return nil", "$-1\r\n"), Case("return", "$-1\r\n"), Case("return function() end", "$-1\r\n"),
        Case("return {}", "*0\r\n"), Case("return {1,2,nil,4}", "*2\r\n:1\r\n:2\r\n"),
        Case("return {1,{'x',{2}}}", "*2\r\n:1\r\n*2\r\n$1\r\nx\r\n*1\r\n:2\r\n"),
        Case("return {ok='a\\r\\nb'}", "+a  b\r\n"), Case("return {err='A b\\r\\nc\\r\\n'}", "-A b  c\r\n"),
        Case("return {err='E x',ok='y'}", "-E x\r\n"), Case("return {ok=5}", "*0\r\n"),
        Case("return {double=1.5}", "$3\r\n1.5\r\n"), Case("return {double=1/0}", "$3\r\ninf\r\n"),
        Case("return {big_number='1\\r\\n2'}", "$4\r\n1  2\r\n"),
        Case("return {verbatim_string={format='txt',string='abc'}}", "$3\r\nabc\r\n"),
        Case("return {map={a=1}}", "*2\r\n$1\r\na\r\n:1\r\n"), Case("return {set={a=true}}", "*1\r\n$1\r\na\r\n"),
        Case("return setmetatable({},{__index=function() return 1 end})", "*0\r\n"),
        Case("redis.setresp(3) return {true,false}", "*2\r\n:1\r\n:0\r\n"),
    ]) func aResultInRESP2(_ given: Case) {
        #expect(HostUnderTest().eval(given.script) == given.reply)
    }

    @Test(arguments: [
        Case("return nil", "_\r\n"), Case("return true", ":1\r\n"), Case("return false", "_\r\n"),
        Case("redis.setresp(3) return {true,false}", "*2\r\n#t\r\n#f\r\n"),
        Case("return {double=-1.5}", ",-1.5\r\n"), Case("return {double=-1/0}", ",-inf\r\n"),
        Case("return {big_number='12'}", "(12\r\n"), Case("return {map={a=1}}", "%1\r\n$1\r\na\r\n:1\r\n"),
        Case("return {set={a=true}}", "~1\r\n$1\r\na\r\n"),
        Case("return {verbatim_string={format='markdown',string='abc'}}", "=7\r\nmar:abc\r\n"),
        Case("return {verbatim_string={format='x',string=''}}", "=4\r\nx  :\r\n"),
    ]) func aResultInRESP3(_ given: Case) {
        #expect(HostUnderTest().eval(given.script, resp: 3) == given.reply)
    }

    /// What a command answers, in the words of a script.
    @Test(arguments: [
        ("$3\r\na\0b\r\n", "string 3"), ("$0\r\n\r\n", "string 0"), ("$-1\r\n", "false"), ("*-1\r\n", "false"),
        (":-12\r\n", "-12"), (":9223372036854775807\r\n", "9.2233720368548e+18"), ("+OK\r\n", "{ok:string 2}"),
        ("*0\r\n", "{}"), ("*2\r\n:1\r\n*1\r\n$-1\r\n", "{1:1 2:{1:false}}"), ("_\r\n", "nil"), ("#t\r\n", "true"),
        ("#f\r\n", "false"), (",1.5\r\n", "{double:1.5}"), (",-inf\r\n", "{double:-inf}"),
        ("(123\r\n", "{big_number:string 3}"),
        ("%1\r\n:1\r\n#t\r\n", "{map:{1:true}}"), ("~2\r\n:1\r\n:2\r\n", "{set:{1:true 2:true}}"),
        ("=7\r\ntxt:abc\r\n", "{verbatim_string:{format:string 3 string:string 3}}"),
        ("|1\r\n+ttl\r\n:3\r\n:7\r\n", "7"), ("%1\r\n_\r\n:1\r\n", "{map:{}}"),
        ("*2\r\n-E x\r\n:1\r\n", "{1:{err:string 3 ignore_error_stats_update:true} 2:1}"),
    ]) func aReply(_ reply: String, _ expected: String) {
        let host = HostUnderTest()
        host.execute = { _, _ in reply }
        let script = """
            local function show(v)
                if type(v) == 'string' then return 'string ' .. #v end
                if type(v) ~= 'table' then return tostring(v) end
                local keys, parts = {}, {}
                for k in pairs(v) do keys[#keys + 1] = k end
                table.sort(keys)
                for _, k in ipairs(keys) do parts[#parts + 1] = k .. ':' .. show(v[k]) end
                return '{' .. table.concat(parts, ' ') .. '}'
            end
            return show(redis.call('x'))
            """
        #expect(host.eval(script) == "$\(expected.utf8.count)\r\n\(expected)\r\n")
    }

    @Test(arguments: [
        "", ":", ":\r\n", ":1x\r\n", "$5\r\nabc\r\n", "$-", "*3\r\n:1\r\n", "*999999999\r\n", "%99999999999\r\n:1\r\n",
        "=3\r\ntxt\r\n", "?\r\n", "$99999999999999999999999\r\n", "*1", "|1\r\n:1\r\n",
        String(repeating: "*1\r\n", count: 5000) + ":1\r\n",
    ]) func aMalformedReplyIsAnError(_ reply: String) {
        let host = HostUnderTest()
        host.execute = { _, _ in reply }
        #expect(host.eval("return redis.call('x')").hasPrefix("-"))
        host.execute = { _, _ in ":1\r\n" }
        #expect(host.eval("return redis.call('x')") == ":1\r\n")
    }

    @Test func argumentsAreTextsOrNumbers() {
        let host = HostUnderTest()
        var seen: [String] = []
        host.execute = { arguments, _ in
            seen = arguments.map { String(decoding: $0, as: UTF8.self) }
            return "+OK\r\n"
        }
        _ = host.eval("return redis.call('set', 1, 1.5, 1e15, -2^51, 2^53, 1/0, '', 'a\\0b', -0, 0.1, 1e100)")
        #expect(
            seen == [
                "set", "1", "1.5", "1000000000000000", "-2251799813685248", "9007199254740992", "inf", "", "a\0b", "-0",
                "0.10000000000000001", "1e+100",
            ])
        #expect(
            host.eval("return redis.pcall({})")
                == "-ERR Lua redis lib command arguments must be strings or integers\r\n")
        #expect(
            host.eval("return redis.pcall()") == "-ERR Please specify at least one argument for this redis lib call\r\n"
        )
        _ = host.eval("local t = {} for i = 1, 5000 do t[i] = i end return redis.call(unpack(t))")
        #expect(seen.count == 5000 && seen.last == "5000")
    }

    @Test func keysAndArgumentsAreFreshEachTime() {
        let host = HostUnderTest()
        let script = "KEYS[1] = 'changed' ARGV[3] = 'more' return {#KEYS, #ARGV}"
        for _ in 0..<2 {
            #expect(host.eval(script, keys: ["a", "b"], arguments: ["c"]) == "*2\r\n:2\r\n:1\r\n")
        }
        #expect(
            host.eval("return {KEYS[1], ARGV[1]}", keys: ["k"], arguments: ["v\0"]) == "*2\r\n$1\r\nk\r\n$2\r\nv\0\r\n")
        #expect(host.eval("return #KEYS + #ARGV") == ":0\r\n")
    }

    @Test func setrespIsOfARun() {
        let host = HostUnderTest()
        var versions: [Int] = []
        host.execute = { _, version in
            versions.append(version)
            return "+OK\r\n"
        }
        _ = host.eval(
            "redis.call('x') redis.setresp(3) redis.call('x') redis.setresp(2) redis.call('x') redis.setresp(3)")
        _ = host.eval("redis.call('x')", resp: 3)
        #expect(versions == [2, 3, 2, 2])
    }
}
