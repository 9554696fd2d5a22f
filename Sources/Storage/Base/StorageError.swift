/// A file that cannot be read, written or trusted: which one, where in it, and what the user can do.
public struct StorageError: Error, CustomStringConvertible {
    public let file: String
    /// In bytes from the file's start; nil where no single place is at fault.
    public let offset: Int64?
    public let message: String
    public let reason: Reason

    /// What kind of failure it is, for callers that can do something about it.
    public enum Reason: Sendable {
        case other
        /// Another program holds a lock that it may release soon.
        case busy
        /// What the file contains cannot be used: it is damaged, foreign or was changed by hand.
        case unusable
        /// The file under the snapshot's name is not the one that was loaded or written, or somebody else wrote to it.
        case replaced
    }

    public init(file: String, offset: Int64? = nil, message: String, reason: Reason = .other) {
        self.file = file
        self.offset = offset
        self.message = message
        self.reason = reason
    }

    public var description: String {
        if let offset { "\(file) at offset \(offset): \(message)" } else { "\(file): \(message)" }
    }
}
