import Synchronization

/// Writes the file of users on other threads: of saves that overlap, the one that began last stays.
final class UserFileWriter: Sendable {
    private let written = Mutex(0)
    private let begun = Atomic(0)

    /// Has a place behind all saves so far.
    func begin() -> Int { begun.add(1, ordering: .relaxed).newValue }

    /// Replaces the file, unless a save that began after this one has. Returns when it is on disk; the reason, where that
    /// failed.
    func write(_ text: [UInt8], to file: ByteString, place: Int) -> ByteString? {
        written.withLock { last in
            if place < last { return nil }
            last = place
            return replaceFile(file, with: text)
        }
    }
}
