/// Replication.
extension Info {
    func replicationSection() {
        let replication = services.replication
        let stream = services.stream
        let attached = replication.replicas.attached
        let settings = services.settings
        field("role", replication.isReplica ? "slave" : "master")
        for (name, value) in replication.master?.fields ?? [] { field(name, value) }
        field("connected_slaves", attached.count)
        if settings.minReplicasToWrite > 0 && settings.minReplicasMaxLag > 0 {
            field("min_slaves_good_slaves", replication.replicas.goodCount)
        }
        let now = replication.replicas.now
        for (i, replica) in attached.enumerated() {
            out?.append(
                text: "slave\(i):ip=\(replica.host),port=\(replica.listeningPort),state=\(replica.state.name),"
                    + "offset=\(replica.acknowledged),lag=\(replica.lag(now))\r\n")
        }
        field("master_failover_state", "\(replication.failover.state.name)")
        field("master_replid", stream.id)
        field("master_replid2", stream.shownSecondID)
        field("master_repl_offset", stream.offset)
        field("second_repl_offset", stream.secondID == nil ? -1 : stream.secondOffset + 1)
        field("repl_backlog_active", stream.backlog != nil)
        field("repl_backlog_size", settings.backlogSize)
        // Offsets of bytes count from 1.
        field("repl_backlog_first_byte_offset", stream.backlog.map { $0.start + 1 } ?? 0)
        field("repl_backlog_histlen", stream.backlog?.count ?? 0)
    }
}
