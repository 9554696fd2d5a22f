import Glibc
import Storage

// Invariant of this file: bytes are read only at offsets below the `count` of the input; what is kept between
// calls are offsets from the start of the incomplete request, never pointers.

/// What a client did wrong; the connection ends after the reply.
enum ProtocolError: Error, Equatable {
    case invalidMultibulkLength, invalidBulkLength, bigMultibulkCount, bigBulkCount, bigInline, unbalancedQuotes
    case unauthenticatedMultibulkLength, unauthenticatedBulkLength
    case expectedDollar(UInt8)

    var text: StaticString {
        switch self {
        case .invalidMultibulkLength: "invalid multibulk length"
        case .invalidBulkLength: "invalid bulk length"
        case .bigMultibulkCount: "too big mbulk count string"
        case .bigBulkCount: "too big bulk count string"
        case .bigInline: "too big inline request"
        case .unbalancedQuotes: "unbalanced quotes in request"
        case .unauthenticatedMultibulkLength: "unauthenticated multibulk length"
        case .unauthenticatedBulkLength: "unauthenticated bulk length"
        case .expectedDollar: "expected '$', got '"
        }
    }

    /// The error reply. The byte that a client sent instead of "$" goes back as it came, whatever it is.
    func write(to reply: ReplyWriter) {
        reply.output.append("-ERR Protocol error: ")
        reply.output.append(text)
        if case .expectedDollar(let byte) = self {
            reply.output.append(byte: byte == 13 || byte == 10 ? 32 : byte)
            reply.output.append("'")
        }
        reply.output.appendLineEnd()
    }
}

/// Takes the requests out of a connection's input, in place. When the input ends within a request, the parser keeps
/// how far it came, and goes on from there when it is called again with the same request's bytes and more: each byte
/// is looked at once, however it arrives.
struct RequestParser {
    /// The longest inline request, and the longest line with a count.
    static let maximumLine = 64 << 10
    /// Arguments of one request.
    static let maximumArguments = Int(Int32.max)
    /// CR LF as it lies in memory.
    private static let lineEnd = UInt16(littleEndian: 0x0a0d)
    /// Arguments of a request, and bytes of each, before the client has said who it is: memory is not for strangers.
    static let unauthenticatedArguments = 10
    static let unauthenticatedBulk = 16 << 10

    enum Outcome {
        /// A request was added to the batch; `consumed` bytes were used up in all.
        case request
        /// The next request can be taken only when the batch was executed.
        case batchFull
        case incomplete
    }

    /// Arguments still to come of the request; 0: none has begun.
    private var remaining = 0
    /// Length of the bulk string; -1: its line is still to come.
    private var bulkLength = -1
    /// Offset from the start of the request: all before it is parsed.
    private var cursor = 0
    /// Bytes of the request under way up to the end of the argument that is being received, where that is known; else 0.
    var expectedLength: Int { bulkLength < 0 ? 0 : cursor + bulkLength + 2 }
    /// Bytes of the request that stand before an argument that is being received, where that is so large that Redis would have
    /// taken them out of the client's buffer.
    var lengthBeforeLargeArgument: Int { bulkLength >= Self.largeArgument ? cursor : 0 }
    private static let largeArgument = 32 << 10
    /// Offset up to which the line has no end.
    private var scanned = 0
    /// The arguments before `cursor`, once the request did not come in one piece.
    private var found: [(offset: Int, count: Int)] = []
    /// The request so far is what `RESPEncoder` would make of its arguments: plain numbers, CR LF everywhere.
    private var isCanonical = true

    init() {}

