"""Commands that wait: who is served with what and when, on both servers.

Nothing here sleeps: that a client waits is seen in CLIENT LIST, and who is to be served is served before the reply of the
command that did it, or right after it.
"""

import pathlib
import random
import re
import select
import time

import pytest

from oracle import Server, start_swiftlet, swiftlet_binary
from resp import Connection, bulks, integer
from seed import new_seed, seeded

PATIENCE = 20  # seconds


class Side:
    """The named clients of one server."""

    def __init__(self, port):
        self.port = port
        self.observer = Connection(port)
        self.observer.call("FLUSHALL")
        self.clients = {}
        self.ids = {}

    def __getitem__(self, name):
        if name not in self.clients:
            self.clients[name] = Connection(self.port)
            self.ids[name] = integer(self.clients[name].call("CLIENT", "ID"))
        return self.clients[name]

    def blocked(self):
        """Names of the clients that wait."""
        lines = self.observer.call("CLIENT", "LIST").decode().splitlines()
        ids = {int(m.group(1)) for line in lines if (m := re.search(r"id=(\d+) .*flags=\w*b", line))}
        return {name for name, id in self.ids.items() if id in ids}

    def settled(self, name):
        """Waits until the client's command is answered or waits; True when it waits."""
        deadline = time.monotonic() + PATIENCE
        connection = self[name]
        while time.monotonic() < deadline:
            if connection.start < len(connection.buffer) or select.select([connection.socket], [], [], 0)[0]:
                return False
            if name in self.blocked():
                return True
        raise AssertionError(f"client {name} has no answer and is not blocked")

    def close(self, name):
        self.clients.pop(name).close()
        self.ids.pop(name)

    def end(self):
        for connection in self.clients.values():
            connection.close()
        deadline = time.monotonic() + PATIENCE
        while integer_field(self.observer, "blocked_clients") > 0 and time.monotonic() < deadline:
            pass
        self.observer.call("FLUSHALL")
        self.observer.close()


def integer_field(connection, field):
    return int(re.search(rf"{field}:(\d+)".encode(), connection.call("INFO", "clients")).group(1))


class Stage:
    """Named clients, each of which is one on both servers; all replies are compared."""

    def __init__(self, swiftlet, oracle):
        self.sides = (Side(swiftlet.port), Side(oracle.port))

    def __call__(self, name, *args):
        self.send(name, *args)
        return self.reply(name)

    def send(self, name, *args):
        for side in self.sides:
            side[name].send(*args)

    def reply(self, name, note=""):
        got, expected = (side[name].reply() for side in self.sides)
        assert got == expected, f"{note}{name}: {got[:300]!r}, and the oracle {expected[:300]!r}"
        return got

    def block(self, name, *args):
        """A command that must wait."""
        self.send(name, *args)
        assert [side.settled(name) for side in self.sides] == [True, True], (name, args)

    def blocked(self):
        got, expected = (side.blocked() for side in self.sides)
        assert got == expected
        return got

    def until_blocked(self, count):
        deadline = time.monotonic() + PATIENCE
        while any(integer_field(side.observer, "blocked_clients") != count for side in self.sides):
            assert time.monotonic() < deadline

    def transaction(self, name, *commands):
        self(name, "MULTI")
        for command in commands:
            self(name, *command)
        return self(name, "EXEC")

    def digest(self):
        got, expected = (side.observer.call("DEBUG", "DIGEST") for side in self.sides)
        assert got == expected

    def client_id(self, name):
        return [side.ids[name] for side in self.sides]

    def each(self, name, *commands):
        """A call whose arguments differ between the servers."""
        got, expected = (side[name].call(*command) for side, command in zip(self.sides, commands))
        assert got == expected
        return got

    def close(self, name):
        for side in self.sides:
            side.close(name)


@pytest.fixture
def stage(swiftlet_server, oracle_server):
    stage = Stage(swiftlet_server, oracle_server)
    yield stage
    for side in stage.sides:
        side.end()


