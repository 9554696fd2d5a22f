import Glibc
import Server
import Storage

/// Keys to be read: an RDB file, a snapshot, append-only files, commands, JSON lines or CSV, known by what it holds.
final class DataSource {
    struct Options {
        /// Go past what is not supported (modules) instead of refusing the file.
        var skipUnsupported = false
        /// Leave out keys and fields whose expiry is at or before this time, in ms since 1970; nil keeps them all.
        var dropExpiredAt: Int64?
    }

    /// What reading has found.
    struct Summary {
        /// Keys left out because they had expired.
        var expired = 0
        /// Of an RDB file.
        var rdbVersion: Int?
        /// What was left out or put right, a line each.
        var notes: [String] = []
    }

    enum Form { case rdb, snapshot, commands, commandFolder, json, csv }

    let form: Form
    /// For messages.
    let name: String
    /// Of a file that can be opened by its name.
    let path: String?
    private let input: Input?

    /// Opens the file `path`, or standard input for `-`; `form` is what it holds, nil: as its first bytes say. Throws where it cannot
    /// be opened, or where they say nothing.
    init(_ path: String, as form: DataForm? = nil) throws(StorageError) {
        var facts = stat()
        if path != Input.standard, stat(path, &facts) == 0, facts.st_mode & S_IFMT == S_IFDIR {
            self.form = .commandFolder
            name = path
            self.path = path
            input = nil
            return
        }
        let input = try Input(path)
        self.input = input
        name = input.name
        self.path = input.path
        if let form { self.form = Self.form(form) } else { self.form = try Self.recognise(input, path) }
    }

    private static func form(_ form: DataForm) -> Form {
        switch form {
        case .rdb: .rdb
        case .sqlite: .snapshot
        case .aof, .resp, .aofPreamble: .commands
        case .aofDirectory: .commandFolder
        case .json: .json
        case .csv: .csv
        }
    }

    private static func recognise(_ input: Input, _ path: String) throws(StorageError) -> Form {
        let head = try input.bytes.head(64)
        if head.isEmpty {
            // Text without a line, and commands before the first one.
            guard let form = DataForm.of(path), ![.rdb, .aofPreamble, .sqlite].contains(form) else {
                throw StorageError(file: input.name, message: "is empty")
            }
            return Self.form(form)
        }
        switch KeySources.form(of: head) {
        case .database: return .snapshot
        case .rdb:
            guard let file = input.path else { return .rdb }
            // An append-only file's end may be torn: its name says what it is.
            return DataForm.of(file) == .aof || hasCommandsBehind(file) ? .commands : .rdb
        case nil: break
        }
        switch head[0] {
        case UInt8(ascii: "*"), UInt8(ascii: "#"): return .commands
        case UInt8(ascii: "{"): return .json
        default: break
        }
        if head.begins(with: Array("db,key,".utf8)) { return .csv }
        throw StorageError(
            file: input.name,
            message:
                "is neither an RDB file, a snapshot, commands, JSON lines nor CSV of this program (--from FORM says what "
                + "it is)")
    }

    /// Whether an RDB file ends in commands, as far as its last bytes say: of RDB the ninth from the end is 255, commands end in
    /// CR LF.
    private static func hasCommandsBehind(_ path: String) -> Bool {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        if descriptor < 0 { return false }
        defer { close(descriptor) }
        var tail = [UInt8](repeating: 0, count: 9)
        let end = lseek(descriptor, -9, SEEK_END)
        return end >= 0 && pread(descriptor, &tail, 9, end) == 9 && tail[0] != 255 && tail[7] == 13 && tail[8] == 10
    }

    // MARK: - Reading

