"""Both servers side by side: batches out, replies compared."""

import socket

from differences import known
from generator import Plain, Scan, Spop
from resp import Connection, bulk, bulks, elements, encode, split

BATCH = 150
END = b"the end of a batch, which no reply contains"
END_REQUEST = encode(["ECHO", END])
END_REPLY = b"$%d\r\n%s\r\n" % (len(END), END)


class Difference(Exception):
    def __init__(self, command, ours, oracles, unit=None):
        super().__init__(f"{shown(command)}\n    Swiftlet     {ours[:1500]!r}\n    redis-server {oracles[:1500]!r}")
        self.unit = unit


def shown(command):
    """A command as Python would have it, to be put into a test."""
    return "[" + ", ".join(repr(a if isinstance(a, (bytes, str)) else str(a)) for a in command) + "]"


class Side:
    """A connection to one server."""

    def __init__(self, port):
        self.connection = Connection(port)
        self.socket = self.connection.socket
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)

    def close(self):
        self.connection.close()

    def call(self, *args):
        return self.connection.call(*args)

    def send(self, requests):
        self.socket.sendall(requests + END_REQUEST)

    def replies(self):
        """All bytes up to the end of the batch. Nothing else is on its way."""
        parts = bytearray()
        while not parts.endswith(END_REPLY):
            data = self.socket.recv(1 << 20)
            if not data:
                raise ConnectionError("the server closed the connection")
            parts += data
        return bytes(parts[: -len(END_REPLY)])


class Entry:
    """Commands that belong together, as they went over the wire."""

    __slots__ = ("commands", "requests")

    def __init__(self, commands):
        self.commands = commands
        self.requests = b"".join(encode(args) for args, _ in commands)


