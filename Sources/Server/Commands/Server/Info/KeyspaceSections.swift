import Storage

/// Keyspace and Keysizes.
extension Info {
    func keyspaceSection() {
        // Half of the data says nothing.
        if services.guards.contains(.loading) { return }
        for database in services.keyspace.databases where database.count > 0 {
            out?.append(
                text:
                    "db\(database.index):keys=\(database.count),expires=\(database.expiringCount),"
                    + "avg_ttl=\(database.expiringCount > 0 ? averageTTL(database) : 0)")
            // Since Redis 7.4; left out where there are none, as readers of older formats expect three numbers.
            let subexpiry = database.hashesWithExpiringFields
            if subexpiry > 0 { out?.append(text: ",subexpiry=\(subexpiry)") }
            out?.appendLineEnd()
        }
    }

    /// Of a sample, in milliseconds: INFO must not walk a large database.
    private func averageTTL(_ database: Database) -> Int64 {
        var sum: Int64 = 0
        var found: Int64 = 0
        for _ in 0..<64 {
            guard let entry = database.sampleKey() else { break }
            if let expiry = database.expiry(of: entry) {
                sum = sum.addingReportingOverflow(max(0, expiry &- services.keyspace.now)).partialValue
                found += 1
            }
        }
        return found > 0 ? max(0, sum / found) : 0
    }

    /// A row for each database and type that has keys: `db0_distrib_lists_items:1=3,4=1`, three lists of one item and one of
    /// four to seven.
    func keySizesSection() {
        if services.guards.contains(.loading) { return }
        services.keySizes.request()
        for (database, sizes) in (services.keySizes.sizes ?? []).enumerated() {
            for type in KeySizes.types {
                let ranges = sizes.ranges(of: type).map { "\(Self.power($0.least))=\($0.keys)" }
                if ranges.isEmpty { continue }
                out?.append(
                    text: "db\(database)_distrib_\(Self.sizeName(of: type)):\(ranges.joined(separator: ","))\r\n")
            }
        }
    }

    private static func sizeName(of type: ValueType) -> String {
        switch type {
        case .string: "strings_sizes"
        case .list: "lists_items"
        case .set: "sets_items"
        case .zset: "zsets_items"
        case .hash: "hashes_items"
        case .stream: "streams_items"
        }
    }

    /// A power of two, or 0: `512`, `1K`, `2M`.
    private static func power(_ value: Int) -> String {
        let units = ["", "K", "M", "G", "T", "P", "E"]
        let unit = max(0, Int.bitWidth - 1 - max(1, value).leadingZeroBitCount) / 10
        return "\(value >> (unit * 10))\(units[unit])"
    }
}
