import Testing

/// The libraries that scripts have.
@Suite struct LuaLibraryTests {
    /// Expressions, and what tostring says of them.
    @Test(arguments: [
        // struct: as redis-server answers.
        ("struct.pack('>I2<i4', 1, -2)", "\\0\\1\\254\\255\\255\\255"),
        ("struct.pack('!bd', 1, 2)", "\\1\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0@"),
        ("struct.pack('sc2c0', 'a', 'xyz', 'q')", "a\\0xyq"),
        ("struct.pack('>i10', -2)", "\\0\\0\\255\\255\\255\\255\\255\\255\\255\\254"),
        ("struct.pack('I8', 2^64)", "\\0\\0\\0\\0\\0\\0\\0\\0"), ("struct.unpack('bc0', '\\2abc')", "ab"),
        ("struct.unpack('>i3', '\\255\\255\\254')", "-2"), ("struct.unpack('I2', '\\1\\2', 1)", "513"),
        ("struct.unpack('f', struct.pack('f', 0.5))", "0.5"), ("select(2, struct.unpack('s', 'abc\\0'))", "5"),
        ("struct.size('!bhid')", "16"), ("struct.size('>i3x')", "4"),
        // cmsgpack.
        ("cmsgpack.pack(1, -1, 128, -129)", "\\1\\255\\204\\128\\209\\255\\127"),
        ("cmsgpack.pack(1.5)", "\\202?\\192\\0\\0"),
        ("cmsgpack.pack(0.1)", "\\203?\\185\\153\\153\\153\\153\\153\\154"), ("cmsgpack.pack({1, 2})", "\\146\\1\\2"),
        ("cmsgpack.pack({a = true})", "\\129\\161a\\195"), ("cmsgpack.pack({}, nil)", "\\144\\192"),
        ("cmsgpack.pack({[1] = 1, [3] = 2}):byte()", "130"), ("#cmsgpack.pack(('x'):rep(65536))", "65541"),
        ("cmsgpack.unpack('\\147\\1\\2\\3')[3]", "3"), ("cmsgpack.unpack_one('\\1\\2', 1)", "-1"),
        ("select(2, cmsgpack.unpack_limit('\\1\\2\\3', 1, 1))", "2"),
        ("cmsgpack.unpack('\\207\\255\\255\\255\\255\\255\\255\\255\\255')", "-1"),
        // cjson and bit.
        ("cjson.encode({1, {a = 'b/\\n'}, cjson.null})", "[1,{\"a\":\"b\\\\/\\\\n\"},null]"),
        ("cjson.encode({})", "{}"),
        ("cjson.decode('[1, {\"a\": [true]}]')[2].a[1]", "true"), ("cjson.encode({[1] = 1, [3] = 3})", "[1,null,3]"),
        ("#cjson.encode(('\\0'):rep(100000))", "600002"), ("cjson.encode_keep_buffer(false)", "false"),
        ("bit.tohex(-1, -2147483648)", "FFFFFFFF"), ("bit.tohex(255, 4)", "00ff"), ("bit.band(7, 12)", "4"),
        // string, with the patterns that are ours.
        ("('hello world'):find('o w')", "5"), ("('hello'):match('(h)(.)')", "h"),
        ("('f(a(b))c'):match('%b()')", "(a(b))"),
        ("('THE (quick) fox'):find('%f[%a]%a+%f[%A]')", "1"), ("('abc'):gsub('%w', '%0%0')", "aabbcc"),
        ("('abc'):gsub('', '-')", "-a-b-c-"), ("('abc'):gsub('b', {b = 1})", "a1c"), ("('aa'):match('(a)%1')", "a"),
        ("('x y'):match('^(%S+)%s+(%S*)$')", "x"), ("('a.b'):find('.', 2, true)", "2"), ("('[]]'):match('[]]+')", "]]"),
        ("('a-z'):match('[a%-z]+')", "a-z"), ("('k=v'):gsub('(%w+)=(%w+)', '%2=%1')", "v=k"),
        ("('ab'):rep(3)", "ababab"),
        ("('ab'):rep(-1)", ""), ("('a\\0b'):find('%z')", "2"), ("(' x '):match('^%s*(.-)%s*$')", "x"),
        ("('abc'):match('()b()')", "2"), ("('%d'):format(3)", "3"),
        // table and the basic functions.
        ("table.concat({1, 2.5, 'x'}, ',')", "1,2.5,x"), ("select('#', unpack({}, 1, 5))", "5"), ("next({})", "nil"),
        ("rawget(string, 'len') == string.len", "true"), ("next(string) ~= nil", "true"),
        ("select(2, pcall(string.rep))", "bad argument #1 to '?' (string expected, got no value)"),
        ("getmetatable('').__index == string", "true"), ("type(getmetatable(_G).__index)", "function"),
        ("next(getmetatable(_G, 1e300))", "__index"),
        ("getmetatable(redis)", "nil"), ("rawequal(_G, _G._G)", "true"), ("server == redis", "true"),
        ("_VERSION", "Lua 5.1"),
        ("redis.REDIS_VERSION", "7.2.4"), ("redis.REDIS_VERSION_NUM", "459268"), ("redis.REPL_ALL", "3"),
        ("redis.LOG_WARNING", "3"), ("redis.acl_check_cmd('get')", "true"), ("redis.acl_check_cmd('set')", "false"),
        ("redis.replicate_commands()", "true"), ("redis.sha1hex('1')", String(repeating: "b", count: 40)),
        ("coroutine.wrap(function(a) return coroutine.yield(a) end)(5)", "5"),
        ("select(2, coroutine.resume(coroutine.create(function() error('x', 0) end)))", "x"),
        ("loadstring('return 5')()", "5"),
        ("select(2, loadstring('\\27Lua'))", "[string \"\\27Lua\"]:1: unexpected symbol near 'char(27)'"),
    ]) func anExpression(_ expression: String, _ expected: String) {
        // Both sides in Lua, which knows the escapes.
        let script = """
            local got, expected = tostring((\(expression))), '\(expected.replacing("'", with: "\\'"))'
            return got == expected and 'as expected' or got
            """
        #expect(HostUnderTest().eval(script) == "$11\r\nas expected\r\n")
    }