    /// Tells all keys to `sink`, in the order of the file. Memory: the largest value that cannot be told in pieces (a string, a small
    /// collection, a line of JSON); of commands, all of the data. Throws for damage, and what the sink throws. O(size).
    func read(into sink: any KeySink, _ options: Options) throws(StorageError) -> Summary {
        switch form {
        case .rdb: return try readRDB(into: sink, options)
        case .snapshot:
            let (path, spool) = try seekable()
            defer { withExtendedLifetime(spool) {} }
            let summary = try named {
                () throws(StorageError) in
                try KeySources.readSnapshot(path, dropExpiredAt: options.dropExpiredAt, into: sink)
            }
            return Summary(expired: summary.expired)
        case .commands:
            let (path, spool) = try seekable()
            defer { withExtendedLifetime(spool) {} }
            return try named { () throws(StorageError) in try replay([path], into: sink, options) }
        case .commandFolder:
            guard let files = try AOFFiles.find(inFolder: name) else { return Summary() }
            return try replay(files.paths, into: sink, options)
        case .json:
            let due = DueFilter(sink, options.dropExpiredAt)
            var reader = JSONLinesReader(try bytes(), into: due)
            try reader.read()
            return Summary(expired: due.expired)
        case .csv:
            let due = DueFilter(sink, options.dropExpiredAt)
            var reader = CSVReader(try bytes(), into: due)
            try reader.read()
            return Summary(expired: due.expired)
        }
    }

    private func readRDB(into sink: any KeySink, _ options: Options) throws(StorageError) -> Summary {
        let reading = rdbOptions(options)
        let summary =
            if let path {
                try KeySources.readRDB(path, options: reading, into: sink)
            } else {
                try KeySources.readRDB(try bytes(), options: reading, into: sink)
            }
        return Self.summary(of: summary)
    }

    private func rdbOptions(_ options: Options) -> RDBOptions {
        var reading = RDBOptions()
        reading.skipUnsupported = options.skipUnsupported
        reading.dropExpiredAt = options.dropExpiredAt
        return reading
    }

    private static func summary(of rdb: RDBSummary) -> Summary {
        var notes: [String] = []
        if rdb.empty > 0 { notes.append("left out: \(rdb.empty) empty collections") }
        notes += rdb.mendings
        for reason in RDBUnsupported.allCases {
            if let count = rdb.skipped[reason] {
                notes.append("left out, not supported: \(reason.rawValue) (\(count))")
            }
        }
        return Summary(expired: rdb.expired, rdbVersion: rdb.version, notes: notes)
    }

    // MARK: - Commands

    private func replay(
        _ paths: [String], into sink: any KeySink, _ options: Options
    ) throws(StorageError) -> Summary {
        let replay = CommandReplay()
        var summary = Summary()
        var notes: [String] = []
        var start: Int64 = 0
        if try AOFReader.beginsWithRDB(paths[0]) {
            var reading = rdbOptions(options)
            // Commands that follow may depend on them.
            reading.dropExpiredAt = nil
            reading.allowTail = true
            let rdb = try KeySources.readRDB(paths[0], options: reading, into: replay.sink(for: paths[0]))
            start = rdb.endOffset
            summary = Self.summary(of: rdb)
        }
        for (index, path) in paths.enumerated() {
            let reader = AOFReader(
                path: path, isLast: index == paths.count - 1, mayLeaveOutTail: true, warn: { notes.append($0) })
            replay.begin(path)
            try reader.read(from: index == 0 ? start : 0) { (arguments, offset) throws(StorageError) in
                if Interruption.happened {
                    throw StorageError(file: name, message: "was not read to its end: interrupted")
                }
                try replay.apply(arguments, at: offset)
            }
        }
        let due = DueFilter(sink, options.dropExpiredAt)
        try replay.tell(due)
        summary.expired += due.expired
        summary.notes += notes
        return summary
    }

    // MARK: - Files

    private func bytes() throws(StorageError) -> ByteReader {
        guard let input else { throw StorageError(file: name, message: "is a folder") }
        return input.bytes
    }

    /// A path under which the bytes can be read at any place: what came packed or through a pipe is a temporary file, which exists as
    /// long as its object.
    private func seekable() throws(StorageError) -> (path: String, Spool?) {
        if let path { return (path, nil) }
        let spool = try Spool(try bytes())
        return (spool.path, spool)
    }

    /// Has errors name the input, not a temporary file.
    private func named<Result>(_ body: () throws(StorageError) -> Result) throws(StorageError) -> Result {
        do throws(StorageError) {
            return try body()
        } catch {
            if path != nil || !error.file.hasPrefix("/proc/self/fd/") { throw error }
            throw StorageError(file: name, offset: error.offset, message: error.message, reason: error.reason)
        }
    }
}
