/// Copies of a snapshot that a server has open: page by page, as of one commit, while others read and commit.
///
/// Pages of the WAL are among them, and tables, views and indexes of the user's. A copy is one file, without a WAL.
public enum SnapshotCopy {
    /// Told how many bytes are copied, and of how many; ends the copy with false.
    public typealias Progress = @Sendable (_ done: Int64, _ all: Int64) -> Bool

    /// What to do with the copy's `segment`.
    public enum Kind: Sendable {
        /// A server starts with the copy alone, in an empty directory: no log belongs to it.
        case alone
        /// The log's segments from there on go with the copy.
        case withLog
    }

    /// Makes the file `path`, which appears under its name when it is whole and synced. Returns what it says of itself.
    /// The directory is made where it is missing. Throws where a file is there and `overwrite` is false, or what is there is no regular file, and what the disk has against it;
    /// nothing is left then.
    public static func make(
        of snapshot: String, at path: String, _ kind: Kind, overwrite: Bool = false,
        files: any FileSystem = Host.real.files, progress: Progress = { _, _ in true }
    ) throws(StorageError) -> Meta {
        try files.haveDirectory(parentDirectory(of: path))
        return try NewSnapshot.make(path, overwrite: overwrite, files: files) { (temporary) throws(StorageError) in
            OutputFile.removeDatabase(temporary, files)
            try copyPages(of: snapshot, to: temporary, files, progress)
            return try finish(temporary, kind, files)
        }
    }

    private static func copyPages(
        of snapshot: String, to path: String, _ files: any FileSystem, _ progress: Progress
    ) throws(StorageError) {
        // Its transaction has begun to read.
        let source = try SnapshotReader(path: snapshot, files: files).connection
        let target = try SQLiteConnection(path: path, mode: .create, files)
        try target.execute(named: "writer.scratch")
        let pageSize = try source.integer(named: "page_size")
        try source.copy(to: target) { progress(Int64($0) * pageSize, Int64($1) * pageSize) }
    }

    /// The pages say that there is a WAL, as the snapshot's do.
    private static func finish(
        _ path: String, _ kind: Kind, _ files: any FileSystem
    ) throws(StorageError) -> Meta {
        let copy = try SQLiteConnection(path: path, mode: .write, files)
        guard try copy.string(named: "writer.no_wal") == "delete" else {
            throw copy.error("the copy cannot leave write-ahead logging")
        }
        try copy.execute(named: "writer.scratch")
        guard var meta = try Meta.read(copy) else { throw copy.error("the copy holds no checkpoint") }
        if kind == .alone {
            meta.segment = 0
            meta.segmentOffset = 0
        }
        try copy.execute(named: "begin.write")
        try meta.write(copy)
        try copy.execute(named: "commit")
        return meta
    }

    /// What a snapshot says of itself, and its size in bytes. Throws where it is none.
    public static func facts(
        _ path: String, files: any FileSystem = Host.real.files
    ) throws(StorageError) -> (meta: Meta, bytes: Int64) {
        (try SnapshotReader(path: path, files: files).meta, files.size(path) ?? 0)
    }

    /// Leaves write-ahead logging: what is in the WAL moves into the file, and no WAL stays. Nobody else may have it open.
    static func endWAL(_ path: String, _ files: any FileSystem) throws(StorageError) {
        let connection = try SQLiteConnection(path: path, mode: .write, files)
        guard try connection.string(named: "writer.no_wal") == "delete" else {
            throw connection.error("another program has the snapshot open")
        }
    }
}

extension Meta {
    /// Keys of all types.
    public var keys: Int64 {
        ([SnapshotTable.strings] + CollectionTables.all.map(\.owners)).reduce(0) { $0 &+ rowCounts[$1] }
    }
}
