"""The way back: RDB -> snapshot -> RDB -> redis-server, and values across servers by DUMP and RESTORE.

The corpus is Tests/Fixtures/rdb.
"""

import os
import random
import shutil
import subprocess
import time

import pytest

from data import CORPUS, FAR, NEWER, REFUSED, SUPPORTED, fill, mixed_requests
from life import loaded
from migrate import migrate, tool
from oracle import start_redis, start_swiftlet
from resp import bulk, bulks, integer
from seed import new_seed

GENERATED = int(os.environ.get("SWIFTLET_ROUND_TRIPS", "5"))
MUTATIONS = int(os.environ.get("SWIFTLET_MUTATIONS", "2000"))


def facts(rdb, directory):
    """What redis-server says of a file: digest, and every key with its encoding and expiry."""
    directory.mkdir()
    shutil.copy(rdb, directory / "oracle.rdb")
    redis = start_redis("--dir", str(directory), "--dbfilename", "oracle.rdb", "--databases", "64")
    try:
        connection = loaded(redis)
        connection.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        found = {}
        for database in range(64):
            connection.call("SELECT", database)
            keys = bulks(connection.call("KEYS", "*"))
            times = connection.pipeline([("PEXPIRETIME", key) for key in keys])
            encodings = connection.pipeline([("OBJECT", "ENCODING", key) for key in keys])
            for key, when, encoding in zip(keys, times, encodings):
                found[database, key] = (when, encoding)
        connection.call("SELECT", 0)
        return connection.call("DEBUG", "DIGEST"), found
    finally:
        redis.stop()


