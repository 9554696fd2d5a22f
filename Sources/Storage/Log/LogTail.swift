import CShims
import Glibc

// Invariant of this file: pointers are looked for within `bytes`, and turned into offsets at once.

/// What follows the last whole batch of a segment, and whether a crash alone can have left it like that.
///
/// A crash leaves the beginning of a batch, or of what several turns wrote at once; a power cut may leave pages of zeros
/// in it, and pages behind those. Damage to what had been written has another batch's end behind it. Values may hold
/// anything, check records and whole logs too, so that a record counts only when its check holds.
struct LogTail {
    /// Of the whole file.
    let bytes: Bytes
    /// Where the last whole batch ends.
    let end: SegmentEnd
    let version: LogFormat.Version

    enum Damage {
        /// All is as it should be, up to the file's end.
        case cutShort
        /// Bytes that no command has.
        case malformed
        /// A batch with its check record at this offset, whose check does not hold.
        case mismatch(until: Int)
    }

    /// `offset`: where reading ended. O(length of the tail), or several times that where values hold many check records.
    func isLeftByACrash(_ damage: Damage, at offset: Int) -> Bool {
        let records = checkRecords()
        switch damage {
        case .mismatch(let record):
            guard bytes.holdsLostPage(in: Int(end.offset)..<record) else { return false }
        case .malformed:
            if records.isEmpty { return true }
            guard bytes.isLostPage(at: offset, behind: Int(end.offset)) else { return false }
        case .cutShort:
            if records.isEmpty { return true }
            if isDamagedLength(records) { return false }
        }
        return !hasBatch(behind: records)
    }

    /// How many batches seem to end there.
    var recordCount: Int { checkRecords().count }

    // MARK: Batches behind the damage

    /// Offsets of what looks like a check record.
    private func checkRecords() -> [Int] {
        let prefix = Bytes(LogFormat.checkPrefix)
        var found: [Int] = []
        var at = Int(end.offset)
        while at + LogFormat.checkSize <= bytes.count {
            guard let hit = cshims_find(bytes.base + at, bytes.count - at, prefix.base, prefix.count) else { break }
            at = hit - bytes.base
            if check(at) != nil { found.append(at) }
            at += 1
        }
        return found
    }
    private func check(_ record: Int) -> UInt32? {
        guard record + LogFormat.checkSize <= bytes.count, bytes[record + 38] == 13, bytes[record + 39] == 10 else {
            return nil
        }
        return LogFormat.check(in: bytes[record + 19..<record + 38])
    }

    /// Whether a whole batch begins behind one of `records`, by its check.
    private func hasBatch(behind records: [Int]) -> Bool {
        var work = 0
        for record in records {
            guard let previous = check(record) else { continue }
            let start = record + LogFormat.checkSize
            guard let next = nextRecord(from: start), next > start, let expected = check(next) else { continue }
            work += next - start
            // A value made to be slow to read: better refused than guessed.
            if work > LogTail.maximumWork { return true }
            if version.check(bytes[start..<next], after: previous, at: Int64(next)) == expected { return true }
        }
        return false
    }
    private static let maximumWork = 4 << 30

    /// Where the first check record stands among the commands from `start` on.
    private func nextRecord(from start: Int) -> Int? {
        var parser = LogParser(bytes: bytes, offset: start)
        while true {
            let at = parser.offset
            guard parser.next() == .command else { return nil }
            if parser.arguments.count == 2, parser.arguments[0].equals(ignoringCase: "echo"), check(at) != nil {
                return at
            }
        }
    }

    // MARK: A damaged length

    /// Whether a wrong digit in a string's length hides the batch's end, which then lies within what passes for the
    /// string: with another length of as many digits the batch is whole and its check right.
    private func isDamagedLength(_ records: [Int]) -> Bool {
        var next = 0
        var work = 0
        var at = Int(end.offset)
        while at < bytes.count, let command = number(after: 42, &at) {
            for argument in 0..<command.value {
                guard at < bytes.count, let length = number(after: 36, &at) else { return false }
                while next < records.count && records[next] < at { next += 1 }
                let stop = min(bytes.count, at + min(length.value, bytes.count))
                for record in records[next...] {
                    if record >= stop { break }
                    if isWhole(until: record, length, from: at, behind: command.value - argument - 1, &work) {
                        return true
                    }
                    if work > LogTail.maximumWork { return true }
                }
                if stop > bytes.count - 2 { return false }
                at = stop + 2
            }
        }
        return false
    }

    private typealias Number = (value: Int, digits: Range<Int>)

    /// Whether all batches up to `record` are whole if the string that begins at `start` has another length; `rest`
    /// strings of its command follow.
    private func isWhole(
        until record: Int, _ length: Number, from start: Int, behind rest: Int, _ work: inout Int
    ) -> Bool {
        let shortest = length.digits.count == 1 ? 0 : power(length.digits.count - 1)
        var from = start + shortest
        while from + 2 <= record, let hit = memchr(bytes.base + from, 13, record - 1 - from) {
            let stop = UnsafeRawPointer(hit) - bytes.base
            from = stop + 1
            if bytes[stop + 1] != 10 || stop - start >= power(length.digits.count) { continue }
            var parser = LogParser(bytes: bytes[0..<record], offset: stop + 2)
            work += record - stop
            guard parser.skipBulks(rest) else { continue }
            var step = parser.next()
            while step == .command { step = parser.next() }
            guard step == .end else { continue }
            work += record - Int(end.offset)
            if work > LogTail.maximumWork { return true }
            let repaired = OutputBuffer(capacity: record + LogFormat.checkSize - Int(end.offset))
            repaired.append(bytes[Int(end.offset)..<length.digits.lowerBound])
            LogFormat.appendDigits(Int64(stop - start), width: length.digits.count, to: repaired)
            repaired.append(bytes[length.digits.upperBound..<record + LogFormat.checkSize])
            if isWhole(repaired.bytes) { return true }
        }
        return false
    }
    /// Whether `tail`, in the place of the one that was read, holds whole batches alone.
    private func isWhole(_ tail: Bytes) -> Bool {
        var parser = LogParser(bytes: tail)
        var begin = 0
        var previous = end.check
        while true {
            let start = parser.offset
            guard parser.next() == .command else { return begin == tail.count }
            guard parser.arguments.count == 2, parser.arguments[0].equals(ignoringCase: "echo"),
                let check = LogFormat.check(in: parser.arguments[1])
            else { continue }
            if version.check(tail[begin..<start], after: previous, at: end.offset + Int64(start)) != check {
                return false
            }
            begin = parser.offset
            previous = check
        }
    }
    private func power(_ digits: Int) -> Int { (0..<digits).reduce(1) { value, _ in value * 10 } }

    private func number(after marker: UInt8, _ at: inout Int) -> Number? {
        guard bytes[at] == marker else { return nil }
        let first = at + 1
        var value = 0
        at = first
        while at < bytes.count, bytes[at] >= 48, bytes[at] <= 57, at - first < 18 {
            value = value * 10 + Int(bytes[at] - 48)
            at += 1
        }
        guard at > first, at + 1 < bytes.count, bytes[at] == 13, bytes[at + 1] == 10 else { return nil }
        defer { at += 2 }
        return (value, first..<at)
    }
}