# What waits for key k, with timeout t; and with several keys.
LIST_WAITS = {
    "blpop": lambda t, *k: ("BLPOP", *k, t),
    "brpop": lambda t, *k: ("BRPOP", *k, t),
    "blmpop": lambda t, *k: ("BLMPOP", t, len(k), *k, "RIGHT", "COUNT", 2),
    "blmove": lambda t, *k: ("BLMOVE", k[0], "target", "LEFT", "RIGHT", t),
    "brpoplpush": lambda t, *k: ("BRPOPLPUSH", k[0], "target", t),
}
ZSET_WAITS = {
    "bzpopmin": lambda t, *k: ("BZPOPMIN", *k, t),
    "bzpopmax": lambda t, *k: ("BZPOPMAX", *k, t),
    "bzmpop": lambda t, *k: ("BZMPOP", t, len(k), *k, "MAX", "COUNT", 2),
}
WAITS = LIST_WAITS | ZSET_WAITS
SEVERAL = [name for name in WAITS if name not in ("blmove", "brpoplpush")]


def fill(name, key):
    """A command that makes key something for waiter `name`."""
    return ("RPUSH", key, "a", "b", "c") if name in LIST_WAITS else ("ZADD", key, 1, "a", 2, "b", 3, "c")


def misfit(name, key):
    return fill("bzpopmin" if name in LIST_WAITS else "blpop", key)


# MARK: What is answered


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("name", WAITS)
def test_replies(stage, name, protocol):
    wait = WAITS[name]
    for side in stage.sides:
        side["a"].call("HELLO", protocol)
    # At once, after the time, and within MULTI.
    stage("b", *fill(name, "k"))
    stage("a", *wait(0, "k"))
    stage("b", "DEL", "k")
    stage("a", *wait("0.01", "k"))
    stage.transaction("a", wait(0, "k"), ("SET", "s", "x"), wait(0, "s"))
    # Served.
    stage.block("a", *wait(0, "k"))
    stage("b", *fill(name, "k"))
    stage.reply("a")
    stage("a", "PING")
    stage.digest()


@pytest.mark.parametrize("name", WAITS)
def test_errors(stage, name):
    wait = WAITS[name]
    for timeout in ["-1", "-0.5", "abc", "", " 1", "1 ", "nan", "1e", "-1e30"]:
        assert stage("a", *wait(timeout, "k")).startswith(b"-ERR timeout is")
    # Here redis-server 7.0 has an overflow, and later ones this text.
    for timeout in ["1e300", "9223372036854775807", "0x7FFFFFFFFFFFFF", "inf"]:
        assert stage.sides[0]["a"].call(*wait(timeout, "k")) == b"-ERR timeout is out of range\r\n"
    stage("b", *misfit(name, "k"))
    stage("a", *wait(0, "k"))
    stage("b", "SET", "k", "x")
    stage("a", *wait(0, "k"))
    if name in SEVERAL:
        stage("b", *fill(name, "full"))
        stage("a", *wait(0, "k", "full"))
        stage("a", *wait(0, "none", "full", "k"))
    for timeout in ["-0.0001", "0x10", "7443000000000000"]:
        stage.block(f"t{timeout}", *wait(timeout, "k2"))


def test_wait_without_replicas(stage):
    stage("a", "WAIT", 0, 0)
    stage("a", "WAIT", -1, 0)
    stage("a", "WAIT", 1, 10)
    stage("a", "WAIT", "x", 10)
    stage("a", "WAIT", 1, "x")
    stage("a", "WAIT", 1, -1)
    stage.transaction("a", ("WAIT", 1, 0))
    stage.block("a", "WAIT", 1, 0)
    stage("b", "LPUSH", "k", "x")
    assert stage.blocked() == {"a"}


# MARK: Who is served


@pytest.mark.parametrize("name", WAITS)
def test_first_come_first_served(stage, name):
    for client in "abcde":
        stage.block(client, *WAITS[name](0, "k"))
    left = list("abcde")
    while left:
        stage("x", *fill(name, "k"))
        served = len(left) - len(stage.blocked())
        assert stage.blocked() == set(left[served:]) and served > 0
        for client in left[:served]:
            stage.reply(client)
        left = left[served:]
    stage.digest()


