import Glibc
import Storage

// Invariant of this file: `block` has `blockSize` bytes.

/// A file without a name: it goes with the process, whatever happens. It lies in $TMPDIR, or /var/tmp.
final class Spool {
    let descriptor: Int32
    /// Under which it can be opened.
    var path: String { "/proc/self/fd/\(descriptor)" }
    private static let blockSize = 256 << 10

    init() throws(StorageError) {
        let folder = getenv("TMPDIR").map { String(cString: $0) } ?? "/var/tmp"
        var template = Array("\(folder)/redis-migrate.XXXXXX".utf8CString)
        descriptor = mkstemp(&template)
        guard descriptor >= 0 else {
            throw StorageError(
                file: folder,
                message: "a temporary file cannot be made: \(systemReason()); $TMPDIR names another folder")
        }
        unlink(template)
    }
    deinit { close(descriptor) }

    /// Takes over the rest of `source`. O(bytes).
    convenience init(_ source: ByteReader) throws(StorageError) {
        try self.init()
        let out = DescriptorTarget(descriptor, name: "a temporary file")
        let block = UnsafeMutableRawPointer.allocate(byteCount: Self.blockSize, alignment: 16)
        defer { block.deallocate() }
        while case let count = try source.read(into: block, Self.blockSize), count > 0 {
            if Interruption.happened {
                throw StorageError(file: source.name, message: "was not read to its end: interrupted")
            }
            try out.write(Bytes(block, count))
        }
    }

    /// Writes all that is in the file to `out`. O(bytes).
    func copy(to out: Output) throws(StorageError) {
        lseek(descriptor, 0, SEEK_SET)
        let source = DescriptorSource(descriptor, name: "a temporary file", closes: false)
        let block = UnsafeMutableRawPointer.allocate(byteCount: Self.blockSize, alignment: 16)
        defer { block.deallocate() }
        while case let count = try source.read(into: block, Self.blockSize), count > 0 {
            try out.write(Bytes(block, count))
        }
    }
}
