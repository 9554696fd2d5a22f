"""The main job: an RDB file becomes a snapshot, Swiftlet starts on it, and keeps the data through SAVE and kill -9.

DEBUG DIGEST, a hash over all keys, values and expiries, is compared with that of redis-server 7.0.15 on the same file.
The corpus is Tests/Fixtures/rdb.
"""

import os
import random
import shutil
import sqlite3
import subprocess

import pytest

from data import CORPUS, FAR, FILES, NEWER, PARTLY_SUPPORTED, REFUSED, SUPPORTED, mixed_requests
from life import Life, loaded
from migrate import migrate
from oracle import start_redis
from resp import bulk, bulks
from seed import new_seed


@pytest.fixture
def life(tmp_path):
    directory = tmp_path / "data"
    directory.mkdir()
    found = Life(directory)
    yield found
    found.kill()


def oracle_digest(rdb, directory):
    """What redis-server says of a file. It gets a copy: a file of the corpus is nobody's to write."""
    directory.mkdir()
    shutil.copy(rdb, directory / "oracle.rdb")
    redis = start_redis("--dir", str(directory), "--dbfilename", "oracle.rdb")
    try:
        connection = loaded(redis)
        return connection.call("DEBUG", "DIGEST")
    finally:
        redis.stop()


def write_all_types(life, prefix):
    life.call("SET", f"{prefix}:string", "value", "PXAT", FAR)
    life.call("SET", f"{prefix}:binary", bytes(range(256)))
    life.call("INCRBY", f"{prefix}:number", 41)
    life.call("RPUSH", f"{prefix}:list", "a", "b", "", "x" * 9000)
    life.call("HSET", f"{prefix}:hash", "f", "v", "g", b"\xff\x00")
    life.call("SADD", f"{prefix}:set", "a", "b", 17)
    life.call("SADD", f"{prefix}:integers", 1, -5, 1 << 40)
    life.call("ZADD", f"{prefix}:zset", "1.5", "a", "-inf", "b", "-0.0", "c")
    life.call("PEXPIREAT", f"{prefix}:zset", FAR + 1)


def overwrite_all_types(life, prefix):
    """Changes, removals and changes of type in keys that a snapshot holds."""
    life.call("APPEND", f"{prefix}:string", "+")
    life.call("INCR", f"{prefix}:number")
    life.call("LPOP", f"{prefix}:list")
    life.call("LPUSH", f"{prefix}:list", "front")
    life.call("HDEL", f"{prefix}:hash", "f")
    life.call("HSET", f"{prefix}:hash", "h", "new")
    life.call("SREM", f"{prefix}:set", "a")
    life.call("SADD", f"{prefix}:integers", "no integer")
    life.call("ZINCRBY", f"{prefix}:zset", "0.25", "a")
    life.call("PERSIST", f"{prefix}:zset")
    life.call("DEL", f"{prefix}:binary")
    life.call("LPUSH", f"{prefix}:binary", "a list now")


def save_write_kill_restart(life):
    """The second half of each test here: the data as before a kill -9, a snapshot and a log at hand."""
    write_all_types(life, "new")
    before = life.digest()
    life.call("SAVE")
    assert life.digest() == before
    overwrite_all_types(life, "new")
    write_all_types(life, "newer")
    before = life.digest()
    life.restart()
    assert life.digest() == before
    # What was replayed comes into the next snapshot.
    life.call("SAVE")
    life.restart()
    assert life.digest() == before


def test_corpus_is_known():
    missing = [name for name in REFUSED + PARTLY_SUPPORTED + NEWER if name not in FILES]
    assert not missing


@pytest.mark.parametrize("name", SUPPORTED)
def test_file(name, life, tmp_path):
    run = migrate(CORPUS / name, life.directory / "dump.sqlite")
    assert run.returncode == 0, run.stderr
    assert os.listdir(life.directory) == ["dump.sqlite"]
    expected = oracle_digest(CORPUS / name, tmp_path / "oracle")
    life.start()
    assert life.digest() == expected
    save_write_kill_restart(life)


@pytest.mark.parametrize("name", PARTLY_SUPPORTED)
def test_partly_supported_file(name, life):
    output = life.directory / "dump.sqlite"
    run = migrate(CORPUS / name, output)
    assert run.returncode != 0 and "--skip-unsupported" in run.stderr
    assert os.listdir(life.directory) == []
    run = migrate(CORPUS / name, output, "--skip-unsupported")
    assert run.returncode == 0, run.stderr
    life.start()
    save_write_kill_restart(life)


