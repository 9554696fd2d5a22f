import CShims
import Glibc

// Invariant of this file: a segment is mapped read-only while it is read; `Bytes` that are handed out lie in the map.

/// What reading the log found.
public struct RecoveredLog: Sendable {
    /// The last segment, where it ends, and what was replayed.
    public var segment: Int64
    public var end: SegmentEnd
    public var commands = 0
    /// No segment at all was there.
    public var isEmpty = false
}

/// Reads the log at start: checks every batch, hands its commands out, cuts a torn tail and refuses all other damage.
public struct LogReader {
    let directory: String
    let baseName: String
    let server: String
    /// Whether a torn tail may be cut (aof-load-truncated).
    let mayCutTail: Bool
    let warn: (String) -> Void

    public init(
        directory: String, baseName: String, server: String, mayCutTail: Bool = true, warn: @escaping (String) -> Void
    ) {
        self.directory = directory
        self.baseName = baseName
        self.server = server
        self.mayCutTail = mayCutTail
        self.warn = warn
    }

    /// The server that the first readable segment header names; nil when there is no log, or only a file that was
    /// being made when the server stopped. Throws where a log has no header that can be read: that is not none.
    public static func owner(directory: String, baseName: String) throws(StorageError) -> (
        server: String, first: Int64
    )? {
        for number in try LogFormat.segments(directory: directory, base: baseName) {
            let path = directory + "/" + LogFormat.fileName(baseName, number)
            let map = try MappedFile(path)
            defer { map.unmap() }
            var parser = LogParser(bytes: map.bytes)
            if parser.next() == .command, parser.arguments.count == 2,
                let header = LogFormat.header(in: parser.arguments[1])
            {
                return (header.server, number)
            }
            if map.bytes.count > LogFormat.headerSize {
                throw StorageError(
                    file: path, offset: 0,
                    message: "this log segment's header is damaged: bring the file back from a backup, or move it away "
                        + "to give up all that it holds")
            }
        }
        return nil
    }

    /// Replays the segments from `first` on: `apply` gets each command's arguments, valid during the call. ECHO of our
    /// records is not handed out, MULTI and EXEC are; a transaction comes whole or not at all. Throws for damage other
    /// than a torn tail, for missing and foreign segments, saying what the user can do, and what `apply` throws.
    public func recover(
        from first: Int64, apply: (UnsafeBufferPointer<Bytes>) throws(StorageError) -> Void
    ) throws(StorageError) -> RecoveredLog {
        var numbers = try LogFormat.segments(directory: directory, base: baseName).filter { $0 >= first }
        while let last = numbers.last, numbers.count > 1 || last > first, try discardUnfinished(last) {
            numbers.removeLast()
        }
        var result = RecoveredLog(segment: first, end: SegmentEnd())
        if numbers.isEmpty {
            result.isEmpty = true
            return result
        }
        for (index, number) in numbers.enumerated() {
            let expected = first + Int64(index)
            if number != expected {
                throw StorageError(
                    file: path(expected),
                    message:
                        "this log segment is missing, though later ones exist: put it back, or move the later ones "
                        + "away to start with what was written before it")
            }
            let previous = index == 0 ? nil : result.end
            result.end = try read(number, previous, isLast: number == numbers.last, &result.commands, apply)
            result.segment = number
        }
        return result
    }

    private func path(_ number: Int64) -> String { directory + "/" + LogFormat.fileName(baseName, number) }

    /// A crash while a segment was made leaves an empty file or part of its header. Only a header that is whole and
    /// durable ever has something behind it, so that a longer file is damaged, not unfinished.
    private func discardUnfinished(_ number: Int64) throws(StorageError) -> Bool {
        let map = try MappedFile(path(number))
        defer { map.unmap() }
        if map.bytes.count > LogFormat.headerSize || map.bytes.isWholeHeader { return false }
        warn("The log segment \(path(number)) was being made when the server stopped: discarded")
        if unlink(path(number)) != 0 { throw .system(path(number), "cannot delete the unfinished segment") }
        try syncDirectory(directory)
        return true
    }

    // MARK: One segment

