"""`rdb_changes_since_last_save` after each write is compared with redis-server's: save points go by it."""

import re

import pytest

from every_command import LINES, MORE_LINES, dumped, restore
from generator import Generator, Plain
from oracle import start_redis, start_swiftlet
from seed import new_seed

# Save points that are never due: FLUSHALL saves only where there are some.
NEVER = ("--save", "100000000 1000000000")

# Counted by 7.2, as here, and not by the oracle, with how much more: a consumer is made although no entry is claimed.
NEWER = {"XCLAIM x g d 0 9-9 FORCE": 1}


def changes(connection):
    """None within MULTI."""
    found = re.search(rb"rdb_changes_since_last_save:(\d+)", connection.call("INFO", "persistence"))
    return int(found.group(1)) if found else None


def counted(connection, *command):
    before = changes(connection)
    connection.call(*command)
    return changes(connection) - before


@pytest.fixture(scope="module")
def payloads(oracle_server):
    return dumped(oracle_server)


@pytest.mark.parametrize("command", LINES + MORE_LINES, ids=" ".join)
def test_a_command_counts_as_in_redis(both, payloads, command):
    found = []
    for connection in (both.swiftlet, both.oracle):
        restore(connection, payloads)
        found.append(counted(connection, *command))
    assert found[0] == found[1] + NEWER.get(" ".join(command), 0)


def test_random_commands_count_as_in_redis(swiftlet_server, oracle_server):
    generator = Generator(new_seed())
    connections = [swiftlet_server.connect(), oracle_server.connect()]
    for connection in connections:
        connection.call("FLUSHALL")
    before = [changes(connection) for connection in connections]
    executed = []
    while len(executed) < 3000:
        unit = generator.unit()
        if not isinstance(unit, Plain):
            continue
        for args, _ in unit.commands:
            executed.append(args)
            for connection in connections:
                connection.call(*args)
            after = [changes(connection) for connection in connections]
            if None in after:
                continue
            assert after[0] - before[0] == after[1] - before[1], "\n".join(map(str, executed[-14:]))
            before = after


def test_what_waiting_clients_take_counts(both, swiftlet_server, oracle_server):
    """The push and the pop that it serves."""
    found = []
    for connection, server in ((both.swiftlet, swiftlet_server), (both.oracle, oracle_server)):
        waiting = server.connect()
        connection.call("XGROUP", "CREATE", "x", "g", "$", "MKSTREAM")
        counts = []
        for wait, serve in (
            (["BLPOP", "a", 0], ["RPUSH", "a", 1, 2]),
            (["BLMOVE", "b", "c", "LEFT", "LEFT", 0], ["RPUSH", "b", 1, 2]),
            (["BLMPOP", 0, 1, "d", "LEFT", "COUNT", 2], ["RPUSH", "d", 1, 2]),
            (["BZPOPMIN", "z", 0], ["ZADD", "z", 1, "a", 2, "b"]),
            (["BZMPOP", 0, 1, "y", "MAX", "COUNT", 2], ["ZADD", "y", 1, "a", 2, "b"]),
            (["XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", "x", ">"], ["XADD", "x", "*", "f", "v"]),
        ):
            waiting.send(*wait)
            while b"blocked_clients:1" not in connection.call("INFO", "clients"):
                pass
            counts.append(counted(connection, *serve))
            waiting.reply()
        waiting.close()
        found.append(counts)
    # 7.2 executes the waiting command, which counts; the oracle does not count what BLPOP and BLMOVE take.
    assert found[0] == [count + more for count, more in zip(found[1], [1, 1, 0, 0, 0, 0])]


def test_keys_that_expire_do_not_count(both):
    found = []
    for connection in (both.swiftlet, both.oracle):
        connection.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        before = changes(connection)
        connection.call("SET", "k", 1, "PX", 1)
        while connection.call("EXISTS", "k") != b":0\r\n":
            pass
        found.append(changes(connection) - before)
        connection.call("DEBUG", "SET-ACTIVE-EXPIRE", 1)
    assert found == [1, 1]


def test_flushall_saves_where_there_are_save_points():
    """Then nothing is left to be saved, as FLUSHALL is in the snapshot too."""
    for start in (start_swiftlet, start_redis):
        server = start(*NEVER)
        try:
            connection = server.connect()
            connection.pipeline([["SET", f"k{i}", i] for i in range(100)])
            connection.call("SAVE")
            connection.pipeline([["SET", f"k{i}", i] for i in range(200)])
            connection.call("FLUSHALL")
            assert changes(connection) == 0
            connection.call("SET", "k", 1)
            assert changes(connection) == 1
            while b"rdb_bgsave_in_progress:1" in connection.call("INFO", "persistence"):
                pass
            assert changes(connection) <= 1
            connection.call("FLUSHALL")
            assert changes(connection) == 0
            connection.call("CONFIG", "SET", "save", "")
            connection.call("MSET", "a", 1, "b", 2)
            connection.call("FLUSHALL")
            assert changes(connection) == 4
        finally:
            server.stop()
