import ArgumentParser
import Storage

/// `redis-migrate check-log`. Exit codes: 0 whole, or as a crash leaves it, or cut; 1 it cannot be read or cut; 2 damaged; 64
/// wrong usage.
struct CheckLog: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check-log",
        abstract: "Checks the log of a data directory, and cuts off what is damaged.",
        discussion: """
            Reads every batch that a start would replay and prints the segments, and where the log is damaged, the place \
            and what a cut there would give up. A tail that a crash has left is no damage: a server cuts it off by itself. \
            With --cut the log ends at its last good batch, and what is given up is kept in files that end in .cut.

              redis-migrate check-log /var/lib/swiftlet
              redis-migrate check-log /var/lib/swiftlet --cut
            """)

    @Argument(help: "The data directory (the setting dir).", completion: .directory)
    var directory: String

    @Option(help: "The snapshot's name in it (the setting snapshotfilename).")
    var snapshotName = DataDirectory.Options.snapshotName

    @Option(help: "The log's base name in it (the setting appendfilename).")
    var logName = DataDirectory.Options.logName

    @Flag(help: "Cut the log behind its last good batch. No server may be using the directory.")
    var cut = false

    func run() throws {
        let check: LogCheck
        do {
            check = try LogCheck(directory, snapshotName: snapshotName, logName: logName)
        } catch {
            writeError("redis-migrate: \(error)")
            throw ExitCode(1)
        }
        printSegments(check)
        printHistory(check.history)
        guard let loss = check.loss else { return print("The log is whole.") }
        if let damage = check.damage { print("Damaged: \(damage)") }
        print(loss)
        if cut { return try cut(check) }
        if !loss.isLeftByACrash { throw ExitCode(2) }
    }

    private func cut(_ check: LogCheck) throws {
        do {
            for name in try check.cut() { print("kept: \(name)") }
            print("The log is cut.")
        } catch {
            writeError("redis-migrate: \(error)")
            throw ExitCode(1)
        }
    }

    private func printSegments(_ check: LogCheck) {
        for segment in check.segments {
            var line = "\(segment.path): \(segment.bytes) bytes, \(segment.batches) batches, "
            line += "\(segment.commands) commands"
            if let first = segment.firstTime, let last = segment.lastTime {
                line += ", \(RestoreTarget.text(milliseconds: first)) to \(RestoreTarget.text(milliseconds: last)) UTC"
            }
            print(line)
        }
    }

    private func printHistory(_ history: HistoryStatus) {
        guard let oldest = history.oldest else { return }
        print(
            "history: \(history.checkpoints) checkpoints, \(history.segments) segments, \(history.bytes) bytes, from "
                + "\(RestoreTarget.text(milliseconds: oldest)) UTC on"
                + (history.gaps > 0 ? ", with \(history.gaps) gaps" : ""))
    }

    private func print(_ loss: LogCheck.Loss) {
        let what = loss.isLeftByACrash ? "An unfinished end, which a start cuts off" : "A cut gives up"
        print(
            "\(what), behind \(loss.place): \(loss.bytes) bytes, \(loss.batches) batches"
                + (loss.segments.isEmpty ? "" : ", and with them \(loss.segments.joined(separator: ", "))"))
    }
    private func print(_ line: String) { Swift.print(line) }
}
