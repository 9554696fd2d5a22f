import Storage

/// What replicas ask of a master: REPLCONF, PSYNC and SYNC.
extension ReplicationControl {
    // MARK: REPLCONF

    /// Pairs of an option and its value. Throws at the first that is not known; those before it count.
    func configure(_ session: Session, _ args: Arguments) throws(CommandError) {
        guard !args.count.isMultiple(of: 2) else { throw .syntax }
        for i in stride(from: 1, to: args.count, by: 2) {
            let (option, value) = (args[i], args[i + 1])
            if option.equals(ignoringCase: "ack") {
                return acknowledge(session, args, i)
            } else if option.equals(ignoringCase: "getack") {
                // Of a master alone; the link to it answers.
                return
            }
            try configure(session, option, value)
        }
        session.reply.ok()
    }

    private func configure(_ session: Session, _ option: Bytes, _ value: Bytes) throws(CommandError) {
        if option.equals(ignoringCase: "listening-port") {
            guard let port = value.integer else { throw .notInteger }
            replicas.replica(session).listeningPort = Int(Int32(truncatingIfNeeded: port))
        } else if option.equals(ignoringCase: "ip-address") {
            guard value.count < Self.longestAddress else {
                throw CommandError(
                    "ERR REPLCONF ip-address provided by replica instance is too long: \(value.count) bytes")
            }
            replicas.replica(session).announcedIP = value.string
        } else if option.equals(ignoringCase: "capa") {
            let replica = replicas.replica(session)
            if value.equals(ignoringCase: "eof") { replica.capabilities.insert(.mark) }
            if value.equals(ignoringCase: "psync2") { replica.capabilities.insert(.newHistory) }
            if value.equals(ignoringCase: "swiftlet") { replica.capabilities.insert(.fieldExpiries) }
        } else if option.equals(ignoringCase: "rdb-only") {
            guard let choice = value.integer else { throw .notInteger }
            guard 0...1 ~= choice else {
                throw CommandError("ERR value is out of range, value must between 0 and 1")
            }
            replicas.replica(session).wantsStream = choice == 0
        } else if option.equals(ignoringCase: "rdb-filter-only") {
            try filter(replicas.replica(session), value)
        } else if option.equals(ignoringCase: "version") {
            // What the replica is; nothing depends on it.
        } else {
            throw CommandError(parts: Bytes("ERR Unrecognized REPLCONF option: "), option)
        }
    }
    private static let longestAddress = 256

    /// The parts of the data that are wanted, in one word, separated by spaces.
    private func filter(_ replica: Replica, _ value: Bytes) throws(CommandError) {
        var wantsFunctions = false
        for word in value.buffer.split(separator: UInt8(ascii: " ")) {
            guard word.elementsEqual("functions".utf8) else {
                throw CommandError(parts: Bytes("ERR Unsupported rdb-filter-only option: "), value)
            }
            wantsFunctions = true
        }
        replica.wantsKeys = false
        replica.wantsFunctions = wantsFunctions
    }

    /// REPLCONF ACK offset [FACK offset]: has no reply. Of anybody but a replica it is not heard.
    private func acknowledge(_ session: Session, _ args: Arguments, _ index: Int) {
        guard let replica = replicas.knownReplica(session), replica.state.isAttached,
            let offset = args[index + 1].integer
        else { return }
        var synced: Int?
        if args.count > index + 3, args[index + 2].equals(ignoringCase: "fack") {
            synced = args[index + 3].integer.map { Int($0) }
        }
        replica.acknowledge(Int(offset), synced: synced, end: router.stream.offset, now: replicas.now)
        if replica.state.acknowledged() == .startStream {
            router.logger.notice("Synchronization with replica \(replica.name) succeeded")
            replicas.startStreamLater(replica)
        }
    }

    // MARK: PSYNC and SYNC

