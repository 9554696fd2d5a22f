// Invariant of this file: the bytes at `flushed...` are in `buffer`, those before are in the file and in `crc`. A hole
// lies whole on one side of that border, as `buffer` is flushed between appends only.

/// Where an RDB file, a stream of one or a DUMP payload is put together: a buffer, the file or receiver behind it (if
/// there is one), and the CRC of all that was appended. Appending never fails: what goes wrong behind the buffer is thrown
/// by `flushIfFull` and `finish`.
final class RDBOutput {
    /// A number that is filled in when it is known: where its bytes lie.
    struct Hole {
        fileprivate var offset: Int64 = 0
    }

    typealias Receiver = (Bytes) throws(StorageError) -> Void

    private let buffer: OutputBuffer
    private let file: OpenFile?
    /// Takes what would go to a file, in order, and blocks or throws as it likes.
    private let receiver: Receiver?
    private let flushSize: Int
    private let files: any FileSystem
    /// For messages.
    private let path: String
    private var flushed: Int64 = 0
    private var crc = CRC64()
    private var failure: StorageError?

    /// Of the buffer, in bytes; longer runs go past it.
    private static var flushSize: Int { StructureSizes.size(1 << 20, small: 256) }
    /// A receiver gets no more bytes at once.
    static var chunkSize: Int { StructureSizes.size(128 << 10, small: 256) }

    /// In memory only.
    init() {
        buffer = OutputBuffer(capacity: 256)
        file = nil
        receiver = nil
        flushSize = .max
        files = Host.real.files
        path = ""
    }

    /// To an open file, from its start. `path` is for messages; whoever opened the file closes it.
    init(_ file: OpenFile, path: String, _ files: any FileSystem) {
        buffer = OutputBuffer(capacity: RDBOutput.flushSize + 4096)
        self.file = file
        receiver = nil
        flushSize = RDBOutput.flushSize
        self.files = files
        self.path = path
    }

    /// To a receiver, which gets each byte once: there are no holes.
    init(to receiver: @escaping Receiver) {
        buffer = OutputBuffer(capacity: RDBOutput.chunkSize + 4096)
        file = nil
        self.receiver = receiver
        flushSize = RDBOutput.chunkSize
        files = Host.real.files
        path = ""
    }

    /// Of the next byte, from the start.
    var offset: Int64 { flushed + Int64(buffer.count) }
    /// What is in memory: all of it where nothing is behind it.
    var bytes: Bytes { buffer.bytes }
    /// A number may be filled in later.
    var hasHoles: Bool { receiver == nil }

    // MARK: - Appending

    @inline(__always) func append(byte: UInt8) { buffer.append(byte: byte) }
    /// Least significant byte first.
    @inline(__always) func append<T: FixedWidthInteger>(littleEndian value: T) {
        buffer.append(raw: value.littleEndian)
    }
    @inline(__always) func append<T: FixedWidthInteger>(bigEndian value: T) { buffer.append(raw: value.bigEndian) }
    @inline(__always) func append(_ bytes: Bytes) {
        if bytes.count > flushSize { return appendDirectly(bytes) }
        buffer.append(bytes)
    }
    @inline(never) private func appendDirectly(_ bytes: Bytes) {
        flush()
        crc.update(bytes)
        write(bytes)
    }

    /// Of an output in memory: empties it for the next payload.
    func removeAll() {
        buffer.removeAll(keepingAtMost: 1 << 20)
        flushed = 0
    }

    /// Room for `count` bytes, 0 until `fill`.
    func appendHole(_ count: Int) -> Hole {
        let hole = Hole(offset: offset)
        for _ in 0..<count { buffer.append(byte: 0) }
        return hole
    }

    func fill(_ hole: Hole, _ bytes: Bytes) {
        if hole.offset >= flushed { return buffer.overwrite(at: Int(hole.offset - flushed), with: bytes) }
        guard let file else { return }
        crc.patch(bytes, bytesSince: UInt64(flushed - hole.offset) - UInt64(bytes.count))
        write(bytes, to: file, at: hole.offset)
    }

    // MARK: - The file

    /// Call now and then, between records. Throws what has gone wrong so far.
    @inline(__always) func flushIfFull() throws(StorageError) {
        if buffer.count >= flushSize { flush() }
        if let failure { throw failure }
    }

    /// The CRC of everything so far.
    func checksum() -> UInt64 {
        if flushSize == .max { return CRC64.of(buffer.bytes) }
        flush()
        return crc.value
    }

    /// All is in the file and durable when this returns, or was taken by the receiver.
    func finish() throws(StorageError) {
        flush()
        if let file, failure == nil {
            do throws(FileError) { try files.sync(file, .all) } catch { fail(error) }
        }
        if let failure { throw failure }
    }

    private func flush() {
        crc.update(buffer.bytes)
        write(buffer.bytes)
        buffer.removeAll(keepingAtMost: 2 * flushSize)
    }

    private func write(_ bytes: Bytes) {
        if let file { write(bytes, to: file, at: flushed) }
        if let receiver { send(bytes, to: receiver) }
        flushed += Int64(bytes.count)
    }

    private func write(_ bytes: Bytes, to file: OpenFile, at offset: Int64) {
        if failure != nil { return }
        do throws(FileError) { try files.writeAll(file, bytes, at: offset) } catch { fail(error) }
    }

    private func send(_ bytes: Bytes, to receiver: Receiver) {
        var sent = 0
        while sent < bytes.count && failure == nil {
            let end = min(sent + RDBOutput.chunkSize, bytes.count)
            do throws(StorageError) { try receiver(bytes[sent..<end]) } catch { failure = error }
            sent = end
        }
    }

    private func fail(_ error: FileError) { failure = .system(path, "cannot be written", error) }
}
