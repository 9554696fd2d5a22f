@testable import Storage

/// What is asked of a file system that changes something, or fails when a disk does.
enum FileCall: CustomStringConvertible {
    case open(String, OpenMode)
    case write(String, Int64, Int)
    case truncate(String, Int64)
    case allocate(String, Int64, Int)
    case sync(String, SyncKind)
    case rename(String, String)
    case link(String, String)
    case unlink(String)
    case syncDirectory(String)
    case lock(String, LockKind)

    /// The file that it is about.
    var path: String {
        switch self {
        case .open(let path, _), .write(let path, _, _), .truncate(let path, _), .allocate(let path, _, _),
            .sync(let path, _), .rename(let path, _), .link(let path, _), .unlink(let path), .syncDirectory(let path),
            .lock(let path, _):
            path
        }
    }

    var description: String {
        switch self {
        case .open(let path, let mode): "open \(name(path)) \(mode)"
        case .write(let path, let offset, let count): "write \(name(path)) \(offset) \(count)"
        case .truncate(let path, let size): "truncate \(name(path)) \(size)"
        case .allocate(let path, let offset, let count): "allocate \(name(path)) \(offset) \(count)"
        case .sync(let path, let kind): "sync \(name(path))\(kind == .all ? " with times" : "")"
        case .rename(let path, let new): "rename \(name(path)) \(name(new))"
        case .link(let path, let new): "link \(name(path)) \(name(new))"
        case .unlink(let path): "unlink \(name(path))"
        case .syncDirectory: "sync directory"
        case .lock(let path, let kind): "lock \(name(path)) \(kind)"
        }
    }
    private func name(_ path: String) -> Substring {
        path[path.index(after: path.lastIndex(of: "/") ?? path.startIndex)...]
    }
}
