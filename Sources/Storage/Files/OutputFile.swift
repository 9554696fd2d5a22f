import Glibc

/// A file that is written under another name in the same directory and appears under its own when it is whole.
enum OutputFile {
    /// SQLite's own files beside a database, and ours while it is made (`LateRows`).
    static let companions = ["-wal", "-shm", "-journal", lateSuffix]
    static let lateSuffix = "-late"

    /// The name under which the file `path` is written by this process; `verb` says what it does.
    static func temporary(_ path: String, _ verb: String) -> String { "\(path).\(verb).\(getpid())" }

    /// Deletes what processes that were killed have left of writing `path`. `isOurs`: nobody else may be writing it.
    static func removeLeftovers(of path: String, _ verb: String, isOurs: Bool = false) {
        let slash = path.lastIndex(of: "/")
        let directory = slash.map { String(path[...$0]) } ?? "./"
        let prefix = "\(slash.map { String(path[path.index(after: $0)...]) } ?? path).\(verb)."
        guard let stream = opendir(directory) else { return }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard name.hasPrefix(prefix) else { continue }
            var digits = name.dropFirst(prefix.count)
            for suffix in companions where digits.hasSuffix(suffix) { digits = digits.dropLast(suffix.count) }
            guard let process = pid_t(digits), process > 0 else { continue }
            // Numbers are given again: our own is one that an earlier process had.
            let isGone = process == getpid() || (kill(process, 0) != 0 && errno == ESRCH)
            if isOurs || isGone { unlink(directory + name) }
        }
    }

    /// What stands for `path`: a symbolic link to a regular file is followed, so that the file is replaced and not the
    /// link.
    static func resolved(_ path: String) -> String {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFLNK, FileFacts.of(path)?.isRegular == true,
            let target = realpath(path, nil)
        else { return path }
        defer { free(target) }
        return String(cString: target)
    }

    /// Throws where something is in the way.
    static func checkFree(_ path: String, overwrite: Bool) throws(StorageError) {
        if !overwrite && exists(path) {
            throw StorageError(file: path, message: "exists already; it is replaced only when forced")
        }
        var status = stat()
        if lstat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG {
            throw StorageError(
                file: path, message: "is no regular file, and nothing else is replaced: choose another name")
        }
        // A log left beside the name would be applied to the new database.
        for suffix in ["-wal", "-journal"] where size(path + suffix) > 0 {
            throw StorageError(
                file: path + suffix,
                message: "exists: the snapshot is in use, or its server was killed; stop the server, or remove the file"
            )
        }
    }

    /// Makes what a file holds durable.
    static func sync(_ path: String) throws(StorageError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        let isSynced = descriptor >= 0 && fsync(descriptor) == 0
        let code = errno
        if descriptor >= 0 { close(descriptor) }
        if !isSynced { throw StorageError(file: path, message: "cannot be synced: \(String(cString: strerror(code)))") }
    }

    /// Moves a durable file to its place, durably.
    static func publish(_ temporary: String, as path: String, overwrite: Bool) throws(StorageError) {
        func failure(_ what: String) -> StorageError {
            StorageError(file: path, message: "\(what): \(String(cString: strerror(errno)))")
        }
        if overwrite {
            for suffix in companions { unlink(path + suffix) }
            guard rename(temporary, path) == 0 else { throw failure("cannot be replaced") }
        } else {
            // A link, unlike a rename, does not replace what somebody else put there meanwhile.
            guard link(temporary, path) == 0 else { throw failure("cannot be created") }
            unlink(temporary)
        }
        try syncDirectory(of: path)
    }

    /// Removes a database of ours that did not become whole, with what SQLite left beside it.
    static func removeDatabase(_ path: String) {
        for suffix in [""] + companions { unlink(path + suffix) }
    }

    private static func exists(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0
    }
    private static func size(_ path: String) -> Int64 {
        var status = stat()
        return lstat(path, &status) == 0 ? Int64(status.st_size) : 0
    }
}
