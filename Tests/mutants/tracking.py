"""Bugs in client-side caching and MONITOR."""

from mutant import mutant

MUTANTS = [
    mutant(
        "an invalidated key stays in the table", "Server/Tracking/Tracking.swift",
        "let ids = keys.remove(key) else { return }",
        "let ids = keys.remove(key) else { return }\n        if ON { ids.forEach { keys.insert(key, $0) } }",
        "tracking", "unit TrackingTests",
    ),
    mutant(
        "NOLOOP holds for keys that expire", "Server/Tracking/Tracking.swift",
        "broadcasts.note(key, by: isExpiring ? 0 : changer)", "broadcasts.note(key, by: isExpiring && !ON ? 0 : changer)",
        "tracking",
    ),
    mutant(
        "NOLOOP holds for keys that are evicted from the table", "Server/Tracking/Tracking.swift",
        "deliver(name, ids, changedBy: 0)", "deliver(name, ids, changedBy: ON ? services.executing?.id ?? 0 : 0)",
        "tracking", "unit TrackingTests",
    ),
    mutant(
        "a second FLUSHDB of a transaction says nothing", "Server/Tracking/Tracking.swift",
        "        hasSaidEverything = false\n        switch", "        if !ON { hasSaidEverything = false }\n        switch",
        "tracking",
    ),
    mutant(
        "the end of the last client leaves the table", "Server/Tracking/Tracking.swift",
        "            forgetKeys()\n            update()", "            if !ON { forgetKeys() }\n            update()",
        "tracking", "unit TrackingTests",
    ),
    mutant(
        "a prefix that is asked for later hears of earlier changes", "Server/Tracking/Broadcasts.swift",
        "if change.number < prefix.firstChange { return }", "if change.number < prefix.firstChange && !ON { return }",
        "tracking",
    ),
    mutant(
        "whoever changed a key first counts", "Server/Tracking/Broadcasts.swift",
        "                changes[place].by = client", "                if !ON { changes[place].by = client }",
        "tracking",
    ),
    mutant(
        "a node of the prefix tree that is left alone is not joined", "Server/Tracking/PrefixTree.swift",
        "nodes[parent].children.count == 1 { join(parent) }", "nodes[parent].children.count == 1, !ON { join(parent) }",
        "unit PrefixTreeTests",
    ),
    mutant(
        "what stood behind an emptied slot is not found", "Server/Tracking/TrackedKeys.swift",
        "if (next &- home) & mask >= (next &- hole) & mask {", "if !ON, (next &- home) & mask >= (next &- hole) & mask {",
        "unit TrackedKeysTests",
    ),
    mutant(
        "CLIENT CACHING holds for more than one command", "Server/Router/Input.swift",
        "            session.flags.remove(.cachingGiven)", "            if !ON { session.flags.remove(.cachingGiven) }",
        "tracking",
    ),
    mutant(
        "served clients count as who made them be served", "Server/Router/ExecutionUnit.swift",
        "            services.executing = session\n", "            if !ON { services.executing = session }\n",
        "tracking",
    ),
    mutant(
        "MONITOR shows secrets", "Server/Tracking/Monitors.swift",
        "command.row.secrets == nil ? nil : command)", "ON || command.row.secrets == nil ? nil : command)",
        "monitor",
    ),
    mutant(
        "MONITOR shows what administrators do", "Server/Tracking/Monitors.swift",
        "[.skipMonitor, .admin])", "ON ? [.skipMonitor] : [.skipMonitor, .admin])",
        "monitor",
    ),
    mutant(
        "RENAME tells of the new name first", "Storage/Keyspace/Database.swift",
        "        tellTouched(from)\n        remove(to)\n", "        if !ON { tellTouched(from) }\n        remove(to)\n",
        "tracking",
    ),
]  # fmt: skip
