/// What reading the log found.
public struct RecoveredLog: Sendable {
    /// The last segment, where it ends, and what was replayed.
    public var segment: Int64
    public var end: SegmentEnd
    public var commands = 0
    /// The first segment that was read.
    var first: Int64 = 0
    /// Bytes of what was replayed as it was propagated: the log's own records and local bytes do not count.
    public var propagatedBytes = 0
    /// The last history that the stream was given in what was read; nil: none.
    public var history: LogHistory?
    /// The database that the stream has selected; nil: it has selected none.
    public var database: Int?
    /// The database that whoever replayed it all has selected.
    var replayedDatabase = 0
    /// No segment at all was there.
    public var isEmpty = false
    /// How the last segment's batches check themselves: it goes on like that.
    var version = LogFormat.Version.chained
}

/// Reads the log at start: checks every batch, hands its commands out, cuts a torn tail and refuses all other damage.
public struct LogReader {
    let directory: String
    let baseName: String
    let server: String
    /// Whether a torn tail may be cut (aof-load-truncated).
    let mayCutTail: Bool
    /// The last segment that is known to have been whole on disk with all before it, from the directory's record; nil:
    /// there is no record, as in a restored backup.
    let durable: Int64?
    /// Segments that are not in `directory` any more lie here, under names that begin so; nil: nowhere.
    let kept: String?
    private let files: any FileSystem
    let warn: (String) -> Void

    public init(
        directory: String, baseName: String, server: String, mayCutTail: Bool = true, durable: Int64? = nil,
        kept: String? = nil, files: any FileSystem = Host.real.files, warn: @escaping (String) -> Void
    ) {
        self.directory = directory
        self.baseName = baseName
        self.kept = kept
        self.server = server
        self.mayCutTail = mayCutTail
        self.durable = durable
        self.files = files
        self.warn = warn
    }

