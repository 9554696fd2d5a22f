"""SQL over the wire: answers in each form, parameters, limits, who may ask, and clients that go. What must be refused or cut is
tried by test_sql_hostile.py."""

import csv
import io
import json
import os
import pathlib
import re
import sqlite3
import subprocess

import pytest

from oracle import start_swiftlet
from resp import bulk, decoded, integer
from waiting import wait_until

ENDLESS = "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t) SELECT count(*) FROM t"
ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def shared():
    server = start_swiftlet()
    connection = server.connect()
    connection.call("SET", "greeting", 'He said "hi",\nand left')
    connection.call("SET", b"\xff\x01", b"\x00\xfe")
    connection.call("SET", "empty", "")
    connection.call("HSET", "user:7", "name", "Ännchen", "city", "Köln")
    connection.call("ZADD", "scores", "1.5", "ann", "2", "bob", "inf", "max")
    connection.call("RPUSH", "list", *range(20))
    assert connection.call("SAVE") == b"+OK\r\n"
    yield server
    server.stop()


@pytest.fixture
def connection(shared):
    connection = shared.connect()
    yield connection
    connection.close()


def path(server):
    return os.path.join(server.directory, "dump.sqlite")


def test_rows_in_resp2_and_resp3(connection):
    sql = "SELECT 1 AS i, 0.5 AS r, 'x' AS t, x'ff' AS b, NULL AS n UNION ALL SELECT 2, 1e300, '', x'', 'y'"
    assert connection.call("SQL", sql) == (
        b"*3\r\n*5\r\n$1\r\ni\r\n$1\r\nr\r\n$1\r\nt\r\n$1\r\nb\r\n$1\r\nn\r\n"
        b"*5\r\n:1\r\n$3\r\n0.5\r\n$1\r\nx\r\n$1\r\n\xff\r\n$-1\r\n"
        b"*5\r\n:2\r\n$23\r\n1.0000000000000001e+300\r\n$0\r\n\r\n$0\r\n\r\n$1\r\ny\r\n"
    )
    connection.call("HELLO", 3)
    assert connection.call("SQL", sql) == (
        b"*2\r\n%5\r\n$1\r\ni\r\n:1\r\n$1\r\nr\r\n,0.5\r\n$1\r\nt\r\n$1\r\nx\r\n$1\r\nb\r\n$1\r\n\xff\r\n$1\r\nn\r\n_\r\n"
        b"%5\r\n$1\r\ni\r\n:2\r\n$1\r\nr\r\n,1.0000000000000001e+300\r\n$1\r\nt\r\n$0\r\n\r\n$1\r\nb\r\n$0\r\n\r\n"
        b"$1\r\nn\r\n$1\r\ny\r\n"
    )
    assert connection.call("SQL", "SELECT 1 AS a WHERE 0") == b"*0\r\n"
    connection.call("HELLO", 2)
    assert connection.call("SQL", "SELECT 1 AS a WHERE 0") == b"*1\r\n*1\r\n$1\r\na\r\n"


@pytest.mark.parametrize("view", ["keys", "strings", "lists", "hashes", "zsets", "raw_strings", "meta"])
def test_all_forms_have_what_sqlite_reads(shared, connection, view):
    with sqlite3.connect(path(shared)) as other:
        cursor = other.execute(f"SELECT * FROM {view}")
        names, rows = [column[0] for column in cursor.description], cursor.fetchall()

    def text(value):
        return "X'" + value.hex().upper() + "'" if isinstance(value, bytes) else value

    got = json.loads(bulk(connection.call("SQL", "JSON", f"SELECT * FROM {view}")))
    assert got == [dict(zip(names, map(text, row), strict=True)) for row in rows]
    lines = bulk(connection.call("SQL", "CSV", f"SELECT * FROM {view}")).decode()
    assert lines.endswith("\r\n")
    expected = [["" if value is None else str(text(value)) for value in row] for row in rows]
    got = list(csv.reader(io.StringIO(lines, newline="")))
    assert [[field.replace("9.0e+999", "inf") for field in row] for row in got] == [names, *expected]


