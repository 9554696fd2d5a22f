"""Servers for the tests: Swiftlet, and redis-server as the oracle that says what is right.

Replies are compared as the bytes that came over the wire, so a difference in type or protocol shows as well as one in
value. Nothing here decodes a reply further than to find its end.
"""

import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

import pytest

# Tests may import these from here too.
from resp import Connection, bulk, bulks, encode, integer  # noqa: F401
from seed import new_seed, seeded  # noqa: F401

ROOT = pathlib.Path(__file__).resolve().parents[2]


def swiftlet_binary():
    """Path of the server under test: $SWIFTLET_SERVER, or the newest one that was built."""
    given = os.environ.get("SWIFTLET_SERVER")
    if given:
        return given
    built = [p for p in (ROOT / ".build").glob("*/swiftlet-server") if p.is_file()]
    built += [p for p in (ROOT / ".build").glob("*/Server") if p.is_file()]
    return str(max(built, key=lambda p: p.stat().st_mtime)) if built else None


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """A server process on a free port of its own, in a directory of its own."""

    def __init__(self, command, options=()):
        self.directory = tempfile.mkdtemp(prefix="swiftlet-test-")
        self.port = free_port()
        self.log = open(os.path.join(self.directory, "log"), "wb")
        arguments = [
            command,
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--dir",
            self.directory,
            "--save",
            "",
            "--appendonly",
            "no",
            "--enable-debug-command",
            "yes",
            *options,
        ]
        self.process = subprocess.Popen(arguments, stdout=self.log, stderr=self.log, cwd=self.directory)
        deadline = time.monotonic() + 20
        while True:
            try:
                if self.has_loaded():
                    return
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                text = pathlib.Path(self.log.name).read_text(errors="replace")
                self.stop()
                raise RuntimeError(f"{command} did not start:\n{text}")
            time.sleep(0.02)

    def has_loaded(self):
        """Whether commands are executed; raises OSError where nobody listens."""
        connection = self.connect()
        try:
            return not connection.call("PING").startswith(b"-LOADING")
        finally:
            connection.close()

    def connect(self):
        return Connection(self.port)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def start_swiftlet(*options):
    binary = swiftlet_binary()
    if binary is None:
        pytest.skip("swiftlet-server is not built")
    return Server(binary, options)


def start_redis(*options):
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("redis-server is not installed")
    return Server(binary, options)


class Pair:
    """The same requests to both servers."""

    def __init__(self, swiftlet, oracle):
        self.swiftlet = swiftlet
        self.oracle = oracle

    def __call__(self, *args):
        """The reply, which must be the oracle's, byte for byte."""
        expected, got = self.oracle.call(*args), self.swiftlet.call(*args)
        assert got == expected, f"{args}: {got[:300]!r}, and the oracle {expected[:300]!r}"
        return got

    def each(self, text):
        """Calls with each line of `text`, split at spaces; lines with # are comments."""
        for line in text.strip().splitlines():
            words = line.split()
            if words and not words[0].startswith("#"):
                self(*words)

    def unordered(self, *args):
        """As a call, for replies that are one array of bulk strings in no order."""
        expected, got = self.oracle.call(*args), self.swiftlet.call(*args)
        assert sorted(bulks(got)) == sorted(bulks(expected)), args
        return got

    def near(self, *args, slack):
        """As a call, for integers that depend on the time: they may differ by `slack`."""
        expected, got = self.oracle.call(*args), self.swiftlet.call(*args)
        assert abs(integer(got) - integer(expected)) <= slack, (args, got, expected)
        return integer(got)

    def alike(self, pattern, *args):
        """For errors that Redis 7.2 words differently from the oracle: ours must be `pattern`."""
        self.oracle.call(*args)
        assert self.swiftlet.call(*args) == pattern
