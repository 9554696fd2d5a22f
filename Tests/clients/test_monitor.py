"""MONITOR: what it shows, how, and in which order, compared with redis-server 7.0.15."""

import re
import socket

import pytest

from oracle import start_redis, start_swiftlet
from resp import Connection, bulk, encode
from test_secrets import AS_REDIS, BEYOND_REDIS
from waiting import wait_until


class UnixConnection(Connection):
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(path)
        self.buffer = bytearray()
        self.start = 0


def without_times(data):
    """Times have six digits behind the point; ports differ."""
    data = re.sub(rb"\+\d{10}\.\d{6} \[", b"+TIME [", data)
    return re.sub(rb"127\.0\.0\.1:\d+\]", b"ADDRESS]", data)


class Monitored:
    """A server, a client of it, and one that monitors it."""

    def __init__(self, server):
        self.server = server
        self.client, self.monitor = server.connect(), server.connect()
        self.client.call("FLUSHALL")
        self.client.call("SELECT", 0)
        assert self.monitor.call("MONITOR") == b"+OK\r\n"
        self.tokens = 0

    def seen(self):
        """The lines since the last look. A token says that all is there."""
        self.tokens += 1
        token = b'"token-%d"\r\n' % self.tokens
        other = self.server.connect()
        other.call("ECHO", "token-%d" % self.tokens)
        other.close()
        found = b""
        while token not in found:
            found += self.monitor.reply()
        return [without_times(line) for line in found.splitlines(keepends=True)][:-1]

    def close(self):
        self.client.close()
        self.monitor.close()


@pytest.fixture
def monitored(swiftlet_server, oracle_server):
    sides = [Monitored(server) for server in (swiftlet_server, oracle_server)]
    yield sides
    for side in sides:
        side.close()


SCRIPTS = r"""
PING ; ECHO x ; SET a b ; GET a ; set A b ; gEt missing ; INCR a ; LPUSH a x ; DEL a b c ; TYPE a ; KEYS none
GET ; NOPE x ; CLIENT NOPE ; SUBSCRIBE ; INFO a b c ; GET x y
SELECT 3 ; SET x 1 ; GET x ; SELECT 0 ; MOVE x 3 ; SWAPDB 0 1 ; SWAPDB 0 1
MULTI ; SET a 1 ; GET a ; EXEC ; MULTI ; DISCARD ; EXEC ; DISCARD ; WATCH a ; UNWATCH
MULTI ; SET a 1 ; NOPE ; EXEC ; MULTI ; MULTI ; WATCH x ; EXEC
MULTI ; SELECT 2 ; SET a x ; INCR a ; SELECT 0 ; EXEC
WATCH a ; SET a 2 ; MULTI ; GET a ; EXEC
CONFIG GET port ; CONFIG SET maxmemory 0 ; CONFIG RESETSTAT ; CONFIG HELP ; DEBUG SLEEP 0 ; DEBUG OBJECT a ; SLOWLOG LEN ; SLOWLOG GET
CLIENT ID ; CLIENT GETNAME ; CLIENT SETNAME x ; CLIENT LIST ; CLIENT INFO ; CLIENT KILL ID 999999 ; CLIENT UNPAUSE ; CLIENT HELP ; CLIENT TRACKING ON ; CLIENT TRACKINGINFO
ROLE ; LASTSAVE ; WAIT 0 0 ; TIME ; DBSIZE ; COMMAND COUNT ; MEMORY USAGE a ; OBJECT HELP ; LATENCY LATEST ; ACL WHOAMI ; ACL LIST
PUBLISH c x ; SUBSCRIBE c ; PING ; UNSUBSCRIBE c ; PSUBSCRIBE p* ; PUNSUBSCRIBE ; RESET
CLIENT REPLY SKIP ; SET a 1 ; CLIENT REPLY OFF ; GET a ; CLIENT REPLY ON
EXPIRE a 100 ; SET k v EX 100 ; GETEX k EX 100 ; SPOP nothing ; INCRBYFLOAT f 1.5 ; HINCRBYFLOAT h f 1.50 ; ZADD z 1 a ; ZPOPMIN z
FLUSHDB ; FLUSHALL ASYNC ; FAILOVER ; REPLICAOF NO ONE ; MONITOR x
HELLO ; HELLO 3 ; HELLO 2 SETNAME x ; HELLO 9 ; QUIT x
"""  # noqa: E501


