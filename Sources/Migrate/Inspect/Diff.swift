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
            and groups that are not equal. Each file may be of any kind that is read.

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

    private func compare() throws(StorageError) -> Comparison.Summary {
        var listed = 0
        let writer = DiffWriter(isJSON: json, elements: elements == 0 ? .max : elements)
        var options = Comparison.Options()
        options.hasParts = true
        let found = try Comparison.run(
            { (sink) throws(StorageError) in _ = try reading.read(old, into: sink) },
            { (sink) throws(StorageError) in _ = try reading.read(new, into: sink) }, options
        ) { (key) throws(StorageError) in
            if summary { return }
            listed += 1
            if limit == 0 || listed <= limit { try writer.write(key) }
        }
        if !summary, limit > 0, listed > limit, !json {
            print("… and \(grouped(listed - limit)) more keys (--limit 0 lists all)")
        }
        writer.write(found, old: old, new: new)
        return found
    }
}
