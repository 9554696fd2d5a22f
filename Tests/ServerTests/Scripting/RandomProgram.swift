import TestSupport

/// A program of Lua that is mostly well-formed, and means nothing.
struct RandomProgram {
    var random: SeededRandom
    private var depth = 0

    init(_ random: SeededRandom) { self.random = random }

    mutating func text() -> String {
        var lines = ["local a, b, c, d = 1, 'x', {1, 2, 3}, nil"]
        for _ in 0...random.below(6) { lines.append(statement()) }
        lines.append("return \(expression())")
        var text = lines.joined(separator: "\n")
        // Some are not well-formed.
        if random.below(20) == 0 {
            var bytes = Array(text.utf8)
            bytes[random.below(bytes.count)] = random.byte()
            text = String(decoding: bytes, as: UTF8.self)
        }
        return text
    }

    private mutating func statement() -> String {
        depth += 1
        defer { depth -= 1 }
        if depth > 4 { return "a = \(expression())" }
        switch random.below(14) {
        case 0: return "\(name()) = \(expression())"
        case 1: return "if \(expression()) then \(statement()) else \(statement()) end"
        case 2: return "for i = \(number()), \(number()), \(number()) do \(statement()) if i then break end end"
        case 3: return "for k, v in pairs(\(expression())) do \(statement()) end"
        case 4: return "while \(expression()) do \(statement()) \(random.below(4) == 0 ? "" : "break") end"
        case 5: return "local function f(...) \(statement()) return ... end d = f"
        case 6: return "pcall(function() \(statement()) end)"
        case 7: return "c[\(expression())] = \(expression())"
        case 8: return "setmetatable(c, {\(random.pick(Self.events)) = function(x, y) \(statement()) return y end})"
        case 9: return "d = coroutine.wrap(function(x) \(statement()) coroutine.yield(x) \(statement()) end)"
        case 10: return "local ok, e = xpcall(function() \(statement()) end, function(m) \(statement()) return m end)"
        case 11: return "\(random.pick(Self.libraries)).\(name()) = \(expression())"
        case 12: return "for w in string.gmatch(\(expression()), \(pattern())) do \(statement()) break end"
        default: return call()
        }
    }

    private mutating func expression() -> String {
        depth += 1
        defer { depth -= 1 }
        if depth > 5 { return atom() }
        switch random.below(10) {
        case 0, 1: return atom()
        case 2: return "(\(expression()) \(random.pick(Self.operators)) \(expression()))"
        case 3: return "(\(random.pick(["not ", "-", "#"]))\(expression()))"
        case 4: return "{\(expression()), \(expression()), x = \(expression())}"
        case 5: return "(\(expression()))[\(expression())]"
        case 6: return "function(...) \(statement()) return \(expression()) end"
        default: return call()
        }
    }

    private mutating func call() -> String {
        let function = random.pick(Self.functions)
        let count = random.below(4)
        let arguments = (0..<count).map { _ in random.below(6) == 0 ? pattern() : expression() }
        return "\(function)(\(arguments.joined(separator: ", ")))"
    }

    private mutating func atom() -> String {
        switch random.below(8) {
        case 0, 1: name()
        case 2, 3: number()
        case 4: random.pick(["nil", "true", "false", "KEYS", "ARGV", "_G", "string", "redis", "cjson.null"])
        case 5: "('\(random.pick(["x", "ab", "\\0", "%d", "a,b"]))'):rep(\(random.below(2000)))"
        default: random.pick(["''", "'abc'", "'\\0\\255'", "'12'", "'0x1F'", "'[1,{\"a\":2}]'", "'\\147\\1\\2\\3'"])
        }
    }

    private mutating func name() -> String { random.pick(["a", "b", "c", "d"]) }
    private mutating func number() -> String {
        random.pick([
            "0", "1", "-1", "2", "3", "7", "100", "1.5", "-0", "1e15", "2^31", "-2^31", "2^31-1", "2^53", "2^63", "1/0",
            "0/0",
            "1e300", "65536",
        ])
    }
    private mutating func pattern() -> String {
        let pieces = [
            "a", ".", "%a", "%d", "[a-z]", "[^x]", "%b()", "%f[%w]", "(", ")", "()", "%1", "*", "+", "-", "?", "^", "$",
            "%", "[", "]",
        ]
        return "'" + (0...random.below(8)).map { _ in random.pick(pieces) }.joined() + "'"
    }

    private static let events = [
        "__index", "__newindex", "__call", "__tostring", "__add", "__concat", "__eq", "__lt", "__len", "__mode", "__gc",
        "__metatable",
    ]
    private static let operators = ["+", "-", "*", "/", "%", "^", "..", "==", "~=", "<", "<=", "and", "or"]
    private static let libraries = ["string", "table", "redis", "c", "_G", "cjson", "KEYS"]
    private static let functions = [
        "assert", "collectgarbage", "error", "gcinfo", "getmetatable", "ipairs", "load", "loadstring", "next", "pairs",
        "pcall", "rawequal",
        "rawget", "rawset", "select", "setmetatable", "tonumber", "tostring", "type", "unpack", "xpcall", "string.byte",
        "string.char",
        "string.find", "string.format", "string.gmatch", "string.gsub", "string.len", "string.lower", "string.match",
        "string.rep",
        "string.reverse", "string.sub", "string.upper", "table.concat", "table.foreach", "table.foreachi", "table.getn",
        "table.insert",
        "table.maxn", "table.remove", "table.setn", "table.sort", "math.abs", "math.floor", "math.fmod", "math.frexp",
        "math.ldexp",
        "math.max", "math.modf", "math.random", "math.randomseed", "coroutine.create", "coroutine.resume",
        "coroutine.running",
        "coroutine.status", "coroutine.wrap", "coroutine.yield", "cjson.encode", "cjson.decode",
        "cjson.encode_sparse_array",
        "cjson.encode_max_depth", "cjson.decode_max_depth", "cjson.encode_keep_buffer", "cjson.encode_number_precision",
        "cjson.new",
        "cjson.decode_invalid_numbers", "cjson.encode_invalid_numbers", "cmsgpack.pack", "cmsgpack.unpack",
        "cmsgpack.unpack_one",
        "cmsgpack.unpack_limit", "struct.pack", "struct.unpack", "struct.size", "bit.band", "bit.tohex", "bit.lshift",
        "bit.bswap",
        "redis.call", "redis.pcall", "redis.error_reply", "redis.status_reply", "redis.sha1hex", "redis.log",
        "redis.setresp",
        "redis.set_repl", "redis.acl_check_cmd", "d",
    ]
}
