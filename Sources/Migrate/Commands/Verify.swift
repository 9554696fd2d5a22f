import ArgumentParser
import Storage

/// `redis-migrate verify`. Exit codes: 0 sound (and equal), 1 a file is damaged or cannot be read, 2 the files differ,
/// 64 wrong usage, 130 interrupted.
struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Checks an RDB file or a snapshot, or compares any two.",
        discussion: """
            Reads everything and prints the digest that DEBUG DIGEST answers for this data. Two files are equal when \
            the digests of their data, of all times of expiry, of the streams' groups and of the functions are. \
            Keys that have expired by now are left out, as a server that loads the file leaves them out.
            """)

    @Argument(help: "An RDB file or a snapshot.", completion: .file(extensions: ["rdb", "sqlite"]))
    var first: String

    @Argument(help: "Another one, to be compared with it.", completion: .file(extensions: ["rdb", "sqlite"]))
    var second: String?

    @Flag(help: "Leave out what is not supported (modules).")
    var skipUnsupported = false

    @Flag(help: "Keep keys that have expired.")
    var keepExpired = false

    func run() throws {
        var options = Verification.Options()
        options.skipUnsupported = skipUnsupported
        options.dropExpiredAt = keepExpired ? nil : wallClockMilliseconds()
        let meter = ProgressMeter()
        Interruption.watch()
        options.progress = { keys in
            meter.update(keys: keys)
            return !Interruption.happened
        }
        do {
            let a = try report(first, options, meter)
            guard let second else { return }
            let b = try report(second, options, meter)
            if a.holdsTheSame(as: b) { return print("equal") }
            var different: [String] = []
            if a.digest != b.digest { different.append("data") }
            if a.expiryDigest != b.expiryDigest { different.append("times of expiry") }
            if a.streamDigest != b.streamDigest { different.append("consumer groups or counts of streams") }
            if a.functionDigest != b.functionDigest { different.append("functions") }
            print("different: \(different.joined(separator: ", "))")
        } catch {
            meter.clear()
            writeError("redis-migrate: \(error)")
            throw ExitCode(Interruption.happened ? 130 : 1)
        }
        throw ExitCode(2)
    }

    private func report(
        _ path: String, _ options: Verification.Options, _ meter: ProgressMeter
    ) throws(StorageError) -> Verification.Report {
        let report = try Verification.run(path, options: options)
        meter.clear()
        let form = report.rdbVersion.map { "RDB version \($0)" } ?? "snapshot"
        print(
            "\(path): \(form), \(report.keys) keys, \(report.elements) elements of collections, digest \(report.digest)"
        )
        if report.functions > 0 { print("libraries of functions: \(report.functions)") }
        if report.expired > 0 { print("left out: \(report.expired) expired keys (--keep-expired keeps them)") }
        for reason in RDBUnsupported.allCases {
            if let count = report.skipped[reason] { print("left out, not supported: \(reason.rawValue) (\(count))") }
        }
        return report
    }
}
