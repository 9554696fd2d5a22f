import Glibc
import Storage

/// Remembers how far a restore has come, in a file from which another run goes on: keys have an order, that of the source.
/// Without a file it remembers nothing.
final class RestoreJournal {
    /// Another run goes on from here.
    private(set) var isResumed = false
    /// Keys that the run before has restored.
    private(set) var resumesAt = 0
    /// Keys from this number on were not sent by it.
    private(set) var mayHaveBeenSent = 0
    /// In ms since 1970: when the first run began. What has expired is decided by it, so that keys keep their numbers.
    let now: Int64
    /// A key that it has sent a part of; -1: none.
    private(set) var partial = -1

    private let path: String?
    /// The source, the target and what else must be the same for a key's number to mean the same.
    private let subject: String
    private var done = 0
    private var announced = 0
    private var lastWritten = monotonicSeconds

    /// So many keys are announced as sent before they are.
    private static let ahead = 100_000
    private static let title = "redis-migrate restore 1"

    /// Reads the file where there is one; else the run begins `now`. Throws where it is of another source or target, or cannot
    /// be read.
    init(path: String?, subject: String, now: Int64) throws(StorageError) {
        self.path = path
        self.subject = subject
        guard let path, access(path, F_OK) == 0 else {
            self.now = now
            return
        }
        let lines = try Self.lines(of: path)
        let numbers = lines.last?.split(separator: " ").compactMap { Int($0) } ?? []
        guard lines.count >= 2, lines[0] == Self.title, numbers.count == 4, numbers[0] >= 0, numbers[1] >= numbers[0]
        else { throw StorageError(file: path, message: "is no file of a restore that was interrupted") }
        guard lines[1] == subject else {
            throw StorageError(
                file: path,
                message:
                    "is of another restore, or the source or the options have changed since: it says \"\(lines[1])\", "
                    + "and this is \"\(subject)\"; remove it to begin anew")
        }
        self.now = Int64(numbers[3])
        isResumed = true
        (resumesAt, mayHaveBeenSent, partial) = (numbers[0], numbers[1], numbers[2])
        (done, announced) = (resumesAt, mayHaveBeenSent)
    }

    private static func lines(of path: String) throws(StorageError) -> [String] {
        let input = try Input(path)
        let line = OutputBuffer()
        var lines: [String] = []
        while lines.count < 4, try input.bytes.line(into: line) { lines.append(line.bytes.string) }
        return lines
    }

    /// A key is about to be sent.
    func begin(_ ordinal: Int) throws(StorageError) {
        if path == nil || ordinal < announced { return }
        announced = ordinal + Self.ahead
        try write()
    }

    /// All keys below `done` are restored; once a second that is written down.
    func noteNow(done: Int) throws(StorageError) {
        if path == nil || done <= self.done { return }
        self.done = done
        if monotonicSeconds - lastWritten >= 1 { try write() }
    }

    /// As above, written at once. `partial`: this key is begun, and its value comes in parts.
    func note(done: Int, partial: Int = -1) throws(StorageError) {
        if path == nil { return }
        self.done = max(done, self.done)
        self.partial = partial
        try write()
    }

    /// The restore ends before it is complete. Returns whether another one can go on.
    func save() throws(StorageError) -> Bool {
        if path == nil { return false }
        try write()
        return true
    }

    /// The restore is complete.
    func remove() {
        if let path { unlink(path) }
    }

    private func write() throws(StorageError) {
        guard let path else { return }
        lastWritten = monotonicSeconds
        let temporary = "\(path).\(getpid())"
        guard let file = fopen(temporary, "w") else { throw failure(temporary) }
        let text = "\(Self.title)\n\(subject)\n\(done) \(max(announced, done)) \(partial) \(now)\n"
        let isWritten = fputs(text, file) >= 0 && fflush(file) == 0 && fsync(fileno(file)) == 0
        if fclose(file) != 0 || !isWritten || rename(temporary, path) != 0 {
            let error = failure(temporary)
            unlink(temporary)
            throw error
        }
    }

    private func failure(_ path: String) -> StorageError {
        StorageError(file: path, message: "cannot be written: \(String(cString: strerror(errno)))")
    }
}
