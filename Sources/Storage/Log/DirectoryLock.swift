/// What a directory is known to have held, durably: so that files which went missing are noticed.
public struct DataRecord: Sendable, Equatable {
    public let server: String
    /// The last log segment that was whole on disk, with all before it; 0: there was a snapshot alone.
    public let segment: Int64
    /// The server has ended with all that it had done on disk, and nothing has begun to change it since; nil: not so.
    public let stop: CleanStop?

    /// Where the stream of changes stood when the server ended.
    public struct CleanStop: Sendable, Equatable {
        public let id: String
        public let offset: Int
    }

    public init(server: String, segment: Int64, stop: CleanStop? = nil) {
        self.server = server
        self.segment = segment
        self.stop = stop
    }

    // One sector, always as long, so that it is replaced as a whole. Version 1 ends behind the segment.
    private static let tag = "swiftlet:d:2:"
    private static let firstTag = "swiftlet:d:1:"
    private static let firstSize = 13 + LogFormat.serverSize + 1 + 19 + 1
    private static let idSize = 40
    static let size = firstSize + idSize + 1 + 19 + 1
    private static let noID = String(repeating: "-", count: idSize)

    var text: OutputBuffer {
        let out = OutputBuffer(capacity: DataRecord.size)
        out.append(text: DataRecord.tag + server + ":")
        LogFormat.appendDigits(segment, width: 19, to: out)
        out.append(text: ":" + (stop?.id ?? DataRecord.noID) + ":")
        LogFormat.appendDigits(Int64(stop?.offset ?? 0), width: 19, to: out)
        out.append(byte: 10)
        return out
    }
    init?(text: Bytes) {
        let isFirst = text.count == DataRecord.firstSize
        guard isFirst || text.count == DataRecord.size,
            text[0..<13].string == (isFirst ? DataRecord.firstTag : DataRecord.tag), text[49] == 58,
            let segment = Int64(text[50..<69].string), segment >= 0
        else { return nil }
        let server = text[13..<49].string
        if isFirst || text[70..<110].string == DataRecord.noID {
            self.init(server: server, segment: segment)
            return
        }
        guard text[69] == 58, text[110] == 58, text[70..<110].isStreamID, let offset = Int(text[111..<130].string),
            offset >= 0
        else { return nil }
        self.init(server: server, segment: segment, stop: CleanStop(id: text[70..<110].string, offset: offset))
    }
}

extension DataRecord {
    /// What a directory's record says; nil where there is none, or none that can be read. Takes no lock.
    static func read(_ directory: String, _ files: any FileSystem) -> DataRecord? {
        guard let file = try? files.open(DirectoryLock.path(directory), .read) else { return nil }
        defer { files.close(file) }
        return files.head(file, size + 1)?.withUnsafeBytes { text in
            text.baseAddress.flatMap { DataRecord(text: Bytes($0, text.count)) }
        }
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
