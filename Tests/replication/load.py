"""Writers on a master while its replicas come and go: random commands of all types, blocked clients that are served, and
transactions whose parts a reader of the replica must never see apart."""

import contextlib
import random
import threading
import time

from generator import Generator, Plain, Spop, is_forgotten
from resp import Connection, encode
from session import END_REPLY, END_REQUEST

BATCH = 20
NEVER = {"HELLO", "DEBUG", "CONFIG"}
UPHEAVALS = {"FLUSHALL", "FLUSHDB", "SWAPDB"}
DATABASES = (0, 1, 2)


PAIRS = 8


class Writer(threading.Thread):
    """A thread that writes until it is told to stop. Where the connection breaks it connects anew."""

    has_field_times = False  # whether fields of hashes may expire

    def __init__(self, port, seed, upheavals=False):
        super().__init__(daemon=True)
        self.port, self.rng = port, random.Random(f"{seed} {type(self).__name__}")
        self.upheavals = upheavals  # FLUSHALL, FLUSHDB and SWAPDB too
        self.ends = threading.Event()
        self.written = 0
        self.pause = 0.0  # seconds between batches

    def run(self):
        while not self.ends.is_set():
            connection = None
            with contextlib.suppress(OSError, ValueError):
                connection = Connection(self.port)
                self.begin()
                while not self.ends.wait(self.pause):
                    self.turn(connection)
                    self.written += 1
            if connection:
                connection.close()
            self.ends.wait(0.02)

    def begin(self):
        pass

    def finish(self):
        self.ends.set()
        self.join(60)
        assert not self.is_alive(), "a writer does not end"


class Mixed(Writer):
    """What `make differential` writes."""

    def begin(self):
        self.generator = Generator(self.rng.random())

    def turn(self, connection):
        requests = [encode(["SELECT", self.rng.choice(DATABASES)])]
        while len(requests) < BATCH:
            requests += [encode(args) for args in self.commands()]
        connection.socket.sendall(b"".join(requests) + END_REQUEST)
        last = b""
        while not last.endswith(END_REPLY):
            data = connection.socket.recv(1 << 20)
            if not data:
                raise ConnectionError
            last = (last + data)[-len(END_REPLY) :]

    def commands(self):
        unit = self.generator.unit()
        if isinstance(unit, Spop):
            return [unit.command]
        if not isinstance(unit, Plain):
            return []
        commands = [args for args, _ in unit.commands]
        left_out = NEVER if self.upheavals else NEVER | UPHEAVALS
        return [] if any(str(args[0]).upper() in left_out or is_forgotten(args) for args in commands) else commands


class Blocked(Writer):
    """A client that waits for elements, which another one brings."""

    def begin(self):
        self.other = Connection(self.port)

    def turn(self, connection):
        key = self.rng.choice(["b:list", "b:other"])
        connection.send(*self.rng.choice(self.waits(key)))
        pushes = [("RPUSH", key, self.written), ("ZADD", "b:zset", 1, self.written), ("XADD", "b:stream", "*", "f", 1)]
        self.rng.shuffle(pushes)
        self.other.pipeline([("MULTI",), *pushes, ("EXEC",)] if self.rng.random() < 0.3 else pushes)
        connection.reply()
        if self.written % 50 == 0:
            self.other.pipeline([("DEL", "b:list"), ("XTRIM", "b:stream", "MAXLEN", "~", 10), ("DEL", "b:zset")])

    def waits(self, key):
        return [
            ("BLPOP", key, "b:list", 0), ("BRPOP", key, 0), ("BLMOVE", key, "b:moved", "LEFT", "RIGHT", 0),
            ("BRPOPLPUSH", key, "b:moved", 0), ("BLMPOP", 0, 1, key, "LEFT", "COUNT", 2), ("BZPOPMIN", "b:zset", 0),
            ("BZMPOP", 0, 1, "b:zset", "MAX"), ("XREAD", "BLOCK", 100, "STREAMS", "b:stream", "$"),
        ]  # fmt: skip


class Brief(Writer):
    """Keys that expire soon, and fields where the server has their expiry."""

    def turn(self, connection):
        n = self.rng.randrange(200)
        requests = [
            ("SET", f"brief:{n}", self.written, "PX", self.rng.randrange(1, 80)), ("HSET", f"brief h:{n}", "f", 1),
            ("PEXPIRE", f"brief h:{n}", self.rng.randrange(1, 80)), ("INCR", f"brief:{self.rng.randrange(200)}"),
            ("SELECT", self.rng.choice(DATABASES)),
        ]  # fmt: skip
        if self.has_field_times:
            requests += [
                ("HSET", f"fields:{n}", "a", 1, "b", 2),
                ("HPEXPIRE", f"fields:{n}", self.rng.randrange(1, 80), "FIELDS", 1, "a"),
            ]
        connection.pipeline(requests)
        self.ends.wait(0.002)


class Pairs(Writer):
    """Transactions that raise all counters of a set by one, in two databases."""

    acknowledged = 0

    def turn(self, connection):
        keys = [f"pair:{n}" for n in range(PAIRS)]
        commands = [("INCR", key) for key in keys]
        inner = [("SELECT", 7), *commands, ("SELECT", 8), *commands]
        done = connection.pipeline([("MULTI",), *inner, ("EXEC",)])[-1]
        self.acknowledged += done.startswith(b"*")
        self.ends.wait(0.001)


class Witness(threading.Thread):
    """Reads a replica, and holds it against `Pairs`: equal counters in each database, which never go back but for a whole
    new state."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.port = node.port
        self.ends = threading.Event()
        self.seen = 0
        self.broken = []

    def run(self):
        commands = [("MULTI",)]
        for number in (7, 8):
            commands += [("SELECT", number), ("MGET", *(f"pair:{n}" for n in range(PAIRS)))]
        commands.append(("EXEC",))
        while not self.ends.is_set():
            with contextlib.suppress(OSError, ValueError):
                connection = Connection(self.port)
                while not self.ends.wait(0.002):
                    self.look(connection.pipeline(commands)[-1])
                connection.close()
            self.ends.wait(0.02)

    def look(self, reply):
        if not reply.startswith(b"*"):
            return
        found = {line for line in reply.split(b"\r\n") if line.isdigit() or line == b"$-1"}
        self.seen += 1
        if len(found) != 1:
            self.broken.append(reply)

    def finish(self):
        self.ends.set()
        self.join(40)
        assert not self.broken, f"a transaction was seen in parts: {self.broken[:2]}"


class Load:
    """All of these on a master."""

    def __init__(
        self, master, seed, upheavals=False, kinds=(Mixed, Blocked, Brief, Pairs), pause=0.0, field_times=False
    ):
        self.writers = [kind(master.port, seed, upheavals) for kind in kinds]
        for writer in self.writers:
            writer.pause = pause
            writer.has_field_times = field_times
            writer.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.finish()

    def finish(self):
        for writer in self.writers:
            writer.ends.set()
        for writer in self.writers:
            writer.finish()

    @property
    def written(self):
        return sum(writer.written for writer in self.writers)

    def wait_more(self, count=50, timeout=30):
        """Until every writer has had so many more turns."""
        wanted = [writer.written + count for writer in self.writers]
        deadline = time.monotonic() + timeout
        while any(writer.written < number for writer, number in zip(self.writers, wanted)):
            assert time.monotonic() < deadline, "the master does not take writes"
            time.sleep(0.005)