def test_json_and_csv_are_escaped(connection):
    sql = 'SELECT char(1, 31, 34, 92, 10, 13, 9, 127, 8364, 128578) AS "a""b", char(0) AS z, CAST(x\'ff41\' AS TEXT) AS bad'
    assert json.loads(bulk(connection.call("SQL", "JSON", sql))) == [
        {'a"b': '\x01\x1f"\\\n\r\t\x7f€🙂', "z": "\0", "bad": "\ufffdA"}
    ]
    assert bulk(connection.call("SQL", "CSV", "SELECT 'a\"b' AS q, 'c,d' AS \"c,\", '' AS e, NULL AS n, 1.0 AS r")) == (
        b'q,"c,",e,n,r\r\n"a""b","c,d","",,1.0\r\n'
    )
    assert bulk(connection.call("SQL", "JSON", "SELECT 1 WHERE 0")) == b"[]"


def test_parameters(connection):
    sql = "SELECT value FROM strings WHERE key = ?"
    assert decoded(connection.call("SQL", sql, "greeting"))[-1] == [b'He said "hi",\nand left']
    raw = "SELECT value FROM raw_strings WHERE db = ? AND key = ?"
    assert decoded(connection.call("SQL", raw, 0, b"\xff\x01"))[-1] == [b"\x00\xfe"]
    assert connection.call("SQL", "JSON", "SELECT ?2 || ?1 AS x", "a", "b") == b'$12\r\n[{"x":"ba"}]\r\n'
    assert connection.call("SQL", sql) == b"-ERR SQL: parameters in the statement: 1, values given for them: 0\r\n"
    assert (
        connection.call("SQL", "SELECT 1", 1)
        == b"-ERR SQL: parameters in the statement: 0, values given for them: 1\r\n"
    )


def test_schema_recipes_and_help(connection):
    schema = json.loads(bulk(connection.call("SQL", "JSON", "SCHEMA")))
    assert {"type": "view", "name": "zsets", "columns": "db, key, member, score, expires_at"} in schema
    recipes = json.loads(bulk(connection.call("SQL", "json", "recipes")))
    assert recipes[0].keys() == {"name", "title"}
    for recipe in recipes:
        text = bulk(connection.call("SQL", "RECIPES", recipe["name"])).decode()
        reply = connection.call("SQL", "JSON", "RECIPE", recipe["name"])
        # It attaches another snapshot.
        if recipe["name"] == "compare-snapshots":
            assert reply.startswith(b"-ERR SQL: no such table: older."), reply
            continue
        assert reply == connection.call("SQL", "JSON", text), recipe
        json.loads(bulk(reply))
    assert connection.call("SQL", "RECIPE", "none").startswith(b"-ERR SQL: there is no recipe")
    assert b"RECIPES [<name>]" in connection.call("SQL", "HELP")


def test_a_long_answer_comes_whole(shared, connection):
    """More than the socket takes at once, in pieces, with values longer than a piece."""
    sql = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) "
        "SELECT i, printf('%.*c', i * 3, 'x') AS t FROM n UNION ALL SELECT 0, printf('%.*c', 300000, 'y')"
    )
    rows = sqlite3.connect(":memory:").execute(sql).fetchall()
    connection.send("SQL", sql)
    connection.send("PING")
    expected = [b"i", b"t"] + [x for i, t in rows for x in (i, t.encode())]
    got = decoded(connection.reply())
    assert [x for row in got for x in row] == expected
    assert connection.reply() == b"+PONG\r\n"
    assert json.loads(bulk(connection.call("SQL", "JSON", sql))) == [{"i": i, "t": t} for i, t in rows]
    assert len(bulk(connection.call("SQL", "CSV", sql))) == 5 + sum(len(f"{i},{t}\r\n") for i, t in rows)


def test_limits_are_named(shared, connection):
    long = "SELECT printf('%.*c', 2000, 'x')"
    for setting, value, sql in (
        ("sql-time-limit", 50, ENDLESS),
        ("sql-max-rows", 2, "VALUES (1), (2), (3)"),
        ("sql-max-bytes", 1000, long),
        ("sql-max-memory", "4mb", "SELECT zeroblob(1048577)"),
        ("sql-max-memory", "4mb", "SELECT " + ", ".join(["hex(zeroblob(500000))"] * 9)),
    ):
        before = decoded(connection.call("CONFIG", "GET", setting))[1]
        assert connection.call("CONFIG", "SET", setting, value) == b"+OK\r\n"
        try:
            for form in ((), ("JSON",), ("CSV",)):
                reply = connection.call("SQL", *form, sql)
                assert reply.startswith(b"-ERR SQL: ") and setting.encode() in reply, reply
        finally:
            connection.call("CONFIG", "SET", setting, before)
    assert connection.call("SQL", "CSV", "VALUES (1)") == b"$12\r\ncolumn1\r\n1\r\n\r\n"
    assert connection.call("SQL", "CSV", long)[:1] == b"$"


