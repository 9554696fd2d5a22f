import Glibc
import Storage

/// Writes the replies of one client to its output, in the protocol that the client speaks. All calls are amortised
/// O(bytes written); none allocates while the output has room.
final class ReplyWriter {
    let output: OutputBuffer
    /// The client asked for RESP3 with HELLO.
    var resp3 = false

    init(_ output: OutputBuffer = OutputBuffer(capacity: 256)) { self.output = output }

    // MARK: - Whole replies

    @inline(__always) func ok() { output.append("+OK\r\n") }

    /// A status, such as PONG.
    func simple(_ text: StaticString) {
        output.append(byte: UInt8(ascii: "+"))
        output.append(text)
        output.appendLineEnd()
    }

    /// A status whose text is made at run time; line ends in it become spaces, as they would end the reply.
    func simple(text: String) {
        output.append(byte: UInt8(ascii: "+"))
        let line = String(decoding: text.utf8.map { $0 == 13 || $0 == 10 ? 32 : $0 }, as: UTF8.self)
        output.append(text: line)
        output.appendLineEnd()
    }

    /// An error; line ends in the text become spaces, as they would end the reply.
    func error(_ error: CommandError) {
        output.append(byte: UInt8(ascii: "-"))
        let start = output.count
        if let bytes = error.bytes {
            bytes.withUnsafeBytes { if let base = $0.baseAddress { output.append(Bytes(base, $0.count)) } }
        } else {
            output.append(text: error.text)
        }
        // A buffer that overflowed meanwhile begins anew.
        if start > output.count { return }
        let text = output.base.assumingMemoryBound(to: UInt8.self)
        for i in start..<output.count where text[i] == 13 || text[i] == 10 { text[i] = 32 }
        output.appendLineEnd()
    }

    @inline(__always) func integer(_ value: Int64) { line(UInt8(ascii: ":"), value) }
    @inline(__always) func integer(_ value: Int) { line(UInt8(ascii: ":"), Int64(value)) }

    @inline(__always) func bulk(_ bytes: Bytes) {
        output.reserve(bytes.count &+ 32)
        line(UInt8(ascii: "$"), Int64(bytes.count))
        output.append(bytes)
        output.appendLineEnd()
    }
    func bulk(_ text: String) {
        line(UInt8(ascii: "$"), Int64(text.utf8.count))
        output.append(text: text)
        output.appendLineEnd()
    }
    func bulk(_ text: StaticString) { bulk(Bytes(text)) }
    /// An integer as a bulk string.
    func bulkDecimal(_ value: Int64) {
        withUnsafeTemporaryAllocation(byteCount: 20, alignment: 1) { scratch in
            guard let text = scratch.baseAddress else { return }
            bulk(Bytes(text, decimalDigits(of: value, into: text)))
        }
    }
    /// Text that redis-cli shows as it is: RESP3 only, else a bulk string. `format` has three letters.
    func verbatim(_ bytes: Bytes, _ format: StaticString) {
        guard resp3 else { return bulk(bytes) }
        line(UInt8(ascii: "="), Int64(bytes.count + 4))
        output.append(format)
        output.append(byte: UInt8(ascii: ":"))
        output.append(bytes)
        output.appendLineEnd()
    }

    /// No value: RESP2's null bulk string.
    @inline(__always) func null() { output.append(resp3 ? "_\r\n" : "$-1\r\n") }
    /// No value where there would be an array: RESP2 tells them apart.
    func nullArray() { output.append(resp3 ? "_\r\n" : "*-1\r\n") }

    func boolean(_ value: Bool) {
        if resp3 { output.append(value ? "#t\r\n" : "#f\r\n") } else { integer(value ? 1 : 0) }
    }

    /// A number: RESP2 has it as a bulk string.
    func double(_ value: Double) {
        withUnsafeTemporaryAllocation(byteCount: 32, alignment: 8) { scratch in
            guard let scratch = scratch.baseAddress else { return }
            let text = formatDouble(value, into: scratch)
            guard resp3 else { return bulk(text) }
            output.append(byte: UInt8(ascii: ","))
            output.append(text)
            output.appendLineEnd()
        }
    }

    // MARK: - Headers: what follows are that many replies

    @inline(__always) func array(_ count: Int) { line(UInt8(ascii: "*"), Int64(count)) }
    /// `pairs` keys, each followed by its value; RESP2 has them in one array.
    func map(_ pairs: Int) { if resp3 { line(UInt8(ascii: "%"), Int64(pairs)) } else { array(pairs * 2) } }
    func set(_ count: Int) { line(resp3 ? 0x7e : 0x2a, Int64(count)) }
    /// An out-of-band message, such as one of a subscription.
    func push(_ count: Int) { line(resp3 ? 0x3e : 0x2a, Int64(count)) }

    /// Where an array begins whose length is known only when it is written.
    struct Mark { fileprivate let offset: Int }

    func deferredArray() -> Mark { Mark(offset: output.count) }
    /// Puts the header of `count` elements where `deferredArray` was called; nothing before it may have been truncated.
    /// O(bytes written since): they move.
    func fill(_ mark: Mark, _ count: Int) { insertHeader(UInt8(ascii: "*"), mark, count) }
    /// As `fill`, for a map of `pairs`.
    func fillMap(_ mark: Mark, _ pairs: Int) {
        insertHeader(resp3 ? 0x25 : 0x2a, mark, resp3 ? pairs : pairs * 2)
    }

    private func insertHeader(_ type: UInt8, _ mark: Mark, _ count: Int) {
        let end = output.count
        let start = min(mark.offset, end)
        line(type, Int64(count))
        let length = output.count - end
        // The buffer overflowed meanwhile.
        if length <= 0 { return }
        // The header was appended; it changes places with the elements before it.
        withUnsafeTemporaryAllocation(byteCount: 32, alignment: 1) { header in
            guard let header = header.baseAddress else { return }
            memcpy(header, output.base + end, length)
            memmove(output.base + start + length, output.base + start, end - start)
            memcpy(output.base + start, header, length)
        }
    }

    @inline(__always) private func line(_ type: UInt8, _ value: Int64) {
        output.reserve(24)
        output.append(byte: type)
        output.append(decimal: value)
        output.appendLineEnd()
    }
}
