import TestSupport
import Testing

@testable import Storage

/// The structures in memory against models, checked from inside after every few steps; and that the checks see what they are for.
@Suite struct InvariantTests {
    let keyspace = Keyspace(databases: 2)
    var db: Database { keyspace.databases[0] }

    /// XTRIM MINID up to an entry that was deleted before: the node stays, with nothing in it, as in redis-server.
    @Test func aNodeOfAStreamMayHaveNoEntries() throws {
        let key = Text("s")
        let stream = try #require(try db.editStream(key.bytes, create: true))
        let (field, value) = (Text("f"), Text("v"))
        for ms in 1...3 {
            [field.bytes, value.bytes].withUnsafeBufferPointer { stream.append(StreamID(ms: UInt64(ms), seq: 1), $0) }
        }
        #expect(stream.delete(StreamID(ms: 3, seq: 1)))
        #expect(stream.trim(to: .id(StreamID(ms: 3, seq: 1))) == 2)
        #expect(stream.view.count == 0)
        try keyspace.checkInvariants()
        [field.bytes, value.bytes].withUnsafeBufferPointer { stream.append(StreamID(ms: 4, seq: 1), $0) }
        #expect(stream.view.count == 1)
        try keyspace.checkInvariants()
    }

    @Test func keysComeAndGo() throws {
        var random = SeededRandom()
        keyspace.now = 1000
        var model: [String: String] = [:]
        for step in 0..<30_000 {
            // Waves, so that the table grows and shrinks.
            let range = (step / 3000) % 2 == 0 ? 2000 : 12
            let name = "k\(Int.random(in: 0..<range, using: &random))"
            withBytes(name) { key in
                switch Int.random(in: 0..<8, using: &random) {
                case 0..<4:
                    withBytes("\(step)") { db.setString(key, $0, expiry: .clear) }
                    model[name] = "\(step)"
                case 4:
                    db.setExpiry(2000 + Int64.random(in: 0..<100, using: &random), of: key)
                case 5:
                    db.setExpiry(nil, of: key)
                default:
                    db.remove(key)
                    model[name] = nil
                }
            }
            if range == 12, let other = model.keys.first {
                withBytes(other) { _ = db.remove($0) }
                model[other] = nil
            }
            #expect(db.count == model.count)
            if step % 250 == 0 { try keyspace.checkInvariants() }
        }
        for (key, value) in model { #expect(withBytes(key) { try? db.string($0)?.string } == value) }
        try keyspace.checkInvariants()
    }

    @Test(arguments: [-2, -1, 1, 3, 128]) func listsAtBothEnds(size: Int) throws {
        var random = SeededRandom()
        keyspace.limits.listMaxListpackSize = size
        var model: [String] = []
        try withBytes("l") { key in
            for step in 0..<12_000 {
                let list = try #require(try db.editList(key, create: true))
                let isGrowing = (step / 2000) % 2 == 0
                let end: ListEnd =
                    (step / 500) % 3 == 0
                    ? (Bool.random(using: &random) ? .head : .tail) : (step / 500) % 3 == 1 ? .head : .tail
                if model.isEmpty || Int.random(in: 0..<10, using: &random) < (isGrowing ? 7 : 3) {
                    let value =
                        switch Int.random(in: 0..<20, using: &random) {
                        case 0: String(repeating: "long ", count: Int.random(in: 0..<2000, using: &random))
                        case 1..<10: String(repeating: "x", count: Int.random(in: 0..<150, using: &random))
                        default: "\(step)"
                        }
                    withBytes(value) { list.push($0, end) }
                    model.insert(value, at: end == .head ? 0 : model.count)
                } else {
                    var seen = ""
                    list.pop(end) { seen = $0.string }
                    #expect(seen == model.remove(at: end == .head ? 0 : model.count - 1))
                }
                #expect(list.view.count == model.count)
                if !model.isEmpty && step % 40 == 0 {
                    try keyspace.checkInvariants()
                    let at = Int.random(in: 0..<model.count, using: &random)
                    #expect(list.view[at].string == model[at])
                }
                db.removeIfEmpty(list.entry)
            }
            var left: [String] = []
            try db.list(key)?.forEach(from: 0, count: model.count, reverse: false) {
                left.append($0.string)
                return true
            }
            #expect(left == model)
        }
    }

    /// A chunk of one element that fills it is not split.
    @Test func anInsertBehindAChunkOfOne() throws {
        try withBytes("l") { key in
            let list = try #require(try db.editList(key, create: true))
            let large = String(repeating: "x", count: 9000)
            for value in ["a", "b", large, "c", "d"] + (0..<200).map({ String(repeating: "y", count: 100) + "\($0)" }) {
                withBytes(value) { list.push($0, .tail) }
            }
            for index in [3, 2, 4, 3, 3, 3] {
                for value in [large, String(repeating: "z", count: 8000)] {
                    withBytes(value) { list.insert($0, at: index) }
                }
                try keyspace.checkInvariants()
            }
        }
    }

    @Test func collectionsOfEveryType() throws {
        var writer = RandomWriter(random: SeededRandom(), keyspace: keyspace)
        keyspace.limits = CheckpointTests.limits
        for step in 0..<6000 {
            try writer.write(keys: 8, elements: 300)
            if step % 50 == 0 { try keyspace.checkInvariants() }
        }
    }

    @Test func intervalsAreASetOfSlots() throws {
        var random = SeededRandom()
        for _ in 0..<50 {
            var intervals = SlotIntervals()
            var model: Set<Int64> = []
            for _ in 0..<200 {
                let from = Int64.random(in: 0..<300, using: &random)
                let range = from..<from + Int64.random(in: 0..<20, using: &random)
                if Bool.random(using: &random) {
                    intervals.insert(range)
                    model.formUnion(range)
                } else {
                    var taken: Set<Int64> = []
                    intervals.subtract(range) { taken.formUnion($0) }
                    // What was joined beyond the limit may be more than what was put in.
                    #expect(taken.isSuperset(of: model.intersection(range)))
                    model.subtract(range)
                }
                try intervals.checkInvariants()
                let found = intervals.intervals.reduce(into: Set<Int64>()) { $0.formUnion($1) }
                #expect(found.isSuperset(of: model))
                model = found
            }
        }
    }

    @Test func pendingRowsKeepTheirOrder() throws {
        var random = SeededRandom()
        var rows = PendingRows()
        for round in 0..<20 {
            var counts: [Int64: Int] = [:]
            for i in 0..<300 {
                let id = Int64.random(in: 1..<60, using: &random)
                let batch = RowBatch()
                withBytes("\(counts[id, default: 0])") {
                    batch.appendString(id: id, db: 0, key: $0, value: $0, expiresMs: nil)
                }
                counts[id, default: 0] += 1
                rows.append(.string, id: id, batch.encoded)
                if i % 10 == 0 { try rows.checkInvariants() }
            }
            var last: (id: Int64, number: Int) = (0, -1)
            var found = 0
            try rows.drain { (row) throws(StorageError) in
                guard case .string(let id, _, let key, _, _) = row else { return }
                let number = Int(key.string) ?? -1
                if id < last.id || number != (id == last.id ? last.number + 1 : 0) {
                    Issue.record("round \(round): \(id) \(number)")
                }
                last = (id, number)
                found += 1
            }
            #expect(found == 300)
            try rows.checkInvariants()
        }
    }

    // MARK: - What the checks see

    private func fill() throws {
        try withBytes("h") { key in
            let hash = try #require(try db.editHash(key, create: true))
            for i in 0..<600 { withBytes("f\(i)") { _ = hash.set($0, $0) } }
            withBytes("f7") { hash.setExpiry(of: $0, 5000) }
        }
        try withBytes("z") { key in
            let zset = try #require(try db.editZSet(key, create: true))
            for i in 0..<600 { withBytes("m\(i)") { _ = zset.set($0, Double(i)) } }
        }
        try withBytes("l") { key in
            let list = try #require(try db.editList(key, create: true))
            for i in 0..<9000 { withBytes("item \(i)") { list.push($0, .tail) } }
        }
        withBytes("s") { key in withBytes("v") { db.setString(key, $0, expiry: .at(9000)) } }
        try keyspace.checkInvariants()
    }
    private func entry(_ name: String) throws -> Entry { try #require(withBytes(name) { db.find($0) }) }

    @Test func aBrokenStructureIsTold() throws {
        try fill()
        func isTold(_ what: String, _ damage: () throws -> Void, undo: () throws -> Void) throws {
            try damage()
            #expect(throws: BrokenInvariant.self, "\(what)") { try keyspace.checkInvariants() }
            try undo()
            try keyspace.checkInvariants()
        }
        let (hash, zset, list, string) = (try entry("h"), try entry("z"), try entry("l"), try entry("s"))
        let field = hash.tableValue.slots[5]
        try isTold("a slot", { field.slot = 6 }, undo: { field.slot = 5 })
        let member = zset.tableValue.slots[9]
        try isTold("a score", { member.score = 9.5 }, undo: { member.score = 9 })
        let index = string.heapIndex
        try isTold("a place in the heap", { string.heapIndex = 77 }, undo: { string.heapIndex = index })
        let expiry = try #require(string.expiry)
        try isTold("a time", { string.storeExpiry(1) }, undo: { string.storeExpiry(expiry) })
        try isTold("an encoding", { string.encoding = .skiplist }, undo: { string.encoding = .embstr })
        let pack = list.chunkedList.chunks[1].pack
        let byte = pack.byte(pack.byteCount - 1)
        try isTold(
            "a listpack's end", { pack.block.storeBytes(of: 0, toByteOffset: pack.byteCount - 1, as: UInt8.self) },
            undo: { pack.block.storeBytes(of: byte, toByteOffset: pack.byteCount - 1, as: UInt8.self) })
        let base = list.chunkedList.chunks[1].base
        try isTold(
            "a chunk's slots", { list.chunkedList.chunks[1].base = 0 }, undo: { list.chunkedList.chunks[1].base = base }
        )
        let flags = string.flags
        try isTold(
            "a flag of a checkpoint that is none", { string.flags.insert(keyspace.pendingFlag) },
            undo: { string.flags = flags })
    }
}
