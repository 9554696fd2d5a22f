import Synchronization
import TestSupport
import Testing

@testable import Storage

/// A text whose bytes are never freed, so that those of a temporary can be passed on.
struct Text {
    /// Keeps them reachable, for leak checkers.
    private static let addresses = Mutex<[UInt]>([])
    let bytes: Bytes

    init(_ text: String) {
        let utf8 = Array(text.utf8)
        let block = UnsafeMutableRawPointer.allocate(byteCount: max(utf8.count, 1), alignment: 1)
        block.copyMemory(from: utf8, byteCount: utf8.count)
        bytes = Bytes(block, utf8.count)
        Text.addresses.withLock { $0.append(UInt(bitPattern: block)) }
    }
}

func withBytes<R>(_ text: String, _ body: (Bytes) throws -> R) rethrows -> R {
    let buffer = OutputBuffer(capacity: text.utf8.count)
    buffer.append(text: text)
    return try withExtendedLifetime(buffer) { try body(buffer.bytes) }
}

@Suite struct KeyspaceTests {
    let keyspace = Keyspace(databases: 4)
    var db: Database { keyspace.databases[0] }

    func set(_ key: String, _ value: String, _ expiry: ExpiryChange = .clear) {
        withBytes(key) { k in withBytes(value) { db.setString(k, $0, expiry: expiry) } }
    }
    func get(_ key: String) -> String? { withBytes(key) { try? db.string($0)?.string } }

    @Test func stringsOfEverySize() {
        for n in [0, 1, 19, 20, 21, 44, 45, 200, 4095, 4096, 4097, 70_000] {
            set("k", String(repeating: "x", count: n))
            #expect(get("k") == String(repeating: "x", count: n))
        }
        set("k", "12345")
        #expect(get("k") == "12345")
        #expect(withBytes("k") { db.find($0)?.encoding } == .int)
        #expect(db.count == 1)
    }

    @Test func appendAndSetRange() {
        for piece in 0..<3000 { _ = withBytes("a") { k in withBytes("\(piece),") { db.append(k, $0) } } }
        #expect(get("a") == (0..<3000).map { "\($0)," }.joined())
        set("n", "12")
        #expect(withBytes("n") { k in withBytes("34") { db.append(k, $0) } } == 4)
        #expect(get("n") == "1234")
        #expect(withBytes("gap") { k in withBytes("x") { db.setRange(k, 3, $0) } } == 4)
        #expect(get("gap") == "\0\0\0x")
    }

    @Test func modelOfManyKeys() {
        var random = SeededRandom()
        var model: [String: String] = [:]
        for i in 0..<200_000 {
            let key = "key:\(Int.random(in: 0..<30_000, using: &random))"
            switch random.below(i < 100_000 ? 4 : 2) {
            case 0:
                #expect(withBytes(key) { db.remove($0) } == (model.removeValue(forKey: key) != nil))
            case 1: #expect(get(key) == model[key])
            default:
                model[key] = "v\(i)"
                set(key, "v\(i)")
            }
        }
        #expect(db.count == model.count)
        for (key, value) in model { #expect(get(key) == value) }
    }

    @Test func scanSeesEveryKeyWhileTheTableGrowsAndShrinks() {
        for i in 0..<1000 { set("stay:\(i)", "x") }
        for grows in [true, false] {
            if !grows { for i in 0..<10_000 { set("extra:\(i)", "x") } }
            var seen: Set<String> = []
            var cursor: UInt64 = 0
            var n = 0
            repeat {
                cursor = db.scan(cursor, count: 1) { seen.insert($0.key.string) }
                for _ in 0..<20 {
                    if grows { set("extra:\(n)", "x") } else { _ = withBytes("extra:\(n)") { db.remove($0) } }
                    n += 1
                }
            } while cursor != 0
            #expect((0..<1000).allSatisfy { seen.contains("stay:\($0)") })
            for i in 0..<20_000 { _ = withBytes("extra:\(i)") { db.remove($0) } }
        }
    }

    @Test func expiryRemovesWhatIsDueSoonestFirst() {
        keyspace.now = 1000
        for i in 0..<5000 { set("e\(i)", "v", .at(1001 + Int64((i * 7919) % 5000))) }
        set("stays", "v")
        #expect(db.expiringCount == 5000)
        var order: [String] = []
        let observer = ExpiryObserver(keyspace) { key, _ in order.append(key.string) }
        defer { withExtendedLifetime(observer) {} }
        keyspace.now = 3500
        while keyspace.activeExpire(budgetNanoseconds: 1_000_000) {}
        #expect(order.count == 2500)
        #expect(db.expiringCount == 2500)
        #expect(
            order
                == (0..<5000).filter { ($0 * 7919) % 5000 < 2500 }
                .sorted { ($0 * 7919) % 5000 < ($1 * 7919) % 5000 }.map { "e\($0)" })
        // Overwriting clears, KEEPTTL keeps, setExpiry moves.
        keyspace.now = 1000
        set("a", "1", .at(2000))
        set("a", "word", .keep)
        #expect(withBytes("a") { db.find($0)?.expiry } == 2000)
        withBytes("a") { db.setExpiry(5000, of: $0) }
        keyspace.now = 4999
        #expect(get("a") == "word")
        keyspace.now = 5000
        #expect(get("a") == nil)
        #expect(order.last == "a")
    }

