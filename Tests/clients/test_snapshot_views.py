"""What the views show, how SQLite reads them, and the copy that `redis-migrate index` makes."""

import contextlib
import json
import re
import sqlite3
import subprocess

import pytest

from migrate import migrate_binary
from oracle import ROOT, Server, bulks, seeded, start_swiftlet, swiftlet_binary
from snapshots import OWN_VIEWS, select, snapshot

ELEMENTS = {
    "lists": "value", "lists_reversed": "value", "hashes": "field", "sets": "member", "zsets": "member",
    "streams": "id", "stream_fields": "field",
}  # fmt: skip
# What looks like a literal, or nearly.
WORDS = [
    b"", b"'", b"''", b"'a", b"X", b"X'", b"X'00'", b"x'00'", b"X(", b"X&", b"W~", b"(", b"&", b"'X''00'''", b"\xff",
    b"\x00", b"a\x00b", "X\u2019".encode(), "é'".encode(), b"~", b"Y", b"X'zz", b"plain", b"42", b"4.0", b"NULL",
]  # fmt: skip


@pytest.fixture(scope="module")
def server():
    server = start_swiftlet()
    yield server
    server.stop()


@pytest.fixture
def connection(server):
    connection = server.connect()
    connection.call("FLUSHALL")
    return connection


def save(connection):
    assert connection.call("SAVE") == b"+OK\r\n"


def test_what_is_shown_is_never_ambiguous(server, connection):
    chance = seeded()
    words = set(WORDS) | {bytes(chance.choices(b"X'x(\xff\x00 a", k=chance.randrange(5))) for _ in range(300)}
    for word in words:
        connection.call("SET", b"key:" + word, word)
        connection.call("HSET", "hash", word, word)
        connection.call("RPUSH", "list", word)
        connection.call("SADD", "set", word)
        connection.call("ZADD", "zset", 1, word)
        if word:
            connection.call("SET", word, 1)
    save(connection)

    def meaning(shown):
        """The bytes that a column's text stands for."""
        assert isinstance(shown, str), shown
        if re.match("'|X'", shown):
            shown = sqlite3.connect(":memory:").execute(f"SELECT {shown}").fetchone()[0]
        return shown if isinstance(shown, bytes) else shown.encode()

    for view, column in (
        ("strings WHERE key LIKE 'key:%' OR key LIKE 'X''6B65793A%'", "value"), ("hashes", "field"), ("hashes", "value"),
        ("lists", "value"), ("lists_reversed", "value"), ("sets", "member"), ("zsets", "member"),
    ):  # fmt: skip
        shown = [row[0] for row in select(server.directory, f"SELECT {column} FROM {view}")]
        assert len(set(shown)) == len(shown) == len(words), view
        assert {meaning(text) for text in shown} == words, view
    keys = [row[0] for row in select(server.directory, "SELECT key FROM keys WHERE type = 'string'")]
    assert {meaning(key) for key in keys} == {b"key:" + word for word in words} | words - {b""}
    shown = json.loads(select(server.directory, "SELECT j FROM hashes_json")[0][0])
    assert {meaning(field): meaning(value) for field, value in shown.items()} == {word: word for word in words}


