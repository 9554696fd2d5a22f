import Storage
import TestSupport
import Testing

@testable import Server

/// What a unit of execution propagates, and when others hear of it.
@Suite struct ExecutionUnitTests {
    private func resp(_ words: String...) -> String {
        "*\(words.count)\r\n" + words.map { "$\($0.utf8.count)\r\n\($0)\r\n" }.joined()
    }

    @Test func keysThatExpireGoOneByOne() {
        let h = RouterHarness()
        h.run("set a 1 px 1", "set b 1 px 1", "set c 1 px 1")
        _ = h.log.take()
        while wallClockMilliseconds() <= h.server.keyspace.now + 2 {}
        h.server.cron()
        let logged = h.logged()
        #expect(!logged.contains("MULTI"))
        for key in ["a", "b", "c"] { #expect(logged.contains(resp("DEL", key))) }
    }

    @Test func whatAJobDoesTakesEffectTogether() {
        let h = RouterHarness()
        h.run("set a 1", "set b 1")
        _ = h.log.take()
        h.server.unit(.job) {
            for key: StaticString in ["a", "b"] where h.server.keyspace.databases[0].remove(Bytes(key)) {
                h.server.stream.appendRemoval(0, Bytes(key))
            }
        }
        #expect(h.logged() == resp("MULTI") + resp("DEL", "a") + resp("DEL", "b") + resp("EXEC"))
    }

    /// Clients that wait are served after the unit that made their keys ready, each by a unit of its own, and what that
    /// makes ready in turn.
    @Test func servingComesAfterTheUnit() {
        let h = RouterHarness()
        let others = (0..<3).map { _ in RouterHarness.connect(h.server) }
        h.run("blmove a b left right 0", as: others[0])
        h.run("blmove b c left right 0", as: others[1])
        h.run("blpop c 0", as: others[2])
        _ = h.log.take()
        h.run("multi", "rpush a 1", "set other 1", "exec")
        let expected =
            resp("MULTI") + resp("rpush", "a", "1") + resp("set", "other", "1") + resp("EXEC")
            + resp("LMOVE", "a", "b", "left", "right") + resp("LMOVE", "b", "c", "left", "right") + resp("LPOP", "c")
        #expect(h.logged().lowercased() == expected.lowercased())
        let offsets = [h.client.ackOffset] + others.map(\.ackOffset)
        // Each reply waits for its own unit, and for no later one.
        #expect(offsets == offsets.sorted() && Set(offsets).count == 4 && offsets[3] == h.server.stream.offset)
    }

    /// A command that fails after it has changed something is propagated all the same.
    @Test func aFailureAfterAChangeIsPropagated() {
        let h = RouterHarness()
        h.run("set s word")
        _ = h.log.take()
        #expect(h.run("lpush s x").hasPrefix("-WRONGTYPE"))
        #expect(h.logged() == "")
        #expect(!h.server.keyspace.isDirty)
    }
}
