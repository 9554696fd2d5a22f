import Glibc
import Storage

/// The server, or cluster, that takes keys: routes requests to nodes, follows redirections, waits for what may pass, and
/// tells what became of each.
final class RemoteTarget {
    enum Outcome {
        case done
        /// A key of this name is there.
        case busy
        /// The target does not take this one.
        case refused(String)
    }

    let identity: ServerIdentity
    /// Called once for each request whose answer is final.
    var finished: (Request, Outcome) -> Void = { _, _ in }

    private let access: ServerAccess
    private var lines: [ServerAddress.Endpoint: RequestLine] = [:]
    private var slots: SlotMap?
    /// Requests to be sent again in a while, in order.
    private var deferred: [Request] = []
    private var waitingSince: Double?
    /// Requests that are done with, to be filled again.
    private var spare: [Request] = []

    private static let mostRedirections = 16
    private static let largestSpare = 64 << 10

    /// Connects.
    static func open(_ access: ServerAccess) throws(StorageError) -> RemoteTarget {
        do throws(RemoteError) { return try RemoteTarget(access) } catch {
            throw error.asStorageError(access.endpoint)
        }
    }

    private init(_ access: ServerAccess) throws(RemoteError) {
        self.access = access
        let connection = try RemoteConnection(access)
        identity = try ServerIdentity(connection)
        if identity.isCluster { slots = try SlotMap(connection) }
        lines[access.endpoint] = RequestLine(connection, identity)
    }

    var isCluster: Bool { slots != nil }
    var endpoint: ServerAddress.Endpoint { access.endpoint }
    /// All that take writes, each once.
    var masters: [ServerAddress.Endpoint] { slots?.masters ?? [access.endpoint] }

    /// A request without content.
    func makeRequest() -> Request {
        guard let request = spare.popLast() else { return Request() }
        request.bytes.removeAll()
        request.isResent = false
        request.redirections = 0
        return request
    }

    /// Sends a request, and handles answers meanwhile. While requests wait to be sent again, it takes no more.
    func send(_ request: Request) throws(RemoteError) {
        let line = try line(of: request)
        try line.send(request)
        while line.isFull || !deferred.isEmpty {
            if line.pendingCount > 0 { try handleNext(line) } else { try sendDeferred() }
        }
    }

    /// Waits until each request has its final answer.
    func finish() throws(RemoteError) {
        while true {
            for line in lines.values { while line.pendingCount > 0 { try handleNext(line) } }
            if !deferred.isEmpty {
                try sendDeferred()
            } else if lines.values.allSatisfy({ $0.pendingCount == 0 }) {
                return
            }
        }
    }

    /// Asks the node that has `key`, once all that was sent is done.
    func ask(_ words: [String], about key: Bytes, in database: Int32) throws(RemoteError) -> Reply {
        try finish()
        var endpoint = node(of: key)
        for _ in 0..<Self.mostRedirections {
            let connection = try RemoteConnection(access(to: endpoint))
            if database != 0 { try connection.select(database) }
            let request = OutputBuffer(capacity: 256)
            RequestEncoder.header(words.count + 1, to: request)
            for word in words { RequestEncoder.argument(word, to: request) }
            RequestEncoder.argument(key, to: request)
            try connection.wire.send(request.bytes)
            let reply = try connection.replies.next()
            guard let failure = reply.failure, let moved = Redirection(failure, from: endpoint) else { return reply }
            endpoint = moved.node
        }
        throw RemoteError("nodes of the cluster name each other for \(key.quoted)")
    }

    /// Loads a library of functions on one node. Returns what the node has against it.
    func load(
        function code: Bytes, on node: ServerAddress.Endpoint, replaces: Bool
    ) throws(RemoteError) -> String? {
        let connection = try RemoteConnection(access(to: node))
        let request = OutputBuffer(capacity: code.count + 64)
        let words = replaces ? ["FUNCTION", "LOAD", "REPLACE"] : ["FUNCTION", "LOAD"]
        RequestEncoder.header(words.count + 1, to: request)
        for word in words { RequestEncoder.argument(word, to: request) }
        RequestEncoder.argument(code, to: request)
        try connection.wire.send(request.bytes)
        return try connection.replies.next().failure
    }

    // MARK: - Nodes

    private func access(to endpoint: ServerAddress.Endpoint) -> ServerAccess {
        var access = access
        access.endpoint = endpoint
        return access
    }

