"""Blocked clients: who is served with what, and when, compared with redis-server.

A step is sent on one of several connections to both servers. Whether it answers at once or waits is known from the
number of blocked clients, which is awaited; what waits is collected when something else has served it.
"""

import os
import random
import select
import time

import pytest

from oracle import Connection, start_swiftlet

NULL_ARRAY = b"*-1\r\n"


class Sides:
    """Named connections to one server."""

    def __init__(self, port):
        self.port = port
        self.control = Connection(port)
        self.clients = {}
        self.waiting = []

    def client(self, name):
        if name not in self.clients:
            self.clients[name] = Connection(self.port)
        return self.clients[name]

    def id_of(self, name):
        return int(self.client(name).call("CLIENT", "ID")[1:])

    def blocked(self):
        text = self.control.call("INFO", "clients")
        return int(text.split(b"blocked_clients:")[1].split(b"\r\n")[0])

    def has_reply(self, name):
        connection = self.client(name)
        return connection.start < len(connection.buffer) or bool(select.select([connection.socket], [], [], 0)[0])

    def step(self, name, *args):
        """Sends; returns the reply, or None when the client now waits."""
        before = self.blocked()
        self.client(name).send(*args)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self.has_reply(name):
                return self.client(name).reply()
            if self.blocked() > before:
                self.waiting.append(name)
                return None
            select.select([self.client(name).socket], [], [], 0.001)
        raise AssertionError(f"{args}: neither a reply nor blocked")

    def served(self):
        """Replies of clients that wait no more, in the order they began to. The number of those left is what INFO says."""
        left = self.blocked()
        answers = []
        deadline = time.monotonic() + 20
        while len(self.waiting) - len(answers) > left and time.monotonic() < deadline:
            for name in [n for n in self.waiting if n not in dict(answers)]:
                if self.has_reply(name):
                    answers.append((name, self.client(name).reply()))
        answers.sort(key=lambda a: self.waiting.index(a[0]))
        self.waiting = [n for n in self.waiting if n not in dict(answers)]
        return answers

    def close(self):
        for connection in [self.control, *self.clients.values()]:
            connection.close()


class Both:
    """The same steps on both servers."""

    def __init__(self, swiftlet, oracle):
        self.sides = [Sides(swiftlet.port), Sides(oracle.port)]
        for side in self.sides:
            side.control.call("FLUSHALL")
        self.last = None

    def __call__(self, name, *args):
        self.last = args
        got, expected = [side.step(name, *args) for side in self.sides]
        assert got == expected, f"{name} {args}: {got!r}, and the oracle {expected!r}"
        return got

    def served(self):
        got, expected = [side.served() for side in self.sides]
        assert got == expected, f"after {self.last}: {got}, and the oracle {expected}"
        return got

    def digest(self):
        got, expected = [side.control.call("DEBUG", "DIGEST") for side in self.sides]
        assert got == expected

    def close(self):
        for side in self.sides:
            side.close()


@pytest.fixture
def clients(swiftlet_server, oracle_server):
    both = Both(swiftlet_server, oracle_server)
    yield both
    both.close()


def play(clients, script):
    """Lines "client: COMMAND args"; after each, whoever was served is compared."""
    for line in script.strip().splitlines():
        name, command = line.strip().split(": ", 1)
        clients(name, *command.split())
        clients.served()
    clients.digest()


