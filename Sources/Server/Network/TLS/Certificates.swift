import Storage

/// What the server shows to clients, and to servers that it connects to. Confined to the loop.
final class Certificates {
    /// nil: nothing is encrypted.
    private(set) var server: TLSContext?
    private(set) var client: TLSContext?
    private let logger: Logger

    init(_ logger: Logger) { self.logger = logger }

    /// Reads the files that the settings name. Connections that are open go on with what they have. Throws what is wrong,
    /// and keeps what was there.
    func read(_ settings: TLSSettings) throws(TLSError) {
        let newServer = try TLSContext(.server, settings)
        let newClient = try TLSContext(.client, settings)
        for remark in Set(newServer.remarks + newClient.remarks).sorted() { logger.warning("\(remark)") }
        server = newServer
        client = newClient
    }
}

// MARK: - TLS on the loop

extension EventLoop {
    /// Where anything is encrypted, reads the certificates. Throws what is wrong with them.
    func configureTLS() throws(StorageError) {
        if !service.settings.tls.isUsed { return }
        do throws(TLSError) {
            try certificates.read(service.settings.tls)
        } catch {
            throw StorageError(file: "TLS", message: error.message)
        }
    }

    /// As `configureTLS`, for CONFIG SET.
    func readCertificates(_ settings: TLSSettings) throws(SettingError) {
        if !settings.isUsed { return }
        do throws(TLSError) {
            try certificates.read(settings)
        } catch {
            throw SettingError("Unable to update TLS configuration: \(error.message)")
        }
    }

    /// A socket was accepted where clients begin with a handshake.
    func beginHandshake(_ socket: Int32, _ peer: Peer) {
        guard let context = certificates.server, service.hasRoom(besides: handshakes.clientCount) else {
            // There is nothing that it would understand.
            return ByteStream(socket: socket).close()
        }
        handshakes.accept(socket, peer, context)
    }

    /// See `Links.encrypt`.
    func encrypt(_ socket: Int32, _ link: Link) -> (() -> Void)? {
        guard let context = certificates.client else {
            ByteStream(socket: socket).close()
            return nil
        }
        return handshakes.connect(socket, link, context)
    }

    /// Connections whose handshakes are through begin. What has come behind these may be here already.
    func takeHandshaken() {
        while let (stream, purpose) = handshakes.nextFinished() {
            switch purpose {
            case .client(let peer): if let connection = open(stream, peer) { scheduleReceive(connection) }
            case .link(let link):
                adopt(stream, link)
                link.session?.transport?.scheduleReceive()
            }
        }
    }
}