def test_positions_are_exact_where_slots_have_gaps(server, connection):
    """Elements that were removed or inserted in the middle leave and make gaps."""
    chance = seeded()
    connection.call("CONFIG", "SET", "list-max-listpack-size", 5)
    for round in range(60):
        connection.call("RPUSH" if round % 2 else "LPUSH", "list", *[f"{round}:{i}" for i in range(20)])
        length = int(connection.call("LLEN", "list")[1:-2])
        for _ in range(4):
            pivot = bulks(connection.call("LRANGE", "list", at := chance.randrange(length - 5), at))[0]
            connection.call("LINSERT", "list", "BEFORE", pivot, f"in:{chance.random()}")
            connection.call("LREM", "list", 1, pivot)
    connection.call("RPUSH", "other", "a", "b")
    save(connection)
    values = [value.decode() for value in bulks(connection.call("LRANGE", "list", 0, -1))]
    expected = list(enumerate(values))
    assert select(server.directory, "SELECT position, value FROM lists WHERE key = 'list'") == expected
    backwards = [(-1 - at, value) for at, value in enumerate(reversed(values))]
    assert select(server.directory, "SELECT position, value FROM lists_reversed WHERE key = 'list'") == backwards
    slots = select(
        server.directory, "SELECT max(id) - min(id) + 1, count(*) FROM raw_list_items WHERE value LIKE '%:%'"
    )
    assert slots[0][0] > slots[0][1]
    for sql in ("SELECT value FROM lists WHERE db = 0 AND key = 'list' LIMIT 10",
                "SELECT value FROM lists WHERE key = 'list' AND position < 10"):  # fmt: skip
        assert [row[0] for row in select(server.directory, sql)] == values[:10]


