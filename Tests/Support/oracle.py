"""Servers for the tests: Swiftlet, and redis-server as the oracle that says what is right.

Replies are compared as the bytes that came over the wire, so a difference in type or protocol shows as well as one in
value. Nothing here decodes a reply further than to find its end.
"""

import os
import pathlib
import random
import shutil
import socket
import subprocess
import tempfile
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def swiftlet_binary():
    """Path of the server under test: $SWIFTLET_SERVER, or the newest one that was built."""
    given = os.environ.get("SWIFTLET_SERVER")
    if given:
        return given
    built = [p for p in (ROOT / ".build").glob("*/swiftlet-server") if p.is_file()]
    built += [p for p in (ROOT / ".build").glob("*/Server") if p.is_file()]
    return str(max(built, key=lambda p: p.stat().st_mtime)) if built else None


def new_seed(number=0):
    """The seed of a test, printed: $SWIFTLET_SEED, which `make test` sets, else a random one. `number` tells apart the
    runs of a test that has several."""
    seed = int(os.environ.get("SWIFTLET_SEED") or random.randrange(1 << 32)) + number
    print("seed", seed - number)
    return seed


def seeded():
    """Random numbers from `new_seed`."""
    return random.Random(new_seed())


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def encode(args):
    """A request. Strings are sent as UTF-8, numbers in decimal."""
    out = [b"*%d\r\n" % len(args)]
    for arg in args:
        if not isinstance(arg, bytes):
            arg = str(arg).encode()
        out.append(b"$%d\r\n%s\r\n" % (len(arg), arg))
    return b"".join(out)


class Connection:
    """A raw connection: requests in, the bytes of each reply out."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.start = 0

    def close(self):
        self.socket.close()

    def send(self, *args):
        self.socket.sendall(encode(args))

    def call(self, *args):
        """The reply's bytes, as they came."""
        self.send(*args)
        return self.reply()

    def pipeline(self, requests):
        self.socket.sendall(b"".join(encode(r) for r in requests))
        return [self.reply() for _ in requests]

    def reply(self):
        begin, end = self.start, self._end(self.start)
        # _end may have read more, but never moves what it has.
        data = bytes(self.buffer[begin:end])
        self.start = end
        if self.start > 1 << 20:
            del self.buffer[: self.start]
            self.start = 0
        return data

    def _fill(self):
        data = self.socket.recv(1 << 18)
        if not data:
            raise ConnectionError("the server closed the connection")
        self.buffer += data

    def _end(self, at):
        """Where the reply that begins at `at` ends."""
        pending = 1
        while pending:
            pending -= 1
            line_end = self.buffer.find(b"\r\n", at)
            while line_end < 0:
                self._fill()
                line_end = self.buffer.find(b"\r\n", at)
            kind, rest = self.buffer[at : at + 1], self.buffer[at + 1 : line_end]
            at = line_end + 2
            if kind in b"$=!" and rest != b"-1":
                at += int(rest) + 2
                while len(self.buffer) < at:
                    self._fill()
            elif kind in b"*~>" and rest != b"-1":
                pending += int(rest)
            elif kind in b"%":
                pending += 2 * int(rest)
            elif kind in b"|":
                pending += 2 * int(rest) + 1
            elif kind not in b"+-:_,#($=!*~>":
                raise ValueError(f"no reply starts with {bytes(kind)!r}")
        return at


class Server:
    """A server process on a free port of its own, in a directory of its own."""

    def __init__(self, command, options=()):
        self.directory = tempfile.mkdtemp(prefix="swiftlet-test-")
        self.port = free_port()
        self.log = open(os.path.join(self.directory, "log"), "wb")
        arguments = [
            command, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.directory, "--save", "",
            "--appendonly", "no", "--enable-debug-command", "yes", *options,
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


def integer(reply):
    assert reply[:1] == b":", reply
    return int(reply[1:])


def bulk(reply):
    """The bytes of a bulk string; None for null."""
    return None if reply in (b"$-1\r\n", b"_\r\n") else reply[reply.index(b"\r\n") + 2 : -2]


def bulks(reply):
    """The elements of an array of bulk strings."""
    assert reply[:1] in b"*~", reply
    found = []
    at = reply.index(b"\r\n") + 2
    while at < len(reply):
        line_end = reply.index(b"\r\n", at)
        length = int(reply[at + 1 : line_end])
        found.append(reply[line_end + 2 : line_end + 2 + length] if length >= 0 else None)
        at = line_end + 2 + (length + 2 if length >= 0 else 0)
    return found
