"""Swiftlet as a master: of redis-server, and of sockets that speak the protocol by hand."""

import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from moved_clock import advance
from oracle import bulk, integer, seeded, start_swiftlet
from replicas import RawReplica, info, is_synchronised, redis_replica, wait_for_equal_offsets
from resp import encode
from waiting import wait_until

NO_DELAY = ("--repl-diskless-sync-delay", "0")


@pytest.fixture
def master():
    server = start_swiftlet(*NO_DELAY)
    yield server
    server.stop()


@pytest.fixture
def client(master):
    connection = master.connect()
    yield connection
    connection.close()


def digest(connection):
    return connection.call("DEBUG", "DIGEST")


def log(server):
    return open(server.log.name, encoding="utf-8", errors="replace").read()


def fill(client):
    client.call("DEBUG", "POPULATE", 5000, "key", 100)
    for i in range(300):
        client.call("RPUSH", "list", f"item{i}" * 20)
        client.call("HSET", "hash", f"field{i}", i)
        client.call("ZADD", "zset", i / 7, f"member{i}")
        client.call("SADD", "set", f"member{i}")
    client.call("SET", "long", "x" * 300_000)
    client.call("SET", "expiring", 1, "PX", 10_000_000)
    client.call("XADD", "stream", "1-1", "field", "value")
    client.call("SELECT", 5)
    client.call("SET", "five", 5)
    client.call("SELECT", 0)


# MARK: Full syncs


@pytest.mark.parametrize("options", [(), ("--repl-diskless-sync", "no")], ids=["marked", "with its length"])
@pytest.mark.parametrize("load", ["disabled", "swapdb"])
def test_a_replica_of_redis_gets_all_and_follows(options, load):
    server = start_swiftlet(*NO_DELAY, *options)
    try:
        client = server.connect()
        fill(client)
        with redis_replica(server, "--repl-diskless-load", load) as (_, replica):
            for i in range(100):
                client.call("INCR", "counter")
                client.call("SET", f"later{i}", "y" * (i * 10))
            client.pipeline([("LPUSH", "list", i) for i in range(1000)])
            client.pipeline([("MULTI",), ("SET", "a", 1), ("SELECT", 9), ("SET", "b", 2), ("EXEC",)])
            client.call("SELECT", 0)
            wait_for_equal_offsets(client, replica)
            assert digest(replica) == digest(client)
            assert info(client)["slave0"].split(",")[2] == "state=online"
            assert "unique" not in log(server)
    finally:
        server.stop()


def test_writes_during_a_full_sync_are_neither_lost_nor_doubled(master, client):
    client.call("CONFIG", "SET", "rdb-key-save-delay", "200")
    client.call("DEBUG", "POPULATE", 3000, "key", 2000)
    raw = RawReplica(master.port)
    assert raw.psync("?", -1, "eof", "psync2")[0] == "+FULLRESYNC"
    with redis_replica_unsynced(master) as replica:
        for _ in range(2000):
            client.call("INCR", "counter")
            client.call("RPUSH", "list", "z" * 500)
        client.call("CONFIG", "SET", "rdb-key-save-delay", "0")
        wait_until(lambda: is_synchronised(replica))
        wait_for_equal_offsets(client, replica)
        assert digest(replica) == digest(client)


def redis_replica_unsynced(master):
    """As `redis_replica`, without waiting."""
    import contextlib

    from oracle import start_redis

    @contextlib.contextmanager
    def started():
        server = start_redis()
        try:
            connection = server.connect()
            connection.call("REPLICAOF", "127.0.0.1", master.port)
            yield connection
        finally:
            server.stop()

    return started()


def test_replicas_that_wait_share_a_snapshot(master, client):
    client.call("CONFIG", "SET", "repl-diskless-sync-delay", "1000")
    fill(client)
    raws = [RawReplica(master.port) for _ in range(4)]
    for raw, form in zip(raws, [("eof", "psync2"), ("eof",), ("psync2",), ()]):
        for word in form:
            raw.call("REPLCONF", "capa", word)
        raw.send("PSYNC", "?", -1)
    wait_until(lambda: info(client)["connected_slaves"] == "4")
    assert "state=wait_bgsave" in info(client)["slave0"]
    saves = int(info(client, "persistence")["rdb_saves"])
    client.call("SET", "before", 1)
    client.call("CONFIG", "SET", "repl-diskless-sync-delay", "0")
    answers = [raw.line().decode().split(" ") for raw in raws]
    assert len({tuple(answer) for answer in answers}) == 1
    snapshots = {raw.snapshot() for raw in raws}
    # Made at different times: the note of the time may differ.
    assert len({len(snapshot) for snapshot in snapshots}) == 1
    assert int(info(client, "persistence")["rdb_saves"]) == saves + 1
    for raw in raws[:2]:
        raw.acknowledge(answers[0][2])
    client.call("SET", "x", 1)
    for raw in raws:
        raw.stream("SELECT 0", "SET x 1")
    assert info(client, "stats")["sync_full"] == "4"


