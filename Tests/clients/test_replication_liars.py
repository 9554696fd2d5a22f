"""Masters that lie and replicas that misbehave: the link ends, the log says why, memory stays bounded, data stay whole."""

import contextlib
import re
import socket
import time

import pytest

from agreement import agree
from dataset import fill_mixed
from liars import ENDS, SCENARIOS, Liar, cut_off
from nodes import REDIS, SWIFTLET, Nodes, stands_in
from resp import Connection, encode, integer
from waiting import wait_until

MEMORY = 96 << 20  # bytes by which the peak may grow
SAMPLE = 24  # bytes at which a transfer is cut


@pytest.fixture(scope="module")
def nodes():
    started = Nodes()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def honest(nodes):
    node = nodes(REDIS)
    fill_mixed(node, 1, 300)
    return node


@pytest.fixture(scope="module")
def replica(nodes):
    node = nodes(SWIFTLET, appendonly="yes", repl_timeout=2, repl_diskless_load="swapdb")
    fill_mixed(node, 2, 300)
    return node


@pytest.fixture(autouse=True)
def alive(replica):
    """A server that ended fails one test, not all that follow."""
    if not replica.is_alive():
        replica.kill()
        replica.start()


@pytest.fixture(scope="module")
def liar(nodes):
    return nodes.keep(Liar())


def lie(replica, liar, name):
    """Has the replica follow the liar until its script was played. Returns what the log got."""
    script, end, replaces = SCENARIOS[name]
    said, peak, digest = len(replica.text()), replica.peak_memory(), replica.digest()
    liar.begin(script)
    replica.follow(liar.port)
    begun = time.monotonic()
    while not liar.played:
        assert replica.is_alive(), replica.text()[-2000:]
        assert replica.call("PING")[:5] in (b"+PONG", b"-LOAD")
        seconds = time.monotonic() - begun
        if end != ENDS and seconds > 0.4:
            break
        assert seconds < 15, f"{name}: the link does not end\n{replica.text()[said:]}"
        time.sleep(0.01)
    if end == ENDS:
        assert liar.ended == ENDS, liar.ended
    liar.hang_up()
    wait_until(lambda: replica.call("PING") == b"+PONG\r\n")
    wait_until(lambda: replica.call("REPLICAOF", "NO", "ONE") == b"+OK\r\n")
    assert replica.is_alive() and replica.call("PING") == b"+PONG\r\n"
    assert replica.peak_memory() - peak < MEMORY, f"{name}: {replica.peak_memory() - peak >> 20} MB more"
    if not replaces and not stands_in(SWIFTLET):
        assert replica.digest() == digest, f"{name}: the data were changed"
    return replica.text()[said:]


@pytest.mark.parametrize("name", SCENARIOS)
def test_lying_master(replica, liar, name):
    log = lie(replica, liar, name)
    assert re.search("(?i)master|sync|rdb", log), log


def test_honest_master_afterwards(replica, honest):
    replica.follow(honest.port)
    replica.wait_linked()
    agree(honest, replica)
    replica.lead()


def payload_of(node):
    """The RDB that a full sync sends."""
    with contextlib.closing(Connection(node.port)) as connection:
        connection.send("SYNC")
        connection.socket.settimeout(10)
        head = b""
        while not head.startswith(b"$") or b"\n" not in head:
            head = (head + connection.socket.recv(1)).lstrip(b"\n")
        length, data = int(head[1:]), b""
        while len(data) < length:
            data += connection.socket.recv(length - len(data))
        return data


