import Glibc
import Storage

extension Server {
    /// Makes CONFIG SET reach the parts that keep what they need of the settings; all others read them when they use
    /// them. Once, when the parts are there. The server itself has taken over its copies before a part is told.
    /// `listenersChanged` is the network's: it listens on `bind` and `port` as they are now, or throws.
    func followSettings(
        listenersChanged: @escaping (_ old: Settings) throws(SettingError) -> Void = { (_) throws(SettingError) in }
    ) {
        log.setLevel(config.settings.logLevel)
        for name in config.unusedInUse { noteUnused(name) }
        config.onUnused = { [unowned self] in noteUnused($0) }
        onSettingChange = { [unowned self] (effect, old) throws(SettingError) in
            switch effect {
            case .log: log.setLevel(config.settings.logLevel)
            case .persistence: try persistence.settingsChanged(config.settings, old: old)
            case .directory:
                try config.enterDirectory()
                try persistence.directoryChanged()
            case .listeners: try listenersChanged(old)
            case .limits, .slowlog, .clients, .password, .notifications, .replication, .titles: break
            }
        }
    }

    private func noteUnused(_ name: String) {
        log.notice("The setting '\(name)' is accepted, but \(Version.name) has no use for it.")
    }
}
