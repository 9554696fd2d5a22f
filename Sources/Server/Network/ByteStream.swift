import CShims
import Glibc

// Invariant of this file: pointers are passed on to system calls, and none is kept; `socket` is open until `close`, which
// is called once, and until which a stream that encrypts has its TLSStream: copies count no references. A TLSStream calls
// plain streams over its own socket.

/// The bytes of one socket: the only thing that receives and sends. Nothing here waits.
///
/// Plain, or TLS once the handshake is made (`Handshakes`): a plain one pays a test of a pointer for that.
struct ByteStream {
    let socket: Int32
    /// nil: plain.
    private let tls: Unmanaged<TLSStream>?

    init(socket: Int32) {
        self.socket = socket
        tls = nil
    }
    init(_ tls: TLSStream) {
        socket = tls.socket
        self.tls = .passRetained(tls)
    }

    /// What comes and leaves is encrypted: bytes may be here that no event tells of.
    var isEncrypted: Bool { tls != nil }
    /// The end has come, behind bytes that were received, and no event tells of it.
    @inline(__always) var hasUnseenEnd: Bool { tls?._withUnsafeGuaranteedRef { $0.hasEnded } ?? false }

    enum Outcome: Equatable {
        /// So many bytes were moved, at least one.
        case moved(Int)
        /// None, until the socket can be read, or written.
        case needsRead
        case needsWrite
        /// The other side has closed, or the connection failed.
        case ended
    }

    /// Up to `size` bytes, at least 1. Fewer mean that the socket has no more.
    @inline(__always) func receive(_ bytes: UnsafeMutableRawPointer, _ size: Int) -> Outcome {
        if let tls { return tls._withUnsafeGuaranteedRef { $0.receive(bytes, size) } }
        while true {
            let count = cshims_receive(socket, bytes, size)
            if count > 0 { return .moved(count) }
            if count == 0 { return .ended }
            if errno == EINTR { continue }
            return errno == EAGAIN ? .needsRead : .ended
        }
    }

    /// Sends what the socket takes of `count` bytes, at least 1.
    @inline(__always) func send(_ bytes: UnsafeRawPointer, _ count: Int) -> Outcome {
        if let tls { return tls._withUnsafeGuaranteedRef { $0.send(bytes, count) } }
        while true {
            let sent = cshims_send(socket, bytes, count)
            if sent >= 0 { return .moved(sent) }
            if errno == EINTR { continue }
            return errno == EAGAIN ? .needsWrite : .ended
        }
    }

    /// Sends what the socket takes of `count` vectors.
    func send(_ vectors: UnsafePointer<iovec>, _ count: Int) -> Outcome {
        if let tls { return tls._withUnsafeGuaranteedRef { $0.send(vectors, count) } }
        while true {
            let sent = cshims_send_vectors(socket, vectors, count)
            if sent >= 0 { return .moved(sent) }
            if errno == EINTR { continue }
            return errno == EAGAIN ? .needsWrite : .ended
        }
    }

    func close() {
        if let tls {
            tls._withUnsafeGuaranteedRef { $0.end() }
            tls.release()
        }
        Glibc.close(socket)
    }
}
