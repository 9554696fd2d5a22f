"""Where a server listens, and what becomes of the sockets."""

import os
import resource
import shutil
import signal
import socket
import stat
import subprocess

import pytest

from launched import Launched
from oracle import swiftlet_binary
from waiting import wait_until


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
@pytest.mark.parametrize("bind", [[], ["--bind", "* -::*"], ["--bind", "::*"], ["--bind", "127.0.0.1 -::1"]])
def test_ipv6(bind):
    process = Launched(swiftlet_binary(), *bind, "--protected-mode", "no", waits=False)
    try:

        def answers():
            try:
                with socket.create_connection(("::1", process.port), timeout=5) as s:
                    s.sendall(b"PING\r\n")
                    return s.recv(100) == b"+PONG\r\n"
            except OSError:
                assert not process.has_ended(), process.output()
                return False

        wait_until(answers)
        assert process.is_listening() == (bind != ["--bind", "::*"])
    finally:
        process.stop()


@pytest.mark.parametrize(
    "options", [("--port", "0"), ("--bind", ""), ("--bind", "-198.51.100.7"), ("--bind", "198.51.100.7")]
)
def test_listening_nowhere_is_an_error(options):
    process = Launched(swiftlet_binary(), *options, waits=False)
    try:
        assert process.process.wait(20) == 1
        if options[1] != "198.51.100.7":
            assert b"Configured to not listen anywhere, exiting." in process.output()
    finally:
        process.stop()


def test_an_address_in_use_is_an_error_though_it_is_optional():
    first = Launched(swiftlet_binary())
    second = None
    try:
        second = Launched(swiftlet_binary(), "--bind", "-127.0.0.1", port=first.port, waits=False)
        assert second.process.wait(20) == 1
        assert b"Address already in use" in second.output()
    finally:
        first.stop()
        if second:
            second.stop()


class TestUnixSocket:
    @pytest.fixture
    def path(self, tmp_path):
        return str(tmp_path / "s.sock")

    @staticmethod
    def start(path, *options):
        process = Launched(swiftlet_binary(), "--port", "0", "--unixsocket", path, *options, port=0, waits=False)

        def answers():
            assert not process.has_ended(), process.output()
            try:
                with socket.socket(socket.AF_UNIX) as s:
                    s.connect(path)
                    s.sendall(b"PING\r\n")
                    return s.recv(100) == b"+PONG\r\n"
            except OSError:
                return False

        wait_until(answers)
        return process

    @pytest.mark.parametrize("mode", [0o700, 0o777, 0o600])
    def test_mode(self, path, mode):
        process = self.start(path, "--unixsocketperm", oct(mode)[2:])
        try:
            assert stat.S_IMODE(os.lstat(path).st_mode) == mode
        finally:
            process.stop()

    def test_the_file_is_never_wider_than_its_mode(self, path, tmp_path):
        if subprocess.run(["strace", "-V"], capture_output=True).returncode:
            pytest.skip("no strace")
        trace = tmp_path / "trace"
        umask = os.umask(0)
        try:
            command = ["strace", "-f", "-o", str(trace), "-e", "trace=bind,listen,chmod,fchmod", swiftlet_binary()]
            process = subprocess.Popen(
                [*command, "--port", "0", "--unixsocket", path, "--unixsocketperm", "600", "--dir", str(tmp_path)],
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        finally:
            os.umask(umask)
        try:
            wait_until(lambda: trace.exists() and "listen(" in trace.read_text())
            calls = [line.split(None, 1)[1].split("(")[0] for line in trace.read_text().splitlines()]
            calls = [c for c in calls if c in ("fchmod", "bind", "chmod", "listen")]
            assert calls.index("fchmod") < calls.index("bind") < calls.index("listen")
            assert calls.index("chmod") < calls.index("listen")
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_the_file_goes_at_exit(self, path, number):
        process = self.start(path)
        try:
            assert process.terminate(number) == 0
            assert not os.path.lexists(path)
        finally:
            process.stop()

    def test_a_stale_file_is_replaced_and_anothers_socket_stays(self, path):
        first = self.start(path)
        inode = os.lstat(path).st_ino
        second = self.start(path)
        try:
            wait_until(lambda: os.path.lexists(path) and os.lstat(path).st_ino != inode)
            inode = os.lstat(path).st_ino
            assert first.terminate() == 0
            assert os.lstat(path).st_ino == inode
            second.process.kill()
            second.process.wait()
            assert os.path.lexists(path)
            third = self.start(path)
            third.stop()
        finally:
            first.stop()
            second.stop()

    def test_a_file_that_is_no_socket_stays(self, path):
        with open(path, "w") as f:
            f.write("mine")
        process = Launched(swiftlet_binary(), "--unixsocket", path, waits=False)
        try:
            assert process.process.wait(20) == 1
            assert b"no socket" in process.output()
            assert open(path).read() == "mine"
        finally:
            process.stop()


def test_a_file_size_limit_does_not_kill():
    process = Launched(
        swiftlet_binary(),
        "--appendonly",
        "yes",
        prepare=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)),
    )
    try:
        connection = process.connect()
        for _ in range(20):
            connection.send("SET", "k", b"x" * 100_000)
        # What could not be logged is not acknowledged; everybody else is served.
        other = process.connect()
        wait_until(lambda: other.call("SET", "a", 1).startswith(b"-MISCONF"))
        assert other.call("GET", "k").startswith(b"$100000")
    finally:
        process.stop()


def outside():
    """An address of this machine that is not a loopback one; None: it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            # Nothing is sent: the kernel says from where it would be.
            s.connect(("192.0.2.99", 9))
        except OSError:
            return None
        address = s.getsockname()[0]
        return None if address.startswith("127.") else address


def test_protected_mode():
    """Who comes from elsewhere is told, in redis-server's words, while there is no password."""
    address = outside()
    if address is None:
        pytest.skip("needs an address beside the loopback one")
    servers = [Launched(binary, "--bind", "*") for binary in (swiftlet_binary(), shutil.which("redis-server"))]
    try:

        def heard(server):
            with socket.create_connection((address, server.port), timeout=10) as s:
                text = b""
                s.sendall(b"PING\r\n")
                try:
                    while not text.endswith(b"\r\n") and (data := s.recv(4096)):
                        text += data
                except ConnectionError:
                    pass
                return text

        def both(*words):
            assert len({server.connect().call(*words) for server in servers}) == 1
            texts = {heard(server) for server in servers}
            assert len(texts) == 1, texts
            return texts.pop()

        assert both("PING").startswith(b"-DENIED ")
        assert both("CONFIG", "SET", "protected-mode", "no") == b"+PONG\r\n"
        assert both("CONFIG", "SET", "protected-mode", "yes", "requirepass", "secret").startswith(b"-NOAUTH")
    finally:
        for server in servers:
            server.stop()
