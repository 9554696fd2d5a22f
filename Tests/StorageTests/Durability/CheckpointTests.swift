import Foundation
import TestSupport
import Testing

@testable import Storage

/// Everything a keyspace holds, as text: what two keyspaces are compared by.
func dump(_ keyspace: Keyspace) -> [String: String] {
    do throws(BrokenInvariant) { try keyspace.checkInvariants() } catch { Issue.record("\(error)") }
    var all: [String: String] = [:]
    for database in keyspace.databases {
        database.forEach { entry in
            var value: String
            switch entry.type {
            case .string: value = database.string(of: entry).string
            case .list:
                var items: [String] = []
                let view = database.list(of: entry)
                view.forEach(from: 0, count: view.count, reverse: false) {
                    items.append($0.string)
                    return true
                }
                value = items.joined(separator: ",")
            case .hash:
                var items: [String] = []
                let hash = database.hash(of: entry)
                hash.forEach {
                    items.append("\($0.string)=\($1.string)@\(hash.expiry(of: $0) ?? -1)")
                    return true
                }
                value = items.sorted().joined(separator: ",")
            case .set:
                var items: [String] = []
                database.set(of: entry).forEach {
                    items.append($0.string)
                    return true
                }
                value = items.sorted().joined(separator: ",")
            case .zset:
                var items: [String] = []
                let view = database.zset(of: entry)
                view.forEach(rank: 0, count: view.count, reverse: false) {
                    items.append("\($0.string):\($1)")
                    return true
                }
                value = items.joined(separator: ",")
            case .stream: value = dump(database.stream(of: entry))
            }
            all["\(database.index)/\(entry.key.string)"] = "\(entry.type) \(value) \(entry.expiry ?? -1)"
            return true
        }
    }
    return all
}

/// A stream with all its attributes.
private func dump(_ stream: StreamView) -> String {
    var lines = ["\(stream.state) \(stream.firstID)"]
    stream.forEach { id, fields in
        var line = "\(id.ms)-\(id.seq)"
        fields.forEach { line += " \($0.string)=\($1.string)" }
        lines.append(line)
        return true
    }
    for group in stream.groups {
        lines.append("group \(group.name.string) \(group.lastID) \(group.entriesRead ?? -1) \(group.pendingCount)")
        for consumer in group.consumers {
            lines.append("\(consumer.name.string) \(consumer.seenMs) \(consumer.activeMs ?? -1)")
            stream.forEachPending(group, consumer) {
                lines.append("\($0.id) \($0.deliveredMs) \($0.deliveries)")
                return true
            }
        }
    }
    return lines.joined(separator: ",")
}

/// Keys that differ, with what they hold here and there, from shortly before the first difference on.
func difference(_ a: [String: String], _ b: [String: String]) -> [String] {
    Set(a.keys).union(b.keys).filter { a[$0] != b[$0] }.sorted().prefix(5).map {
        let (here, there) = (a[$0] ?? "missing", b[$0] ?? "missing")
        let same = max(here.commonPrefix(with: there).count - 50, 0)
        return "\($0): \(here.dropFirst(same).prefix(150)) / \(there.dropFirst(same).prefix(150))"
    }
}

struct RandomWriter {
    var random: SeededRandom
    let keyspace: Keyspace
    /// Whole keys seldom change, so that collections grow large.
    var isCalm = false

    mutating func int(_ n: Int) -> Int { Int.random(in: 0..<n, using: &random) }
    mutating func text(_ n: Int) -> Text {
        let length = int(10) == 0 ? int(n) : int(12)
        return Text(int(2) == 0 ? "\(int(1000))" : String(repeating: "t", count: length) + "\(int(1000))")
    }

