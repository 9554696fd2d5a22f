import Storage

/// A command in a server's table: its row, and what is derived from it once.
final class CommandEntry {
    let row: Command
    /// Lower case; `container|name` for a subcommand.
    let fullName: String
    /// The container, of a subcommand.
    unowned(unsafe) let container: CommandEntry?
    private(set) var subcommands: CommandIndex?
    let refusedBy: Guards
    let flags: CommandFlags
    let arity: Int
    /// What it changes is propagated.
    let propagates: Bool
    /// Clients call it, or its container, by another name than the log does.
    let isRenamed: Bool

    /// The number under which `Statistics` counts it.
    let statistics: Int
    /// Its number in the catalog that users' rules are about.
    let permission: Int

    init(
        _ row: Command, _ statistics: Statistics, _ catalog: CommandCatalog, container: CommandEntry? = nil,
        isRenamed: Bool = false
    ) {
        self.row = row
        self.container = container
        fullName = container.map { "\($0.fullName)|\(row.name)" } ?? "\(row.name)"
        self.statistics = statistics.register(fullName)
        permission = catalog.find(ByteString(fullName))?.number ?? 0
        self.isRenamed = isRenamed
        flags = row.flags
        arity = row.arity
        switch row.handler {
        case .write, .readCaching: propagates = true
        case .read, .connection, .admin, .container, .help: propagates = false
        }
        refusedBy = Guards(refusing: row.flags)
        if !row.subcommands.isEmpty {
            subcommands = CommandIndex(
                row.subcommands.map { CommandEntry($0, statistics, catalog, container: self, isRenamed: isRenamed) })
        }
    }

    /// The arguments as they may be shown, in the slow log for one: secrets are replaced.
    func shown(_ args: Arguments) -> [Bytes] {
        var shown = (0..<args.count).map { args[$0] }
        row.secrets?(args) { shown[$0] = Bytes("(redacted)") }
        return shown
    }

    @inline(__always) func accepts(argumentCount count: Int) -> Bool { arity >= 0 ? count == arity : count >= -arity }
}