def check_rdb(path):
    run = subprocess.run([shutil.which("redis-check-rdb"), str(path)], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Checksum OK" in run.stdout and "RDB looks OK" in run.stdout, run.stdout


def round_trip(rdb, tmp_path, *options):
    """Through a snapshot and back. The paths of both."""
    snapshot, back = tmp_path / "dump.sqlite", tmp_path / "back.rdb"
    run = migrate(rdb, snapshot)
    assert run.returncode == 0, run.stderr
    run = tool("to-rdb", snapshot, back, *options)
    assert run.returncode == 0, run.stderr
    assert sorted(os.listdir(tmp_path)) == ["back.rdb", "dump.sqlite"]
    return snapshot, back


def assert_same(rdb, back, snapshot, tmp_path):
    check_rdb(back)
    before, after = facts(rdb, tmp_path / "before"), facts(back, tmp_path / "after")
    if rdb.name == "zipmap_with_big_values.rdb":
        # Redis 7.0 keeps what was a zipmap small, whatever the limits are.
        for key, (when, _) in before[1].items():
            before[1][key] = when, after[1][key][1]
    assert before == after
    run = tool("verify", snapshot, back)
    assert run.returncode == 0 and run.stdout.splitlines()[-1] == "equal", run.stdout + run.stderr
    assert run.stdout.count(before[0][1:].decode().strip()) == 2, run.stdout


@pytest.mark.parametrize("options", [[], ["--no-compression"], ["--rdb-version", "9"]], ids=["10", "plain", "9"])
@pytest.mark.parametrize("name", SUPPORTED)
def test_file_of_the_corpus(name, options, tmp_path):
    snapshot, back = round_trip(CORPUS / name, tmp_path, *options)
    assert_same(CORPUS / name, back, snapshot, tmp_path)
    assert back.read_bytes()[:9] == (b"REDIS0009" if "9" in options else b"REDIS0010")


@pytest.mark.parametrize("name", NEWER)
def test_file_of_a_newer_version(name, tmp_path):
    """Our own reader judges: redis-server 7.0 reads neither version 11 nor 12."""
    snapshot, back = tmp_path / "dump.sqlite", tmp_path / "back.rdb"
    run = tool("to-sqlite", CORPUS / name, snapshot)
    assert run.returncode == 0, run.stderr
    for version in (10, 11, 12):
        run = tool("to-rdb", snapshot, back, "--rdb-version", version, "--force")
        drops = name == "small_v12.rdb" and version < 12
        if drops:
            assert run.returncode == 1 and "--drop-field-ttls" in run.stderr
            run = tool("to-rdb", snapshot, back, "--rdb-version", version, "--force", "--drop-field-ttls")
        assert run.returncode == 0, run.stderr
        assert "libraries of functions: 1" in run.stdout
        run = tool("verify", snapshot, back)
        if drops:
            assert run.returncode == 2 and "times of expiry" in run.stdout, run.stdout + run.stderr
        else:
            assert run.returncode == 0 and run.stdout.endswith("equal\n"), run.stdout + run.stderr
    run = tool("to-rdb", snapshot, back, "--rdb-version", 9, "--force")
    assert run.returncode == 1 and "library of functions" in run.stderr


# What verify reads and to-sqlite does not is left out: an append-only file.
@pytest.mark.parametrize("name", [name for name in REFUSED if not name.endswith(".aof")])
def test_verify_finds_damage(name):
    run = tool("verify", CORPUS / name)
    assert run.returncode == 1 and "offset" in run.stderr


@pytest.mark.parametrize("number", range(GENERATED))
def test_generated_data(number, tmp_path):
    seed = new_seed(number)
    rng = random.Random(seed)
    made = tmp_path / "made"
    made.mkdir()
    redis = start_redis("--dir", str(made))
    try:
        connection = redis.connect()
        for database in rng.sample(range(16), 3):
            connection.call("SELECT", database)
            requests = list(mixed_requests(rng, 600))
            for at in range(0, len(requests), 200):
                for reply in connection.pipeline(requests[at : at + 200]):
                    assert reply[:1] != b"-", reply
        assert connection.call("SAVE") == b"+OK\r\n"
    finally:
        redis.stop()
    work = tmp_path / "work"
    work.mkdir()
    options = rng.choice([[], ["--no-compression"], ["--rdb-version", "9"]])
    snapshot, back = round_trip(made / "dump.rdb", work, *options)
    assert_same(made / "dump.rdb", back, snapshot, tmp_path)
    # Version 11 has forms that the oracle does not know; the data is the same.
    for version in (11, 12):
        run = tool("to-rdb", snapshot, work / "newer.rdb", "--rdb-version", version, "--force")
        assert run.returncode == 0, run.stderr
        assert tool("verify", work / "newer.rdb", back).returncode == 0


def test_expired_keys_and_expiries_survive(tmp_path):
    """A snapshot of Swiftlet's own, with keys that are due."""
    server = start_swiftlet("--dir", str(tmp_path))
    try:
        connection = server.connect()
        connection.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        soon = int(time.time() * 1000) + 300
        connection.call("SET", "due", "x", "PXAT", soon)
        connection.call("SET", "far", "x", "PXAT", FAR + 123)
        connection.call("RPUSH", "list", *range(3000))
        connection.call("PEXPIREAT", "list", FAR + 7)
        assert connection.call("SAVE") == b"+OK\r\n"
    finally:
        # The directory is ours: stop() would remove it.
        server.process.kill()
        server.process.wait()
    run = tool("to-rdb", tmp_path / "dump.sqlite", tmp_path / "back.rdb")
    assert run.returncode == 0 and "3 keys" in run.stdout, run.stdout + run.stderr
    time.sleep(max(0, soon / 1000 - time.time()) + 0.05)
    run = tool("verify", tmp_path / "back.rdb")
    assert "2 keys" in run.stdout and "left out: 1 expired" in run.stdout
    assert "3 keys" in tool("verify", tmp_path / "back.rdb", "--keep-expired").stdout
    _, keys = facts(tmp_path / "back.rdb", tmp_path / "facts")
    assert {key: when for (_, key), (when, _) in keys.items()} == {
        b"far": b":%d\r\n" % (FAR + 123), b"list": b":%d\r\n" % (FAR + 7),
    }  # fmt: skip


def test_the_server_imports_what_to_rdb_writes(tmp_path):
    """With the times of hashes' fields, which version 12 has."""

    def start_on(directory):
        server = start_swiftlet("--dir", str(directory))
        return server, loaded(server)

    server, connection = start_on(tmp_path)
    try:
        connection.call("HSET", "small", "a", 1, "b", 2)
        connection.call("HPEXPIREAT", "small", FAR + 5, "FIELDS", 1, "a")
        for i in range(2000):
            connection.call("HSET", "large", f"field:{i}", i)
        connection.call("HPEXPIREAT", "large", FAR + 7, "FIELDS", 2, "field:3", "field:4")
        assert connection.call("SAVE") == b"+OK\r\n"
        digest = connection.call("DEBUG", "DIGEST")
    finally:
        server.process.kill()
        server.process.wait()
    work = tmp_path / "imports"
    work.mkdir()
    run = tool("to-rdb", tmp_path / "dump.sqlite", work / "dump.rdb", "--rdb-version", 12)
    assert run.returncode == 0, run.stdout + run.stderr
    server, connection = start_on(work)
    try:
        assert connection.call("DEBUG", "DIGEST") == digest
        assert connection.call("HPEXPIRETIME", "small", "FIELDS", 2, "a", "b") == b"*2\r\n:%d\r\n:-1\r\n" % (FAR + 5)
        assert connection.call("HPEXPIRETIME", "large", "FIELDS", 1, "field:4") == b"*1\r\n:%d\r\n" % (FAR + 7)
    finally:
        server.stop()


def test_verify_tells_what_differs(tmp_path):
    redis = start_redis("--dir", str(tmp_path))
    try:
        connection = redis.connect()

        def saved(name, *commands):
            for command in commands:
                connection.call(*command)
            assert connection.call("SAVE") == b"+OK\r\n"
            return shutil.copy(tmp_path / "dump.rdb", tmp_path / name)

        a = saved("a", ("SET", "k", "v", "PXAT", FAR), ("RPUSH", "l", "a", "b"))
        b = saved("b", ("PEXPIREAT", "k", FAR + 1))
        c = saved("c", ("PEXPIREAT", "k", FAR), ("RPUSH", "l", "c"))
        d = saved(
            "d", ("RPOP", "l"), ("FUNCTION", "LOAD", "#!lua name=f\nredis.register_function('f', function() end)")
        )
        group = saved("group", ("XADD", "s", "1-1", "f", "v"), ("XGROUP", "CREATE", "s", "g", "0"))
        read = saved("read", ("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">"))
        acknowledged = saved("acknowledged", ("XACK", "s", "g", "1-1"))
        moved = saved("moved", ("XSETID", "s", "9-9"))
    finally:
        redis.stop()
    for other, text in [(b, "times of expiry"), (c, "data"), (d, "functions")]:
        run = tool("verify", a, other)
        assert run.returncode == 2 and run.stdout.endswith(f"different: {text}\n"), run.stdout + run.stderr
    for first, second in [(group, read), (read, acknowledged), (acknowledged, moved)]:
        run = tool("verify", first, second)
        assert run.stdout.endswith("different: consumer groups or counts of streams\n"), run.stdout + run.stderr
    assert tool("verify", a, a).returncode == 0
    assert tool("verify", tmp_path / "none").returncode == 1
    # Functions go the whole way.
    work = tmp_path / "work"
    work.mkdir()
    _, back = round_trip(d, work)
    redis = start_redis("--dir", str(work), "--dbfilename", back.name)
    try:
        assert b"#!lua name=f" in loaded(redis).call("FUNCTION", "LIST", "WITHCODE")
    finally:
        redis.stop()


# MARK: DUMP and RESTORE


def test_dump_is_read_by_the_other(both):
    fill(both)
    for source, target in [(both.swiftlet, both.oracle), (both.oracle, both.swiftlet)]:
        for key in bulks(source.call("KEYS", "*")):
            payload = bulk(source.call("DUMP", key))
            assert target.call("DEL", key) == b":1\r\n"
            assert target.call("RESTORE", key, 0, payload) == b"+OK\r\n", key
            encodings = [c.call("OBJECT", "ENCODING", key) for c in (source, target)]
            # Redis 7.2 keeps small sets as listpacks and lists of one chunk too; 7.0 does not.
            if not key.startswith((b"set", b"list")) and key != b"appended":
                assert encodings[0] == encodings[1], key
        assert both.swiftlet.call("DEBUG", "DIGEST") == both.oracle.call("DEBUG", "DIGEST")


def test_dump_is_the_same_where_the_encoding_is(both):
    """Without compression, in which libraries differ, payloads are equal to the byte."""
    both("CONFIG", "SET", "rdbcompression", "no")
    fill(both)
    for key in bulks(both.oracle.call("KEYS", "*")):
        # The order of hash tables is each server's own; large lists are cut into chunks elsewhere.
        if bulk(both.oracle.call("OBJECT", "ENCODING", key)) in (b"hashtable", b"quicklist"):
            continue
        both("DUMP", key)
    both("DUMP", "list small")
    both("DUMP", "none")
    both("CONFIG", "SET", "rdbcompression", "yes")


def test_restore_options_and_errors(protocols):
    both = protocols
    both.oracle.call("SET", "k", "some value, which is a string")
    payload = bulk(both.oracle.call("DUMP", "k"))
    both.oracle.call("DEL", "k")
    both("RESTORE", "k", 0, payload)
    both("RESTORE", "k", 0, payload)
    both("RESTORE", "k", 0, payload, "REPLACE")
    both("RESTORE", "k", "x", payload, "REPLACE")
    both("RESTORE", "k", "x", payload)
    both("RESTORE", "k", -1, payload, "replace")
    both("RESTORE", "k", -1, b"", "replace")
    both("RESTORE", "none", "x", b"")
    both("RESTORE", "k", 100_000, payload, "REPLACE")
    both.near("PTTL", "k", slack=500)
    both("RESTORE", "k", FAR, payload, "REPLACE", "ABSTTL")
    both("PEXPIRETIME", "k")
    # Due already: the old key goes, and no new one comes.
    both("RESTORE", "k", 1, payload, "REPLACE", "ABSTTL")
    both("EXISTS", "k")
    both("RESTORE", "k", 1, payload, "ABSTTL")
    both("EXISTS", "k")
    both("RESTORE", "k", 0, payload, "ABSTTL")
    both("PTTL", "k")
    both("RESTORE", "k", 0, payload, "REPLACE", "IDLETIME", 1000)
    both.near("OBJECT", "IDLETIME", "k", slack=2)
    for options in [
        ("IDLETIME",), ("IDLETIME", -1), ("IDLETIME", "x"), ("FREQ",), ("FREQ", 256), ("FREQ", -1), ("FREQ", "x"),
        ("IDLETIME", 1, "FREQ", 1), ("FREQ", 1, "IDLETIME", 1), ("NONE",), ("REPLACE", "NONE"), ("IDLETIME", 5),
        ("FREQ", 7), ("REPLACE", "REPLACE", "ABSTTL", "ABSTTL"),
    ]:  # fmt: skip
        both("DEL", "j")
        both("RESTORE", "j", 0, payload, *options)
        both("EXISTS", "j")
    for changed in [
        payload[:-1], payload[:-8], payload[:5], b"", payload[:-1] + bytes([payload[-1] ^ 1]), b"x" + payload,
        payload[:-10] + b"\x0d\x00" + payload[-8:], payload[:-10] + b"\x0b\x00" + payload[-8:],
        payload[:-8] + bytes(8),
    ]:  # fmt: skip
        both("RESTORE", "bad", 0, changed)
        both("RESTORE", "k", 0, changed, "REPLACE")
    both("GET", "k")
    both("RESTORE")
    both("RESTORE", "k", 0)
    both("DUMP")
    both("DUMP", "k", "k")


def test_bad_payloads(both):
    """Right at the end, wrong inside."""
    for connection in (both.swiftlet, both.oracle):
        connection.call("DEBUG", "SET-SKIP-CHECKSUM-VALIDATION", 1)
        connection.call("CONFIG", "SET", "sanitize-dump-payload", "yes")
    end = b"\x0a\x00" + bytes(8)
    try:
        for body in [
            b"\x00", b"\x08\x01a", b"\x01\x00", b"\x12\x00", b"\x02\x00", b"\x04\x00", b"\x05\x00", b"\x02\x02\x01a\x01a",
            b"\x04\x02\x01a\x01b\x01a\x01c", b"\x05\x01\x01a\x00\x00\x00\x00\x00\x00\xf8\x7f", b"\x02\x02\x01a",
            b"\x02\x80\x7f\xff\xff\xff\x01a", b"\x10\x0b\x0b\x00\x00\x00\x01\x00\x81a\x02\xff", b"\x00\x80\x7f\xff\xff\xff",
            b"\x00\xc3\x02\x0a\x00\x61", b"\x0b\x08\x02\x00\x00\x00\x00\x00\x00\x00",
        ]:  # fmt: skip
            both("RESTORE", "bad", 0, body + end)
            both("EXISTS", "bad")
        both("RESTORE", "good", 0, b"\x00\x01a" + end)
        both("GET", "good")
    finally:
        for connection in (both.swiftlet, both.oracle):
            connection.call("DEBUG", "SET-SKIP-CHECKSUM-VALIDATION", 0)
            connection.call("CONFIG", "SET", "sanitize-dump-payload", "no")
    both("RESTORE", "bad", 0, b"\x00\x01a" + end)


def test_restore_is_logged_with_the_time(tmp_path):
    directory = tmp_path / "data"
    directory.mkdir()
    options = ("--appendonly", "yes", "--dir", str(directory))
    server = start_swiftlet(*options)
    connection = server.connect()
    connection.call("RPUSH", "l", *range(500))
    payload = bulk(connection.call("DUMP", "l"))
    assert connection.call("RESTORE", "copy", 50_000_000, payload) == b"+OK\r\n"
    assert connection.call("RESTORE", "l", 0, payload, "REPLACE") == b"+OK\r\n"
    assert connection.call("RESTORE", "l", 1, payload, "REPLACE", "ABSTTL") == b"+OK\r\n"
    assert connection.call("EXISTS", "l") == b":0\r\n"
    before = connection.call("DEBUG", "DIGEST"), connection.call("PEXPIRETIME", "copy")
    assert integer(before[1]) > time.time() * 1000
    server.process.kill()
    server.process.wait()
    server = start_swiftlet(*options)
    try:
        connection = loaded(server)
        assert (connection.call("DEBUG", "DIGEST"), connection.call("PEXPIRETIME", "copy")) == before
        # And the snapshot has it.
        connection.call("SAVE")
        assert connection.call("DEBUG", "RELOAD") == b"+OK\r\n"
        assert (connection.call("DEBUG", "DIGEST"), connection.call("PEXPIRETIME", "copy")) == before
    finally:
        server.stop()


def test_mutated_payloads(swiftlet):
    """Whatever the bytes, an answer comes; what was taken in can be read, saved and dumped."""
    seed = new_seed()
    rng = random.Random(seed)
    fill(swiftlet.call)
    payloads = [bulk(swiftlet.call("DUMP", key)) for key in bulks(swiftlet.call("KEYS", "*"))]
    swiftlet.call("DEBUG", "SET-SKIP-CHECKSUM-VALIDATION", 1)
    try:
        taken = 0
        for _ in range(0, MUTATIONS, 50):
            requests = []
            for i in range(50):
                payload = bytearray(rng.choice(payloads))
                for _ in range(rng.choice([1, 1, 1, 3])):
                    limit = rng.choice([min(20, len(payload) - 10), len(payload) - 10])
                    payload[rng.randrange(limit)] = rng.randrange(256)
                if rng.random() < 0.05:
                    del payload[rng.randrange(len(payload) - 10) : -10]
                requests += [("RESTORE", f"m{i}", 0, bytes(payload), "REPLACE"), ("DUMP", f"m{i}")]
            replies = swiftlet.pipeline(requests)
            errors = {r for r in replies[::2] if r != b"+OK\r\n"}
            # The other one is for payloads that are nothing but their end.
            assert errors <= {b"-ERR Bad data format\r\n", b"-ERR DUMP payload version or checksum are wrong\r\n"}
            taken += replies[::2].count(b"+OK\r\n")
        assert taken > MUTATIONS / 100
        assert swiftlet.call("DEBUG", "RELOAD") == b"+OK\r\n"
        assert swiftlet.call("PING") == b"+PONG\r\n"
    finally:
        swiftlet.call("DEBUG", "SET-SKIP-CHECKSUM-VALIDATION", 0)
