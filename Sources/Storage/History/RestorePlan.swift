/// How a moment is restored: the checkpoint to begin with, and how much of the log behind it is replayed.
public struct RestorePlan: Sendable, Equatable {
    public let server: String
    /// The checkpoint's file, and when it was saved, in milliseconds since 1970.
    public let path: String
    public let savedAt: Int64
    /// The first segment to replay; 0: none is.
    public let segment: Int64
    /// Where the replay ends; nil: with the log.
    public let end: LogPlace?

    public var description: String {
        let base = "\(path), saved \(RestoreTarget.text(milliseconds: savedAt)) UTC"
        if segment == 0 { return base }
        return base + (end.map { ", and the log up to \($0)" } ?? ", and the log to its end")
    }
}

/// Finds out what a data directory can be restored to. Changes nothing. No server may be using the directory.
public struct HistorySearch {
    let folder: HistoryFolder
    let files: any FileSystem
    /// All checkpoints that there are, the oldest first; the live snapshot is one of them.
    private let bases: [HistoryFolder.Kept]
    /// Whose the live snapshot is, and the live log; nil: there is none.
    private let liveServer: String?
    private let logServer: String?
    private let durable: DataRecord?

    /// Throws where the directory cannot be read.
    init(_ folder: HistoryFolder, snapshot: String, durable: DataRecord?) throws(StorageError) {
        self.folder = folder
        files = folder.files
        self.durable = durable
        var bases = folder.kept()
        var live: String?
        if try Snapshot.state(path: snapshot, files: files) == .ready {
            let (meta, bytes) = try SnapshotCopy.facts(snapshot, files: files)
            live = meta.server
            bases.append(
                HistoryFolder.Kept(
                    server: meta.server, checkpoint: meta.checkpoint, segment: meta.segment, savedAt: meta.savedAtMs,
                    path: snapshot, bytes: bytes))
        }
        liveServer = live
        logServer = try LogReader.owner(directory: folder.directory, baseName: folder.logName, files: files)?.server
        self.bases = bases.sorted { ($0.savedAt, $0.checkpoint) < ($1.savedAt, $1.checkpoint) }
    }

    /// When the oldest checkpoint was saved, in milliseconds since 1970; nil: there is none.
    public var oldest: Int64? { bases.first?.savedAt }

    /// Reads a server's log, the kept segments and the live ones.
    func reader(of server: String) -> LogReader {
        let kept = folder.segments(of: server)
        if logServer == server {
            return LogReader(
                directory: folder.directory, baseName: folder.logName, server: server,
                durable: durable?.server == server ? durable?.segment : nil, kept: kept, files: files, warn: { _ in })
        }
        return LogReader(
            directory: folder.path, baseName: "\(server).\(folder.logName)", server: server, files: files,
            warn: { _ in })
    }

    /// Throws where the target cannot be restored exactly, with the reason.
    func plan(_ target: RestoreTarget) throws(StorageError) -> RestorePlan {
        switch target {
        case .second(let second): try plan(second: second)
        case .before(let command): try plan(before: command)
        case .beforeRestore: try planBeforeRestore()
        case .kept(let name): try plan(kept: name)
        case .place(let server, let place): try plan(place, of: server)
        }
    }

    private func refuse(_ message: String) -> StorageError { StorageError(file: folder.path, message: message) }

    private func plan(second: Int64) throws(StorageError) -> RestorePlan {
        let (moment, isHuge) = second.multipliedReportingOverflow(by: 1000)
        if isHuge || moment > wallClockMilliseconds() { throw refuse("this moment is yet to come") }
        guard let base = bases.last(where: { $0.savedAt <= moment }) else {
            guard let oldest else { throw refuse("nothing is kept here: snapshot-history was never set") }
            throw refuse(
                "nothing is kept of so long ago: the first moment that can be restored is "
                    + RestoreTarget.text(milliseconds: oldest + 999) + " UTC")
        }
        if base.segment == 0 {
            if base.savedAt + 1000 > moment { return plan(base, until: nil) }
            throw refuse(
                "there was no log at this time: the checkpoint before it can be restored, of "
                    + RestoreTarget.text(milliseconds: base.savedAt + 999) + " UTC")
        }
        let track = LogTrack(reader(of: base.server), from: base.segment)
        // A clock that was set back has some moments twice: the later one counts.
        let before = track.times.lastIndex { $0.milliseconds < moment }
        let next = before.map { $0 + 1 } ?? 0
        if next < track.times.count, track.reaches(track.times[next].place) {
            return plan(base, until: track.times[next].place)
        }
        try track.checkWhole(before: moment)
        return plan(base, until: nil)
    }

