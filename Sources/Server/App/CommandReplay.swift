import Storage

/// Executes commands that stand in a file, as a server does that loads an append-only file, and tells what they leave. All of
/// the data is in memory. Confined to one thread.
public final class CommandReplay {
    private let server: Server
    private let replay: AOFReplay

    /// Databases that commands may select; the memory of a database without keys is some hundred bytes.
    private static let databases = 1024

    /// With an empty keyspace, and no files.
    public init() {
        var settings = Settings()
        settings.databases = Self.databases
        server = Server(config: Config(settings))
        replay = AOFReplay(server.router, server.persistence)
    }

    /// The commands that follow are those of `file`, in database 0 as long as they select no other.
    public func begin(_ file: String) { replay.begin(file) }

    /// Executes a command; `offset` is its place in the file. Throws where it fails, or is none that this program knows.
    public func apply(_ arguments: UnsafeBufferPointer<Bytes>, at offset: Int64) throws(StorageError) {
        try replay.apply(arguments, offset)
    }

    /// Takes the keys and libraries that stand in front of the commands of `file`.
    public func sink(for file: String) -> any KeySink {
        KeyspaceSink(server.router.keyspace, file: file) { [replay] (code) throws(StorageError) in
            let words = [Bytes("FUNCTION"), Bytes("LOAD"), Bytes("REPLACE"), code]
            var failure: StorageError?
            words.withUnsafeBufferPointer { words in
                do throws(StorageError) { try replay.apply(words, 0) } catch { failure = error }
            }
            if let failure { throw failure }
        }
    }

    /// Tells what is there after the last command, libraries first. Throws what the sink throws. O(data).
    public func tell(_ sink: any KeySink) throws(StorageError) {
        replay.end()
        server.router.keyspace.now = 0
        try KeyspaceVisit.read(server.router.keyspace, into: sink)
    }
}
