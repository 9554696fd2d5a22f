import Storage

// Invariant of this file: what `read` copies lies in `held`, in front of its last `mark.count` bytes unless those were looked at.

/// The RDB data that a server sends to one that wants to follow it, as it comes: a copy of one moment of its data, with an
/// offset in its stream of changes. https://redis.io/docs/latest/operate/oss_and_stack/management/replication/
final class ReplicaStream: ByteSource {
    let name: String
    /// The history, and the place in it, that the data is of.
    private(set) var replicationID = ""
    private(set) var offset: Int64 = 0

    private let connection: RemoteConnection
    /// Bytes to come; nil: until `mark`.
    private var left: Int64?
    /// 40 bytes that follow the data where its length is not said before.
    private var mark: [UInt8] = []
    private let held = OutputBuffer(capacity: 64 << 10)
    private var position = 0
    private var hasEnded = false

    private static let blockSize = 256 << 10
    private static let markSize = 40

    /// Asks for a full synchronisation, and waits until its first byte may be read. Throws where the server sends none.
    init(_ connection: RemoteConnection) throws(RemoteError) {
        self.connection = connection
        name = "\(connection.access.endpoint)"
        // Data without a length before it, ended by a mark; fields that expire, which Swiftlet and Valkey 9 send to who knows them;
        // no changes behind the data (7.0). A server that does not know one of these refuses it, and does without.
        _ = try connection.call(["REPLCONF", "capa", "eof", "capa", "psync2", "capa", "swiftlet"])
        _ = try connection.call(["REPLCONF", "version", "9.0.0"])
        _ = try connection.call(["REPLCONF", "rdb-only", "1"])
        let request = OutputBuffer()
        RequestEncoder.command(["PSYNC", "?", "-1"], to: request)
        try connection.wire.send(request.bytes)
        let answer = try line()
        let words = answer.split(separator: " ")
        guard words.count == 3, words[0] == "+FULLRESYNC", let offset = Int64(words[2]) else {
            throw RemoteError("PSYNC: \(answer.drop { $0 == "-" }): --scan reads without it")
        }
        replicationID = String(words[1])
        self.offset = offset
        try readLength()
    }

    private func readLength() throws(RemoteError) {
        let length = try line()
        if length.hasPrefix("$EOF:"), length.utf8.count == Self.markSize + 5 {
            mark = Array(length.utf8.dropFirst(5))
            return
        }
        guard length.hasPrefix("$"), let count = Int64(length.dropFirst()), count >= 0 else {
            throw RemoteError("PSYNC: \"\(length)\" is no length of a synchronisation")
        }
        left = count
    }

    /// The next line that says something: a server that is not ready yet sends empty ones.
    private func line() throws(RemoteError) -> String {
        while true {
            let line = try connection.replies.line()
            if !line.isEmpty { return String(decoding: line, as: UTF8.self) }
        }
    }

    func read(into target: UnsafeMutableRawPointer, _ count: Int) throws(StorageError) -> Int {
        while true {
            let free = hasEnded ? held.count - position : max(0, held.count - position - mark.count)
            if free > 0 {
                let taken = min(free, count)
                target.copyMemory(from: held.bytes.base + position, byteCount: taken)
                position += taken
                return taken
            }
            if hasEnded { return 0 }
            do throws(RemoteError) { try receive() } catch { throw error.asStorageError(connection.access.endpoint) }
        }
    }

    private func receive() throws(RemoteError) {
        held.removeFirst(position)
        position = 0
        if let left {
            if left > 0 { try connection.replies.bytes(into: held, atMost: Int(min(left, Int64(Self.blockSize)))) }
            self.left = left - Int64(held.count)
            hasEnded = self.left == 0
            return
        }
        try connection.replies.bytes(into: held, atMost: Self.blockSize)
        let end = held.count - mark.count
        if end >= 0, mark.lend({ held.bytes[end..<held.count] == $0 }) {
            held.truncate(to: end)
            hasEnded = true
        }
    }
}
