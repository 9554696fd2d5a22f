"""CONFIG SET of several settings: all of them or none, whatever is wrong and wherever; and what some of them do."""

import os
import pathlib
import signal
import socket

import pytest

from process import setting
from resp import Connection, bulks
from waiting import wait_until


def everything(connection):
    found = bulks(connection.call("CONFIG", "GET", "*"))
    return dict(zip(found[::2], found[1::2]))


def error(name, message):
    return f"-ERR CONFIG SET failed (possibly related to argument '{name}') - {message}\r\n".encode()


@pytest.fixture
def used_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


BEFORE = ["timeout", "77", "loglevel", "debug", "hz", "33", "requirepass", "secret"]
AFTER = ["slowlog-max-len", "5", "maxmemory", "1gb", "client-output-buffer-limit", "pubsub 1 2 3"]


def test_what_cannot_be_carried_out_undoes_all(start, used_port, tmp_path):
    server = start()
    connection = server.connect()
    other = tmp_path / "other"
    other.mkdir()
    before = everything(connection)
    for failing, message in [
        (("port", used_port), error("port", "Unable to listen on this port. Check server logs.")),
        (("bind", "999.999.999.999"), error("bind", "Failed to bind to specified addresses.")),
        (("maxclients", "4294967295"), b"-ERR CONFIG SET failed (possibly related to argument 'maxclients') - The op"),
        (("snapshotfilename", "other.sqlite"), b"-ERR CONFIG SET failed (possibly related to argument 'snapshotfile"),
    ]:
        assert connection.call("CONFIG", "SET", *BEFORE, *failing, *AFTER).startswith(message), failing
        assert everything(connection) == before, failing
        # Others get in as before, without a password.
        again = Connection(server.port)
        assert again.call("PING") == b"+PONG\r\n"
        again.close()
    # And all of them, where nothing is in the way.
    assert connection.call("CONFIG", "SET", *BEFORE, *AFTER) == b"+OK\r\n"
    assert [setting(connection, name) for name in ("timeout", "hz", "maxmemory")] == [b"77", b"33", b"1073741824"]


def test_what_is_wrong_changes_nothing(both):
    """The same error as the oracle, the first of several, and nothing set."""
    kept = ["timeout", "hz", "slowlog-max-len", "hash-max-listpack-entries"]
    servers = (both.swiftlet, both.oracle)
    entries = [setting(server, "hash-max-listpack-entries") for server in servers]
    for pairs in (
        "timeout 5 hz x",
        "timeout 5 hz x slowlog-max-len y",
        "timeout 5 nope 1 hz 20",
        "nope 1 timeout 5 timeout 6",
        "timeout 5 hz 20 timeout 6",
        "timeout 5 Timeout 6",
        "timeout 5 databases 3",
        "databases 3 nope 1",
        "timeout 5 dir /tmp",
        "timeout 5 hz",
        "hash-max-listpack-entries 9 hash-max-listpack-value x",
        "timeout 5 client-output-buffer-limit normal",
        "maxmemory -1 timeout 5",
        "timeout -1",
        "timeout 2147483648",
    ):
        before = [[setting(server, name) for name in kept] for server in servers]
        both("CONFIG", "SET", *pairs.split())
        assert [[setting(server, name) for name in kept] for server in servers] == before, pairs
    both("CONFIG", "SET", "timeout", "0", "hash-max-ziplist-entries", "100", "hash-max-listpack-entries", "128")
    for patterns in ("hash-max-*-entries timeout TIME*", "timeout hz timeout nope"):
        found = [bulks(server.call("CONFIG", "GET", *patterns.split())) for server in servers]
        assert len(found[0]) == len(found[1])
        assert [dict(zip(pairs[::2], pairs[1::2])) for pairs in found][0] == dict(zip(found[1][::2], found[1][1::2]))
    both("CONFIG", "GET")
    both("CONFIG", "SET")
    both("CONFIG", "SET", "timeout")
    both("CONFIG", "RESETSTAT", "x")
    both("CONFIG", "REWRITE")
    for server, value in zip(servers, entries):
        server.call("CONFIG", "SET", "hash-max-listpack-entries", value)


