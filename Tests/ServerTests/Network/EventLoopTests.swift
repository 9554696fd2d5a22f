import Glibc
import TestSupport
import Testing

@testable import Server
@testable import Storage

/// A server with its loop, which listens on a Unix socket of its own, and turns when told to.
private final class LoopHarness {
    let server: Server
    let loop: EventLoop<Router>
    private let directory = TemporaryDirectory()
    private var path: String { directory.path + "/socket" }

    init(_ change: (inout Settings) -> Void = { _ in }) throws {
        var settings = Settings()
        settings.port = 0
        settings.unixSocketPath = ByteString(directory.path + "/socket")
        change(&settings)
        server = Server(config: Config(settings))
        loop = try EventLoop(server.router, server.links, server.config)
        try loop.listen()
    }
    deinit { loop.closeListeners() }

    func turn(until condition: () -> Bool) {
        let deadline = monotonicNanoseconds() + 20_000_000_000
        while !condition() {
            loop.turn(waiting: 10)
            guard monotonicNanoseconds() < deadline else {
                Issue.record("nothing happens")
                return
            }
        }
    }

    /// A client's socket.
    func connect() -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        #expect(result == 0)
        return descriptor
    }
}

private func write(_ descriptor: Int32, _ text: String) {
    let bytes = Array(text.utf8)
    #expect(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
}

/// What is there, at most `count` bytes; empty at the end.
private func read(_ descriptor: Int32, _ count: Int = 1 << 16) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    let length = bytes.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, count, Int32(MSG_DONTWAIT)) }
    return Array(bytes.prefix(max(0, length)))
}

/// A socket that listens on a port of the loopback address.
private func listen() -> (descriptor: Int32, port: String) {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            #expect(bind(descriptor, $0, length) == 0 && Glibc.listen(descriptor, 16) == 0)
            getsockname(descriptor, $0, &length)
        }
    }
    return (descriptor, "\(UInt16(bigEndian: address.sin_port))")
}

@Suite struct EventLoopTests {
    /// One chunk for all, between replies of their own; those who do not read have it counted, and get it all in the end.
    @Test func sharedChunks() throws {
        let h = try LoopHarness()
        let clients = (0..<20).map { _ in h.connect() }
        defer { for client in clients { close(client) } }
        h.turn { h.server.router.sessions.count == clients.count }
        let message = SharedChunk { output in for i in 0..<200_000 { output.append(decimal: Int64(i % 10)) } }
        for client in clients { write(client, "PING\r\n") }
        h.turn { h.server.router.statistics.commandsProcessed == clients.count }
        for session in h.server.router.sessions.values {
            session.send(shared: message)
            session.send { $0.simple("BETWEEN") }
            session.send(shared: message)
        }
        h.loop.turn(waiting: 0)
        for session in h.server.router.sessions.values {
            #expect(session.queue.pending > 0 && session.queue.sharedCount > 0)
            let line = OutputBuffer()
            ClientDescription.append(session, h.server.router.services, to: line)
            let text = line.bytes.string
            let waiting = session.queue.pending
            #expect(text.contains(" obl=16384 oll=\(session.queue.chunkCount + 1) omem="))
            #expect(session.memoryUsage > waiting)
        }
        let expected = Array("+PONG\r\n".utf8) + message.bytes.array + Array("+BETWEEN\r\n".utf8) + message.bytes.array
        for client in clients {
            var received: [UInt8] = []
            h.turn {
                received += read(client)
                return received.count >= expected.count
            }
            #expect(received == expected)
        }
        h.loop.turn(waiting: 0)
        #expect(h.server.router.sessions.values.allSatisfy { $0.queue.pending == 0 })
    }

    /// client-output-buffer-limit holds for chunks too.
    @Test func sharedChunksOverTheLimit() throws {
        let h = try LoopHarness { $0.outputBufferLimits.normal.hard = 1 << 20 }
        let client = h.connect()
        defer { close(client) }
        h.turn { h.server.router.sessions.count == 1 }
        let message = SharedChunk { _ = memset($0.appendUninitialized(300_000), 0, 300_000) }
        for sent in 1... {
            h.server.router.sessions.values.first?.send(shared: message)
            h.loop.turn(waiting: 0)
            if h.server.router.sessions.isEmpty { break }
            #expect(sent < 8)
        }
        #expect(h.server.router.statistics.outputBufferDisconnections == 1)
    }