def test_views_hold_what_was_written(server, connection):
    connection.call("HSET", "user", "name", "Ada", "n", "007")
    connection.call("SET", "far", 1, "PXAT", 1_900_000_000_123)
    connection.call("XADD", "events", "1790000000123-5", "kind", "X'00'", "raw", "2")
    connection.call("XADD", "events", "1790000000124-0", "kind", b"\xff")
    connection.call("XADD", "events", f"{2**64 - 2}-1", "a", "b")
    save(connection)
    assert json.loads(select(server.directory, "SELECT j FROM hashes_json")[0][0]) == {"name": "Ada", "n": "007"}
    assert select(server.directory, "SELECT j->>'n' FROM hashes_json WHERE key = 'user'") == [("007",)]
    assert select(server.directory, "SELECT id, time, field, value FROM stream_fields") == [
        ("1790000000123-5", "2026-09-21 14:13:20.123", "kind", "'X''00'''"),
        ("1790000000123-5", "2026-09-21 14:13:20.123", "raw", "2"),
        ("1790000000124-0", "2026-09-21 14:13:20.124", None, "X'040000006B696E6401000000FF'"),
        (f"{2**64 - 2}-1", f"{2**64 - 2}", "a", "b"),
    ]  # fmt: skip
    key, at, ttl = select(server.directory, "SELECT key, expires_at, ttl_seconds FROM expiring")[0]
    left = int(connection.call("PTTL", "far")[1:-2])
    assert (key, at) == ("far", "2030-03-17 17:46:40.123") and abs(ttl * 1000 - left) < 5000
    assert select(server.directory, "SELECT prefix, keys, elements FROM prefixes ORDER BY prefix") == [
        ("events", 1, 3), ("far", 1, 1), ("user", 1, 2),
    ]  # fmt: skip
    sizes = select(server.directory, "SELECT key, size, bytes FROM keys WHERE type <> 'stream' ORDER BY key")
    assert sizes == [("far", 1, 4), ("user", 2, 4 + 4 + 3 + 1 + 3)]
    saved, checkpoint, keys, strings, hashes, elements = select(
        server.directory, "SELECT saved_at, checkpoint, keys, strings, hashes, elements FROM info"
    )[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", saved) and checkpoint > 0
    assert (keys, strings, hashes, elements) == (3, 1, 1, 5)


def plan(reader, sql):
    return [row[3] for row in reader.execute(f"EXPLAIN QUERY PLAN {sql}")]


@pytest.mark.parametrize("view", sorted(ELEMENTS))
@pytest.mark.parametrize("condition", ["key = 'k'", "db = 0 AND key = 'k'", "key = 'k' AND {0} = 'x'", "db IN (0, 1)"])
def test_elements_are_never_read_before_their_key(server, connection, view, condition, tmp_path):
    """With or without statistics that say the contrary."""
    connection.call("SET", "key", 1)
    save(connection)
    path = tmp_path / "copy.sqlite"
    with contextlib.closing(snapshot(server.directory)) as reader:
        reader.execute("VACUUM INTO ?", (str(path),))
    sql = f"SELECT * FROM {view} WHERE {condition.format(ELEMENTS[view])}"
    for statistics in (False, True):
        with contextlib.closing(sqlite3.connect(path)) as file:
            if statistics:
                file.execute("ANALYZE")
                owners = "INSERT INTO sqlite_stat1 SELECT name, NULL, '100000000' FROM sqlite_schema WHERE name LIKE 'raw_%s'"
                file.execute(owners)
                file.commit()
        with contextlib.closing(sqlite3.connect(path)) as file:
            steps = [step for step in plan(file, sql) if re.match("(SCAN|SEARCH) [oief]\\b", step)]
            assert steps[0].startswith("SCAN o"), steps
            assert steps[1].endswith("USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"), steps


def index(*arguments):
    return subprocess.run([migrate_binary(), "index", *map(str, arguments)], capture_output=True, text=True, timeout=60)


@pytest.fixture
def copy(server, connection, tmp_path):
    chance = seeded()
    for i in range(300):
        connection.call("SET", f"string:{i}", "x" * chance.randrange(50), *(["EX", 1000 + i] if i % 3 == 0 else []))
        connection.call("HSET", f"hash:{i}", "name", f"Ada {i}", "n", i)
        connection.call("RPUSH", f"list:{i}", "a", "b", b"\xff")
        connection.call("SADD", f"set:{i}", "m", i)
        connection.call("ZADD", f"zset:{i}", i, "z")
        connection.call("XADD", f"stream:{i}", "*", "kind", "login" if i == 7 else "view")
    connection.call("SET", "X'00'", "quoted")
    connection.call("SET", b"\xff", b"\x00binary")
    save(connection)
    return tmp_path / "analysis.sqlite"


def test_a_copy_answers_as_the_snapshot_does(server, connection, copy):
    made = index(f"{server.directory}/dump.sqlite", copy)
    assert made.returncode == 0, made.stderr
    assert re.fullmatch(r".*analysis.sqlite: checkpoint \d+, \d+ bytes, [\d.]+ s\n", made.stdout)
    assert [path.name for path in copy.parent.iterdir() if path.name.startswith("analysis")] == ["analysis.sqlite"]
    assert select(copy.parent, "PRAGMA journal_mode", name=copy.name) == [("delete",)]
    assert select(copy.parent, "PRAGMA integrity_check", name=copy.name) == [("ok",)]
    assert select(copy.parent, "SELECT count(*) > 5 FROM sqlite_stat1", name=copy.name) == [(1,)]
    for view in set(OWN_VIEWS) - {"raw_keys", "expiring"}:
        columns = "db, key, type, size, bytes, expires_at" if view == "keys" else "*"
        sql = f"SELECT {columns} FROM {view} ORDER BY 1, 2, 3"
        assert select(copy.parent, sql, name=copy.name) == select(server.directory, sql), view
    expiring = "SELECT db, key, type, expires_at FROM expiring ORDER BY key"
    assert select(copy.parent, expiring, name=copy.name) == select(server.directory, expiring)


def test_a_copy_finds_keys_by_indexes(server, connection, copy):
    assert index(f"{server.directory}/dump.sqlite", copy, "--full-text").returncode == 0
    with contextlib.closing(snapshot(copy.parent, copy.name)) as reader:
        for view in ("strings", "lists", "lists_reversed", "hashes", "hashes_json", "sets", "zsets", "streams", "keys"):
            steps = plan(reader, f"SELECT * FROM {view} WHERE db = 0 AND key = 'list:7'")
            assert any(re.search(r"SEARCH (o|raw_strings|keys) USING INDEX \w+_by_key", step) for step in steps), (
                view,
                steps,
            )
        for order in ("size", "bytes"):
            steps = plan(reader, f"SELECT key, {order} FROM keys ORDER BY {order} DESC LIMIT 10")
            assert steps == [f"SCAN keys USING INDEX keys_by_{order}"], steps
        found = "SELECT key, element FROM full_text WHERE full_text MATCH 'ada AND 77'"
        assert reader.execute(found).fetchall() == [("hash:77", "name")]
        assert reader.execute("SELECT key FROM full_text WHERE full_text MATCH 'login'").fetchall() == [("stream:7",)]


def test_no_server_starts_on_a_copy(server, connection, copy, tmp_path):
    assert index(f"{server.directory}/dump.sqlite", copy).returncode == 0
    directory = tmp_path / "data"
    directory.mkdir()
    copy.rename(directory / "dump.sqlite")
    try:
        refused = Server(swiftlet_binary(), ("--dir", str(directory)))
        assert refused.process.wait(20) != 0
        text = (ROOT / refused.log.name).read_text()
        refused.stop()
    except RuntimeError as error:
        text = str(error)
    assert "an analysis copy, made by `redis-migrate index`" in text
    verify = subprocess.run(
        [migrate_binary(), "verify", str(directory / "dump.sqlite")], capture_output=True, text=True, timeout=60
    )
    assert verify.returncode == 1 and "analysis copy" in verify.stderr


def test_a_snapshot_with_indexes_is_one_to_start_on(server, connection, copy, tmp_path):
    directory = tmp_path / "data"
    directory.mkdir()
    assert index(f"{server.directory}/dump.sqlite", directory / "dump.sqlite", "--snapshot").returncode == 0
    second = Server(swiftlet_binary(), ("--dir", str(directory), "--appendonly", "yes"))
    try:
        other = second.connect()
        assert other.call("DEBUG", "DIGEST") == connection.call("DEBUG", "DIGEST")
        other.call("SET", "more", 1)
        save(other)
        with contextlib.closing(snapshot(directory)) as reader:
            steps = plan(reader, "SELECT value FROM raw_strings WHERE key = 'more' AND db = 0")
            assert steps == ["SEARCH raw_strings USING INDEX strings_by_key (key=? AND db=?)"]
    finally:
        second.stop()


def test_a_copy_replaces_nothing_but_a_copy(server, connection, copy, tmp_path):
    source = f"{server.directory}/dump.sqlite"
    assert index(source, copy).returncode == 0
    again = index(source, copy)
    assert again.returncode == 1 and "exists already" in again.stderr
    assert index(source, copy, "--force").returncode == 0
    for arguments, words in (
        ((source, source, "--force"), "no analysis copy, which is never replaced"),
        ((copy, tmp_path / "x.sqlite"), "analysis copy"),
        ((tmp_path / "missing.sqlite", tmp_path / "x.sqlite"), "missing.sqlite"),
        ((source, tmp_path / "no" / "x.sqlite"), "x.sqlite"),
    ):
        refused = index(*arguments)
        assert refused.returncode == 1 and words in refused.stderr, (arguments, refused.stderr)
    assert index(source, tmp_path / "x.sqlite", "--snapshot", "--full-text").returncode == 64
    assert [path.name for path in tmp_path.iterdir()] == ["analysis.sqlite"]


def test_view_rules():
    """What schema/sql/views.sql says of itself."""
    text = re.sub("--.*", "", (ROOT / "schema" / "sql" / "views.sql").read_text())
    for words in (r"count\(\*\)", r"\bUNION\b", r"\bGLOB\b", r"[^S] JOIN raw_(?!\w+ \w ON)"):
        assert not re.search(words, text), words
    marked = re.findall("CREATE VIEW (\\w+) AS -- Swiftlet's\n", (ROOT / "schema" / "sql" / "views.sql").read_text())
    assert sorted(marked) == OWN_VIEWS
