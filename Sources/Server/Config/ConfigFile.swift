import Glibc

// Invariant of this file: a chunk is read within its count.

/// The bytes of a configuration, as lines. What is not a file of lines is refused rather than read as one long comment,
/// which would start a server without its password.
struct ConfigLines {
    private static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

    /// Without the LF; a CR before it is still there.
    var lines: [ArraySlice<UInt8>]
    /// The file opens with the mark that some editors put before UTF-8.
    let hasByteOrderMark: Bool
    /// The last line has its LF.
    let endsInLineFeed: Bool
    /// CR LF ends the first line, and so ends lines that are added.
    var isCRLF: Bool { lines.count > 1 && lines[0].last == 13 }

    /// Throws the reason why `bytes` are no configuration.
    init(_ bytes: [UInt8]) throws(SettingError) {
        if bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF]) {
            throw SettingError("the file is UTF-16: save it as UTF-8")
        }
        hasByteOrderMark = bytes.starts(with: Self.byteOrderMark)
        lines = bytes.dropFirst(hasByteOrderMark ? 3 : 0).split(separator: 10, omittingEmptySubsequences: false)
        endsInLineFeed = lines.last?.isEmpty ?? false
        if endsInLineFeed { lines.removeLast() }
        if lines.count == 1 && !endsInLineFeed && lines[0].dropLast().contains(13) {
            throw SettingError("the lines end in CR alone: save the file with LF or CR LF line ends")
        }
    }

    /// The whole again, with the lines in `lines`.
    var joined: [UInt8] {
        (hasByteOrderMark ? Self.byteOrderMark : []) + Array(lines.joined(separator: [10]))
            + (endsInLineFeed || lines.count > 1 ? [10] : [])
    }
}

/// A configuration is text of a human's size; more is a mistake, such as a device.
private let maximumTextSize = 16 << 20

/// All that `descriptor` has; nil with errno set when it cannot be read.
func readDescriptor(_ descriptor: Int32) -> [UInt8]? {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while bytes.count <= maximumTextSize {
        let n = chunk.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
        if n < 0 {
            if errno == EINTR { continue }
            return nil
        }
        if n == 0 { return bytes }
        bytes += chunk[..<n]
    }
    errno = EFBIG
    return nil
}

/// All that the file at `path` has; nil with errno set when it cannot be read.
func readFile(_ path: ByteString) -> [UInt8]? {
    let descriptor = path.withCString { open($0, O_RDONLY | O_CLOEXEC) }
    guard descriptor >= 0 else { return nil }
    defer {
        let code = errno
        close(descriptor)
        errno = code
    }
    return readDescriptor(descriptor)
}

/// `path` from the root, as seen from `directory`, without resolving links.
func absolutePath(_ path: ByteString, from directory: ByteString) -> ByteString {
    path.hasPrefix("/") ? path : "\(directory)/\(path)"
}

func currentDirectory() -> ByteString {
    guard let path = getcwd(nil, 0) else { return "." }
    defer { free(path) }
    return ByteString(cString: path)
}

/// What the system says about the last call that failed.
func systemReason(_ code: Int32 = errno) -> ByteString { ByteString(cString: strerror(code)) }
