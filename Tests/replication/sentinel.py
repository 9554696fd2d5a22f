"""Three sentinels of redis-server and three servers of ours: the master is killed under load, again and again. Each time
another one must take writes within the configured time, the rest must follow it, the old master too once it lives again,
and no write may be missing that WAIT 2 has acknowledged.

    sentinel.py [--failovers N] [--seed S]
"""

import argparse
import contextlib
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "Support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "differential"))
os.environ["LC_ALL"] = "C"

from agreement import agree
from nodes import SWIFTLET, Nodes
from oracle import free_port
from resp import Connection, bulks
from seed import chosen_seed
from setups import block
from waiting import wait_until

# Seconds, as the page of the documentation has them: without an answer, then a server is down.
DOWN_AFTER, FAILOVER_TIMEOUT = (
    int(re.search(rf"{name} swiftlet (\d+)", block("sentinel.conf")).group(1)) / 1000
    for name in ("down-after-milliseconds", "failover-timeout")
)
# What a failover may take: three sentinels agree, one is elected, and promotes; an election that fails is repeated after
# twice the timeout, which must not be needed here.
WRITABLE_WITHIN = DOWN_AFTER + FAILOVER_TIMEOUT


class Sentinel:
    def __init__(self, master):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="swiftlet-sentinel-"))
        self.port = free_port()
        file = self.directory / "sentinel.conf"
        text = block("sentinel.conf", {26379: self.port, 6379: master, "/var/lib/redis": self.directory})
        file.write_text(f"{text}logfile {self.directory}/log\n")
        self.process = subprocess.Popen(
            ["redis-server", str(file), "--sentinel"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(self.is_ready)

    def is_ready(self):
        with contextlib.suppress(OSError):
            return self.call("PING") == b"+PONG\r\n"

    def call(self, *args):
        with contextlib.closing(Connection(self.port)) as connection:
            return connection.call(*args)

    def master(self):
        """The port of the master, as it says."""
        found = bulks(self.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "swiftlet"))
        return int(found[1]) if found else None

    def knows(self, replicas, sentinels):
        fields = bulks(self.call("SENTINEL", "MASTER", "swiftlet"))
        info = dict(zip(fields[::2], fields[1::2]))
        return (int(info[b"num-slaves"]), int(info[b"num-other-sentinels"])) == (replicas, sentinels)

    def text(self):
        return (self.directory / "log").read_text(errors="replace")

    def stop(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


class Client(threading.Thread):
    """Writes to whom a sentinel names, waits for both replicas, and remembers what they acknowledged."""

    def __init__(self, group, number):
        super().__init__(daemon=True)
        self.group, self.number = group, number
        self.ends = threading.Event()
        self.acknowledged = 0
        self.last = time.monotonic()  # when a write was accepted
        self.longest = 0.0

    def run(self):
        n = 0
        while not self.ends.is_set():
            with contextlib.suppress(OSError, ValueError, TypeError):
                port = self.group.sentinels[n % 3].master()
                with contextlib.closing(Connection(port)) as connection:
                    connection.socket.settimeout(2)
                    while not self.ends.is_set():
                        n += 1
                        if not self.write(connection, n):
                            break
            self.ends.wait(0.02)

    def write(self, connection, n):
        """Whether this master is worth another write."""
        key = f"written:{self.number}:{n}"
        reply = connection.call("SET", key, n)
        if reply != b"+OK\r\n":
            return False
        self.longest = max(self.longest, time.monotonic() - self.last)
        self.last = time.monotonic()
        if connection.call("WAIT", 2, 500) == b":2\r\n":
            self.group.acknowledged.append((key, n))
        return True


class Group:
    """Servers, sentinels and clients."""

    def __init__(self, nodes, **options):
        self.nodes = [nodes(SWIFTLET, with_file=True, appendonly="yes", **options) for _ in range(3)]
        for node in self.nodes[1:]:
            node.follow(self.nodes[0].port)
        for node in self.nodes[1:]:
            node.wait_linked()
        self.sentinels = [nodes.keep(Sentinel(self.nodes[0].port)) for _ in range(3)]
        wait_until(lambda: all(sentinel.knows(2, 2) for sentinel in self.sentinels), 30)
        self.acknowledged = []
        self.clients = [Client(self, n) for n in range(2)]

    def find(self, port):
        return next(node for node in self.nodes if node.port == port)

    def wait_acknowledged(self, count, timeout=30):
        wanted = len(self.acknowledged) + count
        wait_until(lambda: len(self.acknowledged) >= wanted, timeout)

    def failover(self):
        """Kills the master and waits until all is well again. Seconds until a write was accepted, and until all follow."""
        self.wait_acknowledged(30)
        old = self.find(self.sentinels[0].master())
        killed = time.monotonic()
        old.kill()
        wait_until(lambda: all(client.last > killed for client in self.clients), WRITABLE_WITHIN + 10)
        writable = max(client.last for client in self.clients) - killed
        # A write may have been under way.
        wait_until(lambda: len({sentinel.master() for sentinel in self.sentinels} - {old.port}) == 1, 20)
        old.start()
        wait_until(lambda: self.follows(old), 30)
        self.wait_acknowledged(5)
        return writable, time.monotonic() - killed

    def follows(self, old):
        port = self.sentinels[0].master()
        others = [node for node in self.nodes if node.port != port]
        with contextlib.suppress(OSError, KeyError, AssertionError):
            return port != old.port and all(
                node.is_linked() and node.info("replication")["master_port"] == str(port) for node in others
            )

    def check(self):
        """All that was acknowledged is there, on all."""
        for client in self.clients:
            client.ends.set()
            client.join(10)
        port = self.sentinels[0].master()
        master = self.find(port)
        agree(master, *(node for node in self.nodes if node is not master))
        for node in self.nodes:
            lines = [line for line in node.file.read_text().splitlines() if line.startswith("replicaof ")]
            assert lines == ([] if node is master else [f"replicaof 127.0.0.1 {port}"]), f"{node} has rewritten {lines}"
        connection = master.connect()
        for at in range(0, len(self.acknowledged), 500):
            part = self.acknowledged[at : at + 500]
            found = connection.pipeline([("GET", key) for key, _ in part])
            for (key, n), reply in zip(part, found):
                assert reply == b"$%d\r\n%d\r\n" % (len(str(n)), n), f"{key} is lost: {reply}"
        connection.close()


def run(failovers, seed):
    nodes, rng = Nodes(), random.Random(seed)
    times = []
    try:
        group = Group(nodes, **{"repl-backlog-size": 16 << 20, "appendfsync": rng.choice(["always", "everysec"])})
        for client in group.clients:
            client.start()
        for _ in range(failovers):
            writable, whole = group.failover()
            times.append(writable)
            print(f"writable again after {writable:.1f} s, all follow after {whole:.1f} s, "
                  f"{len(group.acknowledged)} writes acknowledged by both replicas", flush=True)  # fmt: skip
            assert writable < WRITABLE_WITHIN, f"{writable:.1f} s until a write was accepted"
        group.check()
    except BaseException:
        for each in nodes.started:
            print(f"--- {each}\n{each.text()[-3000:]}", flush=True)
        raise
    finally:
        nodes.stop()
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--failovers", type=int, default=20)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else chosen_seed()
    print(f"seed {seed}", flush=True)
    times = run(options.failovers, seed)
    print(f"{len(times)} failovers, the slowest {max(times):.1f} s, nothing lost that WAIT acknowledged")
    return 0


if __name__ == "__main__":
    sys.exit(main())
