import Glibc
import Storage

extension Limits {
    /// The thresholds as configured.
    init(_ settings: Settings) {
        self.init()
        listMaxListpackSize = settings.listMaxListpackSize
        hashMaxListpackEntries = settings.hashMaxListpackEntries
        hashMaxListpackValue = settings.hashMaxListpackValue
        setMaxIntsetEntries = settings.setMaxIntsetEntries
        setMaxListpackEntries = settings.setMaxListpackEntries
        setMaxListpackValue = settings.setMaxListpackValue
        zsetMaxListpackEntries = settings.zsetMaxListpackEntries
        zsetMaxListpackValue = settings.zsetMaxListpackValue
    }
}

extension Server {
    /// Makes CONFIG SET reach the parts that keep what they need of the settings; all others read them when they use
    /// them. Once, when the parts are there.
    func followSettings() {
        keyspace.limits = Limits(config.settings)
        slowlog.capacity = config.settings.slowlogMaxLength
        log.setLevel(config.settings.logLevel)
        for name in config.unusedInUse { noteUnused(name) }
        config.onUnused = { [unowned self] in noteUnused($0) }
        config.apply = { [unowned self] (effect, old) throws(SettingError) in try carryOut(effect, old) }
    }

    private func noteUnused(_ name: String) {
        log.notice("The setting '\(name)' is accepted, but \(Version.name) has no use for it.")
    }

    private func carryOut(_ effect: SettingEffect, _ old: Settings) throws(SettingError) {
        let settings = config.settings
        switch effect {
        case .log: log.setLevel(settings.logLevel)
        case .limits: keyspace.limits = Limits(settings)
        case .slowlog: slowlog.capacity = settings.slowlogMaxLength
        case .persistence: try persistence.settingsChanged(settings, old: old)
        case .directory:
            try config.enterDirectory()
            try persistence.directoryChanged()
        case .listeners: try config.applyListeners?(old)
        case .clients, .password, .notifications, .replication, .titles: break
        }
    }
}