@pytest.mark.parametrize("script", SCRIPTS.strip().splitlines())
def test_commands(monitored, script):
    found = []
    for side in monitored:
        client = side.server.connect()
        requests = [request.split() for request in [*script.split(" ; "), "QUIT"]]
        client.socket.sendall(b"".join(encode(request) for request in requests))
        while client.socket.recv(1 << 16):
            pass
        client.close()
        found.append(side.seen())
    assert found[0] == found[1] and found[0]


def test_quoting(monitored):
    found = []
    for side in monitored:
        for value in (b"", b"a b", bytes(range(256)), b'"quotes"\\', "é".encode(), b"x" * 5000, b"\x00"):
            side.client.call("SET", value, value)
        side.client.call(b"s\x45t", "a", "b")
        found.append(side.seen())
    assert found[0] == found[1] and len(found[0]) == 8


def test_secrets(monitored):
    """As in the slow log, by the same rule. None is shown in the clear, where Redis does that too."""
    found = []
    for side in monitored:
        side.client.call("SET", "foo", "bar")
        side.seen()
        for line in AS_REDIS.strip().splitlines():
            # What was taken back by another test's server is not there; CONFIG is not shown anyway.
            if not line.startswith("CONFIG"):
                side.client.call(*line.split())
        found.append(side.seen())
    assert found[0] == found[1] and len(found[0]) > 10
    assert b"sekret" not in b"".join(found[0])
    for line in BEYOND_REDIS.strip().splitlines():
        if not line.startswith("CONFIG"):
            monitored[0].client.call(*line.split())
    assert b"sekret" not in b"".join(monitored[0].seen())


def test_unix_socket(tmp_path):
    found = []
    for start in (start_swiftlet, start_redis):
        path = str(tmp_path / start.__name__)
        server = start("--unixsocket", path)
        side = Monitored(server)
        client = UnixConnection(path)
        client.call("SET", "a", "b")
        found.append([line.replace(path.encode(), b"PATH") for line in side.seen()])
        client.close()
        side.close()
        server.stop()
    assert found[0] == found[1] == [b'+TIME [0 unix:PATH] "SET" "a" "b"\r\n']


def test_blocked_once(monitored):
    """A command that blocks is shown when it begins to, and not again when it is served or times out."""
    found = []
    for side in monitored:
        waiting = side.server.connect()
        number = int(waiting.call("CLIENT", "ID")[1:])
        for command in (["BLPOP", "q", 0], ["XREAD", "BLOCK", 0, "STREAMS", "s", "$"], ["BLPOP", "none", 0.01]):
            waiting.send(*command)
            if command[1] != "none":
                wait_until(lambda: b" flags=b " in bulk(side.client.call("CLIENT", "LIST", "ID", number)))
                if command[0] == "BLPOP":
                    side.client.call("RPUSH", "q", "x")
                else:
                    side.client.call("XADD", "s", "1-1", "f", "v")
            waiting.reply()
        waiting.close()
        found.append(side.seen())
    assert found[0] == found[1]


def test_paused(monitored):
    """A command that a pause holds up is shown once it is executed."""
    found = []
    for side in monitored:
        held = side.server.connect()
        number = int(held.call("CLIENT", "ID")[1:])
        side.seen()
        side.client.call("CLIENT", "PAUSE", 100_000, "WRITE")
        held.send("SET", "a", "b")
        wait_until(lambda: b" flags=b " in bulk(side.client.call("CLIENT", "LIST", "ID", number)))
        before = side.seen()
        side.client.call("CLIENT", "UNPAUSE")
        held.reply()
        held.close()
        found.append((before, side.seen()))
    assert found[0] == found[1]
    assert found[0][0] == [] and len(found[0][1]) == 1


