/// All commands: the groups' tables, joined.
enum CommandTable {
    static let all: [Command] =
        ConnectionCommands.table + TransactionCommands.table + CommandCommand.table
}
