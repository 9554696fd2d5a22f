import Storage

/// The options that XADD and XTRIM share: `MAXLEN | MINID [= | ~] threshold [LIMIT count]`.
struct StreamTrim {
    enum Threshold {
        case length(Int)
        case id(StreamID)
    }
    private(set) var threshold: Threshold?
    private var isApproximate = false
    private var limit: Int?

    private static let bothThresholds = CommandError(
        "ERR syntax error, MAXLEN and MINID options at the same time are not compatible")

    /// Takes the option at `i`, and moves `i` to its last argument. False where there is none of these.
    mutating func take(_ args: Arguments, _ i: inout Int) throws(CommandError) -> Bool {
        if i + 1 >= args.count { return false }
        let isLength = args[i].equals(ignoringCase: "maxlen")
        if isLength || args[i].equals(ignoringCase: "minid") {
            if threshold != nil { throw StreamTrim.bothThresholds }
            isApproximate = false
            if i + 2 < args.count, args[i + 1] == Bytes("~") || args[i + 1] == Bytes("=") {
                isApproximate = args[i + 1] == Bytes("~")
                i += 1
            }
            i += 1
            if isLength {
                let length = try args.integer(i)
                if length < 0 { throw CommandError("ERR The MAXLEN argument must be >= 0.") }
                threshold = .length(Int(length))
            } else {
                threshold = .id(try args.streamID(i))
            }
            return true
        }
        guard args[i].equals(ignoringCase: "limit") else { return false }
        i += 1
        let count = try args.integer(i)
        if count < 0 { throw CommandError("ERR The LIMIT argument must be >= 0.") }
        limit = Int(count)
        return true
    }

    /// After the last option.
    func check() throws(CommandError) {
        if let limit, limit > 0, threshold == nil {
            throw CommandError("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy")
        }
    }
    /// After `check`, and after whether a threshold is needed.
    ///
    /// `isRepeated`: redis-server propagates an approximate trimming as an exact one of as much, and leaves LIMIT standing.
    func checkLimit(isRepeated: Bool) throws(CommandError) {
        if limit != nil && !isApproximate && !isRepeated {
            throw CommandError("ERR syntax error, LIMIT cannot be used without the special ~ option")
        }
    }

    /// Trims; returns how many entries went.
    func apply(_ stream: StreamEditor, nodeEntries: Int) -> Int {
        var limit = 0
        if isApproximate {
            // A hundred nodes, within bounds, so that one call does not take long.
            let (nodes, overflow) = nodeEntries.multipliedReportingOverflow(by: 100)
            limit = self.limit ?? (nodes <= 0 && !overflow ? 10_000 : overflow ? 1_000_000 : min(nodes, 1_000_000))
        }
        return switch threshold {
        case .length(let count): stream.trim(toCount: count, approximately: isApproximate, limit: limit)
        case .id(let id): stream.trim(before: id, approximately: isApproximate, limit: limit)
        case nil: 0
        }
    }
}
