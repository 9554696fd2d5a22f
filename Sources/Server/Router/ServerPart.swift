import Storage

/// A part of the server that takes part in the router's turns. The router tells all parts, in the order in which they were
/// added, on the loop; it does not keep them alive.
protocol ServerPart: AnyObject {
    /// The commands of a turn were executed, and their replies are about to leave.
    func turnEnded()
    /// Another thread woke the loop: `acknowledgedOffset` is to be brought up to date, or other work to be continued.
    func woken()
    /// `hz` times a second, after the router's own periodic work.
    func cron()
    /// The keyspace was loaded from the snapshot at `path`. Throwing says that the part cannot use what is there.
    func dataLoaded(from path: String) throws(StorageError)
    /// A setting changed, and `settings` has the new value. Throwing refuses the change, which is undone.
    func settingsChanged(_ effect: SettingEffect, _ settings: Settings, old: Settings) throws(SettingError)
    /// RESET: what the part holds for the client goes.
    func sessionReset(_ session: Session)
    /// A connection is gone.
    func sessionEnded(_ session: Session)
    /// All that waited on a replica's connection has left.
    func chunksSent(_ session: Session)
    /// Whether the end of the process should wait a while for this part.
    var delaysShutdown: Bool { get }
    /// The process ends.
    func shutdownBegins()
    /// SIGTERM or SIGINT came. True: this part ends the process, or says why it goes on.
    func signalled(_ signal: Int32) -> Bool
    /// How far the server is, in words and variables that a service manager understands.
    func reported(_ progress: String)
}

extension ServerPart {
    func turnEnded() {}
    func woken() {}
    func cron() {}
    func dataLoaded(from path: String) throws(StorageError) {}
    func settingsChanged(_ effect: SettingEffect, _ settings: Settings, old: Settings) throws(SettingError) {}
    func sessionReset(_ session: Session) {}
    func sessionEnded(_ session: Session) {}
    func chunksSent(_ session: Session) {}
    var delaysShutdown: Bool { false }
    func shutdownBegins() {}
    func signalled(_ signal: Int32) -> Bool { false }
    func reported(_ progress: String) {}
}

/// What the router and its parts need of the loop.
protocol LoopControl: AnyObject {
    /// Ends listening, and removes the file of a Unix socket.
    func closeListeners()
    /// What replies wait for has changed, not only how far it is: all are looked at again at the end of this turn.
    func acknowledgedAnew()
    /// A turn within other work, waiting so many milliseconds for something to happen.
    func turn(waiting milliseconds: Int32)
    /// Before the first turn within the execution of a command.
    func beginNesting()
    /// A turn within the execution of a command of `client`'s, if it has one: others are heard and answered, and nothing else is
    /// done.
    func turn(besides client: Transport?)
}

extension Router {
    func add(_ part: any ServerPart) { parts.append(Part(part: part)) }

    /// Tells all parts how far the server is.
    func report(_ progress: String) { for place in parts { place.part.reported(progress) } }

    /// Tells all parts that the keyspace was loaded. Throws what the first of them has against it.
    func dataLoaded(from path: String) throws(StorageError) {
        for place in parts { try place.part.dataLoaded(from: path) }
    }

    struct Part { unowned(unsafe) let part: any ServerPart }
}
