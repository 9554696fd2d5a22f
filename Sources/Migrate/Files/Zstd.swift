import CZstd
import Glibc
import Storage

// Invariant of this file: `input` has `blockSize` bytes, `filled` of them read; zstd's buffers lead into it, into the caller's
// target or the caller's bytes for one call.

/// Unpacks Zstandard: https://www.rfc-editor.org/rfc/rfc8878, by libzstd. Several frames one after the other are one run of bytes.
final class ZstdSource: ByteSource {
    static let magic: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD]
    var name: String { source.name }
    private let source: any ByteSource
    private let context: OpaquePointer
    private let input = UnsafeMutableRawPointer.allocate(byteCount: blockSize, alignment: 16)
    private var filled = 0
    private var position = 0
    private var isInFrame = false
    private static let blockSize = 128 << 10

    init(_ source: any ByteSource) throws(StorageError) {
        guard let context = ZSTD_createDCtx() else {
            throw StorageError(file: source.name, message: "libzstd has no memory")
        }
        self.source = source
        self.context = context
    }
    deinit {
        ZSTD_freeDCtx(context)
        input.deallocate()
    }

    func read(into target: UnsafeMutableRawPointer, _ count: Int) throws(StorageError) -> Int {
        var out = ZSTD_outBuffer(dst: target, size: count, pos: 0)
        while out.pos == 0 {
            if position == filled {
                position = 0
                filled = try source.read(into: input, Self.blockSize)
                if filled == 0 {
                    if isInFrame { throw damage("ends in the middle of its compressed data: the file is incomplete") }
                    return 0
                }
            }
            var piece = ZSTD_inBuffer(src: input, size: filled, pos: position)
            let status = ZSTD_decompressStream(context, &out, &piece)
            position = piece.pos
            if ZSTD_isError(status) != 0 {
                throw damage("the zstd data is damaged: \(String(cString: ZSTD_getErrorName(status)))")
            }
            isInFrame = status != 0
        }
        return out.pos
    }

    private func damage(_ message: String) -> StorageError { StorageError(file: name, message: message) }
}

/// Packs bytes as Zstandard.
final class ZstdPacker: BytePacker {
    private let context: OpaquePointer
    private let output = OutputBuffer()
    private static let blockSize = 128 << 10

    init() throws(StorageError) {
        guard let context = ZSTD_createCCtx() else {
            throw StorageError(file: "zstd", message: "libzstd has no memory")
        }
        self.context = context
        ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
    }
    deinit { ZSTD_freeCCtx(context) }

    func pack(_ bytes: Bytes, isLast: Bool, _ emit: (Bytes) throws(StorageError) -> Void) throws(StorageError) {
        var piece = ZSTD_inBuffer(src: bytes.base, size: bytes.count, pos: 0)
        var remaining = 1
        while piece.pos < piece.size || isLast && remaining != 0 {
            output.removeAll()
            var out = ZSTD_outBuffer(dst: output.appendUninitialized(Self.blockSize), size: Self.blockSize, pos: 0)
            remaining = ZSTD_compressStream2(context, &out, &piece, isLast ? ZSTD_e_end : ZSTD_e_continue)
            if ZSTD_isError(remaining) != 0 {
                throw StorageError(file: "zstd", message: String(cString: ZSTD_getErrorName(remaining)))
            }
            output.truncate(to: out.pos)
            if out.pos > 0 { try emit(output.bytes) }
        }
    }
}