def test_enough_replicas_are_not_waited_for(master, client):
    client.call("CONFIG", "SET", "repl-diskless-sync-delay", "1000")
    client.call("CONFIG", "SET", "repl-diskless-sync-max-replicas", "2")
    first, second = RawReplica(master.port), RawReplica(master.port)
    first.send("PSYNC", "?", -1)
    second.send("PSYNC", "?", -1)
    assert first.line().startswith(b"+FULLRESYNC") and second.line().startswith(b"+FULLRESYNC")


def test_the_delay_is_waited_for(master, client):
    client.call("CONFIG", "SET", "repl-diskless-sync-delay", "5")
    raw = RawReplica(master.port)
    raw.send("PSYNC", "?", -1)
    wait_until(lambda: info(client)["connected_slaves"] == "1")
    advance(client, 2)
    assert "state=wait_bgsave" in info(client)["slave0"]
    advance(client, 4)
    assert raw.line().startswith(b"+FULLRESYNC")


def test_a_replica_that_waits_hears_newlines(master, client):
    client.call("CONFIG", "SET", "repl-diskless-sync-delay", "1000")
    raw = RawReplica(master.port)
    raw.send("PSYNC", "?", -1)
    assert raw.take(1) == b"\n"


def test_a_replica_that_waits_for_the_length_hears_newlines(master, client):
    client.call("DEBUG", "POPULATE", 100, "key", 1000)
    client.call("CONFIG", "SET", "rdb-key-save-delay", "1000000")
    raw = RawReplica(master.port)
    raw.send("PSYNC", "?", -1)
    assert raw.line().startswith(b"+FULLRESYNC")
    # Longer than the timeout, as it is not the replica that takes its time.
    for _ in range(3):
        advance(client, 40)
        assert raw.take(1) == b"\n"
        assert "state=wait_bgsave" in info(client)["slave0"]
    client.call("CONFIG", "SET", "rdb-key-save-delay", "0")
    assert raw.snapshot().startswith(b"REDIS")
    wait_until(lambda: "state=online" in info(client)["slave0"])


def test_a_snapshot_that_cannot_be_written_ends_the_sync_and_says_so(start):
    master = start("--repl-diskless-sync-delay", "0", "--appendonly", "no", "--save", "")
    client = master.connect()
    client.call("SET", "a", 1)
    shutil.rmtree(master.directory)
    raw = RawReplica(master.port)
    raw.send("PSYNC", "?", -1)
    assert raw.line().startswith(b"-ERR BGSAVE failed, replication can't continue")
    assert raw.has_ended()
    assert "SYNC failed. BGSAVE failed: " in master.text()
    assert client.call("GET", "a") == b"$1\r\n1\r\n"


@pytest.mark.parametrize("capabilities", [("eof",), ()], ids=["marked", "with its length"])
def test_a_replica_that_goes_away_leaves_nothing(master, client, capabilities):
    client.call("DEBUG", "POPULATE", 1000, "key", 1000)
    client.call("CONFIG", "SET", "rdb-key-save-delay", "100000")
    raw = RawReplica(master.port)
    for word in capabilities:
        raw.call("REPLCONF", "capa", word)
    raw.send("PSYNC", "?", -1)
    assert raw.line().startswith(b"+FULLRESYNC")
    assert info(client, "persistence")["rdb_bgsave_in_progress"] == "1"
    raw.close()
    wait_until(lambda: info(client)["connected_slaves"] == "0")
    wait_until(lambda: info(client, "persistence")["rdb_bgsave_in_progress"] == "0")
    assert "last replica dropped" in log(master)


def outputs(client):
    """Bytes that wait on the connection of each replica."""
    return [int(n) for n in re.findall(rb" omem=(\d+)", client.call("CLIENT", "LIST", "TYPE", "replica"))]


def test_the_slowest_replica_governs_and_is_dropped_in_time(master, client):
    random = seeded()
    for i in range(300):
        client.call("SET", f"k{i}", random.randbytes(100_000))
    stuck, reads = RawReplica(master.port), RawReplica(master.port)
    snapshots = []
    reader = threading.Thread(target=lambda: snapshots.append(reads.snapshot()))
    stuck.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.call("CONFIG", "SET", "repl-diskless-sync-max-replicas", "2")
    client.call("CONFIG", "SET", "repl-diskless-sync-delay", "1000")
    for raw in (stuck, reads):
        raw.call("REPLCONF", "capa", "eof")
        raw.send("PSYNC", "?", -1)
    reads.line()
    before = int(info(client, "memory")["used_memory"])
    reader.start()
    # It gets no more than the other takes, and no more is read ahead than a few pieces.
    wait_until(lambda: [waiting > 0 for waiting in outputs(client)] == [True, False])
    ticks = RawReplica(master.port)
    ticks.send("PSYNC", "?", -1)
    # The kernel may take a little more of it now and then, which is progress.
    for _ in range(20):
        if "Disconnecting timedout replica (full sync): " in log(master):
            break
        assert snapshots == []
        advance(client, 40)
        # A newline a second: two of them tell that timeouts were looked at after the first.
        ticks.take(1)
        advance(client, 1)
        ticks.take(1)
    assert int(info(client, "memory")["used_memory"]) - before < 16 << 20
    reader.join(20)
    assert len(snapshots) == 1 and snapshots[0].startswith(b"REDIS")
    assert "Disconnecting timedout replica (full sync): " in log(master)


