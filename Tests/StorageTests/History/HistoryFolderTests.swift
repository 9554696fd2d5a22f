import TestSupport
import Testing

@testable import Storage

@Suite struct HistoryFolderTests {
    private let server = "0b8e5bd4-6a4f-4c7d-9b0a-1f2e3d4c5b6a"

    private func make(_ names: [String]) throws -> (HistoryFolder, MemoryFileSystem) {
        let files = MemoryFileSystem()
        for name in names { files.close(try files.open("/data/history/" + name, .create)) }
        return (HistoryFolder(directory: "/data", logName: "appendonly.aof", files: files), files)
    }

    @Test func namesTellWhatThereIs() throws {
        let (folder, _) = try make([
            "\(server).7.12.1795788000000.sqlite", "\(server).6.10.1795787000000.sqlite",
            "\(server).appendonly.aof.0000000012", "\(server).appendonly.aof.0000000010", "restored",
        ])
        #expect(folder.kept().map(\.checkpoint) == [6, 7])
        #expect(folder.kept().map(\.segment) == [10, 12])
        #expect(folder.segments().map(\.number) == [10, 12])
        #expect(folder.lastSegment(of: server) == 12)
        #expect(folder.lastSegment(of: "another") == 0)
    }

    @Test func whatHasAnotherNameIsNotLookedAt() throws {
        let (folder, _) = try make([
            "x.7.12.1795788000000.sqlite", "\(server).7.12.sqlite", "\(server).7.12.-5.sqlite",
            "\(server).7.12.99999999999999999999.sqlite", "\(server).7.12.1795788000000.sqlite-wal", "next.sqlite",
            "\(server).appendonly.aof.12", "\(server).other.aof.0000000012",
        ])
        #expect(folder.kept() == [])
        #expect(folder.segments().isEmpty)
    }

    @Test func aSegmentIsNeverWithoutAName() throws {
        let (folder, files) = try make([])
        let live = "/data/appendonly.aof.0000000003"
        files.close(try files.open(live, .create))
        try files.syncDirectory("/data")
        var calls: [String] = []
        files.onCall = { calls.append("\($0)") }
        try folder.take(segmentsOf: server, through: 3, removing: true)
        #expect(files.names.keys.sorted() == ["/data/history/\(server).appendonly.aof.0000000003"])
        let link = try #require(calls.firstIndex { $0.hasPrefix("link") })
        let unlink = try #require(calls.firstIndex { $0.hasPrefix("unlink") })
        #expect(link < unlink && calls[link..<max(link, unlink)].contains("sync directory"))
    }

    @Test func recordsOfTheLog() {
        let out = OutputBuffer()
        LogFormat.appendTime(1_795_788_000_123, to: out)
        LogFormat.appendRupture(to: out)
        var parser = LogParser(bytes: out.bytes)
        #expect(parser.next() == .command)
        #expect(LogFormat.time(in: parser.arguments[1]) == 1_795_788_000_123)
        #expect(!LogFormat.isRupture(parser.arguments[1]))
        let start = parser.offset
        #expect(parser.next() == .command)
        #expect(LogFormat.isRupture(parser.arguments[1]) && LogFormat.time(in: parser.arguments[1]) == nil)
        #expect(parser.offset - start == LogFormat.ruptureSize - LogFormat.checkSize)
    }
}
