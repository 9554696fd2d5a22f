"""An import never makes what the server then refuses, mends what redis-server lives with, and replaces files only."""

import os
import stat
import struct
import subprocess
import time

import pytest

from data import CORPUS
from life import loaded
from migrate import migrate, migrate_binary
from oracle import start_redis
from resp import bulk, bulks, integer
from seed import seeded
from test_import_aof import Refused, ended, started
from test_round_trip import MUTATIONS


def length(n):
    if n < 64:
        return bytes([n])
    return bytes([0x40 | n >> 8, n & 255]) if n < 16384 else b"\x81" + struct.pack(">Q", n)


def text(data):
    return length(len(data)) + data


def rdb(*values, version=b"REDIS0011"):
    return version + b"\xfe\0" + b"".join(values) + b"\xff" + b"\0" * 8


def listpack(*elements):
    """Of short strings, and numbers below 128."""
    body = b""
    for element in elements:
        one = bytes([element]) if isinstance(element, int) else bytes([0x80 | len(element)]) + element
        body += one + bytes([len(one)])
    return text(struct.pack("<IH", 7 + len(body), len(elements)) + body + b"\xff")


def ziplist(*elements):
    """Of short strings."""
    body, before, tail = b"", 0, 10
    for element in elements:
        tail = 10 + len(body)
        body += bytes([before, len(element)]) + element
        before = 2 + len(element)
    return text(struct.pack("<IIH", 11 + len(body), tail, len(elements)) + body + b"\xff")


def crc64(data):
    """Of Redis, bit by bit."""
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0x95AC9329AC4BC9B5 if value & 1 else value >> 1
    return value


def identifier(ms, seq=0):
    return struct.pack(">QQ", ms, seq)


def node(*entries, live=None, deleted=0):
    """A stream's node of entries with the one field f."""
    elements = [len(entries) if live is None else live, deleted, 1, b"f", 0]
    for entry in entries:
        elements += [2, entry - entries[0], 0, b"v", 4]
    return text(identifier(entries[0])) + listpack(*elements)


def stream(nodes, count, last, groups=b"\0"):
    """The form of Redis 7.0."""
    body = length(len(nodes)) + b"".join(nodes) + length(count) + length(last) + length(0)
    return b"\x13\x01s" + body + length(0) * 4 + length(count) + groups


def group(pending, *consumers):
    """The group g with ids that are pending, and consumers with those that are theirs."""
    body = b"\x01\x01g" + length(9) + length(0) + length(0) + length(len(pending))
    body += b"".join(identifier(i) + struct.pack("<q", 1000) + length(1) for i in pending) + length(len(consumers))
    for name, owned in consumers:
        body += text(name) + struct.pack("<q", 1000) + length(len(owned)) + b"".join(map(identifier, owned))
    return body


def accepted_by_redis(content, directory):
    directory.mkdir()
    (directory / "dump.rdb").write_bytes(content)
    try:
        server = start_redis("--dir", str(directory))
    except RuntimeError:
        return False
    try:
        loaded(server).close()
        return True
    except OSError:
        return False
    finally:
        server.stop()


THREE = [node(1, 2, 3)]
MENDED = {
    "a stream that counts more entries": stream(THREE, 5, 3),
    "a stream that counts fewer entries": stream(THREE, 1, 3),
    "a stream that counts none": stream(THREE, 0, 3),
    "a stream whose last id is below an entry": stream(THREE, 3, 2),
    "a node that counts more entries": stream([node(1, 2, 3, live=9)], 3, 3),
    "a node that counts fewer entries": stream([node(1, 2, 3, live=1, deleted=1)], 3, 3),
    "entries that are pending for nobody": stream(THREE, 3, 3, group([1, 2, 3], (b"c", [2]))),
    "entries that are pending, without consumers": stream(THREE, 3, 3, group([1, 2])),
    "a field twice in a listpack": b"\x10\x01h" + listpack(b"a", 1, b"b", 2, b"a", 3),
    "a member twice in a sorted listpack": b"\x11\x01z" + listpack(b"a", 1, b"b", 2, b"a", 3),
    "a field twice in a small hash": b"\x04\x01h\x03\x01a\x011\x01b\x012\x01a\x013",
}
REFUSED = {
    "a key twice": b"\0\x01a\x011\0\x01b\x012\0\x01a\x013",
    "a key twice, of two types": b"\0\x01a\x011\x01\x01a\x01\x01x",
    "a member twice": b"\x02\x01s\x02\x01a\x01a",
    "a scored member twice": b"\x03\x01z\x02\x01a\x011\x01a\x012",
    "a field twice in a ziplist": b"\x0d\x01h" + ziplist(b"a", b"1", b"a", b"2"),
    "an empty node of a list": b"\x12\x01l\x01\x01\x00",
    "a stream that counts entries without nodes": stream([], 3, 3),
    "a consumer's entry that is not pending": stream(THREE, 3, 3, group([1], (b"c", [2]))),
    "an entry twice for one consumer": stream(THREE, 3, 3, group([1], (b"c", [1, 1]))),
    "an entry that is pending for two": stream(THREE, 3, 3, group([1], (b"c", [1]), (b"d", [1]))),
    "a consumer twice": stream(THREE, 3, 3, group([1], (b"c", [1]), (b"c", []))),
}
KEPT = b"\0\x04kept\x01x"