def test_what_was_said_before_the_first_acknowledgement_follows_it(master, client):
    raw = RawReplica(master.port)
    _, offset, _ = raw.full_sync("eof")
    client.call("SET", "a", 1)
    client.call("SET", "b", "x" * 1000)
    raw.acknowledge(offset)
    client.call("SET", "c", 3)
    raw.stream("SELECT 0", "SET a 1", "SET b " + "x" * 1000, "SET c 3")


def test_plain_sync(master, client):
    """As redis-cli and Redis's own test suite speak it: an inline SYNC, a length, and the stream at once."""
    client.call("CONFIG", "SET", "repl-ping-replica-period", "3600")
    client.call("SELECT", 3)
    client.call("SET", "a", 1)
    raw = RawReplica(master.port)
    raw.socket.sendall(b"SYNC\r\n")
    assert raw.snapshot().startswith(b"REDIS0010")
    client.call("SET", "a", 2)
    client.pipeline([("MULTI",), ("SET", "a", 3), ("SET", "a", 4), ("EXEC",)])
    raw.stream("SELECT 3", "SET a 2", "MULTI", "SET a 3", "SET a 4", "EXEC")
    advance(client, 100)
    client.call("SET", "a", 5)
    raw.stream("SET a 5")


def test_redis_cli_makes_a_copy(master, client, tmp_path):
    fill(client)
    path = tmp_path / "copy.rdb"
    subprocess.run(
        ["redis-cli", "-p", str(master.port), "--rdb", str(path)], check=True, capture_output=True, timeout=30
    )
    assert path.read_bytes().startswith(b"REDIS0010")
    subprocess.run(["redis-check-rdb", str(path)], check=True, capture_output=True, timeout=30)
    wait_until(lambda: info(client)["connected_slaves"] == "0")


def test_redis_cli_as_a_replica(master, client, tmp_path):
    output = tmp_path / "output"
    with open(output, "wb") as file:
        process = subprocess.Popen(["redis-cli", "-p", str(master.port), "--replica"], stdout=file, stderr=file)
    try:
        wait_until(lambda: "state=online" in info(client).get("slave0", ""))
        client.call("SET", "seen", "by-cli")
        # Its output is buffered, and it reads on until it has seen enough.
        client.pipeline([("SET", "filler", "x" * 100) for _ in range(1000)])
        wait_until(lambda: b"by-cli" in output.read_bytes())
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("what, has_keys", [("", False), ("functions", False)])
def test_parts_of_the_data(master, client, what, has_keys):
    client.call("SET", "needle", "hay")
    raw = RawReplica(master.port)
    assert raw.call("REPLCONF", "rdb-only", 1) == b"+OK\r\n"
    assert raw.call("REPLCONF", "rdb-filter-only", what) == b"+OK\r\n"
    raw.send("SYNC")
    snapshot = raw.snapshot()
    assert snapshot.startswith(b"REDIS") and (b"needle" in snapshot) == has_keys
    assert raw.has_ended()


def test_field_expiries_go_to_who_can_have_them(master, client):
    client.call("HSET", "hash", "f", "v")
    client.call("HPEXPIREAT", "hash", 4102444800000, "FIELDS", 1, "f")
    first, second = RawReplica(master.port), RawReplica(master.port)
    assert first.full_sync("swiftlet")[2].startswith(b"REDIS0012")
    assert second.full_sync()[2].startswith(b"REDIS0010")
    wait_until(lambda: "without the expiries of their fields" in log(master))


# MARK: Partial syncs


