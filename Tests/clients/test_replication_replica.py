"""Swiftlet as a replica: of redis-server, beside a replica that is redis-server, which says what clients are to see; and
of a master that a test plays, which does what no master does."""

import contextlib
import socket
import struct
import threading
import time

import pytest

from moved_clock import advance
from oracle import start_redis, start_swiftlet
from replicas import RawReplica, info
from resp import encode
from seed import seeded
from snapshots import select
from waiting import wait_until


def digest(connection):
    return connection.call("DEBUG", "DIGEST")


def log_of(server):
    return open(server.log.name, errors="replace").read()


def follow(connection, port):
    assert connection.call("REPLICAOF", "127.0.0.1", port).startswith(b"+OK")


def in_step(master, *replicas):
    """Waits until the replicas have executed all that the master has said."""

    def is_there():
        offset = info(master)["master_repl_offset"]
        return all(info(r)["master_link_status"] == "up" and info(r)["slave_repl_offset"] == offset for r in replicas)

    wait_until(is_there)


# ---- Beside a replica that is redis-server


class Family:
    """A master, a replica of each kind, and connections to the three."""

    def __init__(self):
        quick = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "3600"]
        self.servers = [start_redis(*quick), start_redis(), start_swiftlet()]
        self.master, self.redis, self.swiftlet = [s.connect() for s in self.servers]
        for replica in (self.redis, self.swiftlet):
            follow(replica, self.servers[0].port)
        self.settle()

    def settle(self):
        in_step(self.master, self.redis, self.swiftlet)

    def both(self, *args):
        expected, got = self.redis.call(*args), self.swiftlet.call(*args)
        assert got == expected, (args, got, expected)
        return got

    def stop(self):
        for server in self.servers:
            server.stop()


@pytest.fixture(scope="module")
def family_of_module():
    family = Family()
    yield family
    family.stop()


@pytest.fixture
def family(family_of_module):
    family = family_of_module
    family.master.call("DEBUG", "SET-ACTIVE-EXPIRE", "1")
    family.master.call("SELECT", "0")
    family.master.call("FLUSHALL")
    family.master.call("SET", "something", "so that the stream has a SELECT")
    family.settle()
    return family


def test_writes_are_refused_with_the_words_of_redis(family):
    for words in (
        ["SET", "a", "b"], ["DEL", "a"], ["FLUSHALL"], ["BLPOP", "a", "0.01"], ["GETDEL", "a"], ["SORT", "a", "STORE", "b"],
        ["GETEX", "a"], ["PFCOUNT", "a"], ["PFADD", "h", "x"], ["XREADGROUP", "GROUP", "g", "c", "STREAMS", "a", ">"],
        ["EXPIRE", "a", "1"], ["MOVE", "a", "1"], ["SWAPDB", "0", "1"], ["GET", "a"], ["OBJECT", "ENCODING", "a"],
        ["WATCH", "a"], ["MULTI"], ["GET", "something"], ["SET", "a", "b"], ["GET", "a"], ["EXEC"], ["MULTI"],
        ["GET", "something"], ["EXEC"], ["REPLICAOF", "x", "y"], ["REPLICAOF", "127.0.0.1", "70000"],
        ["CLIENT", "REPLY", "ON"], ["SET"], ["BITFIELD_RO", "a", "GET", "u8", "0"], ["BITFIELD", "a", "GET", "u8", "0"],
        ["MIGRATE", "127.0.0.1", "1", "a", "0", "100"], ["RESTORE", "a", "0", "x"], ["COPY", "a", "b"], ["TOUCH", "a"],
    ):  # fmt: skip
        family.both(*words)


def test_a_transaction_from_before_is_refused_whole(family):
    """Queued by a master that became a replica before EXEC."""
    port = family.servers[0].port
    for connection in (family.redis, family.swiftlet):
        connection.call("REPLICAOF", "NO", "ONE")
    others = [family.servers[1].connect(), family.servers[2].connect()]
    for connection in others:
        assert connection.call("MULTI") == b"+OK\r\n"
        connection.call("SET", "a", "b")
    for connection in (family.redis, family.swiftlet):
        follow(connection, port)
    assert others[1].call("EXEC") == others[0].call("EXEC")
    family.settle()


LOOKS = [
    ["GET", "due"], ["EXISTS", "due"], ["EXISTS", "due", "due", "stays"], ["TTL", "due"], ["PTTL", "due"], ["TYPE", "due"],
    ["EXPIRETIME", "due"], ["PEXPIRETIME", "due"], ["STRLEN", "due"], ["DUMP", "due"], ["OBJECT", "ENCODING", "due"],
    ["OBJECT", "IDLETIME", "due"], ["TOUCH", "due"], ["MGET", "due", "stays"], ["GETRANGE", "due", "0", "-1"],
    ["LRANGE", "list", "0", "-1"], ["LLEN", "list"], ["HGETALL", "hash"], ["HLEN", "hash"], ["SMEMBERS", "set"],
    ["SINTER", "set", "set"], ["SUNION", "set", "set"], ["ZRANGE", "zset", "0", "-1"], ["ZSCORE", "zset", "a"],
    ["XLEN", "stream"], ["XRANGE", "stream", "-", "+"], ["SCAN", "0", "COUNT", "1000"], ["KEYS", "*"], ["DBSIZE"],
    ["RANDOMKEY"], ["SORT_RO", "list"], ["BITCOUNT", "due"], ["GETBIT", "due", "1"], ["PFCOUNT", "due"], ["SSCAN", "set", "0"],
    ["XREAD", "STREAMS", "stream", "0"], ["LPOS", "list", "a"], ["ZCARD", "zset"],
]  # fmt: skip


