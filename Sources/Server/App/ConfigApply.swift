import Glibc
import Storage

extension Server: ServerPart {
    /// Makes CONFIG SET reach the parts that keep what they need of the settings; all others read them when they use
    /// them. Once, when the parts are there. The router has taken over its copies before a part is told.
    func followSettings() {
        logger.setLevel(config.settings.logLevel)
        config.onWithoutEffect = { [unowned self] in
            logger.warning("CONFIG SET: \(Self.withoutEffect([$0]))")
        }
    }

    func settingsChanged(_ effect: SettingEffect, _ settings: Settings, old: Settings) throws(SettingError) {
        switch effect {
        case .log: logger.setLevel(settings.logLevel)
        case .directory: try config.enterDirectory()
        case .process:
            ProcessControl.setTitle(settings, configFile: config.file)
            ProcessControl.reportCrashes(settings)
        case .persistence, .listeners, .tls, .clients, .password, .limits, .slowlog, .notifications, .replication,
            .oomScore:
            break
        }
    }

    /// Says at start which settings are not what they promise: a line for those that are still to come, one for those
    /// that have nothing to act on.
    func reportSettings() {
        for remark in Self.remarks(on: config) {
            if remark.isWarning { logger.warning("\(remark.text)") } else { logger.notice("\(remark.text)") }
        }
    }

    static func remarks(on config: Config) -> [(text: String, isWarning: Bool)] {
        let (later, unused) = config.withoutEffect.reduce(into: ([Setting](), [Setting]())) {
            if $1.flags.contains(.later) { $0.0.append($1) } else { $0.1.append($1) }
        }
        var remarks: [(text: String, isWarning: Bool)] = []
        if !later.isEmpty { remarks.append((withoutEffect(later), true)) }
        if !unused.isEmpty { remarks.append((withoutEffect(unused), false)) }
        return remarks
    }

    private static func withoutEffect(_ settings: [Setting]) -> String {
        let names = settings.map { setting in
            setting.consequence.map { "\(setting.name) (\($0))" } ?? "\(setting.name)"
        }
        let isLater = settings.contains { $0.flags.contains(.later) }
        return (isLater ? "Without effect yet: " : "Accepted, but \(Version.name) has no use for it: ")
            + names.joined(separator: ", ")
    }
}
