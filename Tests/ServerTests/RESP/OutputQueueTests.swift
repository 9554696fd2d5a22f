import Glibc
import TestSupport
import Testing

@testable import Server
@testable import Storage

@Suite struct OutputQueueTests {
    private func chunk(_ byte: UInt8, _ count: Int) -> SharedChunk {
        SharedChunk { for _ in 0..<count { $0.append(byte: byte) } }
    }

    /// Takes what one system call would send, at most `length` bytes of it.
    private func send(_ queue: inout OutputQueue, _ length: Int) -> [UInt8] {
        let bytes = queue.withVectors(upTo: .max) { vectors, count in
            #expect(count <= OutputQueue.vectors)
            return UnsafeBufferPointer(start: vectors, count: count).flatMap {
                [UInt8](UnsafeRawBufferPointer(start: $0.iov_base, count: $0.iov_len))
            }
        }
        let sent = Array(bytes.prefix(length))
        queue.remove(sent.count)
        return sent
    }

    /// Whatever is appended and however little a socket takes at a time: the bytes leave in their order, once.
    @Test func order() {
        var random = SeededRandom()
        for _ in 0..<200 {
            var queue = OutputQueue(OutputBuffer(capacity: 16))
            var expected: [UInt8] = []
            var sent: [UInt8] = []
            let shared = (0..<4).map { chunk(UInt8(65 + $0), [0, 256, 257, 5000][$0]) }
            for _ in 0..<1 + random.below(300) {
                switch random.below(10) {
                case 0...2:
                    let text = Array(repeating: random.byte(), count: 1 + random.below(40))
                    text.withUnsafeBytes { queue.buffer.append(Bytes($0.baseAddress!, $0.count)) }
                    expected += text
                case 3...5:
                    let chunk = random.pick(shared)
                    queue.append(chunk)
                    expected += chunk.bytes.array
                case 6: sent += send(&queue, random.below(9000))
                case 7...8: queue.setAside(least: 1 + random.below(60))
                default: queue.compact()
                }
                #expect(queue.pending == expected.count - sent.count)
                #expect(queue.buffer.count - queue.sent + queue.sharedCount == queue.pending)
            }
            while queue.pending > 0 { sent += send(&queue, 1 + random.below(20_000)) }
            #expect(sent == expected)
            _ = queue.reset(keepingAtMost: 64)
            #expect(queue.pending == 0 && queue.chunkCount == 0)
        }
    }

    /// A system call gets so many bytes where there are chunks; what stands behind those that wait does too.
    @Test func callsAreBounded() {
        var queue = OutputQueue(OutputBuffer(capacity: 16))
        for byte in 0..<10 as Range<UInt8> {
            queue.buffer.append(byte: byte)
            queue.append(chunk(byte + 10, 1000))
        }
        queue.buffer.append(byte: 99)
        var calls: [Int] = []
        var sent: [UInt8] = []
        while queue.pending > 0 {
            let bytes = queue.withVectors(upTo: 2500) { vectors, count in
                (0..<count).flatMap {
                    [UInt8](UnsafeRawBufferPointer(start: vectors[$0].iov_base, count: vectors[$0].iov_len))
                }
            }
            calls.append(bytes.count)
            sent += bytes
            queue.remove(bytes.count)
        }
        #expect(calls == [2500, 2500, 2500, 2500, 11])
        #expect(sent.count == 10_011 && sent.last == 99 && sent[1] == 10 && sent[1001] == 1)
    }

    /// What waits for a reader that never comes takes little more than its bytes, however it came together.
    @Test func slowReader() {
        var queue = OutputQueue(OutputBuffer(capacity: 16))
        let reply = chunk(7, 10_000)
        var largest = 0
        for _ in 0..<1000 {
            queue.buffer.append(reply.bytes)
            queue.setAside(least: 1 << 16)
            largest = max(largest, queue.buffer.capacity)
        }
        #expect(queue.pending == 10_000_000 && queue.chunkCount > 100)
        #expect(largest <= 1 << 17)
        var sent = 0
        while queue.pending > 0 { sent += send(&queue, 1 << 20).count }
        #expect(sent == 10_000_000)
    }

    /// A message to 10,000 subscribers is there once.
    @Test func sharing() {
        let message = chunk(1, 100_000)
        var queues = (0..<10_000).map { _ in OutputQueue(OutputBuffer(capacity: 16)) }
        for i in queues.indices { queues[i].append(message) }
        #expect(queues.allSatisfy { $0.pending == 100_000 && $0.sharedCount == 100_000 && $0.chunkCount == 1 })
        #expect(queues.allSatisfy { $0.buffer.capacity == 16 })
        let base = message.bytes.base
        let isShared = queues.allSatisfy { queue in
            queue.withVectors(upTo: .max) { vectors, count in
                count == 1 && UnsafeRawPointer(vectors[0].iov_base) == base
            }
        }
        #expect(isShared)
    }

    /// Chunks count for the limit as bytes of the buffer do.
    @Test func limit() {
        var queue = OutputQueue(OutputBuffer(capacity: 16))
        queue.limit = 10_000
        queue.append(chunk(1, 6000))
        #expect(!queue.buffer.isOverflowed)
        for _ in 0..<3000 { queue.buffer.append(byte: 2) }
        #expect(!queue.buffer.isOverflowed && queue.pending == 9000)
        // What has left does not count.
        #expect(send(&queue, 5500).count == 5500)
        queue.append(chunk(3, 6000))
        #expect(!queue.buffer.isOverflowed && queue.pending == 9500)
        queue.append(chunk(4, 501))
        #expect(queue.buffer.isOverflowed && queue.sharedCount == 0)

        var other = OutputQueue(OutputBuffer(capacity: 16))
        other.limit = 10_000
        other.append(chunk(1, 6000))
        for _ in 0..<5000 { other.buffer.append(byte: 2) }
        #expect(other.buffer.isOverflowed)
    }
}
