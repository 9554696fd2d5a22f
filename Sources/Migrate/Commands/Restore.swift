import ArgumentParser
import Glibc
import Storage

/// `redis-migrate restore`. Exit codes: 0 all is there, 1 it failed on the way, 2 some keys were not restored, 64 wrong usage,
/// 130 interrupted.
struct Restore: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Restores a snapshot, RDB file, append-only file or another form into a running server.",
        discussion: """
            Keys go by RESTORE, many on their way at once, with their expiry to the millisecond; values larger than \
            --max-payload go as commands in batches. The server may be Redis from 5.0 on, Valkey, Swiftlet, or a cluster.

            EXAMPLES
              redis-migrate restore dump.sqlite --to 127.0.0.1:6379
              redis-migrate restore dump.rdb --to 127.0.0.1:6379/2 --replace --prefix session:
              REDISCLI_AUTH=secret redis-migrate restore dump.sqlite --to rediss://db.example.com:6380 --cacert ca.crt
              redis-migrate restore dump.sqlite --to 127.0.0.1:6379 --resume restore.state
            """)

    @Argument(help: "What to read; - is standard input.", completion: .file())
    var input: String

    @Option(
        help: ArgumentHelp(
            "The server: host:port, redis:// or rediss:// (TLS), or a socket's path. With a database behind it, host:port/2, all "
                + "keys go there; else each into its own.", valueName: "server"))
    var to: String

    @Option(help: ArgumentHelp("What the input holds, where its first bytes do not tell.", valueName: "form"))
    var from: DataForm?

    @Flag(help: "Replace keys that are there; else they stay, and are counted.")
    var replace = false

    @Option(
        help: ArgumentHelp(
            "A file that says how far the restore has come. Where it is there, the restore goes on from it; it is removed when "
                + "all is done.", valueName: "file"), completion: .file())
    var resume: String?

    @Flag(help: "Leave out the expiries of hashes' fields where the server has none.")
    var dropFieldTtls = false

    @Option(help: ArgumentHelp("MB of a value beyond which it goes as commands in batches.", valueName: "size"))
    var maxPayload = 16.0

    @Flag(help: "Leave out what is not supported (modules).")
    var skipUnsupported = false

    @Flag(help: "Send keys that have expired, too.")
    var keepExpired = false

    @OptionGroup(title: "Connection")
    var connection: ConnectionOptions
    @OptionGroup(title: "Which keys")
    var filters: FilterOptions

    func validate() throws {
        if try ServerAddress(to).database != nil && filters.toDb != nil {
            throw ValidationError("The database stands behind the port or in --to-db, not in both.")
        }
        if maxPayload <= 0 || maxPayload > 500 { throw ValidationError("--max-payload is above 0 and at most 500.") }
    }

    func run() throws {
        let address = try ServerAddress(to)
        let meter = ProgressMeter()
        let started = monotonicSeconds
        Interruption.watch()
        var journal: RestoreJournal?
        let isWhole: Bool
        do throws(StorageError) {
            let source = try DataSource(input, as: from)
            let made = try RestoreJournal(
                path: resume, subject: try subject(source, address), now: wallClockMilliseconds())
            journal = made
            let target = try RemoteTarget.open(try connection.access(address))
            let sink = RestoreSink(target, options(address), made)
            var reading = DataSource.Options()
            reading.skipUnsupported = skipUnsupported
            reading.dropExpiredAt = keepExpired ? nil : made.now
            let filter = filters.filter(MeteredKeys(sink, of: source, meter), now: made.now)
            let read = try source.read(into: filter, reading)
            try sink.finish()
            meter.clear()
            made.remove()
            var notes = read.notes
            if filter.left > 0 { notes.append("left out by filters: \(filter.left) keys") }
            if read.expired > 0 { notes.append("left out: \(read.expired) expired keys (--keep-expired sends them)") }
            isWhole = report(sink.outcome, target, notes, seconds: monotonicSeconds - started)
        } catch {
            meter.clear()
            writeError("redis-migrate: \(error)")
            if let journal, (try? journal.save()) == true { writeError("--resume \(resume ?? "") goes on from here") }
            throw ExitCode(Interruption.happened ? 130 : 1)
        }
        if !isWhole { throw ExitCode(2) }
    }

    private func options(_ address: ServerAddress) -> RestoreSink.Options {
        var options = RestoreSink.Options()
        options.replaces = replace
        options.database = address.database
        options.dropsFieldExpiries = dropFieldTtls
        options.largestPayload = Int(maxPayload * 1e6)
        return options
    }

    /// What must be the same for a restore to go on: where keys come from, which they are, and where they go.
    private func subject(_ source: DataSource, _ address: ServerAddress) throws(StorageError) -> String {
        if resume == nil { return "" }
        var facts = stat()
        let isCommands = source.form == .commands || source.form == .commandFolder
        guard let path = source.path, !isCommands, stat(path, &facts) == 0 else {
            throw StorageError(
                file: source.name,
                message:
                    "a restore of it cannot be resumed: it is read from a pipe or unpacked, or its keys have no order; "
                    + "`redis-migrate convert` makes a snapshot of it, which can")
        }
        let written = "\(facts.st_mtim.tv_sec).\(facts.st_mtim.tv_nsec)"
        let database = address.database.map { "/\($0)" } ?? ""
        return "\(input) of \(facts.st_size) bytes, written \(written), to \(address.endpoint)\(database), "
            + "options \(String(Self.digest(of: CommandLine.arguments), radix: 16))"
    }

    /// Of the options that may decide which keys are read and under which names: all but those about the connection.
    private static func digest(of arguments: [String]) -> UInt64 {
        let filters = [
            "match", "prefix", "type", "db", "ttl", "size", "set-ttl", "rename-prefix", "to-db", "keep", "skip",
        ]
        var crc = CRC64()
        var isCounted = false
        for argument in arguments.dropFirst(2) {
            let isOption = argument.hasPrefix("--")
            if isOption {
                isCounted = filters.contains { argument.hasPrefix("--\($0)") || argument.hasPrefix("--not-\($0)") }
            }
            if isCounted { Array(argument.utf8 + [0]).lend { crc.update($0) } }
        }
        return crc.value
    }

    /// Whether all of it is there.
    private func report(
        _ outcome: RestoreOutcome, _ target: RemoteTarget, _ notes: [String], seconds: Double
    ) -> Bool {
        let rate = Double(outcome.keys) / max(seconds, 1e-6) / 1000
        let cluster = target.isCluster ? ", a cluster of \(target.masters.count) masters" : ""
        var lines = [
            "\(target.endpoint): \(outcome.keys) keys restored into \(target.identity.description)\(cluster) "
                + "(\(fixedPoint(seconds, 2)) s, \(fixedPoint(rate, 1)) thousand keys a second)"
        ]
        if outcome.functions > 0 { lines.append("libraries of functions: \(outcome.functions)") }
        if outcome.asCommands > 0 { lines.append("of these as commands in batches: \(outcome.asCommands)") }
        if outcome.resumed > 0 { lines.append("restored before: \(outcome.resumed)") }
        if outcome.found > 0 {
            lines.append("there already, perhaps from the restore that was interrupted: \(outcome.found)")
        }
        if outcome.fieldExpiriesDropped > 0 {
            lines.append("hashes whose fields' expiries were left out: \(outcome.fieldExpiriesDropped)")
        }
        for line in lines + notes { print(line) }
        if outcome.busy > 0 {
            let names = outcome.busyNames.joined(separator: ", ") + (outcome.busy > outcome.busyNames.count ? " …" : "")
            writeError("not restored: \(outcome.busy) keys that are there (--replace replaces them): \(names)")
        }
        if outcome.refused > 0 {
            writeError("not restored: \(outcome.refused) that the server refuses")
            for refusal in outcome.refusals { writeError("  \(refusal)") }
        }
        return outcome.busy == 0 && outcome.refused == 0
    }
}
