import CZlib
import Glibc
import Storage

// Invariant of this file: `input` has `blockSize` bytes; zlib's pointers lead into it, into the caller's target or the caller's
// bytes, and are set anew before each call.

/// Unpacks gzip: https://www.rfc-editor.org/rfc/rfc1952, by zlib. Several members one after the other are one run of bytes.
final class GzipSource: ByteSource {
    static let magic: [UInt8] = [0x1F, 0x8B]
    var name: String { source.name }
    private let source: any ByteSource
    private var stream = z_stream()
    private let input = UnsafeMutableRawPointer.allocate(byteCount: blockSize, alignment: 16)
    private var isInMember = false
    private var isAtEnd = false
    private static let blockSize = 128 << 10
    /// The largest window, with gzip's header.
    private static let windowBits: Int32 = 15 + 16

    init(_ source: any ByteSource) throws(StorageError) {
        self.source = source
        let size = Int32(MemoryLayout<z_stream>.size)
        guard inflateInit2_(&stream, Self.windowBits, ZLIB_VERSION, size) == Z_OK else {
            throw StorageError(file: source.name, message: "zlib has no memory")
        }
    }
    deinit {
        inflateEnd(&stream)
        input.deallocate()
    }

    func read(into target: UnsafeMutableRawPointer, _ count: Int) throws(StorageError) -> Int {
        let room = min(count, Int(Int32.max))
        stream.next_out = target.assumingMemoryBound(to: UInt8.self)
        stream.avail_out = UInt32(room)
        while stream.avail_out == UInt32(room) && !isAtEnd {
            if stream.avail_in == 0 {
                let got = try source.read(into: input, Self.blockSize)
                stream.next_in = input.assumingMemoryBound(to: UInt8.self)
                stream.avail_in = UInt32(got)
                if got == 0 {
                    if isInMember { throw damage("ends in the middle of its compressed data: the file is incomplete") }
                    isAtEnd = true
                    break
                }
            }
            isInMember = true
            switch inflate(&stream, Z_NO_FLUSH) {
            case Z_OK, Z_BUF_ERROR: break
            case Z_STREAM_END:
                isInMember = false
                inflateReset(&stream)
            case Z_MEM_ERROR: throw damage("zlib has no memory")
            case _: throw damage("the gzip data is damaged after \(stream.total_out) unpacked bytes")
            }
        }
        return room - Int(stream.avail_out)
    }

    private func damage(_ message: String) -> StorageError { StorageError(file: name, message: message) }
}

/// Packs bytes as gzip.
final class GzipPacker: BytePacker {
    private var stream = z_stream()
    private let output = OutputBuffer()
    private static let blockSize = 128 << 10

    init() throws(StorageError) {
        let size = Int32(MemoryLayout<z_stream>.size)
        let status = deflateInit2_(
            &stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, size)
        if status != Z_OK { throw StorageError(file: "gzip", message: "zlib has no memory") }
    }
    deinit { deflateEnd(&stream) }

    func pack(_ bytes: Bytes, isLast: Bool, _ emit: (Bytes) throws(StorageError) -> Void) throws(StorageError) {
        var rest = bytes
        repeat {
            let piece = rest[0..<min(rest.count, Int(Int32.max))]
            rest = rest[piece.count..<rest.count]
            stream.next_in = UnsafeMutablePointer(mutating: piece.base.assumingMemoryBound(to: UInt8.self))
            stream.avail_in = UInt32(piece.count)
            var isFull = true
            while isFull {
                output.removeAll()
                let target = output.appendUninitialized(Self.blockSize)
                stream.next_out = target.assumingMemoryBound(to: UInt8.self)
                stream.avail_out = UInt32(Self.blockSize)
                deflate(&stream, isLast && rest.isEmpty ? Z_FINISH : Z_NO_FLUSH)
                isFull = stream.avail_out == 0
                output.truncate(to: Self.blockSize - Int(stream.avail_out))
                try emit(output.bytes)
            }
        } while !rest.isEmpty
    }
}
