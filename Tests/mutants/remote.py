"""Bugs of redis-migrate's restore and from, of payloads for other servers, and of MIGRATE to them."""

from mutant import mutant

MUTANTS = [
    mutant(
        "MIGRATE takes every target for a Redis", "Server/Transfer/TargetConnection.swift",
        "{ family = .valkey }", "{ family = ON ? .redis : .valkey }",
        "foreign_payloads",
    ),
    mutant(
        "payloads of Valkey 9 are foreign", "Storage/RDB/DumpPayload.swift",
        "|| valkeyVersions.contains(Int(version)),", "|| (valkeyVersions.contains(Int(version)) && !ON),",
        "unit ForeignPayloadTests", "foreign_payloads",
    ),
    mutant(
        "a payload's expiries count from the wrong field", "Storage/RDB/PayloadWriter.swift",
        "earliest = min(earliest ?? .max, expiry)", "earliest = ON ? expiry : min(earliest ?? .max, expiry)",
        "unit ForeignPayloadTests", "restore_into",
    ),
    mutant(
        "a resumed restore begins at the first key", "Migrate/Remote/RestoreSink.swift",
        "isSkipped = ordinal < journal.resumesAt", "isSkipped = ordinal < (ON ? 0 : journal.resumesAt)",
        "restore_into",
    ),
    mutant(
        "a resumed restore leaves half a value", "Migrate/Remote/RestoreSink.swift",
        "let isOurs = journal.partial == ordinal", "let isOurs = journal.partial == ordinal && !ON",
        "restore_into",
    ),
    mutant(
        "what was sent again counts as there before", "Migrate/Remote/RestoreSink.swift",
        "if request.isResent {", "if request.isResent && !ON {",
        "restore_into",
    ),
    mutant(
        "ASK is taken for MOVED", "Migrate/Remote/RemoteTarget.swift",
        "if redirection.isAsk {", "if redirection.isAsk && !ON {",
        "restore_into",
    ),
    mutant(
        "the mark behind a full synchronisation is data", "Migrate/Remote/ReplicaStream.swift",
        "            held.truncate(to: end)\n", "            if !ON { held.truncate(to: end) }\n",
        "from_server",
    ),
]  # fmt: skip
