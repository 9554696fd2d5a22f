"""redis-migrate from: a running server's data, as a replica gets it or key by key."""

import json
import os
import subprocess
import threading

import pytest

from cluster import Cluster
from data import FAR, fill, mixed_requests
from migrate import migrate_binary
from oracle import start_redis, start_swiftlet
from peers import PEERS
from seed import new_seed, seeded
from waiting import wait_until

# A replica is not waited for, to send to several at once.
QUICK = ["--repl-diskless-sync-delay", "0", "--save", ""]
LIBRARY = "#!lua name=lib\nredis.register_function('answer', function() return 42 end)"


def tool(*arguments, env=None):
    environment = {**os.environ, **(env or {})}
    return subprocess.run(
        [migrate_binary(), *map(str, arguments)], capture_output=True, text=True, timeout=120, env=environment
    )


def ok(run):
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def filled(server, functions=True):
    connection = server.connect()
    connection.call("FLUSHALL")
    fill(connection.call)
    connection.pipeline(list(mixed_requests(seeded(new_seed()), 200)))
    connection.call("XGROUP", "CREATE", "stream", "readers", "100-0")
    connection.call("XREADGROUP", "GROUP", "readers", "one", "COUNT", 7, "STREAMS", "stream", ">")
    connection.call("PEXPIREAT", "stream", FAR + 1)
    if functions:
        connection.call("FUNCTION", "LOAD", "REPLACE", LIBRARY)
    connection.call("SELECT", 3)
    connection.call("SET", "elsewhere", "3")
    connection.call("SELECT", 0)
    return connection


def saved(server):
    """What `server` has, as its own RDB file."""
    connection = server.connect()
    # The child that has sent a full synchronisation may not have ended yet.
    wait_until(lambda: connection.call("SAVE") == b"+OK\r\n")
    return os.path.join(server.directory, "dump.rdb")


@pytest.fixture(scope="module", params=["yes", "no"], ids=["diskless", "from-disk"])
def redis_server(request):
    server = start_redis("--repl-diskless-sync", request.param, *QUICK)
    yield server
    server.stop()


def test_as_a_replica(redis_server, tmp_path):
    filled(redis_server)
    out = ok(tool("from", f"127.0.0.1:{redis_server.port}", tmp_path / "dump.sqlite"))
    assert "as of offset " in out and "libraries of functions: 1" in out
    ok(tool("from", f"127.0.0.1:{redis_server.port}", tmp_path / "dump.rdb"))
    for copy in ("dump.sqlite", "dump.rdb"):
        assert "equal" in ok(tool("verify", saved(redis_server), tmp_path / copy))
    run = tool("from", f"127.0.0.1:{redis_server.port}", tmp_path / "dump.rdb")
    assert run.returncode == 1 and "exists already" in run.stderr


def test_by_scan(redis_server, tmp_path):
    filled(redis_server)
    out = ok(tool("from", f"127.0.0.1:{redis_server.port}", tmp_path / "dump.sqlite", "--scan"))
    assert "not of one moment" in out and "libraries of functions: 1" in out
    assert "equal" in ok(tool("verify", saved(redis_server), tmp_path / "dump.sqlite"))
    ok(tool("from", f"redis://127.0.0.1:{redis_server.port}/3", tmp_path / "three.rdb", "--scan", "--no-functions"))
    assert "1 keys" in ok(tool("verify", tmp_path / "three.rdb"))


@pytest.fixture
def own_server():
    """One that no other test asks about its replicas."""
    server = start_swiftlet()
    yield server
    server.stop()


def test_swiftlet(own_server, tmp_path):
    filled(own_server)
    connection = own_server.connect()
    connection.call("HSET", "h", "a", 1, "b", 2)
    connection.call("HPEXPIREAT", "h", FAR, "FIELDS", 1, "a")
    connection.call("SAVE")
    for name, *options in [("a.sqlite",), ("b.sqlite", "--scan")]:
        ok(tool("from", f"127.0.0.1:{own_server.port}", tmp_path / name, *options))
        saved_snapshot = os.path.join(own_server.directory, "dump.sqlite")
        assert "equal" in ok(tool("verify", saved_snapshot, tmp_path / name))


