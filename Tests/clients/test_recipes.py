"""Each recipe on data as its programs write them, and the pages that are made of the recipes."""

import contextlib
import json
import sqlite3
import time

import pytest

import recipes
from oracle import ROOT, start_swiftlet
from snapshots import snapshot

NOW = int(time.time())


def sidekiq(name, jid, *args):
    return json.dumps(
        {
            "retry": True,
            "queue": "mails",
            "class": name,
            "args": args,
            "jid": jid,
            "created_at": NOW,
            "enqueued_at": NOW,
        }
    )


def celery(task, identity, args):
    headers = {"lang": "py", "task": task, "id": identity, "argsrepr": args, "retries": 0}
    return {"body": "W1tdLCB7fSwge31d", "content-encoding": "utf-8", "headers": headers, "properties": {}}


# As the clients write them: Sidekiq 6.4, RQ 3.0, Celery 5.7 and BullMQ 5, cut down to what tells one job from another.
DATA = [
    ("ZADD", "scores", 310, "ada", 270.5, "grace", 270.5, "edsger", 12, "alan"),
    ("HSET", "user:7", "name", "Ada", "city", "London"),
    ("HSET", "user:8", "name", "Grace"),
    ("SET", "token:1", "x", "EX", 600),
    ("SET", "token:2", "x" * 50, "EX", 7200),
    ("HSET", "session:old", "user", "ada", "created_at", NOW - 100_000),
    ("HSET", "session:new", "user", "bob", "created_at", NOW - 100),
    # A list of that name need not hold jobs.
    ("RPUSH", "queue:other", "no JSON"),
    ("RPUSH", "queue:mails", sidekiq("Mailer", "j1", "ada@example.org"), sidekiq("Report", "j2")),
    ("ZADD", "schedule", 1_800_000_000.5, sidekiq("Mailer", "j3")),
    ("ZADD", "dead", 1_700_000_000, sidekiq("Mailer", "j4"), 1, "no JSON"),
    ("HSET", "rq:job:r1", "origin", "default", "status", "queued", "description", "mail.send_mail('ada', 'hi')",
     "enqueued_at", "2026-11-27T14:31:33.985681Z", "data", b"x\x9c\xff\x00"),
    ("HSET", "rq:job:r2", "origin", "default", "status", "queued", "description", "report.make()"),
    ("RPUSH", "rq:queue:default", "r1", "r2"),
    ("RPUSH", "celery", json.dumps(celery("mail.send_mail", "c1", "('ada',)")), json.dumps(celery("add", "c2", "(1, 2)"))),
    ("HSET", "unacked", "tag", json.dumps([celery("mail.send_mail", "c3", "('bob',)"), "", "celery"])),
    ("HSET", "bull:mails:1", "name", "send-mail", "data", '{"to":"ada"}', "opts", "{}", "timestamp", 1_790_000_000_123),
    ("HSET", "bull:mails:2", "name", "send-mail", "data", '{"to":"bob"}', "opts", "{}", "timestamp", 1_790_000_001_123),
    ("HSET", "bull:mails:3", "name", "report", "data", "{}", "opts", "{}", "timestamp", 1_790_000_000_123),
    ("HSET", "bull:mails:meta", "opts.maxLenEvents", 10000),
    ("SET", "bull:mails:id", 3),
    ("RPUSH", "bull:mails:wait", 1, 3),
    ("ZADD", "bull:mails:delayed", 7331840000000000, 2),
    ("XADD", "events", "1790000000123-0", "user", 7, "kind", "login"),
    ("XADD", "events", "1790000001123-0", "user", 8, "kind", "login"),
    ("XGROUP", "CREATE", "events", "workers", 0),
    ("XREADGROUP", "GROUP", "workers", "w1", "COUNT", 1, "STREAMS", "events", ">"),
    ("XREADGROUP", "GROUP", "workers", "w2", "COUNT", 1, "STREAMS", "events", ">"),
]  # fmt: skip

ANY = object()


class Row(tuple):
    """Equal to a row whose columns are equal, except where this one has ANY."""

    def __eq__(self, other):
        return len(self) == len(other) and all(a is ANY or a == b for a, b in zip(self, other, strict=True))

    __hash__ = None


