"""The statements of Tests/sql over a socket: hostile ones end, at their limits, and random ones write nothing.

Tests/sql/run.py also measures how long others wait meanwhile; `make sql-random` sends a million.
"""

import os
import pathlib
import random
import sys
import time

import pytest

from oracle import start_swiftlet, swiftlet_binary
from seed import new_seed

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "sql"))

import hostile  # noqa: E402
import random_statements  # noqa: E402

TIME_LIMIT = 300
# Of those that are cut; SWIFTLET_HOSTILE=all has all run. What is refused takes no time.
SAMPLE = 12


@pytest.fixture(scope="module")
def server():
    server = start_swiftlet("--sql-time-limit", str(TIME_LIMIT), "--sql-max-memory", "128mb")
    connection = server.connect()
    connection.pipeline([("SET", f"k{i}", "v" * 40) for i in range(2000)])
    assert connection.call("SAVE") == b"+OK\r\n"
    yield server
    server.stop()


def statements(kind):
    chosen = [sql for found, sql in hostile.STATEMENTS if found == kind]
    if kind == "refused" or os.environ.get("SWIFTLET_HOSTILE") == "all":
        return chosen
    return random.Random(new_seed()).sample(chosen, SAMPLE)


@pytest.mark.parametrize("kind", ["refused", "cut", "answered"])
def test_each_statement_ends(server, kind):
    connection, other = server.connect(), server.connect()
    before = random_statements.state(server)
    for sql in statements(kind):
        began = time.monotonic()
        connection.send("SQL", sql)
        assert other.call("GET", "k7") == b"$40\r\n" + b"v" * 40 + b"\r\n"
        reply = connection.reply()
        # What one of before still does counts too.
        assert time.monotonic() - began < 25, sql
        if kind == "answered":
            assert not reply.startswith(b"-") or b"(sql-time-limit)" in reply, (sql, reply)
        else:
            assert reply.startswith(b"-ERR SQL: "), (sql, reply[:200])
    assert random_statements.state(server) == before


def test_random_statements_write_nothing():
    server = random_statements.started(swiftlet_binary() or pytest.skip("swiftlet-server is not built"))
    try:
        random_statements.run(server, new_seed(), 2000)
    finally:
        server.stop()
