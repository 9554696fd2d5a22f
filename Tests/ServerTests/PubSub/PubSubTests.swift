import Storage
import TestSupport
import Testing

@testable import Server

@Suite struct TopicTableTests {
    /// As a dictionary that keeps its order, whatever is added and removed.
    @Test func likeADictionaryInOrder() {
        var random = SeededRandom()
        for round in 0..<60 {
            var table = TopicTable<Topic>()
            var expected: [String] = []
            let names = (0..<[3, 20, 400][round % 3]).map { "name \($0)" }
            for _ in 0..<1500 {
                let name = random.pick(names)
                let isThere = expected.contains(name)
                Array(name.utf8).withUnsafeBytes { raw in
                    let bytes = Bytes(raw.baseAddress!, raw.count)
                    // Few hashes, so that names meet.
                    let hash = Hashing.hash(bytes) % 7
                    #expect((table.find(bytes, hash) != nil) == isThere)
                    if random.below(20) < 11 {
                        if !isThere {
                            table.insert(Topic(bytes, hash: hash))
                            expected.append(name)
                        }
                    } else {
                        #expect((table.remove(bytes, hash) != nil) == isThere)
                        expected.removeAll { $0 == name }
                    }
                }
                #expect(table.count == expected.count)
            }
            var found: [String] = []
            table.forEach { found.append($0.bytes.string) }
            #expect(found == expected)
        }
    }
}

@Suite struct PubSubTests {
    private func message(_ channel: String, _ text: String) -> String {
        "*3\r\n$7\r\nmessage\r\n$\(channel.utf8.count)\r\n\(channel)\r\n$\(text.utf8.count)\r\n\(text)\r\n"
    }
    private func subscribe(_ h: RouterHarness, _ channels: String) -> Session {
        let session = RouterHarness.connect(h.server)
        h.run("subscribe \(channels)", as: session)
        return session
    }

    /// What a message may show is safe before it leaves.
    @Test func messagesWaitForWhatTheyMayShow() {
        let h = RouterHarness()
        let subscriber = subscribe(h, "c __keyevent@0__:set")
        #expect(subscriber.ackOffset == 0)
        h.run("set k v")
        let written = h.server.stream.offset
        h.run("publish c seen")
        #expect(written > 0 && subscriber.ackOffset == written)
        subscriber.output.removeAll()

        h.run("config set notify-keyspace-events EA")
        h.run("multi", "set k v", "incr n", "exec")
        #expect(subscriber.output.bytes.string == message("__keyevent@0__:set", "k"))
        // Its transaction was not whole in the stream before its end.
        #expect(subscriber.ackOffset == h.server.stream.offset && h.client.ackOffset == h.server.stream.offset)
    }