@pytest.mark.parametrize("name", SEVERAL)
def test_several_keys(stage, name):
    wait = WAITS[name]
    stage.block("a", *wait(0, "k1", "k2", "k1", "k3"))
    stage.block("b", *wait(0, "k3", "k2"))
    stage("x", *fill(name, "k2"))
    for client in "ab":
        stage.reply(client)
    # The key that was ready first, not the one that was named first.
    stage("x", "FLUSHALL")
    stage.block("a", *wait(0, "k1", "k2", "k3"))
    stage.transaction("x", fill(name, "k3"), fill(name, "k2"), fill(name, "k1"))
    assert b"k3" in stage.reply("a")
    stage.digest()


@pytest.mark.parametrize("name", WAITS)
def test_other_types_leave_waiting(stage, name):
    stage.block("a", *WAITS[name](0, "k"))
    for command in [misfit(name, "k"), ("DEL", "k"), ("SET", "k", "x"), ("DEL", "k"), ("SADD", "k", "x"), ("FLUSHDB",)]:
        stage("x", *command)
        assert stage.blocked() == {"a"}
    stage("x", *misfit(name, "other"))
    stage("x", "RENAME", "other", "k")
    assert stage.blocked() == {"a"}
    stage("x", "DEL", "k")
    stage("x", *fill(name, "k"))
    stage.reply("a")
    stage.digest()


def test_waiters_of_both_types(stage):
    stage.block("a", "BZPOPMIN", "k", 0)
    stage.block("b", "BLPOP", "k", 0)
    stage.block("c", "BZPOPMAX", "k", 0)
    stage.block("d", "BRPOP", "k", 0)
    stage.transaction("x", ("RPUSH", "k", 1, 2, 3), ("LPOP", "k"))
    assert stage.blocked() == {"a", "c"}
    stage.reply("b")
    stage.reply("d")
    stage("x", "ZADD", "k", 1, "m", 2, "n", 3, "o")
    stage.reply("a")
    stage.reply("c")
    stage.digest()


# MARK: What makes a key ready

MAKERS = {
    "rename": [("{fill}", "other"), ("RENAME", "other", "k")],
    "renamenx": [("{fill}", "other"), ("RENAMENX", "other", "k")],
    "copy": [("{fill}", "other"), ("COPY", "other", "k")],
    "copy replace": [("{fill}", "other"), ("SET", "k", "x"), ("COPY", "other", "k", "REPLACE")],
    "copy from db": [("SELECT", 3), ("{fill}", "k"), ("COPY", "k", "k", "DB", 0), ("SELECT", 0)],
    "move": [("SELECT", 3), ("{fill}", "k"), ("MOVE", "k", 0), ("SELECT", 0)],
    "swapdb": [("SELECT", 3), ("{fill}", "k"), ("SWAPDB", 0, 3), ("SELECT", 0)],
    "swapdb back": [("SWAPDB", 0, 3), ("{fill}", "k")],
    "after flush": [("{misfit}", "k"), ("FLUSHALL",), ("{fill}", "k")],
    "after swap": [("SWAPDB", 0, 3), ("SWAPDB", 3, 4), ("SELECT", 4), ("{fill}", "k"), ("SWAPDB", 4, 0), ("SELECT", 0)],
}  # fmt: skip


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("name", ["blpop", "blmove", "blmpop", "bzpopmax", "bzmpop"])
@pytest.mark.parametrize("in_multi", [False, True], ids=["alone", "multi"])
def test_makers(stage, name, maker, in_multi):
    makes = {"{fill}": fill, "{misfit}": misfit}
    commands = [makes[c[0]](name, c[1]) if c[0] in makes else c for c in MAKERS[maker]]
    stage.block("a", *WAITS[name](0, "k"))
    if in_multi:
        stage.transaction("x", *commands)
    else:
        for command in commands:
            stage("x", *command)
    assert stage.blocked() == set()
    stage.reply("a")
    stage.digest()


