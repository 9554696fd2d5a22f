/// The connection behind a session, as seen by the layers above the network. The network's subclass does the work; the
/// methods here do nothing, for sessions without a connection.
class Transport {
    /// Has what was written to the session's output sent at the end of this turn.
    func scheduleFlush() {}
    /// As `scheduleFlush`, for messages that the client did not ask for: they may wait for other work, though not for long.
    func schedulePushes() {}
    /// Ends the connection without sending what is left.
    func close() {}
    /// Executes the input that was kept while the session was blocked; called at the end of a turn.
    func scheduleResume() {}
    /// Looks in the next turn for what has come in meanwhile, of which no event will tell any more.
    func scheduleReceive() {}
    var descriptor: Int { -1 }
    init() {}
}
