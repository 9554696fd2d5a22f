"""Kills the server under load, again and again on one data directory, and checks that nothing acknowledged is lost.

    crash.py --server BIN --rounds N [--seed S] [--appendfsync always|everysec|no] [--keep DIR]

With `appendfsync always`, what the server has after a restart must be, for every connection, all it acknowledged and
at most the one request that was on its way: nothing less, nothing more, transactions whole. That holds for the other
settings too, as the kernel survives. Replies are checked on the way. The writers' model of their keys lives on over
the rounds, as the data directory does.

The seed decides what is written and when the server is killed, not how the threads interleave: a seed that fails once
makes a failure likely, not certain. `--keep DIR` holds a copy of the data as it was before the restart that failed.
"""

import argparse
import os
import pathlib
import random
import re
import shutil
import signal
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients"))

from oracle import Server, bulk, bulks, integer  # noqa: E402

WRITERS = 8
DATABASES = 2
LONG = 40  # elements; longer lists are trimmed
FAR = 4_000_000_000_000  # ms since 1970: expiries are after it
SHARED = b"shared"
# Limits under which the writers' collections take their large form, whose elements are saved one by one. Every other
# round has them, so that a snapshot of either form is loaded under the other limits too.
LARGE = (
    "--list-max-listpack-size", "4", "--hash-max-listpack-entries", "4", "--set-max-listpack-entries", "4",
    "--set-max-intset-entries", "4", "--zset-max-listpack-entries", "4",
)  # fmt: skip

OK, QUEUED = b"+OK\r\n", b"+QUEUED\r\n"


def number(n):
    return b":%d\r\n" % n


def text(value):
    return b"$%d\r\n%s\r\n" % (len(value), value)


class Value:
    """What a key holds: bytes, list, set or dict, by the type; and when it expires."""

    def __init__(self, kind, content, expires=-1):
        self.kind, self.content, self.expires = kind, content, expires

    def __eq__(self, other):
        return isinstance(other, Value) and vars(self) == vars(other)

    def __repr__(self):
        shown = repr(self.content)
        if len(shown) > 400:
            shown = f"{shown[:200]} … {shown[-200:]}"
        length = f" ({len(self.content)})" if self.kind != "string" else ""
        return f"{self.kind}{length} {shown}" + (f" until {self.expires}" if self.expires >= 0 else "")


class Request:
    """Commands that are sent at once, with their replies and what they make of the keys (None: no key)."""

    def __init__(self, commands, replies, changes, shared=False):
        self.commands, self.replies, self.changes, self.shared = commands, replies, changes, shared


