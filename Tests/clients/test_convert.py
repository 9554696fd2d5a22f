"""redis-migrate's convert, and what to-sqlite and to-rdb share with it: forms, pipes, packing, filters.

Tests/migrate/peers.py loads what is written into servers of other versions.
"""

import gzip
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time

import pytest

from data import CORPUS, FAR, fill
from life import loaded
from migrate import migrate_binary
from oracle import ROOT, start_redis

# All types and encodings, groups with pending entries, fields that expire, a library.
RDB = CORPUS / "small_v12.rdb"
FORMS = ["rdb", "sqlite", "jsonl", "csv"]


def tool(*arguments, stdin=None, expect=0, cwd=None):
    run = subprocess.run(
        [migrate_binary(), *map(str, arguments)], input=stdin, capture_output=True, timeout=120, cwd=cwd
    )
    assert run.returncode == expect, (arguments, run.returncode, run.stdout[:500], run.stderr.decode()[:500])
    return run


def convert(*arguments, **more):
    return tool("convert", *arguments, "--keep-expired", **more)


def rows(path, *options):
    """The JSON lines of a file's keys, by database and key."""
    lines = convert(path, "-", "--to", "json", *options).stdout.splitlines()
    found = [json.loads(line) for line in lines]
    return {(row["db"], row["key"]): row for row in found if row["type"] != "function"}


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    path = tmp_path_factory.mktemp("convert") / "dump.sqlite"
    convert(RDB, path)
    return path


@pytest.mark.parametrize("first", FORMS)
@pytest.mark.parametrize("second", FORMS)
def test_any_two_forms(first, second, tmp_path):
    """To one form, to another and back: nothing is lost, groups, fields' expiries and functions included."""
    if first == second:
        pytest.skip("one form")
    one, two, back = tmp_path / f"one.{first}", tmp_path / f"two.{second}", tmp_path / "back.rdb"
    convert(RDB, one, "--for", "redis-7.4")
    convert(one, two, "--for", "redis-7.4")
    convert(two, back, "--for", "valkey-9")
    assert back.read_bytes().startswith(b"VALKEY080")
    assert b"equal" in tool("verify", RDB, back, "--keep-expired").stdout


@pytest.mark.parametrize("form", ["one.aof", "one.resp", "log/", "with-preamble.aof"])
def test_commands(form, snapshot, tmp_path):
    """Commands rebuild all but the times at which consumers were seen."""
    options = ["--to", "aof-preamble"] if "preamble" in form else []
    log, back = tmp_path / form, tmp_path / "back.rdb"
    convert(snapshot, f"{tmp_path}/{form}", *options, "--for", "redis-7.4")
    convert(log, back, "--for", "redis-7.4", "--from", "aof")
    said = tool(
        "verify", snapshot, back, "--keep-expired", expect=0 if options or form == "log/" else 2
    ).stdout.decode()
    assert re.search(r"^(equal|different: consumer groups or counts of streams)$", said, re.M)


def test_redis_reads_commands_and_files(tmp_path):
    """redis-cli --pipe with what `--to resp` writes, and a server on a folder of append-only files."""
    redis = start_redis("--dbfilename", "a.rdb")
    second = None
    try:
        connection = loaded(redis)
        fill(connection.call)
        connection.call("FUNCTION", "LOAD", "#!lua name=mylib\nredis.register_function('f', function() return 7 end)")
        connection.call("PEXPIREAT", "int", FAR + 1)
        expected = connection.call("DEBUG", "DIGEST")
        connection.call("SAVE")
        saved = f"{redis.directory}/a.rdb"
        commands = convert(saved, "-", "--to", "resp", "--for", "redis-7.0").stdout
        connection.call("FLUSHALL")
        run = subprocess.run(
            ["redis-cli", "-p", str(redis.port), "--pipe"], input=commands, capture_output=True, timeout=60
        )
        assert b"errors: 0" in run.stdout
        assert connection.call("DEBUG", "DIGEST") == expected
        assert connection.call("PEXPIRETIME", "int") == b":%d\r\n" % (FAR + 1)
        convert(saved, f"{tmp_path}/appendonlydir/")
        second = start_redis("--dir", str(tmp_path), "--appendonly", "yes")
        assert loaded(second).call("DEBUG", "DIGEST") == expected
        assert loaded(second).call("FCALL", "f", 0) == b":7\r\n"
    finally:
        redis.stop()
        if second:
            second.stop()


# MARK: pipes and packing


