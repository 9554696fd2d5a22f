// Invariant of this file: `buffer` opens with the ten bytes of a ziplist's header, which `finish` fills in.

/// Writes the flat lists of RDB version 9, which later versions replaced by listpacks. Format: see `Ziplist`.
final class ZiplistBuilder {
    private static let headerSize = 10
    private static let wideSize = 254
    private static let endByte: UInt8 = 0xFF

    private let buffer = OutputBuffer()
    private var count = 0
    /// Of the last element: where it lies and how many bytes it takes.
    private var last = headerSize
    private var lastSize = 0

    /// The ziplist of what `pack` holds, valid until the next call. O(n).
    func convert(_ pack: Listpack, scratch: UnsafeMutableRawPointer) -> Bytes {
        buffer.removeAll(keepingAtMost: 1 << 20)
        for _ in 0..<ZiplistBuilder.headerSize { buffer.append(byte: 0) }
        count = 0
        last = ZiplistBuilder.headerSize
        lastSize = 0
        var offset = pack.first
        while let here = offset {
            append(pack.value(at: here, scratch: scratch))
            offset = pack.next(here)
        }
        return finish()
    }

    private func append(_ value: Bytes) {
        last = buffer.count
        if lastSize < ZiplistBuilder.wideSize {
            buffer.append(byte: UInt8(truncatingIfNeeded: lastSize))
        } else {
            buffer.append(byte: UInt8(truncatingIfNeeded: ZiplistBuilder.wideSize))
            buffer.append(raw: UInt32(truncatingIfNeeded: lastSize).littleEndian)
        }
        if let integer = value.integer { append(integer) } else { append(string: value) }
        lastSize = buffer.count - last
        count += 1
    }

    private func append(_ integer: Int64) {
        if integer >= 0 && integer <= 12 {
            buffer.append(byte: 0xF1 + UInt8(integer))
        } else if let byte = Int8(exactly: integer) {
            buffer.append(byte: 0xFE)
            buffer.append(byte: UInt8(bitPattern: byte))
        } else if let short = Int16(exactly: integer) {
            buffer.append(byte: 0xC0)
            buffer.append(raw: short.littleEndian)
        } else if integer >= -(1 << 23) && integer < 1 << 23 {
            buffer.append(byte: 0xF0)
            buffer.append(raw: UInt16(truncatingIfNeeded: integer).littleEndian)
            buffer.append(byte: UInt8(truncatingIfNeeded: integer >> 16))
        } else if let word = Int32(exactly: integer) {
            buffer.append(byte: 0xD0)
            buffer.append(raw: word.littleEndian)
        } else {
            buffer.append(byte: 0xE0)
            buffer.append(raw: integer.littleEndian)
        }
    }

    private func append(string: Bytes) {
        if string.count < 1 << 6 {
            buffer.append(byte: UInt8(string.count))
        } else if string.count < 1 << 14 {
            buffer.append(raw: (UInt16(string.count) | 0x4000).bigEndian)
        } else {
            buffer.append(byte: 0x80)
            buffer.append(raw: UInt32(truncatingIfNeeded: string.count).bigEndian)
        }
        buffer.append(string)
    }

    private func finish() -> Bytes {
        buffer.append(byte: ZiplistBuilder.endByte)
        func put<T: FixedWidthInteger>(_ value: T, at offset: Int) {
            withUnsafeBytes(of: value.littleEndian) { raw in
                if let base = raw.baseAddress { buffer.overwrite(at: offset, with: Bytes(base, raw.count)) }
            }
        }
        put(UInt32(truncatingIfNeeded: buffer.count), at: 0)
        put(UInt32(truncatingIfNeeded: last), at: 4)
        put(UInt16(clamping: count), at: 8)
        return buffer.bytes
    }
}
