// Invariant of this file: the file is mapped read-only while it is read; `Bytes` that are handed out lie in the map.

/// Reads one of Redis's append-only files: RESP commands, lines with # as annotations (timestamps), MULTI and EXEC.
public struct AOFReader {
    let path: String
    /// An unfinished end is what a crash leaves in the last file only.
    let isLast: Bool
    /// `aof-load-truncated`.
    let mayLeaveOutTail: Bool
    private let files: any FileSystem
    let warn: (String) -> Void

    public init(
        path: String, isLast: Bool, mayLeaveOutTail: Bool, files: any FileSystem = Host.real.files,
        warn: @escaping (String) -> Void
    ) {
        self.path = path
        self.isLast = isLast
        self.mayLeaveOutTail = mayLeaveOutTail
        self.files = files
        self.warn = warn
    }

    /// Whether the file begins with an RDB; its commands follow at `RDBSummary.endOffset`.
    public static func beginsWithRDB(
        _ path: String, files: any FileSystem = Host.real.files
    ) throws(StorageError) -> Bool { try RDBInput.isRDB(path, files) }

    /// Calls `apply` with each command from `start` on, its arguments valid during the call, and its offset; a
    /// transaction comes when its EXEC has been read, without MULTI and EXEC. The file is not changed: an unfinished
    /// command or transaction at its end is left out with a warning, where that is allowed. Throws for other damage,
    /// and what `apply` throws. O(file size).
    public func read(
        from start: Int64, apply: (UnsafeBufferPointer<Bytes>, Int64) throws(StorageError) -> Void
    ) throws(StorageError) {
        let map = try MappedFile(path, files)
        defer { map.unmap() }
        guard start <= Int64(map.bytes.count) else { throw StorageError(file: path, message: "became shorter") }
        var parser = AOFParser(bytes: map.bytes, offset: Int(start))
        var transaction: Transaction?
        while true {
            switch parser.next() {
            case .command: break
            case .end:
                if let transaction { try leaveOut(map.bytes, from: transaction.offset, "transaction") }
                return
            case .cut:
                if let whole = parser.wholeCommandBehind() { throw damaged(parser, whole) }
                try leaveOut(
                    map.bytes, from: transaction?.offset ?? parser.start, transaction == nil ? "command" : "transaction"
                )
                return
            case .damaged: throw damaged(parser, parser.damage)
            }
            if parser.isAlone("multi") {
                if transaction == nil { transaction = Transaction(offset: parser.start) }
            } else if parser.isAlone("exec") {
                for command in transaction?.commands ?? [] {
                    try AOFReader.apply(command.arguments, command.offset, apply)
                }
                transaction = nil
            } else if transaction != nil {
                transaction?.commands.append((parser.arguments, parser.start))
            } else {
                try AOFReader.apply(parser.arguments, parser.start, apply)
            }
        }
    }

    private struct Transaction {
        let offset: Int
        var commands: [(arguments: [Bytes], offset: Int)] = []
    }

