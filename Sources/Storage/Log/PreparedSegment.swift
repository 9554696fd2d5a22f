import Synchronization

/// The file of a segment to come, made in the background so that the cut finds it.
final class PreparedSegment: Sendable {
    private let outcome = Mutex<Result<SegmentFile, StorageError>?>(nil)

    /// Has it made; then `onProgress` is called, on a thread in the background.
    init(
        directory: String, baseName: String, number: Int64, _ host: Host, _ onProgress: @escaping @Sendable () -> Void
    ) {
        host.background.run { [self, files = host.files] in
            let made: Result<SegmentFile, StorageError>
            do throws(StorageError) {
                made = .success(
                    try SegmentFile.prepare(directory: directory, baseName: baseName, number: number, files))
            } catch {
                made = .failure(error)
            }
            outcome.withLock { $0 = made }
            onProgress()
        }
    }

    /// nil while it is being made.
    var result: Result<SegmentFile, StorageError>? { outcome.withLock { $0 } }
}