@pytest.mark.parametrize("script", [
    # First come, first served; one push of several serves several.
    """a: BLPOP l 0
       b: BRPOP l 0
       c: BLPOP l 0
       w: RPUSH l 1 2 3 4
       w: LRANGE l 0 -1""",
    # The first key that has any; a key twice.
    """a: BLPOP x y x 0
       b: BLPOP y x 0
       w: RPUSH y 1
       w: RPUSH x 2""",
    # What is pushed and gone again within a transaction serves nobody.
    """a: BLPOP l 0
       w: MULTI
       w: LPUSH l 1
       w: DEL l
       w: EXEC
       w: MULTI
       w: LPUSH l 1
       w: LPUSH l 2
       w: LPUSH l 3
       w: EXEC
       w: LRANGE l 0 -1""",
    # Other types do not serve.
    """a: BLPOP k 0
       b: BZPOPMIN k 0
       w: SADD k 1
       w: DEL k
       w: ZADD k 1 m 2 n
       w: DEL k
       w: RPUSH k 1""",
    # A value may come by another way than a push.
    """a: BLPOP l 0
       w: RPUSH m 1 2
       w: RENAME m l
       w: LRANGE l 0 -1
       b: BLPOP s 0
       w: SADD numbers 3 1 2
       w: SORT numbers STORE s
       w: LRANGE s 0 -1
       c: BZPOPMAX z 0
       w: ZADD y 1 a 2 b
       w: ZUNIONSTORE z 1 y
       d: BZPOPMIN copied 0
       w: COPY y copied
       w: ZRANGE copied 0 -1""",
    """a: SELECT 1
       a: BLPOP l 0
       w: RPUSH l 1
       w: MOVE l 1
       a: BLPOP l 0
       w: RPUSH l 2
       w: SWAPDB 0 1
       w: LRANGE l 0 -1""",
    # Chains: what is moved serves the next.
    """a: BLMOVE one two LEFT RIGHT 0
       b: BLMOVE two three RIGHT LEFT 0
       c: BRPOPLPUSH three four 0
       d: BLPOP four 0
       w: RPUSH one x
       w: KEYS *""",
    """a: BRPOPLPUSH l l 0
       b: BLPOP l 0
       w: RPUSH l 1 2""",
    # The target is of another type.
    """a: BLMOVE l s LEFT LEFT 0
       w: SET s x
       w: RPUSH l 1
       w: LRANGE l 0 -1""",
    """a: BLMPOP 0 2 x y LEFT COUNT 2
       w: RPUSH y 1 2 3
       b: BLMPOP 0 1 y RIGHT COUNT 10
       a: BZMPOP 0 2 p q MAX COUNT 2
       w: ZADD q 1 a 2 b 3 c
       b: BZMPOP 0 1 q MIN""",
    # Nothing waits within a transaction.
    """w: MULTI
       w: BLPOP l 0
       w: BRPOPLPUSH l m 0
       w: BZPOPMIN z 0
       w: BLMPOP 0 1 l LEFT
       w: EXEC""",
    """a: BLPOP l 0.01
       a: BRPOPLPUSH l m 0.01
       a: BZMPOP 0.01 1 z MIN
       a: BLPOP l -1
       a: BLPOP l x
       a: SET l x
       a: BLPOP none l 0
       a: BLPOP l none 0""",
])
def test_serving(clients, script):
    play(clients, script)


def test_timeout_answers_null(clients):
    for command, reply in [
        (("BLPOP", "l", "0.02"), NULL_ARRAY), (("BLMOVE", "l", "m", "LEFT", "LEFT", "0.02"), NULL_ARRAY),
        (("BZPOPMIN", "z", "0.02"), NULL_ARRAY), (("BLMPOP", "0.02", "1", "l", "LEFT"), NULL_ARRAY),
    ]:
        for side in clients.sides:
            began = time.monotonic()
            assert side.client("a").call(*command) == reply
            assert 0.015 < time.monotonic() - began < 5


def test_pipelined_input_waits(clients):
    for side in clients.sides:
        connection = side.client("a")
        connection.send("BLPOP", "l", 0)
        connection.send("SET", "after", 1)
        connection.send("BLPOP", "m", 0)
        connection.send("PING")
        while side.blocked() < 1:
            pass
        assert side.control.call("EXISTS", "after") == b":0\r\n"
        side.control.call("RPUSH", "l", 1)
        assert connection.reply() == b"*2\r\n$1\r\nl\r\n$1\r\n1\r\n"
        assert connection.reply() == b"+OK\r\n"
        while side.blocked() < 1:
            pass
        side.control.call("RPUSH", "m", 2)
        assert connection.reply() == b"*2\r\n$1\r\nm\r\n$1\r\n2\r\n"
        assert connection.reply() == b"+PONG\r\n"


