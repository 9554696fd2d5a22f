import Glibc
import Storage

// Invariant of this file: memory is searched within the counts of what lends it.

/// Finds the end of the RDB in what a master sends after +FULLRESYNC: `$<length>` in decimal and so many bytes, or
/// `$EOF:<40 bytes>` and bytes up to the same 40 again. Empty lines may come before, as long as the master is not ready.
/// (https://redis.io/docs/latest/operate/oss_and_stack/management/replication/, and what redis-server sends)
struct FullSyncFraming {
    enum Extent: Equatable {
        /// Bytes of the RDB in all.
        case length(Int)
        /// Ends in front of this mark.
        case mark([UInt8])
    }
    /// What a piece of input is.
    enum Piece {
        /// Nothing of the RDB yet; an empty line that keeps the connection alive, or a part of the first line.
        case nothing
        /// The first line has come: the RDB follows.
        case begun(Extent)
        /// Bytes of the RDB.
        case payload(Bytes)
    }
    enum Failure: Error, Equatable {
        /// The master's error, without the "-".
        case refused([UInt8])
        /// Another first line than these.
        case badHeader([UInt8])
    }

    private(set) var extent: Extent?
    /// Bytes of the RDB that have come.
    private(set) var received = 0
    /// The RDB is whole: what follows is the stream.
    private(set) var isFinished = false
    private var line: [UInt8] = []
    /// The last bytes, fewer than the mark has: they may be its beginning, and are not told as payload yet.
    private var tail: [UInt8] = []
    private let told = OutputBuffer(capacity: 64)

    /// The first line, which needs about 50 bytes, or holds an error.
    static let longestLine = 1024
    static let markLength = 40
    private static let markPrefix = Array("EOF:".utf8)

    /// Takes the next piece off the front of `input`, which is not empty, and returns what it is, good until the next call;
    /// and how many bytes it took. Throws at what is no answer to PSYNC. O(bytes taken).
    mutating func next(_ input: Bytes) throws(Failure) -> (Piece, used: Int) {
        guard let extent else { return try header(input) }
        if isFinished { return (.nothing, 0) }
        switch extent {
        case .length(let length):
            let count = min(input.count, length - received)
            received += count
            isFinished = received == length
            return (.payload(input[0..<count]), count)
        case .mark(let mark): return untilMark(input, mark)
        }
    }

    private mutating func header(_ input: Bytes) throws(Failure) -> (Piece, used: Int) {
        guard let end = input.buffer.firstIndex(of: 10) else {
            line += input.buffer
            if line.count > Self.longestLine { throw .badHeader(line) }
            return (.nothing, input.count)
        }
        line += input.buffer[..<end]
        if line.count > Self.longestLine { throw .badHeader(line) }
        if line.last == 13 { line.removeLast() }
        defer { line = [] }
        guard let first = line.first else { return (.nothing, end + 1) }
        if first == UInt8(ascii: "-") { throw .refused(Array(line.dropFirst())) }
        guard first == UInt8(ascii: "$") else { throw .badHeader(line) }
        let rest = line.dropFirst()
        let found: Extent
        if rest.starts(with: Self.markPrefix) {
            let mark = Array(rest.dropFirst(Self.markPrefix.count))
            guard mark.count == Self.markLength else { throw .badHeader(line) }
            found = .mark(mark)
        } else {
            let length = Array(rest).withUnsafeBytes { $0.baseAddress.flatMap { Bytes($0, rest.count).integer } }
            guard let length, length >= 0 else { throw .badHeader(line) }
            found = .length(Int(length))
        }
        extent = found
        isFinished = found == .length(0)
        return (.begun(found), end + 1)
    }

    /// The mark is random, so that wherever it stands it is the end.
    private mutating func untilMark(_ input: Bytes, _ mark: [UInt8]) -> (Piece, used: Int) {
        told.removeAll(keepingAtMost: 128 << 10)
        tail.withUnsafeBytes { if let base = $0.baseAddress { told.append(Bytes(base, tail.count)) } }
        told.append(input)
        let kept = tail.count
        if let end = told.bytes.firstRange(of: mark) {
            tail = []
            isFinished = true
            received += end
            return (end == 0 ? .nothing : .payload(told.bytes[0..<end]), end + mark.count - kept)
        }
        // Its beginning may be there.
        let open = max(0, told.count - (mark.count - 1))
        tail = told.bytes[open..<told.count].array
        received += open
        return (open == 0 ? .nothing : .payload(told.bytes[0..<open]), input.count)
    }
}

extension Bytes {
    /// Where `part`, which is not empty, begins first. O(n).
    fileprivate func firstRange(of part: [UInt8]) -> Int? {
        part.withUnsafeBytes { part -> Int? in
            guard let first = part.first, let start = part.baseAddress else { return nil }
            var at = 0
            while count - at >= part.count, let found = memchr(base + at, Int32(first), count - part.count + 1 - at) {
                at = UnsafeRawPointer(found) - base
                if memcmp(found, start, part.count) == 0 { return at }
                at += 1
            }
            return nil
        }
    }
}
