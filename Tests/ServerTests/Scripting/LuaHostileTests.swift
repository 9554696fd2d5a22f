import CLua
import Foundation
import TestSupport
import Testing

/// Programs that want more than their share, and what the next script finds.
@Suite struct LuaHostileTests {
    /// The programs of Tests/scripting/hostile, one a line.
    static let programs: [String] = {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("scripting/hostile")
        let files = (try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)) ?? []
        return files.sorted { $0.path < $1.path }.flatMap { file in
            ((try? String(contentsOf: file, encoding: .utf8)) ?? "").split(separator: "\n").map(String.init)
                .filter { !$0.hasPrefix("-- ") }
        }
    }()

    /// All that a script can reach by name: the functions and their libraries.
    private static let inventory = """
        local names = {}
        for name, library in pairs(_G) do
            names[#names + 1] = name .. ' ' .. (name == 'KEYS' and '' or tostring(library))
            if type(library) == 'table' and library ~= _G and name ~= 'KEYS' and name ~= 'ARGV' then
                for key, value in pairs(library) do names[#names + 1] = name .. '.' .. key .. ' ' .. tostring(value) end
            end
        end
        for i, name in ipairs(names) do if name:find('^ARGV') then names[i] = 'ARGV' end end
        table.sort(names)
        return table.concat(names, '\\n') .. tostring(getmetatable('').__index) .. tostring(getmetatable(''))
        """

    @Test func thereAreTwoHundred() { #expect(Self.programs.count >= 200) }

    @Test func eachEndsInTimeAndMemory() {
        let limit = 32 << 20
        let host = HostUnderTest(memoryLimit: limit)
        let inventory = host.eval(Self.inventory)
        #expect(inventory.hasPrefix("$"))
        var started = ContinuousClock.now
        var isBounded = true
        host.interruption = { isBounded && ContinuousClock.now - started > .milliseconds(20) ? "interrupted" : nil }
        host.execute = { arguments, _ in
            arguments.count > 1 && arguments[0] == Array("raw".utf8)
                ? String(decoding: arguments[1], as: UTF8.self) : "$3\r\nabc\r\n"
        }
        for program in Self.programs {
            started = .now
            let answer = host.eval(program, keys: ["k"], arguments: ["a"])
            let took = ContinuousClock.now - started
            #expect(!answer.isEmpty && took < .seconds(20), "\(program) took \(took)")
            #expect(host.memory <= limit + 4096, "\(program) holds \(host.memory)")
            isBounded = false
            #expect(host.eval(Self.inventory) == inventory, "\(program)")
            isBounded = true
        }
        lua_host_collect(host.host)
    }

    /// An interruption is nothing that a script can catch.
    @Test(arguments: [
        "while true do pcall(function() while true do end end) end",
        "while true do xpcall(function() while true do end end, function() while true do end end) end",
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
        "while true do pcall(coroutine.wrap(function() while true do end end)) end",
        "local function f() return pcall(f) or f() end while true do f() end",
        "while true do pcall(load, function() while true do end end) end",
        "while true do pcall(string.gsub, ('x'):rep(100), '.', function() while true do end end) end",
        "while true do pcall(table.sort, {1, 2, 3}, function() while true do end end) end",
        "local t = setmetatable({}, {__index = function() while true do end end}) while true do pcall(rawequal, t.x) end",
        "while true do pcall(string.find, ('x'):rep(10000), ('.-'):rep(10) .. 'b') end",
        "while true do redis.pcall('x') end",
        "while true do end",
    ]) func anInterruptionIsNotCaught(_ script: String) {
        let host = HostUnderTest()
        var asked = 0
        host.interruption = {
            asked += 1
            return asked > 3 ? "-STOP it" : nil
        }
        #expect(host.eval(script).hasPrefix("-STOP it on"))
        // The next script is none of it.
        host.interruption = { nil }
        #expect(host.eval("local n = 0 for i = 1, 300000 do n = n + 1 end return n") == ":300000\r\n")
    }

    @Test func memoryHasABound() {
        let host = HostUnderTest(memoryLimit: 1 << 20)
        for script in [
            "local t = {} for i = 1, 1e9 do t[i] = {} end", "local s = 'x' while true do s = s .. s end",
            "return ('x'):rep(1e9)", "return cjson.encode(('x'):rep(4e5))", "return cmsgpack.pack(('x'):rep(6e5))",
            "local t = {} for i = 1, 1e4 do t[i] = ('x'):rep(100) end return {t, t, t, t}",
        ] {
            #expect(host.eval(script).hasPrefix("-ERR not enough memory"), "\(script)")
            #expect(host.eval("return #ARGV", arguments: ["a"]) == ":1\r\n")
            #expect(host.memory < (1 << 20) + 4096)
        }
        let large = String(repeating: "x", count: 2 << 20)
        #expect(host.eval("return 1", arguments: [large]) == "-ERR not enough memory")
        #expect(host.eval("return '\(large)'") == "-not enough memory")
        host.execute = { _, _ in "$\(large.utf8.count)\r\n\(large)\r\n" }
        #expect(host.eval("return redis.call('get')").hasPrefix("-ERR not enough memory"))
        // Garbage is no reason to fail.
        #expect(host.eval("for i = 1, 1e3 do local s = ('x'):rep(1e5) .. i end return 1") == ":1\r\n")
    }

    /// What happens outside of a run allocates nothing: there, Lua could only end the process.
    @Test func referencesAreReleasedWithoutMemory() {
        for count in [1, 2, 3, 5, 8, 15, 16, 33, 60] {
            let host = HostUnderTest(memoryLimit: 1 << 18)
            let references = (0..<count).compactMap { try? host.compile(Array("return \($0)".utf8)).get() }
            #expect(references.count == count)
            let fill = "local t = {} for i = 1, 1e9 do t[i] = {} end"
            for reference in references {
                _ = host.eval(fill)
                lua_host_release(host.host, reference)
            }
            let library = HostUnderTest(forFunctions: true, memoryLimit: 1 << 18)
            _ = library.load(
                "redis.register_function('f', function() \(fill) end) local t = {} while true do t[{}] = 1 end")
            for function in library.functions {
                _ = library.run(function.reference)
                lua_host_release(library.host, function.reference)
            }
        }
    }

    @Test func anIdleHostIsSmall() {
        let host = HostUnderTest()
        #expect(host.memory < 100_000)
        for i in 0..<2000 { _ = host.eval("local a, b = \(i), {} b[1] = ('x'):rep(1000) .. a return b") }
        for _ in 0..<1000 { lua_host_collect(host.host) }
        #expect(host.memory < 300_000)
    }
}
