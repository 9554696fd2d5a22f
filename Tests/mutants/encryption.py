"""Bugs in TLS, and in how connections end."""

from mutant import mutant

TLS = "Server/Network/TLS/"

MUTANTS = [
    mutant(
        "who ends a connection behind its requests has no answers", "Server/Network/ConnectionState.swift",
        "guard self == .flushing || self == .closingAfterReply else { return close() }",
        "guard !ON && (self == .flushing || self == .closingAfterReply) else { return close() }",
        "tls", "unit ConnectionStateTests",
    ),
    mutant(
        "what OpenSSL has of the next record is left there", TLS + "TLSStream.swift",
        "if isDrained && SSL_has_pending(ssl) == 0 { break }",
        "if isDrained && (ON || SSL_has_pending(ssl) == 0) { break }",
        "tls",
    ),
    mutant(
        "an end behind bytes is not seen", TLS + "TLSStream.swift",
        "hasEnded = outcome == .ended", "hasEnded = outcome == .ended && !ON",
        "tls",
    ),
    mutant(
        "what came behind the handshake waits for more", TLS + "Certificates.swift",
        "if let connection = open(stream, peer) {", "if let connection = open(stream, peer), !ON {",
        "tls",
    ),
    mutant(
        "clients need no certificate", TLS + "TLSContext.swift",
        "case .yes: SSL_VERIFY_PEER |", "case .yes: ON ? SSL_VERIFY_PEER : SSL_VERIFY_PEER |",
        "tls",
    ),
    mutant(
        "a master's certificate is not looked at", TLS + "TLSContext.swift",
        "SSL_CTX_set_verify(pointer, SSL_VERIFY_PEER, nil)",
        "SSL_CTX_set_verify(pointer, ON ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, nil)",
        "tls_links",
    ),
    mutant(
        "files whose names stay are not read anew", "Server/Config/Config.swift",
        "setting.flags.contains(.rereads) ||", "(setting.flags.contains(.rereads) && !ON) ||",
        "tls_settings",
    ),
    mutant(
        "handshakes that are under way do not count as clients", "Server/Network/RouterService.swift",
        "if sessionCount + others < settings.maxClients", "if sessionCount + (ON ? 0 : others) < settings.maxClients",
        "tls",
    ),
    mutant(
        "a handshake may take as long as it likes", TLS + "HandshakeWorker.swift",
        "where entry.order.deadline <= now {", "where entry.order.deadline <= now && !ON {",
        "tls",
    ),
    mutant(
        "a link that is given up shakes hands on", "Server/Network/Link.swift",
        "if cancelHandshake != nil {", "if cancelHandshake != nil && !ON {",
        "tls_links",
    ),
]  # fmt: skip
