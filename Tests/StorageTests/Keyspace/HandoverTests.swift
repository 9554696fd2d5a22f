import Foundation
import TestSupport
import Testing

@testable import Storage

/// Texts whose bytes stay where they are as long as this lives.
private final class Texts {
    private var texts: [Text] = []

    func callAsFunction(_ string: String) -> Bytes {
        let text = Text(string)
        texts.append(text)
        return text.bytes
    }
}

/// Writes that meet a value of which some is handed over to the checkpoint and some is not: how much is chosen by the
/// element, where `CheckpointTests` leaves it to the clock.
@Suite struct HandoverTests {
    /// Elements handed over before a write: around the ends of chunks (4), of nodes (4) and of words of bits (64).
    private static let amounts = [0, 1, 2, 3, 4, 5, 8, 20, 40, 63, 64, 65, 100]
    private static let types = 1...5
    /// Elements at first.
    private static let length = 130

    private static var limits: Limits {
        var limits = CheckpointTests.limits
        limits.listMaxListpackSize = 4
        limits.streamNodeMaxEntries = 4
        return limits
    }

    /// A list, hash, set, sorted set or stream with `count` elements, of which all are `version`.
    private func fill(_ db: Database, _ type: Int, _ key: Text, _ count: Int, version: Int) throws {
        let text = Texts()
        defer { withExtendedLifetime(text) {} }
        let name = text("g")
        for i in 0..<count {
            let element = text("e\(i)")
            let value = text("\(version).\(i)")
            switch type {
            case 1: try #require(try db.editList(key.bytes, create: true)).push(value, .tail)
            case 2: try #require(try db.editHash(key.bytes, create: true)).set(element, value)
            case 3: try #require(try db.editSet(key.bytes, create: true)).insert(element)
            case 4:
                try #require(try db.editZSet(key.bytes, create: true)).set(element, Double(version) + Double(i) / 8)
            default:
                let stream = try #require(try db.editStream(key.bytes, create: true))
                let id = StreamID(ms: stream.view.state.lastID.ms + 1, seq: 1)
                [element, value].withUnsafeBufferPointer { stream.append(id, $0) }
                if i % 3 == 0 {
                    let made = stream.view.group(name) ?? stream.addGroup(name, lastID: id, entriesRead: nil)
                    let group = try #require(made)
                    let consumer = stream.consumer(name, in: group, now: 1)
                    stream.deliver(id, group, to: consumer, deliveredMs: 1, deliveries: 1)
                }
            }
        }
    }

    /// Hands over `amount` elements of a key's value, and the key itself if that is more than none.
    private func handOver(_ amount: Int, of key: Text, in db: Database) throws {
        guard amount > 0, let entry = db.find(key.bytes), let handover = db.keyspace.handover else { return }
        if entry.flags.contains(db.keyspace.pendingFlag) { handover.handOver(entry, of: db.contents) }
        guard let value = entry.largeValue else { return }
        var left = amount
        _ = value.drain {
            left -= 1
            return left >= 0
        }
    }

    /// One change: of an element mostly, at times of the whole key.
    private func change(_ writer: inout RandomWriter, _ db: Database, _ type: Int, _ key: Text) throws {
        let element = Text("e\(writer.int(Self.length + 20))")
        let newValue = Text("new \(writer.int(1_000_000))")
        let text = Texts()
        defer { withExtendedLifetime((newValue, text)) {} }
        let value = newValue.bytes
        guard let entry = db.find(key.bytes) else { return try fill(db, type, key, 30, version: writer.int(1000)) }
        if entry.type == .string {
            db.remove(key.bytes)
            return
        }
        let list = type == 1 ? try db.editList(key.bytes, create: true) : nil
        switch writer.int(12) {
        case 0:
            // Another key takes the value, which may be half handed over.
            switch writer.int(4) {
            case 0: db.remove(key.bytes)
            case 1: db.setString(key.bytes, value, expiry: .clear)
            case 2: db.rename(key.bytes, to: text(key.bytes.string + " renamed"))
            default: db.copy(key.bytes, to: db, as: text(key.bytes.string + " copied"))
            }
        case 1...7 where list != nil:
            guard let list else { return }
            let count = list.view.count
            let at = writer.int(count)
            switch writer.int(7) {
            case 0: list.remove(at: at..<min(at + 1 + writer.int(6), count))
            case 1: for _ in 0...writer.int(3) { list.insert(value, at: min(at + 1, list.view.count)) }
            case 2: list.set(at, value)
            // What went before the cut left rows to remove in the slots that are taken after it.
            case 3: for _ in 0...writer.int(6) { list.push(value, writer.int(2) == 0 ? .head : .tail) }
            case 4: for _ in 0...writer.int(4) where list.view.count > 1 { list.pop(.head) { _ in } }
            case 5: for _ in 0...writer.int(4) where list.view.count > 1 { list.pop(.tail) { _ in } }
            default: list.removeAll(equal: text(list.view[at].string), limit: 1, fromTail: writer.int(2) == 0)
            }
            db.removeIfEmpty(list.entry)
        default: try writer.edit(db, type, key, element, newValue)
        }
    }

