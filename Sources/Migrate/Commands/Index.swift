import ArgumentParser
import Storage

/// `redis-migrate index`. Exit codes: 0 done, 1 the copy failed, 64 wrong usage, 130 interrupted.
struct Index: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Makes a copy of a snapshot with indexes, for analysis.",
        discussion: """
            The server may go on writing: what is copied is its last checkpoint. Queries on the copy's views by key, and those for the \
            largest keys, take less than a millisecond. No server starts on the copy, unless --snapshot is given. The copy \
            appears under its name when it is complete; on failure nothing does.

            redis-migrate index dump.sqlite analysis.sqlite
            """)

    @Argument(help: "The snapshot to read.", completion: .file(extensions: ["sqlite"]))
    var input: String

    @Argument(help: "The copy to write.", completion: .file(extensions: ["sqlite"]))
    var output: String

    @Flag(help: "Also index the words of all values, in the table full_text.")
    var fullText = false

    @Flag(help: "Make a snapshot, on which a server starts: it gets plain indexes on keys only.")
    var snapshot = false

    @Flag(help: "Replace an earlier copy.")
    var force = false

    func validate() throws {
        if snapshot && fullText { throw ValidationError("--full-text cannot be had with --snapshot.") }
    }

    func run() throws {
        var options = AnalysisCopy.Options()
        options.fullText = fullText
        options.isSnapshot = snapshot
        options.overwrite = force
        let meter = ProgressMeter()
        Interruption.watch()
        options.progress = { step, number, count in
            meter.update(step: step, number, of: count)
            return !Interruption.happened
        }
        let started = monotonicSeconds
        let summary: AnalysisCopy.Summary
        do {
            summary = try AnalysisCopy.make(from: input, to: output, options)
        } catch {
            meter.clear()
            writeError("redis-migrate: \(error)")
            throw ExitCode(Interruption.happened ? 130 : 1)
        }
        meter.clear()
        let seconds = fixedPoint(monotonicSeconds - started, 2)
        print("\(output): checkpoint \(summary.meta.checkpoint), \(summary.bytes) bytes, \(seconds) s")
    }
}
