import Storage

/// CLIENT PAUSE and what must hold writes up for a while: until its end, commands (or writes) are put off; their clients
/// keep their input.
struct Pause {
    /// Of CLIENT PAUSE, in milliseconds since 1970; 0: no pause.
    private(set) var end: Int64 = 0
    private var holdsAll = false
    /// How many hold writes up, besides CLIENT PAUSE.
    private var holds = 0
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
        holdsAll = holdsAll || all
        updateGuards(server)
    }
    mutating func endIfDue(_ server: Server) {
        if end != 0 && server.keyspace.now >= end { finish(server) }
    }
    mutating func finish(_ server: Server) {
        end = 0
        holdsAll = false
        resume(server)
    }

    /// Writes wait until `release`.
    mutating func hold(_ server: Server) {
        holds += 1
        updateGuards(server)
    }
    mutating func release(_ server: Server) {
        holds -= 1
        resume(server)
    }

    private func updateGuards(_ server: Server) {
        server.guards.subtract(.paused)
        if end != 0 { server.guards.insert(holdsAll ? .pausedAll : .pausedWrites) }
        if holds > 0 { server.guards.insert(.pausedWrites) }
    }

    /// Everybody tries again: whose command is still held up is put off anew.
    private mutating func resume(_ server: Server) {
        updateGuards(server)
        for client in waiting {
            client.flags.remove(.blocked)
            client.transport?.scheduleResume()
        }
        waiting.removeAll()
    }
}