def test_cut_at_many_bytes(replica, honest, liar):
    """Whatever byte a transfer ends at, nothing has changed."""
    payload = payload_of(honest)
    if not stands_in(SWIFTLET):
        replica.ok("SET", "mine", 1)
    digest = replica.digest()
    for count in sorted(
        {0, 1, 8, 9, 10, len(payload) - 9, len(payload) - 1, *range(0, len(payload), len(payload) // SAMPLE)}
    ):
        liar.begin(cut_off(payload[:count], len(payload)))
        replica.follow(liar.port)
        wait_until(lambda: liar.played)
        liar.hang_up()
        wait_until(lambda: replica.call("REPLICAOF", "NO", "ONE") == b"+OK\r\n")
        if not stands_in(SWIFTLET):
            assert replica.digest() == digest, count
    assert replica.is_alive()


# Replicas that misbehave.


@pytest.fixture
def master(nodes):
    node = nodes(SWIFTLET, **{"client-output-buffer-limit": "replica 4mb 2mb 2", "repl-backlog-size": 1 << 20})
    fill_mixed(node, 3, 300)
    yield node
    assert node.is_alive() and node.call("PING") == b"+PONG\r\n"


def attach(master, *handshake, sync=("PSYNC", "?", "-1")):
    """A replica of raw bytes, after its handshake."""
    connection = Connection(master.port)
    for words in (
        ("PING",),
        ("REPLCONF", "listening-port", 1),
        ("REPLCONF", "capa", "eof", "capa", "psync2"),
        *handshake,
    ):
        connection.call(*words)
    connection.send(*sync)
    return connection


def received(connection, seconds=0.3):
    """What comes within some time."""
    connection.socket.settimeout(seconds)
    data = b""
    with contextlib.suppress(TimeoutError):
        while more := connection.socket.recv(1 << 16):
            data += more
    return data


REQUESTS = [
    ("PSYNC", "?", "-1"), ("PSYNC", "?", "9223372036854775807"), ("PSYNC", "?", "-9223372036854775808"), ("PSYNC", "?", "0"),
    ("PSYNC", "?", "9" * 40), ("PSYNC", "?", "x"), ("PSYNC", "", ""), ("PSYNC", "x" * 100_000, "1"), ("PSYNC",), ("PSYNC", "?"),
    ("PSYNC", "?", "-1", "FAILOVER"), ("PSYNC", "?", "-1", "NONSENSE"), ("SYNC", "x"), ("SYNC",),
]  # fmt: skip


@pytest.mark.parametrize("words", REQUESTS, ids=lambda words: " ".join(words)[:40])
def test_odd_requests(master, words):
    connection = attach(master, sync=words)
    received(connection, 0.1)
    connection.close()
    assert master.ok("SET", "a", 1) == b"+OK\r\n"


def test_offsets_at_the_limits_of_the_backlog(master):
    """Each offset is answered by +CONTINUE or by +FULLRESYNC, never by bytes that are not there."""
    with contextlib.closing(attach(master)) as first:
        wait_until(lambda: master.info("replication")["connected_slaves"] == "1")
        for n in range(20):
            master.ok("SET", f"k:{n}", n)
        assert first
    info = master.info("replication")
    id, begin, length = (
        info["master_replid"],
        int(info["repl_backlog_first_byte_offset"]),
        int(info["repl_backlog_histlen"]),
    )
    end = begin + length
    for offset in (begin - 1, begin, begin + 1, end - 1, end, end + 1, 1 << 62, (1 << 63) - 1, -5):
        with contextlib.closing(attach(master, sync=("PSYNC", id, offset))) as connection:
            answer = b""
            while not answer.endswith(b"\r\n"):
                answer = (answer + connection.socket.recv(1)).lstrip(b"\n")
            answer += received(connection, 0.15)
        is_there = begin <= offset <= end
        # Without a backlog nothing is there.
        assert answer.startswith(b"+CONTINUE" if is_there else b"+FULLRESYNC"), (offset, begin, end, answer[:100])
        if is_there:
            assert len(answer.split(b"\r\n", 1)[1]) >= end - offset


NONSENSE = [
    ("REPLCONF",), ("REPLCONF", "ACK"), ("REPLCONF", "ack", "-1"), ("REPLCONF", "ACK", "x"), ("REPLCONF", "ACK", "1" * 30),
    ("REPLCONF", "listening-port", "x"), ("REPLCONF", "listening-port", "-1"), ("REPLCONF", "listening-port", "9" * 20),
    ("REPLCONF", "ip-address", "x" * 10_000), ("REPLCONF", "ip-address", ""), ("REPLCONF", "capa"), ("REPLCONF", "capa", "x" * 5000),
    ("REPLCONF", "nonsense", "1"), ("REPLCONF", "getack", "*"), ("REPLCONF", "rdb-only", "7"), ("REPLCONF", "rdb-only", "x"),
    ("REPLCONF", "rdb-filter-only", "functions"), ("REPLCONF", "capa", "eof", "listening-port"), ("REPLCONF", "version", "9.9.9"),
]  # fmt: skip


def test_nonsense_before_and_after_synchronization(master):
    with contextlib.closing(Connection(master.port)) as connection:
        for words in NONSENSE:
            connection.send(*words)
            received(connection, 0.02)
    with contextlib.closing(attach(master)) as connection:
        received(connection, 0.3)
        with contextlib.suppress(OSError):
            for words in NONSENSE:
                connection.send(*words)
    master.ok("SET", "a", 1)


def test_flood_of_acknowledgements(master):
    peak = master.peak_memory()
    connection = attach(master)
    received(connection, 0.3)
    flood = encode(("REPLCONF", "ACK", "123456789012")) * 2000
    connection.socket.settimeout(5)
    for _ in range(100):
        connection.socket.sendall(flood)
        master.ok("INCR", "n")
    assert master.peak_memory() - peak < MEMORY
    # What it claims to have is more than was sent.
    assert integer(master.ok("WAIT", 1, 100)) in (0, 1)
    connection.close()


def test_replica_that_never_reads(master):
    """It is dropped when its buffer's limit is reached; the master's memory stays near the limit."""
    connection = attach(master)
    wait_until(lambda: b"+FULLRESYNC" in connection.socket.recv(4096) or True)
    wait_until(lambda: master.info("replication")["connected_slaves"] == "1")
    peak = master.peak_memory()
    for _ in range(600):
        if master.info("replication")["connected_slaves"] == "0":
            break
        master.ok("SET", "big", "x" * 200_000)
    wait_until(lambda: master.info("replication")["connected_slaves"] == "0")
    assert master.peak_memory() - peak < MEMORY
    assert re.search("(?i)replica|slave|client", master.text())
    connection.close()


def test_many_that_come_and_go(master):
    """Fifty at once; half of them read nothing of their full sync, the others close in the middle of it."""
    there = [attach(master) for _ in range(50)]
    for connection in there[::2]:
        with contextlib.suppress(OSError):
            connection.socket.settimeout(1)
            connection.socket.recv(100)
            connection.close()
    for n in range(50):
        master.ok("SET", f"n:{n}", n)
    for connection in there[1::2]:
        connection.close()
    wait_until(lambda: master.info("replication")["connected_slaves"] == "0")


@pytest.mark.parametrize(
    "words", [("GET", "a"), ("SET", "a", "b"), ("SUBSCRIBE", "c"), ("MULTI",), ("SYNC",), ("QUIT",)]
)
def test_commands_on_a_replicas_link(master, words):
    connection = attach(master)
    received(connection, 0.2)
    with contextlib.suppress(OSError):
        connection.send(*words)
        received(connection, 0.1)
    connection.close()


def test_halves_of_commands(master):
    """A link that stops in the middle of what it says holds nothing up."""
    connection = attach(master)
    received(connection, 0.2)
    connection.socket.sendall(b"*3\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n$100")
    assert integer(master.ok("WAIT", 1, 50)) in (0, 1)
    connection.close()
    with contextlib.closing(socket.create_connection(("127.0.0.1", master.port))) as plain:
        plain.sendall(b"SYN")
    master.ok("SET", "a", 1)
