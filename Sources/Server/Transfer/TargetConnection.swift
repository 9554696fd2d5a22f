import Storage

/// A connection to a server that keys move to: it carries one migration after the other, and is closed when for a while
/// there was none. Confined to the loop.
final class TargetConnection: LinkHandler {
    struct Outcome {
        /// Of each key, in the order of the requests: whether the target has it now.
        var restored: [Bool] = []
        /// What the client is told; nil: all went well.
        var error: [UInt8]?
    }
    /// What the target has been asked for and not answered.
    private enum Step { case idle, connecting, authenticating, selecting, asking, restoring }

    private let links: Links
    private let isEncrypted: Bool
    private let onEnd: () -> Void
    private var link: Link?
    private var step = Step.idle
    /// The link has served another migration, and may have been closed by the other side since.
    private var isReused = false
    /// What is selected there.
    private var database: Int64?
    /// Which payloads the target takes; nil: it was not asked.
    private var family: DumpPayload.Family?
    /// Of the answer of INFO that was asked for: bytes to come; nil before its first line.
    private var infoBytes: Int?
    /// A line of which the end has not come.
    private let received = OutputBuffer(capacity: 64)

    private var migration: Migration?
    private var outcome = Outcome()
    private var completion: (Outcome) -> Void = { _ in }

    private static let keptNanoseconds: UInt64 = 10_000_000_000
    /// A reply line that is longer than this is not one.
    private static let longestLine = 64 << 10

    /// `onEnd` is called when the connection is not kept any more; `isEncrypted`: it speaks TLS.
    init(_ links: Links, isEncrypted: Bool, onEnd: @escaping () -> Void) {
        self.links = links
        self.isEncrypted = isEncrypted
        self.onEnd = onEnd
    }

    /// Sends a migration. There is no other; `completion` is called later, once.
    func carry(_ migration: Migration, completion: @escaping (Outcome) -> Void) {
        self.migration = migration
        self.completion = completion
        outcome = Outcome()
        isReused = link != nil
        if link == nil { connect(migration) } else { authenticate(migration) }
    }

    private func connect(_ migration: Migration) {
        step = .connecting
        database = nil
        family = nil
        received.removeAll()
        link = links.open(
            migration.host, migration.port, timeout: Self.nanoseconds(migration), isEncrypted: isEncrypted, self)
    }

    private static func nanoseconds(_ migration: Migration) -> UInt64 {
        let product = UInt64(max(0, migration.timeout)).multipliedReportingOverflow(by: 1_000_000)
        return product.overflow ? .max / 2 : product.partialValue
    }

    // MARK: Steps: RESTORE comes only once AUTH and SELECT have gone well, as nothing is to end up in another database.

    func connected(_ link: Link) { if let migration { authenticate(migration) } }

    private func authenticate(_ migration: Migration) {
        link?.patience = Self.nanoseconds(migration)
        if migration.authentication.isEmpty { return select(migration) }
        step = .authenticating
        migration.authentication.withUnsafeBytes {
            if let base = $0.baseAddress { link?.send(Bytes(base, $0.count)) }
        }
    }

    private func select(_ migration: Migration) {
        if database == migration.database { return ask(migration) }
        step = .selecting
        database = nil
        let request = OutputBuffer(copying: Bytes("SELECT "))
        request.append(decimal: migration.database)
        request.appendLineEnd()
        link?.send(request.bytes)
    }

    /// Whether the target is a Valkey, where that makes a difference.
    private func ask(_ migration: Migration) {
        if migration.valkeyRequests == nil || family != nil { return restore(migration) }
        step = .asking
        infoBytes = nil
        link?.send(Bytes("INFO server\r\n"))
    }

    private func restore(_ migration: Migration) {
        step = .restoring
        link?.send(family == .valkey ? migration.valkeyRequests ?? migration.requests : migration.requests)
    }

    func received(_ bytes: Bytes, on link: Link) {
        var rest = bytes
        while let end = rest.buffer.firstIndex(of: UInt8(ascii: "\n")) {
            received.append(rest[0..<end])
            rest = rest[end + 1..<rest.count]
            var line = received.bytes.array
            if step == .asking {
                received.removeAll(keepingAtMost: 1024)
                learned(line, size: line.count + 1)
                continue
            }
            if line.last == UInt8(ascii: "\r") { line.removeLast() }
            received.removeAll(keepingAtMost: 1024)
            answered(line)
        }
        received.append(rest)
        if received.count > Self.longestLine { fail(.closed) }
    }

    /// A line of INFO's answer, of `size` bytes. A target that does not answer is taken for a Redis.
    private func learned(_ line: [UInt8], size: Int) {
        guard let migration else { return }
        if let left = infoBytes {
            infoBytes = left - size
            if line.starts(with: Array("valkey_version:".utf8)) { family = .valkey }
        } else {
            // "$" and how many bytes follow, a line's end behind them.
            let digits = line.dropFirst().prefix { $0 >= 48 && $0 <= 57 }
            let count = line.first == UInt8(ascii: "$") ? Int(String(decoding: digits, as: UTF8.self)) : nil
            infoBytes = count.map { min($0, Self.longestLine) + 2 } ?? 0
        }
        if infoBytes ?? 0 > 0 { return }
        family = family ?? .redis
        restore(migration)
    }

    private func answered(_ line: [UInt8]) {
        guard let migration else { return }
        let isError = line.first == UInt8(ascii: "-")
        // The first error counts.
        if isError && outcome.error == nil {
            outcome.error = Array("ERR Target instance replied with error: ".utf8) + line.dropFirst()
        }
        switch step {
        case .idle, .connecting, .asking: break
        case .authenticating: if isError { finish() } else { select(migration) }
        case .selecting:
            if isError { return finish() }
            database = migration.database
            ask(migration)
        case .restoring:
            outcome.restored.append(!isError)
            if outcome.restored.count == migration.keys.count { finish() }
        }
    }

    // MARK: Ends

    func ended(_ link: Link, _ reason: Link.End) {
        let hasUnsent = link.pending > 0
        self.link = nil
        // What was kept may have been closed by the other side since: once more, on a new connection.
        if let migration, isReused, outcome.restored.isEmpty, outcome.error == nil, reason != .timedOut {
            isReused = false
            return connect(migration)
        }
        onEnd()
        if migration == nil { return }
        let text =
            switch reason {
            case .unknownHost: "IOERR error or timeout connecting to the client"
            case .unreachable: "IOERR error or timeout writing to target instance"
            case .closed, .timedOut:
                hasUnsent
                    ? "IOERR error or timeout writing to target instance"
                    : "IOERR error or timeout reading to target instance"
            }
        outcome.error = Array(text.utf8)
        finish()
    }

    private func fail(_ reason: Link.End) {
        guard let link else { return }
        link.close()
        isReused = false
        ended(link, reason)
    }

    private func finish() {
        step = .idle
        migration = nil
        link?.patience = Self.keptNanoseconds
        let completion = completion
        self.completion = { _ in }
        completion(outcome)
    }
}