def test_what_was_missed_comes_from_the_backlog(master, client):
    raw = RawReplica(master.port)
    history, offset, _ = raw.full_sync()
    client.call("SET", "a", 1)
    offset += raw.stream("SELECT 0", "SET a 1")
    raw.close()
    client.call("SET", "a", 2)
    client.call("SET", "b", "x" * 1000)
    raw = RawReplica(master.port)
    assert raw.psync(history, offset + 1) == ["+CONTINUE"]
    raw.stream("SET a 2", "SET b " + "x" * 1000)
    again = RawReplica(master.port)
    assert again.psync(history, offset + 1, "psync2") == ["+CONTINUE", history]
    again.stream("SET a 2")
    client.call("SET", "c", 3)
    raw.stream("SET c 3")
    stats = info(client, "stats")
    assert (stats["sync_full"], stats["sync_partial_ok"], stats["sync_partial_err"]) == ("1", "2", "0")
    client.call("CONFIG", "RESETSTAT")
    assert info(client, "stats")["sync_partial_ok"] == "0"


@pytest.mark.parametrize(
    "identity, shift",
    [("same", 2), ("same", 1 << 40), ("0" * 40, 1), ("same", -(1 << 40)), ("?", 1), ("same", -(1 << 63)), ("x", 1)],
)
def test_what_cannot_be_continued_is_a_full_sync(master, client, identity, shift):
    raw = RawReplica(master.port)
    history, offset, _ = raw.full_sync()
    wanted = max(-(1 << 63), offset + shift)
    words = RawReplica(master.port).psync(history if identity == "same" else identity, wanted)
    assert words == ["+FULLRESYNC", history, str(offset)]
    assert info(client, "stats")["sync_partial_err"] == ("0" if identity == "?" else "1")


def test_an_offset_that_is_no_number(both, master):
    raw = RawReplica(master.port)
    assert raw.call("PSYNC", "replicationid", "offset_str") == b"-ERR value is not an integer or out of range\r\n"
    assert "asks for synchronization but with a wrong offset" in log(master)
    assert raw.call("PING") == b"+PONG\r\n"


def test_what_the_backlog_has_lost_is_a_full_sync(master, client):
    client.call("CONFIG", "SET", "repl-backlog-size", "16384")
    raw = RawReplica(master.port)
    history, offset, _ = raw.full_sync()
    raw.close()
    wait_until(lambda: info(client)["connected_slaves"] == "0")
    for _ in range(10):
        client.call("SET", "key", "x" * 16000)
    fields = info(client)
    assert int(fields["repl_backlog_histlen"]) < 3 * 16384
    first = int(fields["repl_backlog_first_byte_offset"])
    assert first + int(fields["repl_backlog_histlen"]) == int(fields["master_repl_offset"]) + 1
    assert RawReplica(master.port).psync(history, offset + 1)[0] == "+FULLRESYNC"
    assert RawReplica(master.port).psync(history, first - 1)[0] == "+FULLRESYNC"
    assert RawReplica(master.port).psync(history, first)[0] == "+CONTINUE"


def test_a_backlog_that_nobody_wants_goes(master, client):
    client.call("CONFIG", "SET", "repl-backlog-ttl", "100")
    raw = RawReplica(master.port)
    raw.full_sync()
    advance(client, 200)
    assert info(client)["repl_backlog_active"] == "1"
    raw.close()
    wait_until(lambda: info(client)["connected_slaves"] == "0")
    advance(client, 99)
    assert info(client)["repl_backlog_active"] == "1"
    advance(client, 3)
    wait_until(lambda: info(client)["repl_backlog_active"] == "0")
    assert "Replication backlog freed after 100 seconds without connected replicas." in log(master)


def test_a_slow_replica_makes_the_backlog_longer(master, client):
    client.call("CONFIG", "SET", "repl-backlog-size", "16384")
    raw = RawReplica(master.port)
    raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    history, offset, _ = raw.full_sync()
    client.pipeline([("SET", "key", "x" * 100_000) for _ in range(200)])
    assert int(info(client)["repl_backlog_histlen"]) > 10_000_000
    memory = info(client, "memory")
    assert int(memory["mem_total_replication_buffers"]) > 10_000_000
    second = RawReplica(master.port)
    assert second.psync(history, info(client)["repl_backlog_first_byte_offset"])[0] == "+CONTINUE"
    raw.close()
    second.close()
    wait_until(lambda: info(client)["connected_slaves"] == "0")
    client.call("SET", "key", "x")
    client.call("CONFIG", "SET", "repl-backlog-size", "20000")
    assert int(info(client)["repl_backlog_histlen"]) < 1_000_000


def test_replicas_of_redis_continue_after_a_cut(master, client):
    fill(client)
    with redis_replica(master) as (_, replica):
        for _ in range(3):
            assert client.call("CLIENT", "KILL", "TYPE", "replica") == b":1\r\n"
            client.pipeline([("INCR", "counter") for _ in range(100)])
            wait_until(lambda: is_synchronised(replica))
            wait_for_equal_offsets(client, replica)
        assert digest(replica) == digest(client)
        stats = info(client, "stats")
        assert (stats["sync_full"], stats["sync_partial_ok"]) == ("1", "3")
        assert client.call("DEBUG", "CHANGE-REPL-ID") == b"+OK\r\n"
        client.call("CLIENT", "KILL", "TYPE", "replica")
        wait_until(lambda: info(client, "stats")["sync_full"] == "2")


