import Storage

// Invariant of this file: sessions tell `Monitors` of their end, which lets go of them before they are freed.

/// The clients that see each command that is executed: MONITOR. Confined to the loop.
final class Monitors {
    private struct Place {
        unowned(unsafe) let session: Session
        /// Nothing is shown to a client that wants no replies, as which this counts.
        var isShown: Bool { session.flags.isDisjoint(with: [.replyOff, .replySkip]) }
    }
    private let services: Services
    private let work: PendingWork
    private var places: [Place] = []
    private let line = OutputBuffer(capacity: 16)

    init(_ services: Services, _ work: PendingWork) {
        self.services = services
        self.work = work
    }

    /// The client sees what is executed from here on.
    func add(_ session: Session) {
        session.flags.insert(.monitor)
        places.append(Place(session: session))
        work.set(.monitors, true)
    }
    /// Nothing happens where the client sees nothing.
    func remove(_ session: Session) {
        if !session.flags.contains(.monitor) { return }
        session.flags.remove(.monitor)
        places.removeAll { $0.session === session }
        work.set(.monitors, !places.isEmpty)
    }

    /// A command was executed. An administrator's may show too much; what runs others is shown before them, see `show`.
    func commandEnded(_ session: Session, _ command: CommandEntry, _ args: Arguments) {
        if command.flags.isDisjoint(with: [.skipMonitor, .admin]) {
            show(session, args, command.row.secrets == nil ? nil : command)
        }
    }

    /// Shows a command to all, except while data is being loaded. A command that executes others has the flag `skipMonitor`, and
    /// calls this before it does so. `secrets`: the command's entry, where it may have any.
    func show(_ session: Session, _ args: Arguments, _ secrets: CommandEntry? = nil) {
        if places.isEmpty || !services.guards.isDisjoint(with: [.loading, .replacing]) { return }
        line.removeAll(keepingAtMost: Self.keptLine)
        writeLine(session, args, secrets)
        // A command that was executed may have written what it shows.
        let offset = services.stream.offset
        if line.count <= SharedChunk.copiedLength {
            for place in places where place.isShown { place.session.push(line.bytes, after: offset) }
        } else {
            let chunk = SharedChunk { $0.append(line.bytes) }
            for place in places where place.isShown { place.session.push(chunk, after: offset) }
        }
    }
    private static let keptLine = 4096

    /// As Redis does: time, database, who, and each argument in quotes.
    private func writeLine(_ session: Session, _ args: Arguments, _ secrets: CommandEntry?) {
        let microseconds = Clock.wallNanoseconds / 1000
        line.append(byte: UInt8(ascii: "+"))
        line.append(decimal: microseconds / 1_000_000)
        line.append(byte: UInt8(ascii: "."))
        var unit: Int64 = 100_000
        while unit > 0 {
            line.append(byte: UInt8(ascii: "0") + UInt8(microseconds / unit % 10))
            unit /= 10
        }
        line.append(" [")
        line.append(decimal: Int64(session.db))
        if session.flags.contains(.script) {
            line.append(" lua]")
        } else if session.flags.contains(.unixSocket) {
            line.append(" unix:")
            services.settings.unixSocketPath.withBytes { line.append($0) }
            line.append("]")
        } else {
            line.append(" ")
            line.append(text: session.address)
            line.append("]")
        }
        if let secrets {
            for argument in secrets.shown(args) { appendQuoted(argument) }
        } else {
            for i in 0..<args.count { appendQuoted(args[i]) }
        }
        line.appendLineEnd()
    }

    private func appendQuoted(_ argument: Bytes) {
        line.append(" \"")
        line.reserve(argument.count)
        for byte in argument.buffer {
            switch byte {
            case UInt8(ascii: "\\"): line.append("\\\\")
            case UInt8(ascii: "\""): line.append("\\\"")
            case 7: line.append("\\a")
            case 8: line.append("\\b")
            case 9: line.append("\\t")
            case 10: line.append("\\n")
            case 13: line.append("\\r")
            case 32..<127: line.append(byte: byte)
            default:
                line.append("\\x")
                line.append(byte: Self.digits[Int(byte >> 4)])
                line.append(byte: Self.digits[Int(byte & 15)])
            }
        }
        line.append("\"")
    }
    private static let digits = Array("0123456789abcdef".utf8)
}
