import Storage

/// Who is at the other end of an accepted socket.
struct Peer {
    /// `host:port`, or `path:0` for a Unix socket.
    let address: String
    let localAddress: String
    let isUnixSocket: Bool
    /// On this machine: over a Unix socket, or from a loopback address.
    var isLocal: Bool { isUnixSocket || address.hasPrefix("127.") || address.hasPrefix("[::1]") }
}

/// What the loop runs: the layer above the network, which knows sessions and commands, and no sockets. All calls are on
/// the loop's thread. Loop and connections are generic over it, so that these are no calls through a table.
protocol Service: AnyObject {
    var settings: Settings { get }
    var logger: Logger { get }
    var statistics: Statistics { get }
    /// Has the loop call `woken`.
    var waker: Waker { get }

    // MARK: Sessions

    /// Whether `maxclients` has room for a client beside those that are connected and `others`; one that is refused is
    /// counted.
    func hasRoom(besides others: Int) -> Bool
    /// A session for a new connection; throws what the other side is told instead.
    func connect(_ peer: Peer) throws(CommandError) -> Session
    /// A session for a connection that was opened from here, which no list of clients shows.
    func makeSession() -> Session
    /// Executes what has come in, and keeps the rest. `bytes` live until this returns.
    func receive(_ session: Session, _ bytes: Bytes)
    /// Goes on with input that was kept.
    func resume(_ session: Session)
    /// The connection is about to end: nothing more is done for the session.
    func stopWaiting(_ session: Session)
    /// The connection is gone.
    func disconnect(_ session: Session)

    // MARK: Output

    /// Replies with a later `ackOffset` stay here.
    var acknowledgedOffset: Int { get }

    /// All that waited on the connection has left, shared chunks among it: there is room for more.
    func chunksSent(_ session: Session)

    /// The session has output that waits: for other messages, or as the socket is full.
    func outputGrew(_ session: Session)

    /// Whether messages should leave at once, and buffers that are empty be small: what is evicted is told to those who cache
    /// it, for which more must not be evicted.
    var isShortOfMemory: Bool { get }

    // MARK: Turns

    /// Commands were executed, and replies have not left; `connections` have some.
    func endTurn(repliesTo connections: Int)
    /// Somebody called `waker.wake()`.
    func woken()
    /// `hz` times a second.
    func cron()
    /// A client's connection has its turn, about once a second.
    func maintain(_ session: Session)
    /// Monotonic nanoseconds at which `deadlinePassed` is to be called; `.max`: never.
    var nextDeadline: UInt64 { get }
    func deadlinePassed()
    /// SIGTERM or SIGINT came.
    func signalled(_ signal: Int32)
}