# MARK: The connection of a replica


@pytest.mark.parametrize(
    "command, name", [("PING", "ping"), ("GET a", "get"), ("SLOWLOG GET", "slowlog|get"), ("NONSENSE", "")]
)
def test_a_replica_hears_no_replies(master, client, command, name):
    raw = RawReplica(master.port)
    raw.full_sync()
    raw.send(*command.split())
    assert raw.has_ended()
    wait_until(lambda: f"Replica generated a reply to command '{name}" in log(master))
    if command == "GET a":
        assert "== CRITICAL == This master is sending an error to its replica: " in log(master)
        assert "Replica can't interact with the keyspace" in log(master)


def test_acknowledgements_of_any_kind_are_harmless(master, client):
    raw = RawReplica(master.port)
    _, offset, _ = raw.full_sync("eof")
    for ack in (-1, 0, 1 << 62, -(1 << 63), "x", "", offset):
        raw.acknowledge(ack)
    raw.acknowledge(offset, "FACK", "x")
    raw.acknowledge(offset, "FACK", 1 << 62)
    raw.socket.sendall(b"*3\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n$1\r\n0\r\n" * 100_000)
    client.call("SET", "a", 1)
    raw.stream("SELECT 0", "SET a 1")
    assert f",offset={offset},lag=" in info(client)["slave0"]
    assert client.call("WAIT", 1, 50) == b":0\r\n"


def test_options_of_replconf(both):
    both.each("""
        REPLCONF
        REPLCONF x
        REPLCONF a b
        REPLCONF listening-port x
        REPLCONF listening-port 7000
        REPLCONF listening-port 99999999999
        REPLCONF ip-address 1.2.3.4
        REPLCONF capa nonsense
        REPLCONF capa eof capa psync2
        REPLCONF rdb-only x
        REPLCONF rdb-only 2
        REPLCONF rdb-only 0
        REPLCONF rdb-filter-only nonsense
        REPLCONF rdb-filter-only functions
        PSYNC
        PSYNC a
        SYNC a
        FAILOVER x
        FAILOVER TO a
        FAILOVER TO a x
        FAILOVER TO a 1 FORCE
        FAILOVER TIMEOUT
        FAILOVER TIMEOUT 0
        FAILOVER TIMEOUT x
        FAILOVER ABORT
        FAILOVER ABORT x
        FAILOVER
        WAIT x 1
        WAIT 1 x
        WAIT 1 -1
        WAIT 0 0
        WAIT -1 0
        WAIT 1 10
        ROLE
        MULTI
        PSYNC ? -1
        SYNC
        EXEC
    """)
    both("REPLCONF", "ip-address", "a" * 300)
    both("REPLCONF", "rdb-filter-only", "")


def test_what_a_replica_announces_is_shown(master, client):
    raw = RawReplica(master.port)
    raw.call("REPLCONF", "ip-address", "replica.example")
    raw.full_sync(port=7001)
    wait_until(lambda: "state=online" in info(client)["slave0"])
    assert info(client)["slave0"].startswith("ip=replica.example,port=7001,state=online,offset=0,lag=0")
    assert b"$15\r\nreplica.example\r\n$4\r\n7001\r\n" in client.call("ROLE")
    line = bulk(client.call("CLIENT", "LIST", "TYPE", "replica"))
    assert b" flags=S " in line and b" cmd=psync " in line


def test_a_replica_is_pinged_and_timed_out(master, client):
    raw = RawReplica(master.port)
    raw.full_sync()
    advance(client, 11)
    raw.stream("PING")
    advance(client, 30)
    raw.acknowledge(0)
    raw.stream("PING")
    advance(client, 40)
    assert info(client)["connected_slaves"] == "1"
    advance(client, 25)
    assert raw.has_ended()
    assert "Disconnecting timedout replica (streaming sync): " in log(master)


def test_output_limits_of_replicas(master, client):
    client.call("CONFIG", "SET", "repl-backlog-size", "16384")
    client.call("CONFIG", "SET", "client-output-buffer-limit", "replica 1000000 0 0")
    raw = RawReplica(master.port)
    raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.full_sync()
    # The kernel takes some megabytes.
    for _ in range(200):
        client.call("SET", "key", "x" * 100_000)
        if info(client)["connected_slaves"] == "0":
            break
    assert info(client)["connected_slaves"] == "0"
    # One that still waits for its snapshot has the stream kept for it, which counts as well.
    client.call("CONFIG", "SET", "rdb-key-save-delay", "10000000")
    raw = RawReplica(master.port)
    raw.call("REPLCONF", "capa", "eof")
    raw.send("PSYNC", "?", -1)
    assert raw.line().startswith(b"+FULLRESYNC")
    client.pipeline([("SET", "key", "x" * 100_000) for _ in range(15)])
    wait_until(lambda: info(client)["connected_slaves"] == "0")
    assert "over client-output-buffer-limit" in log(master)


