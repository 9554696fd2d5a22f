enum ConnectionCommands {
    static let table: [Command] = []
}
