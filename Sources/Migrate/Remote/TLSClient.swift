import CSSL
import Glibc

// Invariant of this file: an SSL_CTX is freed with its TLSClient, an SSL with its TLSSession, which keeps its TLSClient; the
// socket is its owner's.

/// The client's side of TLS: what connections share.
final class TLSClient {
    fileprivate let context: OpaquePointer
    fileprivate let name: String?
    fileprivate let isChecked: Bool

    /// Reads the files; without `authorities`, the system's are trusted. `name`: what the server's certificate must have
    /// instead of the host's. Throws what is wrong with a file.
    init(authorities: String?, certificate: String?, key: String?, name: String?, isChecked: Bool) throws(RemoteError) {
        guard let context = SSL_CTX_new(TLS_client_method()) else { throw RemoteError("TLS: no context can be made") }
        self.context = context
        self.name = name
        self.isChecked = isChecked
        cssl_set_mode(context)
        guard cssl_set_versions(context, TLS1_2_VERSION, TLS1_3_VERSION) == 1 else {
            throw RemoteError("TLS: 1.2 and 1.3 cannot be set")
        }
        SSL_CTX_set_verify(context, isChecked ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nil)
        if let authorities {
            if SSL_CTX_load_verify_file(context, authorities) != 1 { throw Self.failed(authorities) }
        } else {
            SSL_CTX_set_default_verify_paths(context)
        }
        if let certificate, let key {
            if SSL_CTX_use_certificate_chain_file(context, certificate) != 1 { throw Self.failed(certificate) }
            if SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 { throw Self.failed(key) }
        }
    }
    deinit { SSL_CTX_free(context) }

    private static func failed(_ file: String) -> RemoteError {
        RemoteError("\(file): cannot be used for TLS: \(reason())")
    }

    fileprivate static func reason() -> String {
        let code = ERR_peek_last_error()
        ERR_clear_error()
        guard code != 0, let text = ERR_reason_error_string(code) else { return "no reason is given" }
        return String(cString: text)
    }
}

/// TLS over one socket that does not block.
final class TLSSession {
    enum Outcome {
        case moved(Int)
        case needsRead, needsWrite
        case ended(String)
    }

    private let client: TLSClient
    private let ssl: OpaquePointer

    init(_ client: TLSClient, _ socket: Int32, host: String?) throws(RemoteError) {
        guard let ssl = SSL_new(client.context) else { throw RemoteError("TLS: \(TLSClient.reason())") }
        self.client = client
        self.ssl = ssl
        SSL_set_fd(ssl, socket)
        guard let name = client.name ?? host else { return }
        let isAddress = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1
        if isAddress { return }
        name.withCString {
            _ = SSL_ctrl(
                ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, Int(TLSEXT_NAMETYPE_host_name), UnsafeMutableRawPointer(mutating: $0)
            )
        }
        if client.isChecked { SSL_set1_host(ssl, name) }
    }
    deinit { SSL_free(ssl) }

    /// A step of the handshake; `moved` when it is done.
    func handshake() -> Outcome {
        ERR_clear_error()
        let result = SSL_connect(ssl)
        if result == 1 { return .moved(0) }
        let verdict = SSL_get_verify_result(ssl)
        if verdict != X509_V_OK, case .ended = outcome(result) {
            return .ended("its certificate is refused: \(String(cString: X509_verify_cert_error_string(verdict)))")
        }
        return outcome(result)
    }

    func receive(_ bytes: UnsafeMutableRawPointer, _ size: Int) -> Outcome {
        var count = 0
        let result = SSL_read_ex(ssl, bytes, size, &count)
        return result == 1 ? .moved(count) : outcome(result)
    }

    func send(_ bytes: UnsafeRawPointer, _ size: Int) -> Outcome {
        var count = 0
        let result = SSL_write_ex(ssl, bytes, size, &count)
        return result == 1 ? .moved(count) : outcome(result)
    }

    private func outcome(_ result: Int32) -> Outcome {
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ: .needsRead
        case SSL_ERROR_WANT_WRITE: .needsWrite
        case SSL_ERROR_ZERO_RETURN: .ended("the server closed the connection")
        case SSL_ERROR_SYSCALL: .ended("the server closed the connection")
        default: .ended("TLS: \(TLSClient.reason())")
        }
    }
}
