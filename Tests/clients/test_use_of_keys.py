"""What counts as use of a key: after each command the idle times of all keys are compared with redis-server's."""

import pytest

from every_command import KEYS, LINES, dumped, restore
from oracle import start_redis


@pytest.fixture(scope="module")
def oracle_server():
    """Of its own: small integers are shared objects there, which look unused for as long as the server has run."""
    server = start_redis()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def payloads(oracle_server):
    return dumped(oracle_server)


def used(connection, payloads, command):
    """What the command leaves: for each key, whether it was used just now; None where it is gone."""
    restore(connection, payloads)
    connection.call(*command)
    replies = connection.pipeline([["UNWATCH"]] + [["OBJECT", "IDLETIME", key] for key in KEYS])[1:]
    return {key: int(reply[1:]) < 500 if reply[:1] == b":" else None for key, reply in zip(KEYS, replies)}


@pytest.mark.parametrize("command", LINES, ids=" ".join)
def test_the_same_commands_count_as_use(both, payloads, command):
    ours, oracles = (used(connection, payloads, command) for connection in (both.swiftlet, both.oracle))
    if command[0] == "RANDOMKEY":
        # Which key it is differs, but not how many are used.
        assert list(ours.values()).count(True) == list(oracles.values()).count(True)
        return
    assert ours == oracles
