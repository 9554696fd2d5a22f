@testable import Storage

/// A few commands over a keyspace, as a server has them: executed, put into the stream, replayed.
final class SimulatedStore: DataDirectoryClient {
    let keyspace = Keyspace(databases: 2)
    private(set) var warnings: [String] = []
    /// Told what came of each checkpoint.
    var onEnd: ((DataDirectory.Outcome) -> Void)?
    private var database = 0
    /// The turn's commands as RESP.
    let output = OutputBuffer()
    private(set) var selected = -1
    /// Hands on a stream of somebody else's, as a replica does: no SELECT of its own stands in it behind a cut.
    private weak var relayed: DataDirectory?

    init() {
        // So small that values leave their flat forms.
        keyspace.limits.hashMaxListpackEntries = 4
        keyspace.limits.setMaxListpackEntries = 4
        keyspace.limits.setMaxIntsetEntries = 4
        keyspace.limits.listMaxListpackSize = 4
    }

    var digest: String { DataDigest.hex(of: keyspace) }

    // MARK: Commands

    /// Executes a random command or transaction and says so in `output`.
    func executeRandom(_ random: inout SplitMix64) {
        if random.next() % 8 == 0 {
            say(["MULTI"])
            for _ in 0..<1 + random.next() % 3 { execute(SimulatedStore.command(&random), in: 0) }
            say(["EXEC"])
        } else {
            execute(SimulatedStore.command(&random), in: random.next() % 8 == 0 ? 1 : 0)
        }
    }

    private static func command(_ random: inout SplitMix64) -> [String] {
        func number(_ below: UInt64) -> UInt64 { random.next() % below }
        let key = "\(number(6))"
        let member = "m\(number(12))"
        switch number(40) {
        case 0: return number(4) == 0 ? ["FLUSHALL"] : ["FLUSHDB"]
        case 1...3: return ["DEL", ["s", "l", "h", "z"][Int(number(4))] + key]
        case 4...9: return ["SET", "s" + key, "\(number(1 << 40))"]
        case 10...12: return ["SET", "s" + key, String(repeating: "v", count: Int(number(900)))]
        case 13...18: return ["APPEND", "s" + key, member]
        case 19...25: return ["RPUSH", "l" + key, member]
        case 26...28: return ["LPOP", "l" + key]
        case 29...33: return ["HSET", "h" + key, member, "\(number(1000))"]
        case 34, 35: return ["HDEL", "h" + key, member]
        case 36, 37: return ["SADD", "z" + key, member]
        case 38: return ["RENAME", "s" + key, "s\(number(6))"]
        default: return ["SREM", "z" + key, member]
        }
    }

    /// Executes a random command of a client's that is not part of the relayed stream. nil where it does nothing.
    func executeLocal(_ random: inout SplitMix64) -> OutputBuffer? {
        let (start, was) = (output.count, selected)
        defer {
            selected = was
            output.truncate(to: start)
        }
        selected = -1
        execute(SimulatedStore.command(&random), in: Int(random.next() % 2))
        if output.count == start { return nil }
        say(["SELECT", "\(was)"])
        return OutputBuffer(copying: output.bytes[start..<output.count])
    }

    func execute(_ words: [String], in index: Int) {
        let before = keyspace.writes
        apply(words, index)
        if keyspace.writes == before { return }
        if index != selected {
            selected = index
            say(["SELECT", "\(index)"])
        }
        say(words)
    }
    private func say(_ words: [String]) {
        output.append(text: "*\(words.count)\r\n")
        for word in words { output.append(text: "$\(word.utf8.count)\r\n\(word)\r\n") }
    }

    private func apply(_ words: [String], _ index: Int) {
        keyspace.beginCommand()
        let db = keyspace.databases[index]
        func argument(_ i: Int, _ body: (Bytes) -> Void) { with(Array(words[i].utf8), body) }
        if words[0] == "FLUSHALL" { return keyspace.flushAll() }
        if words[0] == "FLUSHDB" { return db.flush() }
        argument(1) { key in
            switch words[0] {
            case "DEL": db.remove(key)
            case "SET": argument(2) { db.setString(key, $0, expiry: .clear) }
            case "APPEND": argument(2) { _ = db.append(key, $0) }
            case "RPUSH": argument(2) { (try? db.editList(key, create: true))?.push($0, .tail) }
            case "LPOP":
                guard let list = try? db.editList(key, create: false) else { return }
                list.remove(at: 0..<1)
                db.removeIfEmpty(list.entry)
            case "HSET":
                argument(2) { field in
                    argument(3) { (try? db.editHash(key, create: true))?.set(field, $0) }
                }
            case "HDEL":
                guard let hash = try? db.editHash(key, create: false) else { return }
                argument(2) { hash.remove($0) }
                db.removeIfEmpty(hash.entry)
            case "SADD": argument(2) { (try? db.editSet(key, create: true))?.insert($0) }
            case "SREM":
                guard let set = try? db.editSet(key, create: false) else { return }
                argument(2) { set.remove($0) }
                db.removeIfEmpty(set.entry)
            case "RENAME":
                guard words[1] != words[2], db.find(key) != nil else { return }
                argument(2) { db.rename(key, to: $0) }
            default: preconditionFailure("no such command: \(words)")
            }
        }
    }

    // MARK: What a directory asks

    func replay(_ arguments: UnsafeBufferPointer<Bytes>) throws(StorageError) {
        let words = arguments.map(\.string)
        switch words[0] {
        case "MULTI", "EXEC": return
        case "SELECT": database = words[1] == "1" ? 1 : 0
        default:
            let before = keyspace.writes
            apply(words, database)
            if keyspace.writes == before {
                throw StorageError(file: "", message: "\(words) did nothing where it did something before")
            }
        }
    }
    func directoryWillCut() {
        if let relayed { relayed.stream.db = selected } else { selected = -1 }
    }
    /// From here on the stream is a relayed one, which goes on where it is.
    func relay(into data: DataDirectory) {
        relayed = data
        selected = data.stream.db
    }
    var isRelaying: Bool { relayed != nil }
    func checkpointEnded(_ outcome: DataDirectory.Outcome) { onEnd?(outcome) }
    func warn(_ message: String) { warnings.append(message) }
    var warnFromAnyThread: @Sendable (String) -> Void { { _ in } }
}

extension SimulatedStore {
    /// SET, for a test that says what happens.
    func set(_ key: String, _ value: Int) { execute(["SET", key, "\(value)"], in: 0) }
}
