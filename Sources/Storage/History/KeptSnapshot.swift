/// A snapshot that is kept under a name, until it is dropped: a file of its own beside the live one.
public struct KeptSnapshot: Sendable, Equatable {
    public let name: String

    private static let suffix = ".sqlite"
    private static let longest = 64

    /// nil unless the name is of 1 to 64 letters, digits, `-`, `_` and `.`, and does not begin with a dot.
    public init?(name: String) {
        let ranges: [ClosedRange<UInt8>] = [48...57, 65...90, 97...122]
        let isGood = name.utf8.allSatisfy { byte in
            ranges.contains { $0.contains(byte) } || "-_.".utf8.contains(byte)
        }
        guard isGood, (1...KeptSnapshot.longest).contains(name.utf8.count), name.utf8.first != UInt8(ascii: ".") else {
            return nil
        }
        self.name = name
    }

    /// Where those of a data directory lie.
    public static func folder(in directory: String) -> String { directory + "/snapshots" }
    public func path(in directory: String) -> String {
        KeptSnapshot.folder(in: directory) + "/" + name + KeptSnapshot.suffix
    }

    /// What a kept snapshot says of itself.
    public struct Facts: Sendable {
        public let name: String
        public let meta: Meta
        public let bytes: Int64
    }

    /// All that are kept, by name; files that are no snapshots are left out. Reads each.
    public static func all(in directory: String, files: any FileSystem = Host.real.files) -> [Facts] {
        let names = (try? files.names(in: folder(in: directory))) ?? []
        return names.filter { $0.hasSuffix(suffix) }.sorted().compactMap { file in
            guard let kept = KeptSnapshot(name: String(file.dropLast(suffix.count))),
                let (meta, bytes) = try? SnapshotCopy.facts(kept.path(in: directory), files: files)
            else { return nil }
            return Facts(name: kept.name, meta: meta, bytes: bytes)
        }
    }

    /// Deletes it, durably. False where there is none. Throws where it cannot be deleted.
    public func drop(from directory: String, files: any FileSystem = Host.real.files) throws(StorageError) -> Bool {
        let path = path(in: directory)
        do throws(FileError) {
            try files.unlink(path)
        } catch {
            if error.isMissing { return false }
            throw .system(path, "cannot be deleted", error)
        }
        try files.syncNames(beside: path)
        return true
    }
}