@pytest.mark.parametrize(
    "name, command",
    [
        ("blpop", ("SORT", "from", "STORE", "k")),
        ("blpop", ("LMOVE", "from", "k", "LEFT", "LEFT")),
        ("blpop", ("RPOPLPUSH", "from", "k")),
        ("blpop", ("LPUSH", "k", "x")),
        ("bzpopmin", ("ZUNIONSTORE", "k", 2, "z1", "z2")),
        ("bzpopmin", ("ZINTERSTORE", "k", 2, "z1", "z2")),
        ("bzpopmin", ("ZDIFFSTORE", "k", 2, "z1", "none")),
        ("bzpopmin", ("ZRANGESTORE", "k", "z1", 0, -1)),
        ("bzpopmin", ("ZINCRBY", "k", 5, "m")),
        ("bzpopmin", ("ZADD", "k", "INCR", 5, "m")),
    ],
)
def test_commands_that_store(stage, name, command):
    stage("x", "RPUSH", "from", 3, 1, 2)
    stage("x", "ZADD", "z1", 1, "a", 2, "b")
    stage("x", "ZADD", "z2", 1, "a", 2, "c")
    stage.block("a", *WAITS[name](0, "k"))
    stage("x", *command)
    stage.reply("a")
    stage.digest()


def test_what_makes_nothing_ready(stage):
    stage.block("a", "BLPOP", "k", 0)
    stage.block("b", "BZPOPMIN", "k", 0)
    for commands in [
        [("LPUSH", "k", "x"), ("DEL", "k")],
        [("LPUSH", "k", "x"), ("LPOP", "k")],
        [("LPUSH", "k", "x"), ("DEL", "k"), ("SET", "k", "x"), ("DEL", "k")],
        [("ZADD", "k", 1, "x"), ("ZREM", "k", "x")],
        [("LPUSH", "k", "x"), ("RENAME", "k", "other"), ("DEL", "other")],
        [("LPUSH", "k", "x"), ("FLUSHALL",)],
        [("LPUSH", "k", "x"), ("PEXPIRE", "k", 1), ("DEBUG", "SLEEP", "0.01")],
        [("LPUSH", "k", "x"), ("PEXPIRE", "k", -1)],
    ]:
        stage.transaction("x", *commands)
        assert stage.blocked() == {"a", "b"}
    stage("x", "LPUSHX", "k", "x")
    stage("x", "SELECT", 1)
    stage("x", "LPUSH", "k", "x")
    assert stage.blocked() == {"a", "b"}
    stage.digest()


def test_swapped_in_but_expired(stage):
    for command in [("DEBUG", "SET-ACTIVE-EXPIRE", 0), ("SELECT", 1), ("RPUSH", "k", "x"), ("PEXPIRE", "k", 1)]:
        stage("x", *command)
    stage("x", "DEBUG", "SLEEP", "0.01")
    stage.block("a", "BLPOP", "k", 0)
    stage("x", "SWAPDB", 0, 1)
    assert stage.blocked() == {"a"}
    stage("x", "DEBUG", "SET-ACTIVE-EXPIRE", 1)


def test_each_database_has_its_own_waiters(stage):
    for client, db in [("a", 0), ("b", 1), ("c", 2)]:
        stage(client, "SELECT", db)
        stage.block(client, "BLPOP", "k", 0)
    stage("x", "SELECT", 1)
    stage("x", "LPUSH", "k", "x")
    assert stage.blocked() == {"a", "c"}
    stage.reply("b")
    # Who waits stays with the number when databases change places.
    stage("x", "SELECT", 2)
    stage.transaction("x", ("LPUSH", "k", "y"), ("SWAPDB", 2, 0))
    assert stage.blocked() == {"c"}
    stage.reply("a")
    stage.digest()


# MARK: Moving on


def test_chain_of_moves(stage):
    for i in range(10):
        stage.block(f"m{i}", "BLMOVE", f"l{i}", f"l{i + 1}", "LEFT", "RIGHT", 0)
    stage("x", "RPUSH", "l0", "e")
    for i in range(10):
        stage.reply(f"m{i}")
    stage("x", "LRANGE", "l10", 0, -1)
    stage.digest()


def test_nested_order(stage):
    stage.block("a", "BRPOPLPUSH", "l1", "l3", 0)
    stage.block("b", "BLPOP", "l2", 0)
    stage.block("c", "BLMPOP", 0, 2, "l2", "l3", "LEFT", "COUNT", 1)
    stage.transaction("x", ("LPUSH", "l1", 1), ("LPUSH", "l2", 2))
    for client in "abc":
        stage.reply(client)
    stage.digest()


