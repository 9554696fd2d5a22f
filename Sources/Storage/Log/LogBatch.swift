// Invariant of this file: a batch's arguments lie in the map of the segment that is being read.

/// The commands of a batch, until its check has been seen.
struct LogBatch {
    private var arguments: [Bytes] = []
    private var counts: [Int] = []
    /// Where each command begins in the file.
    private var offsets: [Int] = []
    /// Bytes that are not part of the stream: records and what they announce. Where those that are announced end.
    private(set) var uncounted = 0
    private(set) var localEnd = 0
    private(set) var history: LogHistory?
    /// In milliseconds since 1970; nil: the batch says none.
    private(set) var time: Int64?
    /// What follows may not be all that happened, or go on from other data.
    private(set) var isRupture = false

    /// Takes a record of the log's own that stands from `start` to `end`. False for any other command.
    mutating func take(record tag: Bytes, _ start: Int, _ end: Int) -> Bool {
        if let count = LogFormat.local(in: tag) {
            // What cannot be is found at the batch's end.
            let (bytes, isTooMuch) = count.addingReportingOverflow(end)
            localEnd = max(localEnd, isTooMuch ? .max : bytes)
            uncounted += end - start + (isTooMuch ? 0 : count)
            return true
        }
        if let time = LogFormat.time(in: tag) {
            self.time = time
        } else if LogFormat.isRupture(tag) {
            isRupture = true
        } else if let history = LogFormat.history(in: tag) {
            self.history = history
        } else {
            return false
        }
        uncounted += end - start
        return true
    }

    mutating func append(_ command: [Bytes], at offset: Int) {
        arguments.append(contentsOf: command)
        counts.append(command.count)
        offsets.append(offset)
    }
    mutating func removeAll() {
        arguments.removeAll(keepingCapacity: true)
        counts.removeAll(keepingCapacity: true)
        offsets.removeAll(keepingCapacity: true)
        uncounted = 0
        localEnd = 0
        history = nil
        time = nil
        isRupture = false
    }
    func first(argument: Int) -> Bytes? {
        guard let count = counts.first, argument < count else { return nil }
        return arguments[argument]
    }
    /// Every MULTI has its EXEC.
    var isWhole: Bool {
        var isOpen = false
        var at = 0
        for count in counts {
            defer { at += count }
            if count != 1 { continue }
            if arguments[at].equals(ignoringCase: "multi") { isOpen = true }
            if arguments[at].equals(ignoringCase: "exec") { isOpen = false }
        }
        return !isOpen
    }
    /// Each command but our own records, with its offset in the file.
    func forEach(_ body: (UnsafeBufferPointer<Bytes>, Int) throws(StorageError) -> Void) throws(StorageError) {
        var at = 0
        for (count, offset) in zip(counts, offsets) {
            defer { at += count }
            if count == 2 && arguments[at].equals(ignoringCase: "echo") { continue }
            let failure: StorageError? = arguments.withUnsafeBufferPointer { all in
                do throws(StorageError) {
                    try body(UnsafeBufferPointer(rebasing: all[at..<at + count]), offset)
                    return nil
                } catch {
                    return error
                }
            }
            if let failure { throw failure }
        }
    }
}