def score(server):
    return int(pathlib.Path(f"/proc/{server.process.pid}/oom_score_adj").read_text())


def test_the_oom_score_follows_settings_and_role(start):
    server = start("--oom-score-adj", "yes", "--oom-score-adj-values", "10", "20", "30")
    connection = server.connect()
    base = int(pathlib.Path("/proc/self/oom_score_adj").read_text())
    assert score(server) == base + 10
    connection.call("CONFIG", "SET", "oom-score-adj-values", "15 25 30")
    assert score(server) == base + 15
    connection.call("REPLICAOF", "127.0.0.1", "1")
    assert score(server) == base + 25
    connection.call("REPLICAOF", "NO", "ONE")
    assert score(server) == base + 15
    connection.call("CONFIG", "SET", "oom-score-adj", "absolute", "oom-score-adj-values", f"{base + 40} 1000 0")
    assert score(server) == base + 40
    connection.call("CONFIG", "SET", "oom-score-adj", "no")
    assert score(server) == base
    connection.call("CONFIG", "SET", "oom-score-adj-values", "1 2 3")
    assert score(server) == base


def test_an_oom_score_that_the_system_refuses(start):
    server = start()
    connection = server.connect()
    base = score(server)
    try:
        pathlib.Path("/proc/self/oom_score_adj").write_text(str(base - 1))
        pathlib.Path("/proc/self/oom_score_adj").write_text(str(base))
        pytest.skip("this user may lower scores")
    except PermissionError:
        pass
    values = ["oom-score-adj-values", "-1000 -1000 -1000"]
    failed = "Failed to set current oom_score_adj. Check server logs."
    assert connection.call("CONFIG", "SET", "timeout", "5", "oom-score-adj", "yes", *values) == error(
        "oom-score-adj", failed
    )
    assert (setting(connection, "timeout"), setting(connection, "oom-score-adj"), score(server)) == (b"0", b"no", base)
    connection.call("CONFIG", "SET", "oom-score-adj", "yes")
    assert connection.call("CONFIG", "SET", *values) == error("oom-score-adj-values", failed)
    assert setting(connection, "oom-score-adj-values") == b"0 200 800"
    assert "Unable to write oom_score_adj" in server.text()


def test_a_link_to_a_master_comes_from_the_address_that_is_set(start):
    master, replica = start().connect(), start("--bind-source-addr", "127.0.0.2").connect()
    host, port = master.socket.getpeername()
    replica.call("REPLICAOF", host, port)
    wait_until(lambda: b"master_link_status:up" in replica.call("INFO", "replication"))
    assert b"slave0:ip=127.0.0.2," in master.call("INFO", "replication")


def test_a_shutdown_that_waits_for_regular_work_can_be_aborted(start):
    server = start("--enable-debug-command", "yes")
    connection = server.connect()
    connection.call("DEBUG", "PAUSE-CRON", "1")
    assert connection.call("SHUTDOWN", "ABORT") == b"-ERR No shutdown in progress.\r\n"
    os.kill(server.process.pid, signal.SIGTERM)
    wait_until(lambda: "Received SIGTERM" in server.text())
    assert connection.call("SHUTDOWN", "ABORT") == b"+OK\r\n"
    assert "Shutdown manually aborted" in server.text()
    connection.call("DEBUG", "PAUSE-CRON", "0")
    assert connection.call("PING") == b"+PONG\r\n"
    connection.call("DEBUG", "PAUSE-CRON", "1")
    os.kill(server.process.pid, signal.SIGTERM)
    wait_until(lambda: server.text().count("Received SIGTERM") == 2)
    connection.call("DEBUG", "PAUSE-CRON", "0")
    assert server.process.wait(20) == 0
