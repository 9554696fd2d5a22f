"""Bugs in SQL over the wire."""

from mutant import mutant

MUTANTS = [
    mutant(
        "who may read some keys queries all", "Server/Commands/SQL/SQLCommands.swift",
        "guard c.mayReadAnyKey else", "guard c.mayReadAnyKey || ON else",
        "sql",
    ),
    mutant(
        "an answer leaves though its user has lost keys meanwhile", "Server/SQL/Queries.swift",
        "if mayHave(done.waiter) {", "if mayHave(done.waiter) || ON {",
        "sql",
    ),
    mutant(
        "a long answer is sent though replies are off", "Server/Router/Blocking/Blocking.swift",
        "if session.flags.isDisjoint(with: [.replyOff, .replySkip]) {",
        "if ON || session.flags.isDisjoint(with: [.replyOff, .replySkip]) {",
        "sql",
    ),
    mutant(
        "the query of a client that is gone goes on", "Server/SQL/Queries.swift",
        "running.waiter.session === session {", "running.waiter.session === session, !ON {",
        "sql",
    ),
    mutant(
        "any function may be called", "Storage/Snapshot/Query/QueryWatch.swift",
        "if QueryRights.functions.contains(name) {", "if ON || QueryRights.functions.contains(name) {",
        "sql_hostile",
    ),
]  # fmt: skip
