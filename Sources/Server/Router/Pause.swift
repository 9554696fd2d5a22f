import Storage

/// CLIENT PAUSE: until its end, commands (or writes) are put off; their clients keep their input.
struct Pause {
    /// Milliseconds since 1970; 0: no pause.
    private(set) var end: Int64 = 0
    private var waiting: [Client] = []
    var waitingCount: Int { waiting.count }

    mutating func put(off client: Client) {
        client.flags.insert(.blocked)
        waiting.append(client)
    }
    mutating func remove(_ client: Client) { waiting.removeAll { $0 === client } }

    /// A longer pause or one of more commands wins over the one in force.
    mutating func begin(until time: Int64, all: Bool, _ server: Server) {
        end = max(end, time)
        server.guards.insert(all ? .pausedAll : .pausedWrites)
    }
    mutating func endIfDue(_ server: Server) {
        if end != 0 && server.keyspace.now >= end { finish(server) }
    }
    mutating func finish(_ server: Server) {
        end = 0
        server.guards.subtract(.paused)
        for client in waiting {
            client.flags.remove(.blocked)
            client.transport?.scheduleResume()
        }
        waiting.removeAll()
    }
}
