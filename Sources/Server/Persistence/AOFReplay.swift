import Storage

/// Executes the commands of Redis's append-only files through the rows that serve clients.
final class AOFReplay {
    private let server: Router
    private(set) var replayer: LogReplayer
    private var path = ""
    private(set) var commands = 0
    /// What FUNCTION commands did, in order.
    private var changes: [FunctionChange] = []

    private enum FunctionChange {
        case load(name: [UInt8], code: [UInt8])
        case delete(name: [UInt8])
        case flush
    }

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
        let name = arguments[0]
        if name.equals(ignoringCase: "function") {
            if take(function: arguments) { return }
            throw StorageError(
                file: path, offset: offset,
                message:
                    "FUNCTION \(arguments.count > 1 ? arguments[1].string : "") cannot be imported: let redis-server "
                    + "load the file and rewrite it (BGREWRITEAOF), or make an RDB file of it (SAVE)")
        }
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

    // MARK: - Functions, which the snapshot keeps

    private func take(function arguments: UnsafeBufferPointer<Bytes>) -> Bool {
        guard arguments.count > 1 else { return false }
        let last = arguments[arguments.count - 1]
        if arguments[1].equals(ignoringCase: "load"), arguments.count > 2 {
            guard let name = FunctionLibrary.name(in: last) else { return false }
            changes.append(.load(name: name.array, code: last.array))
        } else if arguments[1].equals(ignoringCase: "delete"), arguments.count == 3 {
            changes.append(.delete(name: last.array))
        } else if arguments[1].equals(ignoringCase: "flush") {
            changes.append(.flush)
        } else {
            return false
        }
        return true
    }

    /// All libraries, with those of the base in the snapshot `path`.
    func functions(in path: String?) throws(StorageError) -> [FunctionLibrary.Text] {
        var libraries: [[UInt8]: [UInt8]] = [:]
        if let path {
            for (name, code) in try FunctionLibrary.all(in: path) { libraries[name] = code }
        }
        for change in changes {
            switch change {
            case .load(let name, let code): libraries[name] = code
            case .delete(let name): libraries[name] = nil
            case .flush: libraries = [:]
            }
        }
        return libraries.map { ($0.key, $0.value) }
    }
}
