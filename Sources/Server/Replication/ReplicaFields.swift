import Storage

/// What INFO and ROLE tell about the link to a master.
extension MasterLink {
    /// The fields of INFO's section `replication` that replicas have behind `role`, in Redis's order.
    var fields: [(name: StaticString, value: String)] {
        let settings = router.config.settings
        var fields: [(name: StaticString, value: String)] = [
            ("master_host", host), ("master_port", "\(port)"), ("master_link_status", isUp ? "up" : "down"),
            ("master_last_io_seconds_ago", "\(secondsSinceHeard)"), ("master_sync_in_progress", isSyncing ? "1" : "0"),
            ("slave_read_repl_offset", "\(readOffset)"), ("slave_repl_offset", "\(executedOffset)"),
        ]
        if isSyncing {
            let total = transfer?.totalBytes ?? 0
            let received = transfer?.receivedBytes ?? 0
            let hundredths = total > 0 ? Int(Double(received) / Double(total) * 10_000) : 0
            let fraction = hundredths % 100
            fields += [
                ("master_sync_total_bytes", "\(total)"), ("master_sync_read_bytes", "\(received)"),
                ("master_sync_left_bytes", "\(total - received)"),
                ("master_sync_perc", "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction)"),
                ("master_sync_last_io_seconds_ago", "\(secondsSinceTransfer)"),
            ]
        }
        if !isUp {
            let since = downSince.map { max(0, wallClockMilliseconds() / 1000 - $0) } ?? -1
            fields.append(("master_link_down_since_seconds", "\(since)"))
        }
        fields += [
            ("slave_priority", "\(settings.replicaPriority)"),
            ("slave_read_only", settings.replicaReadOnly ? "1" : "0"),
            ("replica_announced", settings.replicaAnnounced ? "1" : "0"),
        ]
        return fields
    }
}
