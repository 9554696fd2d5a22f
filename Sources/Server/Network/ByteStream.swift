import CShims
import Glibc

// Invariant of this file: pointers are passed on to system calls, and none is kept; `socket` is open until `close`.

/// The bytes of one socket: the only thing that receives and sends. Nothing here waits.
///
/// A stream that encrypts fits in: its handshake is what `receive` and `send` do first, and they say what the socket has
/// to become before they can go on, whichever of the two was called.
struct ByteStream {
    let socket: Int32

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
        while true {
            let sent = cshims_send(socket, bytes, count)
            if sent >= 0 { return .moved(sent) }
            if errno == EINTR { continue }
            return errno == EAGAIN ? .needsWrite : .ended
        }
    }

    /// Sends what the socket takes of `count` vectors.
    func send(_ vectors: UnsafePointer<iovec>, _ count: Int) -> Outcome {
        while true {
            let sent = cshims_send_vectors(socket, vectors, count)
            if sent >= 0 { return .moved(sent) }
            if errno == EINTR { continue }
            return errno == EAGAIN ? .needsWrite : .ended
        }
    }

    func close() { Glibc.close(socket) }
}
