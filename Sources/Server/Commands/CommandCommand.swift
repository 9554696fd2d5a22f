enum CommandCommand {
    static let table: [Command] = []
}
