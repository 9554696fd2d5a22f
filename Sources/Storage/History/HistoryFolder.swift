/// What lies in a data directory's folder `history`: kept checkpoints, and the log's segments behind them. Names tell what
/// a file is, so that no file has to be opened to know what there is:
///
///     history/SERVER.CHECKPOINT.SEGMENT.MILLISECONDS.sqlite      a kept checkpoint, and when it was saved
///     history/SERVER.appendonly.aof.SEGMENT                      a segment
///
/// SERVER is the uuid of who wrote both, which a restore changes: files of one server are one line of events.
struct HistoryFolder: Sendable {
    /// The data directory.
    let directory: String
    let logName: String
    let files: any FileSystem

    struct Kept: Sendable, Equatable {
        let server: String
        let checkpoint: Int64
        /// The first one behind it; 0: no log was kept.
        let segment: Int64
        /// Milliseconds since 1970.
        let savedAt: Int64
        let path: String
        let bytes: Int64
    }

    struct Segment: Sendable {
        let server: String
        let number: Int64
        let path: String
        let bytes: Int64
    }

    var path: String { directory + "/history" }
    /// Where a checkpoint is written that is to be kept.
    var unfinished: String { path + "/next.sqlite" }
    /// Which restore was done last.
    var restored: String { path + "/restored" }

    /// What the names of a server's segments begin with, as a path.
    func segments(of server: String) -> String { "\(path)/\(server).\(logName)" }

    private var names: [String] { (try? files.names(in: path)) ?? [] }

    /// Kept checkpoints of all servers, the oldest first.
    func kept() -> [Kept] {
        names.compactMap(kept(named:)).sorted { ($0.savedAt, $0.checkpoint) < ($1.savedAt, $1.checkpoint) }
    }
    private func kept(named name: String) -> Kept? {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 5, parts[4] == "sqlite", parts[0].utf8.count == LogFormat.serverSize,
            let checkpoint = number(parts[1]), let segment = number(parts[2]), let savedAt = number(parts[3])
        else { return nil }
        let path = path + "/" + name
        return Kept(
            server: String(parts[0]), checkpoint: checkpoint, segment: segment, savedAt: savedAt, path: path,
            bytes: files.size(path) ?? 0)
    }

    /// As far as `Meta` goes, so that counting with it cannot overflow.
    private func number(_ digits: Substring) -> Int64? {
        digits.utf8.count <= 15 && digits.utf8.allSatisfy { $0 >= 48 && $0 <= 57 } ? Int64(digits) : nil
    }

    /// Kept segments of all servers, each server's ascending.
    func segments() -> [Segment] {
        var found: [Segment] = []
        for name in names {
            let server = String(name.prefix(LogFormat.serverSize))
            guard let number = LogFormat.segmentNumber(name, base: "\(server).\(logName)") else { continue }
            let path = path + "/" + name
            found.append(Segment(server: server, number: number, path: path, bytes: files.size(path) ?? 0))
        }
        return found.sorted { ($0.server, $0.number) < ($1.server, $1.number) }
    }

    /// The highest number of a server's segments that is kept; 0: there is none.
    func lastSegment(of server: String) -> Int64 {
        segments().reduce(0) { $1.server == server ? max($0, $1.number) : $0 }
    }

    // MARK: Taking in

    /// Takes the live log's segments up to `number` in, durably; with `removing` they are not among the live ones any more
    /// then. Throws where that fails; what is taken in by then stays.
    func take(segmentsOf server: String, through number: Int64, removing: Bool) throws(StorageError) {
        let found = try LogFormat.segments(directory: directory, base: logName, files).filter { $0 <= number }
        if found.isEmpty { return }
        try files.haveDirectory(path)
        for number in found {
            let live = directory + "/" + LogFormat.fileName(logName, number)
            try take(live, as: LogFormat.fileName(segments(of: server), number))
        }
        // Here before it goes there: a power cut may leave both names, and never none.
        try files.syncNames(in: path)
        if !removing { return }
        for number in found { files.remove(directory + "/" + LogFormat.fileName(logName, number)) }
        try files.syncNames(in: directory)
    }
    private func take(_ live: String, as name: String) throws(StorageError) {
        if let there = files.facts(name) {
            if there.identity == files.facts(live)?.identity { return }
            // A log that began anew: what it says counts, and the reader sees that nothing leads to it.
            files.remove(name)
        }
        do throws(FileError) {
            try files.link(live, to: name)
        } catch {
            throw .system(name, "cannot keep a log segment", error)
        }
    }

    /// Keeps a copy of `snapshot`, which may be in use. Durable when this returns. O(its pages).
    func keep(_ snapshot: String, progress: SnapshotCopy.Progress = { _, _ in true }) throws(StorageError) {
        try files.haveDirectory(path)
        let meta = try SnapshotCopy.make(
            of: snapshot, at: unfinished, .withLog, overwrite: true, files: files, progress: progress)
        let name = "\(path)/\(meta.server).\(meta.checkpoint).\(meta.segment).\(meta.savedAtMs).sqlite"
        do throws(FileError) {
            try files.rename(unfinished, to: name)
        } catch {
            throw .system(name, "cannot keep a checkpoint", error)
        }
        try files.syncNames(in: path)
    }

    /// Deletes what a process that was killed has left unfinished. Nobody else may be at work here.
    func removeLeftovers() {
        NewSnapshot.removeLeftovers(of: unfinished, isOurs: true, files: files)
        if files.facts(unfinished) != nil { OutputFile.removeDatabase(unfinished, files) }
    }

    /// Whether a segment's last batch says that the next one may go on from other data.
    func endsInRupture(_ path: String) -> Bool {
        guard let size = files.size(path), size >= Int64(LogFormat.ruptureSize), let file = try? files.open(path, .read)
        else { return false }
        defer { files.close(file) }
        var bytes = [UInt8](repeating: 0, count: LogFormat.ruptureSize)
        let offset = size - Int64(LogFormat.ruptureSize)
        let got = bytes.withUnsafeMutableBytes { buffer in
            buffer.baseAddress.flatMap { try? files.readAll(file, into: $0, buffer.count, at: offset) }
        }
        return got == LogFormat.ruptureSize
            && String(decoding: bytes, as: UTF8.self).contains("\r\n\(LogFormat.ruptureTag)\r\n")
    }
}
