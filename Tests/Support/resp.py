"""RESP as all tests and benchmarks speak it: requests out, the bytes of each reply in, and ways to take a reply apart.

Standard library only, as benchmarks run without the tests' packages.
"""

import socket


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


def split(data, count, at=0):
    """The first `count` replies in `data`, each as its bytes."""
    found = []
    find = data.find
    for _ in range(count):
        begin = at
        pending = 1
        while pending:
            pending -= 1
            end = find(b"\r\n", at)
            kind = data[at]
            if kind in b"$=!":
                length = int(data[at + 1 : end])
                at = end + 2 if length < 0 else end + 4 + length
                continue
            if kind in b"*~>":
                pending += max(0, int(data[at + 1 : end]))
            elif kind == 37:  # %
                pending += 2 * int(data[at + 1 : end])
            at = end + 2
        found.append(data[begin:at])
    return found


def elements(reply):
    """The elements of an array, set or map, as bytes; None of anything else."""
    if reply[:1] not in (b"*", b"~", b"%"):
        return None
    end = reply.index(b"\r\n")
    count = int(reply[1:end]) * (2 if reply[:1] == b"%" else 1)
    return split(reply, count, end + 2) if count >= 0 else None


def header(reply):
    return reply[: reply.index(b"\r\n")]


def parsed(reply):
    """A reply as nested lists, maps flattened: without what differs between protocols."""
    found = elements(reply)
    if found is None:
        return reply
    return [parsed(element) for element in found]


def decoded(reply):
    """A reply as Python has it: integers, bytes, None, and lists, into which maps are flattened. Simple strings and errors
    keep their first byte."""
    return _decoded(reply, 0)[0]


def _decoded(reply, at):
    end = reply.index(b"\r\n", at)
    kind, rest = reply[at : at + 1], reply[at + 1 : end]
    if kind == b":":
        return int(rest), end + 2
    if kind == b"_" or rest == b"-1":
        return None, end + 2
    if kind in b"+-,#(":
        return reply[at:end], end + 2
    at = end + 2
    if kind in b"$=!":
        return reply[at : at + int(rest)], at + int(rest) + 2
    items = []
    for _ in range(int(rest) * (2 if kind == b"%" else 1)):
        item, at = _decoded(reply, at)
        items.append(item)
    return items, at


def connect_slow_reader(server):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.settimeout(10)
    s.connect(("127.0.0.1", server.port))
    return s
