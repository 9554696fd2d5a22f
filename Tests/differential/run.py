"""The differential test: random commands over all data types to Swiftlet and to redis-server, whose replies must be the
same, and so must what is stored: at the end, after kill -9 with a log alone, with a snapshot and a log, with a snapshot
alone, and in redis-server after redis-migrate to-rdb. With --replicas so must what replicas of both have.

The seed is printed; with it the same commands come again. On a difference the history is shortened to few commands.
"""

import argparse
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "Support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "replication"))
os.environ["LC_ALL"] = "C"

from compare import without_times
from generator import Generator
from life import Life, loaded
from migrate import migrate, migrate_binary
from oracle import Server, start_redis, swiftlet_binary
from replicas import Replicas
from resp import bulks, parsed
from seed import chosen_seed
from session import Difference, Session
from shrink import different_keys, digests_differ, printed, replies_differ, shrunk

# What both servers are set to; a round takes one of these. Long values are refused, as they would only take time.
SMALL = {
    "list-max-listpack-size": "8", "hash-max-listpack-entries": "12", "hash-max-listpack-value": "20",
    "set-max-intset-entries": "16", "zset-max-listpack-entries": "12", "zset-max-listpack-value": "20",
    "stream-node-max-entries": "7", "hll-sparse-max-bytes": "120",
}  # fmt: skip
COMMON = {"proto-max-bulk-len": "1048576", "slowlog-log-slower-than": "-1"}
SETTINGS = [COMMON, {**COMMON, **SMALL}]
ROUND = 400_000


class Settled(Life):
    """A life with settings from the start, as the log is replayed with them."""

    def __init__(self, directory, settings):
        super().__init__(directory)
        self.options = [word for name, value in settings.items() for word in (f"--{name}", value)]

    def start(self):
        options = ("--appendonly", "yes", "--dir", str(self.directory), *self.options)
        self.server = Server(swiftlet_binary(), options)
        self.connection = loaded(self.server)
        return self


class Round:
    """Servers that are new, commands in four parts, a restart after each of three."""

    def __init__(self, seed, commands, number, with_replicas=False, with_scripts=False):
        self.seed, self.commands = seed, commands
        self.with_replicas, self.replicas = with_replicas, None
        self.settings = SETTINGS[number % len(SETTINGS)]
        self.generator = Generator(f"{seed} {number}", with_scripts)
        self.chance = random.Random(f"{seed} {number} of the driver")
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="swiftlet-differential-"))
        (self.directory / "data").mkdir()
        self.life = Settled(self.directory / "data", self.settings)
        self.redis = None
        self.session = None
        self.bgsaves = 0

    def stop(self):
        if self.session:
            self.session.close()
        if self.replicas:
            self.replicas.stop()
        self.life.kill()
        if self.redis:
            self.redis.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def run(self):
        self.life.start()
        self.redis = start_redis()
        self.session = Session(self.life.server.port, self.redis.port)
        self.configure()
        if self.with_replicas:
            self.generator.is_replicated = True
            self.replicas = Replicas(self.life.server, self.redis, self.settings)
        part = self.commands // 4
        self.execute(part, saving=False)
        self.restart("kill -9, a log alone")
        self.execute(part, saving=True)
        self.restart("kill -9 after snapshots while commands ran")
        self.execute(part, saving=True)
        self.save()
        self.restart("SAVE, kill -9")
        self.execute(self.commands - self.session.executed, saving=False)
        self.save()
        self.rdb_out_and_in()

    def configure(self):
        for name, value in self.settings.items():
            self.session.both("CONFIG", "SET", name, value)

    def execute(self, count, saving):
        """Commands until `count` more are executed; with snapshots meanwhile, if `saving`."""
        session, generator = self.session, self.generator
        until = session.executed + count
        turn = 0
        while session.executed < until:
            turn += 1
            if turn % 3000 == 0:
                session.both("HELLO", self.chance.choice([2, 3]))
            if saving and turn % 1000 == 0:
                self.life.call("BGSAVE", "SCHEDULE")
                self.bgsaves += 1
            if turn % 2000 == 500:
                self.check_invariants()
            if self.replicas and turn % 10_000 == 0:
                session.flush()
                self.replicas.compare()
            session.put(generator.unit())
        session.both("HELLO", 2)
        session.both("SELECT", 0)
        session.digests()
        if self.replicas:
            self.replicas.compare()

    def check_invariants(self):
        reply = self.life.call("DEBUG", "CHECK-INVARIANTS")
        if reply != b"+OK\r\n":
            raise Difference(["DEBUG", "CHECK-INVARIANTS"], reply, b"+OK\r\n")

    def save(self):
        while b"rdb_bgsave_in_progress:1" in self.life.call("INFO", "persistence"):
            time.sleep(0.01)
        self.life.call("SAVE")

    def restart(self, how):
        before = state(self.session.swiftlet)
        oracles = state(self.session.oracle)
        check(f"the same streams and times as in redis-server, before {how}", before, oracles, near=True)
        digest = self.session.digests()
        self.life.restart()
        self.check_invariants()
        self.session.reconnect(self.life.server.port)
        if self.replicas:
            self.replicas.moved(self.life.server)
        self.generator.restarted()
        after = state(self.session.swiftlet)
        check(how, after, before)
        if self.session.digests() != digest:
            raise Difference(["DEBUG", "DIGEST"], b"not as before " + how.encode(), digest)

    def rdb_out_and_in(self):
        """The snapshot to RDB, which redis-server loads; what it writes then back to a snapshot."""
        if not pathlib.Path(migrate_binary()).exists():
            return
        digest = self.session.digests()
        wanted = state(self.session.swiftlet)
        back = self.directory / "back"
        back.mkdir()
        self.life.kill()
        snapshot = self.life.directory / "dump.sqlite"
        tool("to-rdb", snapshot, back / "dump.rdb")
        redis = start_redis("--dir", str(back))
        try:
            connection = loaded(redis)
            same_digest("to-rdb", connection.call("DEBUG", "DIGEST"), digest)
            check("to-rdb", state(connection), wanted)
            connection.call("SAVE")
        finally:
            redis.stop()
        snapshot.unlink()
        done = migrate(back / "dump.rdb", snapshot)
        if done.returncode:
            raise Difference(["redis-migrate", "to-sqlite"], done.stderr.encode(), b"")
        self.life.start()
        same_digest("to-sqlite", self.life.digest(), digest)
        check("to-sqlite", state(self.life.connection), wanted)

    def explained(self, difference):
        """What there is to say about a difference: the key, and a short way to it."""
        out = [str(difference)]
        session = self.session
        if difference.unit is None:
            try:
                keys = different_keys(session)[:10]
            except OSError:
                keys = []
            out.append(f"keys that differ now: {keys}")
            entries = keys and shrunk(session.history, self.settings, [key for _, key in keys[:1]], digests_differ)
        else:
            last = difference.unit if isinstance(difference.unit, list) else [difference.unit]
            keys = {word for entry in last for args, _ in entry.commands for word in args[1:4]}
            entries = shrunk(session.history, self.settings, keys, replies_differ) if len(last) == 1 else None
        out.append("shortened:\n" + printed(entries) if entries else "not seen again when replayed")
        return "\n".join(out)


