"""MIGRATE: keys to another server, which is redis-server, Swiftlet, or a target that does as a test wants."""

import socket
import time

import pytest

from oracle import start_redis, start_swiftlet
from resp import bulk, encode
from seed import seeded

FILL = {
    "string": ["SET", "{}", "value \x00 of some length"],
    "integer": ["SET", "{}", "12345"],
    "list": ["RPUSH", "{}", *range(300)],
    "set": ["SADD", "{}", "a", "b", "c"],
    "ints": ["SADD", "{}", 1, 2, 3],
    "hash": ["HSET", "{}", *[x for i in range(200) for x in (f"field{i}", "v" * i)]],
    "zset": ["ZADD", "{}", "1", "a", "2.5", "b", "-inf", "c"],
    "stream": ["XADD", "{}", "5-1", "field", "value"],
}
TYPES = sorted(FILL)


@pytest.fixture(scope="module", params=[start_redis, start_swiftlet], ids=["redis-server", "Swiftlet"])
def target_servers(request):
    """One for each source."""
    servers = [request.param(), request.param()]
    yield servers
    for server in servers:
        server.stop()


@pytest.fixture
def targets(target_servers):
    connections = [server.connect() for server in target_servers]
    for connection in connections:
        connection.call("FLUSHALL")
    yield connections
    for connection in connections:
        connection.close()


def same(both, ports, *args):
    """`args` has "PORT" where the target's port goes."""
    replies = [
        side.call(*[port if a == "PORT" else a for a in args])
        for side, port in zip((both.swiftlet, both.oracle), ports)
    ]
    assert replies[0] == replies[1], args
    return replies[0]


def test_what_moves_is_there_and_not_here(both, targets, target_servers):
    random = seeded()
    ports = [server.port for server in target_servers]
    keys = [f"{t}:{i}" for t in TYPES for i in range(2)]
    for _ in range(150):
        for key in random.sample(keys, 4):
            both("DEL", key)
            both(*[a.format(key) if isinstance(a, str) else a for a in FILL[key.partition(":")[0]]])
            if random.random() < 0.3:
                both("PEXPIREAT", key, 4000000000000 + random.randrange(10**9))
        names = random.sample(keys + ["none"], random.choice([1, 1, 2, 5]))
        options = random.choice([[], [], ["COPY"], ["REPLACE"], ["copy", "replace"]])
        key, more = (names[0], []) if len(names) == 1 and random.random() < 0.7 else ("", ["KEYS", *names])
        same(both, ports, "MIGRATE", "127.0.0.1", "PORT", key, random.choice([0, 0, 1]), 5000, *options, *more)
        both("DEBUG", "DIGEST")
        assert targets[0].call("DEBUG", "DIGEST") == targets[1].call("DEBUG", "DIGEST")
    for key in keys:
        left = [int(target.call("PTTL", key)[1:]) for target in targets]
        assert abs(left[0] - left[1]) < 5000


def test_errors(both, targets, target_servers):
    ports = [server.port for server in target_servers]
    both("MSET", "k", "v", "k2", "v2")
    for args in [
        ["nokey", 0, 1000], ["k", "x", 1000], ["k", 0, "x"], ["k", "x", "x"], ["k", 0, 1000, "REPLACE", "x"],
        ["k", 0, 1000, "AUTH"], ["k", 0, 1000, "AUTH2", "a"], ["k", 0, 1000, "KEYS", "k", "k2"], ["", 0, 1000, "KEYS"],
        ["k", 0, 1000, "AUTH", "wrong"], ["k", 0, 1000, "COPY", "COPY", "REPLACE"], ["k", 0, -5, "REPLACE"], ["k2", 0, 0],
        ["", 0, 1000, "KEYS", "k2", "k2"],
    ]:  # fmt: skip
        same(both, ports, "MIGRATE", "127.0.0.1", "PORT", *args)
    both("SET", "k", "v")
    same(both, ports, "MIGRATE", "127.0.0.1", "1", "k", 0, 1000)
    same(both, ports, "MIGRATE", "no.such.host.invalid", "PORT", "k", 0, 1000)
    both("MIGRATE", "127.0.0.1")
    both("DEBUG", "DIGEST")
    for args in [
        ["k", 0, 1000], ["", 0, 1000, "KEYS", "b", "c", "b"], ["", 0, 1000], ["x", 0, 1000, "KEYS", "a"],
        ["", 0, 1000, "AUTH", "KEYS", "KEYS", "a"],
    ]:  # fmt: skip
        both("COMMAND", "GETKEYS", "MIGRATE", "127.0.0.1", "7000", *args)


