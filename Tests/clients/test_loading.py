"""While data loads, from a snapshot, the log, or an RDB file: who asks is told, INFO says how far it is, and SIGTERM ends
the server at once."""

import os
import signal
import time

import pytest

from launched import Launched
from oracle import start_redis, swiftlet_binary
from resp import Connection, encode
from waiting import wait_until

KEYS = 400_000


def populate(connection):
    assert connection.call("DEBUG", "POPULATE", KEYS, "key", 100) == b"+OK\r\n"


@pytest.fixture(scope="module")
def rdb(tmp_path_factory):
    """A directory with an RDB file."""
    directory = tmp_path_factory.mktemp("rdb")
    server = start_redis()
    try:
        populate(server.connect())
        server.connect().call("SAVE")
        os.rename(os.path.join(server.directory, "dump.rdb"), directory / "dump.rdb")
    finally:
        server.stop()
    return directory


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    """A directory with a snapshot, without a log."""
    directory = tmp_path_factory.mktemp("snapshot")
    process = Launched(swiftlet_binary(), "--appendonly", "no", directory=str(directory))
    populate(process.connect())
    assert process.connect().call("SAVE") == b"+OK\r\n"
    process.stop()
    return directory


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A directory with a log, without a snapshot."""
    directory = tmp_path_factory.mktemp("log")
    process = Launched(
        swiftlet_binary(), "--appendonly", "yes", "--auto-aof-rewrite-percentage", "0", directory=str(directory)
    )
    connection = process.connect()
    for start in range(0, KEYS, 1000):
        connection.socket.sendall(b"".join(encode(["SET", f"key:{i}", "x" * 100]) for i in range(start, start + 1000)))
        for _ in range(1000):
            connection.reply()
    process.stop()
    return directory


@pytest.fixture(params=["rdb", "snapshot", "log"])
def loading(request, tmp_path):
    """A server that loads, in a copy of the directory."""
    source = request.getfixturevalue(request.param)
    for name in os.listdir(source):
        if name.startswith("dump") or "aof" in name:
            (tmp_path / name).write_bytes((source / name).read_bytes())
    process = Launched(
        swiftlet_binary(), "--appendonly", "yes" if request.param == "log" else "no", directory=str(tmp_path)
    )
    yield process
    process.stop()


def info(reply):
    return dict(line.split(":", 1) for line in reply.decode().split("\r\n") if ":" in line)


def files(directory):
    return {name: os.stat(os.path.join(directory, name)).st_size for name in os.listdir(directory)}


REFUSED = ["PING", "DBSIZE", "GET key:1", "SET a 1", "KEYS *", "SAVE", "DEBUG OBJECT key:1", "OBJECT ENCODING key:1"]
ALLOWED = [
    "ECHO hi",
    "SELECT 1",
    "CLIENT ID",
    "CONFIG GET port",
    "COMMAND COUNT",
    "TIME",
    "ROLE",
    "INFO server",
    "WATCH a",
]


def test_who_asks_is_told(loading):
    connection = loading.connect()
    refused = b"-LOADING Redis is loading the dataset in memory\r\n"
    # All in one packet, as loading may not take long.
    requests = [line.split() for line in REFUSED + ALLOWED]
    requests += [["MULTI"], ["GET", "key:1"], ["EXEC"], ["CONFIG", "SET", "appendonly", "no"], ["INFO", "keyspace"]]
    *replies, text = connection.pipeline(requests + [["INFO", "persistence"]])
    assert replies[0] == refused, "loading was over too soon to see"
    for line, reply in zip(REFUSED, replies):
        assert reply == refused, line
    for line, reply in zip(ALLOWED, replies[len(REFUSED) :]):
        assert not reply.startswith(b"-"), line
    assert replies[-5:-3] == [b"+OK\r\n", refused]
    assert replies[-3].startswith(b"-EXECABORT")
    assert replies[-2].startswith(b"-LOADING")
    assert replies[-1] == b"$12\r\n# Keyspace\r\n\r\n"
    fields = info(text)
    assert fields["loading"] == "1"
    assert 0 <= int(fields["loading_loaded_bytes"]) <= int(fields["loading_total_bytes"])
    assert 0 <= float(fields["loading_loaded_perc"]) <= 100
    assert abs(int(fields["loading_start_time"]) - time.time()) < 60
    assert int(fields["loading_eta_seconds"]) >= 0
    wait_until(lambda: connection.call("PING") == b"+PONG\r\n", 60)
    fields = info(connection.call("INFO", "persistence"))
    assert fields["loading"] == "0" and "loading_start_time" not in fields
    connection.call("SELECT", 0)
    assert connection.call("DBSIZE") == b":%d\r\n" % KEYS
    assert connection.call("GET", "key:1").startswith(b"$100\r\n")


def test_progress_grows(loading):
    connection = loading.connect()
    seen = []
    while (fields := info(connection.call("INFO", "persistence")))["loading"] == "1":
        seen.append((int(fields["loading_total_bytes"]), int(fields["loading_loaded_bytes"])))
    # An RDB file is imported first, then the snapshot loaded: totals tell them apart.
    for total in {total for total, _ in seen}:
        loaded = [loaded for t, loaded in seen if t == total]
        assert loaded == sorted(loaded)
    assert len({loaded for _, loaded in seen}) > 3


@pytest.mark.parametrize("how", ["TERM", "INT", "SHUTDOWN"])
def test_the_server_ends_at_once(loading, how):
    connection = loading.connect()
    assert connection.call("PING").startswith(b"-LOADING"), "loading was over too soon to see"
    before = {name: size for name, size in files(loading.directory).items() if "importing" not in name}
    began = time.monotonic()
    if how == "SHUTDOWN":
        connection.send("SHUTDOWN")
        code = loading.process.wait(20)
    else:
        code = loading.terminate(getattr(signal, "SIG" + how))
    assert code == 0
    assert time.monotonic() - began < 2
    assert b"DB loaded" not in loading.output()
    # The log is as it was, and so is the snapshot; of an import nothing is left.
    after = files(loading.directory)
    for name, size in before.items():
        if name.endswith((".rdb", ".sqlite")) or "aof" in name:
            assert after[name] == size
    assert not [name for name in after if "importing" in name]
    again = Launched(swiftlet_binary(), "--appendonly", "yes", directory=loading.directory)
    try:
        connection = again.connect()
        wait_until(lambda: connection.call("PING") == b"+PONG\r\n", 60)
        assert connection.call("DBSIZE") == b":%d\r\n" % KEYS
    finally:
        again.stop()


def test_clients_of_the_time_of_loading_stay(loading):
    """With their database, names and what they sent too early: each request has its own answer."""
    connections = [loading.connect() for _ in range(20)]
    for connection in connections:
        connection.send("CLIENT", "SETNAME", "early")
        connection.send("SELECT", 3)
    connection = Connection(loading.port)
    wait_until(lambda: connection.call("PING") == b"+PONG\r\n", 60)
    for early in connections:
        assert [early.reply(), early.reply()] == [b"+OK\r\n"] * 2
        assert early.call("SET", "a", 1) == b"+OK\r\n"
    connection.call("SELECT", 3)
    assert connection.call("DBSIZE") == b":1\r\n"