    /// One random write, over few keys, so that every transition is met.
    mutating func write(keys: Int, elements: Int) throws {
        let db = keyspace.databases[int(10) == 0 ? 1 : 0]
        let type = int(6)
        let key = Text("\(["s", "l", "h", "S", "z", "x"][type])\(int(keys))")
        let value = text(200)
        let element = Text("e\(int(elements))")
        switch int(isCalm ? 4000 : 400) {
        case 0: keyspace.swap(0, 1)
        case 1: db.flush()
        case 2 where int(4) == 0: keyspace.flushAll()
        case 3...14: db.remove(key.bytes)
        case 15...20: db.setString(key.bytes, value.bytes, expiry: .clear)
        case 21...30:
            let to = Text("\(["s", "l", "h", "S", "z", "x"][type])\(int(keys))")
            if db.find(key.bytes) != nil { db.rename(key.bytes, to: to.bytes) }
        case 31...35: _ = db.move(key.bytes, to: keyspace.databases[1 - db.index])
        case 36...50:
            if db.find(key.bytes) != nil { db.setExpiry(int(3) == 0 ? nil : Int64(10_000 + int(5000)), of: key.bytes) }
        case 51...54:
            let to = Text("\(["s", "l", "h", "S", "z", "x"][type])\(int(keys))")
            if db.find(key.bytes) != nil { db.copy(key.bytes, to: db, as: to.bytes) }
        default:
            guard let entry = db.find(key.bytes), entry.type != [.string, .list, .hash, .set, .zset, .stream][type]
            else {
                return try edit(db, type, key, element, value)
            }
            db.remove(key.bytes)
        }
    }

    /// Changes a collection of the type (5: a stream) in one way of those there are.
    mutating func edit(_ db: Database, _ type: Int, _ key: Text, _ element: Text, _ value: Text) throws {
        switch type {
        case 0:
            if int(3) == 0 {
                db.append(key.bytes, value.bytes)
            } else {
                db.setString(key.bytes, value.bytes, expiry: .keep)
            }
        case 1:
            let list = try #require(try db.editList(key.bytes, create: true))
            let count = list.view.count
            switch int(8) {
            case 0...2: for _ in 0...int(20) { list.push(text(100).bytes, .tail) }
            case 3: for _ in 0...int(20) { list.push(value.bytes, .head) }
            case 4: if count > 0 { list.pop(.head) { _ in } }
            case 5: if count > 0 { list.pop(.tail) { _ in } }
            case 6: list.insert(value.bytes, at: int(count + 1))
            default:
                if count > 0 { list.set(int(count), value.bytes) }
                if count > 2000 { list.remove(at: 100..<1900) }
            }
            db.removeIfEmpty(list.entry)
        case 2:
            let hash = try #require(try db.editHash(key.bytes, create: true))
            if int(3) == 0 {
                hash.remove(element.bytes)
            } else {
                hash.set(element.bytes, value.bytes, keepingExpiry: int(2) == 0)
            }
            // Some hashes only: the others stay small.
            let other = Text("e\(int(40))")
            if key.bytes[key.bytes.count - 1] & 1 == 0, hash.view.contains(other.bytes) {
                hash.setExpiry(of: other.bytes, int(3) == 0 ? nil : Int64(10_000 + int(5000)))
            }
            db.removeIfEmpty(hash.entry)
        case 3:
            let set = try #require(try db.editSet(key.bytes, create: true))
            let member = int(2) == 0 ? element : Text("\(int(500))")
            if int(3) == 0 { set.remove(member.bytes) } else { set.insert(member.bytes) }
            db.removeIfEmpty(set.entry)
        case 5:
            try edit(stream: try #require(try db.editStream(key.bytes, create: true)), element, value)
        default:
            let zset = try #require(try db.editZSet(key.bytes, create: true))
            if int(3) == 0 { zset.remove(element.bytes) } else { zset.set(element.bytes, Double(int(100)) / 8) }
            db.removeIfEmpty(zset.entry)
        }
    }
}

extension RandomWriter {
    private mutating func edit(stream: StreamEditor, _ element: Text, _ value: Text) throws {
        let view = stream.view
        var state = view.state
        // A last id that leaves no room above it.
        if state.lastID.ms > 1 << 40 { return }
        func some(_ number: Int) -> StreamID { StreamID(ms: UInt64(number), seq: 1) }
        let near = some(int(Int(state.lastID.ms) + 2))
        let name = Text(["g", "h", "other"][int(3)])
        let consumerName = Text(["a", "b", "consumer"][int(3)])
        // Their bytes are borrowed below.
        defer { withExtendedLifetime((name, consumerName)) {} }
        switch int(14) {
        case 0...3:
            for _ in 0...int(12) {
                let id = some(Int(view.state.lastID.ms) + 1 + int(2))
                let pairs = [Text(int(4) == 0 ? "f2" : "f"), text(60), element, value]
                let bytes = pairs[..<(int(3) == 0 ? 4 : 2)].map(\.bytes)
                withExtendedLifetime(pairs) { bytes.withUnsafeBufferPointer { stream.append(id, $0) } }
            }
        case 4, 5: _ = stream.delete(near)
        case 6: _ = stream.trim(to: .length(int(view.count + 2)), approximately: int(2) == 0)
        case 7: _ = stream.trim(to: .id(near), approximately: int(2) == 0)
        case 8 where int(3) == 0:
            state.entriesAdded = max(0, state.entriesAdded &+ 5)
            stream.set(state)
        case 9 where int(6) == 0: if let group = view.group(name.bytes) { stream.remove(group) }
        default:
            let group =
                view.group(name.bytes)
                ?? stream.addGroup(name.bytes, lastID: near, entriesRead: int(2) == 0 ? nil : Int64(int(50)))
            guard let group else { return }
            let consumer = stream.consumer(
                consumerName.bytes, in: group, now: Int64(int(9999)))
            switch int(9) {
            case 0: stream.set(group, lastID: near, entriesRead: Int64(int(100)))
            case 1: stream.touch(consumer, seenMs: Int64(int(9999)), active: int(2) == 0)
            case 2...4: for i in 0..<int(40) { _ = stream.acknowledge(some(int(Int(state.lastID.ms) + 2) + i), group) }
            case 5 where int(8) == 0: stream.remove(consumer, from: group)
            default:
                for _ in 0..<int(40) {
                    stream.deliver(
                        some(int(Int(state.lastID.ms) + 2)), group, to: consumer, deliveredMs: Int64(int(9999)),
                        deliveries: Int64(int(5)))
                }
            }
        }
    }
}

@Suite struct CheckpointTests {
    static func meta(_ number: Int64) -> Meta {
        Meta(
            server: "s", checkpoint: number, savedAtMs: 1, segment: 1, segmentOffset: 0, replicationID: "r",
            replicationOffset: 0)
    }