def test_circle(stage):
    stage.block("a", "BLMOVE", "l1", "l2", "LEFT", "LEFT", 0)
    stage.block("b", "BLMOVE", "l2", "l1", "LEFT", "LEFT", 0)
    stage("x", "RPUSH", "l1", "e")
    stage.reply("a")
    stage.reply("b")
    stage.block("a", "BLMOVE", "self", "self", "LEFT", "RIGHT", 0)
    stage("x", "RPUSH", "self", 1, 2, 3)
    stage.reply("a")
    stage("x", "LRANGE", "self", 0, -1)
    stage.digest()


def test_target_of_another_type(stage):
    stage("x", "SET", "target", "x")
    stage.block("a", "BLMOVE", "k", "target", "LEFT", "LEFT", 0)
    stage.block("b", "BRPOPLPUSH", "k", "target", 0)
    stage.block("c", "BLPOP", "k", 0)
    stage("x", "RPUSH", "k", "e1", "e2")
    for client in "abc":
        stage.reply(client)
    stage("x", "LRANGE", "k", 0, -1)
    stage.digest()


# MARK: The client meanwhile


def test_input_waits(stage):
    for side in stage.sides:
        side["a"].socket.sendall(b"SET n 1\r\nBLPOP k 0\r\nINCR n\r\nBLPOP k 0\r\nINCR n\r\nBZPOPMIN z 0\r\nINCR n\r\n")
    stage.reply("a")
    stage.until_blocked(1)
    stage.send("a", "INCR", "n")
    stage("x", "GET", "n")
    stage("x", "RPUSH", "k", 1)
    stage.reply("a")
    stage.reply("a")
    stage("x", "GET", "n")
    stage.until_blocked(1)
    stage("x", "ZADD", "z", 1, "m")
    stage("x", "RPUSH", "k", 2)
    for _ in range(5):
        stage.reply("a")
    stage.digest()


def test_served_before_who_comes_later(stage):
    stage.block("a", "BLPOP", "k", 0)
    for side in stage.sides:
        side["b"].socket.sendall(b"LPUSH k 1\r\nBLPOP k 0\r\n")
    stage.reply("a")
    stage.reply("b")
    stage.until_blocked(1)
    stage("x", "LPUSH", "k", 2)
    stage.reply("b")


def test_ping_pong(stage):
    """Two clients that serve each other from what they have sent ahead."""
    rounds = 300
    for side in stage.sides:
        side["a"].socket.sendall(b"RPUSH p 1\r\nBLPOP q 0\r\n" * rounds)
        side["b"].socket.sendall(b"BLPOP p 0\r\nRPUSH q 1\r\n" * rounds)
    for name in "ab":
        for _ in range(2 * rounds):
            stage.reply(name)
    stage.digest()


def test_killed_and_gone(stage):
    for client in "abcd":
        stage.block(client, "BLPOP", "k", 0)
    stage.each("x", *[("CLIENT", "KILL", "ID", id) for id in stage.client_id("a")])
    # The same turn: the killed one takes nothing.
    for side in stage.sides:
        side["x"].pipeline([("CLIENT", "KILL", "ID", side.ids["b"]), ("RPUSH", "k", "e")])
    stage.reply("c")
    stage.close("d")
    stage.until_blocked(0)
    stage("x", "RPUSH", "k", "f")
    stage("x", "LRANGE", "k", 0, -1)


def test_unblock(stage):
    for reason in [(), ("TIMEOUT",), ("error",)]:
        for wait in [*WAITS.values(), lambda t, *k: ("WAIT", 1, 0)]:
            stage.block("a", *wait(0, "k"))
            stage.each("x", *[("CLIENT", "UNBLOCK", id, *reason) for id in stage.client_id("a")])
            stage.reply("a")
    for arguments in [("abc",), (99999,), (-1,), (1, "FOO"), ("abc", "FOO"), (1, "ERROR", "x"), ()]:
        stage("x", "CLIENT", "UNBLOCK", *arguments)
    stage.each("x", *[("CLIENT", "UNBLOCK", id) for id in stage.client_id("a")])
    # The place in the queue is lost.
    stage.block("a", "BLPOP", "k", 0)
    stage.block("b", "BLPOP", "k", 0)
    stage.each("x", *[("CLIENT", "UNBLOCK", id) for id in stage.client_id("a")])
    stage.reply("a")
    stage.block("a", "BLPOP", "k", 0)
    stage("x", "RPUSH", "k", "e")
    stage.reply("b")
    assert stage.blocked() == {"a"}


