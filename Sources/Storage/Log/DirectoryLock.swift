/// What a directory is known to have held, durably: so that files which went missing are noticed.
public struct DataRecord: Sendable, Equatable {
    public let server: String
    /// The last log segment that was whole on disk, with all before it; 0: there was a snapshot alone.
    public let segment: Int64

    public init(server: String, segment: Int64) {
        self.server = server
        self.segment = segment
    }

    // One sector, always as long, so that it is replaced as a whole.
    private static let tag = "swiftlet:d:1:"
    static let size = 13 + LogFormat.serverSize + 1 + 19 + 1

    var text: OutputBuffer {
        let out = OutputBuffer(capacity: DataRecord.size)
        out.append(text: DataRecord.tag + server + ":")
        LogFormat.appendDigits(segment, width: 19, to: out)
        out.append(byte: 10)
        return out
    }
    init?(text: Bytes) {
        guard text.count == DataRecord.size, text[0..<13].string == DataRecord.tag, text[49] == 58,
            let segment = Int64(text[50..<69].string), segment >= 0
        else { return nil }
        self.init(server: text[13..<49].string, segment: segment)
    }
}

/// One server a directory: a lock on a file of our own, held until the process ends. The file also tells what the
/// directory held; without it, as in a restored backup, whatever is there is taken for all that was.
public final class DirectoryLock: Sendable {
    private let file: OpenFile
    private let path: String
    private let host: Host
    /// What the file said when it was opened; nil when it said nothing.
    public let record: DataRecord?

    /// The file said something else: a power cut during its first writing, or another program.
    public let isUnreadable: Bool

    /// The lock's file.
    static func path(_ directory: String) -> String { directory + "/swiftlet.lock" }

    /// Throws when another process holds the lock.
    public init(directory: String, _ host: Host = .real) throws(StorageError) {
        self.host = host
        path = DirectoryLock.path(directory)
        let files = host.files
        file = try files.open(path, .readWriteCreate, or: "cannot open the lock file")
        do throws(FileError) {
            try files.lock(file, .exclusive)
        } catch {
            files.close(file)
            if error.isLockedElsewhere {
                throw StorageError(file: path, message: "another server uses this directory: give each its own `dir`")
            }
            throw .system(path, "cannot lock", error)
        }
        let text = files.head(file, DataRecord.size + 1)
        record = text?.withUnsafeBytes { text in
            text.baseAddress.flatMap { DataRecord(text: Bytes($0, text.count)) }
        }
        isUnreadable = record == nil && text?.isEmpty != true
    }
    deinit { host.files.close(file) }

    /// Replaces the record, durably. Waits for the disk.
    public func write(_ record: DataRecord) throws(StorageError) {
        let text = record.text
        do throws(FileError) {
            try host.files.writeAll(file, text.bytes, at: 0)
            try host.files.sync(file, .data)
        } catch {
            throw .system(path, "cannot write what the directory holds", error)
        }
    }
    /// Writes the record on a thread in the background. A failure leaves the record as it was: then less is noticed.
    public func writeInBackground(_ record: DataRecord, onFailure: @escaping @Sendable (StorageError) -> Void) {
        host.background.run { [self] in
            do throws(StorageError) { try write(record) } catch { onFailure(error) }
        }
    }
}