def test_clients_wait_for_each_other_and_go(shared):
    """One query at a time; whoever goes ends theirs; so many may wait."""
    admin = shared.connect()
    assert admin.call("CONFIG", "SET", "sql-max-waiting", 3, "sql-time-limit", 60000) == b"+OK\r\n"
    clients = [shared.connect() for _ in range(4)]
    try:
        ids = [integer(client.call("CLIENT", "ID")) for client in clients]
        for client in clients:
            client.send("SQL", ENDLESS if client is not clients[3] else "VALUES (7)")
            wait_until(
                lambda client=client: (
                    b" flags=b " in bulk(admin.call("CLIENT", "LIST", "ID", ids[clients.index(client)]))
                )
            )
        assert admin.call("SQL", "VALUES (1)") == (
            b"-ERR SQL: 3 queries wait already (sql-max-waiting): try again later\r\n"
        )
        # What runs, by a command; what waits, and then runs, by its end; and a closed connection.
        assert admin.call("CLIENT", "KILL", "ID", ids[0]) == b":1\r\n"
        clients[1].close()
        clients[2].close()
        assert clients[3].reply() == b"*2\r\n*1\r\n$7\r\ncolumn1\r\n*1\r\n:7\r\n"
    finally:
        admin.call("CONFIG", "SET", "sql-max-waiting", 64, "sql-time-limit", 5000)


def test_transactions_scripts_and_silent_clients(connection):
    assert connection.call("MULTI") == b"+OK\r\n"
    assert connection.call("SQL", "VALUES (1)") == b"-ERR Command not allowed inside a transaction\r\n"
    assert connection.call("EXEC").startswith(b"-EXECABORT")
    reply = connection.call("EVAL", "return redis.call('SQL', 'VALUES (1)')", 0)
    assert reply.startswith(b"-ERR This Redis command is not allowed from script"), reply
    long = "SELECT printf('%.*c', 200000, 'x')"
    connection.send("CLIENT", "REPLY", "SKIP")
    connection.send("SQL", long)
    connection.send("CLIENT", "REPLY", "OFF")
    connection.send("SQL", long)
    connection.send("SQL", "nonsense")
    connection.send("CLIENT", "REPLY", "ON")
    assert connection.reply() == b"+OK\r\n"
    assert connection.call("PING") == b"+PONG\r\n"


def test_users(shared):
    admin = shared.connect()
    denied = b"-NOPERM No permissions to access a key\r\n"
    answer = b"*2\r\n*1\r\n$7\r\ncolumn1\r\n*1\r\n:1\r\n"

    def reply(*rules):
        assert admin.call("ACL", "SETUSER", "ann", "reset", "on", "nopass", *rules) == b"+OK\r\n"
        user = shared.connect()
        assert user.call("AUTH", "ann", "x") == b"+OK\r\n"
        try:
            return user.call("SQL", "VALUES (1)")
        finally:
            user.close()

    assert reply("~*", "+@sql") == answer
    assert reply("%R~*", "+sql") == answer
    assert reply("allkeys", "+@all") == answer
    assert reply("~foo:*", "+@all") == denied
    assert reply("%W~*", "+@all") == denied
    assert reply("~foo:*", "~bar:*", "+sql") == denied
    assert reply("~foo:*", "+@all", "(~* +get)") == denied
    assert reply("~foo:*", "(~* +sql)") == answer
    assert reply("~*", "+@all", "-@sql").startswith(b"-NOPERM User ann has no permissions to run the 'sql' command")
    assert reply("~*", "+@all", "db=0").startswith(b"-NOPERM")
    assert decoded(admin.call("ACL", "CAT", "sql")) == [b"sql"]
    # Rights that are taken while the query is under way.
    assert reply("~*", "+@all") == answer
    user = shared.connect()
    user.call("AUTH", "ann", "x")
    admin.call("CONFIG", "SET", "sql-time-limit", 60000)
    user.send(
        "SQL", "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t) SELECT x FROM t LIMIT 1 OFFSET 3000000"
    )
    wait_until(lambda: b" flags=b " in bulk(admin.call("CLIENT", "LIST")))
    admin.call("ACL", "SETUSER", "ann", "resetkeys", "~foo:*")
    assert user.reply() == denied
    admin.call("CONFIG", "SET", "sql-time-limit", 5000)


