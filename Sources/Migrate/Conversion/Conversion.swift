import ArgumentParser
import Storage

/// A conversion from its input to its output, with what it tells the user.
struct Conversion {
    struct Reader {
        /// For messages.
        let name: String
        /// It tells how far it is in bytes, not rows.
        let isBytes: Bool
        /// Reads all keys.
        let read: (any KeySink) throws(StorageError) -> DataSource.Summary
    }

    /// Called before anything is written.
    let open: () throws(StorageError) -> Reader
    let filters: FilterOptions
    let target: DataTarget
    /// In ms since 1970.
    let now: Int64

    /// Converts, and reports on standard output, or on standard error where that is the output. `hint` follows the count of expired
    /// keys. Throws an exit code when it has said what is wrong.
    func run(showing hint: String) throws {
        let meter = ProgressMeter()
        let started = monotonicSeconds
        var read = DataSource.Summary()
        var filter: KeyFilter?
        let losses: DataTarget.Losses
        do throws(StorageError) {
            let source = try open()
            losses = try target.write { (sink) throws(StorageError) in
                let keys = filters.filter(MeteredKeys(sink, of: source.name, isBytes: source.isBytes, meter), now: now)
                filter = keys
                read = try source.read(keys)
            }
        } catch {
            meter.clear()
            writeError("redis-migrate: \(error)")
            throw ExitCode(Interruption.happened ? 130 : 1)
        }
        meter.clear()
        guard let filter else { return }
        let isPiped = target.path == Output.standard
        let name = isPiped ? "standard output" : target.path
        var lines = [
            "\(name): \(filter.keys) keys, \(filter.elements) elements of collections "
                + "(\(fixedPoint(monotonicSeconds - started, 2)) s)"
        ]
        if filter.functions > 0 { lines.append("libraries of functions: \(filter.functions)") }
        if filter.left > 0 { lines.append("left out by filters: \(filter.left) keys") }
        if read.expired > 0 { lines.append("left out: \(read.expired) expired keys (\(hint))") }
        lines += read.notes + losses.lines
        for line in lines { if isPiped { writeError(line) } else { print(line) } }
    }
}

extension Conversion {
    /// Of a file.
    init(
        input: String, from form: DataForm? = nil, reading: DataSource.Options, filters: FilterOptions,
        target: DataTarget,
        now: Int64
    ) {
        self.init(
            open: { () throws(StorageError) in
                let source = try DataSource(input, as: form)
                return Reader(name: source.name, isBytes: source.form != .snapshot) { (sink) throws(StorageError) in
                    try source.read(into: sink, reading)
                }
            }, filters: filters, target: target, now: now)
    }
}
