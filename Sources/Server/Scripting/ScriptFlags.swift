import Storage

/// What a script or function says of itself, by which it is refused or allowed where commands would be.
struct ScriptFlags: OptionSet, Sendable {
    let rawValue: UInt32

    // Their numbers are those of the host of Lua.
    static let noWrites = ScriptFlags(rawValue: 1)
    static let allowOOM = ScriptFlags(rawValue: 2)
    static let allowStale = ScriptFlags(rawValue: 4)
    static let noCluster = ScriptFlags(rawValue: 8)
    static let allowCrossSlotKeys = ScriptFlags(rawValue: 16)
    /// A script that says nothing of itself: each of its commands is asked about when it comes.
    static let undeclared = ScriptFlags(rawValue: 1 << 31)

    /// In the order of FUNCTION LIST.
    static let names: [(ScriptFlags, StaticString)] = [
        (.noWrites, "no-writes"), (.allowOOM, "allow-oom"), (.allowStale, "allow-stale"), (.noCluster, "no-cluster"),
        (.allowCrossSlotKeys, "allow-cross-slot-keys"),
    ]

    /// The flags of the command that runs it, in the place of `flags`.
    func refine(_ flags: CommandFlags) -> CommandFlags {
        if contains(.undeclared) { return flags }
        var refined = flags.subtracting([.stale, .denyoom, .write])
        if isDisjoint(with: [.allowOOM, .noWrites]) { refined.insert(.denyoom) }
        if contains(.noWrites) { refined.remove(.mayReplicate) } else { refined.insert(.write) }
        if contains(.allowStale) { refined.insert(.stale) }
        return refined
    }
}

/// The first line of a script that begins with `#!`.
enum Shebang {
    /// The flags of a script for EVAL, and where its code begins: with the line's end, so that lines are counted with it.
    static func script(_ text: Bytes) throws(CommandError) -> (flags: ScriptFlags, code: Bytes) {
        guard text.count >= 2, text[0] == UInt8(ascii: "#"), text[1] == UInt8(ascii: "!") else {
            return (.undeclared, text)
        }
        guard let (line, code) = split(text) else { throw CommandError("ERR Invalid script shebang") }
        guard let words = words(line), let engine = words.first else {
            throw CommandError("ERR Invalid engine in script shebang")
        }
        if engine != ByteString("#!lua") {
            throw CommandError(text: "ERR Unexpected engine in script shebang: \(engine)")
        }
        var flags: ScriptFlags = []
        for word in words.dropFirst() {
            guard word.hasPrefix("flags=") else {
                throw CommandError(text: "ERR Unknown lua shebang option: \(word)")
            }
            if word.count > 6 { flags.formUnion(try self.flags(word.dropFirst(6))) }
        }
        return (flags, code)
    }

    private static func flags(_ text: ByteString) throws(CommandError) -> ScriptFlags {
        var flags: ScriptFlags = []
        for name in text.bytes.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
            guard let flag = ScriptFlags.names.first(where: { ByteString("\($0.1)") == ByteString(name) }) else {
                throw CommandError(text: "ERR Unexpected flag in script shebang: \(ByteString(name))")
            }
            flags.insert(flag.0)
        }
        return flags
    }

    /// The engine and the name of a library, and its code as above.
    static func library(
        _ text: Bytes
    ) throws(CommandError) -> (engine: ByteString, name: ByteString, code: Bytes) {
        guard text.count >= 2, text[0] == UInt8(ascii: "#"), text[1] == UInt8(ascii: "!") else {
            throw CommandError("ERR Missing library metadata")
        }
        guard let (line, code) = split(text), let words = words(line), let engine = words.first else {
            throw CommandError("ERR Invalid library metadata")
        }
        var name: ByteString?
        for word in words.dropFirst() {
            guard word.lowercased.hasPrefix("name=") else {
                throw CommandError(text: "ERR Invalid metadata value given: \(word)")
            }
            if name != nil {
                throw CommandError("ERR Invalid metadata value, name argument was given multiple times")
            }
            name = word.dropFirst(5)
        }
        guard let name else { throw CommandError("ERR Library name was not given") }
        return (engine.dropFirst(2), name, code)
    }

    private static func split(_ text: Bytes) -> (line: Bytes, rest: Bytes)? {
        guard let end = text.buffer.firstIndex(of: 10) else { return nil }
        return (text[0..<end], text[end..<text.count])
    }
    /// nil: a quote is not closed.
    private static func words(_ line: Bytes) -> [ByteString]? {
        var words: [ByteString] = []
        let scratch = OutputBuffer(capacity: line.count)
        return InlineRequest.split(line, scratch) { words.append(ByteString($0)) } ? words : nil
    }
}
