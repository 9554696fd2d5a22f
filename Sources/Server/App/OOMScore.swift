import Glibc
import Storage

/// `oom-score-adj`: how soon the kernel ends this process when memory is short, in comparison with others. Confined to
/// the loop.
final class OOMScore: ServerPart {
    private static let path: ByteString = "/proc/self/oom_score_adj"
    private let router: Router
    /// What the process had before, while it has another; nil: it was not changed.
    private var original: Int?

    init(_ router: Router) { self.router = router }

    /// At start, where a score that the system refuses is no reason to end.
    func start() { try? adjust(router.config.settings) }

    func settingsChanged(_ effect: SettingEffect, _ settings: Settings, old: Settings) throws(SettingError) {
        switch effect {
        case .oomScore: try adjust(settings)
        case .log, .limits, .listeners, .tls, .clients, .password, .persistence, .directory, .slowlog, .notifications,
            .replication, .process:
            break
        }
    }

    private func adjust(_ settings: Settings) throws(SettingError) {
        let value = settings.replicaOf == nil ? settings.oomScoreValues.master : settings.oomScoreValues.replica
        switch settings.oomScoreAdjustment {
        case .no:
            guard let original else { return }
            try write(original)
            self.original = nil
        case .absolute:
            try keepOriginal()
            try write(value)
        case .relative:
            try write(try keepOriginal() + value)
        }
    }

    @discardableResult private func keepOriginal() throws(SettingError) -> Int {
        if let original { return original }
        guard let text = readFile(Self.path), let found = trim(text[...]).integer else { throw failure("read") }
        original = found
        return found
    }

    /// Throws where the process may not have that score, and logs why.
    private func write(_ score: Int) throws(SettingError) {
        let text = "\(min(1000, max(-1000, score)))\n"
        let descriptor = Self.path.withCString { open($0, O_WRONLY | O_CLOEXEC) }
        guard descriptor >= 0 else { throw failure("write") }
        defer { close(descriptor) }
        if Glibc.write(descriptor, text, text.utf8.count) < 0 { throw failure("write") }
    }

    private func failure(_ what: String) -> SettingError {
        router.logger.warning("Unable to \(what) oom_score_adj: \(systemReason())")
        return SettingError("Failed to set current oom_score_adj. Check server logs.")
    }
}
