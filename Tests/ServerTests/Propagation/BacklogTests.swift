import Storage
import TestSupport
import Testing

@testable import Server

@Suite struct BacklogTests {
    /// What is kept, and the chunks that others hold.
    private struct Kept {
        var backlog: Backlog
        var all: [UInt8] = []
        var chunks: [SharedChunk] = []

        mutating func say(_ piece: [UInt8], isHeld: Bool = false) {
            var made: [SharedChunk] = []
            piece.withUnsafeBytes {
                if let base = $0.baseAddress { backlog.append(Bytes(base, $0.count)) { made.append($0) } }
            }
            all += piece
            if isHeld { chunks += made }
        }
    }

    private func piece(_ random: inout SeededRandom) -> [UInt8] {
        let length = Int.random(in: 0...2, using: &random) == 0 ? 20_000 : 600
        return (0..<Int.random(in: 0...length, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
    }

    @Test(arguments: [1, 7, 300, 16 << 10, 100_000]) func keepsTheLastBytesAndLittleMore(capacity: Int) throws {
        var random = SeededRandom(testSeed(UInt64(capacity)))
        var kept = Kept(backlog: Backlog(capacity: capacity, from: 500))
        for _ in 0..<300 {
            kept.say(piece(&random))
            let backlog = kept.backlog
            try backlog.checkInvariants()
            #expect(backlog.end == 500 + kept.all.count)
            #expect(backlog.count >= min(capacity, kept.all.count))
            // A block, the one that is being filled, and pieces that came in between.
            #expect(backlog.count <= capacity + 2 * max(capacity / 16, 16 << 10) + 600)
            #expect(backlog.bytes(from: backlog.start) == Array(kept.all.suffix(backlog.count)))
            let offset = Int.random(in: backlog.start...backlog.end, using: &random)
            #expect(backlog.bytes(from: offset) == Array(kept.all.suffix(backlog.end - offset)))
            #expect(backlog.bytes(from: backlog.start - 1) == nil && backlog.bytes(from: backlog.end + 1) == nil)
        }
    }

    /// Long pieces are shared as they are.
    @Test func chunksAreThePieces() {
        var random = SeededRandom(testSeed())
        var kept = Kept(backlog: Backlog(capacity: 1 << 20, from: 0))
        kept.say(Array(repeating: 1, count: 256), isHeld: true)
        #expect(kept.chunks.isEmpty)
        let long = (0..<40_000).map { _ in UInt8.random(in: 0...255, using: &random) }
        kept.say(long, isHeld: true)
        #expect(kept.chunks.flatMap { chunk in chunk.bytes.array } == long)
        var shared = 0
        kept.backlog.forEach(from: 0) { _, chunk in if chunk != nil { shared += 1 } }
        #expect(shared == kept.chunks.count + 1)
    }

    /// What a connection has queued is in memory anyway, and what a replica still needs must stay.
    @Test func nothingGoesThatIsNeeded() {
        var kept = Kept(backlog: Backlog(capacity: 1000, from: 0))
        kept.say(Array(repeating: 1, count: 20_000), isHeld: true)
        for _ in 0..<10 { kept.say(Array(repeating: 2, count: 20_000)) }
        #expect(kept.backlog.start == 0)
        kept.chunks = []
        kept.backlog.pinned = 30_000
        kept.say([3])
        #expect(kept.backlog.start <= 30_000 && kept.backlog.start > 0)
        kept.backlog.pinned = .max
        #expect(kept.backlog.count < 40_000)
        kept.backlog.capacity = 300_000
        for _ in 0..<10 { kept.say(Array(repeating: 2, count: 20_000)) }
        #expect(kept.backlog.count > 200_000)
        kept.backlog.capacity = 1
        #expect(kept.backlog.count < 40_000)
    }
}
