import Storage
import TestSupport
import Testing

@testable import Server

/// The stream of changes, its readers and its backlog, without a router.
@Suite struct PropagationStreamTests {
    private let work = PendingWork()
    private let stream: PropagationStream

    init() { stream = PropagationStream(work) }

    private func say(_ db: Int, _ key: StaticString) { stream.appendRemoval(db, Bytes(key)) }
    private func del(_ key: String) -> String { "*2\r\n$3\r\nDEL\r\n$\(key.utf8.count)\r\n\(key)\r\n" }
    private func select(_ db: Int) -> String { "*2\r\n$6\r\nSELECT\r\n$1\r\n\(db)\r\n" }

    @Test func nothingIsCollectedForNobody() {
        say(0, "a")
        #expect(stream.offset == 0 && stream.isDelivered)
    }

    @Test func eachReaderBeginsWithASelect() {
        let first = StreamCollector(stream)
        say(3, "a")
        let second = StreamCollector(stream)
        say(3, "b")
        #expect(first.text == select(3) + del("a") + select(3) + del("b"))
        #expect(second.text == select(3) + del("b"))
        #expect(stream.offset == first.text.utf8.count)
        stream.remove(second)
        say(3, "c")
        #expect(second.text == select(3) + del("b"))
        #expect(first.text.hasSuffix(select(3) + del("c")))
    }

    @Test func offsetsAreThoseOfTheBytes() {
        let reader = OffsetReader()
        stream.add(reader)
        stream.resume(id: String(repeating: "a", count: 40), offset: 1000)
        var said = 1000
        for turn in 0..<10 {
            for _ in 0...turn { say(turn % 2, "key") }
            stream.deliver()
            said += reader.lastCount
            #expect(reader.lastOffset == said && stream.offset == said)
        }
    }

    @Test func severalCommandsOfAUnitAreWrapped() {
        let reader = StreamCollector(stream)
        stream.beginUnit()
        say(0, "a")
        #expect(work.kinds.isEmpty)
        stream.beginUnit()
        say(0, "b")
        say(0, "c")
        #expect(work.kinds == .transaction)
        stream.wrapUnit()
        let wrapped = "*1\r\n$5\r\nMULTI\r\n" + del("b") + del("c") + "*1\r\n$4\r\nEXEC\r\n"
        #expect(reader.text == select(0) + del("a") + wrapped)
        #expect(stream.offset == reader.text.utf8.count)
    }

    @Test func aBacklogHasTheLastBytes() {
        stream.keepBacklog(capacity: 64)
        let reader = StreamCollector(stream)
        for i in 0..<50 {
            say(i % 3, i % 2 == 0 ? "key" : "a longer key")
            stream.deliver()
            let all = Array(reader.text.utf8)
            guard let backlog = stream.backlog else { return #expect(Bool(false)) }
            #expect(backlog.end == stream.offset && backlog.count >= min(64, stream.offset))
            // What was said before the reader came is not in `all`, which therefore ends where the backlog ends.
            for offset in backlog.start...backlog.end where backlog.end - offset <= all.count {
                #expect(backlog.bytes(from: offset) == Array(all.suffix(backlog.end - offset)))
            }
            #expect(backlog.bytes(from: backlog.start - 1) == nil && backlog.bytes(from: backlog.end + 1) == nil)
        }
    }

    /// What comes in the middle of a unit, CONFIG SET within EXEC say, tells the readers its first half.
    @Test func whatIsToldWithinAUnitIsNotWrappedAgain() {
        let reader = StreamCollector(stream)
        stream.beginUnit()
        say(0, "a")
        say(0, "b")
        stream.deliver()
        say(0, "c")
        stream.wrapUnit()
        #expect(reader.text.hasSuffix(del("b") + "*1\r\n$5\r\nMULTI\r\n" + del("c") + "*1\r\n$4\r\nEXEC\r\n"))
        #expect(stream.offset == reader.text.utf8.count)
    }
}

/// Notes what it was told last.
private final class OffsetReader: StreamReader {
    private(set) var lastCount = 0
    private(set) var lastOffset = 0

    func receive(_ bytes: Bytes, upTo offset: Int) {
        lastCount = bytes.count
        lastOffset = offset
    }
}
