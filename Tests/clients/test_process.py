"""The server as a process: in the background, its pid file, its title, its log and syslog, a crash."""

import os
import pathlib
import signal
import socket
import subprocess

import pytest

from launched import Launched
from oracle import free_port, swiftlet_binary
from resp import Connection
from waiting import wait_until


@pytest.fixture
def launch():
    started = []

    def start(*options, **named):
        started.append(Launched(swiftlet_binary(), *options, **named))
        return started[-1]

    yield start
    for server in started:
        server.stop()


def is_running(pid):
    try:
        os.kill(pid, 0)
        # A child of nobody who waits for it stays as a zombie.
        return "\nState:\tZ" not in pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_it_goes_on_in_the_background(tmp_path):
    port = free_port()
    command = [swiftlet_binary(), "--port", str(port), "--dir", str(tmp_path), "--daemonize", "yes"]
    command += ["--pidfile", "server.pid", "--logfile", "server.log", "--save", ""]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    pid_file = tmp_path / "server.pid"
    wait_until(lambda: "Ready to accept" in (tmp_path / "server.log").read_text())
    pid = int(pid_file.read_text())
    try:
        assert Connection(port).call("PING") == b"+PONG\r\n"
        assert os.getsid(pid) == pid
        assert {os.readlink(f"/proc/{pid}/fd/{i}") for i in range(3)} == {"/dev/null"}
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not is_running(pid))
        assert not pid_file.exists()
    finally:
        if is_running(pid):
            os.kill(pid, signal.SIGKILL)


def test_ps_shows_the_title(launch):
    server = launch("--bind", "127.0.0.1", prepare=lambda: os.environ.update(MARK="there"))
    connection = server.connect()

    def title():
        return pathlib.Path(f"/proc/{server.pid}/cmdline").read_bytes().rstrip(b"\0").decode()

    assert title() == f"{swiftlet_binary()} 127.0.0.1:{server.port}"
    connection.call("CONFIG", "SET", "proc-title-template", "cache {port}{server-mode} ")
    assert title() == f"cache {server.port}"
    assert connection.call("CONFIG", "SET", "proc-title-template", "{x}")[:1] == b"-"
    connection.call("CONFIG", "SET", "proc-title-template", "x" * 100_000)
    assert set(title()) == {"x"}
    assert connection.call("PING") == b"+PONG\r\n"
    plain = launch("--set-proc-title", "no")
    plain.connect()
    assert b"--set-proc-title" in pathlib.Path(f"/proc/{plain.pid}/cmdline").read_bytes()


def test_a_log_that_was_renamed_goes_on_in_a_new_file(launch, tmp_path):
    log = tmp_path / "server.log"
    server = launch("--logfile", str(log))
    connection = server.connect()
    connection.call("DEBUG", "LOG", "before")
    log.rename(tmp_path / "server.log.1")
    connection.call("DEBUG", "LOG", "after")
    assert "before" in (tmp_path / "server.log.1").read_text()
    assert "after" in log.read_text() and "before" not in log.read_text()


@pytest.mark.skipif(os.geteuid() != 0 or os.path.exists("/dev/log"), reason="needs to be syslog")
def test_syslog_has_every_line(launch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind("/dev/log")
        syslog.settimeout(60)
        try:
            server = launch("--syslog-enabled", "yes", "--syslog-ident", "cache 1", "--syslog-facility", "local3")
            # 19 * 8 and 5, a notice.
            line = syslog.recv(4096).rstrip(b"\0")
            assert line.startswith(b"<157>") and line.endswith(b" cache 1[%d]: Swiftlet is starting" % server.pid)
        finally:
            os.unlink("/dev/log")


@pytest.mark.parametrize("reported", [True, False])
def test_a_crash_leaves_a_report(launch, tmp_path, reported):
    log = tmp_path / "server.log"
    server = launch("--logfile", str(log), "--crash-log-enabled", "yes")
    connection = server.connect()
    connection.call("CONFIG", "SET", "crash-log-enabled", "yes" if reported else "no")
    connection.send("DEBUG", "SEGFAULT")
    wait_until(server.has_ended)
    assert server.process.returncode == -signal.SIGSEGV
    assert ("crashed by signal: 11\n------ STACK TRACE ------\n" in log.read_text()) == reported
