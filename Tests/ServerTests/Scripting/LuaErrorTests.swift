import CLua
import Testing

/// How errors are worded, and where they say that they were.
@Suite struct LuaErrorTests {
    @Test(arguments: [
        Case("error('abc')", "-ERR user_script:1: abc on @user_script:1"),
        Case("\n\nerror('abc')", "-ERR user_script:3: abc on @user_script:3"),
        Case("error('abc', 0)", "-ERR abc on @user_script:1"), Case("error(nil)", "-ERR nil on @user_script:1"),
        Case("error(true)", "-ERR true on @user_script:1"), Case("error({err='My Err'})", "-My Err on @user_script:1"),
        Case("error({1})", "-ERR the error is a table without a field 'err' on @user_script:1"),
        Case(
            "local x = nil; x.y = 1", "-ERR user_script:1: attempt to index local 'x' (a nil value) on @user_script:1"),
        Case("local function f()\nerror('in f')\nend\nf()", "-ERR user_script:2: in f on @user_script:2"),
        Case(
            "return foo",
            "-ERR user_script:1: Script attempted to access nonexistent global variable 'foo' on @user_script:1"),
        Case(
            "return _G[{}]",
            "-ERR user_script:1: Second argument to luaProtectedTableError must be a string or number on @user_script:1"
        ),
        Case("foo = 1", "-ERR user_script:1: Attempt to modify a readonly table on @user_script:1"),
        Case("rawset(_G, 'x', 1)", "-ERR Attempt to modify a readonly table on @user_script:1"),
        Case("redis.log('a', 'b')", "-ERR First argument must be a number (log level). on @user_script:1"),
        Case("redis.log(4, 'b')", "-ERR Invalid debug level. on @user_script:1"),
        Case("redis.setresp(4)", "-ERR RESP version must be 2 or 3. on @user_script:1"),
        Case("redis.setresp()", "-ERR redis.setresp() requires one argument. on @user_script:1"),
        Case("redis.set_repl()", "-ERR redis.set_repl() requires one argument. on @user_script:1"),
        Case(
            "redis.set_repl(8)",
            "-ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE. on @user_script:1"),
        Case("redis.sha1hex()", "-ERR wrong number of arguments on @user_script:1"),
        Case("redis.acl_check_cmd('nosuch')", "-ERR Invalid command passed to redis.acl_check_cmd() on @user_script:1"),
        Case("return redis.error_reply('My')", "-ERR My\r\n"),
        Case("return redis.error_reply('My Err')", "-My Err\r\n"),
        Case("return redis.error_reply('-My Err')", "-My Err\r\n"),
        Case("return redis.error_reply(1)", "-ERR wrong number or type of arguments\r\n"),
        Case("return redis.status_reply()", "-ERR wrong number or type of arguments\r\n"),
        Case("return pcall(error, 'x')", "$-1\r\n"),
        Case("return {pcall(error, {err='E x'})}", "*2\r\n$-1\r\n$3\r\nE x\r\n"),
        Case("return {pcall(redis.call, 'x')}", "*2\r\n$-1\r\n$9\r\nWRONG way\r\n"),
        Case("redis.call('x')", "-WRONG way on @user_script:1"), Case("return redis.pcall('x')", "-WRONG way\r\n"),
        Case("return redis.pcall('x').err", "$9\r\nWRONG way\r\n"),
        Case("return {xpcall(function() redis.call('x') end, type)}", "*2\r\n$-1\r\n$5\r\ntable\r\n"),
        Case("coroutine.wrap(function() error('x') end)()", "-ERR user_script:1: user_script:1: x on @user_script:1"),
        Case(
            "return cjson.decode('[')",
            "-ERR user_script:1: Expected value but found T_END at character 2 on @user_script:1"),
        Case("if", "-user_script:1: unexpected symbol near '<eof>'"),
        Case("\u{1b}Lua", "-user_script:1: unexpected symbol near 'char(27)'"),
    ]) func anError(_ given: Case) {
        let host = HostUnderTest()
        host.execute = { _, _ in "-WRONG way\r\n" }
        #expect(host.eval(given.script) == given.reply)
    }

