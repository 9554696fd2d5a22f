import Foundation
import TestSupport
import Testing

@testable import Storage

@Suite struct AOFTests {
    private func request(_ words: String...) -> String {
        "*\(words.count)\r\n" + words.map { "$\($0.utf8.count)\r\n\($0)\r\n" }.joined()
    }
    private func read(
        _ content: [UInt8], isLast: Bool = true, mayLeaveOutTail: Bool = true
    ) throws -> (commands: [String], warnings: Int) {
        let directory = TemporaryDirectory()
        let path = try directory.write(content, to: "appendonly.aof")
        var commands: [String] = []
        var warnings = 0
        let reader = AOFReader(path: path, isLast: isLast, mayLeaveOutTail: mayLeaveOutTail) { _ in warnings += 1 }
        try reader.read(from: 0) { (arguments, _) throws(StorageError) in
            commands.append(arguments.map(\.string).joined(separator: " "))
        }
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data(content), "the file was changed")
        return (commands, warnings)
    }

    @Test func commandsAnnotationsTransactions() throws {
        let text =
            "#TS:1\r\n" + request("SET", "a", "*1\r\n") + request("multi") + request("SET", "b", "") + "#TS:2\n"
            + request("DEL", "a") + request("EXEC") + request("GET", "b")
        let found = try read(Array(text.utf8))
        #expect(found.commands == ["SET a *1\r\n", "SET b ", "DEL a", "GET b"] && found.warnings == 0)
    }

    /// Whatever the end is cut to: what is whole before it comes, nothing else.
    @Test func everyCut() throws {
        let whole = [request("SET", "a", "1"), request("MULTI"), request("INCR", "n"), request("EXEC"), request("X")]
        let bytes = Array(whole.joined().utf8)
        let transactionEnd = whole[0..<4].joined().utf8.count
        for length in 1..<bytes.count {
            let expected = (length >= whole[0].utf8.count ? 1 : 0) + (length >= transactionEnd ? 1 : 0)
            let found = try read(Array(bytes[..<length]))
            #expect(found.commands.count == expected, "cut to \(length)")
            let isWhole = length == whole[0].utf8.count || length == transactionEnd
            #expect(found.warnings == (isWhole ? 0 : 1), "cut to \(length)")
            if isWhole { continue }
            #expect(throws: StorageError.self) { try read(Array(bytes[..<length]), isLast: false) }
            #expect(throws: StorageError.self) { try read(Array(bytes[..<length]), mayLeaveOutTail: false) }
        }
    }

    /// Whatever byte is changed: an error, or commands that are as many as there are, or fewer for an end that is cut.
    @Test func everyByteChanged() throws {
        let whole = (0..<6).map { request("SET", "key:\($0)", "value") }
        let bytes = Array(whole.joined().utf8)
        for at in bytes.indices {
            for change: UInt8 in [1, 2, 16, 128] {
                var changed = bytes
                changed[at] ^= change
                guard let found = try? read(changed) else { continue }
                #expect(found.commands.count == 6 || at >= bytes.count - whole[5].utf8.count, "\(at) ^ \(change)")
            }
        }
    }

    @Test func mutationsEnd() throws {
        var random = SeededRandom()
        let bytes = Array((request("SET", "a", "b") + "#TS:1\r\n" + request("MULTI") + request("EXEC")).utf8)
        for _ in 0..<500 {
            var changed = bytes
            for _ in 0..<3 {
                let at = Int.random(in: 0..<changed.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: changed[at] = UInt8.random(in: 0...255, using: &random)
                case 1: changed.insert(UInt8.random(in: 48...57, using: &random), at: at)
                default: changed.remove(at: at)
                }
            }
            _ = try? read(changed)
        }
    }

    @Test func manifest() throws {
        func parse(_ text: String) throws -> AOFManifest {
            try Array(text.utf8).withBytes { try AOFManifest($0, path: "manifest") }
        }
        let found = try parse(
            "# of Redis\nfile \"a \\xc3\\xa4\\\"\\\\.base\" seq 3 type b\r\nfile old seq 1 type h\n"
                + "file one seq 1 type i startoffset 0\n\nfile two seq 2 type i")
        #expect(found.base?.name == "a ä\"\\.base" && found.base?.sequence == 3)
        #expect(found.increments.map(\.name) == ["one", "two"])
        for damaged in [
            "", "file a", "file a seq x type i", "file a seq 0 type i", "file a seq 1 type z", "file \"a seq 1 type i",
            "file a/b seq 1 type i", "file a seq 1 type b\nfile b seq 2 type b", "file a seq 1 type i extra",
        ] {
            #expect(throws: StorageError.self, "\(damaged)") { try parse(damaged) }
        }
    }

    @Test func repeatedKeysAreFoundAmongMany() throws {
        func summary(_ names: [String]) throws -> RDBSummary {
            var file = RDBBuilder()
            for name in names {
                file.key(0, name)
                file.string("value")
            }
            let directory = TemporaryDirectory()
            return try RDBImporter.run(from: directory.write(file.finished()), to: directory.path + "/x.sqlite")
        }
        var names = (0..<5000).map { "key:\($0)" }
        #expect(try summary(names).keys == 5000)
        names[4321] = "key:17"
        let error = #expect(throws: StorageError.self) { try summary(names) }
        #expect(error?.message.contains("\"key:17\" comes twice in database 0") == true)
    }
}
