import Storage
import TestSupport
import Testing

@testable import Server

/// The stream of a replica, which is its master's, and histories that follow each other.
@Suite struct RelayedStreamTests {
    private let stream = PropagationStream()
    private let first = String(repeating: "a", count: 40)
    private let other = String(repeating: "b", count: 40)

    private func del(_ key: String) -> String { "*2\r\n$3\r\nDEL\r\n$\(key.utf8.count)\r\n\(key)\r\n" }
    private func select(_ db: Int) -> String { "*2\r\n$6\r\nSELECT\r\n$1\r\n\(db)\r\n" }
    private func relay(_ text: String, db: Int) {
        let bytes = OutputBuffer()
        bytes.append(text: text)
        stream.relay(bytes.bytes, db: db)
    }
    /// A client of a writable replica deletes keys, as one unit.
    private func deleteHere(_ keys: [String], in db: Int) {
        stream.beginUnit()
        for key in keys {
            let bytes = OutputBuffer()
            bytes.append(text: key)
            stream.appendRemoval(db, bytes.bytes)
        }
        if keys.count > 1 { stream.wrapUnit() }
    }
    private func become(replicaAt offset: Int, db: Int) -> LogModel {
        let log = LogModel()
        stream.add(log)
        stream.resume(id: first, offset: offset, db: db)
        stream.isRelayed = true
        return log
    }

    @Test func whatTheMasterSaysIsSaidAsItCame() {
        let log = become(replicaAt: 100, db: 3)
        stream.isExecutingRelayed = true
        stream.appendRemoval(3, Bytes("a"))
        stream.isExecutingRelayed = false
        relay(del("a"), db: 3)
        relay(select(5) + del("b"), db: 5)
        stream.deliver()
        #expect(log.counted == del("a") + select(5) + del("b"))
        #expect(stream.offset == 100 + log.counted.utf8.count)
        #expect(log.commands == ["3 a", "5 b"])
    }

    /// Whatever comes between what the master says, and wherever a file ends, the log has each command in its database.
    @Test func theLogKnowsTheDatabaseOfEachCommand() {
        var random = SeededRandom(testSeed(1))
        for _ in 0..<300 {
            let log = become(replicaAt: 0, db: 2)
            var (db, expected, counted) = (2, [String](), 0)
            for key in 0..<Int.random(in: 1...40, using: &random) {
                switch Int.random(in: 0..<6, using: &random) {
                case 0...1:
                    let to = Int.random(in: 0..<4, using: &random)
                    let text = (to == db ? "" : select(to)) + del("\(key)")
                    db = to
                    counted += text.utf8.count
                    relay(text, db: db)
                    expected.append("\(db) \(key)")
                case 2:
                    let place = Int.random(in: 0..<4, using: &random)
                    let keys = (0...Int.random(in: 0...1, using: &random)).map { "\(key).\($0)" }
                    deleteHere(keys, in: place)
                    expected += keys.map { "\(place) \($0)" }
                case 3: stream.deliver()
                case 4:
                    stream.deliver()
                    stream.forgetSelected()
                    log.endFile()
                default: stream.appendControl([Bytes("PING")])
                }
            }
            stream.deliver()
            #expect(log.commands == expected)
            #expect(stream.offset == counted && log.counted.utf8.count == counted)
            stream.isRelayed = false
            stream.remove(log)
        }
    }

    @Test func aMasterGoesOnFromWhatItWasToldAsAReplica() {
        let log = become(replicaAt: 0, db: 1)
        relay(del("a"), db: 1)
        stream.isRelayed = false
        stream.branchHistory(to: other)
        stream.appendRemoval(1, Bytes("b"))
        stream.deliver()
        #expect(log.commands == ["1 a", "1 b"] && log.histories == [other])
        let branch = del("a").utf8.count
        #expect(stream.secondID == first && stream.secondOffset == branch)
        #expect(stream.continues(first, from: branch) && !stream.continues(first, from: branch + 1))
        #expect(stream.continues(other, from: stream.offset) && !stream.continues(other, from: stream.offset + 1))
        #expect(!stream.continues(String(repeating: "c", count: 40), from: 0))
    }

    @Test func whatNobodyReadIsInNoHistory() {
        let id = stream.id
        stream.appendRemoval(0, Bytes("a"))
        stream.keepBacklog(capacity: 100)
        #expect(stream.id != id && stream.secondID == nil)
        let (second, offset) = (stream.id, stream.offset)
        stream.appendRemoval(0, Bytes("b"))
        #expect(stream.offset > offset)
        stream.keepBacklog(capacity: 0)
        stream.closeGap()
        #expect(stream.id == second)
        stream.appendRemoval(0, Bytes("c"))
        stream.branchHistory(to: other)
        #expect(stream.id == other && stream.secondID == nil)
    }

    @Test func replayingLeavesNoGap() {
        let id = stream.id
        stream.isReplayed = true
        stream.appendRemoval(0, Bytes("a"))
        stream.isReplayed = false
        stream.closeGap()
        #expect(stream.id == id && stream.offset == 0)
    }
}

/// What a log has, read back: DELs with their database.
private final class LogModel: StreamReader {
    private(set) var commands: [String] = []
    private(set) var counted = ""
    private(set) var histories: [String] = []
    private var db: Int?

    func receive(_ bytes: Bytes, upTo offset: Int) {
        counted += bytes.string
        read(bytes.string)
    }
    func receiveLocal(_ bytes: Bytes) { read(bytes.string) }
    func historyChanged(_ stream: PropagationStream) { histories.append(stream.id) }
    func endFile() { db = nil }

    private func read(_ text: String) {
        var words = text.split(separator: "\r\n").filter { !$0.hasPrefix("*") && !$0.hasPrefix("$") }[...]
        while let word = words.popFirst() {
            switch word {
            case "SELECT": db = words.popFirst().flatMap { Int($0) }
            case "DEL": commands.append("\(db.map(String.init) ?? "?") \(words.popFirst() ?? "")")
            default: break
            }
        }
    }
}
