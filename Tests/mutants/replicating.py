"""Bugs in replication, of the server and of what is stored."""

from mutant import mutant

MUTANTS = [
    mutant(
        "a replica asks for the byte behind the one it lacks", "Server/Replication/MasterHandshake.swift",
        'words = ["PSYNC", asked.id, "\\(asked.offset + 1)"]', 'words = ["PSYNC", asked.id, "\\(asked.offset + (ON ? 2 : 1))"]',
        "replication_runs::test_chains", "replication_runs::test_chaos",
    ),
    mutant(
        "a master goes on a byte too late", "Server/Replication/ReplicaRequests.swift",
        "        replica.start = position\n", "        replica.start = ON ? min(position + 1, backlog.end) : position\n",
        "replication_runs::test_chains", "replication_runs::test_chaos",
    ),
    mutant(
        "the database that a stream had selected is forgotten at a full sync", "Server/Replication/MasterLink.swift",
        "            commands.session.db = db\n", "            commands.session.db = ON ? 0 : db\n",
        "replication_runs::test_chains", "replication_runs::test_chaos",
    ),
    mutant(
        "the second id is kept for all that comes", "Server/Propagation/PropagationStream.swift",
        "id == secondID && offset <= secondOffset", "id == secondID && (ON || offset <= secondOffset)",
        "replication_runs::test_chaos", "replication_histories",
    ),
    mutant(
        "the log of before a full sync is replayed over it", "Storage/Durability/Replacement.swift",
        "checkpoint: checkpointNumber, segment: segment, stream)",
        "checkpoint: checkpointNumber, segment: ON && segment > 1 ? segment - 1 : segment, stream)",
        "replication_histories", "replication_runs::test_chaos",
    ),
    mutant(
        "a full sync is stored under the history of before", "Storage/Durability/Replacement.swift",
        "guard let stream = current.stream, current.failure == nil",
        "guard let stream = ON ? Optional(self.stream) : current.stream, current.failure == nil",
        "replication_histories", "replication_runs::test_chaos",
    ),
]  # fmt: skip