    /// More than one receive takes, and an end that comes with it: all is executed and answered.
    @Test func inputAndEndAtOnce() throws {
        let h = try LoopHarness()
        let client = h.connect()
        defer { close(client) }
        h.turn { h.server.router.sessions.count == 1 }
        let count = 30_000
        write(client, String(repeating: "PING\r\n", count: count))
        shutdown(client, Int32(SHUT_WR))
        var received = 0
        h.turn {
            received += read(client).count
            return h.server.router.sessions.isEmpty
        }
        received += read(client, 1 << 20).count
        #expect(received == count * 7)
    }

    // MARK: Links

    private final class Recorder: LinkHandler {
        var isConnected = false
        var bytes: [UInt8] = []
        var end: Link.End?
        func connected(_ link: Link) { isConnected = true }
        func received(_ bytes: Bytes, on link: Link) { self.bytes += bytes.array }
        func ended(_ link: Link, _ reason: Link.End) {
            #expect(end == nil)
            end = reason
        }
    }
    private static let second: UInt64 = 1_000_000_000

    @Test func aLink() throws {
        let h = try LoopHarness()
        let (listener, port) = listen()
        defer { close(listener) }
        let recorder = Recorder()
        let link = h.server.links.open("localhost", port, timeout: 20 * Self.second, recorder)
        h.turn { recorder.isConnected }
        let other = accept(listener, nil, nil)
        // Of other servers' connections no list of clients tells.
        #expect(h.server.router.sessions.isEmpty)
        let message = SharedChunk { _ = memset($0.appendUninitialized(5_000_000), 7, 5_000_000) }
        link.send(Bytes("first"))
        link.send(message)
        link.send(Bytes("last"))
        var received: [UInt8] = []
        h.turn {
            received += read(other)
            return received.count >= 5_000_009
        }
        #expect(received == Array("first".utf8) + message.bytes.array + Array("last".utf8) && link.pending == 0)
        write(other, "answer")
        h.turn { recorder.bytes == Array("answer".utf8) }
        #expect(recorder.end == nil)
        close(other)
        h.turn { recorder.end != nil }
        #expect(recorder.end == .closed)
    }

    @Test func linksThatEnd() throws {
        let h = try LoopHarness()
        let (listener, port) = listen()
        func end(_ host: String, _ port: String, _ patience: UInt64? = nil) -> (Recorder, Link) {
            let recorder = Recorder()
            let link = h.server.links.open(host, port, timeout: 20 * Self.second, recorder)
            if patience != nil {
                h.turn { recorder.isConnected }
                link.patience = patience
            }
            h.turn { recorder.end != nil }
            return (recorder, link)
        }
        #expect(end("127.0.0.1", port, 1_000_000).0.end == .timedOut)
        close(listener)
        #expect(end("127.0.0.1", port).0.end == .unreachable)
        #expect(end("no.such.host.invalid", port).0.end == .unknownHost)
    }

    /// A link that its owner closes tells nothing more, whenever that is.
    @Test func closingALink() throws {
        let h = try LoopHarness()
        let (listener, port) = listen()
        defer { close(listener) }
        let recorder = Recorder()
        h.server.links.open("127.0.0.1", port, timeout: 20 * Self.second, recorder).close()
        let link = h.server.links.open("127.0.0.1", port, timeout: 20 * Self.second, recorder)
        h.turn { recorder.isConnected }
        let other = accept(listener, nil, nil)
        link.close()
        var isClosed = false
        h.turn {
            var byte: UInt8 = 0
            isClosed = recv(other, &byte, 1, Int32(MSG_DONTWAIT)) == 0
            return isClosed
        }
        close(other)
        #expect(recorder.end == nil)
    }
}
