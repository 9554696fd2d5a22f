"""Who reads the snapshot, at any time: what is there from the start, and that nobody is locked out."""

import contextlib
import shutil
import sqlite3
import subprocess

import pytest

from migrate import migrate, migrate_binary
from replicas import is_synchronised
from snapshots import OWN_VIEWS, Hammer, select, snapshot
from waiting import wait_until

# As version 0.1.0 made them, shortened.
OLD_VIEWS = """
CREATE VIEW strings AS SELECT db, key, value FROM raw_strings;
CREATE VIEW lists AS SELECT key, row_number() OVER (PARTITION BY o.id ORDER BY i.id) - 1 AS position, value
    FROM raw_lists o JOIN raw_list_items i ON i.id BETWEEN o.id << 32 AND o.id << 32 | 4294967295;
CREATE VIEW keys AS SELECT db, key, 'string' AS type FROM raw_strings;
"""


def ready(process):
    """A connection to a server that has loaded."""
    connection = process.connect()
    wait_until(lambda: connection.call("PING") == b"+PONG\r\n")
    return connection


@pytest.mark.parametrize("log", ["yes", "no"])
def test_an_empty_server_has_tables_and_views(start, log):
    server = start("--appendonly", log)
    connection = ready(server)
    for view in OWN_VIEWS:
        rows = select(server.directory, f"SELECT * FROM {view}")
        assert len(rows) == (1 if view == "info" else 0), view
    assert select(server.directory, "SELECT saved_at, checkpoint, keys FROM info") == [(None, 0, 0)]
    assert select(server.directory, "SELECT count(*) FROM raw_strings, functions, meta") == [(0,)]
    # Who looks before the first save sees its checkpoint with the next question.
    with contextlib.closing(snapshot(server.directory)) as reader:
        assert reader.execute("SELECT count(*) FROM keys").fetchone() == (0,)
        connection.call("SET", "key", 1)
        assert connection.call("SAVE") == b"+OK\r\n"
        assert reader.execute("SELECT count(*) FROM keys").fetchone() == (1,)
    # Nothing was ever saved: the next start is as the first.
    again = start("--appendonly", log)
    ready(again)
    again.kill()
    ready(start("--appendonly", log, directory=again.directory))
    assert select(again.directory, "SELECT keys FROM info") == [(0,)]


def test_readers_are_never_locked_out(start):
    """As long as they wait a moment: who opens a file that has just appeared recovers its empty WAL, and SQLite tells others
    meanwhile that it is locked."""
    first = start("--appendonly", "yes", "--save", "", "--enable-debug-command", "yes")
    with Hammer(first.directory):
        connection = ready(first)
        for round in range(4):
            # Odd rounds change most of it, so that a new file takes the old one's place.
            count = 10_000 if round % 2 else 300
            connection.pipeline([("SET", f"key:{i}", f"{round}:{i}") for i in range(count)])
            assert connection.call("SAVE") == b"+OK\r\n"
        assert connection.call("DEBUG", "RELOAD") == b"+OK\r\n"
        assert connection.call("FLUSHALL") == b"+OK\r\n"
        assert connection.call("SAVE") == b"+OK\r\n"
        connection.pipeline([("SET", f"key:{i}", i) for i in range(10_000)])
        assert connection.call("SAVE") == b"+OK\r\n"
        assert first.end() == 0
        again = start("--appendonly", "yes", directory=first.directory)
        connection = ready(again)
        assert connection.call("DBSIZE") == b":10000\r\n"
        replica = start("--appendonly", "yes")
        with Hammer(replica.directory):
            follower = ready(replica)
            follower.call("SET", "of its own", 1)
            follower.call("REPLICAOF", "127.0.0.1", again.port)
            wait_until(lambda: is_synchronised(follower))
            assert follower.call("SAVE") == b"+OK\r\n"
        assert select(replica.directory, "SELECT count(*) FROM keys") == [(10_000,)]


