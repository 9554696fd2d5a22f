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
        directory: String, folder: String, baseName: String, files: any FileSystem = Host.real.files
    ) throws(StorageError) -> AOFFiles? {
        let folder = directory + "/" + folder
        let single = directory + "/" + baseName
        let manifestPath = folder + "/" + baseName + ".manifest"
        guard files.facts(manifestPath) != nil else {
            if let facts = files.facts(single), facts.size > 0 {
                return AOFFiles(paths: [single], bytes: facts.size, modified: facts.modified)
            }
            try refuseWithoutManifest(folder, baseName, files)
            return nil
        }
        let map = try MappedFile(manifestPath, files)
        defer { map.unmap() }
        let manifest = try AOFManifest(map.bytes, path: manifestPath)
        let names = ([manifest.base].compactMap { $0 } + manifest.increments).map(\.name)
        if names == [baseName], files.facts(folder + "/" + baseName) == nil, let facts = files.facts(single) {
            return AOFFiles(paths: [single], bytes: facts.size, modified: facts.modified)
        }
        var size: Int64 = 0
        var modified = Int64.min
        for name in names {
            guard let facts = files.facts(folder + "/" + name) else {
                throw StorageError(
                    file: folder + "/" + name,
                    message: "the manifest of Redis's append-only files names this one, which is missing: put it back, "
                        + "or move the folder away to start without its data")
            }
            size &+= facts.size
            modified = max(modified, facts.modified)
        }
        if size <= 0 { return nil }
        return AOFFiles(paths: names.map { folder + "/" + $0 }, bytes: size, modified: modified)
    }

    /// Those of a folder that Redis 7 or later has written, alone: what the one manifest in it names. Throws where there is none,
    /// or more than one.
    public static func find(
        inFolder path: String, files: any FileSystem = Host.real.files
    ) throws(StorageError) -> AOFFiles? {
        let resolved = files.resolved(path) ?? path
        let names = (try? files.names(in: resolved)) ?? []
        let manifests = names.filter { $0.hasSuffix(".manifest") }
        guard manifests.count == 1, let slash = resolved.lastIndex(of: "/") else {
            throw StorageError(
                file: path,
                message:
                    "holds \(manifests.isEmpty ? "no manifest" : "several manifests") of append-only files: name the "
                    + "folder that `appenddirname` names")
        }
        return try find(
            directory: slash == resolved.startIndex ? "/" : String(resolved[..<slash]),
            folder: String(resolved[resolved.index(after: slash)...]),
            baseName: String(manifests[0].dropLast(".manifest".count)), files: files)
    }

    private init(paths: [String], bytes: Int64, modified: Int64) {
        self.paths = paths
        self.bytes = bytes
        self.modified = modified
    }

    /// Files with data that no manifest of the name wanted explains would be passed over.
    private static func refuseWithoutManifest(
        _ folder: String, _ baseName: String, _ files: any FileSystem
    ) throws(StorageError) {
        for name in (try? files.names(in: folder)) ?? [] {
            if name.hasSuffix(".manifest") {
                throw StorageError(
                    file: folder + "/" + name,
                    message: "Redis's append-only files are here under another name than `appendfilename` "
                        + "\(baseName): set it to \(name.dropLast(".manifest".count)), or move the folder away to "
                        + "start without their data")
            }
            let isPart = [".base.rdb", ".base.aof", ".incr.aof"].contains { name.hasSuffix($0) }
            if isPart, let facts = files.facts(folder + "/" + name), facts.size > 0 {
                throw StorageError(
                    file: folder + "/" + name,
                    message: "this is one of Redis's append-only files, and the manifest that says how they belong "
                        + "together is missing: put \(baseName).manifest back, or move the folder away to start "
                        + "without its data")
            }
        }
    }
}
