import Glibc
import Storage

/// A request that waits for its answer, and can be sent again until that has come.
final class Request {
    enum Purpose {
        /// A whole key.
        case restore
        /// A piece of a value that goes as commands. `repeatable`: it may be executed twice.
        case piece(repeatable: Bool)
        case select
        case asking
    }

    var purpose = Purpose.restore
    /// The key's number in the source, from 0.
    var ordinal = 0
    var database: Int32 = 0
    /// In RESP.
    let bytes = OutputBuffer(capacity: 256)
    /// Where the key's name stands in `bytes`.
    var key = 0..<0
    /// It was sent before on a connection that was lost.
    var isResent = false
    var redirections = 0

    var keyName: String { bytes.bytes[key].quoted }
}

/// A connection on which requests follow each other without waiting for answers, and which is opened again when it is lost.
final class RequestLine {
    private let access: ServerAccess
    private let runID: String
    private var connection: RemoteConnection
    private var pending: [Request] = []
    private var head = 0
    private(set) var pendingBytes = 0
    /// What is to be sent next.
    private let outgoing = OutputBuffer(capacity: 2 * sendSize)
    private var database: Int32 = 0

    private static let sendSize = 64 << 10
    /// How many requests, or bytes of them, may wait for an answer.
    private static let mostPending = 2000
    private static let mostPendingBytes = 4 << 20

    /// Takes over a connection whose server is `identity`.
    init(_ connection: RemoteConnection, _ identity: ServerIdentity) {
        access = connection.access
        runID = identity.runID
        self.connection = connection
    }

    var endpoint: ServerAddress.Endpoint { access.endpoint }
    var pendingCount: Int { pending.count - head }
    var isFull: Bool {
        pendingCount > 0 && (pendingCount >= Self.mostPending || pendingBytes >= Self.mostPendingBytes)
    }

    /// Sends `request` behind those before, in its database.
    func send(_ request: Request) throws(RemoteError) {
        if request.database != database {
            let select = Request()
            select.purpose = .select
            RequestEncoder.command(["SELECT", String(request.database)], to: select.bytes)
            database = request.database
            try put(select)
        }
        try put(request)
    }

    /// Sends `request` as one that a cluster's node is asked for though it does not have the slot yet.
    func sendAsking(_ request: Request) throws(RemoteError) {
        let asking = Request()
        asking.purpose = .asking
        RequestEncoder.command(["ASKING"], to: asking.bytes)
        try put(asking)
        try put(request)
    }

    private func put(_ request: Request) throws(RemoteError) {
        pending.append(request)
        pendingBytes += request.bytes.count
        do throws(RemoteError) {
            if request.bytes.count > Self.sendSize {
                try flush()
                try connection.wire.send(request.bytes.bytes)
            } else {
                outgoing.append(request.bytes.bytes)
                if outgoing.count >= Self.sendSize { try flush() }
            }
        } catch {
            try reconnect(after: error)
        }
    }

    private func flush() throws(RemoteError) {
        if outgoing.count == 0 { return }
        try connection.wire.send(outgoing.bytes)
        outgoing.removeAll()
    }

    /// The first request that waits, with its answer.
    func next() throws(RemoteError) -> (Request, Reply)? {
        while head < pending.count {
            let reply: Reply
            do throws(RemoteError) {
                if !connection.replies.hasMore { try flush() }
                reply = try connection.replies.next()
            } catch {
                try reconnect(after: error)
                continue
            }
            let request = pending[head]
            head += 1
            pendingBytes -= request.bytes.count
            if head >= 1024 && head * 2 >= pending.count {
                pending.removeFirst(head)
                head = 0
            }
            return (request, reply)
        }
        pending.removeAll(keepingCapacity: true)
        head = 0
        return nil
    }

    // MARK: - A connection that was lost

    /// Opens the connection again and sends what had no answer. Throws where that could do harm or nobody answers.
    private func reconnect(after loss: RemoteError) throws(RemoteError) {
        guard loss.isLost else { throw loss }
        let waiting = pending[head...].filter { request in
            switch request.purpose {
            case .restore, .piece: true
            case .select, .asking: false
            }
        }
        for request in waiting {
            if case .piece(repeatable: false) = request.purpose {
                throw RemoteError(
                    "\(loss): in the middle of \(request.keyName), which goes as commands: "
                        + "--resume goes on with that key")
            }
        }
        let deadline = monotonicSeconds + access.patience
        while true {
            do throws(RemoteError) {
                connection = try RemoteConnection(access)
                try checkRunID()
                break
            } catch {
                if !error.isLost || monotonicSeconds > deadline { throw error }
                usleep(100_000)
            }
        }
        pending.removeAll(keepingCapacity: true)
        (head, pendingBytes, database) = (0, 0, 0)
        outgoing.removeAll()
        for request in waiting {
            request.isResent = true
            try send(request)
        }
    }

    private func checkRunID() throws(RemoteError) {
        let now = try ServerIdentity(connection).runID
        if now == runID { return }
        throw RemoteError("was restarted: keys that it had taken may be gone; run the command again with --replace")
    }
}
