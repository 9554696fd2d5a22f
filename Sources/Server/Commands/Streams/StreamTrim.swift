import Storage

/// The options that XADD and XTRIM share: `MAXLEN | MINID [= | ~] threshold [LIMIT count]`, and `KEEPREF | DELREF | ACKED`.
struct StreamTrim {
    private(set) var threshold: StreamEditor.TrimBound?
    private var references: StreamReferences?
    private var isApproximate = false
    private var limit: Int?

    private static let bothThresholds = CommandError(
        "ERR syntax error, MAXLEN and MINID options at the same time are not compatible")

    /// Takes the option at `i`, and moves `i` to its last argument. False where there is none of these.
    mutating func take(_ args: Arguments, _ i: inout Int) throws(CommandError) -> Bool {
        if i + 1 >= args.count { return takeReferences(args[i]) }
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
        guard args[i].equals(ignoringCase: "limit") else { return takeReferences(args[i]) }
        i += 1
        let count = try args.integer(i)
        if count < 0 { throw CommandError("ERR The LIMIT argument must be >= 0.") }
        limit = Int(count)
        return true
    }

    /// The rarest option comes last, so that the others do not pay for it.
    private mutating func takeReferences(_ word: Bytes) -> Bool {
        guard references == nil, let found = StreamReferences(word) else { return false }
        references = found
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

    /// What was trimmed.
    struct Result {
        var count = 0
        /// What was removed lay in front of all that is left.
        var wereOldest = true
        /// For those that were not, and references that went with them; nil where no option speaks of references.
        var removals: StreamRemovals?
    }

    func apply(_ stream: StreamEditor, nodeEntries: Int) -> Result {
        var result = Result()
        guard let threshold else { return result }
        var limit = 0
        if isApproximate {
            // A hundred nodes, within bounds, so that one call does not take long.
            let (nodes, overflow) = nodeEntries.multipliedReportingOverflow(by: 100)
            limit = self.limit ?? (nodes <= 0 && !overflow ? 10_000 : overflow ? 1_000_000 : min(nodes, 1_000_000))
        }
        switch references ?? .keep {
        case .keep: result.count = stream.trim(to: threshold, approximately: isApproximate, limit: limit)
        case .drop:
            var removed: [StreamID] = []
            result.count = stream.trim(to: threshold, approximately: isApproximate, limit: limit) { removed.append($0) }
            var removals = StreamRemovals()
            for id in removed { removals.dropReferences(id, stream) }
            result.removals = removals
        case .obey:
            let ids = stream.unreferenced(beyond: threshold, approximately: isApproximate, limit: limit)
            result.count = ids.count
            var older = 0
            stream.view.forEach(to: ids.last ?? .zero) { _, _ in
                older += 1
                return older <= ids.count
            }
            result.wereOldest = older == ids.count
            if result.wereOldest {
                _ = stream.trim(to: .length(stream.view.count - ids.count))
            } else {
                var removals = StreamRemovals()
                for id in ids where stream.delete(id) { removals.removed.append(id) }
                result.removals = removals
            }
        }
        return result
    }
}
