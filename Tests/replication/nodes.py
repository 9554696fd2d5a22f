"""Servers that replicate, each with a port and a directory that outlive its processes: Swiftlet or redis-server, as a test
wants for each role.

$SWIFTLET_SERVER may name redis-server: then the tests try themselves.
"""

import contextlib
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from oracle import free_port, swiftlet_binary
from resp import Connection
from waiting import wait_until

SWIFTLET, REDIS = "swiftlet", "redis"
DIGEST_TIMEOUT = 300  # seconds


def binary_of(kind):
    found = swiftlet_binary() if kind == SWIFTLET else shutil.which("redis-server")
    return found or pytest.skip(f"{kind}: no such server here")


def stands_in(kind):
    """Whether redis-server stands in for Swiftlet, so that the test itself is tried."""
    return kind == REDIS or "redis-server" in pathlib.Path(binary_of(kind)).name


class Gone(Exception):
    """A server that did not start, or ended by itself."""


class Peer:
    """A server that somebody started, as another one's master or replica."""

    def __init__(self, kind, port):
        self.kind, self.port = kind, port
        self.connection = None

    def __str__(self):
        return f"{self.kind} on port {self.port}"

    # What is asked.

    def connect(self):
        return Connection(self.port)

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def call(self, *args):
        """The reply's bytes, on a connection of the node's own, which is made anew when it was cut."""
        if self.connection is None:
            self.connection = self.connect()
        try:
            return self.connection.call(*args)
        except OSError:
            self.close()
            raise

    def ok(self, *args):
        """As `call`, without an error."""
        reply = self.call(*args)
        assert reply[:1] not in b"-!", (str(self), args, reply)
        return reply

    def info(self, section="everything"):
        """The fields of INFO."""
        return dict(re.findall(r"^(\w+):([^\r\n]*)", self.ok("INFO", section).decode(errors="replace"), re.M))

    def number(self, field):
        return int(self.info()[field])

    def digest(self):
        """Of millions of elements it takes redis-server half a minute."""
        if self.connection is None:
            self.connection = self.connect()
        usual = self.connection.socket.gettimeout()
        self.connection.socket.settimeout(DIGEST_TIMEOUT)
        try:
            return self.ok("DEBUG", "DIGEST")
        finally:
            if self.connection:
                self.connection.socket.settimeout(usual)

    @property
    def offset(self):
        return self.number("master_repl_offset")

    def has(self, command):
        return self.call("COMMAND", "INFO", command) not in (b"*1\r\n*-1\r\n", b"*1\r\n$-1\r\n", b"*1\r\n_\r\n")

    # Replication.

    def follow(self, port):
        self.become("127.0.0.1", port)

    def lead(self):
        self.become("NO", "ONE")

    def become(self, *words):
        """REPLICAOF, which no server takes while it loads a full sync."""
        wait_until(lambda: not self.call("REPLICAOF", *words).startswith(b"-LOADING"), 60)

    def is_linked(self):
        try:
            return self.info("replication").get("master_link_status") == "up"
        except (OSError, AssertionError):
            return False

    def wait_linked(self, timeout=30):
        wait_until(self.is_linked, timeout)

    def syncs(self):
        """(full, partial, refused partial) as a master counts them since it started."""
        info = self.info("stats")
        return tuple(int(info[name]) for name in ("sync_full", "sync_partial_ok", "sync_partial_err"))


class Node(Peer):
    """A server of the test's own. `options`: pairs of setting and value; `with_file`: they go to a file, which the server may rewrite."""

    def __init__(self, kind=SWIFTLET, with_file=False, **options):
        super().__init__(kind, free_port())
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="swiftlet-replication-"))
        # Values of half a gigabyte, as SETBIT may make at random, would only take time.
        self.options = {
            "save": "", "appendonly": "no", "repl-diskless-sync-delay": "0", "proto-max-bulk-len": str(1 << 20),
        }  # fmt: skip
        self.set(**options)
        self.process = None
        self.is_paused = False
        self.file = self.directory / "server.conf" if with_file else None
        if with_file:
            self.file.write_text(
                "".join(f'{name} "{value}"\n' for name, value in self.fixed() + list(self.options.items()))
            )

    def fixed(self):
        return [
            ("port", self.port), ("bind", "127.0.0.1"), ("dir", self.directory), ("enable-debug-command", "yes"),
        ]  # fmt: skip

    def set(self, **options):
        """Settings for the next start: `repl_timeout=5` is `--repl-timeout 5`."""
        self.options |= {name.replace("_", "-"): str(value) for name, value in options.items()}

    # The process.

    def launch(self):
        """Starts it; does not wait."""
        words = [
            word for name, value in self.fixed() + list(self.options.items()) for word in (f"--{name}", str(value))
        ]
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(
                [binary_of(self.kind), *([self.file] if self.file else words)],
                stdout=log,
                stderr=log,
                cwd=self.directory,
            )
        self.is_paused = False
        return self

    def start(self, timeout=60):
        """Starts it and waits until it executes commands."""
        deadline = time.monotonic() + timeout
        self.launch()
        while not self.is_ready():
            if self.process.poll() is not None:
                # Between two lives the port may have become the other end of somebody's connection.
                if "already in use" not in self.text()[-1000:] or time.monotonic() > deadline:
                    raise Gone(f"{self} did not start:\n{self.text()[-3000:]}")
                self.launch()
            if time.monotonic() > deadline:
                raise Gone(f"{self} is not ready:\n{self.text()[-3000:]}")
            time.sleep(0.01)
        return self

    def is_ready(self):
        try:
            return not self.call("PING").startswith(b"-LOADING")
        except OSError:
            return False

    def kill(self):
        """kill -9."""
        self.end(signal.SIGKILL)

    def end(self, number=signal.SIGTERM, timeout=60):
        """The exit code."""
        self.close()
        if self.process is None:
            return None
        self.resume()
        self.process.send_signal(number)
        # redis-server does not end while it writes its first log, and forgets that it was told to.
        attempts = timeout if stands_in(self.kind) else 1
        for _ in range(attempts):
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self.process.wait(timeout / attempts)
                self.process = None
                return code
            self.process.send_signal(number)
        raise Gone(f"{self} does not end:\n{self.text()[-2000:]}")

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)
        self.is_paused = True

    def resume(self):
        if self.is_paused:
            self.process.send_signal(signal.SIGCONT)
            self.is_paused = False

    def restart(self, number=signal.SIGTERM):
        self.end(number)
        return self.start()

    def stop(self):
        """For good."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def text(self):
        """Its log, of all its lives."""
        return (self.directory / "log").read_text(errors="replace")

    def peak_memory(self):
        """Bytes that were resident at most."""
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", text).group(1)) << 10


class Nodes:
    """All that a test started, proxies too."""

    def __init__(self):
        self.started = []

    def __call__(self, kind=SWIFTLET, with_file=False, **options):
        node = Node(kind, with_file, **options)
        self.started.append(node)
        return node.start()

    def keep(self, something):
        """Something else with `stop`."""
        self.started.append(something)
        return something

    def stop(self):
        for each in reversed(self.started):
            with contextlib.suppress(OSError):
                each.stop()
