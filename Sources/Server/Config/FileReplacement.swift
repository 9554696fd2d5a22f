import Glibc

// Invariant of this file: what is written lies within the array that lends it.

/// Replaces the file at `path`, which keeps its permissions: after a crash it holds the old or the new bytes. Returns after both
/// are on disk; the reason, where that failed. Not for two threads at once with one path.
func replaceFile(_ path: ByteString, with text: [UInt8]) -> ByteString? {
    var status = stat()
    let mode = path.withCString { stat($0, &status) } == 0 ? status.st_mode & 0o777 : 0o644
    let temporary: ByteString = "\(path).\(getpid()).tmp"
    let descriptor = temporary.withCString { open($0, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode) }
    guard descriptor >= 0 else { return systemReason() }
    var code: Int32 = 0
    if !writeAll(descriptor, text) || fchmod(descriptor, mode) != 0 || fsync(descriptor) != 0 { code = errno }
    close(descriptor)
    if code == 0, temporary.withCString({ old in path.withCString { new in rename(old, new) } }) != 0 { code = errno }
    if code != 0 {
        _ = temporary.withCString { unlink($0) }
        return systemReason(code)
    }
    let slash = path.bytes.lastIndex(of: UInt8(ascii: "/"))
    let directory: ByteString = slash.map { ByteString(path.bytes[...$0]) } ?? "."
    let parent = directory.withCString { open($0, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
    guard parent >= 0 else { return systemReason() }
    defer { close(parent) }
    return fsync(parent) == 0 ? nil : systemReason()
}

private func writeAll(_ descriptor: Int32, _ text: [UInt8]) -> Bool {
    text.withUnsafeBytes { bytes in
        var rest = bytes
        while !rest.isEmpty {
            let n = Glibc.write(descriptor, rest.baseAddress, rest.count)
            if n < 0 {
                if errno == EINTR { continue }
                return false
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[n...])
        }
        return true
    }
}
