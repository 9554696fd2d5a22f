import CSSL
import CShims
import Glibc

// Invariant of this file: `ssl` is freed with its stream, whose address its BIO has; one thread at a time has a stream,
// the thread of handshakes and then the loop. Buffers are passed on and not kept. The error queue of OpenSSL, which
// threads have of their own, is empty between calls.

/// TLS on one socket. Nothing here waits.
final class TLSStream: @unchecked Sendable {
    // @unchecked: it is handed over between threads, and used by one.
    private let ssl: OpaquePointer
    let socket: Int32
    /// The socket had less than was asked for: it has no more, until an event tells of it.
    private var isDrained = false
    /// The other side has ended the connection, or it failed, behind bytes that were received. No event tells of it.
    private(set) var hasEnded = false
    /// What made it fail, of which no more can be said on the connection.
    private var isBroken = false

    /// Throws when OpenSSL has no memory for it. `isServer`: the other side begins.
    init(_ socket: Int32, _ context: TLSContext, isServer: Bool) throws(TLSError) {
        guard let ssl = SSL_new(context.pointer), let bio = TLSStream.method.flatMap(BIO_new) else {
            throw .next("cannot begin")
        }
        self.ssl = ssl
        self.socket = socket
        BIO_set_data(bio, Unmanaged.passUnretained(self).toOpaque())
        BIO_set_init(bio, 1)
        SSL_set_bio(ssl, bio, bio)
        if isServer { SSL_set_accept_state(ssl) } else { SSL_set_connect_state(ssl) }
    }
    deinit { SSL_free(ssl) }

    /// Says that nothing more comes, as far as the socket takes it.
    func end() {
        if isBroken || SSL_is_init_finished(ssl) == 0 { return }
        _ = SSL_shutdown(ssl)
        ERR_clear_error()
    }

    // MARK: The handshake

    enum Progress {
        case finished
        case needsRead
        case needsWrite
    }

    /// Goes on with the handshake as far as the socket allows. Throws what made it fail.
    func handshake() throws(TLSError) -> Progress {
        isDrained = false
        let result = SSL_do_handshake(ssl)
        if result == 1 { return .finished }
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ: return .needsRead
        case SSL_ERROR_WANT_WRITE: return .needsWrite
        default:
            isBroken = true
            let verification = SSL_get_verify_result(ssl)
            let error = TLSError.next("the other side has closed the connection")
            if verification == X509_V_OK { throw error }
            throw TLSError(error.message + ": " + String(cString: X509_verify_cert_error_string(Int(verification))))
        }
    }

    // MARK: Bytes

    /// See `ByteStream`. The socket is asked once, but where it fills a whole buffer.
    func receive(_ bytes: UnsafeMutableRawPointer, _ size: Int) -> ByteStream.Outcome {
        if hasEnded { return .ended }
        isDrained = false
        var count = 0
        while count < size {
            var received = 0
            let result = SSL_read_ex(ssl, bytes + count, size - count, &received)
            if result != 1 {
                let outcome = reason(result)
                if count == 0 { return outcome }
                hasEnded = outcome == .ended
                break
            }
            count += received
            if isDrained && SSL_has_pending(ssl) == 0 { break }
        }
        return .moved(count)
    }

    /// Encrypts and sends one record. What the socket does not take of it stays here, and the bytes are not moved: the
    /// next call begins with the same, and at least as many.
    func send(_ bytes: UnsafeRawPointer, _ count: Int) -> ByteStream.Outcome {
        var sent = 0
        let result = SSL_write_ex(ssl, bytes, min(count, Self.recordSize), &sent)
        return result == 1 ? .moved(sent) : reason(result)
    }

    /// The beginning of `vectors`, as one record.
    func send(_ vectors: UnsafePointer<iovec>, _ count: Int) -> ByteStream.Outcome {
        withUnsafeTemporaryAllocation(byteCount: Self.recordSize, alignment: 16) { record in
            guard let base = record.baseAddress else { return .ended }
            var length = 0
            for vector in UnsafeBufferPointer(start: vectors, count: count) where length < Self.recordSize {
                let part = min(vector.iov_len, Self.recordSize - length)
                memcpy(base + length, vector.iov_base, part)
                length += part
            }
            return send(base, length)
        }
    }
    private static let recordSize = 16 << 10

    /// Why a call of OpenSSL's moved nothing.
    private func reason(_ result: Int32) -> ByteStream.Outcome {
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ: return .needsRead
        case SSL_ERROR_WANT_WRITE: return .needsWrite
        case SSL_ERROR_ZERO_RETURN: return .ended
        default:
            isBroken = true
            ERR_clear_error()
            return .ended
        }
    }

    // MARK: The socket, as OpenSSL sees it

    nonisolated(unsafe) private static let method: OpaquePointer? = {
        let method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "swiftlet socket")
        BIO_meth_set_read_ex(method) { bio, bytes, size, received in
            guard let bio, let bytes, let received, let stream = TLSStream.of(bio) else { return 0 }
            return stream._withUnsafeGuaranteedRef { $0.read(bio, bytes, size, received) }
        }
        BIO_meth_set_write_ex(method) { bio, bytes, size, sent in
            guard let bio, let bytes, let sent, let stream = TLSStream.of(bio) else { return 0 }
            return stream._withUnsafeGuaranteedRef { $0.write(bio, bytes, size, sent) }
        }
        BIO_meth_set_ctrl(method) { _, command, _, _ in command == BIO_CTRL_FLUSH ? 1 : 0 }
        return method
    }()
    /// BIO_TYPE_SOURCE_SINK, which is no plain number in C.
    private static let BIO_TYPE_SOURCE_SINK: Int32 = 0x400

    private static func of(_ bio: OpaquePointer) -> Unmanaged<TLSStream>? {
        BIO_get_data(bio).map { Unmanaged.fromOpaque($0) }
    }

    private func read(
        _ bio: OpaquePointer, _ bytes: UnsafeMutablePointer<CChar>, _ size: Int, _ received: UnsafeMutablePointer<Int>
    ) -> Int32 {
        cssl_clear_retry(bio)
        if isDrained {
            cssl_retry_read(bio)
            return 0
        }
        switch ByteStream(socket: socket).receive(bytes, size) {
        case .moved(let count):
            isDrained = count < size
            received.pointee = count
            return 1
        case .needsRead, .needsWrite:
            isDrained = true
            cssl_retry_read(bio)
        case .ended: break
        }
        return 0
    }

    private func write(
        _ bio: OpaquePointer, _ bytes: UnsafePointer<CChar>, _ size: Int, _ sent: UnsafeMutablePointer<Int>
    ) -> Int32 {
        cssl_clear_retry(bio)
        switch ByteStream(socket: socket).send(bytes, size) {
        case .moved(let count):
            sent.pointee = count
            return 1
        case .needsRead, .needsWrite: cssl_retry_write(bio)
        case .ended: break
        }
        return 0
    }
}