    private func read(
        _ number: Int64, _ previous: SegmentEnd?, isLast: Bool, _ commands: inout Int,
        _ apply: (UnsafeBufferPointer<Bytes>) throws(StorageError) -> Void
    ) throws(StorageError) -> SegmentEnd {
        let path = path(number)
        let map = try MappedFile(path)
        defer { map.unmap() }
        var parser = LogParser(bytes: map.bytes)
        var end = SegmentEnd()
        var batch = LogBatch()
        var hasHeader = false
        while true {
            let start = parser.offset
            let step = parser.next()
            guard step == .command else {
                if step == .end && end.offset == Int64(start) { break }
                let isLost = map.bytes.isLostPage(at: parser.damage, behind: Int(end.offset))
                return try tornTail(path, map, end, isLast: isLast, isLost: isLost, at: parser.damage)
            }
            guard parser.arguments.count == 2, parser.arguments[0].equals(ignoringCase: "echo"),
                let check = LogFormat.check(in: parser.arguments[1])
            else {
                batch.append(parser.arguments)
                continue
            }
            if LogFormat.crc(map.bytes[Int(end.offset)..<start]) != check {
                let isLost = map.bytes.holdsLostPage(in: Int(end.offset)..<start)
                return try tornTail(path, map, end, isLast: isLast, isLost: isLost, at: Int(end.offset))
            }
            if !hasHeader {
                try checkHeader(batch, number, previous, path)
                hasHeader = true
            }
            guard batch.isWhole else {
                throw StorageError(
                    file: path, offset: end.offset, message: "a transaction that is not whole, in a batch that is")
            }
            try batch.forEach { (arguments) throws(StorageError) in
                try apply(arguments)
                commands += 1
            }
            batch.removeAll()
            end = SegmentEnd(offset: Int64(parser.offset), check: check)
        }
        if !hasHeader { throw StorageError(file: path, offset: 0, message: "no log segment of this server") }
        return end
    }

    private func checkHeader(
        _ batch: LogBatch, _ number: Int64, _ previous: SegmentEnd?, _ path: String
    ) throws(StorageError) {
        guard let tag = batch.first(argument: 1), let header = LogFormat.header(in: tag) else {
            throw StorageError(
                file: path, offset: 0, message: "this log segment has no header: it is not this server's")
        }
        if header.server != server {
            throw StorageError(
                file: path, offset: 0,
                message:
                    "this log was written by server \(header.server), the snapshot by \(server): they do not belong "
                    + "together; bring the snapshot or the log that goes with the other")
        }
        if header.segment != number {
            throw StorageError(file: path, offset: 0, message: "this is segment \(header.segment) under another's name")
        }
        if let previous, previous != header.previous {
            throw StorageError(
                file: path, offset: 0,
                message:
                    "the segment before ends at byte \(previous.offset), but ended at \(header.previous.offset) when "
                    + "this one was begun: bring back the whole one")
        }
    }

    // MARK: Damage

    /// What follows the last whole batch is damaged. In the last segment, with no sign that more was written behind
    /// it, that is what a crash leaves: cut. Anything else is refused, as replaying on would leave a hole. `isLost`: the
    /// damage is a page that a power cut lost, which may have one batch's end behind it.
    private func tornTail(
        _ path: String, _ map: MappedFile, _ end: SegmentEnd, isLast: Bool, isLost: Bool, at offset: Int
    ) throws(StorageError) -> SegmentEnd {
        let tail = map.bytes[Int(end.offset)..<map.bytes.count]
        if !isLast || end.offset == 0 || tail.checkRecords > (isLost ? 1 : 0) {
            throw StorageError(
                file: path, offset: Int64(offset),
                message:
                    "the log is damaged here, and was written further: bring the file back from a backup, or cut it "
                    + "at byte \(end.offset) to give up all that was written after it")
        }
        if !mayCutTail {
            throw StorageError(
                file: path, offset: end.offset,
                message: "the log ends in the middle of a batch; `aof-load-truncated yes` cuts it here")
        }
        try cut(path, tail, at: end.offset)
        warn("\(path) ended in \(tail.count) bytes of an unfinished batch: cut at byte \(end.offset), kept as .torn")
        return end
    }

