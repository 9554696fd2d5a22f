/// Telling what a crash leaves at the log's end from damage to what was written.
extension Bytes {
    /// A segment's first batch, and nothing else.
    var isWholeHeader: Bool {
        if count != LogFormat.headerSize { return false }
        var parser = LogParser(bytes: self)
        guard parser.next() == .command, parser.arguments.count == 2,
            let header = LogFormat.header(in: parser.arguments[1]), parser.next() == .command
        else { return false }
        let end = parser.offset
        guard parser.next() == .command, parser.offset == count, parser.arguments.count == 2,
            let check = LogFormat.check(in: parser.arguments[1])
        else { return false }
        return header.version.check(self[0..<end], after: 0, at: Int64(end)) == check
    }

    // MARK: Pages that a power cut lost

    // Data behind the last sync reaches the disk in any order. A page that did not is zeros, from a sector's start, or
    // from where the file ended when the page was last written, which is the end of a batch; and to a sector's end.
    // Zeros in a value lie like that by chance only.
    private static var sector: Int { 512 }

    /// Whether the zeros around `at` are such a page. `end`: where the last whole batch ends. O(length of the zeros).
    func isLostPage(at: Int, behind end: Int) -> Bool {
        guard at >= end, at < count, self[at] == 0 else { return false }
        var first = at
        while first > end && self[first - 1] == 0 { first -= 1 }
        return isLostPage(first..<zeros(from: at), behind: end)
    }

    /// Whether there is such a page in `range`, which begins where the last whole batch ends. O(length).
    func holdsLostPage(in range: Range<Int>) -> Bool {
        var at = range.lowerBound
        while at < range.upperBound {
            if self[at] != 0 {
                at += 1
                continue
            }
            let last = zeros(from: at)
            if isLostPage(at..<last, behind: range.lowerBound) { return true }
            at = last
        }
        return false
    }

    private func zeros(from start: Int) -> Int {
        var at = start
        while at < count && self[at] == 0 { at += 1 }
        return at
    }
    private func isLostPage(_ zeros: Range<Int>, behind end: Int) -> Bool {
        // A byte or two that happen to end a sector are no evidence.
        zeros.count >= 16
            && (zeros.lowerBound == end || zeros.lowerBound % Self.sector == 0)
            && (zeros.upperBound == count || zeros.upperBound % Self.sector == 0)
    }
}
