/// What is known of a file without reading it.
public struct FileFacts: Sendable {
    public enum Kind: Sendable { case regular, link, other }

    /// In bytes.
    public let size: Int64
    /// In ns since 1970.
    public let modified: Int64
    public let kind: Kind
    public let identity: FileIdentity
    /// How many names the file has.
    public let links: Int
    /// Bytes that it takes on the disk.
    public let allocated: Int64

    public init(size: Int64, modified: Int64, kind: Kind, identity: FileIdentity, links: Int, allocated: Int64) {
        self.size = size
        self.modified = modified
        self.kind = kind
        self.identity = identity
        self.links = links
        self.allocated = allocated
    }

    public var isRegular: Bool { kind == .regular }

    /// nil where there is no such file. A symbolic link counts as what it leads to.
    public static func of(_ path: String, _ files: any FileSystem = Host.real.files) -> FileFacts? { files.facts(path) }
}

/// Which file a name leads to.
public struct FileIdentity: Hashable, Sendable {
    public let device: UInt64
    public let number: UInt64

    public init(device: UInt64, number: UInt64) {
        self.device = device
        self.number = number
    }
}
