import Storage

/// What a server answers, in RESP2.
enum Reply {
    case simple(String)
    case error(String)
    case integer(Int64)
    case bulk(OutputBuffer)
    case null
    case array([Reply])

    /// Of a simple or bulk string or an integer; for a few bytes.
    var text: String? {
        switch self {
        case .simple(let text): text
        case .bulk(let buffer): buffer.bytes.string
        case .integer(let number): String(number)
        case .error, .null, .array: nil
        }
    }
    var array: [Reply]? {
        if case .array(let elements) = self { return elements }
        return nil
    }
    var integer: Int64? {
        if case .integer(let number) = self { return number }
        return nil
    }
    /// What an error says.
    var failure: String? {
        if case .error(let text) = self { return text }
        return nil
    }
}

/// Reads replies from a wire. Nothing in them is trusted: memory is taken for what has come.
final class ReplyReader {
    private let wire: Wire
    private let input = OutputBuffer(capacity: 64 << 10)
    private var start = 0

    private static let longestLine = 64 << 10
    /// RESP nests so deep in no answer to what is asked here.
    private static let deepest = 8

    init(_ wire: Wire) { self.wire = wire }

    /// Whether bytes of another reply are here already.
    var hasMore: Bool { start < input.count }

    func next(depth: Int = 0) throws(RemoteError) -> Reply {
        let line = try line()
        guard let kind = line.first else { throw Self.foreign }
        let rest = line.dropFirst()
        switch kind {
        case UInt8(ascii: "+"): return .simple(String(decoding: rest, as: UTF8.self))
        case UInt8(ascii: "-"): return .error(String(decoding: rest, as: UTF8.self))
        case UInt8(ascii: ":"): return .integer(try Self.number(rest))
        case UInt8(ascii: "$"):
            let count = try Self.number(rest)
            return count < 0 ? .null : .bulk(try bulk(count))
        case UInt8(ascii: "*"):
            var count = try Self.number(rest)
            if count < 0 { return .null }
            if depth > Self.deepest { throw Self.foreign }
            var elements: [Reply] = []
            while count > 0 {
                count -= 1
                elements.append(try next(depth: depth + 1))
            }
            return .array(elements)
        default: throw Self.foreign
        }
    }

    private static var foreign: RemoteError {
        RemoteError("answers something that is not RESP: is it a Redis or Valkey?")
    }

    private static func number(_ digits: ArraySlice<UInt8>) throws(RemoteError) -> Int64 {
        guard let number = Int64(String(decoding: digits, as: UTF8.self)) else { throw foreign }
        return number
    }

    /// The next line without its end.
    func line() throws(RemoteError) -> [UInt8] {
        var searched = start
        while true {
            let unread = input.bytes[searched..<input.count].buffer
            if let end = unread.firstIndex(of: 10) {
                var line = input.bytes[start..<searched + end].array
                start = searched + end + 1
                if line.last == 13 { line.removeLast() }
                return line
            }
            searched = input.count
            if searched - start > Self.longestLine { throw Self.foreign }
            searched -= try fill()
        }
    }

    /// Waits for more; answers by how much the bytes here moved to the front.
    private func fill() throws(RemoteError) -> Int {
        let moved = start
        input.removeFirst(start)
        start = 0
        try wire.receive(into: input)
        return moved
    }

    private func bulk(_ count: Int64) throws(RemoteError) -> OutputBuffer {
        guard var missing = Int(exactly: count), missing < 1 << 40 else { throw Self.foreign }
        let buffer = OutputBuffer(capacity: min(missing, 1 << 20))
        // So that growing takes no more than the value does.
        buffer.limit = missing
        take(&missing, into: buffer)
        while missing > 0 {
            let before = buffer.count
            try wire.receive(into: buffer, atMost: missing)
            missing -= buffer.count - before
        }
        if try !line().isEmpty { throw Self.foreign }
        return buffer
    }

    private func take(_ missing: inout Int, into buffer: OutputBuffer) {
        let part = min(missing, input.count - start)
        buffer.append(input.bytes[start..<start + part])
        start += part
        missing -= part
    }

    /// Appends raw bytes that follow to `buffer`, at least one, at most `limit`.
    func bytes(into buffer: OutputBuffer, atMost limit: Int) throws(RemoteError) {
        var missing = limit
        if start < input.count { return take(&missing, into: buffer) }
        try wire.receive(into: buffer, atMost: limit)
    }
}
