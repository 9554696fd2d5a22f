"""snapshot-history and --restore-to: what docs/history.md promises. Tests/crash/point_in_time.py tries moments at random."""

import os
import pathlib
import re
import subprocess
import sys
import time

import pytest

from moved_clock import wall_ms
from oracle import Server, bulks, start_swiftlet, swiftlet_binary
from seed import new_seed
from waiting import wait_until

OK = b"+OK\r\n"
ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "Tests" / "crash" / "point_in_time.py"
HOUR = 3_600_000


def info(connection):
    lines = connection.call("INFO", "snapshot").decode().split("\r\n")
    return dict(line.split(":", 1) for line in lines if ":" in line)


def text(milliseconds):
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(milliseconds / 1000))


def shift(connection, milliseconds):
    """Moves the server's wall clock."""
    assert connection.call("DEBUG", "ADVANCE-CLOCK", milliseconds, "WALL") == OK


class Life:
    """Servers one after the other in one directory, in which a history is kept."""

    def __init__(self, *options):
        self.first = start_swiftlet("--appendonly", "yes", *options)
        self.directory = self.first.directory
        self.server = self.first
        self.others = []

    def kill(self):
        self.server.process.kill()
        self.server.process.wait()

    def start(self, *options):
        self.server = Server(swiftlet_binary(), ("--appendonly", "yes", "--dir", self.directory, *options))
        self.others.append(self.server)
        return self.server.connect()

    def check(self, target):
        command = [swiftlet_binary(), "--dir", self.directory, "--restore-check", target]
        return subprocess.run(command, capture_output=True, text=True)

    def stop(self):
        for server in [*self.others, self.first]:
            server.stop()


@pytest.fixture
def life():
    life = Life("--snapshot-history", "1d")
    wait_until(lambda: info(life.server.connect())["history_checkpoints"] != "0")
    yield life
    life.stop()


def keys(connection):
    return sorted(bulks(connection.call("KEYS", "*")))


def past(life):
    """A connection to a server whose clock is an hour behind, with a checkpoint that was kept then."""
    connection = life.server.connect()
    shift(connection, -HOUR)
    connection.call("SET", "zero", 0)
    before = info(connection)["history_checkpoints"]
    assert connection.call("SAVE") == OK
    wait_until(lambda: info(connection)["history_checkpoints"] != before)
    return connection


