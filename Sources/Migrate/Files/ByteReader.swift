import Glibc
import Storage

// Invariant of this file: a reader's buffer has `ByteReader.blockSize` bytes that it owns, of which `position..<filled` are read
// and not consumed; targets have room for the count that comes with them.

/// Bytes of an open descriptor.
final class DescriptorSource: ByteSource {
    let name: String
    private let descriptor: Int32
    private let closes: Bool

    /// Closes `descriptor` at its end when `closes`.
    init(_ descriptor: Int32, name: String, closes: Bool) {
        self.descriptor = descriptor
        self.name = name
        self.closes = closes
    }
    deinit { if closes { close(descriptor) } }

    func read(into target: UnsafeMutableRawPointer, _ count: Int) throws(StorageError) -> Int {
        while true {
            let got = Glibc.read(descriptor, target, count)
            if got >= 0 { return got }
            if errno == EINTR && !Interruption.happened { continue }
            throw StorageError(file: name, message: "reading failed: \(systemReason())")
        }
    }
}

/// A source whose next bytes can be looked at before they are read, with their offset.
final class ByteReader: ByteSource {
    var name: String { source.name }
    /// Of the next byte.
    private(set) var offset: Int64 = 0
    private let source: any ByteSource
    private let buffer = UnsafeMutableRawPointer.allocate(byteCount: blockSize, alignment: 16)
    private var position = 0
    private var filled = 0

    static let blockSize = 256 << 10

    init(_ source: any ByteSource) { self.source = source }
    deinit { buffer.deallocate() }

    /// The next bytes, up to `count` (a few), without consuming them; fewer at the end.
    func head(_ count: Int) throws(StorageError) -> Bytes {
        while filled - position < min(count, Self.blockSize) {
            memmove(buffer, buffer + position, filled - position)
            filled -= position
            position = 0
            let got = try source.read(into: buffer + filled, Self.blockSize - filled)
            if got == 0 { break }
            filled += got
        }
        return Bytes(buffer + position, min(count, filled - position))
    }

    func read(into target: UnsafeMutableRawPointer, _ count: Int) throws(StorageError) -> Int {
        if position == filled && count >= Self.blockSize {
            let got = try source.read(into: target, count)
            offset += Int64(got)
            return got
        }
        let next = try block()
        let taken = min(next.count, count)
        target.copyMemory(from: next.base, byteCount: taken)
        consume(taken)
        return taken
    }

    /// Replaces what `line` holds with the next line, without its end; false at the end.
    func line(into line: OutputBuffer) throws(StorageError) -> Bool {
        line.removeAll(keepingAtMost: 4 << 20)
        var isThere = false
        while true {
            let next = try block()
            if next.isEmpty { return isThere }
            isThere = true
            if let end = memchr(next.base, 10, next.count) {
                let count = UnsafeRawPointer(end) - next.base
                line.append(next[0..<count])
                consume(count + 1)
                return true
            }
            line.append(next)
            consume(next.count)
        }
    }

    /// What is in memory, at least a byte but at the end.
    private func block() throws(StorageError) -> Bytes {
        if position == filled {
            position = 0
            filled = 0
            filled = try source.read(into: buffer, Self.blockSize)
        }
        return Bytes(buffer + position, filled - position)
    }
    private func consume(_ count: Int) {
        position += count
        offset += Int64(count)
    }
}

/// The last system call's failure in words.
func systemReason() -> String { String(cString: strerror(errno)) }
