import Glibc

/// What stat tells of a file.
public struct FileFacts: Sendable {
    /// In bytes.
    public let size: Int64
    /// In ns since 1970.
    public let modified: Int64
    public let isRegular: Bool

    /// nil where there is no such file. A symbolic link counts as what it leads to.
    public static func of(_ path: String) -> FileFacts? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        let modified = Int64(status.st_mtim.tv_sec).multipliedReportingOverflow(by: 1_000_000_000)
        return FileFacts(
            size: Int64(status.st_size),
            modified: modified.overflow ? .max : modified.partialValue &+ Int64(status.st_mtim.tv_nsec),
            isRegular: status.st_mode & S_IFMT == S_IFREG)
    }

    func adding(_ other: FileFacts) -> FileFacts {
        FileFacts(
            size: size &+ other.size, modified: max(modified, other.modified), isRegular: isRegular && other.isRegular)
    }
}
