import ArgumentParser
import Storage

/// `redis-migrate convert`. Exit codes: 0 done, 1 the conversion failed, 64 wrong usage, 130 interrupted.
struct Convert: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "convert",
        abstract: "Converts between RDB files, snapshots, append-only files, commands, JSON lines and CSV.",
        discussion: """
            What the input holds is seen from its first bytes; a folder is one of Redis 7's append-only files. What the output is to \
            hold is said by the end of its name (.rdb, .sqlite, .aof, .resp, .jsonl, .csv, and a folder: /) or by --to. `-` is \
            standard input or output. gzip and zstd are unpacked; names that end in .gz or .zst are packed.

            Keys that have expired by now are left out, as redis-server leaves them out when it loads a file. The output appears \
            under its name when it is complete; on failure nothing does. Commands are executed, so that all of their data is in memory \
            meanwhile; of all else, the largest value.

            EXAMPLES
              redis-migrate convert dump.rdb dump.jsonl.zst
              redis-migrate convert dump.sqlite dump.rdb --for valkey-9
              redis-migrate convert appendonlydir dump.sqlite
              redis-migrate convert dump.rdb - --to resp --prefix session: | redis-cli --pipe
              zcat dump.rdb.gz | redis-migrate convert - - --to csv --type zset --size '>1000'
            """)

    @Argument(help: "What to read; - is standard input.", completion: .file())
    var input: String
    @Argument(help: "What to write; - is standard output.", completion: .file())
    var output: String

    @Option(help: ArgumentHelp("What the input holds, where its first bytes do not tell.", valueName: "form"))
    var from: DataForm?
    @Option(help: ArgumentHelp("What the output is to hold.", valueName: "form"))
    var to: DataForm?
    @Option(name: .customLong("for"), help: ArgumentHelp("The server that is to read it.", valueName: "server"))
    var server: TargetServer?
    @Option(help: ArgumentHelp("Pack the output: none, gzip or zstd.", valueName: "how"))
    var compress: Packing?

    @Flag(help: "Do not compress strings within RDB.")
    var noCompression = false
    @Flag(help: "Leave out the expiries of hashes' fields where the server has none.")
    var dropFieldTtls = false
    @Flag(help: "Leave out libraries of functions where the server has none.")
    var dropFunctions = false
    @Flag(help: "Leave out what is not supported (modules).")
    var skipUnsupported = false
    @Flag(help: "Keep keys that have expired.")
    var keepExpired = false
    @Flag(help: "Replace the output if it exists.")
    var force = false

    @OptionGroup(title: "Which keys")
    var filters: FilterOptions

    func validate() throws {
        if to == nil && DataForm.of(output) == nil {
            throw ValidationError("The end of \(output) does not say what it is to hold: give --to.")
        }
    }

    func run() throws {
        Interruption.watch()
        let now = wallClockMilliseconds()
        var reading = DataSource.Options()
        reading.skipUnsupported = skipUnsupported
        reading.dropExpiredAt = keepExpired ? nil : now
        var target = DataTarget(path: output, form: to ?? DataForm.of(output) ?? .rdb)
        target.packing = compress ?? Packing.of(output)
        target.overwrite = force
        target.server = server
        target.compressesStrings = !noCompression
        target.dropFieldExpiries = dropFieldTtls
        target.dropFunctions = dropFunctions
        let conversion = Conversion(
            input: input, from: from, reading: reading, filters: filters, target: target, now: now)
        try conversion.run(showing: "--keep-expired keeps them")
    }
}

extension Packing: ExpressibleByArgument {}
