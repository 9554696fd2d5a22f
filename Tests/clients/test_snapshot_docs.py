"""The SQL of docs/snapshot.md and docs/recipes.md, as it stands there, on a snapshot of every type."""

import contextlib
import re
import sqlite3
import subprocess

import pytest

from migrate import migrate_binary
from oracle import ROOT, start_swiftlet
from snapshots import OWN_VIEWS, snapshot
from test_recipes import DATA

PAGE = (ROOT / "docs" / "snapshot.md").read_text()
# They belong to the page's examples, beside what recipes have.
MORE = [("RPUSH", "queue", *range(20)), ("SET", b"\xff\x01", "found"), ("XADD", "events", "*", "kind", "login")]


def examples():
    blocks = re.findall("```sql\n(.*?)```", PAGE, re.S)
    return [statement.strip() for block in blocks for statement in re.split(r"(?<=;)\n", block) if statement.strip()]


@pytest.fixture(scope="module")
def files():
    server = start_swiftlet()
    try:
        connection = server.connect()
        for command in [*DATA, *MORE]:
            assert connection.call(*command)[:1] != b"-", command
        assert connection.call("SAVE") == b"+OK\r\n"
        source, copy = f"{server.directory}/dump.sqlite", f"{server.directory}/analysis.sqlite"
        subprocess.run([migrate_binary(), "index", source, copy, "--full-text"], check=True, capture_output=True)
        yield server.directory
    finally:
        server.stop()


def test_there_are_examples():
    assert len(examples()) >= 11


@pytest.mark.parametrize("sql", examples())
def test_an_example_answers(files, sql):
    assert sqlite3.complete_statement(sql)
    for name in ("analysis.sqlite",) if "full_text" in sql else ("dump.sqlite", "analysis.sqlite"):
        with contextlib.closing(snapshot(files, name)) as reader:
            assert reader.execute(sql).fetchall(), name


def test_columns_are_those_of_the_page(files):
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|$", PAGE, re.M))
    with contextlib.closing(snapshot(files)) as reader:
        for view in set(OWN_VIEWS) - {"raw_keys"}:
            columns = [row[1] for row in reader.execute(f"PRAGMA table_info({view})")]
            said = rows[view] if view != "lists_reversed" else rows["lists"]
            assert re.search("`([^`]*)`", said)[1].split(", ") == columns, view
