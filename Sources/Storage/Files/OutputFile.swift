import Glibc

/// A file that is written under another name in the same directory and appears under its own when it is whole.
enum OutputFile {
    /// SQLite's own files beside a database, and ours while it is made (`LateRows`).
    static let companions = ["-wal", "-shm", "-journal", lateSuffix]
    static let lateSuffix = "-late"

    /// The name under which the file `path` is written by this process; `verb` says what it does.
    static func temporary(_ path: String, _ verb: String) -> String { "\(path).\(verb).\(getpid())" }

    /// Deletes what processes that were killed have left of writing `path`. `isOurs`: nobody else may be writing it.
    static func removeLeftovers(of path: String, _ verb: String, isOurs: Bool = false, _ files: any FileSystem) {
        let folder = parentDirectory(of: path)
        let own = path.lastIndex(of: "/").map { String(path[path.index(after: $0)...]) } ?? path
        let prefix = "\(own).\(verb)."
        for name in (try? files.names(in: folder)) ?? [] where name.hasPrefix(prefix) {
            var digits = name.dropFirst(prefix.count)
            for suffix in companions where digits.hasSuffix(suffix) { digits = digits.dropLast(suffix.count) }
            guard let process = pid_t(digits), process > 0 else { continue }
            // Numbers are given again: our own is one that an earlier process had.
            let isGone = process == getpid() || (kill(process, 0) != 0 && errno == ESRCH)
            if isOurs || isGone { files.remove(folder + "/" + name) }
        }
    }

    /// What stands for `path`: a symbolic link to a regular file is followed, so that the file is replaced and not the
    /// link.
    static func resolved(_ path: String, _ files: any FileSystem) -> String {
        guard let facts = try? files.facts(path, followsLinks: false), facts.kind == .link,
            files.facts(path)?.isRegular == true
        else { return path }
        return files.resolved(path) ?? path
    }

    /// Throws where something is in the way.
    static func checkFree(_ path: String, overwrite: Bool, _ files: any FileSystem) throws(StorageError) {
        let facts = try? files.facts(path, followsLinks: false)
        if !overwrite && facts != nil {
            throw StorageError(file: path, message: "exists already; it is replaced only when forced")
        }
        if let facts, !facts.isRegular {
            throw StorageError(
                file: path, message: "is no regular file, and nothing else is replaced: choose another name")
        }
        // A log left beside the name would be applied to the new database.
        for suffix in ["-wal", "-journal"] {
            guard let left = try? files.facts(path + suffix, followsLinks: false), left.size > 0 else { continue }
            throw StorageError(
                file: path + suffix,
                message: "exists: the snapshot is in use, or its server was killed; stop the server, or remove the file"
            )
        }
    }

    /// Makes what a file holds durable.
    static func sync(_ path: String, _ files: any FileSystem) throws(StorageError) {
        do throws(FileError) {
            let file = try files.open(path, .read)
            defer { files.close(file) }
            try files.sync(file, .all)
        } catch {
            throw .system(path, "cannot be synced", error)
        }
    }

    /// Moves a durable file to its place, durably.
    static func publish(
        _ temporary: String, as path: String, overwrite: Bool, _ files: any FileSystem
    ) throws(StorageError) {
        do throws(FileError) {
            if overwrite {
                for suffix in companions { files.remove(path + suffix) }
                try files.rename(temporary, to: path)
            } else {
                // A link, unlike a rename, does not replace what somebody else put there meanwhile.
                try files.link(temporary, to: path)
                files.remove(temporary)
            }
        } catch {
            throw .system(path, overwrite ? "cannot be replaced" : "cannot be created", error)
        }
        try files.syncNames(beside: path)
    }

    /// Removes a database of ours that did not become whole, with what SQLite left beside it.
    static func removeDatabase(_ path: String, _ files: any FileSystem) {
        for suffix in [""] + companions { files.remove(path + suffix) }
    }
}