def test_each_second_can_be_restored(life):
    connection = past(life)
    moments = []
    for number in range(4):
        # To the beginning of the next second, so that the moment is between two writes.
        shift(connection, 1000 - wall_ms(connection) % 1000)
        moments.append((wall_ms(connection) // 1000 * 1000, keys(connection)))
        shift(connection, 200)
        connection.call("SET", f"key:{number}", number)
        if number == 1:
            connection.call("SAVE")
    life.kill()
    for moment, expected in moments:
        assert life.check(text(moment)).returncode == 0
        connection = life.start("--restore-to", text(moment))
        assert keys(connection) == expected
        life.kill()
        connection = life.start("--restore-to", "before-restore", "--snapshot-history", "1d")
        assert len(keys(connection)) == 5
        life.kill()


def test_flushes_are_undone_to_the_last_command(life):
    connection = life.server.connect()
    connection.call("SET", "a", 1)
    connection.pipeline([("MULTI",), ("SET", "b", 1), ("FLUSHALL",), ("SET", "c", 1), ("EXEC",)])
    connection.call("SET", "d", 1)
    connection.call("FLUSHDB")
    connection.call("SET", "e", 1)
    life.kill()
    assert keys(life.start("--restore-to", "before-flushdb")) == [b"c", b"d"]
    life.kill()
    # What the transaction had done before belongs to it.
    assert keys(life.start("--restore-to", "before-flushall")) == [b"a"]


def test_nothing_is_destroyed_and_nothing_is_done_twice(life):
    connection = life.server.connect()
    connection.call("SET", "a", 1)
    connection.call("FLUSHALL")
    connection.call("SET", "b", 1)
    replid = re.search(rb"master_replid:(\w+)", connection.call("INFO", "replication")).group(1)
    life.kill()
    connection = life.start("--restore-to", "before-flushall")
    assert keys(connection) == [b"a"]
    assert replid not in connection.call("INFO", "replication")
    connection.call("SET", "new", 1)
    life.kill()
    connection = life.start("--restore-to", "before-flushall")
    assert keys(connection) == [b"a", b"new"]
    life.kill()
    assert keys(life.start("--restore-to", "before-restore")) == [b"b"]


def test_a_kept_snapshot_is_a_moment(life):
    connection = life.server.connect()
    connection.call("SET", "a", 1)
    assert connection.call("SNAPSHOT", "KEEP", "one") == OK
    connection.call("FLUSHALL")
    life.kill()
    assert keys(life.start("--restore-to", "snapshot:one")) == [b"a"]


def test_times_of_expiry_are_points_in_time(life):
    connection = life.server.connect()
    connection.call("SET", "short", 1, "PX", 1)
    connection.call("SET", "long", 1, "EX", 1000)
    connection.call("FLUSHALL")
    life.kill()
    connection = life.start("--restore-to", "before-flushall")
    assert connection.call("GET", "short") == b"$-1\r\n"
    assert connection.call("GET", "long") == b"$1\r\n1\r\n"


@pytest.mark.parametrize(
    "target, reason",
    [
        ("2001-01-01 00:00:00", "nothing is kept of so long ago"),
        ("2999-01-01 00:00:00", "this moment is yet to come"),
        ("before-flushall", "no FLUSHALL is in what is kept"),
        ("before-restore", "nothing is kept of what was here before a restore"),
        ("snapshot:none", "the snapshot is missing"),
        ("2026-02-29 00:00:00", "argument must be"),
        ("yesterday", "argument must be"),
    ],
)
def test_what_cannot_be_restored_is_refused(life, target, reason):
    life.server.connect().call("SET", "a", 1)
    life.kill()
    check = life.check(target)
    assert check.returncode == 1 and reason in check.stderr
    with pytest.raises(RuntimeError, match=reason):
        life.start("--restore-to", target)
    assert keys(life.start()) == [b"a"]


def test_a_time_without_a_log_is_refused(life):
    connection = past(life)
    connection.call("SET", "a", 1)
    assert connection.call("CONFIG", "SET", "appendonly", "no") == OK
    wait_until(lambda: info(connection)["snapshot_in_progress"] == "0")
    shift(connection, 10_000)
    connection.call("SET", "b", 1)
    moment = wall_ms(connection)
    shift(connection, 10_000)
    assert connection.call("CONFIG", "SET", "appendonly", "yes") == OK
    wait_until(lambda: connection.call("WAITAOF", 1, 0, 0).startswith(b"*2\r\n:1"))
    connection.call("SET", "c", 1)
    life.kill()
    check = life.check(text(moment))
    assert check.returncode == 1 and ("was no log" in check.stderr or "switched off" in check.stderr), check


def test_it_is_for_the_command_line_alone(life, tmp_path):
    life.kill()
    (tmp_path / "a.conf").write_text("restore-to before-flushall\n")
    run = subprocess.run([swiftlet_binary(), tmp_path / "a.conf"], capture_output=True, text=True, timeout=20)
    assert run.returncode == 1 and "for the command line alone" in run.stdout + run.stderr


def test_what_is_too_old_goes(life):
    connection = past(life)

    def kept():
        return {path for path in pathlib.Path(life.directory, "history").glob("*.sqlite") if "next" not in path.name}

    # Past the checkpoint that was kept before the clock was set back.
    shift(connection, 2 * HOUR)
    for _ in range(6):
        before = kept()
        shift(connection, 6 * HOUR + 1000)
        connection.call("INCR", "n")
        assert connection.call("SAVE") == OK
        wait_until(lambda before=before: kept() - before)
    wait_until(lambda: int(info(connection)["history_oldest_time"]) > wall_ms(connection) // 1000 - 31 * 3600)
    assert int(info(connection)["history_checkpoints"]) <= 6
    assert info(connection)["history_gaps"] == "0"
    bytes_before = int(info(connection)["history_bytes"])
    assert connection.call("CONFIG", "SET", "snapshot-history", "60") == OK
    wait_until(lambda: int(info(connection)["history_bytes"]) < bytes_before)


def test_the_size_is_bounded(life):
    connection = life.server.connect()
    assert connection.call("CONFIG", "SET", "snapshot-history-max-size", "2mb") == OK
    for number in range(12):
        connection.call("SET", f"key:{number % 2}", os.urandom(300_000))
        assert connection.call("SAVE") == OK
    wait_until(lambda: 0 < int(info(connection)["history_bytes"]) <= 2 << 20)
    assert connection.call("CONFIG", "SET", "snapshot-history-max-size", "1mb") == OK
    connection.call("SET", "large", os.urandom(1 << 20))
    assert connection.call("SAVE") == OK
    wait_until(lambda: "snapshot-history-max-size" in info(connection)["history_last_error"])
    assert info(connection)["history_bytes"] == "0"


def test_without_it_nothing_is_kept_and_no_time_is_noted():
    server = start_swiftlet("--appendonly", "yes")
    try:
        connection = server.connect()
        connection.call("SET", "a", 1)
        connection.call("SAVE")
        connection.call("SET", "a", 2)
        log = b"".join(path.read_bytes() for path in pathlib.Path(server.directory).glob("appendonly.aof.*"))
        assert b"swiftlet:b:" in log and b"swiftlet:t:" not in log
        assert not os.path.exists(os.path.join(server.directory, "history"))
    finally:
        server.stop()


@pytest.mark.parametrize(
    "value, shown", [("24h", "1d"), ("90m", "90m"), ("7", "7s"), ("0", "no"), ("no", "no"), ("48h", "2d")]
)
def test_the_time_is_written_with_a_unit(life, value, shown):
    connection = life.server.connect()
    assert connection.call("CONFIG", "SET", "snapshot-history", value) == OK
    assert bulks(connection.call("CONFIG", "GET", "snapshot-history"))[1] == shown.encode()
    for bad in ("1w", "-1", "h", "1.5h", "", "9999999d"):
        assert connection.call("CONFIG", "SET", "snapshot-history", bad).startswith(b"-ERR"), bad


def test_moments_of_a_run_with_kills():
    binary = swiftlet_binary()
    if binary is None:
        pytest.skip("swiftlet-server is not built")
    seed = new_seed()
    run = subprocess.run(
        [sys.executable, SCRIPT, "--server", binary, "--rounds", "2", "--seconds", "2.5", "--moments", "3", "--seed",
         str(seed)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
    )  # fmt: skip
    assert run.returncode == 0 and " 0 violations" in run.stdout, run.stdout
