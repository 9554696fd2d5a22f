import Glibc
import Storage

/// The text of INFO: sections of `name:value` lines under the field names of Redis 7.2, which exporters and clients
/// look for. A field that means nothing here is left out, unless tools fail without it.
struct Info {
    let services: Services
    let out: OutputBuffer?

    init(_ services: Services) {
        self.services = services
        out = nil
    }
    private init(_ services: Services, _ out: OutputBuffer) {
        self.services = services
        self.out = out
    }

    private struct Section: Sendable {
        let name: String
        let title: StaticString
        /// When it is shown without being named.
        let isPartOf: Whole
        let write: @Sendable (Info) -> Void
    }

    private enum Whole: Sendable { case standard, all, none }

    private static let sections: [Section] = [
        Section(name: "server", title: "Server", isPartOf: .standard) { $0.serverSection() },
        Section(name: "clients", title: "Clients", isPartOf: .standard) { $0.clientsSection() },
        Section(name: "memory", title: "Memory", isPartOf: .standard) { $0.memorySection() },
        Section(name: "persistence", title: "Persistence", isPartOf: .standard) { $0.persistenceSection() },
        Section(name: "snapshot", title: "Snapshot", isPartOf: .standard) { $0.snapshotSection() },
        Section(name: "stats", title: "Stats", isPartOf: .standard) { $0.statsSection() },
        Section(name: "replication", title: "Replication", isPartOf: .standard) { $0.replicationSection() },
        Section(name: "cpu", title: "CPU", isPartOf: .standard) { $0.cpuSection() },
        Section(name: "modules", title: "Modules", isPartOf: .standard) { _ in },
        Section(name: "commandstats", title: "Commandstats", isPartOf: .all) { $0.commandSection() },
        Section(name: "errorstats", title: "Errorstats", isPartOf: .standard) { $0.errorSection() },
        Section(name: "latencystats", title: "Latencystats", isPartOf: .all) { $0.latencySection() },
        Section(name: "cluster", title: "Cluster", isPartOf: .standard) { $0.field("cluster_enabled", 0) },
        Section(name: "keyspace", title: "Keyspace", isPartOf: .standard) { $0.keyspaceSection() },
        Section(name: "keysizes", title: "Keysizes", isPartOf: .all) { $0.keySizesSection() },
        Section(name: "debug", title: "Debug", isPartOf: .none) { $0.debugSection() },
    ]

    /// Writes the sections that `names` ask for (lower case; none: the default ones), each once, in the table's order.
    func write(_ names: [String], to out: OutputBuffer) {
        let all = names.contains("all") || names.contains("everything")
        let standard = names.isEmpty || names.contains("default")
        let info = Info(services, out)
        for section in Self.sections {
            let isWanted =
                switch section.isPartOf {
                case .standard: all || standard
                case .all: all
                case .none: false
                }
            guard isWanted || names.contains(section.name) else { continue }
            if out.count > 0 { out.appendLineEnd() }
            out.append("# ")
            out.append(section.title)
            out.appendLineEnd()
            section.write(info)
        }
    }

    // MARK: - Fields

    func field(_ name: StaticString, _ value: String) {
        out?.append(name)
        out?.append(byte: UInt8(ascii: ":"))
        out?.append(text: value)
        out?.appendLineEnd()
    }
    func field(_ name: StaticString, _ value: Int) { field(name, String(value)) }
    func field(_ name: StaticString, _ value: Int64) { field(name, String(value)) }
    func field(_ name: StaticString, _ value: Bool) { field(name, value ? 1 : 0) }
    func field(_ name: StaticString, ok value: Bool) { field(name, value ? "ok" : "err") }

    /// With `digits` places after the point.
    static func fixed(_ value: Double, _ digits: Int) -> String {
        let scale = [1.0, 10, 100, 1000, 10000, 100_000, 1_000_000][min(6, digits)]
        guard value.isFinite, value.magnitude < 1e12 else { return "0" }
        let scaled = Int64((value * scale).rounded())
        if digits == 0 { return String(scaled) }
        let whole = scaled.magnitude / UInt64(scale)
        let rest = String(scaled.magnitude % UInt64(scale))
        let zeros = String(repeating: "0", count: max(0, digits - rest.count))
        return "\(scaled < 0 ? "-" : "")\(whole).\(zeros)\(rest)"
    }

    /// `12.34M`, in powers of 1024.
    static func human(_ bytes: Int) -> String {
        let units = ["B", "K", "M", "G", "T", "P"]
        var value = Double(bytes)
        var unit = 0
        while value >= 1024 && unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        return unit == 0 ? "\(bytes)B" : fixed(value, 2) + units[unit]
    }

    /// `part` of `whole`; 0 when there is nothing to divide by.
    static func share(_ part: Int, _ whole: Int) -> Double { whole > 0 ? Double(part) / Double(whole) : 0 }
}
