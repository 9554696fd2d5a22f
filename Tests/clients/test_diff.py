"""redis-migrate diff: what was changed is what is listed, for any two files."""

import base64
import gzip
import json
import random
import subprocess

import pytest

from data import FAR, fill, mixed_requests
from migrate import migrate_binary, tool
from oracle import start_redis
from seed import new_seed


def saved(connection, directory, name):
    assert connection.call("SAVE") == b"+OK\r\n"
    return (directory / "dump.rdb").rename(directory / name)


CHANGES = [
    # A command, and what is to be listed of the key: (change, kind, name, old, new).
    (("SET", "int", "12346"), [("value", "", "12345", "12346")]),
    (("HSET", "hash small", "f1", "new"), [("field", "f1", "1000", "new")]),
    (("HDEL", "hash middle", "f7"), [("field", "f7", "7000", None)]),
    (("HSET", "hash large", "added", "x"), [("field", "added", None, "x")]),
    (("SADD", "set small", "one more"), [("member", "one more", None, "")]),
    (("SREM", "integers small", "-9"), [("member", "-9", "", None)]),
    (("ZADD", "zset small", "7.25", "1000"), [("score of member", "1000", "0.25", "7.25")]),
    (("RPUSH", "list small", "tail"), [("item", "4", None, "tail")]),
    (("LPOP", "list middle"), [("item", "0", "word 0", None)]),
    (("LSET", "list large", "500", "middle"), [("item", "500", "500000", "middle")]),
    (("XDEL", "stream", "5-1"), [("entry", "5-1", '"f" "4" "g" "word 4"', None)]),
    (("XGROUP", "SETID", "stream", "unread", "7-0"), None),
    (("PEXPIREAT", "raw", FAR), []),
]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two RDB files, each of CHANGES between them, a key removed, one added and one of another type."""
    directory = tmp_path_factory.mktemp("made")
    redis = start_redis("--dir", str(directory))
    try:
        connection = redis.connect()
        fill(connection.call)
        connection.call("RPUSH", "queue", *(f"job {i}" for i in range(500)))
        connection.call("RPUSH", "stack", *(f"job {i}" for i in range(500)))
        connection.call("SET", "other type", "x")
        before = saved(connection, directory, "before.rdb")
        for command, _ in CHANGES:
            assert connection.call(*command)[:1] != b"-", command
        connection.pipeline([("LPOP", "queue")] * 3 + [("RPUSH", "queue", "job 500", "job 501")])
        connection.pipeline([("RPOP", "stack")] * 2 + [("LPUSH", "stack", "job -1", "job -2")])
        connection.call("DEL", "other type")
        connection.call("SADD", "other type", "y")
        connection.call("DEL", "negative")
        connection.call("SELECT", 2)
        connection.call("SET", b"\xff\x00", "binary")
        after = saved(connection, directory, "after.rdb")
    finally:
        redis.stop()
    return before, after


def listed(*arguments, code=2):
    run = tool("diff", "--json", "--elements", 0, "--limit", 0, *arguments)
    assert run.returncode == code, run.stdout + run.stderr
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    keys = {(row["db"], row["key"]): row for row in lines[:-1]}
    assert len(keys) == len(lines) - 1
    return keys, lines[-1]["summary"]


def in_bytes(text):
    return base64.b64decode(text[4:]) if text.startswith("b64:") else text.encode()


def parts(row):
    return [(p["kind"], p["name"], p.get("old"), p.get("new")) for p in row["parts"]]


def check(keys, summary):
    for command, expected in CHANGES:
        row = keys.pop((0, command[1] if command[0] != "XGROUP" else "stream"), None)
        if command[0] == "XGROUP":
            continue
        assert row and row["change"] == "changed", command
        if command[1] == "stream":
            assert expected[0] in parts(row)
            group = next(p for p in row["parts"] if p["kind"] == "group")
            assert group["name"] == "unread" and "7-0" in group["new"] and "7-0" not in group["old"]
        else:
            assert parts(row) == expected, command
            if command[0] == "PEXPIREAT":
                assert row["new"]["expires_ms"] == FAR and "expires_ms" not in row["old"]
    assert parts(keys.pop((0, "queue"))) == [("item", str(i), f"job {i}", None) for i in range(3)] + [
        ("item", str(497 + i), None, f"job {500 + i}") for i in range(2)
    ]
    assert parts(keys.pop((0, "stack"))) == [("item", str(498 + i), f"job {498 + i}", None) for i in range(2)] + [
        ("item", str(i), None, f"job {i - 2}") for i in range(2)
    ]
    changed = keys.pop((0, "other type"))
    assert changed["old"]["type"] == "string" and changed["new"]["type"] == "set" and "parts" not in changed
    assert keys.pop((0, "negative"))["change"] == "removed"
    added = keys.pop((2, "b64:/wA="))
    assert added["change"] == "added" and added["new"] == {"type": "string", "size": 6}
    assert not keys
    assert (summary["added"], summary["removed"], summary["changed"]) == (1, 1, len(CHANGES) - 1 + 3)
    assert not summary["equal"]


def test_what_was_changed_is_listed(pair):
    check(*listed(*pair))


def test_any_two_formats(pair, tmp_path):
    paths = []
    for i, path in enumerate(pair):
        paths.append(tmp_path / f"{i}.sqlite")
        assert tool("to-sqlite", path, paths[-1]).returncode == 0
    check(*listed(pair[0], paths[1]))
    check(*listed(*paths))
    for a, b in [(pair[0], paths[0]), (paths[1], pair[1])]:
        keys, summary = listed(a, b, code=0)
        assert not keys and summary["equal"] and summary["keys_equal"] > 20


def test_packed_and_piped(pair, tmp_path):
    packed = tmp_path / "before.rdb.gz"
    packed.write_bytes(gzip.compress(pair[0].read_bytes()))
    with open(pair[1], "rb") as piped:
        run = subprocess.run([migrate_binary(), "diff", packed, "-"], stdin=piped, capture_output=True, text=True)
    plain = tool("diff", *pair)
    assert (run.returncode, run.stdout, run.stderr) == (2, plain.stdout, "")
    for verb in ("verify", "stats"):
        assert tool(verb, packed).stdout.splitlines()[1:] == tool(verb, pair[0]).stdout.splitlines()[1:]


def test_filters(pair):
    keys, summary = listed(*pair, "--prefix", "hash", "--not-match", "*large")
    assert {key for _, key in keys} == {"hash small", "hash middle"} and summary["changed"] == 2
    keys, summary = listed(*pair, "--type", "zset", "--not-prefix", "zset small", code=0)
    assert not keys and summary["keys_equal"] == 4


def test_there_and_back_mirror_each_other(pair):
    there, back = listed(*pair)[0], listed(*reversed(pair))[0]
    assert there.keys() == back.keys()
    swapped = {"added": "removed", "removed": "added", "changed": "changed"}
    for key, row in there.items():
        other = back[key]
        assert other["change"] == swapped[row["change"]] and row.get("old") == other.get("new")
        if "parts" in row:
            assert sorted(parts(row), key=str) == sorted(((k, n, new, old) for k, n, old, new in parts(other)), key=str)


def test_text(pair):
    run = tool("diff", *pair)
    assert run.returncode == 2
    assert '~ hash "hash small"\n    ~ field "f1": "1000" -> "new"\n' in run.stdout
    assert '- string "negative" (2 bytes)\n' in run.stdout
    assert '+ string "\\xff\\x00" in db 2 (6 bytes)\n' in run.stdout
    assert '~ set "other type": type string -> set' in run.stdout
    assert run.stdout.splitlines()[-1].startswith("different: ")
    run = tool("diff", *pair, "--limit", 2)
    assert run.stdout.count("\n~ ") + run.stdout.count("\n- ") + run.stdout.count("\n+ ") + 1 == 2
    assert "more keys" in run.stdout
    run = tool("diff", *pair, "--summary")
    assert run.returncode == 2 and len(run.stdout.splitlines()) < 8 and "hash small" not in run.stdout
    run = tool("diff", pair[0], pair[0])
    assert run.returncode == 0 and run.stdout.startswith("equal: ") and len(run.stdout.splitlines()) == 1


@pytest.mark.parametrize("number", range(3))
def test_generated_changes(number, tmp_path):
    """Random data, changed at random: diff says equal exactly where verify does, and lists the keys that were touched."""
    rng = random.Random(new_seed(number))
    redis = start_redis("--dir", str(tmp_path))
    try:
        connection = redis.connect()
        requests = list(mixed_requests(rng, 300))
        connection.pipeline(requests)
        before = saved(connection, tmp_path, "before.rdb")
        keys = sorted({r[1] if isinstance(r[1], bytes) else r[1].encode() for r in requests})
        touched = rng.sample(keys, 20)
        for i, key in enumerate(touched):
            if i % 2:
                connection.call("DEL", key)
            else:
                connection.call("PEXPIREAT", key, FAR * 2 + i)
        after = saved(connection, tmp_path, "after.rdb")
    finally:
        redis.stop()
    found, summary = listed(before, after)
    assert {in_bytes(row["key"]) for row in found.values()} == set(touched)
    assert summary["removed"] == 10 and summary["changed"] == 10 and summary["keys_equal"] == len(keys) - 20


def test_a_damaged_file_is_refused(pair, tmp_path):
    damaged = bytearray(pair[0].read_bytes())
    del damaged[-200:]
    (tmp_path / "cut.rdb").write_bytes(damaged)
    for files in [(pair[0], tmp_path / "cut.rdb"), (tmp_path / "cut.rdb", pair[0])]:
        run = tool("diff", *files)
        assert run.returncode == 1 and "offset" in run.stderr and "cut.rdb" in run.stderr
