import CShims
import Glibc
import Storage

/// The sockets that are listened on, and how many connections may come from them. Confined to the loop.
final class Acceptor {
    private let config: Config
    private let log: Logger
    private let readiness: Readiness
    /// The first listener's word of events; the others follow.
    private let firstWord: UInt64
    private var listeners: [Listener] = []
    private var isPaused = false

    init(_ config: Config, _ log: Logger, _ readiness: Readiness, firstWord: UInt64) {
        self.config = config
        self.log = log
        self.readiness = readiness
        self.firstWord = firstWord
    }

    /// See `EventLoop.listen`.
    func listen() throws(StorageError) {
        try lowerClientLimit()
        let opened = try Listener.open(config.settings, log)
        if opened.isEmpty {
            throw StorageError(
                file: "port \(config.settings.port)", message: "Configured to not listen anywhere, exiting.")
        }
        listeners = opened
        watchListeners()
    }

    private func watchListeners() {
        for (word, listener) in zip(firstWord..., listeners) {
            readiness.watch(listener.descriptor, EPOLLIN.rawValue, word)
        }
    }

    /// Ends listening, and removes the file of a Unix socket.
    func close() {
        for listener in listeners { listener.close() }
        listeners = []
    }

    /// `bind` (`hasOtherAddresses`), `port` or `tls-port` changed: listens anew, or keeps the old listeners and throws.
    func listenAgain(hasOtherAddresses: Bool) throws(SettingError) {
        let old = listeners
        isPaused = false
        for listener in old { readiness.unwatch(listener.descriptor) }
        do throws(StorageError) {
            // A port cannot be bound twice: the old sockets go first, and come back if the new are refused.
            for listener in old where !listener.isUnix { listener.close() }
            listeners = old.filter(\.isUnix)
            let opened = try Listener.openTCP(config.settings, log)
            listeners += opened
        } catch {
            watchListeners()
            throw SettingError(
                hasOtherAddresses
                    ? "Failed to bind to specified addresses." : "Unable to listen on this port. Check server logs.")
        }
        watchListeners()
    }

    // MARK: Connections

    /// The next connection at the listener that an event named, and whether it begins with a TLS handshake; nil: there is
    /// none.
    func accept(_ word: UInt64) -> (socket: Int32, peer: Peer, isEncrypted: Bool)? {
        let index = Int(clamping: word &- firstWord)
        guard index < listeners.count else { return nil }
        let listener = listeners[index]
        while true {
            let descriptor = cshims_accept(listener.descriptor)
            if descriptor >= 0 { return (descriptor, prepare(descriptor, listener), listener.isEncrypted) }
            switch errno {
            case EMFILE, ENFILE, ENOBUFS, ENOMEM: pause()
            // The client has gone meanwhile.
            case ECONNABORTED, EINTR: continue
            default: break
            }
            return nil
        }
    }

    private func prepare(_ descriptor: Int32, _ listener: Listener) -> Peer {
        if listener.isUnix {
            return Peer(address: "\(listener.path):0", localAddress: "\(listener.path):0", isUnixSocket: true)
        }
        SocketOptions.prepare(descriptor, keepalive: config.settings.tcpKeepalive)
        return Peer(
            address: SocketOptions.peer(descriptor), localAddress: SocketOptions.local(descriptor), isUnixSocket: false)
    }

    /// No descriptor is left for another connection: those who want one stay in the kernel's queue, until a connection
    /// is closed or the timer tries again. Watching the listeners on would wake the loop all the time.
    private func pause() {
        if isPaused { return }
        isPaused = true
        let reason = systemReason()
        for listener in listeners { readiness.unwatch(listener.descriptor) }
        log.warning("Accepting clients pauses: \(reason)")
    }
    /// A descriptor may be free again.
    func resume() {
        if !isPaused { return }
        isPaused = false
        watchListeners()
    }

    // MARK: Limits

    /// Where `ulimit -n` cannot be raised so far that `maxclients` fit, these are fewer.
    private func lowerClientLimit() throws(StorageError) {
        let wanted = config.settings.maxClients
        let allowed = DescriptorLimit.raise(for: wanted)
        if allowed >= wanted { return }
        let limit = allowed + DescriptorLimit.reserved
        if allowed < 1 {
            throw StorageError(
                file: "maxclients",
                message: "Your current 'ulimit -n' of \(limit) is not enough for the server to start. Please increase "
                    + "your open file limit to at least \(wanted + DescriptorLimit.reserved). Exiting.")
        }
        log.warning(
            "maxclients \(wanted) needs \(wanted + DescriptorLimit.reserved) open files, and the limit is \(limit): "
                + "maxclients is \(allowed) now. A higher 'ulimit -n' allows more.")
        config.lowerClientLimit(allowed)
    }

    /// `maxclients` changed. Throws, so that the change is undone, when the system does not allow that many.
    func clientLimitChanged() throws(SettingError) {
        let wanted = config.settings.maxClients
        let allowed = DescriptorLimit.raise(for: wanted)
        if allowed < wanted {
            throw SettingError(
                "The operating system is not able to handle the specified number of clients, try with \(max(0, allowed))"
            )
        }
    }
}
