import ArgumentParser
import Storage

/// How `stats` and `diff` read a file.
struct ReadingOptions: ParsableArguments {
    @Flag(help: "Leave out what is not supported (modules).")
    var skipUnsupported = false

    @Flag(help: "Count keys that have expired, too.")
    var keepExpired = false

    /// Tells `sink` what `path` holds, with a progress line. Throws where it is damaged or of no kind that is read.
    func read(_ path: String, into sink: any KeySink) throws(StorageError) -> (form: String, expired: Int) {
        let meter = ProgressMeter()
        defer { meter.clear() }
        let form = try form(of: path)
        let metered = MeteredSink(sink, file: path, isBytes: form == .rdb, meter)
        let dropExpiredAt = keepExpired ? nil : wallClockMilliseconds()
        var options = RDBOptions()
        options.skipUnsupported = skipUnsupported
        options.dropExpiredAt = dropExpiredAt
        switch form {
        case .rdb:
            let summary = try KeySources.readRDB(path, options: options, into: metered)
            return ("RDB version \(summary.version)", summary.expired)
        case .database:
            let summary = try KeySources.readSnapshot(path, dropExpiredAt: dropExpiredAt, into: metered)
            return ("snapshot", summary.expired)
        case nil:
            throw StorageError(
                file: path, message: "is neither an RDB file nor a snapshot, which is an SQLite database")
        }
    }

    private func form(of path: String) throws(StorageError) -> KeySources.Form? {
        let files = Host.real.files
        let file = try files.open(path, .read, or: "cannot be opened")
        defer { files.close(file) }
        return files.head(file, 16)?.lend { KeySources.form(of: $0) }
    }
}