    /// Statistics of errors have a command's error already.
    @Test func errorsOfCommandsAreCounted() throws {
        let host = HostUnderTest()
        host.execute = { _, _ in "-WRONG way\r\n" }
        func failure(_ script: String) throws -> HostUnderTest.Failure? {
            let reference = try host.compile(Array(script.utf8)).get()
            guard case .failure(let failure) = host.run(reference) else { return nil }
            return failure
        }
        #expect(
            try failure("redis.call('x')")
                == .init(message: "WRONG way", source: "@user_script", line: 1, hasCode: true, isCounted: true))
        #expect(try failure("error({err='E x'})")?.isCounted == false)
        #expect(try failure("redis.call()")?.isCounted == false)
        _ = host.eval("return {redis.pcall('x'), {err='OWN x'}, {map={a={err='DEEP x'}}}}")
        #expect(host.errors == ["counted WRONG way", "OWN x", "DEEP x"])
    }

    @Test func aFunctionIsRegistered() {
        let host = HostUnderTest(forFunctions: true)
        #expect(host.load("redis.register_function('f', function(keys, args) return {#keys, args[1]} end)") == nil)
        #expect(
            host.load(
                """
                server.register_function{function_name='g', description='about g', callback=function() return KEYS end,
                flags={'no-writes', 'ALLOW-OOM', 'allow-stale', 'no-cluster', 'allow-cross-slot-keys'}}
                """) == nil)
        #expect(host.functions.map(\.name) == ["f", "g"] && host.functions.map(\.flags) == [0, 31])
        #expect(host.functions.map(\.description) == [nil, "about g"])
        let reply = host.run(host.functions[0].reference, keys: [[1], [2]], arguments: [[65]])
        #expect(try! reply.get() == Array("*2\r\n:2\r\n$1\r\nA\r\n".utf8))
        guard case .failure(let failure) = host.run(host.functions[1].reference) else {
            Issue.record("there are KEYS")
            return
        }
        #expect(failure.message.hasSuffix("Script attempted to access nonexistent global variable 'KEYS'"))
        lua_host_release(host.host, host.functions[0].reference)
    }

    @Test(arguments: [
        ("redis.register_function()", "wrong number of arguments to redis.register_function"),
        ("redis.register_function('f', function() end, 1)", "wrong number of arguments to redis.register_function"),
        (
            "redis.register_function('f')",
            "calling redis.register_function with a single argument is only applicable to Lua table (representing named arguments)."
        ),
        ("redis.register_function({}, function() end)", "first argument to redis.register_function must be a string"),
        ("redis.register_function('f', 1)", "second argument to redis.register_function must be a function"),
        ("redis.register_function{}", "redis.register_function must get a function name argument"),
        ("redis.register_function{function_name='f'}", "redis.register_function must get a callback argument"),
        (
            "redis.register_function{function_name={}}",
            "function_name argument given to redis.register_function must be a string"
        ),
        (
            "redis.register_function{description={}}",
            "description argument given to redis.register_function must be a string"
        ),
        (
            "redis.register_function{callback=1}",
            "callback argument given to redis.register_function must be a function"
        ),
        (
            "redis.register_function{flags=1}",
            "flags argument to redis.register_function must be a table representing function flags"
        ),
        ("redis.register_function{flags={'x'}}", "unknown flag given"),
        ("redis.register_function{flags={{}}}", "unknown flag given"),
        ("redis.register_function{x=1}", "unknown argument given to redis.register_function"),
        ("redis.register_function{[{}]=1}", "named argument key given to redis.register_function is not a string"),
    ]) func aRegistrationThatIsWrong(_ library: String, _ message: String) {
        let host = HostUnderTest(forFunctions: true)
        #expect(host.load(library)?.message == "ERR " + message)
        #expect(host.functions.isEmpty)
    }

    @Test func aLibraryHasLittleWhileItIsLoaded() {
        let host = HostUnderTest(forFunctions: true)
        for name in ["math", "string", "pcall", "_G", "getmetatable"] {
            #expect(
                host.load("return \(name)")?.message
                    == "user_function:1: Script attempted to access nonexistent global variable '\(name)'")
        }
        for name in ["call", "setresp", "set_repl", "acl_check_cmd"] {
            #expect(host.load("redis.\(name)()")?.message.hasSuffix("global variable '\(name)'") == true)
        }
        host.registrationError = "Function f already exists"
        let library = "redis.log(redis.LOG_NOTICE, 'a', 1) redis.register_function('f', function() end)"
        #expect(host.load(library)?.message == "ERR Function f already exists")
        #expect(host.logged == ["2 a 1"])
        host.registrationError = nil
        #expect(
            host.load("local r = redis.register_function r('f', function() r('g', function() end) end)") == nil)
        guard case .failure(let failure) = host.run(host.functions[0].reference) else {
            Issue.record("a function registers")
            return
        }
        #expect(failure.message == "ERR redis.register_function can only be called on FUNCTION LOAD command")
    }
}