def test_a_limit_below_the_backlog_is_the_backlogs(master, client):
    client.call("CONFIG", "SET", "repl-backlog-size", "100mb")
    client.call("CONFIG", "SET", "client-output-buffer-limit", "replica 100000 0 0")
    raw = RawReplica(master.port)
    raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.full_sync()
    client.pipeline([("SET", "key", "x" * 100_000) for _ in range(300)])
    assert info(client)["connected_slaves"] == "1"


# MARK: WAIT and writes that need replicas


def test_wait_counts_replicas(master, client):
    with redis_replica(master), redis_replica(master):
        wait_until(lambda: info(client)["connected_slaves"] == "2")
        for _ in range(20):
            client.call("INCR", "a")
            assert client.call("WAIT", 2, 10_000) == b":2\r\n"
        client.call("INCR", "a")
        assert client.call("WAIT", 3, 50) == b":2\r\n"
        assert client.call("WAIT", 0, 0) in (b":2\r\n",)


def test_wait_for_one_that_is_silent(master, client):
    raw = RawReplica(master.port)
    _, offset, _ = raw.full_sync()
    client.call("SET", "a", 1)
    other = master.connect()
    client.send("WAIT", 1, 0)
    offset += raw.stream("SELECT 0", "SET a 1")
    raw.stream("REPLCONF GETACK *")
    wait_until(lambda: info(other, "clients")["blocked_clients"] == "1")
    raw.acknowledge(offset - 1)
    raw.acknowledge(offset)
    assert client.reply() == b":1\r\n"
    # PINGs and GETACKs are nobody's writes.
    assert client.call("WAIT", 1, 1) == b":1\r\n"
    assert other.call("WAIT", 1, 1) == b":1\r\n"


def test_waitaof_counts_disks():
    server = start_swiftlet(*NO_DELAY, "--appendonly", "yes", "--appendfsync", "everysec")
    try:
        client, other = server.connect(), server.connect()
        raw = RawReplica(server.port)
        _, offset, _ = raw.full_sync()
        client.call("SET", "a", 1)
        assert client.call("WAITAOF", 1, 0, 0) == b"*2\r\n:1\r\n:0\r\n"
        offset += raw.stream("SELECT 0", "SET a 1")
        raw.acknowledge(offset)
        assert client.call("WAITAOF", 1, 1, 50) == b"*2\r\n:1\r\n:0\r\n"
        client.send("WAITAOF", 1, 1, 0)
        wait_until(lambda: info(other, "clients")["blocked_clients"] == "1")
        raw.acknowledge(offset, "FACK", offset)
        assert client.reply() == b"*2\r\n:1\r\n:1\r\n"
        client.send("WAITAOF", 1, 2, 0)
        wait_until(lambda: info(other, "clients")["blocked_clients"] == "1")
        assert other.call("CONFIG", "SET", "appendonly", "no") == b"+OK\r\n"
        assert client.reply().startswith(b"-ERR WAITAOF cannot be used when numlocal is set")
    finally:
        server.stop()


def test_writes_need_replicas_that_keep_up(master, client):
    client.call("CONFIG", "SET", "min-replicas-to-write", "1")
    refused = b"-NOREPLICAS Not enough good replicas to write.\r\n"
    assert client.call("SET", "a", 1) == refused
    assert client.call("GET", "a") == b"$-1\r\n"
    assert client.pipeline([("MULTI",), ("SET", "a", 1), ("EXEC",)])[1] == refused
    raw = RawReplica(master.port)
    _, offset, _ = raw.full_sync()
    wait_until(lambda: "state=online" in info(client)["slave0"])
    assert client.call("SET", "a", 1) == b"+OK\r\n"
    assert info(client)["min_slaves_good_slaves"] == "1"
    advance(client, 15)
    wait_until(lambda: client.call("SET", "a", 2) == refused)
    raw.acknowledge(offset)
    wait_until(lambda: client.call("SET", "a", 2) == b"+OK\r\n")
    raw.close()
    wait_until(lambda: client.call("SET", "a", 2) == refused)
    client.call("CONFIG", "SET", "min-replicas-to-write", "0")
    assert client.call("SET", "a", 3) == b"+OK\r\n"


