import ArgumentParser
import Storage

/// `redis-migrate to-rdb`. Exit codes: 0 done, 1 the conversion failed, 64 wrong usage, 130 interrupted.
struct ToRDB: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "to-rdb",
        abstract: "Makes an RDB file out of a snapshot.",
        discussion: """
            Keys that have expired are written as they are: the server that loads the file drops them. The file appears \
            under its name when it is complete; on failure nothing does.
            """)

    @Argument(help: "The snapshot to read.", completion: .file(extensions: ["sqlite"]))
    var input: String

    @Argument(help: "The RDB file to write.", completion: .file(extensions: ["rdb"]))
    var output: String

    @Option(help: "The RDB version: 9 (Redis 5 and 6), 10 (7.0), 11 (7.2) or 12 (7.4).")
    var rdbVersion = RDBExporter.Options().version

    @Flag(help: "Do not compress strings.")
    var noCompression = false

    @Flag(help: "Leave out the expiries of hashes' fields where the version has none.")
    var dropFieldTtls = false

    @Flag(help: "Replace the RDB file if it exists.")
    var force = false

    func validate() throws {
        let versions = RDBExporter.Options.versions
        if !versions.contains(rdbVersion) {
            throw ValidationError("--rdb-version is one of \(versions.map(String.init).joined(separator: ", ")).")
        }
    }

    func run() throws {
        var options = RDBExporter.Options()
        options.version = rdbVersion
        options.compresses = !noCompression
        options.overwrite = force
        options.dropFieldExpiries = dropFieldTtls
        let meter = ProgressMeter()
        Interruption.watch()
        options.progress = { progress in
            meter.update(
                done: progress.rows, of: progress.allRows, keys: progress.keys, bytes: progress.bytesWritten)
            return !Interruption.happened
        }
        let started = monotonicSeconds
        let summary: RDBExporter.Summary
        do {
            summary = try RDBExporter.run(from: input, to: output, options: options)
        } catch {
            meter.clear()
            writeError("redis-migrate: \(error)")
            throw ExitCode(Interruption.happened ? 130 : 1)
        }
        meter.clear()
        let seconds = monotonicSeconds - started
        let rate = Double(summary.bytes) / 1e6 / max(seconds, 1e-6)
        print(
            """
            \(output): \(summary.keys) keys, \(summary.elements) elements of collections \
            (RDB version \(rdbVersion), \(summary.bytes) bytes, \(fixedPoint(seconds, 2)) s, \(fixedPoint(rate, 1)) MB/s)
            """)
        if summary.functions > 0 { print("libraries of functions: \(summary.functions)") }
        if summary.fieldExpiriesDropped > 0 {
            print("hashes whose fields' expiries were left out: \(summary.fieldExpiriesDropped)")
        }
    }
}