    @Test func setReplTellsTheTargets() {
        let host = HostUnderTest()
        _ = host.eval(
            "redis.set_repl(redis.REPL_NONE) redis.set_repl(redis.REPL_AOF) redis.set_repl(redis.REPL_REPLICA)")
        #expect(host.replication == [0, 1, 2])
    }

    /// Equal elements, and comparisons that make no sense, end up where Lua 5.1 has them (answers of redis-server).
    @Test func sortsLikeLua() {
        let host = HostUnderTest()
        let equal = """
            local t, r = {}, {}
            for i = 1, 20 do t[i] = {i % 3, i} end
            table.sort(t, function(a, b) return a[1] < b[1] end)
            for i = 1, 20 do r[i] = t[i][2] end
            return table.concat(r, ' ')
            """
        #expect(host.eval(equal).hasSuffix("\(Self.sortedEqual)\r\n"))
        #expect(
            host.eval("local t = {} for i = 1, 50 do t[i] = i % 7 end table.sort(t, function() return true end)")
                == "-ERR user_script:1: invalid order function for sorting on @user_script:1")
        for count in [0, 1, 2, 3, 10, 1000] {
            let script = """
                math.randomseed(\(count))
                local t = {}
                for i = 1, \(count) do t[i] = math.random(100) end
                table.sort(t)
                for i = 2, \(count) do if t[i - 1] > t[i] then return i end end
                return #t
                """
            #expect(host.eval(script) == ":\(count)\r\n")
        }
    }

    private static let sortedEqual = "15 9 6 12 18 3 13 1 16 19 10 4 7 17 2 11 8 14 5 20"

    @Test func randomNumbersFollowFromASeed() {
        let host = HostUnderTest()
        let script = "math.randomseed(ARGV[1]) return {math.random(1000), math.random(1000), math.random(5, 10)}"
        let first = host.eval(script, arguments: ["1"])
        #expect(first == "*3\r\n:42\r\n:455\r\n:10\r\n")
        #expect(host.eval(script, arguments: ["2"]) != first && host.eval(script, arguments: ["1"]) == first)
        #expect(HostUnderTest().eval("return math.random(10000)") == HostUnderTest().eval("return math.random(10000)"))
        #expect(host.eval("return math.random(10000)") != host.eval("return math.random(10000)"))
    }
}