def tool(*arguments):
    done = subprocess.run([migrate_binary(), *map(str, arguments)], capture_output=True, timeout=300)
    if done.returncode:
        raise Difference(["redis-migrate", *map(str, arguments)], done.stderr, b"")


def same_digest(what, found, wanted):
    if found != wanted:
        raise Difference(["DEBUG", "DIGEST"], found, b"after " + what.encode() + b", and before " + wanted)


def state(connection):
    """What a digest does not say: expiries, and of streams the groups, consumers and what is pending."""
    found = {}
    for database in range(16):
        connection.call("SELECT", database)
        keys = bulks(connection.call("KEYS", "*"))
        for key in keys:
            found[database, key] = [int(connection.call("PEXPIRETIME", key)[1:])]
            if connection.call("TYPE", key) == b"+stream\r\n":
                full = without_times(parsed(connection.call("XINFO", "STREAM", key, "FULL", "COUNT", 0)))
                # Without the tree's keys and nodes.
                found[database, key] += [full[:2], full[6:]]
    connection.call("SELECT", 0)
    return found


def check(what, found, wanted, near=False):
    for key in sorted(found.keys() | wanted.keys()):
        a, b = found.get(key), wanted.get(key)
        if a != b and not (near and a and b and a[1:] == b[1:] and abs(a[0] - b[0]) < 30_000):
            raise Difference([what, key[1]], repr(a).encode(), repr(b).encode())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--commands", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--replicas", action="store_true", help="replicas of both, of Swiftlet's also redis-server")
    parser.add_argument("--scripts", action="store_true", help="half of the commands from scripts and functions")
    parser.add_argument("--first-round", type=int, default=0, help="to repeat a round of a long run")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else chosen_seed()
    size = min(ROUND, (options.commands + 1) // 2)
    begun, executed, number = time.monotonic(), 0, options.first_round
    print(f"seed {seed}", flush=True)
    while executed < options.commands:
        round = Round(seed, size, number, options.replicas, options.scripts)
        try:
            round.run()
            executed += round.session.executed
        except Difference as difference:
            print(
                f"DIFFERENCE with --commands {options.commands} --seed {seed} --first-round {number}"
                f"{' --replicas' if options.replicas else ''}{' --scripts' if options.scripts else ''} after {round.session.executed} commands:"
            )
            print(round.explained(difference), flush=True)
            return 1
        finally:
            round.stop()
        seconds = time.monotonic() - begun
        print(f"round {number}: {executed} commands, no difference, {seconds:.0f} s", flush=True)
        number += 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
