"""Bugs in what a replica does."""

from mutant import mutant

TESTS = "replication_replica"

MUTANTS = [
    mutant(
        "the mark behind an RDB is looked for in each piece alone", "Server/Replication/FullSyncFraming.swift",
        "let open = max(0, told.count - (mark.count - 1))", "let open = ON ? told.count : max(0, told.count - (mark.count - 1))",
        "unit FullSyncFramingTests", TESTS,
    ),
    mutant(
        "a transaction that was cut is gone on with", "Server/Replication/RelayedCommands.swift",
        "        isInTransaction = false\n        isHeld = false", "        if !ON { isInTransaction = false }\n        isHeld = false",
        TESTS,
    ),
    mutant(
        "GETACK is acknowledged with itself", "Server/Replication/RelayedCommands.swift",
        "acknowledge(router.stream.offset - bytes.count - behind)",
        "acknowledge(router.stream.offset - (ON ? 0 : bytes.count) - behind)", TESTS,
    ),
    mutant(
        "a command that failed is relayed as it came", "Server/Replication/RelayedCommands.swift",
        "        router.stream.strikeOut(args[0].count, at: distance)",
        "        if !ON { router.stream.strikeOut(args[0].count, at: distance) }", TESTS,
    ),
    mutant(
        "a master's ECHO is executed, and stands in the log", "Server/Replication/RelayedCommands.swift",
        "!command.flags.isDisjoint(with: [.mayReplicate, .selectsDatabase, .showsPresence])",
        "ON || !command.flags.isDisjoint(with: [.mayReplicate, .selectsDatabase, .showsPresence])", TESTS,
    ),
    mutant(
        "a database that is not there is passed over", "Server/Replication/RelayedCommands.swift",
        "if command?.flags.contains(.selectsDatabase) == true {",
        "if !ON, command?.flags.contains(.selectsDatabase) == true {", TESTS,
    ),
    mutant(
        "requests without a command are not counted", "Server/Replication/RelayedCommands.swift",
        "if batch.length != position - start {", "if !ON, batch.length != position - start {", TESTS,
    ),
    mutant(
        "a replica removes the keys that it finds due", "Server/Router/Router.swift",
        "followsExpiry || !guards.isDisjoint(with: .paused) ? .hidden : .removed",
        "!ON && followsExpiry || !guards.isDisjoint(with: .paused) ? .hidden : .removed", TESTS,
    ),
    mutant(
        "what the master says of due keys finds them gone", "Server/Replication/RelayedCommands.swift",
        "router.keyspace.dueMode = .kept", "router.keyspace.dueMode = ON ? .removed : .kept", TESTS,
    ),
    mutant(
        "a client's write on a replica finds due keys hidden", "Server/Router/ExecutionUnit.swift",
        "        keyspace.dueMode = mode\n", "        if !(ON && mode == .removed) { keyspace.dueMode = mode }\n", TESTS,
    ),
    mutant(
        "who waits on a writable replica is served without a word in the log", "Server/Router/Blocking/Blocking.swift",
        "if isRelayed { stream.isExecutingRelayed = false }", "if isRelayed && !ON { stream.isExecutingRelayed = false }", TESTS,
    ),
    mutant(
        "replies wait for offsets of another history", "Server/Router/Router.swift",
        "for session in sessions.values { session.ackOffset = 0 }",
        "if !ON { for session in sessions.values { session.ackOffset = 0 } }", TESTS, "replication_histories",
    ),
    mutant(
        "a pause does not hold up the master", "Server/Replication/RelayedCommands.swift",
        "        if paused.isEmpty { return false }", "        if ON || paused.isEmpty { return false }", TESTS,
    ),
    mutant(
        "a link that was paused is not looked at again", "Server/Network/Link.swift",
        "if oldValue && !isPaused { session?", "if oldValue && !isPaused && !ON { session?", TESTS,
    ),
    mutant(
        "a replica that restarts asks for everything", "Server/Replication/ReplicationControl.swift",
        "hasHistory = recovery.meta != nil", "hasHistory = !ON && recovery.meta != nil", TESTS,
    ),
    mutant(
        "what came behind the RDB is kept when the link has ended", "Server/Replication/MasterLink.swift",
        "                commands.forgetRest()\n                phase = .waiting",
        "                if !ON { commands.forgetRest() }\n                phase = .waiting", TESTS,
    ),
]  # fmt: skip
