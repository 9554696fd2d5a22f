"""The log's files, as a server meets them at its start: what clients sent can be read back, and what went missing is noticed.
And a full disk: what is answered, and what goes on by itself."""

import contextlib
import os
import pathlib
import signal
import subprocess
import tempfile
import time

import pytest

from oracle import Server, free_port, start_swiftlet, swiftlet_binary
from resp import encode

LOG = ("--appendonly", "yes")


@contextlib.contextmanager
def again(first, *options):
    """The server on the same directory, after kill -9."""
    first.process.kill()
    first.process.wait()
    second = Server(swiftlet_binary(), (*LOG, *options, "--dir", first.directory))
    try:
        yield second.connect()
    finally:
        second.stop()


@contextlib.contextmanager
def running(*options):
    server = start_swiftlet(*LOG, *options)
    try:
        yield server
    finally:
        server.stop()


def refusal(directory, *options):
    """What a server says that does not start there."""
    run = subprocess.run(
        [swiftlet_binary(), "--port", str(free_port()), "--bind", "127.0.0.1", "--dir", directory, "--save", "", *LOG, *options],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30, cwd=directory,
    )  # fmt: skip
    assert run.returncode == 1, run.stdout
    return run.stdout


def segments(server):
    return sorted(pathlib.Path(server.directory).glob("appendonly.aof.*"))


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"*3\r\n$3\r\nSETxx$1\r\nkxx$1\r\nvxx",
        b"*3\rX$3\rXSET\r\n$1\r\nk\r\n$1\r\nv\r\n",
        b'SET k "a b\\x00\\r\\n"\r\n',
        b"*1\r\n$5\r\nMULTIxx*3\r\n$3\r\nSETxx$1\r\nkxx$1\r\nvxx*1\r\n$4\r\nEXECxx",
        encode(["RPUSH", "k", *["x"] * (1 << 20)]),
    ],
    ids=["bulk-ends", "line-ends", "inline", "queued", "arguments"],
)
def test_what_a_client_sends_can_be_read_back(request_bytes):
    with running() as server:
        connection = server.connect()
        connection.socket.sendall(request_bytes + encode(["SET", "after", "1"]) + encode(["ECHO", "done"]))
        while connection.reply() != b"$4\r\ndone\r\n":
            pass
        with again(server) as connection:
            assert connection.call("EXISTS", "k", "after") == b":2\r\n"


def test_limits_of_today_do_not_refuse_what_was_allowed():
    with running("--proto-max-bulk-len", "4mb") as server:
        connection = server.connect()
        assert connection.call("SETRANGE", "k", 3 << 20, "x") == b":3145729\r\n"
        assert connection.call("SETBIT", "b", 3 << 23, 1) == b":0\r\n"
        with again(server, "--proto-max-bulk-len", "1mb") as connection:
            assert connection.call("STRLEN", "k") == b":3145729\r\n"


def test_replay_counts_as_nothing():
    with running("--slowlog-log-slower-than", "1000000") as server:
        server.connect().pipeline([["SET", "k", i] for i in range(10)])
        with again(server, "--slowlog-log-slower-than", "1000000") as connection:
            assert connection.call("SLOWLOG", "LEN") == b":0\r\n"
            assert b"cmdstat_set:" not in connection.call("INFO", "commandstats")


# MARK: What went missing


def test_missing_files_are_noticed():
    with running() as server:
        connection = server.connect()
        assert connection.call("SET", "k", 1) == b"+OK\r\n"
        assert connection.call("SAVE") == b"+OK\r\n"
        server.process.kill()
        server.process.wait()
        directory = pathlib.Path(server.directory)
        snapshot = (directory / "dump.sqlite").read_bytes()
        for path in [*segments(server), *directory.glob("dump.sqlite*")]:
            path.unlink()
        assert "swiftlet.lock" in refusal(server.directory) and "start empty" in refusal(server.directory)
        (directory / "dump.sqlite").write_bytes(snapshot)
        assert "appendonly.aof.0000000002" in refusal(server.directory)


def test_missing_last_segment_is_noticed_while_checkpoints_fail():
    """The snapshot names an older segment, so that only the directory's record knows of the last."""
    with running() as server:
        connection = server.connect()
        assert connection.call("SET", "k", 1) == b"+OK\r\n"
        # A database in the snapshot's place cannot be written to.
        for path in pathlib.Path(server.directory).glob("dump.sqlite*"):
            path.unlink()
        (pathlib.Path(server.directory) / "dump.sqlite").mkdir()
        assert connection.call("SAVE").startswith(b"-")
        assert connection.call("SET", "l", 1) == b"+OK\r\n"
        record = pathlib.Path(server.directory) / "swiftlet.lock"
        deadline = time.monotonic() + 10
        # Server and segment stand at fixed places.
        while int(record.read_bytes()[50:69]) != 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        server.process.kill()
        server.process.wait()
        (pathlib.Path(server.directory) / "dump.sqlite").rmdir()
        last = segments(server)[-1]
        content = last.read_bytes()
        last.unlink()
        assert last.name in refusal(server.directory)
        # A restored backup has no record.
        record.unlink()
        with again(server) as connection:
            assert connection.call("EXISTS", "k", "l") == b":1\r\n"
        assert b"l" in content


