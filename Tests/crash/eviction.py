"""Kills the server under maxmemory, again and again on one data directory, while keys are evicted and checkpoints are made.

    eviction.py --server BIN --rounds N [--seed S] [--policy allkeys-lru]

After a restart each key is what it was when its last write was acknowledged, or gone: evicted. It must be gone where its client has
seen that, and whoever listens to `evicted` was told, and it must be there where neither is so. Half of the rounds end quietly, so that all
that was evicted was told before the kill; in the others as many keys may be gone untold as a slice of eviction takes.
"""

import argparse
import pathlib
import shutil
import signal
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "Support"))

from harness import absolute
from oracle import Server
from resp import bulk, decoded
from seed import chosen_seed

WRITERS = 4
KEYS = 1000  # a writer's
CHANNEL = b"__keyevent@0__:evicted"
UNTOLD = 2000  # keys that a kill may take from a listener


class Writer:
    """A connection with keys of its own: what each is, by what was acknowledged, and what may be besides."""

    def __init__(self, number, seed):
        self.number, self.seed = number, seed
        self.keys = {}  # the value that was acknowledged; None: gone
        self.open = {}  # of the request on its way: what its keys are if it was executed
        self.version = 0

    def value(self, rng):
        self.version += 1
        size = rng.choice([20, 2000, 8000]) if rng.random() < 0.98 else 100_000
        return b"%d:%d:" % (self.number, self.version) + b"x" * rng.randrange(size)

    def run(self, connection, rng, stop, violations):
        try:
            while not stop.is_set():
                key = b"w%d:%d" % (self.number, rng.randrange(KEYS))
                kind = rng.random()
                if kind < 0.7:
                    value = self.value(rng)
                    self.open = {key: value}
                    reply = connection.call("SET", key, value)
                    if reply.startswith(b"-OOM"):
                        # What the checkpoint under way holds leaves no room: nothing was written.
                        self.open = {}
                        continue
                    if reply != b"+OK\r\n":
                        violations.append(f"SET {key}: {reply!r}")
                        return
                    self.keys[key] = value
                elif kind < 0.8:
                    self.open = {key: None}
                    connection.call("DEL", key)
                    self.keys[key] = None
                else:
                    found = bulk(connection.call("GET", key))
                    if found is None:
                        # Seen to be gone, whoever did it.
                        self.keys[key] = None
                    elif found != self.keys.get(key):
                        violations.append(f"GET {key}: {found[:30]!r}, not {self.keys.get(key)!r:.30}")
                        return
                self.open = {}
        except OSError:
            pass
        finally:
            connection.close()


class Listener:
    """Who is told of each key that was evicted, and when that was in the life of its value."""

    def __init__(self, server):
        self.connection = server.connect()
        self.connection.call("SUBSCRIBE", CHANNEL)
        self.told = set()

    def run(self):
        try:
            while True:
                message = decoded(self.connection.reply())
                if message[0] == b"message":
                    self.told.add(message[2])
        except (OSError, ValueError):
            pass


def save(connection, stop):
    try:
        while not stop.is_set():
            connection.call("BGSAVE")
            time.sleep(0.005)
    except OSError:
        pass
    finally:
        connection.close()


class Evictions:
    def __init__(self, binary, seed, policy):
        import random

        self.random = random
        self.binary, self.seed, self.policy = binary, seed, policy
        self.directory = tempfile.mkdtemp(prefix="swiftlet-evictions-")
        self.writers = [Writer(n, seed) for n in range(WRITERS)]
        self.violations = []
        self.gone = self.kept = self.untold = 0

    def start(self):
        return Server(
            self.binary, ("--appendonly", "yes", "--appendfsync", "always", "--dir", self.directory,
                          "--maxmemory", "0", "--maxmemory-policy", self.policy, "--notify-keyspace-events", "Ee",
                          "--maxmemory-samples", "5")
        )  # fmt: skip

    def round(self, number):
        rng = self.random.Random(f"{self.seed}:{number}")
        server = self.start()
        admin = server.connect()
        self.verify(admin, number)
        if self.violations:
            server.stop()
            return
        listener = Listener(server)
        base = int(admin.call("INFO", "memory").split(b"used_memory_startup:")[1].split(b"\r")[0])
        admin.call("CONFIG", "SET", "maxmemory", base + rng.choice([4_000_000, 5_000_000, 6_000_000]))
        stop = threading.Event()
        threads = [threading.Thread(target=listener.run, daemon=True)]
        for writer in self.writers:
            arguments = (server.connect(), self.random.Random(rng.random()), stop, self.violations)
            threads.append(threading.Thread(target=writer.run, args=arguments, daemon=True))
        threads.append(threading.Thread(target=save, args=(server.connect(), stop), daemon=True))
        for thread in threads:
            thread.start()
        time.sleep(rng.uniform(0.05, 0.4))
        self.is_quiet = number % 2 == 0
        if self.is_quiet:
            stop.set()
            for thread in threads[1:]:
                thread.join()
            # What was told before this message was told.
            for _ in range(100):
                if int(admin.call("INFO", "stats").split(b"current_eviction_exceeded_time:")[1].split(b"\r")[0]) == 0:
                    break
                time.sleep(0.01)
            admin.call("PUBLISH", CHANNEL, b"the end")
            while b"the end" not in listener.told:
                time.sleep(0.001)
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        for thread in threads:
            thread.join()
        self.told = listener.told
        admin.close()
        server.stop()

    def verify(self, admin, number):
        """After the restart, before memory is limited again."""
        if number == 0:
            return
        untold = 0
        for writer in self.writers:
            keys = sorted(set(writer.keys) | set(writer.open))
            found = dict(zip(keys, (bulk(reply) for reply in admin.pipeline([["GET", key] for key in keys]))))
            for key, value in found.items():
                expected = writer.keys.get(key)
                if value == expected or key in writer.open and value == writer.open[key]:
                    self.kept += value is not None
                elif value is None and expected is not None:
                    self.gone += 1
                    if key not in self.told:
                        untold += 1
                        if self.is_quiet:
                            self.violations.append(f"{key} is lost, and nobody was told that it was evicted")
                else:
                    self.violations.append(
                        f"{key} is {value!r:.40}, and was {expected!r:.40}" + (" (told)" if key in self.told else "")
                    )
                writer.keys[key] = value
            writer.open = {}
        self.untold += untold
        if untold > UNTOLD:
            self.violations.append(f"{untold} keys are lost, and nobody was told that they were evicted")

    def run(self, rounds):
        for number in range(rounds + 1):
            self.round(number)
            if self.violations:
                for violation in self.violations[:20]:
                    print(f"round {number}: {violation}")
                break
        shutil.rmtree(self.directory, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", required=True)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--policy", default="allkeys-lru")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else chosen_seed()
    print(f"seed {seed}", flush=True)
    run = Evictions(absolute(options.server), seed, options.policy)
    run.run(options.rounds)
    print(
        f"seed {seed}: {options.rounds} rounds, {run.kept} keys found, {run.gone} evicted, of which {run.untold} untold, "
        f"{len(run.violations)} violations"
    )
    return 1 if run.violations else 0


if __name__ == "__main__":
    sys.exit(main())