@pytest.mark.parametrize("form", ["rdb", "json", "csv", "resp"])
@pytest.mark.parametrize("packing", ["none", "gzip", "zstd"])
def test_pipes(form, packing, snapshot, tmp_path):
    """What goes to standard output, packed or not, is read from standard input."""
    sent = convert(snapshot, "-", "--to", form, "--compress", packing, "--for", "redis-7.4", cwd=tmp_path).stdout
    if packing == "gzip":
        assert len(gzip.decompress(sent)) > len(sent)
    convert("-", "back.sqlite", stdin=sent, cwd=tmp_path)
    said = tool(
        "verify", snapshot, tmp_path / "back.sqlite", "--keep-expired", expect=2 if form == "resp" else 0
    ).stdout
    assert b"equal" in said or form == "resp"
    assert sorted(os.listdir(tmp_path)) == ["back.sqlite"]


def test_the_older_verbs_take_pipes(snapshot, tmp_path):
    packed = tool("to-rdb", snapshot, "-", "--compress", "gzip", "--for", "redis-7.4").stdout
    tool("to-sqlite", "-", "back.sqlite", "--keep-expired", stdin=packed, cwd=tmp_path)
    assert b"equal" in tool("verify", snapshot, tmp_path / "back.sqlite", "--keep-expired").stdout
    tool("to-rdb", snapshot, "back.rdb.zst", "--for", "valkey-9", cwd=tmp_path)
    assert (tmp_path / "back.rdb.zst").read_bytes().startswith(b"\x28\xb5\x2f\xfd")
    tool("to-sqlite", "back.rdb.zst", "b.sqlite", "--keep-expired", cwd=tmp_path)
    assert b"equal" in tool("verify", snapshot, tmp_path / "b.sqlite", "--keep-expired").stdout


@pytest.mark.parametrize("cut", [5, 500, -7])
def test_packed_files_that_are_cut_or_damaged(cut, tmp_path):
    for name, packing in [("a.gz", "gzip"), ("a.zst", "zstd")]:
        data = convert(RDB, "-", "--to", "json", "--compress", packing).stdout
        path = tmp_path / name
        path.write_bytes(data[:cut])
        convert(path, tmp_path / "out.csv", "--from", "json", expect=1)
        middle = len(data) // 2
        path.write_bytes(data[:middle] + bytes([data[middle] ^ 0x55]) + data[middle + 1 :])
        convert(path, tmp_path / "out.csv", "--from", "json", expect=1)
    assert not (tmp_path / "out.csv").exists()


# MARK: servers


def test_what_a_server_cannot_hold_is_refused_or_named(tmp_path):
    out = tmp_path / "out.rdb"
    error = convert(RDB, out, "--for", "redis-7.2", expect=1).stderr.decode()
    assert "fields that expire" in error and "--drop-field-ttls" in error
    said = convert(RDB, out, "--for", "redis-7.2", "--drop-field-ttls").stdout.decode()
    assert re.search(r"expiries were left out: \d+", said)
    error = convert(RDB, out, "--for", "redis-6.2", "--drop-field-ttls", "--force", expect=1).stderr.decode()
    assert "library of functions" in error and "--drop-functions" in error
    said = convert(RDB, out, "--for", "redis-6.2", "--drop-field-ttls", "--drop-functions", "--force").stdout.decode()
    assert "libraries of functions left out: 1" in said
    assert out.read_bytes().startswith(b"REDIS0009")


# MARK: filters


def test_filters(tmp_path):
    now = int(time.time() * 1000)
    lines = [
        {"db": 0, "key": "user:1", "type": "hash", "value": {"name": "Ann", "city": "Bern"}},
        {"db": 0, "key": "user:2", "type": "hash", "expires_ms": now + 60_000, "value": {"name": "Bob"}},
        {"db": 0, "key": "session:1", "type": "string", "expires_ms": now + 7_200_000, "value": "x" * 100},
        {"db": 3, "key": "queue", "type": "list", "value": [str(i) for i in range(1000)]},
        {"db": 3, "key": "board", "type": "zset", "value": {"a": 1.5, "b": "-inf", "c": -0.0}},
    ]
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    def keys(*options):
        return {key for _, key in rows(path, *options)}

    everything = {"user:1", "user:2", "session:1", "queue", "board"}
    assert keys() == everything
    for options, wanted in [
        (["--match", "user:*"], {"user:1", "user:2"}),
        (["--prefix", "user:", "--prefix", "b"], {"user:1", "user:2", "board"}),
        (["--type", "list", "--type", "zset"], {"queue", "board"}),
        (["--db", "3"], {"queue", "board"}),
        (["--ttl", "any"], {"user:2", "session:1"}),
        (["--ttl", "<5m"], {"user:2"}),
        (["--ttl", ">1h"], {"session:1"}),
        (["--size", ">=100"], {"session:1", "queue"}),
        (["--size", "<2"], {"user:2"}),
        (["--size", "=3"], {"board"}),
        (["--size", ">1kb"], {"queue"}),
    ]:
        assert keys(*options) == wanted, options
        negated = [f"--not-{word[2:]}" if word.startswith("--") else word for word in options]
        assert keys(*negated) == everything - wanted, negated
    assert keys("--prefix", "user:", "--not-match", "*2") == {"user:1"}
    assert keys("--ttl", "none", "--size", ">2") == {"queue", "board"}


