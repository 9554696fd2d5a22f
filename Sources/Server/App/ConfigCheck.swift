import Glibc
import Storage

/// `swiftlet-server --check-config`: reads a configuration as a start would, says all that is wrong with it, and starts
/// nothing.
enum ConfigCheck {
    static let option: ByteString = "--check-config"

    /// What stands on standard output, and whether a server would start. `arguments` are those of a start.
    static func run(_ arguments: [ByteString]) -> (lines: [ByteString], isGood: Bool) {
        let faults = ConfigFaults()
        var notes: [ByteString] = []
        do throws(ConfigError) {
            let config = try Launcher.config(arguments, faults: faults)
            faults.lines += unusable(config.settings) + unusableFiles(config)
            notes += Server.remarks(on: config).map { "note: \($0.text)" }
        } catch {
            faults.lines.append(error.summary)
        }
        let count = faults.lines.count
        let verdict: ByteString =
            count == 0
            ? "The configuration is good" : "\(count) \(count == 1 ? "fault" : "faults"): a server would not start"
        return (faults.lines + notes + [verdict], count == 0)
    }

    /// Files that a start would make, where they cannot be made.
    private static func unusable(_ settings: Settings) -> [ByteString] {
        let directory = settings.directoryPath.isEmpty ? currentDirectory() : settings.directoryPath
        var faults: [ByteString] = []
        if !isWritable(directory) { faults.append("dir: can't write to '\(directory)': \(systemReason())") }
        if !settings.logFile.isEmpty {
            let path = absolutePath(settings.logFile, from: directory)
            let isThere = path.withCString { access($0, F_OK) } == 0
            if !isWritable(isThere ? path : folder(of: path)) {
                faults.append("logfile: can't write '\(path)': \(systemReason())")
            }
        }
        return faults
    }

    /// Files that a start would read, where they cannot be used: users, certificates.
    private static func unusableFiles(_ config: Config) -> [ByteString] {
        var faults: [ByteString] = []
        do throws(SettingError) {
            // Relative names count from there.
            try config.enterDirectory()
            try Server(config: config).router.declareUsers()
        } catch {
            faults.append(error.message)
        }
        guard config.settings.tls.isUsed else { return faults }
        do throws(TLSError) {
            try Certificates(Logger(level: .nothing)).read(config.settings.tls)
        } catch {
            faults.append("TLS: \(error.message)")
        }
        return faults
    }

    private static func isWritable(_ path: ByteString) -> Bool { path.withCString { access($0, W_OK) } == 0 }

    private static func folder(of path: ByteString) -> ByteString {
        let end = path.bytes.lastIndex(of: UInt8(ascii: "/")) ?? 0
        return end == 0 ? "/" : ByteString(path.bytes.prefix(end))
    }
}
