import CSSL
import Glibc
import Storage

// Invariant of this file: an SSL_CTX is freed with its TLSContext, or as soon as making it fails; connections hold it
// by counts of their own. The password that `password` answers lives as long as OpenSSL may ask for it.

/// Why something about TLS failed: for a log, or who gave CONFIG SET.
struct TLSError: Error, Sendable {
    let message: String
    init(_ message: String) { self.message = message }

    /// What OpenSSL says, or `otherwise` where it says nothing.
    static func next(_ otherwise: String) -> TLSError {
        let code = ERR_peek_last_error()
        ERR_clear_error()
        if code == 0 { return TLSError(otherwise) }
        guard let text = ERR_reason_error_string(code) else { return TLSError("error \(String(code, radix: 16))") }
        return TLSError(String(cString: text))
    }
}

/// Certificates, keys and rules that connections of one kind share. It does not change: new files make another one, and
/// connections go on with theirs.
final class TLSContext: @unchecked Sendable {
    // @unchecked: OpenSSL lets threads share what is not changed any more.
    let pointer: OpaquePointer
    /// What the log should say of the files.
    private(set) var remarks: [String] = []

    enum Side { case server, client }

    /// Reads the files. Throws what is wrong with one of them, or with a setting.
    init(_ side: Side, _ settings: TLSSettings) throws(TLSError) {
        // Other threads may be in OpenSSL when the process ends: it is not to be taken down under them.
        OPENSSL_init_ssl(UInt64(OPENSSL_INIT_NO_ATEXIT), nil)
        guard let pointer = SSL_CTX_new(TLS_method()) else { throw .next("cannot make a context") }
        self.pointer = pointer
        cssl_set_mode(pointer)
        cssl_set_options(pointer, settings.prefersServerCiphers ? 1 : 0, settings.cachesSessions ? 1 : 0)
        try setProtocols(settings)
        try setCiphers(settings)
        if side == .server || settings.clientCertificateFile.isEmpty {
            try setCertificate(settings.certificateFile, settings.keyFile, settings.keyPassword, "tls-")
        } else {
            try setCertificate(
                settings.clientCertificateFile, settings.clientKeyFile, settings.clientKeyPassword, "tls-client-")
        }
        try setAuthorities(settings)
        switch side {
        case .server:
            try setDHParameters(settings)
            cssl_set_session_cache(pointer, settings.cachesSessions ? 1 : 0, settings.sessionCacheSize)
            SSL_CTX_set_timeout(pointer, settings.sessionCacheTimeout)
            SSL_CTX_set_session_id_context(pointer, "swiftlet", 8)
            SSL_CTX_set_verify(pointer, Self.verification(settings.clientAuthentication), nil)
        case .client:
            cssl_set_session_cache(pointer, 0, 0)
            SSL_CTX_set_verify(pointer, SSL_VERIFY_PEER, nil)
        }
    }
    deinit { SSL_CTX_free(pointer) }

    private static func verification(_ wanted: TLSSettings.ClientAuthentication) -> Int32 {
        switch wanted {
        case .no: SSL_VERIFY_NONE
        case .optional: SSL_VERIFY_PEER
        case .yes: SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
        }
    }

    // MARK: Rules

    private static let versions: [(name: ByteString, number: Int32)] = [
        ("tlsv1", TLS1_VERSION), ("tlsv1.1", TLS1_1_VERSION), ("tlsv1.2", TLS1_2_VERSION), ("tlsv1.3", TLS1_3_VERSION),
    ]

    private func setProtocols(_ settings: TLSSettings) throws(TLSError) {
        let words = settings.protocols.isEmpty ? ["tlsv1.2", "tlsv1.3"] : settings.protocols.lowercased.words
        let wanted = Self.versions.filter { words.contains($0.name) }
        let known = words.allSatisfy { word in Self.versions.contains { $0.name == word } }
        guard known, let lowest = wanted.first, let highest = wanted.last else {
            throw TLSError(
                "Invalid tls-protocols specified. Use a combination of 'TLSv1', 'TLSv1.1', 'TLSv1.2' and 'TLSv1.3'.")
        }
        guard cssl_set_versions(pointer, lowest.number, highest.number) == 1 else {
            throw .next("tls-protocols '\(settings.protocols)' cannot be set")
        }
        for version in Self.versions where !words.contains(version.name) {
            cssl_forbid_version(pointer, version.number)
        }
    }

    private func setCiphers(_ settings: TLSSettings) throws(TLSError) {
        if !settings.ciphers.isEmpty, settings.ciphers.withCString({ SSL_CTX_set_cipher_list(pointer, $0) }) != 1 {
            throw TLSError("Failed to configure ciphers '\(settings.ciphers)': \(TLSError.next("unknown").message)")
        }
        if !settings.cipherSuites.isEmpty,
            settings.cipherSuites.withCString({ SSL_CTX_set_ciphersuites(pointer, $0) }) != 1
        {
            throw TLSError(
                "Failed to configure ciphersuites '\(settings.cipherSuites)': \(TLSError.next("unknown").message)")
        }
    }

