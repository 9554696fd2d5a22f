"""The examples of docs/history.md, run as they stand there, but for ports, the directory and the date."""

import os
import pathlib
import re
import shlex
import subprocess
import time

import pytest

from migrate import migrate_binary
from oracle import Server, start_swiftlet, swiftlet_binary
from waiting import wait_until

TEXT = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "history.md").read_text()
LINES = [line for block in re.findall(r"```\n(.*?)```", TEXT, re.S) for line in block.splitlines()]
MOMENT = "2026-11-26 14:03:00"


def lines(start):
    found = [shlex.split(line) for line in LINES if line.startswith(start)]
    assert found
    return found


@pytest.fixture
def kept():
    """A server with a history, and a moment in it."""
    settings = [word for line in lines("snapshot-history") for word in (f"--{line[0]}", line[1])]
    server = start_swiftlet("--appendonly", "yes", *settings)
    connection = server.connect()
    wait_until(lambda: b"history_checkpoints:0" not in connection.call("INFO", "snapshot"))
    connection.call("SET", "key", 1)
    # The first one that begins behind the kept checkpoint, and behind the command.
    second = int(time.time()) + 1
    wait_until(lambda: time.time() >= second)
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(second))
    yield server, moment
    server.stop()


def restart(server, words, moment):
    words = [moment if word == MOMENT else server.directory if word == "data" else word for word in words]
    return Server(swiftlet_binary(), ("--appendonly", "yes", "--dir", server.directory, *words))


def test_backup_and_snapshot(kept):
    server, _ = kept
    for words in lines("redis-cli"):
        run = subprocess.run([words[0], "-p", str(server.port), *words[1:]], capture_output=True, text=True, timeout=60)
        assert "ERR" not in run.stdout and run.returncode == 0, (words, run)
        assert words[1:3] != ["SNAPSHOT", "LIST"] or "before-release" in run.stdout
    assert os.listdir(os.path.join(server.directory, "backups")) == ["monday.sqlite"]
    for words in lines("mkdir") + lines("cp"):
        subprocess.run(words, cwd=server.directory, check=True)
    restored = os.path.join(server.directory, "restored")
    other = Server(swiftlet_binary(), ("--appendonly", "yes", "--dir", restored))
    try:
        assert other.connect().call("GET", "key") == b"$1\r\n1\r\n"
    finally:
        other.stop()


def test_going_back(kept):
    server, moment = kept
    server.connect().call("FLUSHALL")
    server.process.kill()
    server.process.wait()
    for words in lines("swiftlet-server --dir data"):
        if "--restore-check" in words:
            words = [swiftlet_binary(), "--dir", server.directory, words[-2], moment]
            run = subprocess.run(words, capture_output=True, text=True, timeout=60)
            assert "can be restored" in run.stdout, run
            continue
        again = restart(server, words[3:], moment)
        try:
            assert again.connect().call("GET", "key") == b"$1\r\n1\r\n"
        finally:
            again.stop()
    for words in lines("redis-migrate"):
        run = subprocess.run(
            [migrate_binary(), words[1], server.directory, *words[3:]], capture_output=True, text=True, timeout=60
        )
        assert run.returncode == 0 and "history:" in run.stdout, run
