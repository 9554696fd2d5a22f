/// A file that cannot be read, written or trusted: which one, where in it, and what the user can do.
public struct StorageError: Error, CustomStringConvertible {
    public let file: String
    /// In bytes from the file's start; nil where no single place is at fault.
    public let offset: Int64?
    public let message: String

    public init(file: String, offset: Int64? = nil, message: String) {
        self.file = file
        self.offset = offset
        self.message = message
    }

    public var description: String {
        if let offset { "\(file) at offset \(offset): \(message)" } else { "\(file): \(message)" }
    }
}
