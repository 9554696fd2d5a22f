"""The propagation stream's offset in a snapshot: bytes of commands and of SELECT, and of nothing that the log adds."""

import sqlite3

import pytest

from life import Life
from resp import encode

SELECT = len(encode(["SELECT", "0"]))


@pytest.fixture
def life(tmp_path):
    directory = tmp_path / "data"
    directory.mkdir()
    found = Life(directory)
    yield found.start()
    found.kill()


def offset(life):
    life.call("SAVE")
    with sqlite3.connect(f"file:{life.directory}/dump.sqlite?mode=ro", uri=True) as snapshot:
        return int(snapshot.execute("SELECT value FROM meta WHERE name = 'replication_offset'").fetchone()[0])


def write(life, count):
    """Each command in a turn of its own, so that the log checks each."""
    commands = [["SET", "key", f"value {i}"] for i in range(count)]
    for command in commands:
        life.call(*command)
    return sum(len(encode(command)) for command in commands)


def test_offset_counts_commands(life):
    begin = offset(life)
    assert offset(life) == begin
    length = write(life, 5)
    assert offset(life) == begin + SELECT + length


def test_recovery_continues_the_offset(life):
    begin = offset(life)
    length = SELECT + write(life, 5)
    life.restart()
    assert offset(life) == begin + length
