import Storage

/// Writes commands in RESP, as the log, replicas and queued transactions hold them.
enum RESPEncoder {
    /// Appends a command; calls back with each argument's place in `output`.
    static func command(_ args: Arguments, to output: OutputBuffer, _ placed: (Range<Int>) -> Void = { _ in }) {
        header(args.count, to: output)
        for i in 0..<args.count { placed(argument(args[i], to: output)) }
    }
    static func command(_ args: [Bytes], to output: OutputBuffer) {
        header(args.count, to: output)
        for arg in args { argument(arg, to: output) }
    }
    static func command(texts: [String], to output: OutputBuffer) {
        header(texts.count, to: output)
        for var text in texts {
            text.withUTF8 { bytes in
                guard let base = bytes.baseAddress else { return }
                argument(Bytes(base, bytes.count), to: output)
            }
        }
    }
    /// DEL and the like: no array needed.
    static func command(_ name: StaticString, _ key: Bytes, to output: OutputBuffer) {
        header(2, to: output)
        argument(Bytes(name), to: output)
        argument(key, to: output)
    }
    static func select(_ db: Int, to output: OutputBuffer) {
        withUnsafeTemporaryAllocation(byteCount: 20, alignment: 1) { scratch in
            guard let text = scratch.baseAddress else { return }
            command("SELECT", Bytes(text, decimalDigits(of: Int64(db), into: text)), to: output)
        }
    }

    /// A command that changes nothing, of exactly so many bytes: 20, which the shortest write has, or more.
    static func filler(_ length: Int) -> OutputBuffer {
        let output = OutputBuffer(capacity: length)
        // For some lengths of PING the argument's own length would have a digit too many or too few.
        let names: [StaticString] = ["PING", "TOUCH"]
        for name in names {
            for digits in 1...19 {
                let rest = length - 15 - name.utf8CodeUnitCount - digits
                guard rest >= 0, String(rest).utf8.count == digits else { continue }
                let text = [UInt8](repeating: UInt8(ascii: "-"), count: rest)
                text.lend { command(name, $0, to: output) }
                return output
            }
        }
        preconditionFailure("no command has \(length) bytes")
    }

    private static func header(_ count: Int, to output: OutputBuffer) {
        output.append(byte: UInt8(ascii: "*"))
        output.append(decimal: Int64(count))
        output.appendLineEnd()
    }
    /// The header of a push message of `count` parts; RESP2 has arrays.
    static func pushHeader(_ count: Int, resp3: Bool, to output: OutputBuffer) {
        output.append(byte: UInt8(ascii: resp3 ? ">" : "*"))
        output.append(decimal: Int64(count))
        output.appendLineEnd()
    }
    /// A bulk string; returns the place of its bytes.
    @discardableResult static func argument(_ bytes: Bytes, to output: OutputBuffer) -> Range<Int> {
        output.append(byte: UInt8(ascii: "$"))
        output.append(decimal: Int64(bytes.count))
        output.appendLineEnd()
        let start = output.count
        output.append(bytes)
        let end = output.count
        output.appendLineEnd()
        return start..<end
    }
}
