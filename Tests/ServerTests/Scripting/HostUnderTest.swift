import CLua
import Foundation

/// A host of Lua whose commands a closure answers.
final class HostUnderTest {
    struct Failure: Error, Equatable {
        var message: String
        var source = ""
        var line = 0
        var hasCode = false
        var isCounted = false
    }
    struct Function: Equatable {
        var name: String
        var description: String?
        var flags: UInt32
        var reference: Int32
    }

    /// A command's arguments and the version of RESP: its reply.
    var execute: (_ arguments: [[UInt8]], _ resp: Int) -> String = { _, _ in "$-1\r\n" }
    /// What the interrupt says.
    var interruption: () -> String? = { nil }
    /// Registered functions, and the error of the next one.
    var functions: [Function] = []
    var registrationError: String?
    var logged: [String] = []
    /// Texts of errors in replies; "counted" before those that are.
    var errors: [String] = []
    var replication: [Int32] = []
    private(set) var written: [UInt8] = []

    private(set) var host: OpaquePointer?
    /// What was handed to the host, until its next call.
    private var kept: [UnsafeMutablePointer<CChar>] = []

    init(forFunctions: Bool = false, memoryLimit: Int = 64 << 20) {
        var callbacks = Self.callbacks
        callbacks.context = Unmanaged.passUnretained(self).toOpaque()
        host = "7.2.4".withCString { version in
            var options = lua_host_options(
                for_functions: forFunctions, memory_limit: memoryLimit, version: version)
            return lua_host_new(&callbacks, &options)
        }
    }
    deinit {
        lua_host_free(host)
        forget()
    }

    var memory: Int { lua_host_memory(host) }

    func compile(_ code: [UInt8]) -> Result<Int32, Failure> {
        defer { forget() }
        var error = lua_host_error()
        let reference = lua_host_compile(host, keep("user_script"), keep(code), &error)
        return reference < 0 ? .failure(Self.failure(error)) : .success(reference)
    }

    func run(
        _ reference: Int32, keys: [[UInt8]] = [], arguments: [[UInt8]] = [], resp: Int32 = 2
    ) -> Result<[UInt8], Failure> {
        defer { forget() }
        var error = lua_host_error()
        written = []
        let succeeded = lua_host_run(
            host, reference, keys.map(keep), Int32(keys.count), arguments.map(keep), Int32(arguments.count), resp,
            &error)
        return succeeded ? .success(written) : .failure(Self.failure(error))
    }

    /// Compiles, runs and releases a script: its reply, or the error as a line.
    func eval(_ script: String, keys: [String] = [], arguments: [String] = [], resp: Int32 = 2) -> String {
        switch compile(Array(script.utf8)) {
        case .failure(let failure): return "-" + failure.message
        case .success(let reference):
            defer { lua_host_release(host, reference) }
            switch run(
                reference, keys: keys.map { Array($0.utf8) }, arguments: arguments.map { Array($0.utf8) }, resp: resp)
            {
            case .success(let reply): return String(decoding: reply, as: UTF8.self)
            case .failure(let failure):
                return "-" + (failure.hasCode ? "" : "ERR ") + failure.message
                    + (failure.source.isEmpty ? "" : " on \(failure.source):\(failure.line)")
            }
        }
    }

    func load(_ library: String) -> Failure? {
        defer { forget() }
        var error = lua_host_error()
        return lua_host_load_library(host, keep("user_function"), keep(library), &error) ? nil : Self.failure(error)
    }

    private func keep(_ text: String) -> lua_host_bytes { keep(Array(text.utf8)) }
    private func keep(_ bytes: [UInt8]) -> lua_host_bytes {
        // Of just this size, so that reading past it is seen by the sanitizer.
        let copy = UnsafeMutablePointer<CChar>.allocate(capacity: max(bytes.count, 1))
        for (i, byte) in bytes.enumerated() { copy[i] = CChar(bitPattern: byte) }
        kept.append(copy)
        return lua_host_bytes(bytes: copy, count: bytes.count)
    }
    private func forget() {
        for copy in kept { copy.deallocate() }
        kept = []
    }

    private static func bytes(_ text: lua_host_bytes) -> [UInt8] {
        guard let base = text.bytes else { return [] }
        return UnsafeBufferPointer(start: base, count: text.count).map { UInt8(bitPattern: $0) }
    }
    private static func string(_ text: lua_host_bytes) -> String { String(decoding: bytes(text), as: UTF8.self) }

    private static func failure(_ error: lua_host_error) -> Failure {
        Failure(
            message: string(error.message), source: string(error.source), line: Int(error.line),
            hasCode: error.has_code,
            isCounted: error.counted)
    }

    private static func of(_ context: UnsafeMutableRawPointer?) -> HostUnderTest {
        Unmanaged<HostUnderTest>.fromOpaque(context!).takeUnretainedValue()
    }
    private static func arguments(_ texts: UnsafePointer<lua_host_bytes>?, _ count: Int32) -> [[UInt8]] {
        (0..<Int(count)).map { bytes(texts![$0]) }
    }

    private static var callbacks: lua_host_callbacks {
        var callbacks = lua_host_callbacks()
        callbacks.execute = { context, texts, count, resp in
            let host = HostUnderTest.of(context)
            host.forget()
            return host.keep(host.execute(HostUnderTest.arguments(texts, count), Int(resp)))
        }
        callbacks.may_execute = { _, texts, count in
            switch HostUnderTest.arguments(texts, count).first.map({ String(decoding: $0, as: UTF8.self) }) {
            case "get": 1
            case "set": 0
            default: -1
            }
        }
        callbacks.set_replication = { context, targets in HostUnderTest.of(context).replication.append(targets) }
        callbacks.log = { context, level, text in
            HostUnderTest.of(context).logged.append("\(level) \(HostUnderTest.string(text))")
        }
        callbacks.interrupt = { context in
            let host = HostUnderTest.of(context)
            guard let said = host.interruption() else { return lua_host_bytes(bytes: nil, count: 0) }
            return host.keep(said)
        }
        callbacks.write = { context, piece in HostUnderTest.of(context).written += HostUnderTest.bytes(piece) }
        callbacks.wrote_error = { context, text, isCounted in
            HostUnderTest.of(context).errors.append((isCounted ? "counted " : "") + HostUnderTest.string(text))
        }
        callbacks.register_function = { context, name, description, flags, reference in
            let host = HostUnderTest.of(context)
            if let error = host.registrationError { return host.keep(error) }
            host.functions.append(
                Function(
                    name: HostUnderTest.string(name),
                    description: description.bytes == nil ? nil : HostUnderTest.string(description), flags: flags,
                    reference: reference))
            return lua_host_bytes(bytes: nil, count: 0)
        }
        callbacks.sha1 = { _, text, digits in
            for i in 0..<40 { digits![i] = CChar(UInt8(ascii: "a")) + CChar(text.count % 6) }
        }
        return callbacks
    }
}

/// A script, and what it is to answer.
struct Case: CustomStringConvertible, Sendable {
    var script: String
    var reply: String
    var description: String { script }

    init(_ script: String, _ reply: String) {
        self.script = script
        self.reply = reply
    }
}