# MARK: A full disk


@pytest.fixture
def small_disk():
    """A file system of 24 MB and what fills it; root's only."""
    directory = tempfile.mkdtemp(prefix="swiftlet-full-")
    mounted = os.getuid() == 0 and not subprocess.call(
        ["mount", "-t", "tmpfs", "-o", "size=24M", "none", directory], stderr=subprocess.DEVNULL
    )
    if not mounted:
        os.rmdir(directory)
        pytest.skip("only root can mount a small file system")
    yield pathlib.Path(directory)
    subprocess.call(["umount", "-l", directory])
    os.rmdir(directory)


def fill(path):
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(65536))


def info(connection, field):
    for line in connection.call("INFO", "persistence").split(b"\r\n"):
        if line.startswith(field.encode() + b":"):
            return line.split(b":")[1].decode()
    return None


@pytest.mark.parametrize("appendfsync", ["always", "everysec", "no"])
def test_full_disk(small_disk, appendfsync):
    data = small_disk / "data"
    data.mkdir()
    server = start_swiftlet(*LOG, "--appendfsync", appendfsync, "--dir", str(data), "--save", "3600 1000000")
    try:
        connection = server.connect()
        connection.pipeline([["SET", f"key:{i}", "x"] for i in range(1000)])
        fill(small_disk / "filler")
        written = 0
        while (reply := connection.call("SET", "grows", "x" * 10000)) == b"+OK\r\n":
            written += 1
            assert written < 5000
        # The cause and the file.
        assert reply.startswith(b"-MISCONF Errors writing to the AOF file: No space left on device"), reply
        assert b"appendonly.aof.0000000001" in reply
        # Reads, and what frees, are answered and logged.
        assert connection.call("GET", "key:1") == b"$1\r\nx\r\n"
        assert connection.call("DBSIZE").startswith(b":")
        assert info(connection, "aof_last_write_status") == "err"
        assert connection.pipeline([["DEL", f"key:{i}"] for i in range(500)]) == [b":1\r\n"] * 500
        assert connection.call("UNLINK", "key:500", "nothing") == b":1\r\n"
        # A checkpoint fails, and says so.
        assert connection.call("BGSAVE").startswith(b"+Background")
        deadline = time.monotonic() + 10
        while info(connection, "rdb_bgsave_in_progress") != "0":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert info(connection, "rdb_last_bgsave_status") == "err"
        # It goes on by itself, checkpoints too.
        (small_disk / "filler").unlink()
        deadline = time.monotonic() + 15
        while connection.call("SET", "again", 1) != b"+OK\r\n":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert info(connection, "rdb_last_bgsave_status") == "ok"
        text = pathlib.Path(server.log.name).read_text(errors="replace")
        assert text.count("Writes are accepted again") == text.count("Writes are refused from here on") >= 1
        server.process.kill()
        server.process.wait()
        second = Server(swiftlet_binary(), (*LOG, "--dir", str(data)))
        try:
            connection = second.connect()
            assert connection.call("DBSIZE") == b":501\r\n"
            assert connection.call("EXISTS", "again") == b":1\r\n"
        finally:
            second.stop()
    finally:
        server.stop()


def test_reads_do_not_wait_for_a_slow_disk():
    """Under `always`, a read of what is durable is answered while a write waits for its sync."""
    if subprocess.call(["which", "strace"], stdout=subprocess.DEVNULL):
        pytest.skip("strace is not installed")
    server = start_swiftlet(*LOG, "--appendfsync", "always")
    tracer = None
    try:
        first, second = server.connect(), server.connect()
        assert first.call("SET", "old", 1) == b"+OK\r\n"
        tracer = subprocess.Popen(
            ["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(server.process.pid), "-e", "trace=fdatasync",
             "-e", "inject=fdatasync:delay_enter=3000000"], stderr=subprocess.DEVNULL,
        )  # fmt: skip
        threads = pathlib.Path(f"/proc/{server.process.pid}/task")
        deadline = time.monotonic() + 10
        while any("TracerPid:\t0\n" in (thread / "status").read_text() for thread in threads.iterdir()):
            if tracer.poll() is not None or time.monotonic() > deadline:
                pytest.skip("strace may not trace")
            time.sleep(0.01)
        first.send("SET", "new", 1)
        began = time.monotonic()
        while second.call("PING") and time.monotonic() - began < 0.2:
            pass
        for request in ["GET", "old"], ["PING"], ["INFO"], ["CONFIG", "GET", "port"], ["SET", "old", 2, "NX"]:
            second.call(*request)
        assert time.monotonic() - began < 1.5
        # This one would show the write.
        assert second.call("GET", "new") == b"$1\r\n1\r\n"
        assert time.monotonic() - began > 1.5
        assert first.reply() == b"+OK\r\n"
    finally:
        if tracer:
            tracer.send_signal(signal.SIGKILL)
            tracer.wait()
        server.stop()
