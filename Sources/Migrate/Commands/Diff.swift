import ArgumentParser
import Storage

/// `redis-migrate diff`. Exit codes: 0 equal, 1 a file is damaged or cannot be read, 2 the files differ, 64 wrong usage,
/// 130 interrupted.
struct Diff: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff",
        abstract: "Says which keys were added, removed and changed from one file to another, and what of them.",
        discussion: """
            Keys are listed by database and name: - removed, + added, ~ changed, with the fields, members, items, entries \
            and groups that are not equal. Each file may be of any kind that is read, one of them standard input (-).

            EXAMPLES
              redis-migrate diff yesterday.rdb dump.sqlite
              redis-migrate diff --summary a.rdb b.rdb
              redis-migrate diff --json --limit 0 a.rdb b.rdb > changes.jsonl

            Exit codes: 0 equal, 2 different, 1 damaged or unreadable, 64 wrong usage, 130 interrupted.
            """)

    @Argument(help: "The file before.", completion: .file())
    var old: String

    @Argument(help: "The file after.", completion: .file())
    var new: String

    @Flag(help: "One JSON object a line: each key that is not equal, then the summary.")
    var json = false

    @Flag(help: "Only count.")
    var summary = false

    @Option(help: "How many keys to list; 0: all.")
    var limit = 100

    @Option(help: "How many fields, members, items or entries to list of a key; 0: all.")
    var elements = 10

    @OptionGroup var reading: ReadingOptions

    func validate() throws {
        if limit < 0 || elements < 0 { throw ValidationError("--limit and --elements are not negative.") }
    }

    func run() throws {
        Interruption.watch()
        do {
            let found = try compare()
            if !found.isEqual { throw ExitCode(2) }
        } catch let code as ExitCode {
            throw code
        } catch {
            writeError("redis-migrate: \(error)")
            throw ExitCode(Interruption.happened ? 130 : 1)
        }
    }

    private func compare() throws(StorageError) -> KeyComparison.Summary {
        var listed = 0
        let writer = DiffWriter(isJSON: json, elements: elements == 0 ? .max : elements)
        let now = wallClockMilliseconds()
        // What can be read but once is kept in a temporary file.
        let spools = (try Spool.ofStream(old), try Spool.ofStream(new))
        let found = try KeyComparison.run(
            { (sink) throws(StorageError) in try read(old, spools.0, into: sink, now) },
            { (sink) throws(StorageError) in try read(new, spools.1, into: sink, now) }
        ) { (key) throws(StorageError) in
            if summary { return }
            listed += 1
            if limit == 0 || listed <= limit { try writer.write(key) }
        }
        if !summary, limit > 0, listed > limit, !json {
            print("… and \(grouped(listed - limit)) more keys (--limit 0 lists all)")
        }
        try writer.write(found, old: old, new: new)
        return found
    }

    private func read(_ path: String, _ spool: Spool?, into sink: any KeySink, _ now: Int64) throws(StorageError) {
        _ = try reading.read(DataSource(spool?.path ?? path, as: reading.from), into: sink, now: now)
    }
}

extension Spool {
    /// A copy of standard input where `path` is that.
    fileprivate static func ofStream(_ path: String) throws(StorageError) -> Spool? {
        if path != Input.standard { return nil }
        let input = try Input(path)
        return try Spool(input.bytes)
    }
}
