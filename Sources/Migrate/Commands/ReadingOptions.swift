import ArgumentParser
import Storage

/// How `verify`, `diff` and `stats` read a file.
struct ReadingOptions: ParsableArguments {
    @Option(help: ArgumentHelp("What an input holds, where its first bytes do not tell.", valueName: "form"))
    var from: DataForm?

    @Flag(help: "Leave out what is not supported (modules).")
    var skipUnsupported = false

    @Flag(help: "Keep keys that have expired.")
    var keepExpired = false

    @OptionGroup(title: "Which keys")
    var filters: FilterOptions

    /// Tells `sink` what `source` holds, with a progress line. Throws where it is damaged, and what `sink` throws.
    func read(_ source: DataSource, into sink: any KeySink, now: Int64) throws(StorageError) -> DataSource.Summary {
        let meter = ProgressMeter()
        defer { meter.clear() }
        var options = DataSource.Options()
        options.skipUnsupported = skipUnsupported
        options.dropExpiredAt = keepExpired ? nil : now
        let metered = MeteredKeys(sink, of: source, meter)
        return try source.read(into: filters.isEmpty ? metered : filters.filter(metered, now: now), options)
    }
}

extension DataSource {
    /// For people: "RDB version 10", say.
    func described(_ summary: Summary) -> String {
        switch form {
        case .rdb: "RDB version \(summary.rdbVersion ?? 0)"
        case .snapshot: "snapshot"
        case .commands, .commandFolder: "append-only file"
        case .json: "JSON lines"
        case .csv: "CSV"
        }
    }
}
