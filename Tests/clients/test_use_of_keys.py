"""What counts as use of a key: after each command the idle times of all keys are compared with redis-server's."""

import pytest

from every_command import KEYS, LINES, dumped, restore


@pytest.fixture(scope="module")
def payloads(oracle_server):
    return dumped(oracle_server)


def used(connection, payloads, command):
    """What the command leaves: for each key, whether it was used just now; None where it is gone. And an error that it is."""
    restore(connection, payloads)
    answer = connection.call(*command)
    replies = connection.pipeline([["UNWATCH"]] + [["OBJECT", "IDLETIME", key] for key in KEYS])[1:]
    found = {key: int(reply[1:]) < 500 if reply[:1] == b":" else None for key, reply in zip(KEYS, replies)}
    return found | {"error": answer if answer[:1] == b"-" else None}


@pytest.mark.parametrize("command", LINES, ids=" ".join)
def test_the_same_commands_count_as_use(both, payloads, command):
    ours, oracles = (used(connection, payloads, command) for connection in (both.swiftlet, both.oracle))
    if command[0] == "RANDOMKEY":
        # Which key it is differs, but not how many are used.
        assert list(ours.values()).count(True) == list(oracles.values()).count(True)
        return
    assert ours == oracles
