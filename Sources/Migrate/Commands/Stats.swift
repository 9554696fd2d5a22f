import ArgumentParser
import Storage

/// `redis-migrate stats`. Exit codes: 0 done, 1 the file is damaged or cannot be read, 64 wrong usage, 130 interrupted.
struct Stats: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats",
        abstract: "Counts keys, elements, bytes and expiries of a file by type and prefix, and names its biggest keys.",
        discussion: """
            Bytes are those of names, elements and values as a client gets them, not of a server's memory. A prefix ends \
            with the separator: of user:7:name it is user:, and with --depth 2 user:7:.

            EXAMPLES
              redis-migrate stats dump.rdb
              redis-migrate stats --separator / --depth 2 --top 50 dump.sqlite
              redis-migrate stats --html report.html dump.rdb
              redis-migrate stats --json dump.rdb

            Exit codes: 0 done, 1 damaged or unreadable, 64 wrong usage, 130 interrupted.
            """)

    @Argument(help: "The file to read.", completion: .file())
    var input: String

    @Flag(help: "Print one JSON object.")
    var json = false

    @Flag(help: "Print CSV.")
    var csv = false

    @Option(
        help: ArgumentHelp("Write a page with charts to this file, which needs nothing else.", valueName: "page"),
        completion: .file(extensions: ["html"]))
    var html: String?

    @Option(help: "What ends a prefix.")
    var separator = ":"

    @Option(help: "Up to how many separators a prefix goes.")
    var depth = 1

    @Option(help: "How many prefixes and biggest keys to name.")
    var top = 20

    @Flag(help: "Replace the page if it exists.")
    var force = false

    @OptionGroup var reading: ReadingOptions

    func validate() throws {
        if json && csv { throw ValidationError("--json and --csv exclude each other.") }
        if !(1...100).contains(depth) { throw ValidationError("--depth is from 1 to 100.") }
        if !(0...10_000).contains(top) { throw ValidationError("--top is from 0 to 10000.") }
    }

    func run() throws {
        Interruption.watch()
        do {
            let report = try read()
            if let html { try write(report, to: html) }
            if json {
                print(try report.json())
            } else if csv {
                print(report.csv)
            } else if html == nil {
                print(report.table)
            }
        } catch {
            writeError("redis-migrate: \(error)")
            throw ExitCode(Interruption.happened ? 130 : 1)
        }
    }

    private func read() throws(StorageError) -> StatisticsReport {
        var options = Statistics.Options()
        options.separator = Array(separator.utf8)
        options.depth = depth
        options.top = top
        let counter = StatisticsVisitor(options)
        let source = try DataSource(input, as: reading.from)
        let summary = try reading.read(source, into: counter, now: options.now)
        return StatisticsReport(
            counter.finish(), file: source.name, form: source.described(summary), expired: summary.expired)
    }

    private func write(_ report: StatisticsReport, to path: String) throws(StorageError) {
        let page = StatisticsPage(report: report, madeAt: wallClockMilliseconds() / 1000)
        try NewFile.make(path, overwrite: force) { (file, temporary) throws(StorageError) in
            try Array(page.html.utf8).lend { (bytes) throws(StorageError) in
                try DescriptorTarget(file.number, name: temporary).write(bytes)
            }
        }
    }
}