    func load(_ path: String) throws -> Keyspace {
        let keyspace = Keyspace(databases: 2)
        keyspace.limits = CheckpointTests.limits
        _ = try SnapshotLoading.load(path, into: keyspace)
        return keyspace
    }
    /// Small, so that collections change form often.
    static var limits: Limits {
        var limits = Limits()
        limits.hashMaxListpackEntries = 20
        limits.setMaxIntsetEntries = 30
        limits.setMaxListpackEntries = 20
        limits.zsetMaxListpackEntries = 20
        limits.listMaxListpackSize = 16
        limits.streamNodeMaxEntries = 10
        return limits
    }

    /// Random writes go on while checkpoints run in small slices: what is loaded afterwards is exactly the state at the
    /// cut, for a keyspace that goes on living and for one that was loaded from the last snapshot.
    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func snapshotIsTheStateAtTheCut(offset: UInt64) throws {
        let seed = testSeed(offset)
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("checkpoint-\(UUID())")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let path = directory.appendingPathComponent("dump.sqlite").path
        var writer = RandomWriter(random: SeededRandom(seed), keyspace: Keyspace(databases: 2))
        writer.isCalm = offset > 2
        writer.keyspace.limits = CheckpointTests.limits
        let elements = offset % 2 == 0 ? 40 : 400
        for round in 1...25 {
            let keyspace = writer.keyspace
            let checkpointer = Checkpointer(keyspace: keyspace, path: path, wake: {})
            for _ in 0..<writer.int(round == 1 ? 20_000 : 3000) { try writer.write(keys: 12, elements: elements) }
            checkpointer.begin(CheckpointTests.meta(Int64(round)))
            let expected = dump(keyspace)
            var more = true
            while more {
                more = checkpointer.step(budgetNanoseconds: UInt64(writer.int(30_000)))
                for _ in 0..<writer.int(20) { try writer.write(keys: 12, elements: elements) }
            }
            for _ in 0..<writer.int(100) { try writer.write(keys: 12, elements: elements) }
            let result = try #require(checkpointer.finishNow())
            _ = try result.result.get()
            let loaded = try load(path)
            #expect(difference(dump(loaded), expected) == [], "seed \(seed) round \(round)")
            if writer.int(3) == 0 {
                writer = RandomWriter(random: writer.random, keyspace: loaded, isCalm: writer.isCalm)
            }
        }
    }

