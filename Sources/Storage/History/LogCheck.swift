/// What a data directory's log holds, what is wrong with it, and what is given up where it is cut there.
public struct LogCheck {
    public struct Segment: Sendable {
        public let number: Int64
        public let path: String
        /// Of the file, and of the batches in it that hold.
        public let bytes: Int64
        public fileprivate(set) var wholeBytes: Int64 = 0
        public fileprivate(set) var batches = 0
        public fileprivate(set) var commands = 0
        /// The first and the last time that it notes, in milliseconds since 1970; nil: none.
        public fileprivate(set) var firstTime: Int64?
        public fileprivate(set) var lastTime: Int64?

        fileprivate mutating func note(_ event: LogEvent) {
            switch event {
            case .batch(let end):
                wholeBytes = end
                batches += 1
            case .command: commands += 1
            case .time(let time):
                firstTime = firstTime ?? time
                lastTime = time
            case .rupture: break
            }
        }
    }

    /// What lies behind the place where a log has to be cut.
    public struct Loss: Sendable {
        /// The last good segment, and how many bytes of it are good.
        public let place: LogPlace
        public fileprivate(set) var bytes: Int64 = 0
        /// Of batches that end behind it, as far as that can be seen.
        public fileprivate(set) var batches = 0
        public fileprivate(set) var segments: [String] = []
        /// Nothing was written behind it but what a crash leaves: a server cuts that by itself.
        public let isLeftByACrash: Bool
    }

    public let directory: String
    public let server: String
    /// Those that a start replays, in order.
    public private(set) var segments: [Segment] = []
    /// nil: all is whole.
    public private(set) var damage: StorageError?
    public private(set) var loss: Loss?
    /// What can be restored beyond that: kept checkpoints and segments, their bytes, and the first moment in ms; nil: nothing.
    public private(set) var history = HistoryStatus()

    private let logName: String
    private let files: any FileSystem
    private let reader: LogReader
    private let first: Int64
    private let record: DataRecord?

    /// Reads all of the log that a start would replay. A server may be using the directory; what it writes meanwhile may
    /// look like what a crash leaves. Throws where there is no log, and where a file cannot be read. O(log).
    public init(
        _ directory: String, snapshotName: String, logName: String, files: any FileSystem = Host.real.files
    ) throws(StorageError) {
        self.directory = directory
        self.logName = logName
        self.files = files
        let snapshot = directory + "/" + snapshotName
        let hasCheckpoint = try Snapshot.state(path: snapshot, files: files) == .ready
        let meta = hasCheckpoint ? try SnapshotCopy.facts(snapshot, files: files).meta : nil
        let owner = try LogReader.owner(directory: directory, baseName: logName, files: files)
        if let meta, meta.segment == 0 {
            throw StorageError(file: snapshot, message: "no log belongs to this snapshot: a start takes it alone")
        }
        guard let server = meta?.server ?? owner?.server else {
            throw StorageError(file: directory, message: "there is no snapshot and no log here")
        }
        self.server = server
        first = meta?.segment ?? owner?.first ?? 1
        record = DataRecord.read(directory, files).flatMap { $0.server == server ? $0 : nil }
        reader = LogReader(
            directory: directory, baseName: logName, server: server, durable: record?.segment, files: files,
            warn: { _ in })
        try read()
        history = HistoryKeeper.status(HistoryFolder(directory: directory, logName: logName, files: files))
    }

    private mutating func read() throws(StorageError) {
        let numbers = try reader.numbers(from: first)
        var gap = first
        while numbers.contains(gap) { gap += 1 }
        var found: [Int64: Segment] = [:]
        for number in numbers where number < gap {
            let path = reader.path(number)
            found[number] = Segment(number: number, path: path, bytes: files.size(path) ?? 0)
        }
        do throws(StorageError) {
            _ = try reader.look(from: first, until: LogPlace(segment: gap)) { event, place in
                found[place.segment]?.note(event)
            }
        } catch {
            damage = error
        }
        let isMissing = gap <= max(numbers.last ?? 0, record?.segment ?? 0)
        if damage == nil && (isMissing || gap == first) {
            damage = StorageError(
                file: reader.path(gap), message: "this log segment is missing: put it back, or give up what follows")
        }
        segments = found.values.sorted { $0.number < $1.number }
        findLoss(numbers)
    }

