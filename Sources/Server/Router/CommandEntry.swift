import Storage

/// A command in a server's table: its row, what is derived from it once, and what was counted.
final class CommandEntry {
    let row: Command
    /// Lower case; `container|name` for a subcommand.
    let fullName: String
    /// The container, of a subcommand.
    unowned(unsafe) let container: CommandEntry?
    private(set) var subcommands: CommandIndex?
    let refusedBy: Guards
    let kind: Kind
    let flags: CommandFlags
    let arity: Int
    /// Index of the first key, for prefetching; 0: none, or only the arguments tell.
    let firstKey: Int

    /// Commands that the router itself must tell apart.
    enum Kind: UInt8 { case ordinary, exec, discard, multi, watch, quit, reset, ping, subscription }

    var calls = 0
    var nanoseconds: UInt64 = 0
    var histogram = LatencyHistogram()
    /// Refused before execution, and failed while executed.
    var rejected = 0
    var failed = 0

    init(_ row: Command, container: CommandEntry? = nil) {
        self.row = row
        self.container = container
        fullName = container.map { "\($0.fullName)|\(row.name)" } ?? "\(row.name)"
        flags = row.flags
        arity = row.arity
        refusedBy = Guards(refusing: row.flags)
        firstKey = row.keys.positions.first
        kind = container == nil ? Self.kind(row.name) : .ordinary
        if !row.subcommands.isEmpty {
            subcommands = CommandIndex(row.subcommands.map { CommandEntry($0, container: self) })
        }
    }

    private static func kind(_ name: StaticString) -> Kind {
        switch "\(name)" {
        case "exec": .exec
        case "discard": .discard
        case "multi": .multi
        case "watch": .watch
        case "quit": .quit
        case "reset": .reset
        case "ping": .ping
        case "subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ssubscribe", "sunsubscribe": .subscription
        default: .ordinary
        }
    }

    @inline(__always) func accepts(argumentCount count: Int) -> Bool { arity >= 0 ? count == arity : count >= -arity }

    func resetStatistics() {
        calls = 0
        nanoseconds = 0
        histogram = LatencyHistogram()
        rejected = 0
        failed = 0
        subcommands?.entries.forEach { $0.resetStatistics() }
    }
}