def test_a_pause_is_no_waiting_to_end(stage):
    """redis-server 7.0 ends here, later ones answer 0."""
    side = stage.sides[0]
    side["x"].call("CLIENT", "PAUSE", 100000, "WRITE")
    side["a"].send("BLPOP", "k", 0)
    assert side.settled("a")
    assert side["x"].call("CLIENT", "UNBLOCK", side.ids["a"]) == b":0\r\n"
    side["b"].send("RPUSH", "k", "e")
    assert side.settled("b")
    side["x"].call("CLIENT", "UNPAUSE")
    assert bulks(side["a"].reply()) == [b"k", b"e"]
    assert side["b"].reply() == b":1\r\n"


def test_paused_while_waiting(stage):
    stage.block("a", "BLPOP", "k", 0)
    stage.block("t", "BLPOP", "k", "0.05")
    stage("x", "CLIENT", "PAUSE", 100000, "WRITE")
    stage.block("b", "RPUSH", "k", "e")
    stage.reply("t")
    stage("x", "CLIENT", "UNPAUSE")
    stage.reply("a")
    stage.reply("b")


def test_replies_that_are_not_wanted(stage):
    stage.send("a", "CLIENT", "REPLY", "SKIP")
    stage.block("a", "BLPOP", "k", 0)
    stage("x", "RPUSH", "k", "e")
    stage("a", "PING")
    stage.send("a", "CLIENT", "REPLY", "OFF")
    stage.block("a", "BLPOP", "k", 0)
    stage("x", "RPUSH", "k", "e")
    stage("a", "CLIENT", "REPLY", "ON")
    stage("x", "LLEN", "k")


def test_counted_once(stage):
    stage("x", "CONFIG", "RESETSTAT")
    stage.block("a", "BLPOP", "k", 0)
    stage("x", "RPUSH", "k", "e")
    stage.reply("a")
    stage("a", "BLPOP", "k", "0.01")
    for side in stage.sides:
        statistics = side["x"].call("INFO", "commandstats")
        assert re.search(rb"cmdstat_blpop:calls=2,usec=\d+,.*,rejected_calls=0,failed_calls=0", statistics)


def test_changes_are_counted(swiftlet_server):
    """What is taken for who waits counts, as from redis-server 7.2 on."""
    side = Side(swiftlet_server.port)

    def changes():
        return int(re.search(rb"rdb_changes_since_last_save:(\d+)", side["x"].call("INFO", "persistence")).group(1))

    try:
        # Counted from 0 again.
        assert side["x"].call("DEBUG", "RELOAD") == b"+OK\r\n"
        for name, wait in WAITS.items():
            before = changes()
            side["a"].send(*wait(0, "k"))
            assert side.settled("a")
            side["x"].call(*fill(name, "k"))
            side["a"].reply()
            assert changes() - before == 3 + (2 if "COUNT" in wait(0, "k") else 1), name
            side["x"].call("FLUSHALL")
    finally:
        side.end()


def test_info(stage):
    stage.block("a", "BLPOP", "k1", "k2", 0)
    stage.block("b", "BZPOPMIN", "k2", 100)
    stage.block("c", "WAIT", 1, 100)
    for side in stage.sides:
        assert integer_field(side["x"], "blocked_clients") == 3
        assert integer_field(side["x"], "clients_in_timeout_table") == 2
    assert integer_field(stage.sides[0]["x"], "total_blocking_keys") == 2
    assert integer_field(stage.sides[0]["x"], "total_blocking_keys_on_nokey") == 0


# MARK: Time