@pytest.mark.parametrize("name", MENDED)
def test_what_redis_server_lives_with_is_mended(name, tmp_path):
    content = rdb(KEPT, MENDED[name], version=b"REDIS0010")
    assert accepted_by_redis(content, tmp_path / "redis"), "the oracle refuses it"
    (tmp_path / "dump.rdb").write_bytes(content)
    run = migrate(tmp_path / "dump.rdb", tmp_path / "by hand.sqlite")
    assert run.returncode == 0 and "mended: " in run.stdout, run.stdout + run.stderr
    run = subprocess.run(
        [migrate_binary(), "verify", tmp_path / "dump.rdb", tmp_path / "by hand.sqlite"], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr
    server, connection = started(tmp_path)
    if b"\x01s" in MENDED[name][:3]:
        entries = connection.call("XRANGE", "s", "-", "+")
        assert [i in entries for i in (b"1-0", b"2-0", b"3-0")] == [True] * 3
        assert connection.call("XLEN", "s") == b":3\r\n"
        assert connection.call("XADD", "s", "4-0", "f", "v") == b"$3\r\n4-0\r\n"
    elif b"\x01h" in MENDED[name][:3]:
        assert connection.call("HGETALL", "h") == b"*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\n2\r\n"
    else:
        assert connection.call("ZRANGE", "z", 0, -1) == b"*2\r\n$1\r\na\r\n$1\r\nb\r\n"
    assert connection.call("GET", "kept") == b"$1\r\nx\r\n"
    digest = connection.call("DEBUG", "DIGEST")
    assert connection.call("SAVE") == b"+OK\r\n" and connection.call("DEBUG", "RELOAD") == b"+OK\r\n"
    assert connection.call("DEBUG", "DIGEST") == digest
    assert "mended: " in ended(server)


def test_what_is_pending_for_nobody_can_be_claimed(tmp_path):
    (tmp_path / "dump.rdb").write_bytes(rdb(MENDED["entries that are pending for nobody"], version=b"REDIS0010"))
    server, connection = started(tmp_path)
    assert bulks(connection.call("XCLAIM", "s", "g", "me", 0, "1-0", "3-0", "JUSTID")) == [b"1-0", b"3-0"]
    assert b":3\r\n" in connection.call("XPENDING", "s", "g")
    ended(server)


@pytest.mark.parametrize("name", REFUSED)
def test_what_redis_server_refuses_is_refused(name, tmp_path):
    content = rdb(KEPT, REFUSED[name], version=b"REDIS0010")
    assert not accepted_by_redis(content, tmp_path / "redis"), "the oracle accepts it"
    data = tmp_path / "data"
    data.mkdir()
    (data / "dump.rdb").write_bytes(content)
    precious = data / "precious.sqlite"
    precious.write_text("precious")
    run = migrate("--force", data / "dump.rdb", precious)
    assert run.returncode == 1 and "dump.rdb" in run.stderr and "Fatal" not in run.stderr, run.stderr
    assert precious.read_text() == "precious"
    with pytest.raises(Refused, match="dump.rdb"):
        started(data)
    assert not list(data.glob("dump.sqlite*"))


def test_signs_of_zero(tmp_path):
    """As text and in binary; redis-server keeps that of text."""
    values = (
        b"\x0c\x01z" + ziplist(b"a", b"-0"),
        b"\x11\x01l" + listpack(b"a", b"-0"),
        b"\x05\x01b\x01\x01a" + struct.pack("<d", -0.0),
    )
    (tmp_path / "dump.rdb").write_bytes(rdb(*values))
    server, connection = started(tmp_path)
    for _ in range(2):
        for key in "zlb":
            assert connection.call("ZSCORE", key, "a") == b"$2\r\n-0\r\n", key
        connection.call("DEBUG", "RELOAD")
    ended(server)
    # And back.
    run = subprocess.run([migrate_binary(), "to-rdb", tmp_path / "dump.sqlite", tmp_path / "back.rdb"])
    assert run.returncode == 0
    redis = start_redis("--dir", str(tmp_path), "--dbfilename", "back.rdb")
    try:
        connection = loaded(redis)
        assert [connection.call("ZSCORE", key, "a") for key in "zlb"] == [b"$2\r\n-0\r\n"] * 3
    finally:
        redis.process.kill()
        redis.process.wait()


def test_restore_refuses_what_sanitizing_refuses(swiftlet):
    """Fixed payloads, and mutations of sound ones: what redis-server refuses as damaged, with sanitize-dump-payload, is
    refused here, and what both take is the same."""
    rng = seeded()
    redis = start_redis("--sanitize-dump-payload", "yes", "--rdbcompression", "no")
    try:
        oracle = redis.connect()
        oracle.call("XADD", "s", "1-1", "a", "1", "b", "2")
        oracle.call("XADD", "s", "1-2", "a", "1", "b", "2")
        oracle.call("XADD", "s", "2-0", "c", "z")
        oracle.call("XGROUP", "CREATE", "s", "g", "0")
        oracle.call("XREADGROUP", "GROUP", "g", "c", "COUNT", 2, "STREAMS", "s", ">")
        oracle.call("XDEL", "s", "1-1")
        oracle.call("RPUSH", "l", "a", "b", "12", "-5", "70000", "x" * 70)
        oracle.call("SADD", "i", 1, 2, 300)
        oracle.call("HSET", "h", "a", "1", "b", "c")
        oracle.call("ZADD", "z", "1", "a", "2.5", "b")
        sound = [bulk(oracle.call("DUMP", key))[:-10] for key in "slihz"]
        values = [b"\x09" + text(b"\x02\x01a\x01\x00b\x01c\x02\x00dd\xff"), b"\x0e\x01" + ziplist(b"a", b"bb")]
        sound += values + [b"\x0d" + ziplist(b"a", b"1"), b"\x0c" + ziplist(b"a", b"-0")]
        fixed = [b"\x12\x01\x01\x00", b"\x12\x00", b"\x12\x02\x01\x01a\x01\x00", b"\x12\x01\x02\x00", b"\x0e\x01\x00"]
        fixed += [b"\x12\x01\x02" + listpack(), b"\x12\x02\x02" + listpack() + b"\x01\x01a", b"\x04\x00", b"\x00\x01ab"]
        fixed += [
            b"\x10" + listpack(b"a", 1, b"a", 2),
            b"\x11" + listpack(b"a", 1, b"a", 2),
            b"\x0d" + ziplist(b"a", b"1", b"a", b"2"),
        ]
        fixed += [
            b"\x0b" + text(struct.pack("<IIHH", 2, 2, 6, 5)),
            b"\x0b" + text(struct.pack("<II", 2, 0)),
            b"\x01\x01\x00",
        ]
        fixed += [value[:1] + value[3:] for name, value in {**MENDED, **REFUSED}.items() if name != "a key twice"]
        taken = 0
        for number in range(len(fixed) + MUTATIONS):
            if number < len(fixed):
                value = fixed[number]
            else:
                value = bytearray(rng.choice(sound))
                for _ in range(rng.choice([1, 1, 2])):
                    value[rng.randrange(1, len(value))] = rng.randrange(256)
            payload = bytes(value) + struct.pack("<H", 10)
            payload += struct.pack("<Q", crc64(payload))
            expected = oracle.call("RESTORE", "k", 0, payload, "REPLACE")
            got = swiftlet.call("RESTORE", "k", 0, payload, "REPLACE")
            assert got == expected or got.startswith(b"-ERR Bad data") and number >= len(fixed), value.hex()
            if got == b"+OK\r\n":
                taken += 1
                assert swiftlet.call("DEBUG", "DIGEST-VALUE", "k") == oracle.call("DEBUG", "DIGEST-VALUE", "k"), (
                    value.hex()
                )
        assert taken > 20
    finally:
        redis.stop()


@pytest.mark.parametrize("verb", ["to-sqlite", "to-rdb"])
def test_force_replaces_regular_files_only(verb, tmp_path):
    source = CORPUS / "encodings.rdb"
    if verb == "to-rdb":
        assert migrate(source, tmp_path / "source.sqlite").returncode == 0
        source = tmp_path / "source.sqlite"

    def run(target):
        command = [migrate_binary(), verb, "--force", source, target]
        return subprocess.run(command, capture_output=True, text=True, timeout=30)

    fifo, null, folder = tmp_path / "fifo", tmp_path / "null", tmp_path / "folder"
    os.mkfifo(fifo)
    null.symlink_to("/dev/null")
    folder.mkdir()
    to_fifo = tmp_path / "to fifo"
    to_fifo.symlink_to(fifo)
    for target in (fifo, null, folder, to_fifo):
        found = run(target)
        assert found.returncode == 1 and "no regular file" in found.stderr, found.stderr
    assert stat.S_ISFIFO(os.lstat(fifo).st_mode) and null.is_symlink() and to_fifo.is_symlink() and folder.is_dir()
    # A link to a file stays a link.
    (tmp_path / "file").write_text("old")
    link = tmp_path / "link"
    link.symlink_to("file")
    assert run(link).returncode == 0
    assert link.is_symlink() and (tmp_path / "file").stat().st_size > 100
    assert not [name for name in os.listdir(tmp_path) if "porting" in name]


def test_an_rdb_file_does_not_replace_a_snapshot(tmp_path):
    snapshot = tmp_path / "a.sqlite"
    assert migrate(CORPUS / "encodings.rdb", snapshot).returncode == 0
    before = snapshot.read_bytes()
    run = subprocess.run([migrate_binary(), "to-rdb", "--force", snapshot, snapshot], capture_output=True, text=True)
    assert run.returncode == 1 and "is a database" in run.stderr and snapshot.read_bytes() == before


def test_nothing_is_put_beside_a_server_that_runs(tmp_path):
    server, connection = started(tmp_path)
    connection.call("SET", "k", "v")
    connection.call("SAVE")
    for target in ("dump.sqlite", "other.sqlite"):
        run = migrate("--force", CORPUS / "encodings.rdb", tmp_path / target)
        assert run.returncode == 1 and "a server runs in this directory" in run.stderr
    assert connection.call("SAVE") == b"+OK\r\n"
    ended(server)
    assert migrate("--force", CORPUS / "encodings.rdb", tmp_path / "other.sqlite").returncode == 0


def test_leftovers_of_killed_imports_go(tmp_path):
    def leave():
        process = subprocess.Popen(["true"])
        process.wait()
        for name in ("dump.sqlite.importing", "dump.rdb.exporting"):
            for suffix in ("", "-wal", "-shm", "-journal"):
                (tmp_path / f"{name}.{process.pid}{suffix}").write_text("left")
        (tmp_path / "dump.sqlite.importing.mine").write_text("no number")

    leave()
    server, _ = started(tmp_path)
    ended(server)
    assert [name for name in os.listdir(tmp_path) if "porting" in name] == ["dump.sqlite.importing.mine"]
    leave()
    for name in ("dump.sqlite", "dump.rdb"):
        (tmp_path / name).unlink(missing_ok=True)
    assert migrate(CORPUS / "encodings.rdb", tmp_path / "dump.sqlite").returncode == 0
    run = subprocess.run([migrate_binary(), "to-rdb", tmp_path / "dump.sqlite", tmp_path / "dump.rdb"])
    assert run.returncode == 0
    assert [name for name in os.listdir(tmp_path) if "porting" in name] == ["dump.sqlite.importing.mine"]


def test_a_killed_import_leaves_nothing_that_counts(tmp_path):
    (tmp_path / "dump.rdb").write_bytes(rdb(*(b"\0" + text(b"key:%d" % i) + text(b"x" * 200) for i in range(60_000))))
    for delay in (0.02, 0.1, 0.2, 0.3):
        process = subprocess.Popen([migrate_binary(), "to-sqlite", tmp_path / "dump.rdb", tmp_path / "dump.sqlite"])
        time.sleep(delay)
        process.kill()
        process.wait()
    (tmp_path / "dump.sqlite").unlink(missing_ok=True)
    server, connection = started(tmp_path)
    assert connection.call("DBSIZE") == b":60000\r\n"
    assert not [name for name in os.listdir(tmp_path) if "importing" in name]
    ended(server)


def test_files_are_called_what_they_are(tmp_path):
    whole = (CORPUS / "encodings.rdb").read_bytes()
    assert migrate(CORPUS / "encodings.rdb", tmp_path / "whole.sqlite").returncode == 0
    snapshot = (tmp_path / "whole.sqlite").read_bytes()

    def run(*arguments):
        found = subprocess.run([migrate_binary(), *map(str, arguments)], capture_output=True, text=True)
        assert found.returncode == 1
        return found.stderr

    for size in (3, 8, 9, 20, 100, len(whole) // 2, len(whole) - 9, len(whole) - 1):
        (tmp_path / "cut.rdb").write_bytes(whole[:size])
        for message in (run("to-sqlite", tmp_path / "cut.rdb", tmp_path / "x"), run("verify", tmp_path / "cut.rdb")):
            assert "ends in the middle of" in message and "incomplete" in message, message
    (tmp_path / "text").write_text("some text that is longer than any header of any file\n" * 100)
    assert "is not an RDB file" in run("to-sqlite", tmp_path / "text", tmp_path / "x")
    assert "no SQLite database" in run("to-rdb", tmp_path / "text", tmp_path / "x")
    assert "is neither an RDB file, a snapshot" in run("verify", tmp_path / "text")
    for size in (50, 5000, len(snapshot) - 4096):
        (tmp_path / "cut.sqlite").write_bytes(snapshot[:size])
        for message in (run("to-rdb", tmp_path / "cut.sqlite", tmp_path / "x"), run("verify", tmp_path / "cut.sqlite")):
            assert "incomplete" in message, message
        data = tmp_path / f"data {size}"
        data.mkdir()
        (data / "dump.sqlite").write_bytes(snapshot[:size])
        with pytest.raises(Refused, match="incomplete"):
            started(data)
    other = tmp_path / "other"
    other.mkdir()
    (other / "dump.sqlite").write_bytes((tmp_path / "text").read_bytes())
    with pytest.raises(Refused, match="no SQLite database"):
        started(other)


def test_a_file_of_valkey_9(tmp_path):
    """Hashes whose fields expire, in Valkey's own form; what is newer still is named."""
    far = 4_000_000_000_000
    pairs = b"\x01a\x011" + struct.pack("<q", far) + b"\x01b\x012" + struct.pack("<q", -1)
    note = b"\xfa\x0avalkey-ver\x059.0.1"
    importing = b"\xf3\x03job\x01\x00\x05"
    content = b"VALKEY080" + note + importing + b"\xfe\0" + b"\x16\x01h\x02" + pairs + KEPT + b"\xff" + b"\0" * 8
    (tmp_path / "dump.rdb").write_bytes(content)
    server, connection = started(tmp_path)
    assert connection.call("HPEXPIRETIME", "h", "FIELDS", 2, "a", "b") == b"*2\r\n:%d\r\n:-1\r\n" % far
    assert bulk(connection.call("GET", "kept")) == b"x" and integer(connection.call("DBSIZE")) == 2
    ended(server)
    (tmp_path / "new.rdb").write_bytes(b"VALKEY099" + note + b"\xfe\0\x63\x01k")
    run = migrate(tmp_path / "new.rdb", tmp_path / "new.sqlite")
    assert run.returncode == 1 and "Valkey 9.0.1" in run.stderr and "Valkey 99" in run.stderr, run.stderr
    (tmp_path / "new.rdb").write_bytes(rdb(KEPT, b"\x1a\x01s", version=b"REDIS0013"))
    run = migrate(tmp_path / "new.rdb", tmp_path / "new.sqlite")
    assert run.returncode == 1 and "RDB version 13" in run.stderr
    (tmp_path / "new.rdb").write_bytes(rdb(KEPT, version=b"REDIS0013"))
    assert migrate(tmp_path / "new.rdb", tmp_path / "new.sqlite").returncode == 0
