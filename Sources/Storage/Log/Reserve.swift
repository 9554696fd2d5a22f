import Synchronization

/// A megabyte of the disk that the log gives up to itself when the disk is full, so that deletes, which are what is
/// needed then, can still be logged: an empty file with blocks of its own. A file system without such files has none.
final class Reserve: Sendable {
    static let fileName = "swiftlet.reserve"
    static let size = 1 << 20

    private let path: String
    private let host: Host
    private let isThere = Atomic<Bool>(false)
    /// errno of the write that took it; 0: it was not needed, or is there again.
    private let taken = Atomic<Int32>(0)
    /// A message that asks for it is under way.
    private let isAsked = Atomic<Bool>(false)

    init(directory: String, _ host: Host) {
        path = directory + "/" + Reserve.fileName
        self.host = host
    }

    /// errno of the write that found the disk full; 0 while there is a reserve, or none was ever needed.
    var takenFor: Int32 { taken.load(ordering: .acquiring) }
    var isAvailable: Bool { isThere.load(ordering: .acquiring) }
    var isBusy: Bool { isAsked.load(ordering: .acquiring) }

    /// Sets blocks aside, again after `spend`. May wait for the disk. Where there is no room, `takenFor` stays.
    func fill() {
        if isAvailable { return }
        let files = host.files
        guard let file = try? files.open(path, .create) else { return }
        defer { files.close(file) }
        do throws(FileError) {
            try Reserve.allocate(file, at: 0, bytes: Reserve.size, files)
            if try files.facts(file).allocated < Int64(Reserve.size) { throw .unsupported }
        } catch {
            files.remove(path)
            // Without a reserve, what stands in the way of the next write is found out by writing.
            if !error.isNoSpace { taken.store(0, ordering: .releasing) }
            return
        }
        isThere.store(true, ordering: .releasing)
        taken.store(0, ordering: .releasing)
    }

    /// Gives the blocks to `segment`, behind its end. `code`: what the write failed with. May wait for the disk.
    func spend(on segment: SegmentFile, _ code: Int32) {
        if !isThere.exchange(false, ordering: .acquiringAndReleasing) { return }
        taken.store(code, ordering: .releasing)
        host.files.remove(path)
        try? Reserve.allocate(segment.file, at: segment.end, bytes: Reserve.size, host.files)
    }

    /// Runs `body` in the background, unless that was asked for already and is not done; then `finished`.
    func inBackground(_ body: @escaping @Sendable (Reserve) -> Void, _ finished: @escaping @Sendable () -> Void) {
        if isAsked.exchange(true, ordering: .acquiringAndReleasing) { return }
        host.background.run { [self] in
            body(self)
            isAsked.store(false, ordering: .releasing)
            finished()
        }
    }

    /// Gives a file blocks that its size does not show. Does nothing where the file system has no such thing.
    static func allocate(
        _ file: OpenFile, at offset: Int64, bytes: Int, _ files: any FileSystem
    ) throws(FileError) {
        do throws(FileError) {
            try files.allocate(file, at: offset, bytes: bytes)
        } catch {
            if !error.isUnsupported { throw error }
        }
    }
}
