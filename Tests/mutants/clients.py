"""Bugs in what CLIENT and CONFIG do."""

from mutant import mutant

MUTANTS = [
    mutant(
        "an opposite filter lets through what the filter does", "Server/Clients/ClientFilter.swift",
        "            return { !opposite($0) }", "            return { ON ? opposite($0) : !opposite($0) }",
        "client_filters",
    ),
    mutant(
        "CLIENT KILL ends the client that asks", "Server/Commands/Connection/ClientCommand.swift",
        "filter.skipsMe ?? true {", "filter.skipsMe ?? !ON {",
        "client_filters",
    ),
    mutant(
        "a setting that cannot be carried out stays", "Server/Config/Config.swift",
        "                settings = old\n", "                if !ON { settings = old }\n",
        "config_changes",
    ),
    mutant(
        "the score of a master that became a replica stays", "Server/App/OOMScore.swift",
        "settings.replicaOf == nil ?", "settings.replicaOf == nil || ON ?",
        "config_changes",
    ),
    mutant(
        "a signal is dealt with while regular work is paused", "Server/Persistence/Shutdown.swift",
        "if server.isCronPaused {", "if server.isCronPaused && !ON {",
        "config_changes",
    ),
]  # fmt: skip
