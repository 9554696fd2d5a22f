import ArgumentParser
import Glibc
import Storage

/// `redis-migrate to-sqlite`. Exit codes: 0 done, 1 the conversion failed, 64 wrong usage, 130 interrupted.
struct ToSQLite: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "to-sqlite",
        abstract: "Makes a snapshot out of an RDB file.",
        discussion: """
            Reads RDB versions 1 to 12, and those of Valkey 9; of newer ones what is known. `-` is standard input; gzip and zstd are \
            unpacked. Keys that have expired by now are left out, as redis-server leaves them out when it loads the file. The snapshot \
            appears under its name when it is complete; on failure nothing does.

            EXAMPLES
              redis-migrate to-sqlite dump.rdb dump.sqlite
              zstdcat dump.rdb.zst | redis-migrate to-sqlite - users.sqlite --prefix user:
            """)

    @Argument(help: "The RDB file to read; - is standard input.", completion: .file(extensions: ["rdb"]))
    var input: String

    @Argument(help: "The snapshot to write.", completion: .file(extensions: ["sqlite"]))
    var output: String

    @Flag(help: "Leave out what is not supported (modules).")
    var skipUnsupported = false

    @Flag(help: "Replace the snapshot if it exists.")
    var force = false

    @Flag(help: "Keep keys that have expired.")
    var keepExpired = false

    @OptionGroup(title: "Which keys")
    var filters: FilterOptions

    func run() throws {
        if filters.isEmpty && !Input.isStream(input) { return try importFile() }
        Interruption.watch()
        let now = wallClockMilliseconds()
        var target = DataTarget(path: output, form: .sqlite)
        target.overwrite = force
        let reading = DataSource.Options(
            skipUnsupported: skipUnsupported, dropExpiredAt: keepExpired ? nil : now)
        let conversion = Conversion(
            input: input, from: .rdb, reading: reading, filters: filters, target: target, now: now)
        try conversion.run(showing: "--keep-expired keeps them")
    }

    /// The whole of a file, with the reader and the writer compiled as one.
    private func importFile() throws {
        var options = RDBImporter.Options()
        options.reading.skipUnsupported = skipUnsupported
        options.reading.dropExpiredAt = keepExpired ? nil : wallClockMilliseconds()
        options.overwrite = force
        let meter = ProgressMeter()
        Interruption.watch()
        options.progress = { progress in
            meter.update(
                done: progress.bytesRead, of: progress.fileSize, keys: progress.keys, bytes: progress.bytesRead)
            return !Interruption.happened
        }
        let started = monotonicSeconds
        let summary: RDBSummary
        do {
            summary = try RDBImporter.run(from: input, to: output, options: options)
        } catch {
            meter.clear()
            writeError("redis-migrate: \(error)")
            throw ExitCode(Interruption.happened ? 130 : 1)
        }
        meter.clear()
        printSummary(summary, seconds: monotonicSeconds - started)
    }

    private func printSummary(_ summary: RDBSummary, seconds: Double) {
        let rate = Double(summary.endOffset) / 1e6 / max(seconds, 1e-6)
        print(
            """
            \(output): \(summary.keys) keys, \(summary.elements) elements of collections \
            (RDB version \(summary.version), \(summary.endOffset) bytes, \
            \(fixedPoint(seconds, 2)) s, \(fixedPoint(rate, 1)) MB/s)
            """)
        if summary.functions > 0 { print("libraries of functions: \(summary.functions)") }
        if summary.expired > 0 { print("left out: \(summary.expired) expired keys (--keep-expired keeps them)") }
        if summary.empty > 0 { print("left out: \(summary.empty) empty collections") }
        for line in summary.mendings { print(line) }
        let tail = summary.fileSize - summary.endOffset
        if tail > 0 { print("left out: \(tail) bytes after the end of the RDB data, which are no commands") }
        for reason in RDBUnsupported.allCases {
            if let count = summary.skipped[reason] { print("left out, not supported: \(reason.rawValue) (\(count))") }
        }
    }
}
