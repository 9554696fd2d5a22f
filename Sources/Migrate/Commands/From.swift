import ArgumentParser
import Storage

/// `redis-migrate from`. Exit codes: 0 done, 1 it failed, 64 wrong usage, 130 interrupted.
struct From: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "from",
        abstract: "Copies a running server's data into a snapshot, an RDB file or another form.",
        discussion: """
            Reads as a replica does: the server's data of one moment, which it sends once. A server that lets nobody follow it, as \
            managed ones do, is read with --scan, key by key; what changes meanwhile may be in the copy or not. Of a cluster, each \
            master is read. The server may be Redis from 5.0 on, Valkey or Swiftlet; nothing is changed there.

            EXAMPLES
              redis-migrate from 127.0.0.1:6379 dump.sqlite
              redis-migrate from 127.0.0.1:6379 dump.rdb --for redis-7.0 --force
              REDISCLI_AUTH=secret redis-migrate from rediss://db.example.com:6380 dump.sqlite --scan --cacert ca.crt
              redis-migrate from 127.0.0.1:6379 - --to json --prefix session: | wc -l
            """)

    @Argument(help: "The server: host:port, redis:// or rediss:// (TLS), or a socket's path.")
    var server: String
    @Argument(help: "What to write; - is standard output.", completion: .file())
    var output: String

    @Flag(help: "Read by SCAN and DUMP instead of as a replica.")
    var scan = false

    @Option(help: ArgumentHelp("What the output is to hold.", valueName: "form"))
    var to: DataForm?
    @Option(name: .customLong("for"), help: ArgumentHelp("The server that is to read it.", valueName: "server"))
    var reader: TargetServer?
    @Option(help: ArgumentHelp("Pack the output: none, gzip or zstd.", valueName: "how"))
    var compress: Packing?
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

    @OptionGroup(title: "Connection")
    var connection: ConnectionOptions
    @OptionGroup(title: "Which keys")
    var filters: FilterOptions

    func validate() throws {
        if try ServerAddress(server).database != nil && !filters.db.isEmpty {
            throw ValidationError("The database stands behind the port or in --db, not in both.")
        }
        if to == nil && DataForm.of(output) == nil {
            throw ValidationError("The end of \(output) does not say what it is to hold: give --to.")
        }
    }

    func run() throws {
        Interruption.watch()
        let address = try ServerAddress(server)
        let now = wallClockMilliseconds()
        var options = RDBOptions()
        options.skipUnsupported = skipUnsupported
        options.dropExpiredAt = keepExpired ? nil : now
        var target = DataTarget(path: output, form: to ?? DataForm.of(output) ?? .rdb)
        target.packing = compress ?? (output == Output.standard ? .none : Packing.of(output))
        target.overwrite = force
        target.server = reader
        target.dropFieldExpiries = dropFieldTtls
        target.dropFunctions = dropFunctions
        var filters = filters
        if let database = address.database { filters.db = [database] }
        let way = scan ? RemoteSource.Way.scan : .replication
        let conversion = Conversion(
            open: { () throws(StorageError) in
                let source = RemoteSource(access: try connection.access(address), way: way)
                // A stream of RDB; SCAN tells nothing.
                return Conversion.Reader(name: server, isBytes: true) { (sink) throws(StorageError) in
                    try source.read(into: sink, options)
                }
            }, filters: filters, target: target, now: now)
        try conversion.run(showing: "--keep-expired keeps them")
    }
}