def test_due_keys_look_gone_and_stay(family):
    master = family.master
    master.call("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    master.call("DEL", "something")
    master.call("SET", "stays", "x")
    master.call("SET", "due", "value")
    master.call("RPUSH", "list", "a")
    master.call("HSET", "hash", "f", "v")
    master.call("SADD", "set", "a")
    master.call("ZADD", "zset", "1", "a")
    master.call("XADD", "stream", "1-1", "f", "v")
    for key in ("due", "list", "hash", "set", "zset", "stream"):
        master.call("PEXPIRE", key, "60")
    family.settle()
    wait_until(lambda: family.redis.call("EXISTS", "due") == b":0\r\n")
    for words in LOOKS:
        family.both(*words)
    for connection in (family.redis, family.swiftlet):
        assert info(connection, "keyspace")["db0"].startswith("keys=7,expires=6")
        assert connection.call("DEBUG", "OBJECT", "due").startswith(b"+Value")
        assert connection.call("MEMORY", "USAGE", "due").startswith(b":")
    # What the master says of them takes effect as if they were there.
    for words in (["APPEND", "due", "x"], ["SET", "due2", "x"], ["INCR", "n"]):
        master.call(*words)
    family.settle()
    family.both("GET", "due")
    master.call("DEBUG", "SET-ACTIVE-EXPIRE", "1")
    wait_until(lambda: master.call("DBSIZE") == b":4\r\n")
    family.settle()
    assert digest(family.swiftlet) == digest(master)
    family.both("DBSIZE")


def test_what_the_master_says_of_keys_that_are_due_here_alone_finds_them(family):
    """The replica's clock is ahead."""
    master = family.master
    master.call("SET", "due", "value", "EX", "100")
    master.call("RPUSH", "list", "a")
    master.call("EXPIRE", "list", "100")
    master.call("SET", "source", "value", "EX", "100")
    family.settle()
    advance(family.swiftlet, 200)
    assert family.swiftlet.call("EXISTS", "due", "list", "source") == b":0\r\n"
    for words in (
        ["APPEND", "due", "x"], ["RPUSH", "list", "b"], ["RENAME", "source", "target"],
        ["PERSIST", "due"], ["PERSIST", "list"], ["PERSIST", "target"],
    ):  # fmt: skip
        master.call(*words)
    family.settle()
    assert family.swiftlet.call("GET", "due") == b"$6\r\nvaluex\r\n"
    assert digest(family.swiftlet) == digest(master)


def test_where_all_keys_are_due_any_is_a_random_key(family):
    family.master.call("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    family.master.call("DEL", "something")
    family.master.call("SET", "due", "x", "PX", "20")
    family.settle()
    wait_until(lambda: family.redis.call("EXISTS", "due") == b":0\r\n")
    family.both("RANDOMKEY")


def test_a_watched_key_that_becomes_due_spoils_the_transaction(family):
    family.master.call("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    for milliseconds in (150, 1000, 5000, 20_000):
        family.master.call("SET", "due", "x", "PX", milliseconds)
        family.settle()
        family.both("WATCH", "due")
        if all(one.call("EXISTS", "due") == b":1\r\n" for one in (family.redis, family.swiftlet)):
            break
        family.both("UNWATCH")
    for was_due in (False, True):
        if was_due:
            family.both("WATCH", "due")
        wait_until(lambda: family.redis.call("EXISTS", "due") == family.swiftlet.call("EXISTS", "due") == b":0\r\n")
        if was_due:
            family.master.call("DEL", "due")
            family.settle()
        family.both("MULTI")
        family.both("PING")
        family.both("EXEC")


def test_a_writable_replica(family):
    for connection in (family.redis, family.swiftlet):
        connection.call("CONFIG", "SET", "replica-read-only", "no")
    try:
        family.both("SET", "own", "1")
        family.both("INCR", "own")
        family.both("SET", "short", "x", "PX", "30")
        wait_until(lambda: family.swiftlet.call("DBSIZE") == b":2\r\n")
        wait_until(lambda: family.redis.call("DBSIZE") == b":2\r\n")
        family.master.call("DEBUG", "SET-ACTIVE-EXPIRE", "0")
        family.master.call("SET", "due", "5", "PX", "30")
        family.settle()
        wait_until(lambda: family.redis.call("EXISTS", "due") == family.swiftlet.call("EXISTS", "due") == b":0\r\n")
        family.both("INCR", "due")
        family.both("TTL", "due")
        family.both("LPUSH", "queue", "a")
        # Who waits here is served from what the master pushes.
        waiters = [family.servers[1].connect(), family.servers[2].connect()]
        for waiter in waiters:
            waiter.send("BLPOP", "pushed", "0")
        wait_until(lambda: info(family.swiftlet, "clients")["blocked_clients"] == "1")
        wait_until(lambda: info(family.redis, "clients")["blocked_clients"] == "1")
        family.master.call("RPUSH", "pushed", "a", "b")
        assert waiters[0].reply() == waiters[1].reply()
        family.settle()
        family.both("LRANGE", "pushed", "0", "-1")
        # A command of the master's that fails here.
        family.both("SET", "text", "abc")
        family.master.call("INCR", "text")
        family.settle()
        family.both("GET", "text")
        assert log_of(family.servers[2]).count("after processing the command 'incr'") == 1
        family.master.call("FLUSHALL")
        family.settle()
    finally:
        for connection in (family.redis, family.swiftlet):
            connection.call("CONFIG", "SET", "replica-read-only", "yes")


def test_stale_data_is_not_served_where_it_must_not(family):
    port = family.servers[0].port
    for connection in (family.redis, family.swiftlet):
        connection.call("CONFIG", "SET", "replica-serve-stale-data", "no")
        follow(connection, 1)
    try:
        for words in (["GET", "something"], ["SET", "a", "b"], ["PING"], ["MULTI"], ["GET", "something"], ["EXEC"],
                      ["CONFIG", "GET", "replica-serve-stale-data"], ["SELECT", "1"], ["DBSIZE"], ["SELECT", "0"]):  # fmt: skip
            family.both(*words)
    finally:
        for connection in (family.redis, family.swiftlet):
            connection.call("CONFIG", "SET", "replica-serve-stale-data", "yes")
            follow(connection, port)
    family.settle()
    assert b"something" in family.both("KEYS", "*")


def test_who_waits_when_a_master_becomes_a_replica_is_sent_away(family):
    port = family.servers[0].port
    waiters = []
    for server, connection in zip(family.servers[1:], (family.redis, family.swiftlet)):
        connection.call("REPLICAOF", "NO", "ONE")
        waiters.append(server.connect())
        waiters[-1].send("BLPOP", "nothing", "0")
        wait_until(lambda: info(connection, "clients")["blocked_clients"] == "1")
        follow(connection, port)
    assert waiters[0].reply() == waiters[1].reply()
    for waiter in waiters:
        with pytest.raises(ConnectionError):
            waiter.reply()
    family.settle()


# ---- A master that a test plays


ID = "0123456789abcdef0123456789abcdef01234567"
OTHER = "f" * 40
EMPTY = b"REDIS0010\xff" + bytes(8)
MARK = b"abcdefghijklmnopqrstuvwxyz0123456789ABCD"


def rdb(*strings, db=0):
    """An RDB file with these keys and values, without a checksum."""
    body = b"".join(b"\x00" + bytes([len(part)]) + part + bytes([len(value)]) + value for part, value in strings)
    return b"REDIS0010" + (b"\xfe" + bytes([db]) + body if strings else b"") + b"\xff" + bytes(8)


class Played:
    """A port that a replica connects to, and what it said on the connection in hand."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(20)
        self.port = self.listener.getsockname()[1]
        self.peer = None

    def accept(self):
        if self.peer:
            self.peer.close()
        self.peer, _ = self.listener.accept()
        self.peer.settimeout(20)
        self.buffer = b""

    def line(self):
        while b"\r\n" not in self.buffer:
            data = self.peer.recv(65536)
            if not data:
                raise ConnectionError("the replica has closed")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def request(self):
        """The next request's words."""
        line = self.line().lstrip(b"\n")
        assert line[:1] == b"*", line
        words = []
        for _ in range(int(line[1:])):
            length = int(self.line()[1:])
            while len(self.buffer) < length + 2:
                self.buffer += self.peer.recv(65536)
            words.append(self.buffer[:length].decode())
            self.buffer = self.buffer[length + 2 :]
        return words

    def send(self, *parts):
        for part in parts:
            self.peer.sendall(part)

    def greet(self):
        """Everything up to PSYNC, whose words are the value."""
        self.accept()
        while True:
            words = self.request()
            if words[0] == "PSYNC":
                return words
            self.send(b"+PONG\r\n" if words[0] == "PING" else b"+OK\r\n")

    def sync(self, payload=EMPTY, offset=0, history=ID):
        words = self.greet()
        self.send(b"+FULLRESYNC %s %d\r\n$%d\r\n" % (history.encode(), offset, len(payload)), payload)
        return words

    def has_closed(self):
        """Waits for the end of the connection."""
        try:
            while self.peer.recv(65536):
                pass
        except ConnectionError:
            pass
        return True

    def acknowledged(self, offset, within=20):
        """Waits until the replica has acknowledged `offset`."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            words = self.request()
            assert words[:2] == ["REPLCONF", "ACK"], words
            if int(words[2]) == offset:
                return words
        raise AssertionError(f"no acknowledgement of {offset}")

    def stop(self):
        if self.peer:
            self.peer.close()
        self.listener.close()


class Stage:
    """A played master and the replica that follows it."""

    def __init__(self, *options):
        self.master = Played()
        self.server = start_swiftlet("--appendonly", "yes", *options)
        self.replica = self.server.connect()

    def begin(self):
        follow(self.replica, self.master.port)

    def log(self):
        return log_of(self.server)

    def stop(self):
        self.server.stop()
        self.master.stop()


@pytest.fixture
def stage():
    stage = Stage()
    yield stage
    stage.stop()


@pytest.fixture
def stages():
    """Makes stages with options of the test's own."""
    made = []

    def make(*options):
        made.append(Stage(*options))
        return made[-1]

    yield make
    for stage in made:
        stage.stop()


def test_the_handshake(stages):
    stage = stages(
        "--masteruser", "someone", "--masterauth", "secret", "--replica-announce-ip", "198.51.100.7",
        "--replica-announce-port", "7000",
    )  # fmt: skip
    stage.begin()
    stage.master.accept()
    said = []
    for answer in (b"-NOAUTH Authentication required.", b"+OK", b"-ERR odd", b"+OK", b"+OK", b"-ERR odd"):
        said.append(stage.master.request())
        stage.master.send(answer + b"\r\n")
    assert said == [
        ["PING"], ["AUTH", "someone", "secret"], ["REPLCONF", "listening-port", "7000"],
        ["REPLCONF", "ip-address", "198.51.100.7"], ["REPLCONF", "capa", "eof", "capa", "psync2", "capa", "swiftlet"],
        ["REPLCONF", "version", "9.0.0"],
    ]  # fmt: skip
    words = stage.master.request()
    assert words[0] == "PSYNC" and len(words[1]) == 40 and words[2] == "1", words
    assert "(Non critical) Master does not understand REPLCONF listening-port: -ERR odd" in stage.log()


def test_a_failover_to_who_needs_another_history_is_done(stages):
    """The other server is the master by then: this one must not go on as another."""
    stage = stages("--repl-diskless-sync-delay", "0")
    replica = RawReplica(stage.server.port)
    replica.full_sync(port=stage.master.port)
    wait_until(lambda: "state=online" in info(stage.replica)["slave0"])
    failover = ("FAILOVER", "TO", "127.0.0.1", stage.master.port, "FORCE", "TIMEOUT", 1)
    assert stage.replica.call(*failover) == b"+OK\r\n"
    assert stage.master.sync()[-1] == "FAILOVER"
    wait_until(lambda: info(stage.replica).get("master_link_status") == "up")
    assert info(stage.replica)["role"] == "slave"
    assert info(stage.replica)["master_failover_state"] == "no-failover"
    replica.close()


def test_a_server_that_starts_as_a_replica_asks_for_everything(stages):
    played = Played()
    stage = stages("--replicaof", f"127.0.0.1 {played.port}")
    assert played.greet() == ["PSYNC", "?", "-1"]
    assert stage.replica.call("CONFIG", "GET", "replicaof").endswith(b"127.0.0.1 %d\r\n" % played.port)
    assert stage.replica.call("ROLE").startswith(b"*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:%d\r\n" % played.port)
    played.stop()


@pytest.mark.parametrize("answer", [
    b"-LOADING Redis is loading the dataset in memory", b"-NOMASTERLINK Can't SYNC while not connected with my master",
    b"-ERR unknown command", b"+WHAT", b"+FULLRESYNC", b"+FULLRESYNC short 0", b"+FULLRESYNC " + ID.encode() + b" -5",
    b"+FULLRESYNC " + ID.encode() + b" 99999999999999999999", b"+CONTINUE short", b"x" * 5000, b"",
])  # fmt: skip
def test_an_answer_that_leads_nowhere_is_followed_by_another_try(stage, answer):
    stage.begin()
    stage.master.greet()
    stage.master.send(answer + b"\r\n")
    if not answer:
        stage.master.peer.close()
    stage.master.sync(rdb((b"k", b"v")))
    wait_until(lambda: stage.replica.call("GET", "k") == b"$1\r\nv\r\n")


@pytest.mark.parametrize("size", [1, 7, 100000])
@pytest.mark.parametrize("has_mark", [False, True], ids=["length", "mark"])
def test_the_end_of_the_rdb_is_found_however_it_comes(stage, size, has_mark):
    stage.begin()
    stage.master.greet()
    # Beginnings of the mark, which are none.
    payload = rdb((b"k", MARK[:30] + MARK[:10]), (b"l", MARK[:39]))
    framed = b"$EOF:%s\r\n%s%s" % (MARK, payload, MARK) if has_mark else b"$%d\r\n%s" % (len(payload), payload)
    stream = encode(["SELECT", "2"]) + encode(["SET", "x", "y"])
    text = b"\n\n+FULLRESYNC %s 1000\r\n\n\n\n" % ID.encode() + framed + (b"" if has_mark else stream)
    for at in range(0, len(text), size):
        stage.master.send(text[at : at + size])
    if has_mark:
        assert stage.master.acknowledged(1000)
        stage.master.send(stream)
    stage.master.acknowledged(1000 + len(stream))
    assert stage.replica.call("GET", "l") == b"$39\r\n%s\r\n" % MARK[:39]
    stage.replica.call("SELECT", 2)
    assert stage.replica.call("GET", "x") == b"$1\r\ny\r\n"


def test_offsets_and_acknowledgements(stage):
    stage.begin()
    stage.master.sync(offset=5000)
    assert stage.master.acknowledged(5000)[3:] == ["FACK", "5000"]
    commands = [["PING"], ["SELECT", "3"], ["SET", "a", "1"], ["INCR", "a"], ["PUBLISH", "c", "m"]]
    text = b"".join(encode(c) for c in commands)
    ask = encode(["REPLCONF", "GETACK", "*"])
    stage.master.send(text + ask)
    words = stage.master.acknowledged(5000 + len(text))
    assert words[:3] == ["REPLCONF", "ACK", str(5000 + len(text))]
    stage.master.acknowledged(5000 + len(text) + len(ask))
    assert int(info(stage.replica)["slave_repl_offset"]) == 5000 + len(text) + len(ask)
    # A second one goes on exactly there, in the same database.
    stage.master.peer.close()
    assert stage.master.greet() == ["PSYNC", ID, str(5001 + len(text) + len(ask))]
    stage.master.send(b"+CONTINUE\r\n", encode(["INCR", "a"]))
    stage.replica.call("SELECT", 3)
    wait_until(lambda: stage.replica.call("GET", "a") == b"$1\r\n3\r\n")


def test_a_transaction_is_executed_when_its_exec_has_come(stage):
    stage.begin()
    stage.master.sync()
    text = encode(["MULTI"]) + encode(["SELECT", "1"]) + encode(["SET", "a", "1"]) + encode(["RPUSH", "l", "x"])
    stage.master.send(text)
    stage.replica.call("SELECT", 1)
    wait_until(lambda: int(info(stage.replica)["slave_read_repl_offset"]) == len(text))
    assert stage.replica.call("DBSIZE") == b":0\r\n"
    # What was not whole is not counted: it comes again.
    stage.master.peer.close()
    assert stage.master.greet()[2] == "1"
    stage.master.send(b"+CONTINUE %s\r\n" % OTHER.encode(), text + encode(["EXEC"]) + encode(["INCR", "n"]))
    wait_until(lambda: stage.replica.call("DBSIZE") == b":3\r\n")
    fields = info(stage.replica)
    assert (fields["master_replid"], fields["master_replid2"]) == (OTHER, ID)


def test_what_fails_is_reported_and_passed_over(stage):
    stage.begin()
    stage.master.sync()
    commands = [
        ["SET", "s", "abc"], ["LPUSH", "s", "x"], ["lpush", "s", "y"], ["no-such-command", "x"], ["GET"], ["SHUTDOWN"],
        ["CONFIG", "SET", "port", "1"], ["ECHO", "swiftlet:b:00000000"], ["DEBUG", "SEGFAULT"], ["REPLICAOF", "NO", "ONE"],
        ["SUBSCRIBE", "x"], ["CLIENT", "KILL", "TYPE", "normal"], ["######", "x"], ["XGROUP", "DESTROY", "s", "g"],
        ["MULTI"], ["SET", "t", "1"], ["LPUSH", "t", "x"], ["INCR", "t"], ["EXEC"], ["SET", "last", "1"],
    ]  # fmt: skip
    text = b"".join(encode(c) for c in commands)
    stage.master.send(text)
    stage.master.acknowledged(len(text))
    assert stage.replica.call("GET", "t") == b"$1\r\n2\r\n"
    log = stage.log()
    assert log.count("== CRITICAL ==") == log.count("This replica is sending an error to its master") > 5
    # Of each command once a second.
    assert log.count("after processing the command 'lpush'") == 1
    assert "unknown command 'no-such-command'" in log
    assert int(info(stage.replica, "stats")["unexpected_error_replies"]) == 13
    # The log was written with the stream as it is, and is read again.
    before = digest(stage.replica)
    assert stage.replica.call("DEBUG", "LOADAOF") == b"+OK\r\n"
    assert digest(stage.replica) == before


LIES = {
    "garbage": b"\x00\x01\x02garbage\r\n" * 10,
    "inline": b"SET a b\r\n",
    "endless inline": b"x" * 200_000,
    "endless number": b"*" + b"1" * 200_000,
    "huge bulk": b"*2\r\n$3\r\nGET\r\n$99999999999\r\n",
    "negative bulk": b"*1\r\n$-5\r\n",
    "odd number": b"*02\r\n$3\r\nGET\r\n$1\r\na\r\n",
    "nested": encode(["MULTI"]) + encode(["MULTI"]),
    "exec": encode(["EXEC"]),
    "an empty request": encode(["SELECT", "0"]) + b"*0\r\n" + encode(["SET", "a", "b"]),
    "lines": b"\n\n" + encode(["SET", "a", "b"]),
    "database": encode(["SELECT", "16"]) + encode(["SET", "a", "b"]),
    "database of words": encode(["SELECT", "x"]) + encode(["SET", "a", "b"]),
    "in a transaction": encode(["MULTI"]) + b"SET a b\r\n",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_in_the_stream_ends_the_link(stage, lie):
    stage.begin()
    stage.master.sync(rdb((b"k", b"v")))
    stage.master.acknowledged(0)
    with contextlib.suppress(OSError):
        stage.master.send(LIES[lie])
    assert stage.master.has_closed()
    assert "Closing the connection to the master, as its stream cannot be followed" in stage.log()
    assert stage.replica.call("DBSIZE") == b":1\r\n"
    # It is tried again, where the last whole command ended.
    assert stage.master.greet()[1] == ID


LIES_ABOUT_DATA = {
    "no dollar": b"+OK\r\n",
    "an error": b"-ERR out of everything\r\n",
    "endless line": b"$" + b"1" * 100_000,
    "negative": b"$-1\r\n",
    "short mark": b"$EOF:abc\r\n",
    "no RDB": b"$9\r\nREDISxxxx",
    "empty": b"$0\r\n",
    "cut": b"$20\r\n" + rdb((b"k", b"v"))[:20],
    "a huge string": b"$28\r\nREDIS0010\x00\x01k\x81" + b"\x7f" * 8 + b"aaaaaaa",
    "a huge list": b"$28\r\nREDIS0010\x01\x01k\x80\xff\xff\xff\xff" + b"a" * 11,
    "a database too many": b"$%d\r\n" % len(rdb((b"k", b"v"), db=20)) + rdb((b"k", b"v"), db=20),
    "twice": b"$%d\r\n" % len(rdb((b"k", b"v"), (b"k", b"w"))) + rdb((b"k", b"v"), (b"k", b"w")),
    "trailing": b"$%d\r\n" % (len(EMPTY) + 5) + EMPTY + b"trail",
    "a checksum": b"$18\r\nREDIS0010\xff" + b"\x01" * 8,
}


@pytest.mark.parametrize("lie", LIES_ABOUT_DATA)
def test_a_full_sync_that_is_none_leaves_what_was_there(stage, lie):
    stage.replica.call("SET", "old", "data")
    stage.begin()
    stage.master.greet()
    with contextlib.suppress(OSError):
        stage.master.send(b"+FULLRESYNC %s 1000\r\n" % ID.encode(), LIES_ABOUT_DATA[lie])
    assert stage.master.has_closed()
    assert stage.replica.call("GET", "old") == b"$4\r\ndata\r\n"
    words = stage.master.greet()
    assert words[1] != ID, words
    stage.master.send(b"+FULLRESYNC %s 1000\r\n$%d\r\n" % (ID.encode(), len(EMPTY)), EMPTY)
    stage.master.acknowledged(1000)
    assert stage.replica.call("DBSIZE") == b":0\r\n"


def test_a_silent_master_is_left_in_every_state(stages):
    stage = stages("--repl-timeout", "1")
    stage.begin()
    stage.master.accept()
    assert stage.master.has_closed()
    assert "Timeout connecting to the MASTER..." in stage.log()
    stage.master.greet()
    stage.master.send(b"+FULLRESYNC %s 1000\r\n$100\r\nREDIS0010" % ID.encode())
    assert stage.master.has_closed()
    assert "Timeout receiving bulk data from MASTER..." in stage.log()
    stage.master.sync()
    assert stage.master.has_closed()
    assert "MASTER timeout: no data nor PING received..." in stage.log()


def test_a_cut_in_the_middle_is_followed_by_another_try(stage):
    stage.replica.call("SET", "old", "data")
    stage.begin()
    payload = rdb(*[(b"%03d" % i, b"v") for i in range(200)])
    for length in (0, 1, 9, len(payload) // 2, len(payload) - 1):
        stage.master.greet()
        stage.master.send(b"+FULLRESYNC %s 1000\r\n$%d\r\n" % (ID.encode(), len(payload)), payload[:length])
        stage.master.peer.close()
        assert stage.replica.call("DBSIZE") == b":1\r\n"
    stage.master.sync(payload)
    wait_until(lambda: stage.replica.call("DBSIZE") == b":200\r\n")


def test_pauses_hold_up_what_the_master_writes(stage):
    stage.begin()
    stage.master.sync()
    stage.master.acknowledged(0)
    stage.replica.call("CLIENT", "PAUSE", "100000", "WRITE")
    text = encode(["SELECT", "0"]) + encode(["SET", "a", "1"]) + encode(["PING"])
    stage.master.send(text)
    wait_until(lambda: int(info(stage.replica)["slave_read_repl_offset"]) == len(text))
    assert stage.replica.call("DBSIZE") == b":0\r\n"
    assert int(info(stage.replica)["slave_repl_offset"]) < len(text)
    # More than is read ahead stays with the master.
    many = b"".join(encode(["SET", f"key{i}", "x" * 1000]) for i in range(20000))
    thread = threading.Thread(target=stage.master.send, args=(many,))
    thread.start()
    wait_until(lambda: int(info(stage.replica)["slave_read_repl_offset"]) > 1 << 20)
    assert int(info(stage.replica)["slave_read_repl_offset"]) < 8 << 20
    stage.replica.call("CLIENT", "UNPAUSE")
    wait_until(lambda: stage.replica.call("DBSIZE") == b":20001\r\n", 60)
    thread.join()


def test_a_promoted_replica_branches_its_history(stage):
    stage.begin()
    stage.master.sync(offset=77)
    text = encode(["SELECT", "0"]) + encode(["SET", "a", "1"])
    stage.master.send(text)
    stage.master.acknowledged(77 + len(text))
    assert stage.replica.call("REPLICAOF", "NO", "ONE") == b"+OK\r\n"
    assert stage.master.has_closed()
    fields = info(stage.replica)
    assert fields["role"] == "master" and fields["master_replid2"] == ID
    assert fields["master_repl_offset"] == str(77 + len(text))
    assert fields["second_repl_offset"] == str(78 + len(text))
    stage.replica.call("INCR", "a")
    # And back, by its own id and offset.
    offset = int(info(stage.replica)["master_repl_offset"])
    follow(stage.replica, stage.master.port)
    assert stage.master.greet() == ["PSYNC", fields["master_replid"], str(offset + 1)]


def test_commands_that_change_the_role(stage):
    replica = stage.replica
    assert replica.call("REPLICAOF", "NO", "ONE") == b"+OK\r\n"
    assert replica.call("MULTI") == b"+OK\r\n"
    assert replica.call("SLAVEOF", "127.0.0.1", stage.master.port) == b"+QUEUED\r\n"
    replica.call("INFO", "replication")
    replica.call("SET", "a", "b")
    reply = replica.call("EXEC")
    assert b"+OK" in reply and b"role:slave" in reply and b"master_link_status:down" in reply, reply
    # What was queued is executed, as in Redis.
    assert reply.endswith(b"+OK\r\n") and replica.call("SET", "a", "b").startswith(b"-READONLY"), reply
    assert replica.call("SLAVEOF", "127.0.0.1", stage.master.port).startswith(b"+OK Already connected")
    stage.master.sync()
    stage.master.acknowledged(0)
    killed = replica.call("CLIENT", "KILL", "TYPE", "master")
    assert killed == b":1\r\n"
    assert stage.master.greet()[1:] == [ID, "1"]


# ---- Restarts


def restarted(start, port, directory=None, options=()):
    """A Swiftlet in a directory that stays."""
    return start("--enable-debug-command", "yes", "--replicaof", f"127.0.0.1 {port}", *options, directory=directory)


@pytest.fixture
def redis_master():
    server = start_redis("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
    yield server
    server.stop()


def partials(master):
    fields = info(master, "stats")
    return int(fields["sync_full"]), int(fields["sync_partial_ok"])


@pytest.mark.parametrize("ending", ["clean", "killed", "killed and cut"])
def test_a_replica_that_restarts_goes_on_where_it_was(start, redis_master, ending):
    random = seeded()
    master = redis_master.connect()
    master.call("SELECT", "3")
    for i in range(100):
        master.call("SET", f"before{i}", i)
    process = restarted(start, redis_master.port)
    replica = process.connect()
    in_step(master, replica)
    for i in range(random.randrange(50, 100)):
        master.call("RPUSH", "list", i)
        master.pipeline([["MULTI"], ["SELECT", i % 16], ["INCR", "count"], ["EXEC"], ["SELECT", "3"]])
    in_step(master, replica)
    assert partials(master) == (1, 0)
    if ending == "clean":
        assert process.end() == 0
    else:
        process.kill()
    for _ in range(30):
        master.call("INCR", "count")
    directory = process.directory
    if ending == "killed and cut":
        log = max(directory.glob("**/*.aof*"), key=lambda path: path.stat().st_mtime)
        log.write_bytes(log.read_bytes()[: -random.randrange(1, 200)])
    process = restarted(start, redis_master.port, directory=directory)
    replica = process.connect()
    in_step(master, replica)
    assert partials(master) == (1, 1), process.text()
    assert digest(replica) == digest(master)
    # And promoted, it names the master's history as its second.
    history = info(master)["master_replid"]
    replica.call("REPLICAOF", "NO", "ONE")
    assert info(replica)["master_replid2"] == history


def test_without_a_log_what_was_not_saved_comes_again(start, redis_master):
    master = redis_master.connect()
    process = restarted(start, redis_master.port, options=("--appendonly", "no", "--save", "3600 1"))
    replica = process.connect()
    in_step(master, replica)
    master.call("SET", "a", "1")
    in_step(master, replica)
    process.kill()
    process = restarted(start, redis_master.port, directory=process.directory, options=("--appendonly", "no"))
    replica = process.connect()
    in_step(master, replica)
    assert digest(replica) == digest(master) != b"+" + b"0" * 40 + b"\r\n"
    assert partials(master) == (1, 1)


def test_a_replica_that_keeps_nothing(start, redis_master):
    master = redis_master.connect()
    master.call("RPUSH", "list", *range(1000))
    process = restarted(start, redis_master.port, options=("--appendonly", "no", "--save", ""))
    replica = process.connect()
    in_step(master, replica)
    assert digest(replica) == digest(master)
    # A second full sync, over what is there.
    master.call("DEBUG", "CHANGE-REPL-ID")
    master.call("CLIENT", "KILL", "TYPE", "replica")
    master.call("SET", "a", "1")
    wait_until(lambda: partials(master)[0] == 2)
    in_step(master, replica)
    assert digest(replica) == digest(master)
    names = {path.name for path in process.directory.iterdir()} - {"dump.sqlite-shm", "dump.sqlite-wal"}
    assert names == {"swiftlet.lock", "dump.sqlite"}
    assert select(process.directory, "SELECT count(*) FROM keys") == [(0,)]
    assert process.end() == 0


def test_who_waits_on_a_writable_replica_is_served_in_the_log_too(stages):
    stage = stages("--replica-read-only", "no")
    stage.begin()
    stage.master.sync()
    stage.master.acknowledged(0)
    waiter = stage.server.connect()
    waiter.send("BLPOP", "list", "0")
    wait_until(lambda: info(stage.replica, "clients")["blocked_clients"] == "1")
    text = b"".join(encode(c) for c in (["MULTI"], ["RPUSH", "list", "a", "b"], ["INCR", "n"], ["EXEC"], ["INCR", "n"]))
    stage.master.send(text)
    assert waiter.reply() == b"*2\r\n$4\r\nlist\r\n$1\r\na\r\n"
    stage.master.acknowledged(len(text))
    stage.replica.call("SELECT", "3")
    stage.replica.call("SET", "own", "1")
    stage.master.send(encode(["INCR", "n"]))
    stage.master.acknowledged(len(text) + len(encode(["INCR", "n"])))
    before = digest(stage.replica)
    assert stage.replica.call("DEBUG", "LOADAOF") == b"+OK\r\n"
    assert digest(stage.replica) == before


@pytest.mark.parametrize("kinds", ["rss", "rsr", "ssr", "srs", "sss"])
def test_a_chain(kinds):
    """Offsets and data are the top's everywhere, also after a cut in the middle."""
    quick = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"]
    servers = [start_redis(*quick) if kind == "r" else start_swiftlet(*quick) for kind in kinds]
    try:
        top, middle, bottom = [server.connect() for server in servers]
        for i in range(100):
            top.call("SET", f"k{i}", i)
        follow(middle, servers[0].port)
        in_step(top, middle)
        follow(bottom, servers[1].port)
        in_step(top, middle, bottom)
        for i in range(300):
            top.pipeline(
                [["SELECT", i % 3], ["MULTI"], ["INCR", "n"], ["RPUSH", "l", i], ["EXEC"], ["SET", "x", i, "PX", 1]]
            )
            if i % 100 == 50:
                middle.call("CLIENT", "KILL", "TYPE", "master")
            if i % 100 == 70:
                bottom.call("CLIENT", "KILL", "TYPE", "master")
        wait_until(lambda: top.call("SELECT", "0") and top.call("EXISTS", "x") == b":0\r\n")
        in_step(top, middle, bottom)
        wait_until(lambda: digest(top) == digest(middle) == digest(bottom))
        in_step(top, middle, bottom)
        assert partials(top)[0] == partials(middle)[0] == 1
        assert info(top)["master_replid"] == info(middle)["master_replid"] == info(bottom)["master_replid"]
        # The middle takes over: the bottom goes on.
        middle.call("REPLICAOF", "NO", "ONE")
        middle.call("SET", "after", "1")
        in_step(middle, bottom)
        assert digest(middle) == digest(bottom)
        assert partials(middle)[0] == 1
        # And the old top follows the bottom, by what both know.
        follow(top, servers[2].port)
        in_step(middle, bottom, top)
        assert digest(middle) == digest(bottom) == digest(top)
    finally:
        for server in servers:
            server.stop()


# ---- What clients get during a full sync


@pytest.mark.parametrize("mode", ["disabled", "on-empty-db", "swapdb", "swapdb of the same history"])
@pytest.mark.parametrize("had", [True, False], ids=["data", "empty"])
def test_what_clients_get_during_a_full_sync(stages, mode, had):
    if "same" in mode and not had:
        pytest.skip("without data there is no history")
    stage = stages("--repl-diskless-load", mode.split()[0])
    replica = stage.replica
    if had:
        replica.call("SET", "old", "data")
    old = info(replica)["master_replid"]
    stage.begin()
    stage.master.greet()
    history = old if "same" in mode else ID
    payload = rdb((b"old", b"new"), (b"k", b"v"))
    stage.master.send(b"+FULLRESYNC %s 1000\r\n$%d\r\n" % (history.encode(), len(payload)), payload[:12])
    wait_until(lambda: info(replica).get("master_sync_read_bytes") == "12")
    assert info(replica)["master_sync_total_bytes"] == str(len(payload))
    fields = info(replica, "persistence")
    is_aside = "same" in mode
    refuses = mode == "swapdb" or mode == "on-empty-db" and not had
    assert fields["loading"] == ("1" if refuses else "0")
    assert fields["async_loading"] == ("1" if is_aside else "0")
    reply = replica.call("GET", "old")
    assert reply.startswith(b"-LOADING") if refuses else reply == (b"$4\r\ndata\r\n" if had else b"$-1\r\n")
    if is_aside or refuses:
        assert replica.call("REPLICAOF", "NO", "ONE").startswith(b"-LOADING")
    # A cut leaves what was there.
    stage.master.peer.close()
    wait_until(lambda: info(replica)["master_sync_in_progress"] == "0")
    assert replica.call("GET", "old") == (b"$4\r\ndata\r\n" if had else b"$-1\r\n")
    stage.master.greet()
    replica.call("CONFIG", "SET", "key-load-delay", "300000")
    stage.master.send(b"+FULLRESYNC %s 1000\r\n$%d\r\n" % (history.encode(), len(payload)), payload)
    if is_aside:
        wait_until(lambda: info(replica, "persistence")["async_loading"] == "1")
        assert replica.call("GET", "old") == b"$4\r\ndata\r\n"
        assert replica.call("REPLICAOF", "NO", "ONE").startswith(b"-LOADING")
    else:
        wait_until(lambda: info(replica, "persistence")["loading"] == "1")
        wait_until(lambda: replica.call("GET", "old").startswith(b"-LOADING"))
        assert replica.call("SAVE").startswith(b"-LOADING")
    replica.call("CONFIG", "SET", "key-load-delay", "0")
    stage.master.acknowledged(1000)
    assert replica.call("GET", "old") == b"$3\r\nnew\r\n"
    assert info(replica, "persistence")["loading"] == info(replica, "persistence")["async_loading"] == "0"
    assert replica.call("DEBUG", "CHECK-INVARIANTS") == b"+OK\r\n"


def test_a_link_that_ends_while_its_data_are_loaded(stage):
    """What it said behind the RDB comes again."""
    replica = stage.replica
    # Long enough for the newlines, one a second, that find the link gone.
    replica.call("CONFIG", "SET", "key-load-delay", "3500000")
    stage.begin()
    stage.master.greet()
    payload = rdb((b"k", b"v"))
    text = encode(["SELECT", "0"]) + encode(["INCR", "n"])
    stage.master.send(b"+FULLRESYNC %s 1000\r\n$%d\r\n%s%s" % (ID.encode(), len(payload), payload, text))
    wait_until(lambda: info(replica, "persistence")["loading"] == "1")
    stage.master.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stage.master.peer.close()
    wait_until(lambda: info(replica, "persistence")["loading"] == "0")
    assert stage.master.greet() == ["PSYNC", ID, "1001"]
    stage.master.send(b"+CONTINUE\r\n", text, encode(["INCR", "n"]))
    stage.master.acknowledged(1000 + len(text) + len(encode(["INCR", "n"])))
    assert replica.call("GET", "n") == b"$1\r\n2\r\n"


def test_a_little_data_is_loaded_before_anybody_sees_it(stage):
    """What clients send meanwhile waits, as with a redis-server, which loads that much in one turn."""
    replica = stage.replica
    others = [stage.server.connect() for _ in range(3)]
    ends = threading.Event()
    seen = set()

    def look(connection):
        while not ends.is_set():
            seen.add(connection.call("GET", "k"))

    threads = [threading.Thread(target=look, args=(other,)) for other in others]
    for thread in threads:
        thread.start()
    try:
        for i in range(5):
            follow(replica, stage.master.port)
            stage.master.greet()
            payload = rdb((b"k", b"%d" % i))
            text = b"+FULLRESYNC %s 0\r\n$%d\r\n%s" % (b"%040d" % i, len(payload), payload)
            stage.master.send(text)
            wait_until(lambda: stage.server.connect().call("GET", "k") == b"$1\r\n%d\r\n" % i)
            assert replica.call("REPLICAOF", "127.0.0.1", 1) == b"+OK\r\n"
    finally:
        ends.set()
        for thread in threads:
            thread.join()
    assert seen <= {b"$-1\r\n"} | {b"$1\r\n%d\r\n" % i for i in range(5)}, seen


def test_info_removes_no_key(family):
    family.master.call("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    family.swiftlet.call("REPLICAOF", "NO", "ONE")
    family.swiftlet.call("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    family.swiftlet.call("SET", "due", "x", "PX", "1")
    wait_until(lambda: family.swiftlet.call("TIME") and info(family.swiftlet, "keyspace")["db0"].startswith("keys=2,"))
    time_passed = time.monotonic() + 0.05
    wait_until(lambda: time.monotonic() > time_passed)
    assert info(family.swiftlet, "keyspace")["db0"].startswith("keys=2,expires=1")
    assert family.swiftlet.call("EXISTS", "due") == b":0\r\n"
    family.swiftlet.call("DEBUG", "SET-ACTIVE-EXPIRE", "1")
    follow(family.swiftlet, family.servers[0].port)
    family.settle()


def test_a_replica_of_much_data(redis_master, start):
    """More than fits into the pipe and the buffers of sockets, while the master writes on."""
    random = seeded()
    master = redis_master.connect()
    for i in range(80):
        master.call("SET", f"large{i}", random.randbytes(100_000))
    for i in range(500):
        master.call("HSET", f"hash{i}", *[x for j in range(20) for x in (f"f{j}", i * j)])
    process = restarted(start, redis_master.port)
    replica = process.connect()
    for i in range(1500):
        master.call("SET", f"key{random.randrange(1000)}", i)
        master.call("LPUSH", f"list{i % 7}", i)
    in_step(master, replica)
    assert digest(replica) == digest(master)
    assert replica.call("DEBUG", "CHECK-INVARIANTS") == b"+OK\r\n"
    # The log goes on behind the full sync, with no other history in it.
    for i in range(1000):
        master.call("INCR", f"n{i % 10}")
    in_step(master, replica)
    process.kill()
    process = restarted(start, redis_master.port, directory=process.directory)
    replica = process.connect()
    in_step(master, replica)
    assert digest(replica) == digest(master) and partials(master) == (1, 1)