def test_client_unblock_and_kill(clients):
    for side in clients.sides:
        ids = {name: side.id_of(name) for name in "abc"}
        for name in "abc":
            assert side.step(name, "BLPOP", "l", 0) is None
        call = side.control.call
        assert call("CLIENT", "UNBLOCK", ids["a"]) == b":1\r\n"
        assert side.client("a").reply() == NULL_ARRAY
        assert call("CLIENT", "UNBLOCK", ids["a"], "TIMEOUT") == b":0\r\n"
        assert call("CLIENT", "UNBLOCK", ids["b"], "ERROR") == b":1\r\n"
        assert side.client("b").reply() == b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"
        assert call("CLIENT", "UNBLOCK", ids["c"], "X").startswith(b"-ERR CLIENT UNBLOCK reason")
        assert call("CLIENT", "UNBLOCK", 123456).startswith(b":0")
        assert call("CLIENT", "UNBLOCK", "asd").startswith(b"-ERR")
        assert b" flags=b " in call("CLIENT", "LIST", "ID", ids["c"])
        assert call("CLIENT", "KILL", "ID", ids["c"]) == b":1\r\n"
        while side.blocked() > 0:
            pass
        call("RPUSH", "l", 1)
        assert call("LLEN", "l") == b":1\r\n"


def test_random_clients(clients):
    """Many clients, few keys: everything that happens is the oracle's."""
    seed = int(os.environ.get("SEED") or random.randrange(1 << 32))
    print("seed", seed)
    rng = random.Random(seed)
    names = [f"c{i}" for i in range(8)]
    keys = ["k1", "k2", "k3"]

    def some():
        return rng.sample(keys, rng.randint(1, 3))

    def blocking():
        kind = rng.randrange(6)
        if kind == 0:
            return [rng.choice(["BLPOP", "BRPOP", "BZPOPMIN", "BZPOPMAX"]), *some(), 0]
        if kind == 1:
            return ["BLMOVE", rng.choice(keys), rng.choice(keys), rng.choice(["LEFT", "RIGHT"]), "LEFT", 0]
        if kind == 2:
            return ["BRPOPLPUSH", rng.choice(keys), rng.choice(keys), 0]
        chosen = some()
        if kind == 3:
            return ["BLMPOP", 0, len(chosen), *chosen, rng.choice(["LEFT", "RIGHT"]), "COUNT", rng.randint(1, 3)]
        if kind == 4:
            return ["BZMPOP", 0, len(chosen), *chosen, rng.choice(["MIN", "MAX"]), "COUNT", rng.randint(1, 3)]
        return ["BLPOP", *some(), 0]

    def writing():
        key, value = rng.choice(keys), rng.randint(0, 99)
        return rng.choice([
            ["RPUSH", key, value], ["LPUSH", key, value, value + 1], ["ZADD", key, value, f"m{value}"], ["DEL", key],
            ["RENAME", key, rng.choice(keys)], ["SET", key, value], ["COPY", key, rng.choice(keys), "REPLACE"],
            # SORT STORE over an existing key wakes nobody in Redis 7.0; here it does. So it stores elsewhere.
            ["SORT", key, "BY", "nosort", "STORE", "k4"], ["RENAME", "k4", key], ["LTRIM", key, 1, -1], ["PEXPIREAT", key, 1],
        ])

    for _ in range(400):
        waiting = clients.sides[0].waiting
        free = [n for n in names if n not in waiting]
        if free and rng.random() < 0.4:
            clients(rng.choice(free), *blocking())
        elif rng.random() < 0.3:
            clients("w", "MULTI")
            for _ in range(rng.randint(1, 4)):
                clients("w", *writing())
            clients("w", "EXEC")
        else:
            clients("w", *writing())
        clients.served()
        clients.digest()


def test_what_was_served_is_logged():
    """After kill -9 nothing that a blocked client took is there again, and what it moved is."""
    server = start_swiftlet("--appendonly", "yes", "--appendfsync", "always")
    try:
        side = Sides(server.port)
        for name, command in [
            ("a", ("BLPOP", "l", 0)), ("b", ("BLMOVE", "m", "n", "LEFT", "LEFT", 0)), ("c", ("BZPOPMIN", "z", 0)),
            ("d", ("BLMPOP", 0, 1, "p", "LEFT", "COUNT", 2)),
        ]:
            assert side.step(name, *command) is None
        for command in ["RPUSH l 1 2", "RPUSH m x", "ZADD z 1 a 2 b", "RPUSH p 1 2 3"]:
            side.control.call(*command.split())
        assert len(side.served()) == 4
        digest = side.control.call("DEBUG", "DIGEST")
        loaded = side.control.call("DEBUG", "LOADAOF")
        assert loaded == b"+OK\r\n", open(server.log.name).read()
        assert side.control.call("DEBUG", "DIGEST") == digest
        assert side.control.call("LRANGE", "l", 0, -1) == b"*1\r\n$1\r\n2\r\n"
        side.close()
    finally:
        server.stop()
