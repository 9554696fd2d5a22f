enum TransactionCommands {
    static let table: [Command] = []
}
