import Synchronization

/// The file of a segment to come, made in the background so that the cut finds it.
final class PreparedSegment: Sendable {
    private let outcome = Mutex<Result<SegmentFile, StorageError>?>(nil)

    /// Has `make` make it, on a thread in the background, which calls `onProgress` then.
    init(
        _ host: Host, _ onProgress: @escaping @Sendable () -> Void,
        _ make: @escaping @Sendable () throws(StorageError) -> SegmentFile
    ) {
        host.background.run { [self] in
            let made: Result<SegmentFile, StorageError>
            do throws(StorageError) {
                made = .success(try make())
            } catch {
                made = .failure(error)
            }
            outcome.withLock { $0 = made }
            onProgress()
        }
    }

    /// True once the one at `place` is made, which `start` begins where there is none. Throws, once, when it cannot be made:
    /// then there is none.
    static func isReady(
        _ place: inout PreparedSegment?, _ start: () -> PreparedSegment
    ) throws(StorageError) -> Bool {
        guard let segment = place else {
            place = start()
            return false
        }
        switch segment.result {
        case nil: return false
        case .success: return true
        case .failure(let error):
            place = nil
            throw error
        }
    }

    /// nil while it is being made.
    var result: Result<SegmentFile, StorageError>? { outcome.withLock { $0 } }
}

extension LogWriter {
    /// Has the first segment of a log made, durably and with its header, behind whatever there is of earlier logs, and with a
    /// number above `last`: the highest that may be noted anywhere. Calls `onProgress` then, on a thread in the background.
    static func prepareFirst(
        directory: String, baseName: String, server: String, above last: Int64, _ host: Host,
        _ onProgress: @escaping @Sendable () -> Void
    ) -> PreparedSegment {
        PreparedSegment(host, onProgress) { () throws(StorageError) in
            let files = host.files
            let there = try LogFormat.segments(directory: directory, base: baseName, files).max() ?? 0
            let (number, isHuge) = max(there, last).addingReportingOverflow(1)
            if isHuge {
                let path = directory + "/" + LogFormat.fileName(baseName, there)
                throw StorageError(file: path, message: "no log segment can have a higher number: remove it")
            }
            let file = try SegmentFile.prepare(directory: directory, baseName: baseName, number: number, files)
            try file.begin(header(number, server, SegmentEnd()), files)
            return file
        }
    }
}
