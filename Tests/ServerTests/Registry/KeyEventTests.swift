import Storage
import Testing

@testable import Server

/// Listeners hear of what happened to keys only when it was propagated.
@Suite struct KeyEventTests {
    /// What it heard of, and the log's bytes at that time.
    private final class Listener: KeyEventListener {
        var interest: EventClass
        var heard: [(event: String, log: String)] = []
        private let log: StreamCollector

        init(_ harness: RouterHarness, _ interest: EventClass = [.all, .new, .keyMiss]) {
            log = harness.log
            self.interest = interest
            harness.server.services.events.add(self)
        }
        func happened(_ event: KeyEvent) {
            heard.append(("\(event.name) \(event.key.string) \(event.db)", log.text.uppercased()))
        }
        var events: [String] { heard.map(\.event) }
    }
    private let h = RouterHarness()
    private var events: EventQueue { h.server.services.events }

    @Test func aCommandIsPropagatedFirst() {
        let listener = Listener(h)
        h.run("RPUSH l a b")
        #expect(listener.events == ["new l 0", "rpush l 0"])
        #expect(listener.heard.allSatisfy { $0.log.contains("RPUSH") })
    }

    @Test func aTransactionIsPropagatedAsAWholeFirst() {
        let listener = Listener(h, .all)
        h.run("MULTI", "SET a 1", "LPUSH l x", "LPOP l", "EXEC")
        #expect(listener.events == ["set a 0", "lpush l 0", "lpop l 0", "del l 0"])
        #expect(listener.heard.allSatisfy { $0.log.contains("MULTI") && $0.log.hasSuffix("EXEC\r\n") })
    }

    @Test func whatAWaitingClientTakesIsPropagatedFirst() {
        h.run("BLPOP l 0", as: RouterHarness.connect(h.server))
        let listener = Listener(h, .list)
        h.run("RPUSH l a")
        #expect(listener.events == ["rpush l 0", "lpop l 0"])
        let (pushed, popped) = (listener.heard[0].log, listener.heard[1].log)
        #expect(pushed.contains("RPUSH") && !pushed.contains("LPOP"))
        #expect(popped.contains("LPOP"))
    }

    @Test func anExpiryIsPropagatedFirst() {
        h.run("SET k v PX 1")
        h.run("SET j v PX 1")
        let listener = Listener(h, [.expired, .keyMiss])
        _ = h.log.take()
        let due = wallClockMilliseconds() + 2
        while wallClockMilliseconds() < due {}
        h.run("GET k")
        #expect(listener.events == ["expired k 0", "keymiss k 0"])
        #expect(listener.heard.allSatisfy { $0.log.contains("DEL") })
        _ = h.log.take()
        h.server.cron()
        #expect(listener.events.last == "expired j 0")
        #expect(listener.heard.last?.log.contains("DEL") == true)
    }

    @Test func eachHearsOfWhatItListensTo() {
        let (lists, all) = (Listener(h, .list), Listener(h, [.all, .keyMiss]))
        h.run("RPUSH l a")
        h.run("SET k v")
        h.run("GET nothing")
        #expect(lists.events == ["rpush l 0"])
        #expect(all.events == ["rpush l 0", "set k 0", "keymiss nothing 0"])
        lists.interest = .string
        events.update()
        h.run("SET k w")
        h.run("LPOP l")
        #expect(lists.events == ["rpush l 0", "set k 0"])
        events.remove(all)
        #expect(events.interest == .string)
    }

    @Test func nothingIsRecordedForNobody() {
        h.run("SET k v")
        #expect(h.server.work.kinds.isEmpty && events.interest.isEmpty)
        let listener = Listener(h, .hash)
        h.run("SET k w")
        #expect(h.server.work.kinds.isEmpty)
        events.remove(listener)
        #expect(events.interest.isEmpty)
    }

    @Test func everyClassHasALetter() {
        let classes = EventClass.letters.reduce(into: EventClass()) { $0.formUnion($1.0) }
        #expect(classes == [.all, .keyMiss, .new])
        #expect(Set(EventClass.letters.map(\.1)).count == EventClass.letters.count)
    }
}