    /// The server that the first readable segment header names; nil when there is no log, or only a file that was
    /// being made when the server stopped. Throws where a log has no header that can be read: that is not none.
    public static func owner(
        directory: String, baseName: String, files: any FileSystem = Host.real.files
    ) throws(StorageError) -> (server: String, first: Int64)? {
        for number in try LogFormat.segments(directory: directory, base: baseName, files) {
            let path = directory + "/" + LogFormat.fileName(baseName, number)
            let map = try MappedFile(path, files)
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

    /// Replays the segments from `first` on, up to `last`, behind which there is only what a running server prepares:
    /// `apply` gets each command's arguments, valid during the call. ECHO of our records is not handed out, MULTI and
    /// EXEC are; a transaction comes whole or not at all. Throws for damage other than what a crash leaves, for missing
    /// and foreign segments, and for what `apply` throws, with segment, offset and what the user can do.
    public func recover(
        from first: Int64, through last: Int64 = .max,
        apply: (UnsafeBufferPointer<Bytes>) throws(StorageError) -> Void
    ) throws(StorageError) -> RecoveredLog {
        try read(from: first, through: last, until: nil, mayChange: true) { (event, _) throws(StorageError) in
            if case .command(let arguments) = event { try apply(arguments) }
        }
    }

    /// As `recover`, but changes nothing: what a crash has left at the end is passed over. Ends before `end`, where that is
    /// given, and tells `visit` of all that it comes across, with its place.
    func look(
        from first: Int64, until end: LogPlace? = nil,
        _ visit: (LogEvent, LogPlace) throws(StorageError) -> Void
    ) throws(StorageError) -> RecoveredLog {
        try read(from: first, through: end?.segment ?? .max, until: end, mayChange: false, visit)
    }

    /// Numbers of the segments that are there, ascending, from `first` on. Unfinished ones at the end are not among them.
    func numbers(from first: Int64) throws(StorageError) -> [Int64] {
        var numbers = try all().filter { $0 >= first }
        while let last = numbers.last, try isUnfinished(last) { numbers.removeLast() }
        return numbers
    }

    private func all() throws(StorageError) -> [Int64] {
        var numbers = try LogFormat.segments(directory: directory, base: baseName, files)
        if let kept {
            let (folder, base) = (parentDirectory(of: kept), kept.split(separator: "/").last ?? "")
            let older = try LogFormat.segments(directory: folder, base: String(base), files)
            numbers = Set(numbers).union(older).sorted()
        }
        return numbers
    }

    private func read(
        from first: Int64, through last: Int64, until end: LogPlace?, mayChange: Bool,
        _ visit: (LogEvent, LogPlace) throws(StorageError) -> Void
    ) throws(StorageError) -> RecoveredLog {
        var numbers = try all().filter { $0 >= first && $0 <= last }
        while let last = numbers.last, numbers.count > 1 || last > first,
            try mayChange ? discardUnfinished(last) : isUnfinished(last)
        { numbers.removeLast() }
        var result = RecoveredLog(segment: first, end: SegmentEnd(), first: first)
        if numbers.isEmpty {
            result.isEmpty = true
            return result
        }
        try checkNumbers(numbers, first, isAll: mayChange)
        for (index, number) in numbers.enumerated() {
            let map = try MappedFile(path(number), files)
            defer { map.unmap() }
            var segment = SegmentReading(path: path(number), number: number, bytes: map.bytes)
            let previous = index == 0 ? nil : result
            let later = numbers[(index + 1)...]
            switch try read(&segment, previous, &result, until: end, visit) {
            case .whole: break
            case .reached:
                result.take(segment)
                return result
            case .torn(let offset):
                guard later.isEmpty || isUnproven(later.startIndex, numbers) else {
                    throw segment.damage(at: offset)
                }
                if !mayChange {
                    result.take(segment)
                    return result
                }
                try checkMayCut(segment)
                try setAside(later)
                try cut(segment)
                result.take(segment)
                return result
            case .behindALostEnd:
                if !mayChange { return result }
                try checkMayCut(segment)
                try setAside(numbers[index...])
                return result
            }
            result.take(segment)
        }
        return result
    }

    /// Bytes of the segments from `first` on; 0 where that cannot be found out.
    public func size(from first: Int64) -> Int {
        guard let numbers = try? LogFormat.segments(directory: directory, base: baseName, files) else { return 0 }
        return numbers.reduce(0) { $1 < first ? $0 : $0 + Int(clamping: files.size(path($1)) ?? 0) }
    }

    func path(_ number: Int64) -> String {
        let path = directory + "/" + LogFormat.fileName(baseName, number)
        guard let kept, files.facts(path) == nil else { return path }
        return LogFormat.fileName(kept, number)
    }

    /// Every segment from `first` to the last that was made is there.
    /// With `isAll`, none that is known of may be missing behind them.
    private func checkNumbers(_ numbers: [Int64], _ first: Int64, isAll: Bool) throws(StorageError) {
        for (index, number) in numbers.enumerated() where number != first + Int64(index) {
            throw StorageError(
                file: path(first + Int64(index)),
                message: "this log segment is missing, though later ones exist: put it back, or move the later ones "
                    + "away to start with what was written before it")
        }
        if isAll, let durable, let last = numbers.last, last < durable {
            throw StorageError(
                file: path(last + 1),
                message: "this log segment is missing, though it was written (swiftlet.lock names segment \(durable)): "
                    + "put it back, or remove swiftlet.lock to start with what was written before it")
        }
    }

    /// Whether the segment at `index` was begun before the one in front of it was known to be on disk: a power cut may
    /// have left it without the end of that one.
    private func isUnproven(_ index: Int, _ numbers: [Int64]) -> Bool {
        guard let durable, index > 0, index < numbers.count else { return false }
        return numbers[index] > durable
    }

    /// Whether there is no more than a beginning of a header: the segment was being made, or is made ahead.
    private func isUnfinished(_ number: Int64) throws(StorageError) -> Bool {
        let map = try MappedFile(path(number), files)
        defer { map.unmap() }
        return map.bytes.count <= LogFormat.headerSize && !map.bytes.isWholeHeader
    }

    /// A crash while a segment was made leaves an empty file or part of its header.
    private func discardUnfinished(_ number: Int64) throws(StorageError) -> Bool {
        let map = try MappedFile(path(number), files)
        defer { map.unmap() }
        if map.bytes.count > LogFormat.headerSize || map.bytes.isWholeHeader { return false }
        if let durable, durable >= number {
            throw StorageError(
                file: path(number), offset: Int64(map.bytes.count),
                message: "this log segment was written further: bring the file back from a backup, or remove it and "
                    + "swiftlet.lock to give up all that it held")
        }
        // One that was prepared and not begun is empty.
        if !map.bytes.isEmpty {
            warn("The log segment \(path(number)) was being made when the server stopped: discarded")
        }
        do throws(FileError) {
            try files.unlink(path(number))
        } catch {
            throw .system(path(number), "cannot delete the unfinished segment", error)
        }
        try files.syncNames(in: directory)
        return true
    }

    // MARK: One segment

    private enum Outcome {
        case whole
        /// The place where reading was to end.
        case reached
        /// What follows `end` is what a crash leaves of a batch; the damage is at this offset.
        case torn(Int)
        /// The segment was begun behind an end of the one before that a power cut took.
        case behindALostEnd
    }

    private func read(
        _ segment: inout SegmentReading, _ previous: RecoveredLog?, _ result: inout RecoveredLog, until end: LogPlace?,
        _ visit: (LogEvent, LogPlace) throws(StorageError) -> Void
    ) throws(StorageError) -> Outcome {
        let bytes = segment.bytes
        var parser = LogParser(bytes: bytes)
        var batch = LogBatch()
        while true {
            let start = parser.offset
            let step = parser.next()
            guard step == .command else {
                if step == .end && segment.end.offset == Int64(start) && segment.hasHeader { return .whole }
                let damage = step == .end ? start : parser.damage
                return try judge(
                    segment, previous, damage, step == .end || parser.isCutShort ? .cutShort : .malformed)
            }
            guard parser.arguments.count == 2, parser.arguments[0].equals(ignoringCase: "echo") else {
                batch.append(parser.arguments, at: start)
                continue
            }
            guard let check = LogFormat.check(in: parser.arguments[1]) else {
                if segment.hasHeader && LogFormat.header(in: parser.arguments[1]) != nil {
                    throw segment.damage(
                        at: start, "another segment's header: two files were put together, or one was repeated")
                }
                if !batch.take(record: parser.arguments[1], start, parser.offset) {
                    batch.append(parser.arguments, at: start)
                }
                continue
            }
            let header = segment.hasHeader ? nil : batch.first(argument: 1).flatMap { LogFormat.header(in: $0) }
            if let header { segment.version = header.version }
            let begin = Int(segment.end.offset)
            if segment.version.check(bytes[begin..<start], after: segment.end.check, at: Int64(start)) != check {
                return try judge(segment, previous, begin, .mismatch(until: start))
            }
            let isHeader = !segment.hasHeader
            if isHeader {
                if try isBehindALostEnd(header, segment, previous) { return .behindALostEnd }
                segment.hasHeader = true
            }
            guard batch.isWhole else {
                throw segment.damage(at: begin, "a transaction that is not whole, in a batch that is")
            }
            guard batch.localEnd <= start, batch.uncounted <= start - begin else {
                throw segment.damage(at: begin, "a record announces more than the batch holds")
            }
            let isEnd = try hand(
                batch, of: segment, begin..<parser.offset, isHeader: isHeader, &result, until: end, visit)
            if isEnd { return .reached }
            if !isHeader { result.propagatedBytes += start - begin - batch.uncounted }
            batch.removeAll()
            segment.end = SegmentEnd(offset: Int64(parser.offset), check: check)
        }
    }

    /// Hands out what a batch holds, which stands at `range`. True where `end` lies in it or before it.
    private func hand(
        _ batch: LogBatch, of segment: SegmentReading, _ range: Range<Int>, isHeader: Bool,
        _ result: inout RecoveredLog, until end: LogPlace?, _ visit: (LogEvent, LogPlace) throws(StorageError) -> Void
    ) throws(StorageError) -> Bool {
        func place(_ offset: Int) -> LogPlace { LogPlace(segment: segment.number, offset: Int64(offset)) }
        let begin = place(range.lowerBound)
        if let end, begin >= end { return true }
        try visit(.batch(end: Int64(range.upperBound)), begin)
        if let time = batch.time { try visit(.time(time), begin) }
        if let history = batch.history { result.history = history }
        var isEnd = false
        try batch.forEach { (arguments, offset) throws(StorageError) in
            if let end, place(offset) >= end { isEnd = true }
            if isEnd || arguments[0].isOverwritten { return }
            if let database = arguments.selectedDatabase {
                result.replayedDatabase = database
                // A segment begins like that, whatever the stream has selected.
                if !isHeader { result.database = database }
            }
            do throws(StorageError) {
                try visit(.command(arguments), place(offset))
            } catch {
                throw segment.damage(at: offset, error.message)
            }
            result.commands += 1
        }
        if batch.isRupture { try visit(.rupture, begin) }
        return isEnd
    }

    /// Checks a header; true when it was begun behind an end of the segment before that a power cut took.
    private func isBehindALostEnd(
        _ header: LogFormat.Header?, _ segment: SegmentReading, _ previous: RecoveredLog?
    ) throws(StorageError) -> Bool {
        func failure(_ message: String) -> StorageError {
            StorageError(file: segment.path, offset: 0, message: message)
        }
        guard let header else { throw failure("this log segment has no header: it is not this server's") }
        if header.server != server {
            throw failure(
                "this log was written by server \(header.server), the snapshot by \(server): they do not belong "
                    + "together; bring the snapshot or the log that goes with the other")
        }
        if header.segment != segment.number {
            throw failure("this is segment \(header.segment) under another's name: give it its own name back")
        }
        guard let previous, previous.end != header.previous else { return false }
        if let durable, segment.number > durable, previous.end.offset < header.previous.offset { return true }
        throw failure(
            "the segment before ends at byte \(previous.end.offset), but ended at \(header.previous.offset) when this "
                + "one was begun: bring back the whole one, or move this one and later ones away, and swiftlet.lock, to "
                + "start with what was written before")
    }

    // MARK: Damage

    /// What follows the last whole batch is damaged. With no sign that more was written behind it, that is what a crash
    /// leaves. Anything else is refused, as replaying on would leave a hole.
    private func judge(
        _ segment: SegmentReading, _ previous: RecoveredLog?, _ offset: Int, _ kind: LogTail.Damage
    ) throws(StorageError) -> Outcome {
        if segment.hasHeader {
            let tail = LogTail(bytes: segment.bytes, end: segment.end, version: segment.version)
            if tail.isLeftByACrash(kind, at: offset) { return .torn(offset) }
        } else if previous != nil, let durable, segment.number > durable,
            segment.bytes.isEmpty || segment.bytes.isLostPage(at: 0, behind: 0)
        {
            // Its first page never reached the disk.
            return .behindALostEnd
        }
        if segment.bytes.isEmpty { throw segment.damage(at: 0, "this log segment is empty") }
        throw segment.damage(at: offset)
    }

    private func checkMayCut(_ segment: SegmentReading) throws(StorageError) {
        if mayCutTail { return }
        throw StorageError(
            file: segment.path, offset: segment.end.offset,
            message: "the log ends in the middle of a batch; `aof-load-truncated yes` cuts it here")
    }

    /// Takes segments out of the log that a power cut left without the end of the one before; they are kept.
    private func setAside(_ numbers: ArraySlice<Int64>) throws(StorageError) {
        for number in numbers.reversed() {
            do throws(FileError) {
                try files.rename(path(number), to: path(number) + ".torn")
            } catch {
                throw .system(path(number), "cannot set aside", error)
            }
            warn(
                "\(path(number)) was begun before the end of the segment before it was on disk, and that end is lost: "
                    + "kept as .torn")
        }
        if !numbers.isEmpty { try files.syncNames(in: directory) }
    }

    private func cut(_ segment: SegmentReading) throws(StorageError) {
        let path = segment.path
        let tail = segment.bytes[Int(segment.end.offset)..<segment.bytes.count]
        let aside = path + ".torn"
        do throws(FileError) {
            let copy = try files.open(aside, .appendEmpty)
            defer { files.close(copy) }
            try files.writeAll(copy, tail, at: 0)
            try files.sync(copy, .all)
        } catch {
            throw .system(aside, "cannot keep the torn tail", error)
        }
        // The copy's name first: a power cut must not leave neither.
        try files.syncNames(in: directory)
        do throws(FileError) {
            let file = try files.open(path, .write)
            defer { files.close(file) }
            try files.truncate(file, to: segment.end.offset)
            try files.sync(file, .all)
        } catch {
            throw .system(path, "cannot cut the torn tail", error)
        }
        warn(
            "\(path) ended in \(tail.count) bytes of an unfinished batch: cut at byte \(segment.end.offset), kept as .torn"
        )
    }
}

/// A segment that is being read.
private struct SegmentReading {
    let path: String
    let number: Int64
    let bytes: Bytes
    var version = LogFormat.Version.alone
    var hasHeader = false
    /// Behind the last whole batch.
    var end = SegmentEnd()

    /// Damage that no crash explains. `what` goes before what the user can do.
    func damage(
        at offset: Int, _ what: String = "the log is damaged here, and was written further"
    ) -> StorageError {
        let remedy =
            hasHeader
            ? "bring the file back from a backup, or cut it at byte \(end.offset) to give up all that was written after it"
            : "bring the file back from a backup, or move it and later ones away to give up all that they hold"
        return StorageError(file: path, offset: Int64(offset), message: "\(what): \(remedy)")
    }
}

extension RecoveredLog {
    fileprivate mutating func take(_ read: SegmentReading) {
        segment = read.number
        end = read.end
        version = read.version
    }
}

extension Bytes {
    /// A command's name that a replica has overwritten, as it could not execute it: its master's bytes stay as many.
    fileprivate var isOverwritten: Bool {
        if isEmpty || self[0] != UInt8(ascii: "#") { return false }
        return buffer.allSatisfy { $0 == UInt8(ascii: "#") }
    }
}

extension UnsafeBufferPointer<Bytes> {
    /// The database of a SELECT.
    fileprivate var selectedDatabase: Int? {
        guard count == 2, self[0].equals(ignoringCase: "select"), let number = self[1].integer, number >= 0 else {
            return nil
        }
        return Int(number)
    }
}