def test_time_is_up_in_order(stage):
    """Many with times of their own, each answered about then."""
    side = stage.sides[0]
    side["x"]
    times = [0.02 * i for i in range(1, 25)]
    seeded(7).shuffle(times)
    began = time.monotonic()
    for i, seconds in enumerate(times):
        side[f"t{i}"].send("BLPOP", "k", seconds)
    for i in sorted(range(len(times)), key=lambda i: times[i]):
        assert side[f"t{i}"].reply() == b"*-1\r\n"
        assert times[i] <= time.monotonic() - began + 0.001


def test_the_time_does_not_begin_anew(stage):
    """An attempt that comes to nothing is no reason to wait longer."""
    side = stage.sides[0]
    began = time.monotonic()
    side["a"].send("BLPOP", "k", 1)
    assert side.settled("a")
    for _ in range(20):
        side["x"].pipeline([("MULTI",), ("LPUSH", "k", "x"), ("DEL", "k"), ("EXEC",)])
    assert side["a"].reply() == b"*-1\r\n"
    assert 0.99 <= time.monotonic() - began < 2


def test_due_but_served(stage):
    """What came in before the loop looks at the time is served first."""
    stage.block("a", "BLPOP", "k", "0.2")
    for side in stage.sides:
        side["x"].socket.sendall(b"DEBUG SLEEP 0.4\r\nRPUSH k e\r\n")
    stage.reply("x")
    stage.reply("x")
    assert bulks(stage.reply("a")) == [b"k", b"e"]


# MARK: At random

KEYS = [f"k{i}" for i in range(6)]


def random_write(rng):
    key, other = rng.choice(KEYS), rng.choice(KEYS)
    words = [rng.randrange(100) for _ in range(rng.randrange(1, 4))]
    return rng.choice(
        [
            ("RPUSH", key, *words), ("LPUSH", key, *words), ("RPUSH", key, *words), ("LPUSHX", key, *words),
            ("ZADD", key, 1, *words[:1], rng.randrange(5), rng.randrange(9)), ("ZINCRBY", key, 1, words[0]),
            ("DEL", key, other), ("RENAMENX", key, other), ("COPY", key, other, "REPLACE"),
            ("MOVE", key, rng.randrange(2)), ("LMOVE", key, other, "LEFT", "RIGHT"), ("LPOP", key), ("ZPOPMIN", key),
            ("LMPOP", 2, key, other, "LEFT", "COUNT", 2), ("ZMPOP", 2, key, other, "MIN"), ("LREM", key, 0, words[0]),
            ("LTRIM", key, 0, 2), ("SADD", key, *words),
        ]
    )  # fmt: skip


def random_wait(rng):
    keys = rng.sample(KEYS, rng.randrange(1, 4))
    return rng.choice(
        [
            ("BLPOP", *keys, 0), ("BRPOP", *keys, 0), ("BLMPOP", 0, len(keys), *keys, "LEFT", "COUNT", 2),
            ("BLMOVE", keys[0], rng.choice(KEYS), rng.choice(["LEFT", "RIGHT"]), rng.choice(["LEFT", "RIGHT"]), 0),
            ("BRPOPLPUSH", keys[0], rng.choice(KEYS), 0), ("BZPOPMIN", *keys, 0), ("BZPOPMAX", *keys, 0),
            ("BZMPOP", 0, len(keys), *keys, "MAX", "COUNT", 2),
        ]
    )  # fmt: skip


def several_writes(rng):
    """Commands of a transaction. STORE commands come after DEL: redis-server 7.0 does not notice overwriting."""
    commands = [random_write(rng) if rng.random() < 0.8 else random_wait(rng) for _ in range(rng.randrange(1, 5))]
    key, other = rng.sample(KEYS, 2)
    if rng.random() < 0.2:
        commands += [("DEL", key), ("SORT", other, "ALPHA", "STORE", key)]
    if rng.random() < 0.2:
        commands += [("DEL", key), ("ZUNIONSTORE", key, 1, other)]
    return commands


