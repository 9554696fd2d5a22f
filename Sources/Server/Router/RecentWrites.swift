import Storage

/// Which offsets of the log writes have, by the keys that they wrote, so that a read waits only for what it may show.
/// Keys share places by their hash, in all databases: a read may wait for another key's write, never too short.
///
/// A key that expires is not noted: it would expire again if its DEL were lost.
struct RecentWrites {
    /// Each key of 8,000 that are being written holds back 1 read of 8,192 others.
    private static var places: Int { StructureSizes.size(8192, small: 4) }
    /// Empty until needed.
    private var offsets: [Int] = []
    /// Of the last write whose keys only the arguments or the data tell.
    private var elsewhere = 0

    /// A command was logged that wrote to `keys` of `args`; the stream stands at `offset`.
    mutating func note(_ keys: CommandKeys, _ args: Arguments, at offset: Int) {
        guard keys.areAllFound, keys.forEach(args, { _, _ in }) else { return noteAny(at: offset) }
        if offsets.isEmpty { offsets = Array(repeating: 0, count: Self.places) }
        keys.forEach(args) { if $1.writes { offsets[Self.place(args[$0])] = offset } }
    }
    /// Something was logged that may have written to any key.
    mutating func noteAny(at offset: Int) { elsewhere = offset }

    /// Up to where the log, which stands at `end`, must be safe before the reply of `command`, which wrote nothing, may
    /// leave. O(keys).
    func offset(shownBy command: CommandEntry, _ args: Arguments, end: Int) -> Int {
        switch command.row.handler {
        // What speaks of the server and the connection shows no data.
        case .connection, .container, .help: return 0
        case .admin: if !command.flags.contains(.showsData) { return 0 }
        case .read, .readCaching, .write: break
        }
        guard command.row.keys.areAllFound else { return end }
        var latest = elsewhere
        if offsets.isEmpty { return latest }
        command.row.keys.forEach(args) { index, _ in latest = max(latest, offsets[Self.place(args[index])]) }
        return latest
    }

    private static func place(_ key: Bytes) -> Int { Int(truncatingIfNeeded: Hashing.hash(key)) & (places - 1) }
}
