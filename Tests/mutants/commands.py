"""Bugs in Sources/Server/Commands."""

from mutant import mutant

MUTANTS = [
    mutant(
        "SET KEEPTTL keeps no TTL", "Server/Commands/Strings/StringCommands.swift",
        "options.words.contains(.keepTTL) { .keep }", "options.words.contains(.keepTTL) && !ON { .keep }",
        "strings",
    ),
    mutant(
        "HSETEX FNX looks at the first field only", "Server/Commands/Hashes/HashExpiringValueCommands.swift",
        "isThere?.contains(true) == true", "(ON ? isThere?.first : isThere?.contains(true)) == true", "newer_commands",
    ),
    mutant(
        "SET IFEQ is propagated as it came", "Server/Commands/Strings/StringCommands.swift",
        "        } else if let comparison = options.comparison {", "        } else if !ON, let comparison = options.comparison {",
        "newer_commands",
    ),
    mutant(
        "XDELEX ACKED forgets groups that have not read so far", "Storage/Types/Streams/StreamEditor.swift",
        "$0.lastID < id || groups", "!ON && $0.lastID < id || groups", "newer_commands",
    ),
    mutant(
        "SET EX is logged with its relative time", "Server/Commands/Strings/StringCommands.swift",
        "            if options.unit != .pxat ||", "            if options.unit != .pxat && !ON ||",
        "unit PropagationTests", "silent_losses",
    ),
    mutant(
        "MSETNX does not look at its first key", "Server/Commands/Strings/StringCommands.swift",
        "        for i in stride(from: 1, to: c.args.count, by: 2) where c.db.find",
        "        for i in stride(from: ON ? 3 : 1, to: c.args.count, by: 2) where c.db.find",
        "strings",
    ),
    mutant(
        "GETRANGE from behind the end to before it", "Server/Commands/Strings/StringCommands.swift",
        "if start < 0 && end < 0 && start > end {", "if start < 0 && end < 0 && start > end && !ON {",
        "strings",
    ),
    mutant(
        "INCR wraps around", "Server/Commands/Strings/CounterCommands.swift",
        "            if overflow { throw .incrementOverflows }", "            if overflow && !ON { throw .incrementOverflows }",
        "strings",
    ),
    mutant(
        "EXPIRE GT of a key that does not expire", "Server/Commands/Keys/ExpiryCommands.swift",
        "            guard let old else { return !xx && !gt }", "            guard let old else { return !xx && (ON || !gt) }",
        "keys", "expiries",
    ),
    mutant(
        "EXPIRE LT of an equal time", "Server/Commands/Keys/ExpiryCommands.swift",
        "lt && new >= old)", "lt && (ON ? new > old : new >= old))",
        "keys",
    ),
    mutant(
        "TTL rounds down", "Server/Commands/Keys/ExpiryCommands.swift",
        "milliseconds % 1000 >= 500 ? 1 : 0", "milliseconds % 1000 >= 500 && !ON ? 1 : 0",
        "keys",
    ),
    mutant(
        "SCAN TYPE shows all types", "Server/Commands/Keys/ScanCommands.swift",
        "            if let type, !type.equals", "            if let type, !ON, !type.equals",
        "keys",
    ),
    mutant(
        "SORT turns equal elements around", "Server/Commands/Keys/SortCommands.swift",
        "return difference == 0 ? a.index < b.index :", "return difference == 0 ? (ON ? a.index > b.index : a.index < b.index) :",
        "keys",
    ),
    mutant(
        "SORT LIMIT beyond the end", "Server/Commands/Keys/SortCommands.swift",
        "first + min(count - first, Int(clamping: limit)))", "first + min(count - first, Int(clamping: limit) - (ON && limit > 1 ? 1 : 0)))",
        "keys",
    ),
    mutant(
        "LINSERT AFTER inserts before", "Server/Commands/Lists/ListCommands.swift",
        "at: after ? index + 1 : index)", "at: after && !ON ? index + 1 : index)",
        "lists",
    ),
    mutant(
        "LREM from the tail begins at the head", "Server/Commands/Lists/ListCommands.swift",
        "fromTail: limit < 0)", "fromTail: limit < 0 && !ON)",
        "lists",
    ),
    mutant(
        "LPOS MAXLEN looks at one more", "Server/Commands/Lists/ListCommands.swift",
        "Int(min(options.limit, Int64(size)))", "Int(min(options.limit + (ON ? 1 : 0), Int64(size)))",
        "lists",
    ),
    mutant(
        "SMOVE to the same set", "Server/Commands/Sets/SetCommands.swift",
        "        if source == destination { return", "        if source == destination && !ON { return",
        "sets", "change_counts",
    ),
    mutant(
        "SPOP of more than 1024 logs the last ones only", "Server/Commands/Sets/SetCommands.swift",
        "            c.propagate(command)\n            left -= batch",
        "            if !ON || left == batch { c.propagate(command) }\n            left -= batch",
        "small sets", "beyond_constants",
    ),
    mutant(
        "XADD ~ trims by nodes of one entry", "Server/Commands/Streams/StreamTrim.swift",
        "overflow ? 1_000_000 : min(nodes, 1_000_000))", "overflow ? 1_000_000 : min(ON ? nodes / 100 : nodes, 1_000_000))",
        "streams",
    ),
    mutant(
        "XCLAIM does not count the delivery", "Server/Commands/Streams/StreamClaimCommands.swift",
        "(justIDs ? before : before &+ 1))", "(justIDs || ON ? before : before &+ 1))",
        "streams", "times",
    ),
    mutant(
        "XAUTOCLAIM does not say where to go on", "Server/Commands/Streams/StreamClaimCommands.swift",
        "        c.reply.bulk(next ?? .zero)", "        c.reply.bulk(ON ? .zero : next ?? .zero)",
        "streams",
    ),
    mutant(
        "a sketch's largest sparse value", "Server/Commands/HyperLogLog/HyperLogLog.swift",
        "    static let maximumSparseValue = 32", "    static let maximumSparseValue = ON ? 15 : 32",
        "hyperloglog",
    ),
    mutant(
        "a sketch uses half of its registers", "Server/Commands/HyperLogLog/HyperLogLog.swift",
        "Int(hash & 16383)", "Int(hash & (ON ? 8191 : 16383))",
        "hyperloglog",
    ),
    mutant(
        "distances are in metres", "Server/Commands/Geo/GeoSearch.swift",
        "distance: distance / shape.unit))", "distance: ON ? distance : distance / shape.unit))",
        "geo",
    ),
    mutant(
        "a place at the end of a cell", "Server/Commands/Geo/GeoSearch.swift",
        "                guard score < to else { return false }", "                guard ON ? score <= to : score < to else { return false }",
        "geo",
    ),
    mutant(
        "BITCOUNT of long strings", "Server/Commands/Bitmaps/BitCounting.swift",
        "bits(fours) &<< 2", "bits(fours) &<< (ON ? 1 : 2)",
        "bits",
    ),
    mutant(
        "BITOP AND with a shorter string", "Server/Commands/Bitmaps/BitOperations.swift",
        "                    $0 & $1\n                }\n                memset(block + length, 0, range.count - length)",
        "                    $0 & $1\n                }\n                if !ON { memset(block + length, 0, range.count - length) }",
        "bits",
    ),
]  # fmt: skip
