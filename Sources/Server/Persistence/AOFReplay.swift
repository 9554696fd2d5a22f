import Storage

/// Executes the commands of Redis's append-only files through the rows that serve clients.
final class AOFReplay {
    private let server: Router
    private(set) var replayer: LogReplayer
    private var path = ""
    private(set) var commands = 0
    private unowned let persistence: PersistenceControl

    init(_ server: Router, _ persistence: PersistenceControl) {
        self.server = server
        self.persistence = persistence
        replayer = LogReplayer(server, persistence)
    }

    /// The next file begins: as in redis-server, in database 0.
    func begin(_ path: String) {
        self.path = path
        replayer = LogReplayer(server, persistence)
    }

    /// The last file has ended.
    func end() { replayer.end() }

    /// `offset`: of the command in the file.
    func apply(_ arguments: UnsafeBufferPointer<Bytes>, _ offset: Int64) throws(StorageError) {
        commands += 1
        // In files that were written by hand or by old servers, relative times count from now, as in redis-server. For all
        // other commands the clock stands at 0, so that nothing expires.
        let command = arguments.baseAddress.flatMap { server.services.loggedCommand(Arguments($0, arguments.count)) }
        let isRelative = command?.flags.contains(.relativeTimes) == true
        if isRelative { server.keyspace.now = wallClockMilliseconds() }
        defer { if isRelative { server.keyspace.now = 0 } }
        do throws(StorageError) {
            try replayer.apply(arguments)
        } catch {
            throw StorageError(
                file: path, offset: offset,
                message:
                    "\(error.message). Let redis-server load the file and make an RDB file of it (SAVE), and move the "
                    + "append-only files away; or take this command out of a copy")
        }
    }
}
