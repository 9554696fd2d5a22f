import Storage

/// Becoming a replica and a master, and what this refuses to clients.
extension ReplicationControl {
    /// REPLICAOF host port: from here on this server is a replica. What it has goes on where the other server has the same
    /// history. `failover`: the other server is to leave its place to this one.
    func follow(_ master: HostAndPort, failover: Bool = false) {
        let wasReplica = isReplica
        self.master?.end()
        router.config.setMaster(master)
        if !wasReplica {
            // Nobody learns of what changed unread.
            router.stream.closeGap()
            router.stream.isRelayed = true
            router.unblockAll(CommandError.roleChanged)
            router.logger.notice(
                "Before turning into a replica, using my own master parameters to synthesize a cached master: I may be able "
                    + "to synchronize with the new master with just a partial transfer.")
            hasHistory = true
        }
        let link = MasterLink(self, master)
        self.master = link
        roleChanged()
        link.start(failover: failover)
    }

    /// REPLICAOF NO ONE: from here on this server is a master. The history branches, so that those who follow the old master
    /// can go on here.
    func becomeMaster() {
        guard let master else { return }
        master.end()
        self.master = nil
        router.config.setMaster(nil)
        router.stream.isRelayed = false
        router.stream.branchHistory()
        router.logger.notice(
            "Setting secondary replication ID to \(router.stream.secondID ?? ""), valid up to offset: "
                + "\(router.stream.secondOffset + 1). New replication ID is \(router.stream.id)")
        replicas.disconnectAll()
        localExpiries.isOn = false
        roleChanged()
    }

    /// The link has gone up or down, or a setting has changed.
    func linkChanged() {
        let settings = router.config.settings
        router.setGuard(.readOnlyReplica, isReplica && settings.replicaReadOnly)
        router.setGuard(.staleReplica, master.map { !$0.isUp } ?? false && !settings.replicaServeStaleData)
        localExpiries.isOn = isReplica && !settings.replicaReadOnly
    }

    func roleChanged() {
        router.followsExpiry = isReplica
        router.logger.setRole(isReplica ? .replica : .master)
        linkChanged()
    }

    // MARK: Histories

    /// What a master may be asked to go on behind; nil: there is nothing.
    var resumePoint: (id: String, offset: Int)? {
        hasHistory ? (router.stream.id, router.stream.offset) : nil
    }

    /// The stream goes on where it was; the master calls its history by another name where it was promoted meanwhile.
    func resumed(_ id: String, newID: String?) {
        // Siblings go on here, should this server become their master.
        replicas.keepBacklog()
        guard let newID, newID != router.stream.id else { return }
        router.logger.notice("Master replication ID changed to \(newID)")
        router.stream.branchHistory(to: newID)
        replicas.disconnectAll()
    }

    /// The stream was recovered, and goes on under its old name.
    func goOn(with found: DataDirectory.Stream) {
        if found.id == router.stream.id { return }
        router.stream.resume(
            id: found.id, offset: found.offset, secondID: found.secondID, secondOffset: found.secondOffset, db: found.db
        )
        persistence.historyChanged(router.stream)
    }

    /// The data are another server's, as of `offset` of its history: what clients wait for is an offset of this one.
    func historyReplaced(id: String, offset: Int, db: Int) {
        router.stream.resume(id: id, offset: offset, db: db)
        hasHistory = true
        replicas.keepBacklog()
        router.forgetOffsets()
        replicas.disconnectAll()
    }

    /// The server that this one asked to hand over has answered.
    func failoverAnswered(isAccepted: Bool) { failover.answered(isAccepted: isAccepted) }
}

extension CommandError {
    static let roleChanged = CommandError(
        "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)")
}
