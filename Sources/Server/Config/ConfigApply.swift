import Glibc
import Storage

extension Server {
    /// Makes CONFIG SET reach the parts that keep what they need of the settings; all others read them when they use
    /// them. Once, when the parts are there.
    func followSettings() {
        logger.setLevel(config.settings.logLevel)
        for name in config.unusedInUse { noteUnused(name) }
        config.onUnused = { [unowned self] in noteUnused($0) }
        config.apply = { [unowned self] (effect, old) throws(SettingError) in try carryOut(effect, old) }
    }

    private func noteUnused(_ name: String) {
        logger.notice("The setting '\(name)' is accepted, but \(Version.name) has no use for it.")
    }

    private func carryOut(_ effect: SettingEffect, _ old: Settings) throws(SettingError) {
        let settings = config.settings
        switch effect {
        case .log: logger.setLevel(settings.logLevel)
        case .limits, .slowlog, .clients: settingsChanged()
        case .persistence: try persistence.settingsChanged(settings, old: old)
        case .directory:
            try config.enterDirectory()
            try persistence.directoryChanged()
        case .listeners: try listenersChanged()
        case .password, .notifications, .replication, .titles: break
        }
    }
}
