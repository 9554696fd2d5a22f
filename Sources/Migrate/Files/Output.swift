import Glibc
import Storage

/// How an output is packed.
enum Packing: String, CaseIterable {
    case none, gzip, zstd

    /// As the end of the name says.
    static func of(_ path: String) -> Packing { path.hasSuffix(".gz") ? .gzip : path.hasSuffix(".zst") ? .zstd : .none }
}

/// Packs bytes as they come.
protocol BytePacker: AnyObject {
    /// Calls `emit` with what comes out, valid during the call. `isLast`: nothing follows `bytes`.
    func pack(_ bytes: Bytes, isLast: Bool, _ emit: (Bytes) throws(StorageError) -> Void) throws(StorageError)
}

/// An open descriptor that is written to from where it stands.
struct DescriptorTarget {
    private let descriptor: Int32
    private let name: String

    init(_ descriptor: Int32, name: String) {
        self.descriptor = descriptor
        self.name = name
    }

    /// Writes all of the bytes; waits where a pipe is full.
    func write(_ bytes: Bytes) throws(StorageError) {
        var done = 0
        while done < bytes.count {
            let count = Glibc.write(descriptor, bytes.base + done, bytes.count - done)
            if count >= 0 {
                done += count
            } else if errno != EINTR || Interruption.happened {
                let reason = errno == EPIPE ? "its reader has gone" : "writing failed: \(systemReason())"
                throw StorageError(file: name, message: reason)
            }
        }
    }
}

/// Bytes on their way to a file or standard output, gathered in blocks and packed where that is asked for.
final class Output {
    static let standard = "-"

    private let buffer = OutputBuffer(capacity: blockSize + 4096)
    private let target: DescriptorTarget
    private let packer: (any BytePacker)?
    private static let blockSize = 256 << 10

    init(_ descriptor: Int32, name: String, _ packing: Packing) throws(StorageError) {
        target = DescriptorTarget(descriptor, name: name)
        switch packing {
        case .none: packer = nil
        case .gzip: packer = try GzipPacker()
        case .zstd: packer = try ZstdPacker()
        }
    }

    /// Calls `body` with an output that goes to the file `path`, which appears under its name when it is whole and durable, or to
    /// standard output for `-`.
    static func write<Result>(
        _ path: String, packing: Packing, overwrite: Bool, _ body: (Output) throws(StorageError) -> Result
    ) throws(StorageError) -> Result {
        if path == standard {
            if isatty(STDOUT_FILENO) == 1 && packing != .none {
                throw StorageError(file: "standard output", message: "is a terminal, and packed bytes are not for it")
            }
            let out = try Output(STDOUT_FILENO, name: "standard output", packing)
            let result = try body(out)
            try out.finish()
            return result
        }
        return try NewFile.make(path, overwrite: overwrite) { (file, _) throws(StorageError) in
            let out = try Output(file.number, name: path, packing)
            let result = try body(out)
            try out.finish()
            return result
        }
    }

    func write(_ bytes: Bytes) throws(StorageError) {
        if buffer.count + bytes.count > Self.blockSize { try flush(isLast: false) }
        if bytes.count > Self.blockSize { return try send(bytes, isLast: false) }
        buffer.append(bytes)
    }

    private func finish() throws(StorageError) { try flush(isLast: true) }

    private func flush(isLast: Bool) throws(StorageError) {
        try send(buffer.bytes, isLast: isLast)
        buffer.removeAll()
    }
    private func send(_ bytes: Bytes, isLast: Bool) throws(StorageError) {
        guard let packer else { return try target.write(bytes) }
        try packer.pack(bytes, isLast: isLast) { (packed) throws(StorageError) in try target.write(packed) }
    }
}