    private func node(of key: Bytes) -> ServerAddress.Endpoint {
        slots.flatMap { $0.nodes[SlotMap.slot(of: key)] } ?? access.endpoint
    }

    private func line(of request: Request) throws(RemoteError) -> RequestLine {
        if slots == nil, let line = lines[access.endpoint] { return line }
        return try line(to: node(of: request.bytes.bytes[request.key]))
    }

    private func line(to endpoint: ServerAddress.Endpoint) throws(RemoteError) -> RequestLine {
        if let line = lines[endpoint] { return line }
        let connection = try RemoteConnection(access(to: endpoint))
        let line = RequestLine(connection, try ServerIdentity(connection))
        lines[endpoint] = line
        return line
    }

    // MARK: - Answers

    private func handleNext(_ line: RequestLine) throws(RemoteError) {
        guard let (request, reply) = try line.next() else { return }
        guard let failure = reply.failure else {
            switch request.purpose {
            case .restore, .piece:
                waitingSince = nil
                finish(request, .done)
            case .select, .asking: break
            }
            return
        }
        if let redirection = Redirection(failure, from: line.endpoint) { return try follow(redirection, request) }
        switch Self.verdict(failure) {
        case .wait:
            deferred.append(request)
            if line.pendingCount == 0 { try sendDeferred(failure) }
        case .busy: finish(request, .busy)
        case .stop(let advice): throw RemoteError("\(failure)\(advice.isEmpty ? "" : ": \(advice)")\(at(request))")
        case .refuse:
            switch request.purpose {
            case .select, .asking: throw RemoteError(failure)
            case .restore, .piece: finish(request, .refused(failure))
            }
        }
    }

    private func at(_ request: Request) -> String {
        request.key.isEmpty ? "" : " (at the key \(request.keyName))"
    }

    private func finish(_ request: Request, _ outcome: Outcome) {
        finished(request, outcome)
        if spare.count < 4096 && request.bytes.capacity <= Self.largestSpare { spare.append(request) }
    }

    private func follow(_ redirection: Redirection, _ request: Request) throws(RemoteError) {
        request.redirections += 1
        if request.redirections > Self.mostRedirections {
            throw RemoteError("nodes of the cluster name each other for slot \(redirection.slot)\(at(request))")
        }
        let line = try line(to: redirection.node)
        if redirection.isAsk { return try line.sendAsking(request) }
        slots?.set(redirection.slot, redirection.node)
        try line.send(request)
    }

    /// Sends again what the target could not take for a while.
    private func sendDeferred(_ reason: String = "the server is not ready") throws(RemoteError) {
        let since = waitingSince ?? monotonicSeconds
        waitingSince = since
        if monotonicSeconds - since > access.patience {
            throw RemoteError("\(reason), for \(Int(access.patience)) s by now (--timeout)")
        }
        usleep(100_000)
        if Interruption.happened { throw RemoteError("interrupted") }
        let again = deferred
        deferred.removeAll()
        for request in again { try line(of: request).send(request) }
    }

    private enum Verdict {
        /// It may pass.
        case wait
        case busy
        /// This key is not taken.
        case refuse
        /// No key will be.
        case stop(String)
    }

    private static func verdict(_ failure: String) -> Verdict {
        switch failure.prefix(while: { $0 != " " }) {
        case "LOADING", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "BUSY": .wait
        case "BUSYKEY": .busy
        case "OOM": .stop("raise maxmemory there, or restore less")
        case "MISCONF": .stop("it cannot save: see its log")
        case "READONLY": .stop("it is a replica: name its master")
        case "NOAUTH", "WRONGPASS": .stop("--user, --password-env and --password-file say who asks")
        case "NOPERM": .stop("the user may not do that there")
        case "NOREPLICAS": .stop("min-replicas-to-write is not met there")
        default: .refuse
        }
    }
}

/// Where a cluster's node says that a slot is: `MOVED 3999 127.0.0.1:6381`, or ASK.
struct Redirection {
    let isAsk: Bool
    let slot: Int
    let node: ServerAddress.Endpoint

    init?(_ failure: String, from known: ServerAddress.Endpoint) {
        let words = failure.split(separator: " ")
        guard words.count >= 3, words[0] == "MOVED" || words[0] == "ASK", let slot = Int(words[1]),
            let colon = words[2].lastIndex(of: ":")
        else { return nil }
        isAsk = words[0] == "ASK"
        self.slot = slot
        node = SlotMap.endpoint(
            String(words[2][..<colon]), port: String(words[2][words[2].index(after: colon)...]), from: known)
    }
}
