import TestSupport
import Testing

@testable import Server
@testable import Storage

/// Waiting clients without a network: what is logged, who is served, and the two structures below.
@Suite struct BlockingTests {
    private let parts: Server
    private let server: Router
    private let log: StreamCollector
    private let clients: [Session]

    init() {
        parts = Server()
        server = parts.router
        log = StreamCollector(server.stream)
        clients = (0..<4).map { [server] _ in server.makeSession() }
        _ = run(0, "SET first 1")
        _ = logged()
    }

    /// The client's output after a command of its, which is emptied.
    @discardableResult private func run(_ client: Int, _ line: String) -> String {
        let words = line.split(separator: " ")
        let request = OutputBuffer()
        request.append(text: "*\(words.count)\r\n")
        for word in words { request.append(text: "$\(word.utf8.count)\r\n\(word)\r\n") }
        server.receive(clients[client], request.bytes)
        return output(client)
    }
    private func output(_ client: Int) -> String {
        defer { clients[client].output.removeAll() }
        return clients[client].output.bytes.string
    }

    /// The commands logged since the last call, as words.
    private func logged() -> [String] {
        log.take().split(separator: "*").map { command in
            let fields = command.split(separator: "\r\n", omittingEmptySubsequences: false)
            return stride(from: 2, to: fields.count, by: 2).map { String(fields[$0]) }.joined(separator: " ")
        }
    }

    @Test(arguments: [
        ("BLPOP k 0", "RPUSH k a b", "LPOP k"), ("BRPOP k 0", "RPUSH k a b", "RPOP k"),
        ("BLMPOP 0 1 k RIGHT COUNT 9", "RPUSH k a b", "RPOP k 2"),
        ("BLMOVE k l LEFT RIGHT 0", "RPUSH k a b", "LMOVE k l LEFT RIGHT"),
        ("BRPOPLPUSH k l 0", "RPUSH k a b", "RPOPLPUSH k l"),
        ("BZPOPMIN k 0", "ZADD k 1 a 2 b", "ZPOPMIN k"), ("BZPOPMAX k 0", "ZADD k 1 a 2 b", "ZPOPMAX k"),
        ("BZMPOP 0 1 k MAX COUNT 9", "ZADD k 1 a 2 b", "ZPOPMAX k 2"),
    ])
    func whatWasDoneIsLoggedAfterWhatCausedIt(_ waits: String, _ fills: String, _ effect: String) {
        #expect(run(1, waits) == "")
        #expect(clients[1].flags.contains(.blocked))
        #expect(logged() == [])
        run(0, fills)
        #expect(!clients[1].flags.contains(.blocked) && clients[1].waiter == nil)
        #expect(logged() == [fills, effect])
        #expect(clients[1].ackOffset == server.stream.offset)
        #expect(clients[0].ackOffset < clients[1].ackOffset)
        #expect(output(1) != "")
        #expect(
            server.blocked.count == 0
                && server.keyspace.observers.wanted.isDisjoint(with: [.touched, .ready, .replaced]))
        // At once, it is the same.
        run(0, fills)
        run(1, waits)
        #expect(logged() == [fills, effect])
    }

    @Test func whoIsServedComesAfterTheTransaction() {
        run(1, "BLMOVE a b LEFT LEFT 0")
        run(2, "BLPOP b 0")
        for line in ["MULTI", "RPUSH a x", "SET s 1", "BLPOP none 0", "EXEC"] { run(0, line) }
        #expect(logged() == ["MULTI", "RPUSH a x", "SET s 1", "EXEC", "LMOVE a b LEFT LEFT", "LPOP b"])
        #expect(output(2) == "*2\r\n$1\r\nb\r\n$1\r\nx\r\n")
    }

    @Test func theLogDoesNotWait() {
        clients[3].flags.insert(.internal)
        run(3, "BLPOP k 0")
        #expect(!clients[3].flags.contains(.blocked) && server.blocked.count == 0)
    }

    @Test func nothingIsTakenForWhoIsGone() {
        run(1, "BLPOP k 0")
        run(2, "BLPOP k 0")
        server.disconnect(clients[1])
        run(0, "RPUSH k x")
        #expect(output(1) == "" && output(2) != "")
        #expect(logged() == ["RPUSH k x", "LPOP k"])
    }

    @Test func timesEnd() {
        run(1, "BLPOP k 0.002")
        run(2, "BLPOP k 1000")
        run(3, "BLPOP k 0")
        #expect(server.blocked.deadlineCount == 2)
        let deadline = server.blocked.nextDeadline
        while monotonicNanoseconds() < deadline { server.endDueWaits() }
        server.endDueWaits()
        #expect(output(1) == "*-1\r\n")
        #expect(server.blocked.count == 2 && server.blocked.nextDeadline > deadline)
        run(0, "RPUSH k x y z")
        #expect(output(2) != "" && output(3) != "" && output(1) == "")
        #expect(server.blocked.nextDeadline == .max)
        #expect(logged() == ["RPUSH k x y z", "LPOP k", "LPOP k"])
    }

    // MARK: Structures

    private func waiter(_ sequence: Int, deadline: UInt64 = .max) -> Waiter {
        Waiter(
            clients[0], Wait(timeout: 0, attempt: .none), keys: [], sequence: sequence, deadline: deadline,
            request: Transaction())
    }

    @Test(arguments: [1 as UInt64, 2, 3]) func queueKeepsTheOrder(_ number: UInt64) {
        var random = SeededRandom(testSeed(number))
        let queue = WaitQueue()
        var model: [Waiter] = []
        for sequence in 1...3000 {
            if model.isEmpty || random.below(100) < (sequence < 1500 ? 60 : 30) {
                let new = waiter(sequence)
                queue.append(new)
                model.append(new)
            } else {
                let index = random.below(3) == 0 ? 0 : random.below(model.count)
                queue.remove(model.remove(at: index))
            }
            #expect(throws: Never.self) { try queue.checkInvariants() }
            #expect(queue.count == model.count)
            #expect(queue.firstSequence == model.first?.sequence ?? .max)
            let after = random.below(sequence + 1)
            #expect(queue.next(after: after) === model.first { $0.sequence > after })
        }
        for waiter in model.reversed() { queue.remove(waiter) }
        #expect(queue.count == 0 && queue.next(after: 0) == nil)
    }

    @Test(arguments: [1 as UInt64, 2, 3]) func heapHasTheSoonestFirst(_ number: UInt64) {
        var random = SeededRandom(testSeed(number))
        var heap = DeadlineHeap()
        var model: [Waiter] = []
        for sequence in 1...2000 {
            if model.isEmpty || random.below(100) < 55 {
                let new = waiter(sequence, deadline: UInt64(random.below(50)))
                heap.insert(new)
                model.append(new)
            } else {
                heap.remove(model.remove(at: random.below(model.count)))
            }
            #expect(throws: Never.self) { try heap.checkInvariants() }
            #expect(heap.count == model.count)
            #expect(heap.first === model.min { ($0.deadline, $0.sequence) < ($1.deadline, $1.sequence) })
        }
    }
}
