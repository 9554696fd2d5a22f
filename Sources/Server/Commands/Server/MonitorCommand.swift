/// MONITOR: shows all that is executed.
enum MonitorCommand {
    static var row: Command {
        .admin(
            "monitor", 1, [.noscript, .loading, .stale], "1.0.0", "", "Streams every command that the server executes.",
            monitor
        ).complexity(nil)
    }

    @Sendable private static func monitor(_ c: AdminContext) throws(CommandError) {
        // In a transaction, as elsewhere where each command has one reply, there is no place for what follows.
        if !c.session.flags.isDisjoint(with: [.denyBlocking, .internal]) {
            throw CommandError("ERR MONITOR isn't allowed for DENY BLOCKING client")
        }
        // Who gets a stream already is not answered.
        if !c.session.flags.isDisjoint(with: [.replica, .monitor]) { return }
        c.services.monitors.add(c.session)
        c.reply.ok()
    }
}