    /// Takes requests from `input` on, from `position`, until the batch is full or a request is not complete, and
    /// moves `position` behind what is used up. `maximumBulk`: `proto-max-bulk-len`; `isAuthenticated`: the narrower
    /// bounds do not hold. Throws at what is no request, after which the connection is of no use.
    @inline(__always)
    mutating func next(
        _ input: Bytes, _ position: inout Int, _ batch: RequestBatch, maximumBulk: Int, isAuthenticated: Bool = true
    ) throws(ProtocolError) -> Outcome {
        if batch.isFull { return .batchFull }
        let p = input.base.assumingMemoryBound(to: UInt8.self)
        while true {
            if position >= input.count { return .incomplete }
            if remaining == 0 && p[position] != UInt8(ascii: "*") {
                // Unquoted arguments of one inline request at a time have a place.
                if batch.count > 0 { return .batchFull }
                switch try inline(input, &position, batch) {
                case .request: return .request
                case .incomplete: return .incomplete
                case .batchFull, nil: continue
                }
            }
            switch try multibulk(p + position, input.count - position, &position, batch, maximumBulk, isAuthenticated) {
            case .request: return .request
            case .incomplete: return .incomplete
            case .batchFull, nil: continue
            }
        }
    }

    // MARK: - Arrays

    /// nil: an empty array, which is no request.
    @inline(__always)
    private mutating func multibulk(
        _ p: UnsafePointer<UInt8>, _ count: Int, _ position: inout Int, _ batch: RequestBatch, _ maximumBulk: Int,
        _ isAuthenticated: Bool
    ) throws(ProtocolError) -> Outcome? {
        let isResumed = remaining > 0
        if !isResumed { isCanonical = true }
        let firstArgument = batch.argumentCount
        if !isResumed {
            guard let length = try number(p, count, from: 1, tooLong: .bigMultibulkCount, bad: .invalidMultibulkLength)
            else { return .incomplete }
            guard length <= Self.maximumArguments else { throw .invalidMultibulkLength }
            if length > Self.unauthenticatedArguments && !isAuthenticated { throw .unauthenticatedMultibulkLength }
            if length <= 0 {
                position += cursor
                cursor = 0
                return nil
            }
            remaining = length
        }
        while remaining > 0 {
            if bulkLength < 0 {
                guard cursor < count else { break }
                if p[cursor] != UInt8(ascii: "$") {
                    // Redis looks at it when the line is there.
                    guard try hasLine(p, count) else { break }
                    throw .expectedDollar(p[cursor])
                }
                guard
                    let length = try number(
                        p, count, from: cursor &+ 1, tooLong: .bigBulkCount, bad: .invalidBulkLength)
                else { break }
                guard length >= 0 && length <= maximumBulk else { throw .invalidBulkLength }
                if length > Self.unauthenticatedBulk && !isAuthenticated { throw .unauthenticatedBulkLength }
                bulkLength = length
            }
            // The two bytes behind are the line end. Redis does not check what they are, but its log's reader and ours do.
            guard bulkLength <= count &- cursor &- 2 else { break }
            let end = UnsafeRawPointer(p + cursor + bulkLength).loadUnaligned(as: UInt16.self)
            if end != Self.lineEnd { isCanonical = false }
            if isResumed {
                found.append((cursor, bulkLength))
            } else {
                batch.append(Bytes(p + cursor, bulkLength))
            }
            cursor &+= bulkLength &+ 2
            bulkLength = -1
            remaining &-= 1
        }
        if remaining > 0 {
            if !isResumed { keepArguments(UnsafeRawPointer(p), firstArgument, batch) }
            return .incomplete
        }
        if isResumed {
            for argument in found { batch.append(Bytes(p + argument.offset, argument.count)) }
            found.removeAll(keepingCapacity: found.capacity <= 64)
        }
        batch.endRequest(firstArgument: firstArgument, offset: position, length: cursor, isCanonical: isCanonical)
        position &+= cursor
        cursor = 0
        return .request
    }

