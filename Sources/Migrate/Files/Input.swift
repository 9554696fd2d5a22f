import Glibc
import Storage

/// What a command reads: a file, or standard input where the name is `-`; unpacked where it is gzip or zstd.
struct Input {
    static let standard = "-"

    /// For messages.
    let name: String
    let bytes: ByteReader
    /// Of a regular file that is not packed: it can be opened again by this name.
    let path: String?

    /// Throws where nothing can be opened under the name.
    init(_ path: String) throws(StorageError) {
        let isStandard = path == Self.standard
        let name = isStandard ? "standard input" : path
        let descriptor = isStandard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw StorageError(file: path, message: "cannot be opened: \(systemReason())")
        }
        if isStandard && isatty(descriptor) == 1 {
            throw StorageError(file: name, message: "is a terminal: send a file into it, or name one")
        }
        var facts = stat()
        let isRegular = fstat(descriptor, &facts) == 0 && facts.st_mode & S_IFMT == S_IFREG
        let raw = ByteReader(DescriptorSource(descriptor, name: name, closes: !isStandard))
        let head = try raw.head(4).array
        self.name = name
        if head.starts(with: GzipSource.magic) {
            bytes = ByteReader(try GzipSource(raw))
            self.path = nil
        } else if head.starts(with: ZstdSource.magic) {
            bytes = ByteReader(try ZstdSource(raw))
            self.path = nil
        } else {
            bytes = raw
            self.path = isRegular && !isStandard ? path : nil
        }
    }

    /// Whether `path` is standard input or packed: something that can be read once, from its start.
    static func isStream(_ path: String) -> Bool {
        path == standard || (try? Input(path)).map { $0.path == nil } == true
    }
}
