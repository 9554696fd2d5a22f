import Glibc
import Storage

/// Where keys are written to, and in which form.
struct DataTarget {
    var path: String
    var form: DataForm
    var packing = Packing.none
    var overwrite = false
    /// Of RDB; nil: as `RDBExporter` writes it.
    var server: TargetServer?
    var rdbVersion: Int?
    var compressesStrings = true
    var dropFieldExpiries = false
    var dropFunctions = false

    /// What a form has no place for, as lines for the user.
    struct Losses {
        var lines: [String] = []

        init(_ losses: RDBSink.Losses? = nil) {
            guard let losses else { return }
            for (what, count) in [
                ("hashes whose fields' expiries were left out", losses.fieldExpiries),
                ("libraries of functions left out", losses.functions),
                ("streams whose counts of entries ever added and read were left out", losses.streamCounts),
            ] where count > 0 { lines.append("\(what): \(count)") }
        }
    }

    typealias Body = (any KeySink) throws(StorageError) -> Void

    /// Calls `body` with a sink and writes what it is told. The output appears under its name when it is whole and durable; on any
    /// failure nothing does, but for what has gone to standard output. Throws what `body` throws.
    func write(_ body: Body) throws(StorageError) -> Losses {
        switch form {
        case .sqlite:
            if path == Output.standard || packing != .none {
                throw StorageError(
                    file: path, message: "a snapshot is a database, which is written to a file of its own, unpacked")
            }
            try SnapshotSink.write(path, overwrite: overwrite) { (sink) throws(StorageError) in try body(sink) }
            return Losses()
        case .rdb, .aofPreamble: return try writeRDB(body)
        case .aof, .resp:
            return try Output.write(path, packing: packing, overwrite: overwrite) { (out) throws(StorageError) in
                try writeCommands(out, body)
            }
        case .json:
            try Output.write(path, packing: packing, overwrite: overwrite) { (out) throws(StorageError) in
                try unique(body, to: JSONLinesWriter(out))
            }
            return Losses()
        case .csv:
            try Output.write(path, packing: packing, overwrite: overwrite) { (out) throws(StorageError) in
                try unique(body, to: try CSVWriter(out))
            }
            return Losses()
        case .aofDirectory: return try AOFDirectoryTarget(target: self).write(body)
        }
    }

    /// A file that can be written at any place.
    var isPlainFile: Bool { path != Output.standard && packing == .none }

    var rdbOptions: RDBExporter.Options {
        var options = RDBExporter.Options()
        options.version = server?.rdbVersion ?? rdbVersion ?? options.version
        options.compresses = compressesStrings
        options.overwrite = overwrite
        options.dropFieldExpiries = dropFieldExpiries
        options.dropFunctions = dropFunctions
        return options
    }

    // MARK: - Forms

    private func writeRDB(_ body: Body) throws(StorageError) -> Losses {
        if isPlainFile {
            return try NewFile.make(path, overwrite: overwrite) { (file, _) throws(StorageError) in
                try writeRDB(file, path, body)
            }
        }
        // Numbers are filled in at the end, where nothing has been packed or sent yet.
        let spool = try Spool()
        let losses = try writeRDB(OpenFile(spool.descriptor), path, body)
        try Output.write(path, packing: packing, overwrite: overwrite) { (out) throws(StorageError) in
            try spool.copy(to: out)
        }
        return losses
    }

    func writeRDB(_ file: OpenFile, _ name: String, _ body: Body) throws(StorageError) -> Losses {
        let losses = try RDBSink.write(to: file, path: name, options: rdbOptions) { (sink) throws(StorageError) in
            try unique(body, to: sink)
        }
        return Losses(losses)
    }

    func writeCommands(_ out: Output, _ body: Body) throws(StorageError) -> Losses {
        var options = CommandWriter.Options()
        if let server {
            options.hasStreamCounts = server.hasStreamCounts
            options.hasFieldExpiries = server.hasFieldExpiries
            options.hasFunctions = server.hasFunctions
        }
        options.dropsFieldExpiries = dropFieldExpiries
        options.dropsFunctions = dropFunctions
        let writer = CommandWriter(out, options)
        try unique(body, to: writer)
        return Losses(writer.losses)
    }

    /// Has `body` write to a sink that refuses a key that comes twice.
    private func unique(_ body: Body, to sink: any KeySink) throws(StorageError) {
        let keys = UniqueKeys(sink)
        try body(keys)
        if keys.hasRepeated { throw KeyDigests.repeated(in: path) }
    }
}
