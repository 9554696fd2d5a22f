import Storage

/// What a replica says about itself before it asks for the stream.
enum HandshakeStep: Equatable {
    case ping, authentication, port, address, capabilities, version, psync

    /// REPLCONF's option.
    var option: StaticString {
        switch self {
        case .port: "listening-port"
        case .address: "ip-address"
        case .capabilities: "capa"
        case .version: "version"
        case .ping, .authentication, .psync: ""
        }
    }
}

/// From the first PING to the answer to PSYNC.
extension MasterLink {
    func begin(_ step: HandshakeStep) {
        enter(.handshake(step))
        switch step {
        case .ping: send([Bytes("PING")])
        case .authentication, .port, .address, .capabilities, .version: break
        case .psync: requestStream()
        }
    }

    /// Who this server is, at once; the answers come one by one.
    private func introduce() {
        let settings = router.config.settings
        var steps: [HandshakeStep] = []
        if !settings.masterAuth.isEmpty {
            settings.masterUser.withBytes { user in
                settings.masterAuth.withBytes { password in
                    send([Bytes("AUTH")] + (user.isEmpty ? [] : [user]) + [password])
                }
            }
            steps.append(.authentication)
        }
        let ownPort = settings.tls.replication ? settings.tls.port : settings.port
        let port = settings.replicaAnnouncePort > 0 ? settings.replicaAnnouncePort : ownPort
        ByteString("\(port)").withBytes { send([Bytes("REPLCONF"), Bytes("listening-port"), $0]) }
        steps.append(.port)
        if !settings.replicaAnnounceIP.isEmpty {
            settings.replicaAnnounceIP.withBytes { send([Bytes("REPLCONF"), Bytes("ip-address"), $0]) }
            steps.append(.address)
        }
        // What a master does not know of these it passes over.
        send([
            Bytes("REPLCONF"), Bytes("capa"), Bytes("eof"), Bytes("capa"), Bytes("psync2"), Bytes("capa"),
            Bytes("swiftlet"),
        ])
        // Without it, Valkey 9 takes a replica for one that reads RDB version 11, without the expiries of fields.
        send([Bytes("REPLCONF"), Bytes("version"), Bytes("9.0.0")])
        self.steps = (steps + [.capabilities, .version, .psync])[...]
        nextStep()
    }
    private func nextStep() { if let step = steps.popFirst() { begin(step) } }

    private func requestStream() {
        asked = control.resumePoint
        var words = ["PSYNC", "?", "-1"]
        if let asked {
            logger.notice("Trying a partial resynchronization (request \(asked.id):\(asked.offset + 1)).")
            words = ["PSYNC", asked.id, "\(asked.offset + 1)"]
        } else {
            logger.notice("Partial resynchronization not possible (no cached master)")
        }
        if asksForFailover { words.append("FAILOVER") }
        let request = OutputBuffer(capacity: 128)
        RESPEncoder.command(texts: words, to: request)
        link?.send(request.bytes)
    }

    /// An answer of the handshake has come.
    func answered(_ step: HandshakeStep, _ line: [UInt8]) {
        let text = String(decoding: line, as: UTF8.self)
        let isError = line.first == UInt8(ascii: "-")
        switch step {
        case .ping:
            // A master that asks for a password answers as well.
            let isAlive =
                line.first == UInt8(ascii: "+")
                || ["-NOAUTH", "-NOPERM", "-ERR operation not permitted"].contains { text.hasPrefix($0) }
            if !isAlive { return fail("Error reply to PING from master: '\(text)'") }
            logger.notice("Master replied to PING, replication can continue...")
            introduce()
        case .authentication:
            if isError { return fail("Unable to AUTH to MASTER: \(text)") }
            nextStep()
        case .port, .address, .capabilities, .version:
            if isError {
                logger.notice("(Non critical) Master does not understand REPLCONF \(step.option): \(text)")
            }
            nextStep()
        case .psync: answered(PSYNCAnswer(line), text)
        }
    }

    private func answered(_ answer: PSYNCAnswer, _ text: String) {
        if asksForFailover {
            switch answer {
            case .wait: break
            // Where it needs another history, it has taken over all the same: two masters must not be.
            case .partial, .full: control.failoverAnswered(isAccepted: true)
            case .malformedFull, .later, .refused, .unknown:
                control.failoverAnswered(isAccepted: false)
                return drop()
            }
        }
        switch answer {
        case .wait: break
        case .full(let id, let offset):
            logger.notice("Full resync from master: \(id):\(offset)")
            transfer = FullSyncReceiver(control, id: id, offset: offset)
            enter(.transfer)
        case .malformedFull: fail("Master replied with wrong +FULLRESYNC syntax.")
        case .partial(let id):
            guard let asked else { return fail("Master goes on with a stream that was not asked for: \(text)") }
            logger.notice("Successful partial resynchronization with master.")
            control.resumed(asked.id, newID: id)
            goUp()
        case .later:
            fail("Master is currently unable to PSYNC but should be in the future: \(text)")
        case .refused: fail("Master does not support PSYNC or is in error state (reply: \(text))")
        case .unknown: fail("Unexpected reply to PSYNC from master: \(text)")
        }
    }
}
