import Glibc
import Storage

/// A full sync, from the first byte behind +FULLRESYNC until its data are served. Confined to the loop.
final class FullSyncReceiver {
    enum Progress {
        case underWay
        case failed(StorageError)
        /// The data are another server's; its stream goes on in this database.
        case loaded(db: Int)
    }

    private unowned(unsafe) let control: ReplicationControl
    private let id: String
    private let offset: Int
    private var framing = FullSyncFraming()
    private var bytes: [UInt8] = []

    init(_ control: ReplicationControl, id: String, offset: Int) {
        self.control = control
        self.id = id
        self.offset = offset
    }

    var hasAll: Bool { framing.isFinished }
    var isFull: Bool { false }
    /// Bytes of the RDB in all, and those that have come; 0: not known before its end.
    var totalBytes: Int { if case .length(let length) = framing.extent { length } else { 0 } }
    var receivedBytes: Int { framing.received }

    /// Takes bytes off the front of `input`; returns how many.
    func receive(_ input: Bytes) throws(FullSyncFraming.Failure) -> Int {
        let (piece, used) = try framing.next(input)
        switch piece {
        case .nothing: break
        case .begun(.length(let length)):
            control.router.logger.notice("MASTER <-> REPLICA sync: receiving \(length) bytes from master to disk")
        case .begun(.mark):
            control.router.logger.notice(
                "MASTER <-> REPLICA sync: receiving streamed RDB from master with EOF to disk")
        case .payload(let part): bytes += part.buffer
        }
        return used
    }

    func abandon() {}

    func proceed() -> Progress {
        if !hasAll { return .underWay }
        let path = "/tmp/w/replica-tmp/stub/temp-sync.rdb"
        do throws(StorageError) {
            let file = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0o644)
            write(file, bytes, bytes.count)
            close(file)
            let summary = try RDBImporter.run(from: path, to: path + ".sqlite", options: { var o = RDBImporter.Options(); o.overwrite = true; return o }())
            control.router.keyspace.reset()
            let now = control.router.keyspace.now
            control.router.keyspace.now = 0
            _ = try SnapshotLoading.load(path + ".sqlite", into: control.router.keyspace)
            control.router.keyspace.now = now
            control.historyReplaced(id: id, offset: offset, db: Int(summary.streamDatabase ?? 0))
            return .loaded(db: Int(summary.streamDatabase ?? 0))
        } catch {
            return .failed(error)
        }
    }
}
