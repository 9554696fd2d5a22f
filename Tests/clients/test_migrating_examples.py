"""The examples of docs/migrating.md, of the manual page and of --help, for the verbs that only read: they run as they stand."""

import re
import shlex

import pytest

from data import CORPUS, FAR
from migrate import tool
from oracle import ROOT, start_redis

VERBS = ("verify", "diff", "stats")


def examples():
    texts = [(ROOT / "docs" / "migrating.md").read_text(), (ROOT / "packaging" / "man" / "redis-migrate.1").read_text()]
    texts += [tool(verb, "--help").stdout for verb in VERBS]
    found = []
    for text in texts:
        for line in re.findall(r"^ *redis-migrate ((?:%s) .*)$" % "|".join(VERBS), text, re.M):
            line = line.replace("\\-", "-").split(" > ")[0]
            if "[" not in line and "<" not in line and line not in found:
                found.append(line)
    return found


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("dump.rdb", "a.rdb"):
        (tmp_path / name).write_bytes((CORPUS / "parser_filters.rdb").read_bytes())
    for name in ("yesterday.rdb", "b.rdb"):
        (tmp_path / name).write_bytes((CORPUS / "encodings.rdb").read_bytes())
    assert tool("to-sqlite", "dump.rdb", "dump.sqlite").returncode == 0
    return tmp_path


def test_every_example_runs(files):
    lines = examples()
    assert {line.split()[0] for line in lines} == set(VERBS) and len(lines) >= 8, lines
    for line in lines:
        if "--html" in line and (files / "report.html").exists():
            (files / "report.html").unlink()
        run = tool(*shlex.split(line))
        expected = 2 if line.startswith("diff") else 0
        assert run.returncode == expected and run.stderr == "", (line, run)
        if line.startswith("verify") and len(line.split()) == 3:
            assert run.stdout.endswith("equal\n")


def test_the_listing_of_diff(tmp_path):
    """What docs/migrating.md shows is what these changes give."""
    redis = start_redis("--dir", str(tmp_path))
    try:
        connection = redis.connect()
        connection.pipeline([("SET", "config", "x"), ("SET", "same", "1"), ("SET", "user:8", "hello")])
        connection.call("HSET", "user:7", "visits", "7", "name", "Ada")
        connection.call("SAVE")
        (tmp_path / "dump.rdb").rename(tmp_path / "before.rdb")
        connection.pipeline([("PEXPIREAT", "config", FAR), ("DEL", "user:8")])
        connection.call("HSET", "user:7", "visits", "8", "city", "Bern")
        connection.call("SAVE")
    finally:
        redis.stop()
    run = tool("diff", tmp_path / "before.rdb", tmp_path / "dump.rdb")
    assert run.returncode == 2 and "```\n" + run.stdout + "```\n" in (ROOT / "docs" / "migrating.md").read_text(), (
        run.stdout
    )
