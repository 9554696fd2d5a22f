"""The progress line of redis-migrate: on a terminal with rate and time left, inside one big value too; else nothing."""

import os
import pty
import re
import subprocess

import pytest

from migrate import migrate_binary, tool
from oracle import start_redis

LINE = re.compile(rb"\r\x1b\[K *(\d+\.\d) %  (\d+) keys  (\d+\.\d MB/s|\d+ rows/s)(  \d+:\d\d left)?")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One hash of a million fields, as RDB file and snapshot."""
    directory = tmp_path_factory.mktemp("made")
    redis = start_redis("--dir", str(directory), "--rdbcompression", "no")
    try:
        connection = redis.connect()
        for at in range(0, 1_000_000, 10_000):
            connection.call("HSET", "one", *(w for i in range(at, at + 10_000) for w in (f"field:{i}", "v" * 30)))
        connection.call("SAVE")
    finally:
        redis.stop()
    snapshot = directory / "dump.sqlite"
    assert tool("to-sqlite", directory / "dump.rdb", snapshot).returncode == 0
    return directory / "dump.rdb", snapshot


def on_a_terminal(*arguments):
    """Runs the tool with a terminal for stderr: what it wrote there, and its exit code."""
    master, slave = pty.openpty()
    process = subprocess.Popen([migrate_binary(), *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=slave)
    os.close(slave)
    text = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:
            break
        if not piece:
            break
        text += piece
    os.close(master)
    return text, process.wait()


@pytest.mark.parametrize("verb", ["verify", "stats", "to-sqlite", "verify snapshot", "to-rdb"])
def test_inside_one_value(verb, files, tmp_path):
    source = files[1] if verb in ("verify snapshot", "to-rdb") else files[0]
    output = {"to-sqlite": [tmp_path / "x.sqlite"], "to-rdb": [tmp_path / "x.rdb"]}.get(verb, [])
    text, code = on_a_terminal(verb.split()[0], source, *output)
    assert code == 0
    lines = LINE.findall(text)
    assert lines, text
    shares = [float(line[0]) for line in lines]
    assert shares == sorted(shares) and 0 <= shares[0] <= 100
    # There is one key: what comes before the end is told inside it.
    assert any(0 < share < 100 for share in shares), text
    assert text.endswith(b"\r\x1b[K"), "the line is wiped"


@pytest.mark.parametrize("verb", ["verify", "stats"])
def test_silent_when_piped(verb, files):
    assert tool(verb, files[0]).stderr == ""
