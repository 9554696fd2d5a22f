"""INFO, LATENCY and the slow log, as monitoring reads them."""

import os
import pathlib
import random
import re
import subprocess

import pytest

from oracle import Server, integer, start_redis, start_swiftlet, swiftlet_binary
from seed import new_seed
from waiting import wait_until


@pytest.fixture
def server():
    server = start_swiftlet("--appendonly", "yes")
    yield server.connect()
    server.stop()


def info(connection, *sections):
    text = connection.call("INFO", *sections).split(b"\r\n", 1)[1].decode()
    return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)


def test_every_field_of_redis_is_there(server):
    redis = start_redis("--appendonly", "yes")
    try:
        other = redis.connect()
        for connection in (server, other):
            connection.call("SET", "k", "v", "EX", "1000")
            connection.call("HSET", "nothing")
        missing = set(info(other, "everything")) - set(info(server, "everything"))
        assert missing == set()
    finally:
        redis.stop()


def test_sections_are_those_asked_for(server):
    def titles(*names):
        text = server.call("INFO", *names).decode()
        return [line[2:] for line in text.split("\r\n") if line.startswith("# ")]

    standard = titles()
    assert "Snapshot" in standard and "Errorstats" in standard
    assert not {"Commandstats", "Latencystats", "Keysizes", "Debug"} & set(standard)
    assert titles("default") == standard
    assert titles("all") == titles("everything")
    assert set(titles("all")) - set(standard) == {"Commandstats", "Latencystats", "Keysizes"}
    assert titles("CPU", "cpu", "server", "none") == ["Server", "CPU"]
    assert titles("default", "debug") == [*standard, "Debug"]


def test_the_snapshot_section_tells_of_a_checkpoint(server):
    before = info(server, "snapshot")
    assert before["snapshot_last_rows"] == "0" and before["writes_refused"] == "0"
    for i in range(100):
        server.call("SET", f"k{i}", "x" * 1000)
    assert int(info(server, "snapshot")["log_size"]) > 100_000
    assert info(server, "snapshot")["log_segments"] == "1"
    server.call("BGSAVE")
    wait_until(lambda: info(server, "snapshot")["snapshot_last_rows"] == "100")
    after = info(server, "snapshot")
    assert 100_000 < int(after["snapshot_last_bytes"]) < 200_000
    assert int(after["snapshot_last_slices"]) > 0 and int(after["snapshot_size"]) > 100_000
    assert after["snapshot_last_status"] == "ok" and after["log_size"] == "0"
    assert after["snapshot_next_due_seconds"] == "-1"


def test_key_sizes_are_those_of_the_keys(server):
    server.call("SET", "empty", "")
    for size in (1, 2, 3, 4, 1023, 1024, 70_000):
        server.call("SET", f"s{size}", "x" * size)
    server.call("SET", "number", 12345)
    server.call("RPUSH", "l", *range(9))
    server.call("SADD", "s", *range(600))
    server.call("ZADD", "z", 1, "a")
    server.call("HSET", "h", *range(4))
    server.call("XADD", "x", "*", "a", "b")
    assert info(server, "keysizes") == {
        "db0_distrib_strings_sizes": "0=1,1=1,2=2,4=2,512=1,1K=1,64K=1",
        "db0_distrib_lists_items": "8=1",
        "db0_distrib_sets_items": "512=1",
        "db0_distrib_zsets_items": "1=1",
        "db0_distrib_hashes_items": "2=1",
    }


@pytest.mark.skipif("REDIS8" not in os.environ, reason="needs Redis 8: make peers")
def test_key_sizes_are_those_of_redis_8(server):
    redis = Server(os.environ["REDIS8"])
    random.seed(new_seed())
    try:
        other = redis.connect()
        for i in range(300):
            size = random.choice([1, 2, 3, 4, 7, 8, 9, 63, 64, 100, 1000])
            words = random.choice(
                [
                    ["SETRANGE", f"k{i}", size * random.choice([1, 100, 1024]) - 1, "x"],
                    ["RPUSH", f"k{i}", *range(size)],
                    ["SADD", f"k{i}", *range(size)],
                    ["HSET", f"k{i}", *range(size * 2)],
                    ["ZADD", f"k{i}", *range(size * 2)],
                    ["SET", f"k{i}", random.choice(["", 10**size % 10**18])],
                ]
            )
            for connection in (server, other):
                connection.call("SELECT", i % 3)
                assert connection.call(*words)[:1] != b"-"
        assert info(server, "keysizes") == info(other, "keysizes")
    finally:
        redis.stop()


def test_many_keys_are_counted_in_the_background(server):
    server.call("DEBUG", "POPULATE", 50_000, "key", 10)
    assert info(server, "keysizes") == {}
    wait_until(lambda: info(server, "keysizes") == {"db0_distrib_strings_sizes": "8=50000"})


def test_latency_events_are_those_above_the_threshold(server):
    server.call("DEBUG", "SLEEP", "0.02")
    assert server.call("LATENCY", "LATEST") == b"*0\r\n"
    server.call("CONFIG", "SET", "latency-monitor-threshold", 10)
    server.call("DEBUG", "SLEEP", "0.02")
    server.call("PING")
    name, seconds, last, longest = server.call("LATENCY", "LATEST").split(b"\r\n")[2:3] + [0, 0, 0]
    assert name == b"$7" and seconds == last == longest
    assert b"command\r\n" in server.call("LATENCY", "LATEST")
    assert server.call("LATENCY", "HISTORY", "command").startswith(b"*1\r\n*2\r\n:")
    assert b"command - high " in server.call("LATENCY", "GRAPH", "command")
    assert b"1 latency spikes" in server.call("LATENCY", "DOCTOR")
    assert server.call("LATENCY", "GRAPH", "expire-cycle")[:1] == b"-"
    assert integer(server.call("LATENCY", "RESET", "none", "expire-cycle")) == 0
    assert integer(server.call("LATENCY", "RESET")) == 1
    assert server.call("LATENCY", "LATEST") == b"*0\r\n"