def test_a_database_that_is_not_there(swiftlet, targets, target_servers):
    """redis-server restores the key in another database than the one that was asked for."""
    swiftlet.call("SET", "k", "v")
    reply = swiftlet.call("MIGRATE", "127.0.0.1", target_servers[0].port, "k", 99, 1000)
    assert reply == b"-ERR Target instance replied with error: ERR DB index is out of range\r\n"
    assert targets[0].call("DBSIZE") == b":0\r\n" and swiftlet.call("EXISTS", "k") == b":1\r\n"


def test_a_target_without_memory(both, targets, target_servers):
    """Refuses the key, which stays where it is."""
    ports = [server.port for server in target_servers]
    both("SET", "k", "v")
    for target in targets:
        target.call("CONFIG", "SET", "maxmemory", 1, "maxmemory-policy", "noeviction")
    try:
        reply = same(both, ports, "MIGRATE", "127.0.0.1", "PORT", "k", 0, 1000)
        assert b"OOM command not allowed" in reply
        assert both("EXISTS", "k") == b":1\r\n"
    finally:
        for target in targets:
            target.call("CONFIG", "SET", "maxmemory", 0)
    same(both, ports, "MIGRATE", "127.0.0.1", "PORT", "k", 0, 1000)
    assert both("EXISTS", "k") == b":0\r\n"


def test_in_a_transaction(swiftlet):
    assert swiftlet.pipeline([["MULTI"], ["MIGRATE", "h", "1", "k", 0, 1]])[1].startswith(b"-ERR Command not allowed")
    assert swiftlet.call("EXEC").startswith(b"-EXECABORT")


