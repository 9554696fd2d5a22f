import Storage

/// What servers say to each other, and what clients ask of their master's role.
enum ReplicationCommands {
    static var table: [Command] {
        CommandGroup.server.rows([
            .admin(
                "sync", 1, [.noscript, .noAsyncLoading, .noMulti, .beginsReplication], "1.0.0", "",
                "Makes the connection a replica's: sends all data, and then what changes.", synchronize
            ).complexity(nil),
            .admin(
                "psync", -3, [.noscript, .noAsyncLoading, .noMulti, .beginsReplication], "2.8.0",
                "replicationid offset:i",
                "Makes the connection a replica's: sends what it has missed, or all data, and then what changes.",
                synchronize
            ).complexity(nil),
            .admin(
                "replconf", -1, [.noscript, .loading, .stale, .allowBusy, .configuresReplication], "3.0.0", "",
                "Configures the connection of a replica.", replconf
            ).systemCommand(),
            .connection(
                "role", 1, [.noscript, .loading, .stale, .fast], "2.8.12", "",
                "Describes the server's role in replication.", role
            ).categories([.admin, .dangerous]),
            .admin(
                "failover", -1, [.noscript, .stale], "6.2.0",
                "[TO target{host port:i [FORCE]}] [ABORT] [TIMEOUT milliseconds:i]",
                "Promotes a replica in the place of this server.", failover),
        ])
    }

    private static func synchronize(_ c: AdminContext) throws(CommandError) {
        try c.services.replication.synchronize(c.session, c.args)
    }

    private static func replconf(_ c: AdminContext) throws(CommandError) {
        try c.services.replication.configure(c.session, c.args)
    }

    /// FAILOVER [TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds].
    private static func failover(_ c: AdminContext) throws(CommandError) {
        let failover = c.services.replication.failover
        if c.args.count == 2, c.args[1].equals(ignoringCase: "abort") {
            try failover.abort()
            return c.reply.ok()
        }
        var request = Failover.Request()
        var i = 1
        while i < c.args.count {
            let left = c.args.count - 1 - i
            if c.args[i].equals(ignoringCase: "timeout"), left >= 1, request.timeout == nil {
                guard let timeout = c.args[i + 1].integer else { throw .notInteger }
                if timeout <= 0 { throw CommandError("ERR FAILOVER timeout must be greater than 0") }
                request.timeout = timeout
                i += 2
            } else if c.args[i].equals(ignoringCase: "to"), left >= 2, request.target == nil {
                guard let port = c.args[i + 2].integer, let small = Int32(exactly: port) else { throw .notInteger }
                request.target = HostAndPort(host: ByteString(c.args[i + 1].string), port: Int(small))
                i += 3
            } else if c.args[i].equals(ignoringCase: "force"), !request.isForced {
                request.isForced = true
                i += 1
            } else {
                throw .syntax
            }
        }
        try failover.begin(request)
        c.reply.ok()
    }

    private static func role(_ c: ConnectionContext) throws(CommandError) {
        if let master = c.services.replication.master {
            c.reply.array(5)
            c.reply.bulk("slave")
            c.reply.bulk(master.host)
            c.reply.integer(master.port)
            c.reply.bulk(Bytes(master.phaseName))
            c.reply.integer(master.isUp ? c.services.stream.offset : -1)
            return
        }
        let replicas = c.services.replication.replicas.attached.filter { $0.state.isOnline }
        c.reply.array(3)
        c.reply.bulk("master")
        c.reply.integer(c.services.stream.offset)
        c.reply.array(replicas.count)
        for replica in replicas {
            c.reply.array(3)
            c.reply.bulk(replica.host)
            c.reply.bulkDecimal(Int64(replica.listeningPort))
            c.reply.bulkDecimal(Int64(replica.acknowledged))
        }
    }
}