def test_populated_keys_are_not_replicated(start):
    """As in Redis; the log has them."""
    options = ("--repl-diskless-sync-delay", "0", "--appendonly", "yes", "--save", "", "--enable-debug-command", "yes")
    master = start(*options)
    client = master.connect()
    raw = RawReplica(master.port)
    _, offset, _ = raw.full_sync()
    assert client.call("DEBUG", "POPULATE", 3, "key", 100) == b"+OK\r\n"
    assert client.call("SET", "end", 1) == b"+OK\r\n"
    said = raw.take(int(info(client)["master_repl_offset"]) - offset)
    assert b"key:" not in said and said.endswith(encode(["SET", "end", "1"]))
    raw.close()
    master.kill()
    again = start(*options, directory=master.directory).connect()
    wait_until(lambda: again.call("DBSIZE") == b":4\r\n")


def test_rates_of_the_stream(master, client):
    raw = RawReplica(master.port)
    raw.full_sync()

    def rate():
        client.call("SET", "a", "x" * 10_000)
        return float(info(client, "stats")["instantaneous_output_repl_kbps"])

    wait_until(lambda: rate() > 0)
    assert info(client, "stats")["instantaneous_input_repl_kbps"] == "0.00"
    raw.close()
    wait_until(lambda: float(info(client, "stats")["instantaneous_output_repl_kbps"]) == 0)


# MARK: The end


def test_shutdown_waits_for_replicas(start):
    master = start("--repl-diskless-sync-delay", "0", "--save", "", "--appendonly", "no")
    client, other = master.connect(), master.connect()
    raw = RawReplica(master.port)
    _, offset, _ = raw.full_sync()
    client.call("SET", "a", 1)
    other.send("SHUTDOWN")
    wait_until(lambda: "Waiting for replicas before shutting down." in master.text())
    assert client.call("GET", "a") == b"$1\r\n1\r\n"
    assert client.call("SHUTDOWN", "ABORT") == b"+OK\r\n"
    assert other.reply() == b"-ERR Errors trying to SHUTDOWN. Check logs.\r\n"
    assert client.call("SHUTDOWN", "ABORT") == b"-ERR No shutdown in progress.\r\n"
    assert client.call("SET", "a", 2) == b"+OK\r\n"
    master.process.send_signal(signal.SIGTERM)
    wait_until(lambda: master.text().count("Waiting for replicas before shutting down.") == 2)
    client.send("SET", "held", "up")
    offset += raw.stream("SELECT 0", "SET a 1", "SET a 2")
    raw.acknowledge(offset)
    assert master.process.wait(20) == 0
    assert "1 of 1 replicas are in sync when shutting down." in master.text()


def test_shutdown_waits_for_a_full_sync(start):
    master = start("--repl-diskless-sync-delay", "60", "--save", "", "--appendonly", "no")
    client, other = master.connect(), master.connect()
    raw = RawReplica(master.port)
    raw.send("PSYNC", "?", -1)
    wait_until(lambda: "state=wait_bgsave" in info(client).get("slave0", ""))
    other.send("SHUTDOWN")
    wait_until(lambda: "Waiting for replicas before shutting down." in master.text())
    raw.close()
    assert master.process.wait(20) == 0


def test_shutdown_waits_no_longer_than_allowed(start):
    master = start("--repl-diskless-sync-delay", "0", "--save", "", "--appendonly", "no", "--shutdown-timeout", "1")
    client = master.connect()
    raw = RawReplica(master.port)
    raw.full_sync()
    client.call("SET", "a", 1)
    began = time.monotonic()
    assert master.end() == 0
    assert 0.8 < time.monotonic() - began < 10
    assert "Lagging replica " in master.text() and "0 of 1 replicas are in sync" in master.text()


@pytest.mark.parametrize("how", ["NOW", "timeout 0"])
def test_shutdown_now(start, how):
    master = start("--repl-diskless-sync-delay", "0", "--save", "", "--appendonly", "no")
    client = master.connect()
    raw = RawReplica(master.port)
    raw.full_sync()
    client.call("SET", "a", 1)
    if how == "NOW":
        client.send("SHUTDOWN", "NOW")
    else:
        client.call("CONFIG", "SET", "shutdown-timeout", "0")
        client.send("SHUTDOWN")
    assert master.process.wait(20) == 0
    assert "Waiting for replicas" not in master.text()


def test_a_failover_that_nobody_takes_is_given_up(master, client):
    raw = RawReplica(master.port)
    raw.full_sync(port=7001)
    wait_until(lambda: "state=online" in info(client)["slave0"])
    client.call("SET", "a", 1)
    other = master.connect()
    assert (
        client.call("FAILOVER", "TO", "127.0.0.1", 7002) == b"-ERR FAILOVER target HOST and PORT is not a replica.\r\n"
    )
    assert client.call("FAILOVER", "TO", "127.0.0.1", 7001, "FORCE").startswith(b"-ERR FAILOVER with force option")
    assert client.call("FAILOVER", "TO", "127.0.0.1", 7001) == b"+OK\r\n"
    assert client.call("FAILOVER") == b"-ERR FAILOVER already in progress.\r\n"
    assert info(client)["master_failover_state"] == "waiting-for-sync"
    other.send("SET", "b", 2)
    wait_until(lambda: info(client, "clients")["blocked_clients"] == "1")
    assert client.call("FAILOVER", "ABORT") == b"+OK\r\n"
    assert other.reply() == b"+OK\r\n"
    assert info(client)["master_failover_state"] == "no-failover"
    assert client.call("FAILOVER", "TIMEOUT", 5000) == b"+OK\r\n"
    advance(client, 6)
    wait_until(lambda: info(client)["master_failover_state"] == "no-failover")
    assert "Replica never caught up before timeout" in log(master)