def test_readers_are_not_locked_out_by_an_import(start, tmp_path):
    source = start("--appendonly", "no", "--save", "")
    connection = ready(source)
    connection.pipeline([("SET", f"key:{i}", i) for i in range(10_000)])
    assert connection.call("SAVE") == b"+OK\r\n"
    directory = tmp_path / "imported"
    directory.mkdir()
    rdb = [migrate_binary(), "to-rdb", f"{source.directory}/dump.sqlite", f"{directory}/dump.rdb"]
    assert subprocess.run(rdb, capture_output=True).returncode == 0
    with Hammer(directory):
        connection = ready(start("--appendonly", "yes", directory=directory))
        assert connection.call("DBSIZE") == b":10000\r\n"
        assert connection.call("SAVE") == b"+OK\r\n"


def made_by_an_older_version(directory):
    """A snapshot whose views are those of an older version, with a few things of its user's."""
    with contextlib.closing(sqlite3.connect(f"{directory}/dump.sqlite", isolation_level=None)) as file:
        for (name,) in file.execute("SELECT name FROM sqlite_schema WHERE type = 'view'").fetchall():
            file.execute(f'DROP VIEW "{name}"')
        file.executescript(OLD_VIEWS)
        file.execute("CREATE VIEW mine AS SELECT count(*) AS n FROM keys")
        # A name that the server has come to use since.
        file.execute("CREATE VIEW prefixes AS SELECT 'of the user' AS whose")
        file.execute("CREATE TABLE info(note)")


def test_views_of_an_older_snapshot_become_todays(start):
    server = start("--appendonly", "no")
    connection = ready(server)
    connection.call("SET", "key", "value")
    connection.call("RPUSH", "list", "a", "b")
    assert connection.call("SAVE") == b"+OK\r\n"
    assert server.end() == 0
    today = dict(select(server.directory, "SELECT name, sql FROM sqlite_schema WHERE type = 'view'"))
    assert sorted(today) == OWN_VIEWS
    made_by_an_older_version(server.directory)
    again = start("--appendonly", "no", directory=server.directory)
    connection = ready(again)

    def check():
        views = dict(select(server.directory, "SELECT name, sql FROM sqlite_schema WHERE type = 'view'"))
        assert select(server.directory, "SELECT whose FROM prefixes") == [("of the user",)]
        assert views.pop("mine") and views.pop("prefixes")
        assert views == {name: sql for name, sql in today.items() if name not in ("prefixes", "info")}
        assert select(server.directory, "SELECT n FROM mine") == [(2,)]
        assert select(server.directory, "SELECT key, position, value FROM lists") == [
            ("list", 0, "a"),
            ("list", 1, "b"),
        ]
        assert select(server.directory, "SELECT count(*) FROM info") == [(0,)]

    check()
    # What the user has made stays though all keys are written anew.
    connection.pipeline([("SET", f"key:{i}", i) for i in range(10_000)])
    assert connection.call("SAVE") == b"+OK\r\n"
    connection.pipeline([("DEL", f"key:{i}", i) for i in range(10_000)])
    assert connection.call("SAVE") == b"+OK\r\n"
    check()


def test_an_older_snapshot_that_cannot_be_written_is_loaded(start, tmp_path):
    server = start("--appendonly", "no")
    connection = ready(server)
    connection.call("SET", "key", "value")
    assert connection.call("SAVE") == b"+OK\r\n"
    assert server.end() == 0
    made_by_an_older_version(server.directory)
    shutil.copy(f"{server.directory}/dump.sqlite", tmp_path / "copy.sqlite")
    # Another program writes: older views do, until it has ended.
    with contextlib.closing(sqlite3.connect(f"{server.directory}/dump.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "another program holds the write lock" in start(directory=server.directory).refusal()
        other.execute("ROLLBACK")
    assert ready(start(directory=server.directory)).call("GET", "key") == b"$5\r\nvalue\r\n"
    assert migrate(tmp_path / "copy.sqlite", tmp_path / "none.sqlite").returncode == 1
