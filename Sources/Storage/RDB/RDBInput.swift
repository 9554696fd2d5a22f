import Glibc

// Invariant of this file: `buffer` points to `RDBInput.blockSize` bytes that this object owns, of which
// `position..<filled` are read and not yet consumed, and `checked...position` is consumed but not yet in the CRC. Where
// there is neither file nor pipe it points to the caller's `filled` bytes instead, which are never written.

/// An RDB file, stream or payload as a run of bytes, read in large blocks: where we are, how much is left, and the CRC of
/// what was consumed. Every read is checked against the end of the file, so that no length in it is believed before; of a
/// stream, whose end is not known, memory is taken for what has arrived alone.
final class RDBInput {
    let path: String
    /// Of the file, when it was opened; nil for a stream.
    let knownSize: Int64?

    private static var blockSize: Int { StructureSizes.size(1 << 20, small: 64) }
    private let file: OpenFile?
    private let pipe: (any ByteSource)?
    private let files: any FileSystem
    private let buffer: UnsafeMutableRawPointer
    private var bufferOffset: Int64 = 0
    private var position = 0
    private var filled = 0
    private var checked = 0
    private var crc = CRC64()
    /// A block was read since somebody set this to false.
    var hasAdvanced = false

    /// Throws when `path` cannot be opened or is no regular file.
    init(path: String, _ files: any FileSystem = Host.real.files) throws(StorageError) {
        let file = try files.open(path, .read, or: "cannot be opened")
        guard let facts = try? files.facts(file), facts.isRegular else {
            files.close(file)
            throw StorageError(file: path, offset: nil, message: "is not a regular file")
        }
        guard let buffer = malloc(RDBInput.blockSize) else {
            files.close(file)
            throw StorageError(file: path, offset: nil, message: "out of memory")
        }
        self.path = path
        knownSize = facts.size
        self.file = file
        pipe = nil
        self.files = files
        self.buffer = buffer
    }

    /// Whether the file begins as an RDB file does. Throws when it cannot be opened.
    static func isRDB(_ path: String, _ files: any FileSystem) throws(StorageError) -> Bool {
        let input = try RDBInput(path: path, files)
        let header = OutputBuffer()
        try input.bytes(UInt64(min(input.remaining, Int64(RDBFormat.headerSize))), into: header)
        // The first letters of a file that was cut within them count.
        return header.count > 0
            && [RDBFormat.magic, RDBFormat.valkeyMagic].contains {
                let magic = Bytes($0)
                let count = min(magic.count, header.count)
                return header.bytes[0..<count] == magic[0..<count]
            }
    }

    /// Reads `bytes`, which must outlive this object.
    init(_ bytes: Bytes) {
        path = "the payload"
        knownSize = Int64(bytes.count)
        file = nil
        pipe = nil
        files = Host.real.files
        buffer = UnsafeMutableRawPointer(mutating: bytes.base)
        filled = bytes.count
    }

    /// Reads what comes through `pipe`, for which it waits.
    init(_ pipe: any ByteSource) throws(StorageError) {
        guard let buffer = malloc(RDBInput.blockSize) else {
            throw StorageError(file: pipe.name, message: "out of memory")
        }
        path = pipe.name
        knownSize = nil
        file = nil
        self.pipe = pipe
        files = Host.real.files
        self.buffer = buffer
    }

    deinit {
        if let file { files.close(file) }
        if file != nil || pipe != nil { free(buffer) }
    }

    /// Of the next byte, from the start of the file.
    var offset: Int64 { bufferOffset + Int64(position) }
    /// How much can follow at most.
    var remaining: Int64 { (knownSize ?? .max) - offset }
    /// Of the file; 0 where that is not known.
    var size: Int64 { knownSize ?? 0 }

    func damage(_ message: String, at offset: Int64? = nil) -> StorageError {
        StorageError(file: path, offset: offset ?? self.offset, message: message)
    }

    /// What is announced goes beyond the end.
    func cut(_ what: String, at offset: Int64? = nil) -> StorageError {
        damage("ends in the middle of \(what): the file is incomplete", at: offset)
    }

    // MARK: - Reading

    @inline(__always) func byte() throws(StorageError) -> UInt8 {
        if position == filled { try fill(1) }
        defer { position &+= 1 }
        return buffer.load(fromByteOffset: position, as: UInt8.self)
    }

    /// A number of fixed width, least significant byte first.
    @inline(__always) func fixed<T: FixedWidthInteger>(_ type: T.Type) throws(StorageError) -> T {
        if filled &- position < MemoryLayout<T>.size { try fill(MemoryLayout<T>.size) }
        defer { position &+= MemoryLayout<T>.size }
        return T(littleEndian: buffer.loadUnaligned(fromByteOffset: position, as: T.self))
    }

    /// Appends the next `count` bytes to `out`. Throws, before any memory is taken, when the file has not that many.
    func bytes(_ count: UInt64, into out: OutputBuffer) throws(StorageError) {
        guard let left = Int64(exactly: count), left <= remaining else {
            throw cut("a value of \(count) bytes, of which \(remaining) are left")
        }
        var missing = Int(left)
        if knownSize != nil { out.reserve(missing) }
        while missing > 0 {
            if position == filled { try fill(1) }
            let part = min(missing, filled - position)
            out.append(Bytes(buffer + position, part))
            position += part
            missing -= part
        }
    }

    /// Goes past the next `count` bytes.
    func skip(_ count: UInt64) throws(StorageError) {
        guard let left = Int64(exactly: count), left <= remaining else {
            throw cut("a value of \(count) bytes, of which \(remaining) are left")
        }
        var missing = Int(left)
        while missing > 0 {
            if position == filled { try fill(1) }
            let part = min(missing, filled - position)
            position += part
            missing -= part
        }
    }

    /// The CRC of everything consumed up to here.
    func checksum() -> UInt64 {
        check()
        return crc.value
    }

    private func check() {
        crc.update(Bytes(buffer + checked, position - checked))
        checked = position
    }

    /// Makes at least `count` (at most 8) bytes available: moves what is left to the front and reads more.
    @inline(never) private func fill(_ count: Int) throws(StorageError) {
        if file == nil && pipe == nil { throw cut("a record") }
        hasAdvanced = true
        check()
        let kept = filled - position
        memmove(buffer, buffer + position, kept)
        bufferOffset += Int64(position)
        position = 0
        checked = 0
        filled = kept
        while filled < count {
            let end = bufferOffset + Int64(filled)
            let count = try read(into: buffer + filled, RDBInput.blockSize - filled, at: end)
            if count == 0 { throw cut("a record", at: end) }
            filled += count
        }
    }

    /// At least a byte, unless there is none any more.
    private func read(
        into target: UnsafeMutableRawPointer, _ room: Int, at offset: Int64
    ) throws(StorageError) -> Int {
        if let pipe { return try pipe.read(into: target, room) }
        guard let file else { return 0 }
        do throws(FileError) {
            return try files.read(file, into: target, room, at: offset)
        } catch {
            throw .system(path, "reading failed", error)
        }
    }

    /// Whether a stream ends here, for which it waits.
    func isAtEnd() throws(StorageError) -> Bool {
        if position < filled { return false }
        check()
        bufferOffset += Int64(position)
        (position, filled, checked) = (0, 0, 0)
        filled = try read(into: buffer, RDBInput.blockSize, at: bufferOffset)
        return filled == 0
    }
}
