import CShims
import Glibc
import Synchronization

/// A megabyte of the disk that the log gives up to itself when the disk is full, so that deletes, which are what is
/// needed then, can still be logged: an empty file with blocks of its own. A file system without such files has none.
final class Reserve: Sendable {
    static let fileName = "swiftlet.reserve"
    static let size = 1 << 20

    private let path: String
    private let isThere = Atomic<Bool>(false)
    /// errno of the write that took it; 0: it was not needed, or is there again.
    private let taken = Atomic<Int32>(0)
    /// A message that asks for it is under way.
    private let isAsked = Atomic<Bool>(false)

    init(directory: String) { path = directory + "/" + Reserve.fileName }

    /// errno of the write that found the disk full; 0 while there is a reserve, or none was ever needed.
    var takenFor: Int32 { taken.load(ordering: .acquiring) }
    var isAvailable: Bool { isThere.load(ordering: .acquiring) }
    var isBusy: Bool { isAsked.load(ordering: .acquiring) }

    /// Whether a write that failed so may succeed with the reserve's blocks.
    static func helps(_ code: Int32) -> Bool { code == ENOSPC || code == EDQUOT }

    /// Sets blocks aside, again after `spend`. May wait for the disk. Where there is no room, `takenFor` stays.
    func fill() {
        if isAvailable { return }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
        if descriptor < 0 { return }
        defer { close(descriptor) }
        let code = Reserve.allocate(descriptor, at: 0, bytes: Reserve.size)
        if code != 0 || !Reserve.isSupported(descriptor) {
            unlink(path)
            // Without a reserve, what stands in the way of the next write is found out by writing.
            if !Reserve.helps(code) { taken.store(0, ordering: .releasing) }
            return
        }
        isThere.store(true, ordering: .releasing)
        taken.store(0, ordering: .releasing)
    }

    /// Gives the blocks to `file`, behind its end. `code`: what the write failed with. May wait for the disk.
    func spend(on file: SegmentFile, _ code: Int32) {
        if !isThere.exchange(false, ordering: .acquiringAndReleasing) { return }
        taken.store(code, ordering: .releasing)
        unlink(path)
        _ = Reserve.allocate(file.descriptor, at: file.end, bytes: Reserve.size)
    }

    /// Runs `body` in the background, unless that was asked for already and is not done; then `finished`.
    func inBackground(_ body: @escaping @Sendable (Reserve) -> Void, _ finished: @escaping @Sendable () -> Void) {
        if isAsked.exchange(true, ordering: .acquiringAndReleasing) { return }
        BackgroundFiles.shared.run { [self] in
            body(self)
            isAsked.store(false, ordering: .releasing)
            finished()
        }
    }

    /// Gives a file blocks that its size does not show. Returns errno; 0 also where the file system has no such thing.
    static func allocate(_ descriptor: Int32, at offset: Int64, bytes: Int) -> Int32 {
        while cshims_allocate(descriptor, offset, Int64(bytes)) != 0 {
            let code = lastError()
            if code == EINTR { continue }
            return code == EOPNOTSUPP || code == ENOSYS ? 0 : code
        }
        return 0
    }
    private static func isSupported(_ descriptor: Int32) -> Bool {
        var info = stat()
        return fstat(descriptor, &info) == 0 && Int(info.st_blocks) * 512 >= size
    }
}