    /// PSYNC id offset [FAILOVER], or SYNC without arguments.
    func synchronize(_ session: Session, _ args: Arguments) throws(CommandError) {
        // A second request on the same connection is not heard.
        if session.flags.contains(.replica) { return }
        let isPSYNC = args.count > 1
        if args.count > 3, args[3].equals(ignoringCase: "failover") { try takeOver(args[1], session) }
        if failover.state != .none { throw CommandError("NOMASTERLINK Can't SYNC while failing over") }
        if let master, !master.isUp {
            throw CommandError("NOMASTERLINK Can't SYNC while not connected with my master")
        }
        if session.queue.pending > 0 { throw CommandError("ERR SYNC and PSYNC are invalid with pending output") }
        let replica = replicas.replica(session)
        router.logger.notice("Replica \(replica.name) asks for synchronization")
        if isPSYNC {
            guard let offset = args[2].integer else {
                router.logger.warning("Replica \(replica.name) asks for synchronization but with a wrong offset")
                throw .notInteger
            }
            replicas.keepBacklog()
            if resume(replica, args[1], Int(offset)) {
                router.statistics.partialSyncs += 1
                return
            }
            if args[1] != Bytes("?") { router.statistics.partialSyncsRefused += 1 }
        } else {
            replica.isSilent = true
            replicas.keepBacklog()
        }
        router.statistics.fullSyncs += 1
        replicas.attach(replica)
        replicas.sync.add(replica)
    }

    /// Gives the replica what it has missed; `offset` is the first byte that it wants, counted from 1. False where it needs
    /// all data.
    private func resume(_ replica: Replica, _ id: Bytes, _ offset: Int) -> Bool {
        let stream = router.stream
        let logger = router.logger
        let (position, isTooSmall) = offset.subtractingReportingOverflow(1)
        let name = id.string
        guard !isTooSmall, stream.continues(name, from: position) else {
            if name == "?" {
                logger.notice("Full resync requested by replica \(replica.name)")
            } else if name == stream.secondID {
                logger.notice(
                    "Partial resynchronization not accepted: Requested offset for second ID was \(offset), but I can reply "
                        + "up to \(stream.secondOffset + 1)")
            } else if name != stream.id {
                logger.notice(
                    "Partial resynchronization not accepted: Replication ID mismatch (Replica asked for \(id.quoted), my "
                        + "replication IDs are '\(stream.id)' and '\(stream.shownSecondID)')")
            } else {
                logger.notice(
                    "Unable to partial resync with replica \(replica.name) for lack of backlog (Replica request was: "
                        + "\(offset)).")
                logger.warning(
                    "Warning: replica \(replica.name) tried to PSYNC with an offset that is greater than the master "
                        + "replication offset.")
            }
            return false
        }
        // What this turn has said so far is in the offset, and must be in the backlog.
        stream.deliver()
        guard let backlog = stream.backlog, backlog.holds(position) else {
            logger.notice(
                "Unable to partial resync with replica \(replica.name) for lack of backlog (Replica request was: \(offset))."
            )
            return false
        }
        let reply = replica.session.reply
        if replica.capabilities.contains(.newHistory) {
            reply.simple(text: "CONTINUE \(stream.id)")
        } else {
            reply.simple("CONTINUE")
        }
        replicas.attach(replica)
        replica.start = position
        if replica.state.askedForRest() == .startStream { replicas.startStreamLater(replica) }
        logger.notice(
            "Partial resynchronization request from \(replica.name) accepted. Sending \(backlog.end - position) bytes of "
                + "backlog starting from offset \(offset).")
        return true
    }

    /// PSYNC … FAILOVER: the master, which follows this server from here on, hands over. It must know this history.
    private func takeOver(_ id: Bytes, _ session: Session) throws(CommandError) {
        router.logger.warning("Failover request received for replid \(id.string).")
        if !isReplica { throw CommandError("ERR PSYNC FAILOVER can't be sent to a master.") }
        if id.string != router.stream.id { throw CommandError("ERR PSYNC FAILOVER replid must match my replid.") }
        becomeMaster()
        router.logger.notice(
            "MASTER MODE enabled (failover request from '\(ClientDescription.text(session, router.services))')")
    }
}
