import Glibc
import Storage

/// The settings in force, and the ways to change them while the server runs. Confined to the loop.
final class Config {
    private(set) var settings: Settings
    /// The absolute path of the file that was read, for CONFIG REWRITE.
    let file: String?
    /// Settings without use that somebody set; the log has named those up to now.
    private(set) var unusedInUse: [String]
    /// Carries out a change; throwing undoes the whole CONFIG SET. The settings before the change come along.
    var apply: ((SettingEffect, _ old: Settings) throws(SettingError) -> Void)?
    /// Says that a setting without use was set, once for each.
    var onUnused: ((String) -> Void)?

    init(_ settings: Settings = Settings(), file: String? = nil, unused: [String] = []) {
        self.settings = settings
        self.file = file
        unusedInUse = unused
    }

    /// Goes to `dir`, which from now on is an absolute path. Once, before files are opened.
    func enterDirectory() throws(SettingError) {
        if !settings.directory.isEmpty, chdir(settings.directory) != 0 {
            throw SettingError("Can't chdir to '\(settings.directory)': \(String(cString: strerror(errno)))")
        }
        settings.directory = currentDirectory()
    }

    /// Replication commands change these without CONFIG SET.
    func setMaster(_ master: HostAndPort?) { settings.replicaOf = master }

    // MARK: - CONFIG GET

    /// Names and values of what any of `patterns` matches, each once, in the table's order.
    func get(_ patterns: [Bytes]) -> [(name: String, value: String)] {
        var found: [(name: String, value: String)] = []
        for setting in SettingTable.all {
            for name in [setting.name, setting.alias].compactMap({ $0 }) {
                if patterns.contains(where: { matches($0, name, hidden: setting.flags.contains(.hidden)) }) {
                    found.append((name, setting.value(in: settings)))
                }
            }
        }
        return found
    }

    private func matches(_ pattern: Bytes, _ name: String, hidden: Bool) -> Bool {
        var name = name
        return name.withUTF8 { utf8 in
            guard let base = utf8.baseAddress else { return false }
            let bytes = Bytes(base, utf8.count)
            if hidden && pattern.buffer.contains(where: { "*?[".utf8.contains($0) }) { return false }
            return stringmatch(pattern, bytes, ignoringCase: true)
        }
    }

    // MARK: - CONFIG SET

    /// Sets all of `pairs` or none. `isTrusted`: may change protected settings; `isLoading`: only those that loading
    /// allows. The error's message is the reply, without "ERR ".
    func set(_ pairs: [(name: String, value: String)], isTrusted: Bool, isLoading: Bool = false)
        throws(SettingError)
    {
        var next = settings
        var rows: [Setting] = []
        var names: Set<String> = []
        for (name, _) in pairs {
            let key = name.lowercased()
            guard let setting = SettingTable.byName[key] else {
                throw SettingError("Unknown option or number of arguments for CONFIG SET - '\(name)'")
            }
            if setting.flags.contains(.startupOnly) { throw Self.failed(name, "can't set immutable config") }
            if setting.flags.contains(.protected) && !isTrusted {
                throw Self.failed(name, "can't set protected config")
            }
            if setting.flags.contains(.notWhileLoading) && isLoading {
                throw Self.failed(name, "can't set this config while loading")
            }
            if !names.insert(key).inserted { throw Self.failed(name, "duplicate parameter") }
            rows.append(setting)
        }
        for (setting, pair) in zip(rows, pairs) {
            do {
                try setting.set(&next, [pair.value], .command)
            } catch {
                throw Self.failed(pair.name, error.message)
            }
        }
        try carryOut(next, rows, pairs.map(\.name))
        for setting in rows where setting.flags.contains(.unused) && !unusedInUse.contains(setting.name) {
            unusedInUse.append(setting.name)
            onUnused?(setting.name)
        }
    }

    /// Puts `next` in place and tells those whom it concerns; puts the old values back when one of them refuses.
    private func carryOut(_ next: Settings, _ rows: [Setting], _ names: [String]) throws(SettingError) {
        let old = settings
        settings = next
        var done: [SettingEffect] = []
        for (setting, name) in zip(rows, names) {
            guard let effect = setting.effect, !done.contains(effect), setting.words(old) != setting.words(next) else {
                continue
            }
            done.append(effect)
            do {
                try apply?(effect, old)
            } catch {
                settings = old
                // What was carried out goes back; that it worked before is all that can be said for it.
                for effect in done.reversed() { try? apply?(effect, next) }
                throw Self.failed(name, error.message)
            }
        }
    }

    private static func failed(_ name: String, _ message: String) -> SettingError {
        SettingError("CONFIG SET failed (possibly related to argument '\(name)') - \(message)")
    }
}
