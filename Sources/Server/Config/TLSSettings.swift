/// What `tls-…` settings say, with Redis 7.2's defaults.
struct TLSSettings: Sendable, Equatable {
    /// 0: nothing listens for TLS.
    var port = 0
    var certificateFile: ByteString = ""
    var keyFile: ByteString = ""
    var keyPassword: ByteString = ""
    /// What outbound connections show; empty: what the server shows.
    var clientCertificateFile: ByteString = ""
    var clientKeyFile: ByteString = ""
    var clientKeyPassword: ByteString = ""
    var dhParametersFile: ByteString = ""
    var caCertificateFile: ByteString = ""
    var caCertificateDirectory: ByteString = ""
    var clientAuthentication = ClientAuthentication.yes
    /// Empty: TLS 1.2 and 1.3.
    var protocols: ByteString = ""
    /// Of TLS 1.2 and before; empty: OpenSSL's.
    var ciphers: ByteString = ""
    /// Of TLS 1.3; empty: OpenSSL's.
    var cipherSuites: ByteString = ""
    var prefersServerCiphers = false
    var cachesSessions = true
    /// Sessions; 0: any number.
    var sessionCacheSize = 20480
    /// Seconds.
    var sessionCacheTimeout = 300
    /// The link to a master is encrypted.
    var replication = false
    /// Connections between the nodes of a cluster are, of which there are MIGRATE's.
    var cluster = false

    /// Whether clients show a certificate: they must, need not, or may, in which case it has to be valid.
    enum ClientAuthentication: String, SettingChoice { case no, yes, optional }

    /// Whether anything is encrypted, so that certificates are needed.
    var isUsed: Bool { port != 0 || replication || cluster }
}

extension TLSSettings {
    /// Files are read anew also where their names stay: so are certificates replaced while the server runs.
    private static func file(_ name: ByteString, _ path: SettingPath<ByteString>) -> Setting {
        .path(name, path, .rereads, .tls)
    }

    static let table: [Setting] = [
        .integer("tls-port", \.tls.port, 0...65535, [], .listeners),
        .bool("tls-replication", \.tls.replication, [], .tls),
        .bool("tls-cluster", \.tls.cluster, [], .tls),
        .choice("tls-auth-clients", \.tls.clientAuthentication, [], .tls),
        file("tls-cert-file", \.tls.certificateFile),
        file("tls-key-file", \.tls.keyFile),
        .text("tls-key-file-pass", \.tls.keyPassword, .secret, .tls),
        file("tls-client-cert-file", \.tls.clientCertificateFile),
        file("tls-client-key-file", \.tls.clientKeyFile),
        .text("tls-client-key-file-pass", \.tls.clientKeyPassword, .secret, .tls),
        file("tls-dh-params-file", \.tls.dhParametersFile),
        file("tls-ca-cert-file", \.tls.caCertificateFile),
        file("tls-ca-cert-dir", \.tls.caCertificateDirectory),
        .text("tls-protocols", \.tls.protocols, [], .tls),
        .text("tls-ciphers", \.tls.ciphers, [], .tls),
        .text("tls-ciphersuites", \.tls.cipherSuites, [], .tls),
        .bool("tls-prefer-server-ciphers", \.tls.prefersServerCiphers, [], .tls),
        .bool("tls-session-caching", \.tls.cachesSessions, [], .tls),
        .integer("tls-session-cache-size", \.tls.sessionCacheSize, SettingTable.int, [], .tls),
        .integer("tls-session-cache-timeout", \.tls.sessionCacheTimeout, SettingTable.int, [], .tls),
    ]
}