@pytest.mark.parametrize("steps", [1500])
def test_random(stage, steps):
    seed = new_seed()
    rng = random.Random(seed)
    names = [f"c{i}" for i in range(12)]
    waiting = {}  # Name: its command, in the order of blocking.
    databases = dict.fromkeys(names, 0)

    def look(note):
        """Whoever is not blocked any more has a reply."""
        blocked = stage.blocked()
        assert blocked <= set(waiting), note
        for name in [n for n in waiting if n not in blocked]:
            stage.reply(name, note)
            del waiting[name]

    for step in range(steps):
        free = [n for n in names if n not in waiting]
        note = f"seed {seed}, step {step}: "
        if len(free) < 2 or rng.random() < 0.02:
            name = rng.choice(list(waiting) or names)
            if name in waiting:
                reason = rng.choice(["TIMEOUT", "ERROR"])
                stage.each("x", *[("CLIENT", "UNBLOCK", id, reason) for id in stage.client_id(name)])
                look(note)
            continue
        name = rng.choice(free)
        kind = rng.random()
        if kind < 0.35:
            command = random_wait(rng)
            stage.send(name, *command)
            got, expected = (side.settled(name) for side in stage.sides)
            assert got == expected, f"{note}{command}"
            if got:
                waiting[name] = command
            else:
                stage.reply(name, f"{note}{command} ")
        elif kind < 0.5:
            stage.transaction(name, *several_writes(rng))
        elif kind < 0.55:
            databases[name] = 1 - databases[name]
            stage(name, "SELECT", databases[name])
        elif kind < 0.57 and not waiting:
            # With several keys ready, the order is redis-server's hash table's.
            stage(name, "SWAPDB", 0, 1)
        else:
            command = random_write(rng)
            stage.send(name, *command)
            stage.reply(name, f"{note}{command} ")
        look(note)
        if step % 50 == 0:
            stage.digest()
    stage.digest()


# MARK: The log


def restarted(server):
    server.process.kill()
    server.process.wait()
    return Server(swiftlet_binary(), ("--appendonly", "yes", "--dir", server.directory))


def test_the_log_has_what_was_done():
    server = start_swiftlet("--appendonly", "yes", "--appendfsync", "always")
    again = None
    try:
        side = Side(server.port)
        for name, wait in WAITS.items():
            for client in "ab":
                side[client].send(*wait(0, "k"))
                assert side.settled(client)
            side["x"].pipeline([("MULTI",), fill(name, "k"), fill(name, "k"), ("EXEC",), ("DEL", "k", "target")])
            side["a"].reply()
            side["b"].reply()
        side["a"].send("BLPOP", "k", 0)
        assert side.settled("a")
        side["x"].call("RPUSH", "k", "last")
        # The reply says that the element is taken: so it is after a crash.
        assert bulks(side["a"].reply()) == [b"k", b"last"]
        server.process.kill()
        server.process.wait()
        files = sorted(p for p in pathlib.Path(server.directory).rglob("*") if p.is_file())
        text = b"".join(p.read_bytes() for p in files).upper()
        assert b"LPOP" in text and not re.search(rb"\$\d+\r\nB[LRZ]\w+\r\n", text)
        again = restarted(server)
        assert again.connect().call("DBSIZE") == b":0\r\n"
    finally:
        if again:
            again.stop()
        server.stop()


@pytest.mark.parametrize("appendfsync", ["everysec", "always"])
def test_a_kill_loses_nothing(appendfsync):
    seed = new_seed()
    rng = random.Random(seed)
    server = start_swiftlet("--appendonly", "yes", "--appendfsync", appendfsync)
    again = None
    try:
        side = Side(server.port)
        names = [f"c{i}" for i in range(8)]
        waiting = set()
        for _ in range(400):
            free = [n for n in names if n not in waiting]
            if len(free) < 2:
                name = rng.choice(sorted(waiting))
                side["x"].call("CLIENT", "UNBLOCK", side.ids[name])
            elif rng.random() < 0.4:
                name = rng.choice(free)
                side[name].send(*random_wait(rng))
                if side.settled(name):
                    waiting.add(name)
                else:
                    side[name].reply()
            elif rng.random() < 0.5:
                side["x"].pipeline([("MULTI",), *several_writes(rng), ("EXEC",)])
            else:
                side["x"].call(*random_write(rng))
            for name in waiting - side.blocked():
                side[name].reply()
                waiting.remove(name)
        digest = side["x"].call("DEBUG", "DIGEST")
        again = restarted(server)
        assert again.connect().call("DEBUG", "DIGEST") == digest
    finally:
        if again:
            again.stop()
        server.stop()