    /// Only who follows this server hears of messages, and no log has them while nobody does.
    @Test func propagation() {
        let h = RouterHarness()
        _ = subscribe(h, "c")
        h.run("publish c 1", "spublish s 1")
        #expect(h.logged() == "")
        h.server.stream.keepBacklog(capacity: 1 << 16)
        _ = h.log.take()
        h.run("PuBlish c 1", "spublish s 22")
        #expect(
            h.logged() == "*3\r\n$7\r\npublish\r\n$1\r\nc\r\n$1\r\n1\r\n*3\r\n$8\r\nspublish\r\n$1\r\ns\r\n$2\r\n22\r\n"
        )
        h.run("multi", "set k v", "publish c 1", "exec")
        #expect(h.logged().hasPrefix("*1\r\n$5\r\nMULTI\r\n") && h.log.text == "")
        h.server.stream.isRelayed = true
        h.run("publish c 1")
        #expect(h.logged() == "")
    }

    /// A log may have messages; who has subscribed meanwhile must not hear them again.
    @Test func replay() {
        let h = RouterHarness()
        let subscriber = subscribe(h, "c")
        subscriber.output.removeAll()
        let replaying = h.server.makeSession()
        replaying.flags.insert(.internal)
        h.server.stream.isReplayed = true
        #expect(h.run("publish c old", as: replaying) == ":0\r\n")
        #expect(subscriber.output.count == 0)
        #expect(h.run("publish c new") == ":1\r\n")
        h.server.stream.isReplayed = false
        // The link to a master is another thing: its messages are heard.
        #expect(h.run("publish c new", as: replaying) == ":1\r\n")
        #expect(subscriber.output.bytes.string == message("c", "new") + message("c", "new"))
        #expect(h.run("subscribe c", as: replaying).hasPrefix("-ERR SUBSCRIBE isn't allowed for a DENY BLOCKING"))
    }

    /// What happened before in a transaction is told before what it publishes.
    @Test func eventsAndMessagesInTheirOrder() {
        let h = RouterHarness { $0.notifyKeyspaceEvents = [.keyevent, .all] }
        let subscriber = subscribe(h, "c __keyevent@0__:set __keyevent@0__:del")
        subscriber.output.removeAll()
        h.run("multi", "set a 1", "publish c 1", "del a", "publish c 2", "set b 1", "exec")
        #expect(
            subscriber.output.bytes.string == message("__keyevent@0__:set", "a") + message("c", "1")
                + message("__keyevent@0__:del", "a") + message("c", "2") + message("__keyevent@0__:set", "b"))
    }

    /// Events are asked for only while somebody may hear of them.
    @Test func nobodyListensWithoutSubscribers() {
        let h = RouterHarness { $0.notifyKeyspaceEvents = [.keyspace, .list] }
        #expect(h.server.services.events.interest == [])
        let first = subscribe(h, "c")
        let second = subscribe(h, "d")
        #expect(h.server.services.events.interest == .list)
        h.server.disconnect(first)
        #expect(h.server.services.events.interest == .list)
        h.run("config set notify-keyspace-events K$")
        #expect(h.server.services.events.interest == .string)
        h.run("unsubscribe d", as: second)
        #expect(h.server.services.events.interest == [])
        h.run("subscribe d", as: second)
        h.run("config set notify-keyspace-events A")
        #expect(h.server.services.events.interest == [])
    }

    /// A long message is in memory once for each protocol.
    @Test func longMessagesAreShared() {
        let h = RouterHarness()
        let subscribers = (0..<100).map { _ in subscribe(h, "c") }
        for session in subscribers { session.output.removeAll() }
        for session in subscribers[..<30] { session.reply.resp3 = true }
        let text = String(repeating: "x", count: 100_000)
        #expect(h.run("publish c \(text)") == ":100\r\n")
        for session in subscribers {
            #expect(session.output.count == 0 && session.queue.pending == message("c", text).utf8.count)
        }
        for length in 150...220 {
            let text = String(repeating: "y", count: length)
            h.run("publish c \(text)")
            let total = subscribers[99].queue.pending
            #expect(subscribers.allSatisfy { $0.queue.pending == total })
        }
    }

    /// Whoever subscribes and goes: the counts are those of what is there.
    @Test func countsStayRight() {
        let h = RouterHarness()
        let pubsub = h.server.pubsub
        var random = SeededRandom()
        var sessions = (0..<8).map { _ in RouterHarness.connect(h.server) }
        var expected = sessions.map { _ in TopicKind.allCases.map { _ in Set<String>() } }
        let names = (0..<40).map { "n\($0)" }
        for _ in 0..<4000 {
            let who = random.below(sessions.count)
            let kind = TopicKind.allCases[random.below(3)]
            let name = random.pick(names)
            switch random.below(40) {
            case 0..<22:
                h.run("\(kind.subscribed) \(name)", as: sessions[who])
                expected[who][kind.rawValue].insert(name)
            case 22..<37:
                h.run("\(kind.unsubscribed) \(name)", as: sessions[who])
                expected[who][kind.rawValue].remove(name)
            case 37:
                h.run("\(kind.unsubscribed)", as: sessions[who])
                expected[who][kind.rawValue] = []
            case 38:
                h.run("reset", as: sessions[who])
                expected[who] = [[], [], []]
            default:
                h.server.disconnect(sessions[who])
                sessions[who] = RouterHarness.connect(h.server)
                expected[who] = [[], [], []]
            }
            let session = sessions[who]
            let counts = [session.channelSubscriptions, session.patternSubscriptions, session.shardSubscriptions]
            #expect(counts == expected[who].map(\.count))
            #expect(session.flags.contains(.pubsub) == session.hasSubscriptions)
            #expect(pubsub.subscriberCount == expected.count { $0.contains { !$0.isEmpty } })
            let all = TopicKind.allCases.map { kind in Set(expected.flatMap { $0[kind.rawValue] }).count }
            #expect(TopicKind.allCases.map { pubsub.count(of: $0) } == all)
        }
        for name in names {
            let (count, text) = (expected.count { $0[0].contains(name) }, "hello")
            let matching = expected.count { $0[1].contains(name) }
            #expect(h.run("publish \(name) \(text)") == ":\(count + matching)\r\n")
        }
    }
}