    /// Stretches between one checkpoint and the next are looked through from the last on.
    private func plan(before command: String) throws(StorageError) -> RestorePlan {
        for (index, base) in bases.enumerated().reversed() where base.segment > 0 {
            let next = bases[(index + 1)...].first { $0.server == base.server && $0.segment > base.segment }
            let track = LogTrack(
                reader(of: base.server), from: base.segment, until: next.map { LogPlace(segment: $0.segment) },
                looksFor: command)
            if let place = track.found {
                if track.reaches(place) { return plan(base, until: place) }
                throw refuse("what was there before the last \(command.uppercased()) is not kept: \(track.reason)")
            }
            if let failure = track.failure { throw failure }
        }
        throw refuse("no \(command.uppercased()) is in what is kept of the log")
    }

    private func planBeforeRestore() throws(StorageError) -> RestorePlan {
        guard let base = bases.last(where: { $0.server != liveServer }) else {
            throw refuse("nothing is kept of what was here before a restore")
        }
        // What a start would have found: a replacement that was begun behind this checkpoint never was committed.
        if base.segment > 0 {
            let track = LogTrack(reader(of: base.server), from: base.segment)
            if let failure = track.failure { throw failure }
        }
        return plan(base, until: nil)
    }

    private func plan(kept name: String) throws(StorageError) -> RestorePlan {
        guard let kept = KeptSnapshot(name: name) else { throw refuse("\(name) is no name of a kept snapshot") }
        let path = kept.path(in: folder.directory)
        let meta = try SnapshotCopy.facts(path, files: files).meta
        return RestorePlan(server: meta.server, path: path, savedAt: meta.savedAtMs, segment: 0, end: nil)
    }

    private func plan(_ place: LogPlace, of server: String) throws(StorageError) -> RestorePlan {
        let fitting = bases.filter { $0.server == server && $0.segment > 0 && $0.segment <= place.segment }
        guard let base = fitting.max(by: { ($0.segment, $0.checkpoint) < ($1.segment, $1.checkpoint) }) else {
            throw refuse("no checkpoint before this place is kept")
        }
        let track = LogTrack(reader(of: server), from: base.segment, until: place)
        if !track.reaches(place) { throw refuse(track.reason) }
        return plan(base, until: place)
    }

    private func plan(_ base: HistoryFolder.Kept, until end: LogPlace?) -> RestorePlan {
        RestorePlan(
            server: base.server, path: base.path, savedAt: base.savedAt, segment: base.segment, end: end)
    }
}

/// What a walk through a stretch of the log has found.
struct LogTrack {
    /// The times that the log notes, in its order.
    private(set) var times: [(place: LogPlace, milliseconds: Int64)] = []
    /// The last command that was looked for, or the MULTI of its transaction.
    private(set) var found: LogPlace?
    /// From here on the log may not tell all, or tell it of other data; nil: it does.
    private(set) var rupture: LogPlace?
    /// Why it was not read to its end; nil: it was.
    private(set) var failure: StorageError?
    /// Behind the last batch that was read.
    private(set) var end: LogPlace

    init(_ reader: LogReader, from first: Int64, until stop: LogPlace? = nil, looksFor name: String = "") {
        end = LogPlace(segment: first)
        var track = (times: times, found: found, rupture: rupture, end: end)
        var transaction: LogPlace?
        do throws(StorageError) {
            let read = try reader.look(from: first, until: stop) { event, place in
                switch event {
                case .batch(let end): track.end = LogPlace(segment: place.segment, offset: end)
                case .time(let time): track.times.append((place, time))
                case .rupture: track.rupture = track.rupture ?? place
                case .command(let arguments):
                    let command = arguments[0]
                    if arguments.count == 1 && command.equals(ignoringCase: "multi") { transaction = place }
                    if arguments.count == 1 && command.equals(ignoringCase: "exec") { transaction = nil }
                    if !name.isEmpty && command.string.lowercased() == name { track.found = transaction ?? place }
                }
            }
            if read.isEmpty {
                failure = StorageError(file: reader.path(first), message: "this log segment is missing")
            }
        } catch {
            failure = error
        }
        (times, found, rupture, end) = track
    }

    /// Whether the walk's beginning leads to `place` without a gap.
    func reaches(_ place: LogPlace) -> Bool {
        if let rupture, place > rupture { return false }
        return place <= end || place == LogPlace(segment: end.segment + 1)
    }

    /// Why something is not reached.
    var reason: String {
        if rupture != nil { return "the data came from a master meanwhile, or log or history were switched off" }
        return failure.map { "\($0)" } ?? "the log ends before"
    }

    /// Throws where more happened than the log tells, before that moment for all that is known.
    func checkWhole(before moment: Int64) throws(StorageError) {
        if let failure { throw failure }
        guard let rupture else { return }
        let last = times.last { $0.place < rupture }
        throw StorageError(
            file: "history",
            message: "\(reason): the last moment before that is "
                + RestoreTarget.text(milliseconds: last?.milliseconds ?? 0) + " UTC")
    }
}