    @Test func renameMoveCopy() throws {
        set("s", "value", .at(.max))
        withBytes("s") { s in withBytes("t") { db.rename(s, to: $0) } }
        #expect(get("s") == nil)
        #expect(get("t") == "value")
        #expect(withBytes("t") { db.move($0, to: keyspace.databases[1]) })
        #expect(get("t") == nil)
        #expect(keyspace.databases[1].expiringCount == 1)
        #expect(db.expiringCount == 0)
        keyspace.swap(0, 1)
        #expect(get("t") == "value")
        keyspace.flushAll()
        #expect(keyspace.count == 0)
    }
}

@Suite struct CollectionTests {
    let keyspace = Keyspace(databases: 1)
    var db: Database { keyspace.databases[0] }

    @Test func hashesInBothForms() throws {
        var random = SeededRandom()
        var model: [String: String] = [:]
        try withBytes("h") { key in
            for i in 0..<20_000 {
                let field = "f\(random.below(i < 1000 ? 50 : 3000))"
                let editor = try #require(try db.editHash(key, create: true))
                if random.below(3) == 0 {
                    #expect(withBytes(field) { editor.remove($0) } == (model.removeValue(forKey: field) != nil))
                } else {
                    let value = String(repeating: "v", count: random.below(i < 500 ? 10 : 100)) + "\(i)"
                    let isNew = withBytes(field) { f in withBytes(value) { editor.set(f, $0) } }
                    #expect(isNew == (model.updateValue(value, forKey: field) == nil))
                }
                db.removeIfEmpty(editor.entry)
            }
            let view = try #require(try db.hash(key))
            #expect(view.count == model.count)
            for (field, value) in model { #expect(withBytes(field) { view.get($0)?.string } == value) }
            var seen: [String: String] = [:]
            view.forEach { field, value in
                seen[field.string] = value.string
                return true
            }
            #expect(seen == model)
        }
    }

    @Test(arguments: [-2, 3, -1])
    func listsInBothForms(size: Int) throws {
        var random = SeededRandom()
        keyspace.limits.listMaxListpackSize = size
        var model: [String] = []
        try withBytes("l") { key in
            for i in 0..<30_000 {
                let editor = try #require(try db.editList(key, create: true))
                let value = Bool.random(using: &random) ? "\(i)" : String(repeating: "e", count: random.below(60))
                withBytes(value) { value in
                    switch random.below(12) {
                    case 0..<3:
                        editor.push(value, .tail)
                        model.append(value.string)
                    case 3..<5:
                        editor.push(value, .head)
                        model.insert(value.string, at: 0)
                    case 5 where !model.isEmpty:
                        editor.pop(.head) { _ in }
                        model.removeFirst()
                    case 6 where !model.isEmpty:
                        editor.pop(.tail) { _ in }
                        model.removeLast()
                    case 7 where !model.isEmpty:
                        let at = random.below(model.count)
                        editor.set(at, value)
                        model[at] = value.string
                    case 8, 9:
                        let at = Int.random(in: 0...model.count, using: &random)
                        editor.insert(value, at: at)
                        model.insert(value.string, at: at)
                    case 10 where model.count > 3000:
                        let from = random.below(model.count - 2500)
                        editor.remove(at: from..<from + 2500)
                        model.removeSubrange(from..<from + 2500)
                    default: break
                    }
                }
                #expect(editor.view.count == model.count)
                if i % 500 == 0 && !model.isEmpty {
                    try keyspace.checkInvariants()
                    var seen: [String] = []
                    editor.view.forEach(from: 0, count: model.count, reverse: false) {
                        seen.append($0.string)
                        return true
                    }
                    #expect(seen == model)
                    seen = []
                    editor.view.forEach(from: model.count - 1, count: model.count, reverse: true) {
                        seen.append($0.string)
                        return true
                    }
                    #expect(seen == model.reversed())
                    let at = random.below(model.count)
                    #expect(editor.view[at].string == model[at])
                }
                db.removeIfEmpty(editor.entry)
            }
        }
    }

    @Test func setsInAllForms() throws {
        try withBytes("s") { key in
            let editor = try #require(try db.editSet(key, create: true))
            for i in 0..<512 { #expect(withBytes("\(i * 3)") { editor.insert($0) }) }
            #expect(editor.entry.encoding == .intset)
            #expect(withBytes("x") { editor.insert($0) })
            #expect(editor.entry.encoding == .hashtable)
            #expect(!withBytes("3") { editor.insert($0) })
            #expect(editor.view.count == 513)
            for i in 0..<512 { #expect(withBytes("\(i * 3)") { editor.remove($0) }) }
            #expect(editor.view.count == 1)
        }
        try withBytes("small") { key in
            let editor = try #require(try db.editSet(key, create: true))
            _ = withBytes("1") { editor.insert($0) }
            _ = withBytes("a") { editor.insert($0) }
            #expect(editor.entry.encoding == .listpack)
            #expect(withBytes("1") { editor.view.contains($0) })
        }
    }

    @Test func sortedSetsKeepOrderAndRanks() throws {
        var random = SeededRandom()
        var model: [String: Double] = [:]
        try withBytes("z") { key in
            for i in 0..<40_000 {
                let editor = try #require(try db.editZSet(key, create: true))
                let member = "m\(random.below(i < 500 ? 60 : 5000))"
                if random.below(4) == 0 {
                    #expect(withBytes(member) { editor.remove($0) } == (model.removeValue(forKey: member) != nil))
                } else {
                    let score = Double(Int.random(in: -50..<50, using: &random)) / 4
                    withBytes(member) { _ = editor.set($0, score) }
                    model[member] = score
                }
                if i % 1000 == 0 && !model.isEmpty { try keyspace.checkInvariants() }
                if i == 200 || i == 39_999 {
                    let order = model.sorted { ($0.value, $0.key) < ($1.value, $1.key) }
                    var seen: [String] = []
                    editor.view.forEach(rank: 0, count: order.count, reverse: false) { m, _ in
                        seen.append(m.string)
                        return true
                    }
                    #expect(seen == order.map(\.key))
                    for (rank, element) in order.enumerated() where rank % 37 == 0 {
                        #expect(withBytes(element.key) { editor.view.rank(of: $0) } == rank)
                        #expect(
                            editor.view.firstRank(score: element.value, after: false)
                                == order.firstIndex { $0.value >= element.value })
                        #expect(
                            editor.view.firstRank(score: element.value, after: true)
                                == order.firstIndex { $0.value > element.value } ?? order.count)
                    }
                    editor.removeRanks(3..<10)
                    for element in order[3..<10] { model[element.key] = nil }
                    #expect(editor.view.count == model.count)
                }
                db.removeIfEmpty(editor.entry)
            }
        }
    }

    @Test func hashScanSeesWhatStaysWhileOthersGo() throws {
        try withBytes("h") { key in
            let editor = try #require(try db.editHash(key, create: true))
            for i in 0..<1000 { _ = withBytes("f\(i)") { editor.set($0, $0) } }
            var seen: Set<String> = []
            var cursor: UInt64 = 0
            var n = 0
            repeat {
                cursor = editor.view.scan(cursor: cursor, count: 10) { f, _ in seen.insert(f.string) }
                for _ in 0..<5 where n < 1000 {
                    if n % 2 == 1 { _ = withBytes("f\(n)") { editor.remove($0) } }
                    n += 1
                }
            } while cursor != 0
            #expect((0..<500).allSatisfy { seen.contains("f\($0 * 2)") })
        }
    }
}