class Writer:
    """A connection's own keys, as acknowledged; and the request that is on its way."""

    def __init__(self, number_):
        self.name = b"w%d" % number_
        self.database = number_ % DATABASES
        self.keys = {}
        self.sequence = 0
        self.acknowledged = 0
        self.pending = None
        self.highest_shared = 0

    def next(self, rng):
        self.sequence += 1
        self.rng = rng
        return rng.choice(KINDS)(self)

    def key(self, kind, count):
        key = b"%s:%s:%d" % (self.name, kind, self.rng.randrange(count))
        return key, self.keys.get(key)

    @property
    def value(self):
        """A value that was never written before: short mostly, a number sometimes, long at times."""
        kind = self.rng.random()
        if kind < 0.3:
            return b"%d" % self.sequence
        return b"v%d" % self.sequence + b"." * (0 if kind < 0.95 else self.rng.randrange(100, 20000))

    # The requests.

    def incr(self):
        key, old = self.key(b"counter", 4)
        n = int(old.content) + 1 if old else 1
        return Request([("INCR", key)], [number(n)], {key: Value("string", b"%d" % n)})

    def incr_shared(self):
        return Request([("INCR", SHARED)], [None], {}, shared=True)

    def set(self):
        key, _ = self.key(b"string", 20)
        value = self.value
        if self.rng.random() < 0.2:
            expires = FAR + self.sequence
            return Request([("SET", key, value, "PXAT", expires)], [OK], {key: Value("string", value, expires)})
        return Request([("SET", key, value)], [OK], {key: Value("string", value)})

    def delete(self):
        key, old = self.key(b"string", 20)
        return Request([("DEL", key)], [number(1 if old else 0)], {key: None})

    def rename(self):
        (source, value), (target, _) = self.key(b"string", 20), self.key(b"string", 20)
        if not value or source == target:
            return self.set()
        return Request([("RENAME", source, target)], [OK], {source: None, target: value})

    def expire(self):
        key, old = self.key(b"string", 20)
        if not old:
            return self.set()
        if old.expires >= 0:
            return Request([("PERSIST", key)], [number(1)], {key: Value("string", old.content)})
        expires = FAR + self.sequence
        return Request([("PEXPIREAT", key, expires)], [number(1)], {key: Value("string", old.content, expires)})

    def append(self):
        key, old = self.key(b"append", 2)
        content = old.content if old else b""
        if len(content) > 3000:
            return Request([("SET", key, "")], [OK], {key: Value("string", b"")})
        content += b"%d," % self.sequence
        command = ("APPEND", key, b"%d," % self.sequence)
        return Request([command], [number(len(content))], {key: Value("string", content)})

    def push(self):
        key, old = self.key(b"list", 3)
        content = list(old.content) if old else []
        if len(content) >= LONG and self.rng.random() < 0.1:
            return Request([("LTRIM", key, 0, LONG // 2 - 1)], [OK], {key: Value("list", content[: LONG // 2])})
        if len(content) >= LONG:
            last = content.pop()
            return Request([("RPOP", key)], [text(last)], {key: Value("list", content)})
        content.insert(0, b"%d" % self.sequence)
        return Request([("LPUSH", key, self.sequence)], [number(len(content))], {key: Value("list", content)})

    def edit(self):
        """Changes in a list that are not pushes at its head."""
        key, old = self.key(b"list", 3)
        if not old:
            return self.push()
        content, fresh = list(old.content), b"%d" % self.sequence
        at = self.rng.randrange(len(content))
        kind = self.rng.choice(["LSET", "LINSERT", "LREM", "RPUSH", "LPOP"])
        if kind == "LSET":
            content[at] = fresh
            return Request([("LSET", key, at, fresh)], [OK], {key: Value("list", content)})
        if kind == "LINSERT":
            command = ("LINSERT", key, "BEFORE", content[at], fresh)
            content.insert(at, fresh)
            return Request([command], [number(len(content))], {key: Value("list", content)})
        if kind == "LREM":
            removed = content.pop(at)
            return Request([("LREM", key, 1, removed)], [number(1)], {key: Value("list", content)})
        if kind == "RPUSH":
            content.append(fresh)
            return Request([("RPUSH", key, fresh)], [number(len(content))], {key: Value("list", content)})
        first = content.pop(0)
        return Request([("LPOP", key)], [text(first)], {key: Value("list", content)})

    def count(self):
        """Writes to elements that must not be replayed twice."""
        if self.rng.random() < 0.5:
            key, old = self.key(b"counts", 2)
            content = dict(old.content) if old else {}
            field = b"f%d" % self.rng.randrange(LONG)
            n = int(content.get(field, b"0")) + 1
            content[field] = b"%d" % n
            return Request([("HINCRBY", key, field, 1)], [number(n)], {key: Value("hash", content)})
        key, old = self.key(b"scores", 2)
        content = dict(old.content) if old else {}
        member = b"m%d" % self.rng.randrange(LONG)
        # 1.5 at first, then one more each time: exact in binary, and printed with one digit behind the point.
        step = b"1" if member in content else b"1.5"
        content[member] = content.get(member, 0) + float(step)
        reply = text(b"%.1f" % content[member])
        return Request([("ZINCRBY", key, step, member)], [reply], {key: Value("zset", content)})

    def hset(self):
        key, old = self.key(b"hash", 2)
        field, value = b"f%d" % self.rng.randrange(LONG), self.value
        content = dict(old.content) if old else {}
        fresh = field not in content
        if not fresh and self.rng.random() < 0.3:
            del content[field]
            return Request([("HDEL", key, field)], [number(1)], {key: Value("hash", content) if content else None})
        content[field] = value
        return Request([("HSET", key, field, value)], [number(int(fresh))], {key: Value("hash", content)})

    def zadd(self):
        key, old = self.key(b"zset", 2)
        member = b"m%d" % self.rng.randrange(LONG)
        content = dict(old.content) if old else {}
        fresh = member not in content
        if not fresh and self.rng.random() < 0.3:
            del content[member]
            return Request([("ZREM", key, member)], [number(1)], {key: Value("zset", content) if content else None})
        content[member] = self.sequence + 0.5
        command = ("ZADD", key, b"%d.5" % self.sequence, member)
        return Request([command], [number(int(fresh))], {key: Value("zset", content)})

    def sadd(self):
        key, old = self.key(b"set", 2)
        content = set(old.content) if old else set()
        if len(content) >= LONG:
            member = self.rng.choice(sorted(content))
            return Request([("SREM", key, member)], [number(1)], {key: Value("set", content - {member})})
        # One of the two holds numbers only.
        member = b"%d" % self.sequence if key.endswith(b"0") else b"m%d" % self.sequence
        return Request([("SADD", key, member)], [number(1)], {key: Value("set", content | {member})})

    def change_type(self):
        """Keys that are now this, now that, now gone."""
        key, old = self.key(b"any", 4)
        n = b"%d" % self.sequence
        if old and self.rng.random() < 0.6:
            return Request([("DEL", key)], [number(1)], {key: None})
        if old:
            return Request([("SET", key, n)], [OK], {key: Value("string", n)})
        command, kind, content = self.rng.choice(
            [
                (("RPUSH", key, n, "x"), "list", [n, b"x"]),
                (("SADD", key, n, "x"), "set", {n, b"x"}),
                (("HSET", key, "f", n), "hash", {b"f": n}),
                (("ZADD", key, n, "m"), "zset", {b"m": float(n)}),
            ]
        )
        reply = number(1 if kind in ("hash", "zset") else 2)
        return Request([command], [reply], {key: Value(kind, content)})

    def transaction(self):
        """Two keys that are always equal."""
        pair = self.rng.randrange(3)
        a, b = b"%s:pair:%d:a" % (self.name, pair), b"%s:pair:%d:b" % (self.name, pair)
        value = self.value
        return Request(
            [("MULTI",), ("SET", a, value), ("SET", b, value), ("EXEC",)],
            [OK, QUEUED, QUEUED, b"*2\r\n" + OK + OK],
            {a: Value("string", value), b: Value("string", value)},
        )

    # In a round.

    def run(self, connection, rng, report):
        """Writes until the server is gone."""
        try:
            connection.call("SELECT", self.database)
            while True:
                request = self.next(rng)
                self.pending = request
                replies = connection.pipeline(request.commands)
                self.pending = None
                self.acknowledge(request)
                for command, reply, expected in zip(request.commands, replies, request.replies):
                    if expected is None:
                        expected = b"a higher number"
                        if reply[:1] == b":" and integer(reply) > self.highest_shared:
                            expected, self.highest_shared = reply, integer(reply)
                    if reply != expected:
                        report(f"{brief(command)}: the reply was {reply[:200]!r}, not {expected[:200]!r}")
                        return
        except OSError:
            pass
        finally:
            connection.close()

    def acknowledge(self, request):
        self.acknowledged += 1
        for key, value in request.changes.items():
            self.keys.pop(key, None)
            if value is not None and (value.kind == "string" or value.content):
                self.keys[key] = value

    def verify(self, connection, report):
        """The keys must be as they were acknowledged, all of them with or all without the request on its way."""
        request, self.pending = self.pending, None
        found = read(connection, self.database, self.name + b":*")
        if found == self.keys:
            return
        before = dict(self.keys)
        if request:
            self.acknowledge(request)
            self.acknowledged -= 1
        if found != self.keys:
            after = self.keys
            on_its_way = "; ".join(map(brief, request.commands)) if request else "nothing"
            for key in sorted(before.keys() | after.keys() | found.keys()):
                if found.get(key) not in (before.get(key), after.get(key)):
                    report(
                        f"{key.decode()} in database {self.database}:\n    acknowledged {before.get(key)}\n"
                        f"    found        {found.get(key)}\n    on its way   {on_its_way}"
                    )
            if all(found.get(k) in (before.get(k), after.get(k)) for k in before.keys() | after.keys() | found.keys()):
                report(f"half of a request of {self.name.decode()} is there: {on_its_way}")
        self.keys = found


KINDS = [
    Writer.incr, Writer.incr, Writer.incr_shared, Writer.set, Writer.set, Writer.delete, Writer.rename, Writer.expire,
    Writer.append, Writer.push, Writer.push, Writer.edit, Writer.edit, Writer.count, Writer.count, Writer.hset, Writer.zadd, Writer.sadd, Writer.change_type,
    Writer.transaction, Writer.transaction,
]  # fmt: skip


def brief(command):
    shown = [a if isinstance(a, str) else a.decode() if isinstance(a, bytes) else str(a) for a in command]
    return " ".join(a if len(a) < 60 else f"{a[:60]}… ({len(a)} bytes)" for a in shown)


def read(connection, database, pattern):
    """All keys of a pattern with what they hold."""
    connection.call("SELECT", database)
    keys = bulks(connection.call("KEYS", pattern))
    replies = connection.pipeline([r for k in keys for r in (("TYPE", k), ("PEXPIRETIME", k))])
    kinds = [reply[1:-2].decode() for reply in replies[::2]]
    reading = {
        "string": lambda k: ("GET", k),
        "list": lambda k: ("LRANGE", k, 0, -1),
        "set": lambda k: ("SMEMBERS", k),
        "hash": lambda k: ("HGETALL", k),
        "zset": lambda k: ("ZRANGE", k, 0, -1, "WITHSCORES"),
    }
    contents = connection.pipeline([reading[kind](k) for k, kind in zip(keys, kinds)])
    found = {}
    for key, kind, expires, reply in zip(keys, kinds, replies[1::2], contents):
        content = bulk(reply) if kind == "string" else bulks(reply)
        if kind == "set":
            content = set(content)
        elif kind in ("hash", "zset"):
            content = dict(zip(content[::2], content[1::2]))
        if kind == "zset":
            content = {member: float(score) for member, score in content.items()}
        found[key] = Value(kind, content, integer(expires))
    return found


class Crashes:
    def __init__(self, binary, seed, appendfsync="always", keep=None):
        self.binary, self.seed, self.appendfsync, self.keep = binary, seed, appendfsync, keep
        self.directory = tempfile.mkdtemp(prefix="swiftlet-crash-")
        self.writers = [Writer(n) for n in range(WRITERS)]
        self.violations = []
        self.round = 0
        self.snapshots = 0
        self.failed = threading.Event()

    def report(self, what):
        self.violations.append(what)
        self.failed.set()
        print(f"VIOLATION in round {self.round} (seed {self.seed}): {what}", flush=True)

    def start(self):
        """A server that has loaded its data; None, and a violation, if it does not start."""
        try:
            # The last of two settings wins.
            options = ("--appendonly", "yes", "--appendfsync", self.appendfsync, "--dir", self.directory)
            server = Server(self.binary, options + (LARGE if self.round % 2 else ()))
        except RuntimeError as error:
            self.report(f"no restart: {error}")
            return None
        try:
            connection = server.connect()
            while connection.call("PING").startswith(b"-LOADING"):
                time.sleep(0.005)
            connection.close()
        except OSError as error:
            # It listens before it has loaded its data, and may give up on them.
            log = pathlib.Path(server.log.name).read_text(errors="replace")
            self.report(f"no restart: {error}\n{log[-3000:]}")
            server.stop()
            return None
        return server

    def verify(self, server, shared):
        """`shared`: for each database, how often the shared counter was raised for sure."""
        connection = server.connect()
        for database, known in enumerate(shared):
            connection.call("SELECT", database)
            found = int(bulk(connection.call("GET", SHARED)) or 0)
            writers = [w for w in self.writers if w.database == database]
            most = known + sum(1 for w in writers if w.pending and w.pending.shared)
            if not known <= found <= most:
                self.report(f"{SHARED.decode()} in database {database} is {found}, not from {known} to {most}")
            for writer in writers:
                writer.highest_shared = found
            shared[database] = found
        for writer in self.writers:
            writer.verify(connection, self.report)
        for database in range(DATABASES):
            connection.call("SELECT", database)
            size = integer(connection.call("DBSIZE"))
            expected = sum(len(w.keys) for w in self.writers if w.database == database) + (shared[database] > 0)
            if size != expected:
                self.report(f"DBSIZE of database {database} is {size}, not {expected}")
        connection.close()

    def save(self, connection):
        """Snapshots, one after the other, until the server is gone."""
        try:
            while True:
                reply = connection.call("BGSAVE")
                if not reply.startswith(b"+Background saving"):
                    self.report(f"BGSAVE: {reply!r}")
                    return
                while b"rdb_bgsave_in_progress:1" in (info := connection.call("INFO", "persistence")):
                    time.sleep(0.001)
                if not re.search(rb"rdb_last_bgsave_status:ok\r", info):
                    self.report(f"the snapshot failed: {info!r}")
                    return
                self.snapshots += 1
        except OSError:
            pass
        finally:
            connection.close()

    def load(self, server, rng):
        """Writers and snapshots at work, until the server is killed at some moment."""
        threads = [threading.Thread(target=self.save, args=(server.connect(),))]
        for writer in self.writers:
            arguments = (server.connect(), random.Random(f"{self.seed} {self.round} {writer.name}"), self.report)
            threads.append(threading.Thread(target=writer.run, args=arguments))
        for thread in threads:
            thread.start()
        self.failed.wait(rng.uniform(0.010, 0.400))
        if server.process.poll() is not None:
            log = pathlib.Path(server.log.name).read_text(errors="replace")
            self.report(f"the server ended by itself ({server.process.returncode}):\n{log[-3000:]}")
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        for thread in threads:
            thread.join()
        server.stop()

    def run(self, rounds):
        server = self.start()
        shared = [0] * DATABASES
        while server and not self.violations and self.round < rounds:
            self.round += 1
            rng = random.Random(f"{self.seed} {self.round}")
            self.load(server, rng)
            server = None
            if self.violations:
                break
            for database in range(DATABASES):
                # A writer saw the counter as it was after its own; the highest that anyone saw is for sure.
                seen = [w.highest_shared for w in self.writers if w.database == database]
                shared[database] = max(shared[database], *seen)
            if self.keep:
                shutil.rmtree(self.keep, ignore_errors=True)
                shutil.copytree(self.directory, self.keep)
            if rng.random() < 0.15 and (server := self.start()):
                # Killed again, as soon as it has recovered.
                server.stop()
            server = self.start()
            if server:
                self.verify(server, shared)
        if server:
            server.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def summary(self):
        acknowledged = sum(w.acknowledged for w in self.writers)
        return (
            f"seed {self.seed}: {self.round} rounds, {acknowledged} acknowledged writes, {self.snapshots} snapshots, "
            f"{len(self.violations)} violations"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", required=True)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--appendfsync", choices=["always", "everysec", "no"], default="always")
    parser.add_argument("--keep", help="a directory for the data as it was before the last restart; it is replaced")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    binary = os.path.abspath(shutil.which(options.server) or options.server)
    crashes = Crashes(binary, seed, options.appendfsync, options.keep)
    crashes.run(options.rounds)
    print(crashes.summary())
    return 1 if crashes.violations else 0


if __name__ == "__main__":
    sys.exit(main())