    /// A loaded collection's slots are those of its rows, whatever order its small form has: a change after a restart
    /// must meet its own row.
    @Test func changesAfterLoadingMeetTheirOwnRows() throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("checkpoint-\(UUID())")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let path = directory.appendingPathComponent("dump.sqlite").path
        func checkpoint(_ keyspace: Keyspace, _ number: Int64) throws {
            let checkpointer = Checkpointer(keyspace: keyspace, path: path, wake: {})
            checkpointer.begin(CheckpointTests.meta(number))
            _ = try #require(checkpointer.finishNow()).result.get()
        }
        let first = Keyspace(databases: 2)
        first.limits = CheckpointTests.limits
        let n = 60
        for i in 0..<n {
            // Descending: neither the order of scores nor that of integers is the order of slots.
            let element = Text("\(n - i)")
            try #require(try first.databases[0].editZSet(Text("z").bytes, create: true)).set(
                element.bytes, Double(n - i))
            try #require(try first.databases[0].editSet(Text("S").bytes, create: true)).insert(element.bytes)
            try #require(try first.databases[0].editHash(Text("h").bytes, create: true)).set(
                element.bytes, element.bytes)
        }
        // A set of integers that its small form would sort, too.
        let second: Keyspace
        do {
            for i in 0..<n {
                try #require(try first.databases[0].editSet(Text("S").bytes, create: true)).remove(Text("\(i)").bytes)
            }
            for i in 0..<n {
                try #require(try first.databases[0].editSet(Text("S").bytes, create: true)).insert(
                    Text("\(n - i)").bytes)
            }
            try checkpoint(first, 1)
            second = try load(path)
        }
        #expect(difference(dump(second), dump(first)) == [])
        for i in stride(from: 1, through: n, by: 7) {
            let element = Text("\(i)")
            try #require(try second.databases[0].editZSet(Text("z").bytes, create: true)).set(element.bytes, 0.5)
            try #require(try second.databases[0].editSet(Text("S").bytes, create: true)).remove(element.bytes)
            try #require(try second.databases[0].editHash(Text("h").bytes, create: true)).set(
                element.bytes, Text("x").bytes)
        }
        try checkpoint(second, 2)
        #expect(difference(dump(try load(path)), dump(second)) == [])
    }

    /// A failed attempt forgets nothing.
    @Test func failedCheckpointIsMadeUpForByTheNext() throws {
        let seed = testSeed()
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("checkpoint-\(UUID())")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let path = directory.appendingPathComponent("dump.sqlite").path
        let missing = directory.appendingPathComponent("missing/dump.sqlite").path
        var writer = RandomWriter(random: SeededRandom(seed), keyspace: Keyspace(databases: 2))
        let keyspace = writer.keyspace
        keyspace.limits = CheckpointTests.limits
        for round in 1...30 {
            for _ in 0..<writer.int(3000) { try writer.write(keys: 12, elements: 100) }
            let fails = round % 3 != 0
            let checkpointer = Checkpointer(keyspace: keyspace, path: fails ? missing : path, wake: {})
            checkpointer.begin(CheckpointTests.meta(Int64(round)))
            let expected = dump(keyspace)
            while checkpointer.step(budgetNanoseconds: 20_000) {
                for _ in 0..<writer.int(20) { try writer.write(keys: 12, elements: 100) }
            }
            let result = try #require(checkpointer.finishNow()).result
            #expect(((try? result.get()) == nil) == fails)
            if !fails { #expect(difference(dump(try load(path)), expected) == [], "seed \(seed) round \(round)") }
        }
    }
}