class Target:
    """Takes one request after the other, and answers what it is told to."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(20)
        self.port = self.listener.getsockname()[1]
        self.connection = None
        self.buffer = b""

    def accept(self):
        self.connection, _ = self.listener.accept()
        self.connection.settimeout(20)
        self.buffer = b""

    def expect(self, start):
        """Until something that begins with `start` has come."""
        while not self.buffer.startswith(start):
            assert start.startswith(self.buffer[: len(start)])
            data = self.connection.recv(1 << 16)
            assert data
            self.buffer += data
        self.buffer = b""

    def expect_restore(self):
        self.expect(b"*")

    def answer(self, text):
        self.connection.sendall(text)

    def accept_and_select(self):
        self.accept()
        self.expect(b"SELECT 0\r\n")
        self.answer(b"+OK\r\n")

    def close(self):
        if self.connection:
            self.connection.close()
        self.listener.close()


@pytest.fixture
def target():
    target = Target()
    yield target
    target.close()


@pytest.fixture
def other(swiftlet_server):
    connection = swiftlet_server.connect()
    yield connection
    connection.close()


def blocked(connection):
    line = next(
        line for line in connection.call("INFO", "clients").split(b"\r\n") if line.startswith(b"blocked_clients:")
    )
    return int(line.split(b":")[1])


def until_blocked(connection, count):
    deadline = time.monotonic() + 20
    while blocked(connection) != count:
        assert time.monotonic() < deadline


def test_writes_wait_and_reads_go_on(swiftlet, other, target, swiftlet_server):
    swiftlet.call("MSET", "k", "v", "x", "0")
    swiftlet.send("MIGRATE", "127.0.0.1", target.port, "k", 0, 20000)
    target.accept_and_select()
    target.expect_restore()
    writer = swiftlet_server.connect()
    writer.socket.sendall(encode(["APPEND", "k", "more"]) + encode(["GET", "k"]))
    until_blocked(other, 2)
    assert other.call("GET", "k") == b"$1\r\nv\r\n"
    # Neither ends before the target has answered.
    client = next(line for line in other.call("CLIENT", "LIST").split(b"\n") if b"cmd=migrate" in line)
    number = client.partition(b"id=")[2].split()[0]
    assert other.call("CLIENT", "UNBLOCK", number) == b":0\r\n"
    other.call("CLIENT", "UNPAUSE")
    until_blocked(other, 2)
    target.answer(b"+OK\r\n")
    assert swiftlet.reply() == b"+OK\r\n"
    assert writer.reply() == b":4\r\n" and writer.reply() == b"$4\r\nmore\r\n"
    assert blocked(other) == 0
    writer.close()


def test_a_target_that_does_not_answer(swiftlet, other, target):
    swiftlet.call("SET", "k", "v")
    swiftlet.send("MIGRATE", "127.0.0.1", target.port, "k", 0, 50)
    target.accept_and_select()
    assert swiftlet.reply() == b"-IOERR error or timeout reading to target instance\r\n"
    assert other.call("APPEND", "k", "x") == b":2\r\n"


def test_a_target_that_goes_half_way(swiftlet, target):
    swiftlet.call("MSET", "k", "v", "k2", "v2", "k3", "v3")
    swiftlet.send("MIGRATE", "127.0.0.1", target.port, "", 0, 20000, "KEYS", "k", "k2", "k3")
    target.accept_and_select()
    target.expect_restore()
    target.answer(b"+OK\r\n-BUSYKEY here\r\n")
    target.connection.close()
    assert swiftlet.reply() == b"-IOERR error or timeout reading to target instance\r\n"
    assert swiftlet.pipeline([["EXISTS", "k"], ["EXISTS", "k2"], ["EXISTS", "k3"]]) == [b":0\r\n", b":1\r\n", b":1\r\n"]


def test_the_client_goes_away(swiftlet_server, swiftlet, other, target):
    swiftlet.call("SET", "k", "v")
    client = swiftlet_server.connect()
    client.send("MIGRATE", "127.0.0.1", target.port, "k", 0, 20000)
    target.accept_and_select()
    target.expect_restore()
    client.close()
    until_blocked(other, 0)
    assert other.call("EXISTS", "k") == b":1\r\n"
    target.answer(b"+OK\r\n")
    # Puts itself behind the deletion.
    assert other.call("APPEND", "k", "new") == b":3\r\n"


def test_authentication_comes_first(swiftlet, target):
    swiftlet.call("SET", "k", "v")
    swiftlet.pipeline([["CONFIG", "SET", "slowlog-log-slower-than", 0], ["SLOWLOG", "RESET"]])
    swiftlet.send("MIGRATE", "127.0.0.1", target.port, "k", 0, 20000, "AUTH2", "me", "secret")
    target.accept()
    target.expect(encode(["AUTH", "me", "secret"]))
    target.answer(b"-WRONGPASS no\r\n")
    assert swiftlet.reply() == b"-ERR Target instance replied with error: WRONGPASS no\r\n"
    slow = swiftlet.call("SLOWLOG", "GET")
    swiftlet.call("CONFIG", "SET", "slowlog-log-slower-than", 10000)
    assert b"(redacted)" in slow and b"secret" not in slow
    assert swiftlet.call("GET", "k") == b"$1\r\nv\r\n"


def test_connections_are_kept(swiftlet, target):
    def cached():
        stats = swiftlet.call("INFO", "stats")
        return int(
            next(line for line in stats.split(b"\r\n") if line.startswith(b"migrate_cached_sockets:")).split(b":")[1]
        )

    before = cached()
    swiftlet.call("MSET", "k", "v", "k2", "v2", "k3", "v3")
    swiftlet.send("MIGRATE", "127.0.0.1", target.port, "k", 0, 20000)
    target.accept_and_select()
    target.expect_restore()
    target.answer(b"+OK\r\n")
    assert swiftlet.reply() == b"+OK\r\n" and cached() == before + 1
    # The same connection, on which the database is selected.
    swiftlet.send("MIGRATE", "127.0.0.1", target.port, "k2", 0, 20000)
    target.expect_restore()
    target.answer(b"+OK\r\n")
    assert swiftlet.reply() == b"+OK\r\n"
    # Closed meanwhile: another is opened.
    target.connection.close()
    swiftlet.send("MIGRATE", "127.0.0.1", target.port, "k3", 0, 20000)
    target.accept_and_select()
    target.expect_restore()
    target.answer(b"+OK\r\n")
    assert swiftlet.reply() == b"+OK\r\n" and swiftlet.call("DBSIZE") == b":0\r\n"


def test_it_is_in_the_log(targets, target_servers):
    source = start_swiftlet("--appendonly", "yes", "--appendfsync", "always")
    try:
        connection = source.connect()
        connection.call("MSET", "a", "1", "b", "2", "c", "3")
        reply = connection.call("MIGRATE", "127.0.0.1", target_servers[0].port, "", 0, 5000, "KEYS", "a", "c")
        assert reply == b"+OK\r\n"
        assert connection.call("DEBUG", "LOADAOF") == b"+OK\r\n"
        assert connection.call("KEYS", "*") == b"*1\r\n$1\r\nb\r\n"
    finally:
        source.stop()
    assert bulk(targets[0].call("GET", "a")) == b"1"