def test_the_last_checkpoint_is_seen_whatever_file_it_is_in():
    server = start_swiftlet("--appendonly", "yes")
    try:
        connection = server.connect()
        count = "SELECT count(*) AS n FROM strings"
        for total in (10, 20, 20000, 3):
            if total == 3:
                connection.call("FLUSHALL")
            connection.pipeline([("SET", f"k{i}", i) for i in range(total)])
            assert connection.call("SAVE") == b"+OK\r\n"
            inode = os.stat(path(server)).st_ino
            assert connection.call("SQL", "CSV", count) == b"$%d\r\nn\r\n%d\r\n\r\n" % (5 + len(str(total)), total)
        assert inode
        digest = connection.call("DEBUG", "DIGEST")
        assert connection.call("DEBUG", "RELOAD") == b"+OK\r\n"
        assert connection.call("DEBUG", "DIGEST") == digest
    finally:
        server.stop()


def test_queries_and_checkpoints_do_not_disturb_each_other():
    """Files are replaced and extended while queries run one after the other: none fails, and each sees one checkpoint whole."""
    server = start_swiftlet("--appendonly", "yes")
    try:
        writer, reader = server.connect(), server.connect()
        writer.call("MSET", *sum(([f"k{i}", 0] for i in range(500)), []))
        writer.call("SAVE")
        for generation in range(1, 25):
            if generation % 6 == 0:
                writer.call("FLUSHALL")
            for _ in range(3):
                reader.send("SQL", "CSV", "SELECT count(DISTINCT value) AS n, count(*) AS k FROM strings")
            writer.call("MSET", *sum(([f"k{i}", generation] for i in range(500)), []))
            assert writer.call("SAVE") == b"+OK\r\n"
            for _ in range(3):
                assert bulk(reader.reply()) == b"n,k\r\n1,500\r\n"
        log = pathlib.Path(server.directory, "log").read_text()
        assert "WAL" not in log, log
    finally:
        server.stop()


def test_names_and_moments(start):
    """Renamed, while there is no snapshot, on a replica, and a shutdown in the middle of a query."""
    server = start(
        "--save", "", "--appendonly", "yes", "--repl-diskless-sync-delay", "0", config=b"rename-command SQL question\n"
    )
    connection = server.connect()
    assert connection.call("SQL", "VALUES (1)").startswith(b"-ERR unknown command")
    assert connection.call("SAVE") == b"+OK\r\n"
    assert connection.call("question", "CSV", "VALUES (1)") == b"$12\r\ncolumn1\r\n1\r\n\r\n"
    replica = start("--save", "", "--replicaof", "127.0.0.1", str(server.port))
    other = replica.connect()
    wait_until(lambda: b"master_link_status:up" in other.call("INFO", "replication"))
    assert other.call("SQL", "CSV", "VALUES (1)") == b"$12\r\ncolumn1\r\n1\r\n\r\n"
    other.call("CONFIG", "SET", "sql-time-limit", 100000)
    other.send("SQL", ENDLESS)
    assert replica.end() == 0


EXAMPLE = re.compile(r"```\n(> .*?)```", re.S)


def test_the_examples_of_the_docs(start):
    """docs/sql.md: each line that begins with > is sent as redis-cli would; what follows is the answer, as redis-cli shows it."""
    server = start("--save", "")
    connection = server.connect()
    for line in (
        "HSET user:7 name Ann city Paris", "SET user:7:visits 12", "ZADD scores 120 ann 95.5 bob", "SAVE"
    ):  # fmt: skip
        assert not connection.call(*line.split()).startswith(b"-")
    text = (ROOT / "docs" / "sql.md").read_text()
    parts = [part for example in EXAMPLE.findall(text) for part in re.split(r"^> ", example, flags=re.M)[1:]]
    assert len(parts) >= 4
    for part in parts:
        command, expected = part.split("\n", 1)
        run = subprocess.run(
            ["redis-cli", "-p", str(server.port), "--no-raw"], input=command + "\n", capture_output=True, text=True,
            timeout=30,
        )  # fmt: skip
        assert run.stdout.strip() == expected.strip(), command