@pytest.mark.parametrize("options", [[], ["--skip-unsupported"]], ids=["plain", "skip-unsupported"])
@pytest.mark.parametrize("name", REFUSED)
def test_refused_file(name, options, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    run = migrate(CORPUS / name, output / "dump.sqlite", *options)
    assert run.returncode > 0, run.stderr
    assert name in run.stderr and "offset" in run.stderr
    assert os.listdir(output) == []


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """An RDB file of 20,000 keys in three databases that redis-server wrote, and its digest."""
    seed = new_seed()
    requests = list(mixed_requests(random.Random(seed), 20_000))
    directory = tmp_path_factory.mktemp("mixed")
    redis = start_redis("--dir", str(directory))
    try:
        connection = redis.connect()
        third = len(requests) // 3 + 1
        for database in range(3):
            connection.call("SELECT", database)
            for at in range(database * third, min((database + 1) * third, len(requests)), 500):
                for reply in connection.pipeline(requests[at : min(at + 500, (database + 1) * third)]):
                    assert reply[:1] != b"-", reply
        assert connection.call("SAVE") == b"+OK\r\n"
        digest = connection.call("DEBUG", "DIGEST")
    finally:
        redis.stop()
    return directory / "dump.rdb", digest


def test_twenty_thousand_keys(mixed, life):
    rdb, digest = mixed
    run = migrate(rdb, life.directory / "dump.sqlite")
    assert run.returncode == 0, run.stderr
    life.start()
    assert life.digest() == digest
    save_write_kill_restart(life)


def test_rdb_is_imported_at_start(mixed, life):
    rdb, digest = mixed
    shutil.copy(rdb, life.directory / "dump.rdb")
    life.start()
    assert life.digest() == digest
    # From now on the snapshot counts, whatever becomes of the RDB file.
    life.restart()
    assert life.digest() == digest
    life.kill()
    assert (life.directory / "dump.sqlite").exists()
    (life.directory / "dump.rdb").unlink(missing_ok=True)
    life.start()
    assert life.digest() == digest
    save_write_kill_restart(life)


def test_damaged_rdb_is_not_imported_at_start(life):
    shutil.copy(CORPUS / "corrupt_ziplist.rdb", life.directory / "dump.rdb")
    # It may listen before it looks at the file.
    with pytest.raises((RuntimeError, OSError)):
        life.start()
    if life.server:
        assert life.server.process.wait(20) > 0
    assert (life.directory / "dump.rdb").read_bytes() == (CORPUS / "corrupt_ziplist.rdb").read_bytes()
    assert not (life.directory / "dump.sqlite").exists()


def query(directory, sql):
    """Lines that the sqlite3 command prints."""
    binary = shutil.which("sqlite3")
    if binary is None:
        pytest.skip("the sqlite3 command is not installed")
    run = subprocess.run(
        [binary, "-readonly", "dump.sqlite", sql], cwd=directory, capture_output=True, text=True, timeout=30
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def test_snapshot_is_readable_while_the_server_runs(life):
    life.start()
    at = 1_924_992_000  # 2031-01-01
    life.call("SET", "greeting", "héllo", "EXAT", at)
    life.call("SET", b"\xff\x01", b"\x00\xfe")
    life.call("RPUSH", "queue", "first", "second")
    life.call("LPUSH", "queue", "zeroth")
    life.call("HSET", "user:1", "name", "Ada", "born", 1815)
    life.call("EXPIREAT", "user:1", at)
    life.call("SADD", "tags", "red")
    life.call("SADD", "numbers", 7)
    life.call("ZADD", "board", 1.5, "ada", 20, "bob")
    life.call("SELECT", 3)
    life.call("SET", "elsewhere", 1)
    life.call("SELECT", 0)
    life.call("SAVE")
    date = "2031-01-01 00:00:00"
    rows = {
        "SELECT * FROM strings ORDER BY db, key": [
            "0|X'FF01'|X'00FE'|", f"0|greeting|héllo|{date}", "3|elsewhere|1|",
        ],
        "SELECT * FROM lists ORDER BY position": ["0|queue|0|zeroth|", "0|queue|1|first|", "0|queue|2|second|"],
        "SELECT * FROM hashes ORDER BY field": [f"0|user:1|born|1815|{date}|", f"0|user:1|name|Ada|{date}|"],
        "SELECT * FROM sets ORDER BY key": ["0|numbers|7|", "0|tags|red|"],
        "SELECT * FROM zsets ORDER BY score": ["0|board|ada|1.5|", "0|board|bob|20.0|"],
        "SELECT * FROM keys ORDER BY db, key": [
            "0|X'FF01'|string|2|4|", "0|board|zset|2|11|", f"0|greeting|string|6|14|{date}", "0|numbers|set|1|8|",
            "0|queue|list|3|22|", "0|tags|set|1|7|", f"0|user:1|hash|2|21|{date}", "3|elsewhere|string|1|10|",
        ],
        "PRAGMA integrity_check": ["ok"],
    }  # fmt: skip
    for sql, expected in rows.items():
        assert query(life.directory, sql) == expected, sql
    # The next snapshot shows what changed, and the server goes on meanwhile.
    life.call("DEL", "greeting", "tags")
    life.call("LPOP", "queue")
    life.call("HSET", "user:1", "name", "Grace")
    life.call("SAVE")
    assert query(life.directory, "SELECT key FROM keys WHERE db = 0 ORDER BY key") == [
        "X'FF01'", "board", "numbers", "queue", "user:1",
    ]  # fmt: skip
    assert query(life.directory, "SELECT value FROM lists ORDER BY position") == ["first", "second"]
    assert query(life.directory, "SELECT value FROM hashes WHERE field = 'name'") == ["Grace"]


def test_a_reader_does_not_stop_snapshots(life):
    life.start()
    life.call("SET", "k", "before")
    life.call("SAVE")
    reader = sqlite3.connect(f"file:{life.directory}/dump.sqlite?mode=ro", uri=True, isolation_level=None)
    try:
        reader.execute("BEGIN")
        assert reader.execute("SELECT value FROM strings").fetchall() == [("before",)]
        life.call("SET", "k", "after")
        life.call("SAVE")
        assert reader.execute("SELECT value FROM strings").fetchall() == [("before",)]
        reader.execute("COMMIT")
        assert reader.execute("SELECT value FROM strings").fetchall() == [("after",)]
    finally:
        reader.close()
    life.restart()
    assert bulk(life.call("GET", "k")) == b"after"
    assert bulks(life.call("KEYS", "*")) == [b"k"]