    private static func apply(
        _ arguments: [Bytes], _ offset: Int,
        _ body: (UnsafeBufferPointer<Bytes>, Int64) throws(StorageError) -> Void
    ) throws(StorageError) {
        var failure: StorageError?
        arguments.withUnsafeBufferPointer { buffer in
            do throws(StorageError) { try body(buffer, Int64(offset)) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    private func leaveOut(_ bytes: Bytes, from offset: Int, _ what: String) throws(StorageError) {
        if !isLast {
            throw StorageError(
                file: path, offset: Int64(offset),
                message: "this append-only file ends in the middle of a \(what), though it is not the last one: bring "
                    + "the whole file back from a backup, or cut it here with redis-check-aof --fix to give the rest up"
            )
        }
        if !mayLeaveOutTail {
            throw StorageError(
                file: path, offset: Int64(offset),
                message: "this append-only file ends in the middle of a \(what); `aof-load-truncated yes` leaves the "
                    + "unfinished one out")
        }
        warn(
            "\(path) ends in the middle of a \(what): its last \(bytes.count - offset) bytes, from offset \(offset) on, "
                + "are left out")
    }

    private func damaged(_ parser: AOFParser, _ offset: Int) -> StorageError {
        StorageError(
            file: path, offset: Int64(parser.damage),
            message: "this append-only file is damaged in the command that begins at offset \(parser.start)"
                + (offset > parser.damage ? ", and goes on at offset \(offset)" : "")
                + ": bring it back from a backup, or look at it with redis-check-aof, whose --fix gives up all that "
                + "follows")
    }
}

/// The commands of an append-only file, one after the other, in place. Any input is safe.
struct AOFParser {
    let bytes: Bytes
    /// Behind the last command.
    private(set) var offset: Int
    /// Of the last command's first byte, or of what is no command.
    private(set) var start = 0
    private(set) var arguments: [Bytes] = []
    /// After `.damaged` and `.cut`: the byte that is at fault, or the end.
    private(set) var damage = 0

    init(bytes: Bytes, offset: Int) {
        self.bytes = bytes
        self.offset = offset
    }

    /// `cut`: all bytes that there are may begin a command.
    enum Step { case command, end, cut, damaged }

    mutating func next() -> Step {
        var at = offset
        while at < bytes.count, bytes[at] == UInt8(ascii: "#") {
            start = at
            while at < bytes.count, bytes[at] != 10 { at += 1 }
            if at == bytes.count { return fail(.cut, at) }
            at += 1
            offset = at
        }
        start = at
        if at == bytes.count { return .end }
        let count: Int
        switch number(after: UInt8(ascii: "*"), &at) {
        case .value(let value) where value > 0: count = value
        case .value: return fail(.damaged, start)
        case .step(let step): return fail(step, at)
        }
        arguments.removeAll(keepingCapacity: true)
        for _ in 0..<count {
            let length: Int
            switch number(after: UInt8(ascii: "$"), &at) {
            case .value(let value): length = value
            case .step(let step): return fail(step, at)
            }
            if length > bytes.count - at - 2 {
                // Even then what is there of the line end must be one.
                let end = at + length
                return fail(length < bytes.count - at && bytes[end] != 13 ? .damaged : .cut, min(end, bytes.count))
            }
            guard bytes[at + length] == 13, bytes[at + length + 1] == 10 else { return fail(.damaged, at + length) }
            arguments.append(bytes[at..<at + length])
            at += length + 2
        }
        offset = at
        return .command
    }

    private mutating func fail(_ step: Step, _ at: Int) -> Step {
        damage = at
        return step
    }

    func isAlone(_ name: StaticString) -> Bool { arguments.count == 1 && arguments[0].equals(ignoringCase: name) }

    /// After `.cut`: where, behind the command that is not whole, others follow that are whole up to the file's end. Then
    /// a length in it was damaged, as a crash leaves nothing behind what it cut. nil where there are none.
    func wholeCommandBehind() -> Int? {
        var at = start + 1
        while at + 1 < bytes.count {
            guard bytes[at] == 10, bytes[at + 1] == UInt8(ascii: "*") else {
                at += 1
                continue
            }
            var parser = AOFParser(bytes: bytes, offset: at + 1)
            var step = parser.next()
            while step == .command { step = parser.next() }
            if step == .end { return at + 1 }
            // What began before the fault has been tried.
            at = max(at + 1, parser.start)
        }
        return nil
    }

    private enum Number {
        case value(Int)
        case step(Step)
    }

    /// `marker`, digits, LF or CR LF. `at` goes behind it, or stays on the byte that is at fault.
    private func number(after marker: UInt8, _ at: inout Int) -> Number {
        if at == bytes.count { return .step(.cut) }
        if bytes[at] != marker { return .step(.damaged) }
        at += 1
        var value = 0
        var digits = 0
        while at < bytes.count {
            let c = bytes[at]
            if digits > 0 && c == 10 {
                at += 1
                return .value(value)
            }
            if digits > 0 && c == 13 {
                if at + 1 == bytes.count { return .step(.cut) }
                if bytes[at + 1] != 10 { return .step(.damaged) }
                at += 2
                return .value(value)
            }
            if c < 48 || c > 57 || digits == 10 { return .step(.damaged) }
            value = value * 10 + Int(c - 48)
            digits += 1
            at += 1
        }
        return .step(.cut)
    }
}