def test_under_load(redis_server, tmp_path):
    """Of one moment: what is always written together is together in the copy."""
    connection = redis_server.connect()
    connection.call("FLUSHALL")
    connection.call("DEBUG", "POPULATE", 50_000, "filler", 100)
    stop = threading.Event()

    def write():
        writer, number = redis_server.connect(), 0
        while not stop.is_set():
            number += 1
            writer.call("MSET", "left", number, "right", number)
        writer.close()

    thread = threading.Thread(target=write)
    thread.start()
    wait_until(lambda: connection.call("EXISTS", "right") == b":1\r\n")
    try:
        ok(
            tool(
                "from", f"127.0.0.1:{redis_server.port}", tmp_path / "dump.jsonl", "--match", "[lr]*t", "--no-functions"
            )
        )
    finally:
        stop.set()
        thread.join()
    values = [json.loads(line)["value"] for line in (tmp_path / "dump.jsonl").read_text().splitlines()]
    assert len(values) == 2 and values[0] == values[1]
    ok(tool("from", f"127.0.0.1:{redis_server.port}", tmp_path / "scan.rdb", "--scan"))
    assert "50002 keys" in ok(tool("verify", tmp_path / "scan.rdb"))


def test_who_may_not_follow(tmp_path):
    server = start_redis(*QUICK)
    try:
        connection = filled(server)
        connection.call("ACL", "SETUSER", "reader", "on", ">secret", "~*", "+@all", "-psync")
        login = ("--user", "reader", "--password-env", "P")
        where = f"127.0.0.1:{server.port}"
        run = tool("from", where, tmp_path / "dump.sqlite", *login, env={"P": "secret"})
        assert run.returncode == 1 and "NOPERM" in run.stderr and "--scan" in run.stderr
        assert not os.listdir(tmp_path)
        ok(tool("from", where, tmp_path / "dump.sqlite", "--scan", *login, env={"P": "secret"}))
        assert "equal" in ok(tool("verify", saved(server), tmp_path / "dump.sqlite"))
    finally:
        server.stop()


def test_a_server_that_dies(tmp_path):
    server = start_redis("--repl-diskless-sync", "yes", *QUICK, "--rdb-key-save-delay", "200")
    server.connect().call("DEBUG", "POPULATE", 100_000, "key", 200)
    process = subprocess.Popen(
        [migrate_binary(), "from", f"127.0.0.1:{server.port}", tmp_path / "dump.sqlite"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        connection = server.connect()
        while b"wait_bgsave" not in (text := connection.call("INFO", "replication")) and b"send_bulk" not in text:
            assert process.poll() is None
    finally:
        server.stop()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and "closed the connection" in errors, errors
    assert not os.listdir(tmp_path)


@pytest.fixture(scope="module")
def cluster():
    cluster = Cluster()
    yield cluster
    cluster.stop()


def test_each_master_of_a_cluster(cluster, tmp_path):
    server = start_redis()
    try:
        connection = filled(server)
        connection.call("SELECT", 3)
        connection.call("FLUSHDB")
        for node in cluster.nodes:
            node.connect().call("FUNCTION", "LOAD", "REPLACE", LIBRARY)
        ok(tool("restore", saved(server), "--to", f"127.0.0.1:{cluster.nodes[0].port}", "--no-functions"))
        for name, *options in [("a.sqlite",), ("b.sqlite", "--scan")]:
            out = ok(tool("from", f"127.0.0.1:{cluster.nodes[1].port}", tmp_path / name, *options))
            assert "a cluster of 3 masters" in out and "not of one moment" in out
            assert "equal" in ok(tool("verify", saved(server), tmp_path / name))
    finally:
        server.stop()


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("scan", [False, True], ids=["replica", "scan"])
def test_a_peer(name, scan, tmp_path, start, oracle):
    """Its own file holds the same; fields that expire are there, and redis-server 7.0 takes the rest."""
    server = start(*QUICK, binary=PEERS[name])
    connection = filled(server, functions=name != "REDIS6")
    if name != "REDIS6":
        connection.call("HSET", "expiring", "a", 1, "b", 2)
        assert connection.call("HPEXPIREAT", "expiring", FAR, "FIELDS", 1, "a") == b"*1\r\n:1\r\n"
    options = ["--scan"] if scan else []
    copy = tmp_path / "dump.sqlite"
    ok(tool("from", f"127.0.0.1:{server.port}", copy, *options))
    run = tool("verify", saved(server), copy)
    # Redis 6.2 tells how long keys live, not until when.
    assert "equal" in run.stdout or (name == "REDIS6" and scan and "different: times of expiry\n" in run.stdout)
    ok(tool("restore", copy, "--to", f"127.0.0.1:{oracle.port}", "--replace", "--drop-field-ttls"))
    oracle.call("FUNCTION", "FLUSH")
    assert oracle.call("DBSIZE") == connection.call("DBSIZE")
