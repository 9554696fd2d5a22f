import ArgumentParser
import Storage

/// `redis-migrate to-rdb`. Exit codes: 0 done, 1 the conversion failed, 64 wrong usage, 130 interrupted.
struct ToRDB: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "to-rdb",
        abstract: "Makes an RDB file out of a snapshot.",
        discussion: """
            Keys that have expired are written as they are: the server that loads the file drops them. The file appears \
            under its name when it is complete; on failure nothing does. `-` is standard output; names that end in .gz or .zst are \
            packed.

            EXAMPLES
              redis-migrate to-rdb dump.sqlite dump.rdb --for redis-7.2
              redis-migrate to-rdb dump.sqlite - --not-prefix cache: | ssh host 'cat > dump.rdb'
            """)

    @Argument(help: "The snapshot to read.", completion: .file(extensions: ["sqlite"]))
    var input: String

    @Argument(help: "The RDB file to write; - is standard output.", completion: .file(extensions: ["rdb"]))
    var output: String

    @Option(help: "The RDB version: 9 (Redis 5 and 6), 10 (7.0), 11 (7.2), 12 (7.4) or 80 (Valkey 9).")
    var rdbVersion: Int?

    @Option(name: .customLong("for"), help: ArgumentHelp("The server that is to read it.", valueName: "server"))
    var server: TargetServer?

    @Option(help: ArgumentHelp("Pack the file: none, gzip or zstd.", valueName: "how"))
    var compress: Packing?

    @Flag(help: "Do not compress strings.")
    var noCompression = false

    @Flag(help: "Leave out the expiries of hashes' fields where the version has none.")
    var dropFieldTtls = false

    @Flag(help: "Leave out libraries of functions where the version has none.")
    var dropFunctions = false

    @Flag(help: "Replace the RDB file if it exists.")
    var force = false

    @OptionGroup(title: "Which keys")
    var filters: FilterOptions

    func validate() throws {
        let versions = RDBExporter.Options.versions
        if let rdbVersion, !versions.contains(rdbVersion) {
            throw ValidationError("--rdb-version is one of \(versions.map(String.init).joined(separator: ", ")).")
        }
        if rdbVersion != nil && server != nil { throw ValidationError("--for and --rdb-version say the same.") }
    }

    func run() throws {
        var target = DataTarget(path: output, form: .rdb)
        target.packing = compress ?? Packing.of(output)
        target.overwrite = force
        target.server = server
        target.rdbVersion = rdbVersion
        target.compressesStrings = !noCompression
        target.dropFieldExpiries = dropFieldTtls
        target.dropFunctions = dropFunctions
        if filters.isEmpty && target.isPlainFile && !Input.isStream(input) { return try export(target.rdbOptions) }
        Interruption.watch()
        let conversion = Conversion(
            input: input, from: .sqlite, reading: DataSource.Options(), filters: filters, target: target,
            now: wallClockMilliseconds())
        try conversion.run(showing: "")
    }

    /// The whole of a snapshot into a file, with the reader and the writer compiled as one.
    private func export(_ form: RDBExporter.Options) throws {
        var options = form
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
            (RDB version \(options.version), \(summary.bytes) bytes, \(fixedPoint(seconds, 2)) s, \(fixedPoint(rate, 1)) MB/s)
            """)
        if summary.functions > 0 { print("libraries of functions: \(summary.functions)") }
        for line in DataTarget.Losses(summary.losses).lines { print(line) }
    }
}