    // MARK: Files

    /// `prefix`: of the names of the settings.
    private func setCertificate(
        _ certificate: ByteString, _ key: ByteString, _ password: ByteString, _ prefix: String
    ) throws(TLSError) {
        if certificate.isEmpty { throw TLSError("No \(prefix)cert-file configured!") }
        if key.isEmpty { throw TLSError("No \(prefix)key-file configured!") }
        try Self.checkReadable(certificate, "Failed to load certificate")
        guard certificate.withCString({ SSL_CTX_use_certificate_chain_file(pointer, $0) }) == 1 else {
            throw Self.failed("Failed to load certificate", certificate, "it holds no certificate in PEM")
        }
        try Self.checkReadable(key, "Failed to load private key")
        try setKey(key, password, certificate, prefix)
        if let validity = validityOfCertificate() { remarks.append("The certificate in \(certificate) \(validity)") }
    }

    private func setKey(_ key: ByteString, _ password: ByteString, _ certificate: ByteString, _ prefix: String)
        throws(TLSError)
    {
        let isLoaded = password.withCString { text in
            // Without an answer of ours OpenSSL would ask at the terminal.
            SSL_CTX_set_default_passwd_cb(pointer) { buffer, size, _, text in
                guard let buffer, let text = text?.assumingMemoryBound(to: CChar.self) else { return -1 }
                let length = strlen(text)
                if length == 0 || length > Int(size) { return -1 }
                memcpy(buffer, text, length)
                return Int32(length)
            }
            SSL_CTX_set_default_passwd_cb_userdata(pointer, UnsafeMutableRawPointer(mutating: text))
            defer {
                SSL_CTX_set_default_passwd_cb(pointer, nil)
                SSL_CTX_set_default_passwd_cb_userdata(pointer, nil)
            }
            return key.withCString { SSL_CTX_use_PrivateKey_file(pointer, $0, SSL_FILETYPE_PEM) } == 1
        }
        if isLoaded && SSL_CTX_check_private_key(pointer) == 1 { return }
        // A key of another kind is loaded all the same, as if for a certificate that is to come.
        if isLoaded || cssl_reason(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH {
            ERR_clear_error()
            throw TLSError("Failed to load private key: \(key): it does not fit the certificate in \(certificate)")
        }
        throw Self.failed(
            "Failed to load private key", key,
            "it holds no private key in PEM that \(prefix)key-file-pass decrypts")
    }

    private func setAuthorities(_ settings: TLSSettings) throws(TLSError) {
        let (file, directory) = (settings.caCertificateFile, settings.caCertificateDirectory)
        if file.isEmpty && directory.isEmpty {
            if settings.clientAuthentication == .no && !settings.replication && !settings.cluster { return }
            throw TLSError(
                "Either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-cluster, tls-replication or "
                    + "tls-auth-clients are enabled!")
        }
        let message = "Failed to configure CA certificate(s)"
        if !file.isEmpty {
            try Self.checkReadable(file, message)
            guard file.withCString({ SSL_CTX_load_verify_file(pointer, $0) }) == 1 else {
                throw Self.failed(message, file, "it holds no certificates in PEM")
            }
        }
        if !directory.isEmpty {
            try Self.checkReadable(directory, message)
            guard directory.withCString({ SSL_CTX_load_verify_dir(pointer, $0) }) == 1 else {
                throw Self.failed(message, directory, "OpenSSL refuses it")
            }
        }
    }

    private func setDHParameters(_ settings: TLSSettings) throws(TLSError) {
        let file = settings.dhParametersFile
        if file.isEmpty { return cssl_set_automatic_dh(pointer) }
        let message = "Failed to load DH params"
        try Self.checkReadable(file, message)
        guard let bio = file.withCString({ BIO_new_file($0, "r") }) else {
            throw Self.failed(message, file, "unreadable")
        }
        defer { BIO_free(bio) }
        guard let parameters = PEM_read_bio_Parameters(bio, nil) else {
            throw Self.failed(message, file, "it holds no parameters in PEM")
        }
        // Taken over where this works.
        if SSL_CTX_set0_tmp_dh_pkey(pointer, parameters) == 1 { return }
        EVP_PKEY_free(parameters)
        throw Self.failed(message, file, "OpenSSL refuses them")
    }

    /// nil: it is valid now.
    private func validityOfCertificate() -> String? {
        guard let certificate = SSL_CTX_get0_certificate(pointer) else { return nil }
        if X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0 { return "has expired" }
        return X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0 ? "is not valid yet" : nil
    }

    /// The system says more clearly than OpenSSL what is wrong with a file.
    private static func checkReadable(_ file: ByteString, _ message: String) throws(TLSError) {
        let descriptor = file.withCString { open($0, O_RDONLY | O_CLOEXEC) }
        if descriptor < 0 { throw TLSError("\(message): \(file): \(systemReason())") }
        close(descriptor)
    }

    private static func failed(_ message: String, _ file: ByteString, _ meaning: String) -> TLSError {
        TLSError("\(message): \(file): \(meaning) (\(TLSError.next("no reason given").message))")
    }
}
