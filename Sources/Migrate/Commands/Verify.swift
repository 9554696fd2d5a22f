import ArgumentParser
import Storage

/// `redis-migrate verify`. Exit codes: 0 sound (and equal), 1 a file is damaged or cannot be read, 2 the files differ,
/// 64 wrong usage, 130 interrupted.
struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Checks a file, or compares any two.",
        discussion: """
            Reads everything and prints the digest that DEBUG DIGEST answers for this data. Two files are equal when \
            the digests of their data, of all times of expiry, of the streams' groups and of the functions are. \
            Keys that have expired by now are left out, as a server that loads the file leaves them out.

            EXAMPLES
              redis-migrate verify dump.rdb
              redis-migrate verify dump.rdb dump.sqlite
              redis-migrate verify --prefix user: a.rdb b.rdb

            Exit codes: 0 sound and equal, 1 damaged or unreadable, 2 different, 64 wrong usage, 130 interrupted.
            """)

    @Argument(help: "The file; - is standard input.", completion: .file())
    var first: String

    @Argument(help: "Another one, to be compared with it.", completion: .file())
    var second: String?

    @OptionGroup var reading: ReadingOptions

    func run() throws {
        Interruption.watch()
        do {
            let now = wallClockMilliseconds()
            let a = try report(first, now)
            guard let second else { return }
            let b = try report(second, now)
            if a.holdsTheSame(as: b) { return print("equal") }
            var different: [String] = []
            if a.digest != b.digest { different.append("data") }
            if a.expiryDigest != b.expiryDigest { different.append("times of expiry") }
            if a.streamDigest != b.streamDigest { different.append("consumer groups or counts of streams") }
            if a.functionDigest != b.functionDigest { different.append("functions") }
            print("different: \(different.joined(separator: ", "))")
        } catch {
            writeError("redis-migrate: \(error)")
            throw ExitCode(Interruption.happened ? 130 : 1)
        }
        throw ExitCode(2)
    }

    private func report(_ path: String, _ now: Int64) throws(StorageError) -> Verification.Report {
        let source = try DataSource(path, as: reading.from)
        if source.form == .snapshot, let path = source.path { try Verification.checkDatabase(path) }
        var read: DataSource.Summary?
        let report = try Verification.digest(source.name) { (sink) throws(StorageError) in
            if read == nil {
                read = try reading.read(source, into: sink, now: now)
            } else if path == Input.standard {
                throw StorageError(file: source.name, message: "a key comes twice in a database: no server writes that")
            } else {
                _ = try reading.read(DataSource(path, as: reading.from), into: sink, now: now)
            }
        }
        guard let read else { return report }
        print(
            "\(source.name): \(source.described(read)), \(report.keys) keys, \(report.elements) elements of collections, "
                + "digest \(report.digest)")
        if report.functions > 0 { print("libraries of functions: \(report.functions)") }
        if read.expired > 0 { print("left out: \(read.expired) expired keys (--keep-expired keeps them)") }
        for note in read.notes { print(note) }
        return report
    }
}
