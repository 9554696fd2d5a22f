"""From a long history to a few commands that show the same difference."""

import time

from differences import known
from oracle import start_redis, start_swiftlet
from resp import split
from session import Side, shown, values

LIMIT = 60  # seconds
CONTEXT = ("SELECT", "HELLO", "SWAPDB", "FLUSHDB", "FLUSHALL", "CONFIG")


class Replay:
    """Servers of their own, on which histories are tried."""

    def __init__(self, settings, differs):
        self.servers = [start_swiftlet(), start_redis()]
        self.sides = [Side(server.port) for server in self.servers]
        self.settings, self.differs = settings, differs

    def stop(self):
        for side in self.sides:
            side.close()
        for server in self.servers:
            server.stop()

    def __call__(self, entries):
        """Whether the last entry of `entries` differs, after the others."""
        replies = []
        for side in self.sides:
            side.call("HELLO", 2)
            side.call("SELECT", 0)
            side.call("FLUSHALL")
            for name, value in self.settings.items():
                side.call("CONFIG", "SET", name, value)
            for at in range(0, len(entries) - 1, 50):
                side.send(b"".join(entry.requests for entry in entries[at : min(at + 50, len(entries) - 1)]))
                side.replies()
            side.send(entries[-1].requests)
            replies.append(side.replies())
        return self.differs(self, entries[-1], *replies)


def replies_differ(replay, entry, ours, oracles):
    count = len(entry.commands)
    triples = zip(entry.commands, split(ours, count), split(oracles, count))
    return any(a != b and not how(args, a, b) and not known(args, a, b) for (args, how), a, b in triples)


def digests_differ(replay, entry, ours, oracles):
    a, b = (side.call("DEBUG", "DIGEST") for side in replay.sides)
    return a != b


def touching(entries, keys):
    """The entries that name one of the keys, or set the scene."""
    keys = {key if isinstance(key, bytes) else str(key).encode() for key in keys}
    out = []
    for entry in entries:
        for args, _ in entry.commands:
            if str(args[0]).upper() in CONTEXT or any(b"\r\n" + key + b"\r\n" in entry.requests for key in keys):
                out.append(entry)
                break
    return out


def shrunk(history, settings, keys, differs):
    """A short list of entries that still shows the difference; None if no replay does."""
    entries = [entry for entry in history if entry is not None]
    until = time.monotonic() + LIMIT
    replay = Replay(settings, differs)
    try:
        last, before = entries[-1], entries[:-1]
        for candidate in (touching(before, keys) if keys else [], before):
            if candidate and replay(candidate + [last]):
                break
            if replay([last]):
                return [last]
        else:
            return None
        size = max(1, len(candidate) // 2)
        while time.monotonic() < until:
            at, removed = 0, False
            while at < len(candidate) and time.monotonic() < until:
                shorter = candidate[:at] + candidate[at + size :]
                if replay(shorter + [last]):
                    candidate, removed = shorter, True
                else:
                    at += size
            if size == 1 and not removed:
                break
            size = max(1, size // 2)
        return candidate + [last]
    finally:
        replay.stop()


def printed(entries):
    return "\n".join("    " + shown(args) for entry in entries for args, _ in entry.commands)


def different_keys(session):
    """Where the digests come from: keys whose values, types or expiries are not the same."""
    ours, oracles = values(session.swiftlet), values(session.oracle)
    far = lambda a, b: a is None or b is None or a[:2] != b[:2] or abs(int(a[2][1:]) - int(b[2][1:])) > 30_000
    return [k for k in sorted(ours.keys() | oracles.keys()) if far(ours.get(k), oracles.get(k))]
