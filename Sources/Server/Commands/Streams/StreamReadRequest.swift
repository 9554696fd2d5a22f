import Storage

/// The arguments of XREAD and XREADGROUP, which borrow from the command: a client that waits keeps a copy of its arguments,
/// and makes the request anew from them when a stream has got more.
struct StreamReadRequest {
    /// Indexes of the keys.
    private(set) var keys: Range<Int> = 0..<0
    private var ids: Range<Int> { keys.upperBound..<keys.upperBound + keys.count }
    /// At most so many entries a stream; 0: any number.
    private(set) var count = 0
    /// How long to wait, in ms: 0 for ever, nil not at all.
    private(set) var timeout: Int64?
    private(set) var isAcknowledged = false
    /// Index of the group's name; the consumer's follows.
    private(set) var groupAt: Int?

    init(_ args: Arguments, isGroup: Bool, mayBlock: Bool = true) throws(CommandError) {
        let isReadOnly = CommandError("ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.")
        var i = 1
        while i < args.count {
            let more = args.count - i - 1
            if more > 0, args[i].equals(ignoringCase: "block") {
                i += 1
                guard let ms = args[i].integer else {
                    throw CommandError("ERR timeout is not an integer or out of range")
                }
                if ms < 0 { throw CommandError("ERR timeout is negative") }
                if !mayBlock {
                    throw CommandError(
                        parts: Bytes("ERR "), args[0], Bytes(" command is not allowed with BLOCK option from scripts"))
                }
                timeout = ms
            } else if more > 0, args[i].equals(ignoringCase: "count") {
                i += 1
                count = Int(max(try args.integer(i), 0))
            } else if more > 0, args[i].equals(ignoringCase: "streams") {
                if more % 2 != 0 {
                    throw CommandError(
                        "ERR Unbalanced '\(isGroup ? "xreadgroup" : "xread")' list of streams: for each stream key an "
                            + "ID or '\(isGroup ? ">" : "$")' must be specified.")
                }
                keys = i + 1..<i + 1 + more / 2
                break
            } else if more > 1, args[i].equals(ignoringCase: "group") {
                guard isGroup else {
                    throw CommandError(
                        "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.")
                }
                groupAt = i + 1
                i += 2
            } else if args[i].equals(ignoringCase: "noack") {
                guard isGroup else { throw isReadOnly }
                isAcknowledged = true
            } else {
                throw .syntax
            }
            i += 1
        }
        if keys.isEmpty { throw .syntax }
        if isGroup && groupAt == nil { throw CommandError("ERR Missing GROUP option for XREADGROUP") }
        self.args = args
    }
    private let args: Arguments

    /// The ids that XREAD reads after: `$` is the stream's last.
    func resolve(_ db: ReadDatabase) throws(CommandError) -> [StreamID] {
        var after: [StreamID] = []
        for (key, id) in zip(keys, ids) {
            let stream = try db.streamOrRefuse(args[key])
            if args[id] == Bytes("$") {
                after.append(stream?.state.lastID ?? .zero)
            } else if args[id] == Bytes(">") {
                throw CommandError(
                    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> "
                        + "option.")
            } else {
                after.append(try args.streamID(id))
            }
        }
        return after
    }

    /// The ids that XREADGROUP reads a consumer's pending entries after; nil for `>`, what the group has not read.
    func resolveInGroup(_ c: WriteContext) throws(CommandError) -> [StreamID?] {
        var after: [StreamID?] = []
        for (key, id) in zip(keys, ids) {
            _ = try group(c.args[key], in: c.readStream(c.args[key]))
            if args[id] == Bytes("$") {
                throw CommandError(
                    "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this "
                        + "consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just "
                        + "return an empty result set.")
            }
            if args[id] == Bytes(">") {
                after.append(nil)
            } else {
                let start = try args.streamID(id)
                // The greatest id is what Redis makes of `>`.
                after.append(start == .max ? nil : start)
            }
        }
        return after
    }

    /// The group in the stream that was found at `key`, which must be there.
    func group(_ key: Bytes, in stream: StreamEditor?) throws(CommandError) -> (StreamEditor, StreamGroup) {
        let name = groupAt.map { args[$0] } ?? Bytes()
        guard let stream, let group = stream.view.group(name) else {
            throw .noGroup(key, name, " in XREADGROUP with GROUP option")
        }
        return (stream, group)
    }

    /// The consumer, and whether there was none, so that it was made.
    func consumer(_ stream: StreamEditor, _ group: StreamGroup, _ c: WriteContext) -> (StreamConsumer, isNew: Bool) {
        let name = groupAt.map { c.args[$0 + 1] } ?? Bytes()
        let (consumer, isNew) = c.consumer(name, of: group, in: stream)
        if isNew { StreamPropagation.createConsumer(c, stream.entry.key, group, name) }
        return (consumer, isNew)
    }
}
