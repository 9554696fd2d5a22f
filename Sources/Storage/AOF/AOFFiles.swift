import Glibc

/// Redis's append-only files in a data directory: one file up to Redis 6, a folder with a manifest from Redis 7 on. They
/// are only read.
public struct AOFFiles: Sendable {
    /// In the order in which they are read; all exist.
    public let paths: [String]
    /// Of all files.
    public let bytes: Int64
    /// When the last of them was written, in ns since 1970.
    public let modified: Int64

    /// Those that redis-server 7.0 with these settings would load with `appendonly yes`: what the manifest names, or
    /// the single file where there is no manifest or the manifest names just that file, which was not moved yet. nil where there is
    /// no data in any. Throws where files are missing, or are there and no manifest says what they are.
    public static func find(
        directory: String, folder: String, baseName: String
    ) throws(StorageError) -> AOFFiles? {
        let folder = directory + "/" + folder
        let single = directory + "/" + baseName
        let manifestPath = folder + "/" + baseName + ".manifest"
        guard FileFacts.of(manifestPath) != nil else {
            if let facts = FileFacts.of(single), facts.size > 0 { return try AOFFiles([single], facts) }
            try refuseWithoutManifest(folder, baseName)
            return nil
        }
        let map = try MappedFile(manifestPath)
        defer { map.unmap() }
        let manifest = try AOFManifest(map.bytes, path: manifestPath)
        let names = ([manifest.base].compactMap { $0 } + manifest.increments).map(\.name)
        if names == [baseName], FileFacts.of(folder + "/" + baseName) == nil, let facts = FileFacts.of(single) {
            return try AOFFiles([single], facts)
        }
        var total: FileFacts?
        for name in names {
            guard let facts = FileFacts.of(folder + "/" + name) else {
                throw StorageError(
                    file: folder + "/" + name,
                    message: "the manifest of Redis's append-only files names this one, which is missing: put it back, "
                        + "or move the folder away to start without its data")
            }
            total = total?.adding(facts) ?? facts
        }
        guard let total, total.size > 0 else { return nil }
        return try AOFFiles(names.map { folder + "/" + $0 }, total)
    }

    private init(_ paths: [String], _ facts: FileFacts) throws(StorageError) {
        self.paths = paths
        bytes = facts.size
        modified = facts.modified
    }

    /// Files with data that no manifest of the name wanted explains would be passed over.
    private static func refuseWithoutManifest(_ folder: String, _ baseName: String) throws(StorageError) {
        guard let stream = opendir(folder) else { return }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasSuffix(".manifest") {
                throw StorageError(
                    file: folder + "/" + name,
                    message: "Redis's append-only files are here under another name than `appendfilename` "
                        + "\(baseName): set it to \(name.dropLast(".manifest".count)), or move the folder away to "
                        + "start without their data")
            }
            let isPart = [".base.rdb", ".base.aof", ".incr.aof"].contains { name.hasSuffix($0) }
            if isPart, let facts = FileFacts.of(folder + "/" + name), facts.size > 0 {
                throw StorageError(
                    file: folder + "/" + name,
                    message: "this is one of Redis's append-only files, and the manifest that says how they belong "
                        + "together is missing: put \(baseName).manifest back, or move the folder away to start "
                        + "without its data")
            }
        }
    }
}