def test_a_histogram_has_every_call(server):
    server.call("CONFIG", "RESETSTAT")
    server.pipeline([["SET", "k", "v"]] * 500)
    words = server.call("LATENCY", "HISTOGRAM", "set", "nothing").decode().split("\r\n")
    assert words[:2] == ["*2", "$3"] and "calls" in words and words[-2] == ":500"
    assert "latency_percentiles_usec_set" in info(server, "latencystats")
    server.call("CONFIG", "SET", "latency-tracking", "no")
    server.call("SET", "k", "v")
    assert info(server, "latencystats") == {}
    assert words == server.call("LATENCY", "HISTOGRAM", "set").decode().split("\r\n")


def test_the_slow_log_keeps_the_newest(server):
    server.call("CONFIG", "SET", "slowlog-log-slower-than", 0, "slowlog-max-len", 10)
    for i in range(100):
        server.call("ECHO", i)
    assert integer(server.call("SLOWLOG", "LEN")) == 10
    texts = re.findall(rb"\r\nECHO\r\n\$2\r\n(\d+)", server.call("SLOWLOG", "GET", -1))
    assert texts == [b"%d" % i for i in range(99, 90, -1)]
    server.call("CONFIG", "SET", "slowlog-max-len", 3)
    assert integer(server.call("SLOWLOG", "LEN")) == 3
    server.call("CONFIG", "SET", "slowlog-max-len", 0)
    assert server.call("SLOWLOG", "GET") == b"*0\r\n"


def check(*arguments, text=None, tmp_path=None):
    if text is not None:
        (tmp_path / "test.conf").write_text(text)
        arguments = (str(tmp_path / "test.conf"), *arguments)
    ended = subprocess.run(
        [swiftlet_binary(), "--check-config", *arguments], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    return ended.returncode, ended.stdout.splitlines()


def test_users_of_a_file_are_checked(tmp_path):
    (tmp_path / "users.acl").write_text("user somebody on +@nosuch\n")
    code, lines = check(text=f"aclfile {tmp_path}/users.acl\n", tmp_path=tmp_path)
    assert code == 1 and lines[0].endswith("no change to the previously active ACL rules was performed")
    assert f"{tmp_path}/users.acl:1: Error in applying operation '+@nosuch'" in lines[0]


def test_all_faults_of_a_configuration_are_named(tmp_path):
    (tmp_path / "more.conf").write_text("\nhz no\n")
    code, lines = check(
        "--maxclients",
        "0",
        text=f"port 7777\nprot 1\n# comment\nmaxclients many\ninclude {tmp_path}/more.conf\nsave 'a\ninclude none.conf\n",
        tmp_path=tmp_path,
    )
    file = tmp_path / "test.conf"
    assert code == 1
    assert lines[0].startswith(f"{file}:2: prot 1: Bad directive or wrong number of arguments")
    assert lines[1] == f"{file}:4: maxclients many: argument couldn't be parsed into an integer"
    assert lines[2] == f"{tmp_path}/more.conf:2: hz no: argument couldn't be parsed into an integer"
    assert lines[3] == f"{file}:6: save 'a: Unbalanced quotes in configuration line"
    assert lines[4].startswith(f"{file}:7: include none.conf: Can't open")
    assert lines[5].startswith('command line: maxclients "0": argument must be between 1 and')
    assert lines[-1] == "6 faults: a server would not start"


def test_a_good_configuration_is_good_and_starts_nothing(tmp_path):
    code, lines = check(text=f"port 7777\ndir {tmp_path}\nio-threads 4\n", tmp_path=tmp_path)
    assert (code, lines[-1]) == (0, "The configuration is good")
    assert any("io-threads" in line for line in lines)
    assert [path.name for path in tmp_path.iterdir()] == ["test.conf"]
    assert check(str(tmp_path / "none.conf"))[0] == 1


def test_the_documentation_names_what_is_there(server):
    """docs/operations.md: fields, commands, events."""
    text = (pathlib.Path(__file__).resolve().parents[2] / "docs/operations.md").read_text()
    fields = info(server, "everything")
    own = set(re.findall(r"`((?:snapshot|log|writes)_\w+)`", text))
    assert own == {name for name in fields if name.startswith(("snapshot_", "log_", "writes_refused"))}
    others = ["used_memory", "evicted_keys", "rejected_connections"]
    assert all(f"`{name}`" in text and name in fields for name in others)
    blocks = re.findall(r"```redis\n(.*?)```", text, re.S)
    commands = [line for block in blocks for line in block.splitlines()]
    server.call("CONFIG", "SET", "latency-monitor-threshold", 1)
    server.call("DEBUG", "SLEEP", "0.01")
    assert len(commands) > 5
    for command in commands:
        assert server.call(*command.split())[:1] != b"-", command


def test_what_the_files_hold_that_are_named_is_checked(tmp_path):
    (tmp_path / "users.acl").write_text("user one on nopass +@all\nuser two +@none-such\n")
    code, lines = check(text="aclfile users.acl\ntls-port 7777\ntls-cert-file none.crt\n", tmp_path=tmp_path)
    assert code == 1 and lines[-1] == "2 faults: a server would not start"
    assert "users.acl:2" in lines[0] and lines[1].startswith("TLS: ")
    code, lines = check(text=f"dir {tmp_path}/none\n", tmp_path=tmp_path)
    assert (code, len(lines)) == (1, 2)
