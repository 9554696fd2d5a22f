/// What holds for a stream as a whole.
public struct StreamState: Equatable, Sendable {
    /// The greatest id ever.
    public var lastID = StreamID.zero
    /// The greatest id that XDEL has removed.
    public var maxDeletedID = StreamID.zero
    /// Entries ever added.
    public var entriesAdded: Int64 = 0

    public init() {}

    /// As `StreamView.entriesAdded(upTo:)`, of a stream of `count` entries that begins at `firstID`.
    func entriesAdded(upTo id: StreamID, count: Int, firstID: StreamID) -> Int64? {
        if entriesAdded == 0 { return 0 }
        if count == 0 && id <= lastID { return entriesAdded }
        if id == lastID { return entriesAdded }
        if id > lastID { return nil }
        if maxDeletedID == .zero || maxDeletedID < firstID {
            if id < firstID { return entriesAdded - Int64(count) }
            if id == firstID { return entriesAdded - Int64(count) + 1 }
        }
        return nil
    }
}
