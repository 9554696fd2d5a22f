import Glibc
import Storage

// Invariant of this file: offsets into `output` are at most its count.

/// Collects, in RESP, what commands changed, for the log and the replicas. Whoever writes the log takes `output` at the
/// end of a turn and calls `taken`. What one client command causes is a unit: where it takes several commands they
/// stand between MULTI and EXEC, so that a replay has all or none of them. Confined to the loop.
final class Propagator {
    /// Changes not taken yet. A SELECT stands wherever the database changes.
    let output = OutputBuffer(capacity: 64 << 10)
    /// Bytes produced since the start; replies wait until the log is durable up to their position.
    private(set) var position = 0
    /// Off while the log is replayed, or when nobody wants the changes.
    var isEnabled = true

    /// The database that the reader of `output` has selected; nil: not known, so that SELECT comes first.
    private var selected: Int?
    private var depth = 0
    private var unitStart = 0
    private var unitCommands = 0
    /// Of the command at hand: something was said about it, so it is not logged verbatim.
    private var isRewritten = false

    /// A new segment or replica begins: it cannot know which database is selected.
    func forgetSelected() { selected = nil }

    /// The bytes of `output` were written.
    func taken() { output.removeAll(keepingAtMost: 1 << 20) }

    // MARK: For handlers

    /// These arguments take the place of the command at hand.
    func append(_ db: Int, rewritten args: [Bytes]) {
        isRewritten = true
        append(db) { RESPEncoder.command(args, to: $0) }
    }
    /// The command at hand is not logged, though something changed.
    func suppress() { isRewritten = true }

    /// A key expired or was evicted.
    func appendRemoval(_ db: Int, _ key: Bytes) { append(db) { RESPEncoder.command("DEL", key, to: $0) } }

    /// A field of a hash expired.
    func appendRemoval(_ db: Int, _ key: Bytes, field: Bytes) {
        append(db) { RESPEncoder.command([Bytes("HDEL"), key, field], to: $0) }
    }

    // MARK: For the router

    /// What follows until `endUnit` takes effect together. Units nest; the outermost counts.
    @inline(__always) func beginUnit() {
        if depth == 0 { unitCommands = 0 }
        depth &+= 1
    }
    @inline(__always) func endUnit() {
        depth &-= 1
        if depth == 0 && unitCommands > 1 { wrapUnit() }
    }

    @inline(__always) func beginCommand() { isRewritten = false }

    /// The command at hand changed something: logs it as it came, unless its handler said something else. `request` is
    /// its RESP form, if it came in exactly the one that the log's reader takes.
    @inline(__always) func endCommand(_ db: Int, _ args: Arguments, request: Bytes?) {
        if isRewritten || !isEnabled { return }
        if let request {
            append(db) { $0.append(request) }
        } else {
            append(db) { RESPEncoder.command(args, to: $0) }
        }
    }

    @inline(__always) private func append(_ db: Int, _ write: (OutputBuffer) -> Void) {
        if !isEnabled { return }
        let start = output.count
        if selected != db {
            RESPEncoder.select(db, to: output)
            selected = db
        }
        // SELECT stays before the MULTI of its unit.
        if unitCommands == 0 { unitStart = output.count }
        if depth > 0 { unitCommands &+= 1 }
        write(output)
        position &+= output.count &- start
    }

    private func wrapUnit() {
        let open: StaticString = "*1\r\n$5\r\nMULTI\r\n"
        let close: StaticString = "*1\r\n$4\r\nEXEC\r\n"
        let length = output.count - unitStart
        _ = output.appendUninitialized(open.utf8CodeUnitCount)
        let start = output.base + unitStart
        memmove(start + open.utf8CodeUnitCount, start, length)
        memcpy(start, open.utf8Start, open.utf8CodeUnitCount)
        output.append(close)
        position += open.utf8CodeUnitCount + close.utf8CodeUnitCount
    }
}