EXPECTED = {
    "biggest-keys": lambda rows: (
        {row[0] for row in rows} == {"string", "list", "hash", "zset", "stream"}
        and ("string", "token:2", 50, 57) in rows and max(sum(r[0] == t for r in rows) for t, *_ in rows) == 3
    ),
    "memory-by-prefix": lambda rows: ("token", 2, 2, 65) in [r[:4] for r in rows] and sum(r[4] for r in rows) > 99,
    "keys-without-ttl": lambda rows: len(rows) == 20 and all("token" not in row[1] for row in rows),
    "expiring-soon": [(0, "token:1", "string", ANY, ANY)],
    "leaderboard": [(1, "ada", 310.0), (2, "edsger", 270.5), (2, "grace", 270.5), (4, "alan", 12.0)],
    "hashes-as-table": [("user:7", "Ada", "London"), ("user:8", "Grace", None)],
    "sessions-older-than-a-day": [("session:old", "ada", ANY)],
    "sidekiq-jobs": [
        ("dead", "2023-11-14 22:13:20", "j4", "Mailer", "[]"), ("mails", None, "j1", "Mailer", '["ada@example.org"]'),
        ("schedule", "2027-01-15 08:00:00", "j3", "Mailer", "[]"),
    ],
    "rq-jobs": [("r1", "default", "queued", "mail.send_mail('ada', 'hi')", "2026-11-27T14:31:33.985681Z")],
    "celery-tasks": [
        ("celery", "c1", "mail.send_mail", "('ada',)"), ("unacked", "c3", "mail.send_mail", "('bob',)"),
    ],
    "bullmq-jobs": [
        ("bull:mails:wait", "1", "send-mail", '{"to":"ada"}', "2026-09-21 14:13:20"),
        ("bull:mails:delayed", "2", "send-mail", '{"to":"bob"}', "2026-09-21 14:13:21"),
    ],
    "pending-by-consumer": lambda rows: [row[:4] for row in rows]
    == [("events", "workers", "w1", 1), ("events", "workers", "w2", 1)],
    "stream-field": [("1790000000123-0", "2026-09-21 14:13:20.123", "7")],
    "compare-snapshots": [
        (0, "new", "string", 1, 0), (0, "scores", "zset", 1, 2), (0, "token:1", "string", 0, 1),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def directory():
    server = start_swiftlet()
    try:
        connection = server.connect()
        for command in DATA:
            assert connection.call(*command)[:1] != b"-", command
        assert connection.call("SAVE") == b"+OK\r\n"
        with contextlib.closing(snapshot(server.directory)) as reader:
            reader.execute("VACUUM INTO ?", (f"{server.directory}/older.sqlite",))
        yield server
    finally:
        server.stop()


@pytest.mark.parametrize("recipe", recipes.recipes(), ids=lambda recipe: recipe.name)
def test_a_recipe_answers(directory, recipe):
    assert recipe.title and recipe.sql.endswith(";\n") and sqlite3.complete_statement(recipe.sql)
    with contextlib.closing(snapshot(directory.directory)) as reader:
        if recipe.name == "compare-snapshots":
            connection = directory.connect()
            for command in (
                ("SET", "new", 1),
                ("DEL", "token:1"),
                ("ZADD", "scores", 13, "alan"),
                ("ZREM", "scores", "ada"),
            ):
                connection.call(*command)
            assert connection.call("SAVE") == b"+OK\r\n"
            reader.execute(f"ATTACH 'file:{directory.directory}/older.sqlite?mode=ro' AS older")
        rows = reader.execute(recipe.sql).fetchall()
    expected = EXPECTED[recipe.name]
    if callable(expected):
        assert expected(rows), rows
    else:
        assert [Row(row) for row in expected] == rows


def test_pages_are_made_of_the_recipes():
    """`.venv/bin/python Tests/Support/recipes.py` makes them."""
    assert recipes.PAGE.read_text() == recipes.page()
    assert recipes.METADATA.read_text() == recipes.metadata()
    names = [recipe.name for recipe in recipes.recipes()]
    assert len(set(names)) == len(names) and set(names) == set(EXPECTED)
    assert "recipes.md" in (ROOT / "docs" / "snapshot.md").read_text()
