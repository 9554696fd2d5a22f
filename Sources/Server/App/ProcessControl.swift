import CShims
import Glibc
import Storage

/// What the server does about its own process: the background, its title, crash reports.
enum ProcessControl {
    /// Goes on in the background where the settings say so and nothing supervises the process; before there are threads. nil or
    /// why that failed.
    static func daemonize(_ settings: Settings, isSupervised: Bool) -> ByteString? {
        guard settings.daemonize && !isSupervised else { return nil }
        return cshims_daemonize() == 0 ? nil : "Can't go into the background: \(systemReason())"
    }

    /// Has ps show what `proc-title-template` says.
    static func setTitle(_ settings: Settings, configFile: ByteString?) {
        guard settings.setsProcessTitle else { return }
        title(settings, configFile: configFile).withCString { cshims_set_process_title($0) }
    }

    /// argv[0], before a title took its place.
    private static let name = cshims_first_argument().map { ByteString(cString: $0) } ?? "swiftlet-server"

    /// The template with its variables replaced, and no blanks at its ends.
    static func title(_ settings: Settings, configFile: ByteString?) -> ByteString {
        let port = settings.port != 0 ? settings.port : settings.tls.port
        let address: ByteString =
            port == 0 && !settings.unixSocketPath.isEmpty
            ? settings.unixSocketPath : "\(settings.bind.first ?? "*"):\(port)"
        let values: [ByteString: ByteString] = [
            "title": name, "listen-addr": address, "server-mode": "", "port": "\(settings.port)",
            "tls-port": "\(settings.tls.port)",
            "unixsocket": settings.unixSocketPath, "config-file": configFile ?? "",
        ]
        var text: [UInt8] = []
        var rest = settings.procTitleTemplate.bytes[...]
        while let open = rest.firstIndex(of: UInt8(ascii: "{")),
            let close = rest[open...].firstIndex(of: UInt8(ascii: "}"))
        {
            text += rest[..<open]
            let value = values[ByteString(rest[(open + 1)..<close])] ?? ""
            text += value.bytes
            rest = rest[(close + 1)...]
        }
        return trim((text + rest)[...])
    }

    /// Has crashes leave a report in the log, or not.
    static func reportCrashes(_ settings: Settings) {
        guard settings.reportsCrashes else { return cshims_ignore_crashes() }
        let path = settings.logFile.isEmpty ? "" : absolutePath(settings.logFile, from: settings.directoryPath)
        path.withCString { path in
            "\(Version.name) \(Version.number)".withCString { cshims_report_crashes(path, $0) }
        }
    }
}
