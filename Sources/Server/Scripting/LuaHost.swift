import CLua
import Storage

// Invariant of this file: the runner outlives its hosts; `Bytes` and `lua_host_bytes` are both a pointer and a count, and
// what the host hands over lives until the callback returns. A `lua_host_bytes` of the host's never has a null pointer, but
// where this file makes one that says "nothing".

/// How a script, or the code of a library, ended in an error.
struct LuaError: Error {
    let message: [UInt8]
    /// As debug information has it, "@user_script"; empty: not known.
    let source: [UInt8]
    let line: Int
    /// The message begins with an error code, as far as it has one.
    let hasCode: Bool
    /// A command has answered it, and it is counted.
    let isCounted: Bool
    /// It came when the code ran, not when it was compiled.
    let isCompiled: Bool
}

/// A state of Lua, with what was compiled in it. Used by one thread at a time.
final class LuaHost {
    enum Kind { case scripts, functions }

    private let host: OpaquePointer
    /// Bytes that a state and what it calls into may hold; more is an error in the script.
    static let memoryLimit = 1 << 30

    /// nil: there is no memory.
    init?(_ kind: Kind, _ runner: ScriptRunner) {
        precondition(MemoryLayout<Bytes>.size == MemoryLayout<lua_host_bytes>.size)
        var callbacks = Self.callbacks
        callbacks.context = Unmanaged.passUnretained(runner).toOpaque()
        let made = Version.redis.withCString { version in
            var options = lua_host_options(
                for_functions: kind == .functions, memory_limit: Self.memoryLimit, version: version)
            return lua_host_new(&callbacks, &options)
        }
        guard let made else { return nil }
        host = made
    }
    deinit { lua_host_free(host) }

    /// Bytes that it holds.
    var memory: Int { lua_host_memory(host) }
    /// A step of its garbage collector.
    func collect() { lua_host_collect(host) }
    func release(_ reference: Int32) { lua_host_release(host, reference) }

    /// The reference of a script's code.
    func compile(_ code: Bytes) throws(LuaError) -> Int32 {
        var error = lua_host_error()
        let reference = lua_host_compile(host, Self.text(Bytes("user_script")), Self.text(code), &error)
        if reference < 0 { throw LuaError(error) }
        return reference
    }

    /// Runs a library's code; the runner hears of the functions that it registers.
    func load(_ code: Bytes) throws(LuaError) {
        var error = lua_host_error()
        if !lua_host_load_library(host, Self.text(Bytes("user_function")), Self.text(code), &error) {
            throw LuaError(error)
        }
    }

    /// Runs a script or a function; the runner gets its reply.
    func run(_ reference: Int32, keys: Arguments, arguments: Arguments, resp3: Bool) throws(LuaError) {
        var error = lua_host_error()
        let succeeded = lua_host_run(
            host, reference, Self.texts(keys), Int32(clamping: keys.count), Self.texts(arguments),
            Int32(clamping: arguments.count), resp3 ? 3 : 2, &error)
        if !succeeded { throw LuaError(error) }
    }

    // MARK: Bytes

    fileprivate static var nothing: lua_host_bytes { lua_host_bytes(bytes: nil, count: 0) }
    fileprivate static func text(_ bytes: Bytes) -> lua_host_bytes {
        lua_host_bytes(bytes: bytes.base.assumingMemoryBound(to: CChar.self), count: bytes.count)
    }
    fileprivate static func bytes(_ text: lua_host_bytes) -> Bytes {
        guard let base = text.bytes else { return Bytes() }
        return Bytes(UnsafeRawPointer(base), text.count)
    }
    private static func texts(_ arguments: Arguments) -> UnsafePointer<lua_host_bytes> {
        UnsafeRawPointer(arguments.start).assumingMemoryBound(to: lua_host_bytes.self)
    }
    @inline(__always)
    fileprivate static func arguments(_ texts: UnsafePointer<lua_host_bytes>?, _ count: Int32) -> Arguments? {
        guard let texts, count > 0 else { return nil }
        return Arguments(UnsafeRawPointer(texts).assumingMemoryBound(to: Bytes.self), Int(count))
    }

    // MARK: Callbacks

    @inline(__always)
    private static func runner<Result>(
        _ context: UnsafeMutableRawPointer?, _ body: (ScriptRunner) -> Result
    ) -> Result {
        guard let context else { preconditionFailure("a callback without its context") }
        return Unmanaged<ScriptRunner>.fromOpaque(context)._withUnsafeGuaranteedRef(body)
    }

    private static var callbacks: lua_host_callbacks {
        var callbacks = lua_host_callbacks()
        callbacks.execute = { context, texts, count, resp in
            guard let arguments = LuaHost.arguments(texts, count) else { return LuaHost.nothing }
            return LuaHost.text(LuaHost.runner(context) { $0.execute(arguments, resp3: resp == 3) })
        }
        callbacks.may_execute = { context, texts, count in
            guard let arguments = LuaHost.arguments(texts, count) else { return -1 }
            return LuaHost.runner(context) { $0.mayExecute(arguments) }
        }
        callbacks.set_replication = { context, targets in
            LuaHost.runner(context) { $0.setReplication(targets) }
        }
        callbacks.log = { context, level, text in
            LuaHost.runner(context) { $0.log(Int(level), LuaHost.bytes(text)) }
        }
        callbacks.interrupt = { context in
            LuaHost.runner(context) { runner in
                runner.interrupted().map { LuaHost.text(Bytes($0)) } ?? LuaHost.nothing
            }
        }
        callbacks.write = { context, piece in
            LuaHost.runner(context) { $0.write(LuaHost.bytes(piece)) }
        }
        callbacks.wrote_error = { context, text, isCounted in
            if !isCounted { LuaHost.runner(context) { $0.count(error: LuaHost.bytes(text)) } }
        }
        callbacks.register_function = { context, name, description, flags, reference in
            let function = RegisteredFunction(
                name: ByteString(LuaHost.bytes(name)),
                description: description.bytes == nil ? nil : ByteString(LuaHost.bytes(description)),
                flags: ScriptFlags(rawValue: flags), reference: reference)
            return LuaHost.runner(context) { $0.register(function) }.map { LuaHost.text(Bytes($0)) } ?? LuaHost.nothing
        }
        callbacks.sha1 = { _, text, digits in
            guard let digits else { return }
            let hex = ScriptDigest(of: LuaHost.bytes(text)).hex
            for i in 0..<40 { digits[i] = CChar(bitPattern: hex[i]) }
        }
        return callbacks
    }
}

extension LuaError {
    fileprivate init(_ error: lua_host_error) {
        message = LuaHost.bytes(error.message).array
        source = LuaHost.bytes(error.source).array
        line = Int(error.line)
        hasCode = error.has_code
        isCounted = error.counted
        isCompiled = error.compiled
    }
}
