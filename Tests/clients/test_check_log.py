"""redis-migrate check-log: what is whole, what a crash has left, what is damaged, and what a cut leaves."""

import os
import pathlib
import subprocess

import pytest

from migrate import migrate_binary
from oracle import Server, start_swiftlet, swiftlet_binary
from waiting import wait_until


@pytest.fixture
def directory():
    """Of a server that was killed, with three keys in its log, a batch each."""
    server = start_swiftlet("--appendonly", "yes", "--snapshot-history", "1h")
    connection = server.connect()
    wait_until(lambda: b"history_checkpoints:1" in connection.call("INFO", "snapshot"))
    for number in range(3):
        connection.call("SET", f"key:{number}", "value" * 10)
    server.process.kill()
    server.process.wait()
    yield server.directory
    server.stop()


def check(directory, *options):
    return subprocess.run(
        [migrate_binary(), "check-log", directory, *options], capture_output=True, text=True, timeout=60
    )


def log(directory):
    """The last segment; one that was made ahead is empty."""
    return max(path for path in pathlib.Path(directory).glob("appendonly.aof.??????????") if path.stat().st_size)


def start(directory):
    return Server(swiftlet_binary(), ("--appendonly", "yes", "--dir", directory))


def size(directory):
    server = start(directory)
    try:
        return server.connect().call("DBSIZE")
    finally:
        server.stop()


def test_a_whole_log(directory):
    run = check(directory)
    assert run.returncode == 0, run.stderr
    assert "The log is whole." in run.stdout and "history: 1 checkpoints" in run.stdout
    # The times of the segment that was written to.
    assert " UTC\n" in run.stdout and " 4 batches, " in run.stdout


def test_a_tail_that_a_crash_leaves(directory):
    path = log(directory)
    path.write_bytes(path.read_bytes()[:-10])
    run = check(directory)
    assert run.returncode == 0 and "An unfinished end, which a start cuts off" in run.stdout, run.stdout
    assert size(directory) == b":2\r\n"


def test_damage_is_named_and_cut(directory):
    path = log(directory)
    data = bytearray(path.read_bytes())
    at = data.index(b"key:1")
    data[at] ^= 1
    path.write_bytes(data)
    run = check(directory)
    assert run.returncode == 2, run
    assert "Damaged: " in run.stdout and "A cut gives up, behind segment " in run.stdout and " 2 batches" in run.stdout
    assert path.read_bytes() == data
    run = check(directory, "--cut")
    assert run.returncode == 0, run
    kept = path.with_name(path.name + ".cut")
    assert path.read_bytes() + kept.read_bytes() == data
    assert check(directory).returncode == 0
    assert size(directory) == b":1\r\n"


def test_a_missing_segment_is_damage(directory):
    os.unlink(log(directory))
    run = check(directory)
    assert run.returncode == 2 and "is missing" in run.stdout, run


def test_a_header_that_is_damaged(directory):
    path = log(directory)
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)
    run = check(directory)
    assert run.returncode == 2 and "byte 0: " in run.stdout, run
    assert check(directory, "--cut").returncode == 0
    assert path.with_name(path.name + ".cut").read_bytes() == data
    assert size(directory) == b":0\r\n"


def test_no_server_may_be_using_it():
    server = start_swiftlet("--appendonly", "yes")
    try:
        server.connect().call("SET", "key", 1)
        assert check(server.directory).returncode == 0
        path = log(server.directory)
        with path.open("ab") as file:
            file.write(b"*1\r\n")
        run = check(server.directory, "--cut")
        assert run.returncode == 1 and "another server uses this directory" in run.stderr
    finally:
        server.stop()


def test_a_directory_without_a_log(tmp_path):
    run = check(tmp_path)
    assert run.returncode == 1 and "no log" in run.stderr
    assert list(tmp_path.iterdir()) == []
