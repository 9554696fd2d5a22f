import Storage

/// The last commands that took long, newest last: a ring of `slowlog-max-len`. Confined to the loop.
final class Slowlog {
    struct Entry {
        let id: Int64
        /// Seconds since 1970.
        let time: Int64
        let microseconds: Int64
        let arguments: [[UInt8]]
        let address: String
        let client: String
    }

    /// Longer commands are shown with their first arguments and how many more there were, long arguments with their
    /// first bytes: an entry must not hold a value of a gigabyte.
    private static let maximumArguments = 32
    private static let maximumArgumentBytes = 128

    private(set) var entries: [Entry] = []
    private var nextID: Int64 = 0
    /// Entries kept; the oldest go first.
    var capacity = 128 {
        didSet { trim() }
    }

    /// Notes a command. The caller has compared with `slowlog-log-slower-than`.
    func add(_ arguments: [Bytes], microseconds: Int64, seconds: Int64, address: String, client: String) {
        entries.append(
            Entry(
                id: nextID, time: seconds, microseconds: microseconds, arguments: Self.shortened(arguments),
                address: address, client: client))
        nextID += 1
        trim()
    }

    func removeAll() { entries.removeAll() }

    private func trim() {
        let excess = entries.count - max(0, capacity)
        if excess > 0 { entries.removeFirst(excess) }
    }

    private static func shortened(_ arguments: [Bytes]) -> [[UInt8]] {
        let whole = arguments.count <= maximumArguments
        var copies = arguments.prefix(whole ? maximumArguments : maximumArguments - 1).map(shortened)
        if !whole { copies.append(Array("... (\(arguments.count - maximumArguments + 1) more arguments)".utf8)) }
        return copies
    }

    private static func shortened(_ argument: Bytes) -> [UInt8] {
        if argument.count <= maximumArgumentBytes { return argument.array }
        let rest = argument.count - maximumArgumentBytes
        return argument[0..<maximumArgumentBytes].array + Array("... (\(rest) more bytes)".utf8)
    }
}
