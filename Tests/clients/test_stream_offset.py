"""The stream of changes goes on over a restart where it stood: its id and offset are in the snapshot, and what the log
holds beyond that is added. The id stays after a clean stop; after any other end it becomes the second one."""

import pathlib
import re
import sqlite3

import pytest

from life import Life

# The log's own records: a segment's header with its SELECT, the check behind each batch, and the history's name.
HEADER = re.compile(rb"\*2\r\n\$4\r\nECHO\r\n\$90\r\nswiftlet:s:[^\r]*\r\n\*2\r\n\$6\r\nSELECT\r\n\$1\r\n0\r\n")
CHECK = re.compile(rb"\*2\r\n\$4\r\nECHO\r\n\$19\r\nswiftlet:b:[0-9a-f]{8}\r\n")
HISTORY = re.compile(rb"\*2\r\n\$4\r\nECHO\r\n\$\d+\r\nswiftlet:h:[^\r]*\r\n")


@pytest.fixture
def life(tmp_path):
    life = Life(tmp_path)
    yield life
    life.kill()


def meta(life):
    rows = all_meta(life)
    return rows["replication_id"], int(rows["replication_offset"])


def second(life):
    rows = all_meta(life)
    return rows["second_replication_id"], int(rows["second_replication_offset"])


def all_meta(life):
    with sqlite3.connect(f"file:{life.directory}/dump.sqlite?mode=ro", uri=True) as connection:
        return dict(connection.execute("SELECT name, value FROM meta"))


def logged(life):
    """Bytes of what was propagated since the last checkpoint."""
    files = sorted(pathlib.Path(life.directory).glob("appendonly.aof.*"))
    return sum(len(HISTORY.sub(b"", CHECK.sub(b"", HEADER.sub(b"", path.read_bytes())))) for path in files)


def write(life):
    for i in range(50):
        life.call("SET", f"key:{i}", "value")
        life.call("RPUSH", "list", str(i))
    life.call("MULTI")
    life.call("INCR", "counter")
    life.call("EXPIRE", "counter", "1000")
    life.call("EXEC")
    life.call("SELECT", "3")
    life.call("SET", "elsewhere", "1")
    life.call("SELECT", "0")


def test_offset_after_a_clean_stop_is_the_one_before(life):
    life.start()
    write(life)
    life.call("SAVE")
    write(life)
    server = life.server
    connection = life.connection
    connection.send("SHUTDOWN")
    assert server.process.wait(20) == 0
    before = meta(life)
    assert before[1] > 0
    life.restart()
    life.call("SAVE")
    assert meta(life) == before and second(life) == ("", 0)
    write(life)
    life.call("SAVE")
    assert meta(life)[0] == before[0] and meta(life)[1] > before[1]


def test_offset_after_a_kill_is_what_the_log_holds(life):
    life.start()
    write(life)
    life.call("SAVE")
    before = meta(life)
    for _ in range(2):
        write(life)
        life.kill()
        held = logged(life)
        assert held > 0
        life.start()
        life.call("SAVE")
        assert meta(life)[1] == before[1] + held and meta(life)[0] != before[0]
        assert second(life) == (before[0], before[1] + held)
        before = meta(life)


def test_a_stop_that_saves_nothing_is_clean_where_the_log_has_it_all(life):
    life.start()
    write(life)
    life.call("SAVE")
    write(life)
    before, held = meta(life), logged(life)
    life.connection.send("SHUTDOWN", "NOSAVE")
    assert life.server.process.wait(20) == 0
    life.restart()
    life.call("SAVE")
    assert meta(life) == (before[0], before[1] + held)