    /// The number on the line that begins at `start`; moves `cursor` behind the line. nil when the line has not come
    /// in whole.
    @inline(__always)
    private mutating func number(
        _ p: UnsafePointer<UInt8>, _ count: Int, from start: Int, tooLong: ProtocolError, bad: ProtocolError
    ) throws(ProtocolError) -> Int? {
        // Nearly every line is a few digits and complete.
        var i = start
        var value = 0
        while i < count && i &- start < 10 {
            let digit = p[i] &- 48
            if digit > 9 { break }
            value = value &* 10 &+ Int(digit)
            i &+= 1
        }
        if i > start, i &+ 1 < count, p[i] == 13, p[i &+ 1] == 10, p[start] != 48 || i == start &+ 1 {
            cursor = i &+ 2
            scanned = 0
            return value
        }
        return try slowNumber(p, count, from: start, tooLong: tooLong, bad: bad)
    }

    @inline(never)
    private mutating func slowNumber(
        _ p: UnsafePointer<UInt8>, _ count: Int, from start: Int, tooLong: ProtocolError, bad: ProtocolError
    ) throws(ProtocolError) -> Int? {
        let from = max(start, scanned)
        // To Redis, input is a C string here too.
        guard from < count, let hit = memchr(p + from, 13, count - from),
            memchr(p + start, 0, UnsafeRawPointer(hit) - UnsafeRawPointer(p + start)) == nil
        else {
            if count - start > Self.maximumLine { throw tooLong }
            scanned = from < count && memchr(p + start, 0, count - start) != nil ? start : max(count, start)
            return nil
        }
        let end = UnsafeRawPointer(hit) - UnsafeRawPointer(p)
        guard end + 1 < count else {
            scanned = end
            return nil
        }
        guard let value = Bytes(p + start, end - start).integer else { throw bad }
        isCanonical = false
        cursor = end + 2
        scanned = 0
        return Int(value)
    }

    private mutating func keepArguments(_ p: UnsafeRawPointer, _ first: Int, _ batch: RequestBatch) {
        for i in first..<batch.argumentCount {
            let argument = batch.argument(i)
            found.append((argument.base - p, argument.count))
        }
        batch.truncateArguments(to: first)
    }

    /// Whether the line at `cursor` has its end, as C strings see it.
    @inline(never)
    private func hasLine(_ p: UnsafePointer<UInt8>, _ count: Int) throws(ProtocolError) -> Bool {
        if let hit = memchr(p + cursor, 13, count - cursor) {
            let length = UnsafeRawPointer(hit) - UnsafeRawPointer(p + cursor)
            if memchr(p + cursor, 0, length) == nil { return true }
        }
        if count - cursor > Self.maximumLine { throw .bigBulkCount }
        return false
    }

    // MARK: - Inline

    /// nil: an empty line, which is no request.
    @inline(never)
    private mutating func inline(
        _ input: Bytes, _ position: inout Int, _ batch: RequestBatch
    ) throws(ProtocolError) -> Outcome? {
        let rest = input[position..<input.count]
        // To Redis, input is a C string here: a line does not end behind a zero byte.
        guard scanned < rest.count, let hit = memchr(rest.base + scanned, 10, rest.count - scanned),
            memchr(rest.base, 0, UnsafeRawPointer(hit) - rest.base) == nil
        else {
            if rest.count > Self.maximumLine { throw .bigInline }
            scanned = memchr(rest.base, 0, rest.count) == nil ? rest.count : 0
            return .incomplete
        }
        let lineEnd = UnsafeRawPointer(hit) - rest.base
        scanned = 0
        var line = rest[0..<lineEnd]
        if line.count > 0, line[line.count - 1] == 13 { line = line[0..<line.count - 1] }
        batch.unquoted.removeAll(keepingAtMost: Self.maximumLine)
        // Unquoting never makes anything longer, so the place does not move while arguments point into it.
        batch.unquoted.reserve(line.count)
        let first = batch.argumentCount
        guard InlineRequest.split(line, batch.unquoted, { batch.append($0) }) else { throw .unbalancedQuotes }
        let start = position
        position += lineEnd + 1
        if batch.argumentCount == first { return nil }
        batch.endRequest(firstArgument: first, offset: start, length: lineEnd + 1, isCanonical: false)
        return .request
    }
}
