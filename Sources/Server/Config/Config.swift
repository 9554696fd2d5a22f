import Glibc
import Storage

/// The settings in force, and the ways to change them while the server runs. Confined to the loop.
final class Config {
    private(set) var settings: Settings
    /// The absolute path of the file that was read, for CONFIG REWRITE.
    let file: ByteString?
    /// The program's absolute path, as of the directory in which it was started.
    let executable = absolutePath(
        CommandLine.arguments.first.map { ByteString($0) } ?? "", from: currentDirectory())
    /// Carries out a change; throwing undoes the whole CONFIG SET. The settings before the change come along.
    var apply: ((SettingEffect, _ old: Settings) throws(SettingError) -> Void)?
    /// Says that CONFIG SET gave a setting without effect another value than the default.
    var onWithoutEffect: ((Setting) -> Void)?

    init(_ settings: Settings = Settings(), file: ByteString? = nil) {
        self.settings = settings
        self.file = file
    }

    /// The settings that nothing reads and that are not the default, in the table's order.
    var withoutEffect: [Setting] {
        let defaults = Settings()
        return SettingTable.all.filter { $0.flags.areWithoutEffect && $0.words(settings) != $0.words(defaults) }
    }

    /// Goes to `dir`, which from now on is an absolute path. Once, before files are opened.
    func enterDirectory() throws(SettingError) {
        let path = settings.directoryPath
        if !path.isEmpty, path.withCString({ chdir($0) }) != 0 {
            throw SettingError("Can't chdir to '\(path)': \(systemReason())")
        }
        settings.directoryPath = currentDirectory()
    }

    /// Replication commands change these without CONFIG SET.
    func setMaster(_ master: HostAndPort?) {
        let old = settings
        settings.replicaOf = master
        try? apply?(.oomScore, old)
    }

    /// The system has no descriptors for as many clients as the settings say.
    func lowerClientLimit(_ count: Int) { settings.maxClients = count }

    // MARK: - CONFIG GET

    /// Names and values of what any of `patterns` matches, each once, in the table's order.
    func get(_ patterns: [Bytes]) -> [(name: ByteString, value: ByteString)] {
        var found: [(name: ByteString, value: ByteString)] = []
        for setting in SettingTable.all {
            let hidden = setting.flags.contains(.hidden)
            for name in setting.names {
                if patterns.contains(where: { matches($0, name, hidden: hidden || name == setting.valkeyName) }) {
                    found.append((name, setting.value(in: settings)))
                }
            }
        }
        return found
    }

    private func matches(_ pattern: Bytes, _ name: ByteString, hidden: Bool) -> Bool {
        if hidden && pattern.buffer.contains(where: { "*?[".utf8.contains($0) }) { return false }
        return name.withBytes { stringmatch(pattern, $0, ignoringCase: true) }
    }

    // MARK: - CONFIG SET

    /// Sets all of `pairs` or none. `isTrusted`: may change protected settings; `isLoading`: only those that loading
    /// allows. The error's message is the reply, without "ERR ".
    func set(_ pairs: [(name: ByteString, value: ByteString)], isTrusted: Bool, isLoading: Bool = false)
        throws(SettingError)
    {
        var next = settings
        var rows: [Setting] = []
        var names: Set<ByteString> = []
        for (name, _) in pairs {
            let key = name.lowercased
            guard let setting = SettingTable.byName[key] else {
                let known = SettingTable.byName.keys
                throw SettingError(
                    "Unknown option or number of arguments for CONFIG SET - '\(name)'\(suggestion(for: name, among: known))"
                )
            }
            if setting.flags.contains(.startupOnly) { throw Self.failed(name, "can't set immutable config") }
            if setting.flags.contains(.protected) && !isTrusted {
                throw Self.failed(name, "can't set protected config")
            }
            if setting.flags.contains(.notWhileLoading) && isLoading {
                throw .loading
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
        let defaults = Settings()
        for setting in rows where setting.flags.areWithoutEffect && setting.words(settings) != setting.words(defaults) {
            onWithoutEffect?(setting)
        }
    }

    /// Puts `next` in place and tells the parts that it concerns; puts the old values back when one of them refuses.
    private func carryOut(_ next: Settings, _ rows: [Setting], _ names: [ByteString]) throws(SettingError) {
        let old = settings
        settings = next
        var done: [SettingEffect] = []
        for (setting, name) in zip(rows, names) {
            let isChanged = setting.flags.contains(.rereads) || setting.words(old) != setting.words(next)
            guard let effect = setting.effect, !done.contains(effect), isChanged else { continue }
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

    private static func failed(_ name: ByteString, _ message: ByteString) -> SettingError {
        SettingError("CONFIG SET failed (possibly related to argument '\(name)') - \(message)")
    }
}
