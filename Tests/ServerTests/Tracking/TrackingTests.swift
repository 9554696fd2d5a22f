import Testing

@testable import Server
@testable import Storage

@Suite struct TrackingTests {
    private func tracker(_ h: RouterHarness, _ options: String = "") -> Session {
        let session = RouterHarness.connect(h.server)
        h.run("hello 3", "client tracking on \(options)", as: session)
        return session
    }
    private func taken(_ session: Session) -> String {
        defer { session.output.removeAll() }
        return session.output.bytes.string
    }

    /// What a message may show is safe before it leaves.
    @Test func messagesWaitForWhatTheyMayShow() throws {
        let h = RouterHarness()
        let client = tracker(h)
        let all = tracker(h, "bcast")
        h.run("get k", as: client)
        #expect(client.ackOffset == 0)
        h.run("set k v")
        #expect(h.server.stream.offset > 0 && client.ackOffset == h.server.stream.offset)
        #expect(taken(client) == ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n")
        #expect(all.ackOffset == 0 && taken(all).isEmpty)
        h.server.endTurn(repliesTo: 0)
        #expect(all.ackOffset == h.server.stream.offset)
        #expect(taken(all) == ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n")
        try h.server.tracking.checkInvariants()
    }

    /// A long message is one chunk, whoever sends it.
    @Test func longMessagesAreShared() {
        let h = RouterHarness()
        let clients = (0..<3).map { _ in tracker(h) }
        let key = String(repeating: "k", count: 500)
        for client in clients { h.run("get \(key)", as: client) }
        h.run("set \(key) v")
        for client in clients { #expect(client.output.count == 0 && client.queue.sharedCount == 500 + 33) }
    }

    /// Nothing is observed any more when the last that has tracked is gone, and nothing is left.
    @Test func nobodyLeft() throws {
        let h = RouterHarness()
        #expect(h.server.work.afterCall.isEmpty)
        let client = tracker(h)
        let other = tracker(h, "bcast prefix a prefix b")
        #expect(h.server.work.afterCall == .tracking)
        h.run("get k", as: client)
        #expect(h.server.tracking.keyCount == 1 && h.server.tracking.prefixCount == 2)
        h.run("client tracking off", as: client)
        #expect(h.server.tracking.clientCount == 1 && h.server.tracking.keyCount == 1)
        h.server.disconnect(client)
        h.run("set abc 1")
        #expect(h.server.tracking.hasBroadcasts)
        h.server.disconnect(other)
        #expect(!h.server.tracking.hasBroadcasts)
        #expect(h.server.tracking.keyCount == 0 && h.server.tracking.prefixCount == 0)
        #expect(h.server.work.afterCall.isEmpty)
        try h.server.tracking.checkInvariants()
    }

    /// Keys beyond the limit go at random, more of them each time, and whoever has cached one is told, NOLOOP or not.
    @Test func limit() throws {
        let h = RouterHarness { $0.trackingTableMaxKeys = 10 }
        let client = tracker(h, "noloop")
        for i in 0..<30 { h.run("get \(i)", as: client) }
        #expect(h.server.tracking.keyCount == 10)
        #expect(h.server.tracking.itemCount == 10)
        _ = taken(client)
        h.run("config set tracking-table-max-keys 0")
        for i in 0..<1000 { h.run("get \(i)", as: client) }
        #expect(h.server.tracking.keyCount == 1000)
        h.run("config set tracking-table-max-keys 1")
        for left in [900, 700, 400, 1, 1] {
            #expect(h.server.tracking.keyCount == left)
            h.server.tracking.limitKeys()
        }
        #expect(taken(client).split(separator: "invalidate").count - 1 == 999)
        try h.server.tracking.checkInvariants()
    }

    @Test func monitorsShareLongLines() {
        let h = RouterHarness()
        let monitors = (0..<3).map { _ in RouterHarness.connect(h.server) }
        for monitor in monitors { h.run("monitor", as: monitor) }
        #expect(h.server.work.afterCall == .monitors)
        h.run("set k \(String(repeating: "v", count: 1000))")
        for monitor in monitors { #expect(monitor.output.count == 0 && monitor.queue.sharedCount > 1000) }
        for monitor in monitors { h.server.disconnect(monitor) }
        #expect(h.server.work.afterCall.isEmpty)
    }
}