    private func cut(_ path: String, _ tail: Bytes, at offset: Int64) throws(StorageError) {
        let aside = path + ".torn"
        let copy = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        if copy < 0 { throw .system(aside, "cannot keep the torn tail") }
        var end: Int64 = 0
        let kept = OutputBuffer(capacity: tail.count)
        kept.append(tail)
        var code = LogFile.append(kept, to: copy, end: &end, .real)
        if code == 0 && fsync(copy) != 0 { code = lastError() }
        close(copy)
        if code != 0 { throw .system(aside, "cannot keep the torn tail", code: code) }
        // The copy's name first: a power cut must not leave neither.
        try syncDirectory(directory)
        let file = open(path, O_WRONLY | O_CLOEXEC)
        if file < 0 { throw .system(path, "cannot open the log") }
        let isCut = ftruncate(file, off_t(offset)) == 0 && fsync(file) == 0
        let cutCode = errno
        close(file)
        if !isCut { throw .system(path, "cannot cut the torn tail", code: cutCode) }
    }
}

extension Bytes {
    /// Check records, well formed, whether what they check is sound or not; at most 2 are counted.
    fileprivate var checkRecords: Int {
        let prefix = Bytes(LogFormat.checkPrefix)
        var found = 0
        var offset = 0
        while offset + LogFormat.checkSize <= count, found < 2 {
            guard let hit = cshims_find(base + offset, count - offset, prefix.base, prefix.count) else { break }
            let at = hit - base
            if at + LogFormat.checkSize <= count, LogFormat.check(in: self[at + 19..<at + 38]) != nil,
                self[at + 38] == 13, self[at + 39] == 10
            {
                found += 1
            }
            offset = at + 1
        }
        return found
    }
}

/// A file's bytes, mapped.
struct MappedFile {
    let bytes: Bytes

    init(_ path: String) throws(StorageError) {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        if file < 0 { throw .system(path, "cannot open") }
        defer { close(file) }
        var info = stat()
        if fstat(file, &info) != 0 { throw .system(path, "cannot read its size") }
        if info.st_size == 0 {
            bytes = Bytes()
            return
        }
        let size = Int(info.st_size)
        guard let map = mmap(nil, size, PROT_READ, MAP_PRIVATE, file, 0), map != MAP_FAILED else {
            throw .system(path, "cannot map")
        }
        madvise(map, size, MADV_SEQUENTIAL)
        bytes = Bytes(map, size)
    }
    func unmap() {
        if !bytes.isEmpty { munmap(UnsafeMutableRawPointer(mutating: bytes.base), bytes.count) }
    }
}

/// The commands of a batch, until its check has been seen.
struct LogBatch {
    private var arguments: [Bytes] = []
    private var counts: [Int] = []

    mutating func append(_ command: [Bytes]) {
        arguments.append(contentsOf: command)
        counts.append(command.count)
    }
    mutating func removeAll() {
        arguments.removeAll(keepingCapacity: true)
        counts.removeAll(keepingCapacity: true)
    }
    func first(argument: Int) -> Bytes? {
        guard let count = counts.first, argument < count else { return nil }
        return arguments[argument]
    }
    /// Every MULTI has its EXEC.
    var isWhole: Bool {
        var isOpen = false
        var at = 0
        for count in counts {
            defer { at += count }
            if count != 1 { continue }
            if arguments[at].equals(ignoringCase: "multi") { isOpen = true }
            if arguments[at].equals(ignoringCase: "exec") { isOpen = false }
        }
        return !isOpen
    }
    /// Each command but our own records.
    func forEach(_ body: (UnsafeBufferPointer<Bytes>) throws(StorageError) -> Void) throws(StorageError) {
        var at = 0
        for count in counts {
            defer { at += count }
            if count == 2 && arguments[at].equals(ignoringCase: "echo") { continue }
            let failure: StorageError? = arguments.withUnsafeBufferPointer { all in
                do throws(StorageError) {
                    try body(UnsafeBufferPointer(rebasing: all[at..<at + count]))
                    return nil
                } catch {
                    return error
                }
            }
            if let failure { throw failure }
        }
    }
}