def test_own_commands(monitored):
    """What the monitor itself may do and is shown, each line behind the reply; with a transaction it waits for its end."""
    found = []
    for side in monitored:
        monitor = side.monitor
        replies = []
        for request in ["PING", "ECHO x", "CLIENT ID", "SUBSCRIBE x", "UNSUBSCRIBE x", "SELECT 1", "SELECT 0"]:
            monitor.send(*request.split())
            replies += [monitor.reply(), monitor.reply()]
        for request in ["GET a", "SET a b", "PUBLISH a b"]:
            replies.append(monitor.call(*request.split()))
        monitor.send("MONITOR")
        monitor.send("CLIENT", "REPLY", "SKIP")
        monitor.send("PING")
        # The line about REPLY SKIP, and none about PING, whose reply is skipped too.
        replies.append(monitor.reply())
        monitor.send("CLIENT", "REPLY", "OFF")
        side.client.call("ECHO", "not shown")
        monitor.send("CLIENT", "REPLY", "ON")
        replies += [monitor.reply(), monitor.reply()]
        side.client.call("ECHO", "shown")
        replies.append(monitor.reply())
        text = bulk(side.client.call("CLIENT", "LIST"))
        replies.append(re.findall(rb"flags=(O\w*) ", text))
        replies.append(bulk(side.client.call("CLIENT", "LIST", "TYPE", "REPLICA")))
        replies.append(monitor.call("RESET"))
        side.client.call("ECHO", "not shown any more")
        replies.append(monitor.call("PING"))
        found.append([without_times(reply) if isinstance(reply, bytes) else reply for reply in replies])
        monitor.call("MONITOR")
    ids = [
        [re.sub(rb"^:\d+", b":ID", reply) if isinstance(reply, bytes) else reply for reply in side] for side in found
    ]
    assert ids[0] == ids[1]


def test_transaction_of_the_monitor(swiftlet_server):
    """Redis has the lines within the reply, of which they are no part."""
    side = Monitored(swiftlet_server)
    side.monitor.pipeline([["MULTI"], ["PING"], ["ECHO", "x"]])
    assert side.monitor.buffer
    side.monitor.send("EXEC")
    found = b"".join(side.monitor.reply() for _ in range(5))
    assert b"*2\r\n+PONG\r\n$1\r\nx\r\n+" in found
    assert [line.split(b"] ")[1] for line in found.splitlines() if b"] " in line][-3:] == [
        b'"PING"',
        b'"ECHO" "x"',
        b'"EXEC"',
    ]
    side.close()


def test_in_a_transaction(both):
    for request in (["MULTI"], ["MONITOR"], ["EXEC"], ["PING"]):
        both(*request)


def test_output_limit(tmp_path):
    """A monitor that does not read is closed, as any client whose output is over its limit; others go on."""
    server = start_swiftlet("--client-output-buffer-limit", "normal 1mb 0 0")
    side = Monitored(server)
    slow = server.connect()
    slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.call("MONITOR")
    side.monitor.close()
    count = lambda: bulk(side.client.call("CLIENT", "LIST")).count(b"flags=O")  # noqa: E731
    wait_until(lambda: count() == 1)
    value = b"v" * 100_000
    for _ in range(500):
        side.client.call("ECHO", value)
        if count() == 0:
            break
    assert count() == 0
    assert side.client.call("PING") == b"+PONG\r\n"
    slow.close()
    server.stop()


def test_replica_shows_what_its_master_sends(tmp_path):
    master = start_swiftlet()
    replica = start_swiftlet("--replicaof", f"127.0.0.1 {master.port}")
    writer, reader, monitor = master.connect(), replica.connect(), replica.connect()
    wait_until(lambda: b"master_link_status:up" in reader.call("INFO", "replication"))
    monitor.call("MONITOR")
    writer.call("SET", "k", "v")
    found = b""
    while b'"SET" "k" "v"' not in found:
        found = monitor.reply()
    assert re.fullmatch(rb'\+TIME \[0 [^]]+\] "SET" "k" "v"\r\n', without_times(found)), found
    for connection in (writer, reader, monitor):
        connection.close()
    replica.stop()
    master.stop()