class Session:
    """Commands to both. `history` has all that was sent, for replaying; it is cut by `forget`."""

    def __init__(self, swiftlet_port, oracle_port):
        self.swiftlet, self.oracle = Side(swiftlet_port), Side(oracle_port)
        self.history = []
        self.waiting = []
        self.size = 0
        self.executed = 0

    def reconnect(self, swiftlet_port):
        self.swiftlet.close()
        self.swiftlet = Side(swiftlet_port)
        self.both("HELLO", 2)
        self.both("SELECT", 0)

    def close(self):
        self.swiftlet.close()
        self.oracle.close()

    def both(self, *args):
        """A command whose replies do not matter."""
        self.flush()
        entry = Entry([(list(args), lambda *_: True)])
        self.history.append(entry)
        for side in (self.swiftlet, self.oracle):
            side.call(*args)

    def put(self, unit):
        if isinstance(unit, Plain):
            if unit.commands:
                self.add(Entry(unit.commands))
        else:
            self.flush()
            self.executed += 1
            self.history.append(None)
            if isinstance(unit, Spop):
                self.spop(unit)
            elif isinstance(unit, Scan):
                self.scan(unit)
            else:
                self.transfer(unit)

    def add(self, entry):
        self.waiting.append(entry)
        self.size += len(entry.commands)
        if self.size >= BATCH:
            self.flush()

    def flush(self):
        if not self.waiting:
            return
        entries, self.waiting = self.waiting, []
        self.executed += self.size
        self.size = 0
        requests = b"".join(entry.requests for entry in entries)
        self.swiftlet.send(requests)
        self.oracle.send(requests)
        try:
            ours, oracles = self.swiftlet.replies(), self.oracle.replies()
        except (OSError, ConnectionError) as error:
            self.history += entries
            raise Difference(["(a batch)"], str(error).encode(), b"", entries) from None
        if ours != oracles:
            count = sum(len(entry.commands) for entry in entries)
            ours, oracles = split(ours, count), split(oracles, count)
            at = 0
            for number, entry in enumerate(entries):
                for args, how in entry.commands:
                    a, b = ours[at], oracles[at]
                    at += 1
                    if a != b and not how(args, a, b) and not known(args, a, b):
                        self.history += entries[: number + 1]
                        raise Difference(args, a, b, entry)
        self.history += entries

    # What is not the same for both.

    def spop(self, unit):
        """Swiftlet chooses, the oracle removes what it chose."""
        command = unit.command
        ours = self.swiftlet.call(*command)
        chosen = (
            [bulk(e) for e in elements(ours) or []] if ours[:1] in b"*~" else [bulk(ours)] if ours[:1] == b"$" else []
        )
        chosen = [c for c in chosen if c is not None]
        if not chosen:
            self.history[-1] = Entry([(command, lambda *_: True)])
            oracles = self.oracle.call(*command)
            if ours != oracles:
                raise Difference(command, ours, oracles)
            return
        self.history[-1] = Entry([(["SREM", command[1], *chosen], lambda *_: True)])
        removed = self.oracle.call("SREM", command[1], *chosen)
        wanted = int(command[2]) if len(command) > 2 else 1
        left = self.oracle.call("EXISTS", command[1])
        if removed != b":%d\r\n" % len(chosen) or len(chosen) > wanted or (len(chosen) < wanted and left == b":1\r\n"):
            raise Difference(command, ours, b"removed the same: " + removed)

    def scan(self, unit):
        """A whole iteration finds the same with both."""
        ours, oracles = (self.whole(side, unit) for side in (self.swiftlet, self.oracle))
        self.history.pop()
        if ours != oracles:
            only = f"only with Swiftlet: {ours - oracles}; only with redis-server: {oracles - ours}"
            raise Difference([*unit.head, 0, *unit.options], only.encode(), b"")

    def whole(self, side, unit):
        cursor, found = b"0", []
        while True:
            reply = side.call(*unit.head, cursor, *unit.options)
            if reply[:1] == b"-":
                return {reply}
            head, rest = split(reply, 2, reply.index(b"\r\n") + 2)
            cursor = bulk(head)
            found += elements(rest)
            if cursor == b"0":
                break
        if unit.head[0] == "HSCAN":
            return set(zip(found[::2], found[1::2]))
        if unit.head[0] == "ZSCAN":
            # redis-server writes 1e17 in another way in a listpack than in a skiplist.
            return {(member, float(bulk(score))) for member, score in zip(found[::2], found[1::2])}
        return set(found)

    def transfer(self, unit):
        """DUMP by one, RESTORE by both."""
        payloads = [side.call("DUMP", unit.source) for side in (self.swiftlet, self.oracle)]
        nulls = [payload[:3] in (b"$-1", b"_\r\n") for payload in payloads]
        if nulls[0] != nulls[1]:
            raise Difference(["DUMP", unit.source], *payloads)
        payload = b"" if nulls[0] else bulk(payloads[0 if unit.swiftlets else 1])
        if unit.damaged and payload:
            payload = payload[:-1] + bytes([payload[-1] ^ 1])
        command = ["RESTORE", unit.destination, unit.time, payload, *unit.options]
        self.history[-1] = entry = Entry([(command, lambda *_: False)])
        ours, oracles = self.swiftlet.call(*command), self.oracle.call(*command)
        if ours != oracles:
            raise Difference(command, ours, oracles, entry)

    # What is stored.

    def digests(self):
        self.flush()
        ours, oracles = self.swiftlet.call("DEBUG", "DIGEST"), self.oracle.call("DEBUG", "DIGEST")
        if ours != oracles:
            raise Difference(["DEBUG", "DIGEST"], ours, oracles)
        return ours


def values(side):
    """Database and key to the digest of the value, its type and its expiry, for finding what differs."""
    found = {}
    for database in range(16):
        side.call("SELECT", database)
        keys = bulks(side.call("KEYS", "*"))
        for command in (("DEBUG", "DIGEST-VALUE"), ("TYPE",), ("PEXPIRETIME",)):
            for key, reply in zip(keys, side.connection.pipeline([(*command, key) for key in keys])):
                found.setdefault((database, key), []).append(reply)
    side.call("SELECT", 0)
    return found
