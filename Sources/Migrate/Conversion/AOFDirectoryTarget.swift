import Glibc
import Storage

/// Writes the folder of append-only files that Redis 7 and later keep: an RDB base, an empty increment and the manifest.
struct AOFDirectoryTarget {
    let target: DataTarget
    private static let name = "appendonly.aof"

    /// As `DataTarget.write`. The folder appears under its name when it is whole; one that is there is never replaced.
    func write(_ body: DataTarget.Body) throws(StorageError) -> DataTarget.Losses {
        var path = target.path
        while path.count > 1 && path.hasSuffix("/") { path.removeLast() }
        if path == Output.standard || target.packing != .none {
            throw StorageError(file: path, message: "a folder cannot be sent through a pipe or packed")
        }
        if access(path, F_OK) == 0 {
            throw StorageError(file: path, message: "exists already, and a folder is not replaced: move it away")
        }
        let temporary = "\(path).exporting.\(getpid())"
        guard mkdir(temporary, 0o777) == 0 else {
            throw StorageError(file: path, message: "cannot be created: \(systemReason())")
        }
        do throws(StorageError) {
            let losses = try fill(temporary, body)
            guard rename(temporary, path) == 0 else {
                throw StorageError(file: path, message: "cannot be created: \(systemReason())")
            }
            let parent = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
            try sync(parent)
            return losses
        } catch {
            for name in [base, increment, manifest] { unlink("\(temporary)/\(name)") }
            rmdir(temporary)
            throw error
        }
    }

    private var base: String { "\(Self.name).1.base.rdb" }
    private var increment: String { "\(Self.name).1.incr.aof" }
    private var manifest: String { "\(Self.name).manifest" }

    private func fill(_ folder: String, _ body: DataTarget.Body) throws(StorageError) -> DataTarget.Losses {
        let losses = try NewFile.make("\(folder)/\(base)", overwrite: false) { (file, _) throws(StorageError) in
            try target.writeRDB(file, target.path, body)
        }
        try NewFile.make("\(folder)/\(increment)", overwrite: false) { (_, _) throws(StorageError) in }
        let lines = "file \(base) seq 1 type b\nfile \(increment) seq 1 type i\n"
        try Output.write("\(folder)/\(manifest)", packing: .none, overwrite: false) { (out) throws(StorageError) in
            let text = OutputBuffer()
            text.append(text: lines)
            try out.write(text.bytes)
        }
        try sync(folder)
        return losses
    }

    private func sync(_ folder: String) throws(StorageError) {
        let descriptor = open(folder, O_RDONLY | O_CLOEXEC)
        defer { if descriptor >= 0 { close(descriptor) } }
        if descriptor < 0 || fsync(descriptor) != 0 {
            throw StorageError(file: folder, message: "cannot sync the directory: \(systemReason())")
        }
    }
}
