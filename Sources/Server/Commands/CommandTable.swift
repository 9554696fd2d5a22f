/// All commands: the groups' tables, joined. Made when it is asked for: a server keeps the rows in its entries.
enum CommandTable {
    static var all: [Command] {
        [
            StringCommands.table, ComparedStringCommands.table, BitCommands.table, BitfieldCommands.table,
            BitOperations.table, HyperLogLogCommands.table,
            GeoCommands.table, GeoSearch.table, CounterCommands.table, LCSCommand.table,
            KeyCommands.table, DumpCommands.table, MigrateCommand.table, ExpiryCommands.table, ScanCommands.table,
            SortCommands.table,
            ListCommands.table, ListMoveCommands.table, HashCommands.table, HashExpiryCommands.table,
            HashExpiringValueCommands.table, SetCommands.table, SetAlgebra.table,
            ZSetCommands.table, ZSetRangeCommands.table, ZSetPopCommands.table, ZSetAlgebra.table,
            StreamCommands.table, StreamReadCommands.table, StreamGroupCommands.table, StreamClaimCommands.table,
            StreamReferenceCommands.table, StreamInfoCommands.table,
            PubSubCommands.table, ScriptCommands.table, FunctionCommands.table,
            ConnectionCommands.table, TransactionCommands.table, CommandCommand.table,
            ACLCommands.table, ClusterCommands.table, AbsentCommands.table, ConfigCommands.table, ServerCommands.table,
            BackupCommands.table, ReplicationCommands.table, WaitCommands.table,
            SQLCommands.table,
            DebugCommands.table, DiagnosticCommands.table,
        ].flatMap { $0 }
    }

    static let names = Set(all.map { ByteString("\($0.name)") })
}
