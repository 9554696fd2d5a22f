import Storage

/// What becomes of a group's claims to an entry when that is removed. Redis 8.2.
enum StreamReferences {
    /// They stay.
    case keep
    /// They go.
    case drop
    /// The entry is not removed while there are any.
    case obey

    init?(_ word: Bytes) {
        if word.equals(ignoringCase: "keepref") {
            self = .keep
        } else if word.equals(ignoringCase: "delref") {
            self = .drop
        } else if word.equals(ignoringCase: "acked") {
            self = .obey
        } else {
            return nil
        }
    }
}

/// XDELEX and XACKDEL, which remove entries with regard to the groups that read them.
enum StreamReferenceCommands {
    static var table: [Command] {
        CommandGroup.stream.rows(
            [.fast, .frees],
            [
                .write(
                    "xdelex", -5, [], [.key(.rwDelete)], "8.2.0",
                    "key [references(KEEPREF|DELREF|ACKED)] IDS ids{numids:i id...}",
                    "Removes entries of a stream, with regard to the groups that refer to them.", xdelex
                ).complexity("O(G*log(N)) an entry, for G groups"),
                .write(
                    "xackdel", -6, [], [.key([.rw, .update, .delete])], "8.2.0",
                    "key group [references(KEEPREF|DELREF|ACKED)] IDS ids{numids:i id...}",
                    "Acknowledges entries and removes them.", xackdel
                ).complexity("O(G*log(N)) an entry, for G groups"),
            ])
    }

    private enum Answer {
        static let notFound: Int64 = -1
        static let removed: Int64 = 1
        /// A group still refers to it.
        static let referenced: Int64 = 2
    }

    /// The options from `index` on.
    private struct Request {
        var references: StreamReferences?
        /// Arguments that are ids.
        var ids = 0..<0

        init(_ args: Arguments, from index: Int) throws(CommandError) {
            var i = index
            while i < args.count {
                if let found = StreamReferences(args[i]), references == nil {
                    references = found
                    i += 1
                    continue
                }
                guard args[i].equals(ignoringCase: "ids"), i + 1 < args.count else { throw .syntax }
                guard let count = args[i + 1].integer, (1...Int64(Int32.max)).contains(count) else {
                    throw CommandError("ERR Number of IDs must be a positive integer")
                }
                i += 2
                guard count <= Int64(args.count - i) else {
                    throw CommandError("ERR The `numids` parameter must match the number of arguments")
                }
                ids = i..<i + Int(count)
                i = ids.upperBound
            }
            if ids.isEmpty { throw .syntax }
        }

        func answerNothing(_ c: WriteContext) {
            c.reply.array(ids.count)
            for _ in ids { c.reply.integer(Answer.notFound) }
        }
        func parsed(_ args: Arguments) throws(CommandError) -> [StreamID] {
            var found: [StreamID] = []
            for i in ids { found.append(try args.streamID(i)) }
            return found
        }
    }

    private static func xdelex(_ c: WriteContext) throws(CommandError) {
        let stream = try c.editStream(c.args[1], create: false)
        let request = try Request(c.args, from: 2)
        guard let stream else { return request.answerNothing(c) }
        var changes = StreamRemovals()
        let ids = try request.parsed(c.args)
        c.reply.array(ids.count)
        for id in ids { c.reply.integer(remove(id, stream, request.references ?? .keep, &changes)) }
        finish(c, changes, counts: changes.removed.count)
    }

    private static func xackdel(_ c: WriteContext) throws(CommandError) {
        let stream = try c.readStream(c.args[1])
        let request = try Request(c.args, from: 3)
        guard let stream, let group = stream.view.group(c.args[2]) else { return request.answerNothing(c) }
        var changes = StreamRemovals()
        let ids = try request.parsed(c.args)
        c.reply.array(ids.count)
        var acknowledged = 0
        for id in ids {
            guard stream.acknowledge(id, group) else {
                c.reply.integer(Answer.notFound)
                continue
            }
            changes.acknowledge(id, group)
            acknowledged += 1
            let answer = remove(id, stream, request.references ?? .keep, &changes)
            // What it had to say of the entry was said.
            c.reply.integer(answer == Answer.notFound ? Answer.removed : answer)
        }
        finish(c, changes, counts: acknowledged)
    }

    private static func remove(
        _ id: StreamID, _ stream: StreamEditor, _ references: StreamReferences, _ changes: inout StreamRemovals
    ) -> Int64 {
        switch references {
        case .keep: break
        case .drop: changes.dropReferences(id, stream)
        case .obey: if stream.isReferenced(id) { return Answer.referenced }
        }
        guard stream.delete(id) else { return Answer.notFound }
        changes.removed.append(id)
        return Answer.removed
    }

    private static func finish(_ c: WriteContext, _ changes: StreamRemovals, counts count: Int) {
        if count > 0 { c.count(as: count) }
        if !changes.removed.isEmpty { c.changed(c.args[1], .stream, "xdel") }
        changes.propagateAcknowledged(c)
        changes.propagateRemoved(c)
    }
}

/// Entries that a command has removed, and groups that wait for their acknowledgement no longer; propagated as XDEL and XACK, which
/// older servers know.
struct StreamRemovals {
    var removed: [StreamID] = []
    private var acknowledged: [(group: StreamGroup, ids: [StreamID])] = []
    private var places: [ObjectIdentifier: Int] = [:]

    mutating func acknowledge(_ id: StreamID, _ group: StreamGroup) {
        if let place = places[ObjectIdentifier(group)] { return acknowledged[place].ids.append(id) }
        places[ObjectIdentifier(group)] = acknowledged.count
        acknowledged.append((group, [id]))
    }
    mutating func dropReferences(_ id: StreamID, _ stream: StreamEditor) {
        stream.dropReferences(id) { acknowledge(id, $0) }
    }

    func propagateRemoved(_ c: WriteContext) { propagate(c, [Bytes("XDEL"), c.args[1]], removed) }
    func propagateAcknowledged(_ c: WriteContext) {
        for (group, ids) in acknowledged { propagate(c, [Bytes("XACK"), c.args[1], group.name], ids) }
    }
    private func propagate(_ c: WriteContext, _ command: [Bytes], _ ids: [StreamID]) {
        if ids.isEmpty { return }
        var texts = MemberList()
        for id in ids { id.withText { texts.append($0) } }
        c.propagate(command + (0..<texts.count).map { texts[$0] })
    }
}
