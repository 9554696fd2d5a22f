/// Whose data a snapshot holds, and as of which checkpoint: two files that differ in it hold different data.
public struct SnapshotIdentity: Equatable, Sendable {
    public var server: String
    public var checkpoint: Int64

    public init(server: String, checkpoint: Int64) {
        self.server = server
        self.checkpoint = checkpoint
    }
}