    /// Looks for what lies behind the last batch that holds.
    private mutating func findLoss(_ numbers: [Int64]) {
        let last = segments.last { $0.wholeBytes > 0 }
        let place = LogPlace(segment: last?.number ?? first, offset: last?.wholeBytes ?? 0)
        let later = numbers.filter { $0 > place.segment }
        let rest = max(0, (files.size(reader.path(place.segment)) ?? 0) - place.offset)
        if damage == nil && rest == 0 && later.isEmpty { return }
        var loss = Loss(place: place, isLeftByACrash: damage == nil)
        loss.bytes = rest
        if rest > 0, let map = try? MappedFile(reader.path(place.segment), files) {
            let end = SegmentEnd(offset: place.offset, check: 0)
            loss.batches += LogTail(bytes: map.bytes, end: end, version: .chained).recordCount
            map.unmap()
        }
        for number in later {
            let path = reader.path(number)
            loss.segments.append(path)
            loss.bytes += files.size(path) ?? 0
            guard let map = try? MappedFile(path, files) else { continue }
            loss.batches += LogTail(bytes: map.bytes, end: SegmentEnd(), version: .chained).recordCount
            map.unmap()
        }
        self.loss = loss
    }

    /// Cuts the log behind its last good batch, so that a server starts with what stands before: what is given up is kept in
    /// files that end in `.cut`, whose names are returned. A crash leaves the log as it was, or cut further than it was. Throws
    /// where a server uses the directory.
    public func cut() throws(StorageError) -> [String] {
        guard let loss else { return [] }
        let host = Host(files: files, threads: Host.real.threads)
        let lock = try DirectoryLock(directory: directory, host)
        var kept: [String] = []
        // The last first: what is left is a log at any time.
        for path in loss.segments.reversed() { kept.append(try setAside(path)) }
        let path = reader.path(loss.place.segment)
        if loss.place.offset == 0 {
            // The snapshot's own segment has no header any more: one without a batch takes its place.
            if files.facts(path) != nil { kept.append(try setAside(path)) }
            let number = loss.place.segment
            let file = try SegmentFile.prepare(directory: directory, baseName: logName, number: number, files)
            try file.begin(LogWriter.header(number, server, SegmentEnd()), files)
        } else if files.size(path) ?? 0 > loss.place.offset {
            kept.append(try cutTail(path, at: loss.place.offset))
        }
        try lock.write(DataRecord(server: server, segment: loss.place.segment))
        return kept
    }

    private func freeName(_ path: String) -> String {
        var name = path + ".cut"
        var number = 1
        while files.isTaken(name) {
            number += 1
            name = "\(path).cut-\(number)"
        }
        return name
    }

    private func setAside(_ path: String) throws(StorageError) -> String {
        let name = freeName(path)
        do throws(FileError) {
            try files.rename(path, to: name)
        } catch {
            throw .system(path, "cannot be set aside", error)
        }
        try files.syncNames(in: directory)
        return name
    }

    private func cutTail(_ path: String, at offset: Int64) throws(StorageError) -> String {
        let name = freeName(path)
        let map = try MappedFile(path, files)
        defer { map.unmap() }
        do throws(FileError) {
            let copy = try files.open(name, .new(isPrivate: false))
            defer { files.close(copy) }
            try files.writeAll(copy, map.bytes[Int(offset)..<map.bytes.count], at: 0)
            try files.sync(copy, .all)
        } catch {
            throw .system(name, "cannot keep what is cut off", error)
        }
        // The copy's name first: a power cut must not leave neither.
        try files.syncNames(in: directory)
        do throws(FileError) {
            let file = try files.open(path, .write)
            defer { files.close(file) }
            try files.truncate(file, to: offset)
            try files.sync(file, .all)
        } catch {
            throw .system(path, "cannot be cut", error)
        }
        return name
    }
}