    private func checkpoint(
        _ keyspace: Keyspace, _ path: String, _ number: Int, _ seed: UInt64, while body: () throws -> Void = {}
    ) throws {
        let checkpointer = Checkpointer(keyspace: keyspace, path: path, wake: {})
        checkpointer.begin(CheckpointTests.meta(Int64(number)))
        let expected = dump(keyspace)
        try body()
        _ = try #require(checkpointer.finishNow()).result.get()
        #expect(
            difference(dump(try CheckpointTests().load(path)), expected) == [], "seed \(seed), checkpoint \(number)")
    }

    /// Hundreds of values, each with another amount of it handed over when it is changed.
    @Test func changesMeetValuesHalfHandedOver() throws {
        let seed = testSeed()
        let directory = TemporaryDirectory()
        var writer = RandomWriter(random: SeededRandom(seed), keyspace: Keyspace(databases: 2))
        let keyspace = writer.keyspace
        keyspace.limits = Self.limits
        let db = keyspace.databases[0]
        let cases = Self.types.flatMap { type in
            Self.amounts.flatMap { amount in (0..<4).map { (type, amount, Text("\(type) \(amount) \($0)")) } }
        }
        for (type, _, key) in cases { try fill(db, type, key, Self.length, version: 0) }
        try checkpoint(keyspace, directory.snapshot, 1, seed)
        for round in 2...5 {
            for (type, _, key) in cases {
                // All of it changed, or some, or nothing.
                if writer.int(2) == 0 {
                    db.remove(key.bytes)
                    try fill(db, type, key, Self.length, version: round)
                }
                for _ in 0..<writer.int(6) { try change(&writer, db, type, key) }
            }
            try checkpoint(keyspace, directory.snapshot, round, seed) {
                for (type, amount, key) in cases {
                    try handOver(amount, of: key, in: db)
                    try change(&writer, db, type, key)
                    try handOver(writer.int(3), of: key, in: db)
                    for _ in 0..<writer.int(3) { try change(&writer, db, type, key) }
                }
            }
        }
        // What changed meanwhile is the next one's.
        try checkpoint(keyspace, directory.snapshot, 6, seed)
    }

    /// Values that are moved, half handed over, into a database that was flushed since the cut, and flushed with it.
    @Test func flushesMeetValuesThatMoved() throws {
        let seed = testSeed()
        let directory = TemporaryDirectory()
        let keyspace = Keyspace(databases: 2)
        keyspace.limits = Self.limits
        let (from, to) = (keyspace.databases[0], keyspace.databases[1])
        let keys = Self.types.map { (type: $0, key: Text("k\($0)")) }
        for (type, key) in keys { try fill(from, type, key, Self.length, version: 0) }
        try fill(to, 2, Text("other"), 10, version: 0)
        try checkpoint(keyspace, directory.snapshot, 1, seed) {
            to.flush()
            for (_, key) in keys {
                try handOver(3, of: key, in: from)
                #expect(from.move(key.bytes, to: to))
            }
            to.flush()
            // The reaper has time for what it was given, and its memory is used again.
            for (type, key) in keys { try fill(to, type, key, Self.length, version: 1) }
            while Reaper.shared.backlog > 0 { sched_yield() }
            for (type, key) in keys { try fill(from, type, key, Self.length, version: 2) }
        }
        try checkpoint(keyspace, directory.snapshot, 2, seed)
    }

    /// Few values of thousands of elements, changed all over: more intervals than are kept apart, many words of bits,
    /// many batches.
    @Test func longValuesChangedAllOver() throws {
        let seed = testSeed()
        let directory = TemporaryDirectory()
        var writer = RandomWriter(random: SeededRandom(seed), keyspace: Keyspace(databases: 2))
        let keyspace = writer.keyspace
        keyspace.limits = Self.limits
        let (db, length) = (keyspace.databases[0], 3000)
        let keys = Self.types.map { ($0, Text("\($0)")) }
        for (type, key) in keys { try fill(db, type, key, length, version: 0) }
        try checkpoint(keyspace, directory.snapshot, 1, seed)

        /// A change of one element, anywhere.
        func touch(_ type: Int, _ key: Text) throws {
            let element = Text("e\(writer.int(length))")
            let value = Text(String(repeating: "v", count: writer.int(300)) + "\(writer.int(1_000_000))")
            if type != 1 || writer.int(8) == 0 { return try writer.edit(db, type, key, element, value) }
            let list = try #require(try db.editList(key.bytes, create: true))
            withExtendedLifetime(value) { list.set(writer.int(list.view.count), value.bytes) }
        }
        for round in 2...4 {
            for (type, key) in keys {
                if round == 3 {
                    db.remove(key.bytes)
                    try fill(db, type, key, length, version: round)
                }
                for _ in 0..<1500 { try touch(type, key) }
            }
            try checkpoint(keyspace, directory.snapshot, round, seed) {
                for _ in 0..<60 {
                    for (type, key) in keys {
                        try handOver(1 + writer.int(50), of: key, in: db)
                        for _ in 0..<4 { try touch(type, key) }
                    }
                }
            }
        }
        try checkpoint(keyspace, directory.snapshot, 5, seed)
    }
}