def test_debug_replicate(master, client):
    raw = RawReplica(master.port)
    raw.full_sync()
    assert client.call("DEBUG", "REPLICATE", "fake-command", "x") == b"+OK\r\n"
    raw.stream("SELECT 0", "fake-command x")
    assert integer(client.call("DBSIZE")) == 0


def test_a_log_with_acknowledgements_asked_for_can_be_replayed(start):
    options = ("--repl-diskless-sync-delay", "0", "--save", "", "--appendonly", "yes")
    master = start(*options)
    client = master.connect()
    raw = RawReplica(master.port)
    raw.full_sync()
    client.call("SET", "a", 1)
    assert client.call("WAIT", 1, 1) == b":0\r\n"
    client.call("SET", "a", 2)
    offset = info(client)["master_repl_offset"]
    master.kill()
    again = start(*options, directory=master.directory)
    client = again.connect()
    wait_until(lambda: client.call("GET", "a") == b"$1\r\n2\r\n")
    assert info(client)["master_repl_offset"] == offset


@pytest.mark.parametrize("form", [(), ("TO",), ("TO", "FORCE"), ("TIMEOUT",)], ids=["any", "TO", "FORCE", "TIMEOUT"])
def test_a_failover_to_redis(master, client, form):
    """The replica of redis-server becomes the master, Swiftlet follows it with a partial sync, and no write is lost."""
    fill(client)
    with redis_replica(master) as (server, replica):
        wait_until(lambda: "state=online" in info(client)["slave0"])
        words = ["TO", "127.0.0.1", str(server.port)] if "TO" in form else []
        words += ["FORCE", "TIMEOUT", "20000"] if "FORCE" in form else ["TIMEOUT", "20000"] if "TIMEOUT" in form else []
        writer = master.connect()
        client.call("INCR", "counter")
        assert client.call("FAILOVER", *words) == b"+OK\r\n"
        # Held until the other is the master: then this one refuses it.
        writer.send("INCR", "counter")
        wait_until(lambda: info(replica)["role"] == "master")
        assert writer.reply() in (b":2\r\n", b"-READONLY You can't write against a read only replica.\r\n")
        wait_until(lambda: info(client)["master_failover_state"] == "no-failover")
        assert info(client)["role"] == "slave"
        wait_until(lambda: info(client)["master_link_status"] == "up")
        replica.call("INCR", "counter")
        wait_until(lambda: info(replica)["master_repl_offset"] == info(client)["slave_repl_offset"])
        assert digest(replica) == digest(client)
        assert info(replica, "stats")["sync_partial_ok"] == "1"
        # And back.
        replica.call("FAILOVER")
        wait_until(lambda: info(client)["role"] == "master")
        client.call("INCR", "counter")
        wait_until(lambda: is_synchronised(replica))
        wait_for_equal_offsets(client, replica)
        assert digest(replica) == digest(client)
        assert info(client, "stats")["sync_full"] == "1"


def test_a_chain_with_swiftlet_in_the_middle(master, client):
    """redis-server follows Swiftlet, which follows Swiftlet: offsets are those of the top."""
    fill(client)
    middle = start_swiftlet(*NO_DELAY)
    try:
        between = middle.connect()
        between.call("REPLICAOF", "127.0.0.1", master.port)
        refused = RawReplica(middle.port)
        refused.send("PSYNC", "?", -1)
        answer = refused.line()
        assert answer.startswith((b"-NOMASTERLINK Can't SYNC while not connected with my master", b"+FULLRESYNC"))
        wait_until(lambda: is_synchronised(between))
        with redis_replica(middle) as (_, last):
            for i in range(200):
                client.call("SELECT", i % 3)
                client.call("SET", f"key{i}", "x" * i * 10)
                if i == 100:
                    between.call("CLIENT", "KILL", "TYPE", "replica")
            wait_until(lambda: is_synchronised(last))
            wait_until(lambda: info(client)["master_repl_offset"] == info(last)["slave_repl_offset"])
            assert digest(last) == digest(between) == digest(client)
            fields = [info(connection) for connection in (client, between, last)]
            assert len({f["master_replid"] for f in fields}) == 1
            assert int(info(between, "stats")["sync_partial_ok"]) >= 1
    finally:
        middle.stop()