def test_changes(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text(
        '{"db":0,"key":"old:1","type":"string","value":"a"}\n{"db":1,"key":"old:1","type":"string","value":"b"}\n'
    )
    assert set(rows(path, "--rename-prefix", "old:=new:")) == {(0, "new:1"), (1, "new:1")}
    before = int(time.time() * 1000)
    for row in rows(path, "--set-ttl", "1h").values():
        assert before + 3_600_000 <= row["expires_ms"] <= int(time.time() * 1000) + 3_600_000
    assert set(rows(path, "--db", "1", "--to-db", "7")) == {(7, "old:1")}
    for name in ["a.sqlite", "a.rdb", "a.csv", "a.resp"]:
        error = convert(path, tmp_path / name, "--to-db", "7", expect=1).stderr.decode()
        assert "a key comes twice" in error
        assert not (tmp_path / name).exists()


def test_the_older_verbs_filter(snapshot, tmp_path):
    tool("to-sqlite", RDB, tmp_path / "a.sqlite", "--type", "zset", "--keep-expired")
    with sqlite3.connect(tmp_path / "a.sqlite") as database:
        assert {row[0] for row in database.execute("SELECT DISTINCT type FROM keys")} == {"zset"}
    tool("to-rdb", snapshot, tmp_path / "a.rdb", "--not-type", "hash", "--db", 0)
    assert {row["type"] for row in rows(tmp_path / "a.rdb").values()} == {"string", "list", "set", "zset", "stream"}


# MARK: text


def test_json_is_what_the_manual_says(tmp_path):
    path = tmp_path / "in.jsonl"
    lines = [
        {"db": 0, "key": "b64:AP8=", "type": "string", "value": "b64:YjY0Onl1cA=="},
        {"db": 0, "key": "h", "type": "hash", "value": {"a": "1", "b": "2"}, "field_expires_ms": {"b": FAR}},
        {"db": 0, "key": "z", "type": "zset", "value": {"a": 0.1, "b": "inf", "c": 1e300}},
        {"db": 0, "key": "t", "type": "string", "value": 'tab\t quote" \\ \u2028 \U0001f600'},
    ]
    # Members in any order, escapes in any form.
    path.write_text("".join(json.dumps(line, sort_keys=True) + "\n" for line in lines))
    snapshot = tmp_path / "a.sqlite"
    convert(path, snapshot)
    assert list(rows(snapshot).values()) == [lines[0], lines[3], lines[1], lines[2]]
    with sqlite3.connect(snapshot) as database:
        found = database.execute("SELECT key, value FROM raw_strings ORDER BY id").fetchall()
    assert found[0] == (b"\x00\xff", "b64:yup")


@pytest.mark.parametrize(
    "line, what",
    [
        ('{"db":0,"key":"a","type":"string"}', 'no "value"'),
        ('{"db":0,"key":"a","type":"strung","value":""}', '"type"'),
        ('{"db":-1,"key":"a","type":"string","value":""}', '"db"'),
        ('{"db":0,"key":"a","type":"list","value":[]}', "is empty"),
        ('{"db":0,"key":"a","type":"set","value":["x","x"]}', "comes twice"),
        ('{"db":0,"key":"a","type":"hash","value":{"x":"1","x":"2"}}', "comes twice"),
        ('{"db":0,"key":"a","type":"zset","value":{"x":"nan"}}', "not a number"),
        ('{"db":0,"key":"a","type":"string","value":"b64:%%"}', "no base64"),
        ('{"db":0,"key":"a","type":"string","value":"\\ud800"}', "no character"),
        ('{"db":0,"key":"a","type":"string","value":"', "no end"),
        ('{"db":0,"key":"a","type":"stream","value":[["2-1",["f","v"]],["1-1",["f","v"]]],"last_id":"9-9"}', "id"),
        ('{"db":0,"key":"a","type":"stream","value":[["2-1",["f","v"]]],"last_id":"1-9"}', "last id"),
        ('{"db":0,"key":"a","type":"stream","value":[["2-1",["f"]]],"last_id":"3-0"}', "not [id"),
        ('{"db":0,"key":"a","type":"string","value":"x"} {', "follows"),
        ('{"db":0,"key":"a","type":"string","value":"x","more":' + "[" * 100000 + "}", "nested"),
        ('{"type":"function","name":"a","code":"return 1"}', "#!engine"),
    ],
)
def test_text_is_not_trusted(line, what, tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text('{"db":0,"key":"good","type":"string","value":"1"}\n' + line + "\n")
    error = convert(path, tmp_path / "out.sqlite", expect=1).stderr.decode()
    assert what in error and ("line 2" in error or "at offset" in error), error
    assert os.listdir(tmp_path) == ["in.jsonl"]


@pytest.mark.parametrize(
    "row, what",
    [
        ("0,a,string,,,x", "columns"),
        ("0,a,string,,,x,,", "columns"),
        ("zero,a,string,,,x,", "db"),
        ("0,a,list,,1,x,", "position 0"),
        ("0,a,zset,,m,one,", "not a number"),
        ("0,a,hash,,f,v,soon", "element_expires_ms"),
        ('0,a,string,,,"x,', "no end"),
        ('0,a,stream,,1-1,"[""f"",""v""]",', "stream-state"),
        ("0,a,set,,x,,\n0,a,set,,x,,", "comes twice"),
    ],
)
def test_rows_are_not_trusted(row, what, tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("db,key,type,expires_ms,element,value,element_expires_ms\n" + row + "\n")
    error = convert(path, tmp_path / "out.rdb", expect=1).stderr.decode()
    assert what in error, error
    assert os.listdir(tmp_path) == ["in.csv"]


# MARK: files


def test_what_is_there_stays(snapshot, tmp_path):
    for name in ["a.csv", "a.rdb", "a.sqlite"]:
        (tmp_path / name).write_bytes(b"mine")
        assert b"exists already" in convert(snapshot, tmp_path / name, "--for", "redis-7.4", expect=1).stderr
        assert (tmp_path / name).read_bytes() == b"mine"
        convert(snapshot, tmp_path / name, "--force", "--for", "redis-7.4")
    assert b"is a database" in convert(RDB, tmp_path / "a.sqlite", "--to", "csv", "--force", expect=1).stderr
    (tmp_path / "log").mkdir()
    assert b"exists already" in convert(snapshot, f"{tmp_path}/log/", "--force", expect=1).stderr
    assert sorted(os.listdir(tmp_path)) == ["a.csv", "a.rdb", "a.sqlite", "log"]


@pytest.mark.parametrize("name", ["out.csv.gz", "out.rdb", "out.sqlite", "log/"])
def test_interrupted_while_it_reads_a_pipe(name, tmp_path):
    process = subprocess.Popen(
        [migrate_binary(), "convert", "-", f"{tmp_path}/{name}", "--from", "json"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    line = b'{"db":0,"key":"%d","type":"string","value":"' + b"x" * 500 + b'"}\n'
    for i in range(4000):
        process.stdin.write(line % i)
    process.stdin.flush()
    while not os.listdir(tmp_path):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    try:
        for i in range(4000, 200000):
            process.stdin.write(line % i)
        process.stdin.close()
    except BrokenPipeError:
        pass
    assert process.wait(30) == 130, process.stderr.read()
    assert os.listdir(tmp_path) == []


def test_usage(tmp_path):
    assert b"--to" in convert(RDB, "-", expect=64).stderr
    convert(RDB, tmp_path / "a.rdb", "--size", "many", expect=64)
    convert(RDB, tmp_path / "a.rdb", "--ttl", "soon", expect=64)
    assert b"EXAMPLES" in tool("convert", "--help").stdout
    text = tmp_path / "a.txt"
    text.write_text("neither\n")
    assert b"is neither" in convert(text, tmp_path / "a.rdb", expect=1).stderr
    assert b"cannot be opened" in convert(tmp_path / "none", tmp_path / "a.rdb", expect=1).stderr


def test_examples_of_the_manual(tmp_path):
    """Each command that docs/migrating.md shows for convert runs as it stands."""
    redis = start_redis("--dir", str(tmp_path), "--appendonly", "yes")
    try:
        connection = loaded(redis)
        fill(connection.call)
        connection.call("SAVE")
        text = (ROOT / "docs" / "migrating.md").read_text()
        section = text[text.index("## Any form to any other") :]
        section = section[: section.index("\n## ", 5)]
        commands = [
            line
            for block in re.findall(r"```\n(.*?)```", section, re.S)
            for line in block.splitlines()
            if "redis-migrate" in line
        ]
        assert len(commands) >= 5
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "redis-migrate").symlink_to(migrate_binary())
        environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
        subprocess.run(
            ["redis-migrate", "to-sqlite", "dump.rdb", "dump.sqlite"], cwd=tmp_path, env=environment, check=True
        )
        shutil.copy(tmp_path / "dump.rdb", tmp_path / "copy.rdb")
        for command in commands:
            command = command.replace("redis-cli ", f"redis-cli -p {redis.port} ")
            run = subprocess.run(
                ["bash", "-o", "pipefail", "-c", command], cwd=tmp_path, env=environment, capture_output=True
            )
            assert run.returncode == 0, (command, run.stderr)
    finally:
        redis.stop()
