"""What replication costs: a write that a replica follows, on both sides, and a full sync while clients go on."""

import os
import threading
import time

from groups import LOGS, Row, group, paired
from harness import CLIENT_CORES, KINDS, SERVER_CORES, SLICES, Server, grow, latencies, percentile

# A replica that was away for a moment must not need another full sync.
OPTIONS = [*LOGS["off"], "--repl-diskless-sync-delay", "0", "--repl-backlog-size", "64mb"]


def follow(bench, kind, directory, master, cores):
    """An empty replica of `master`, on its way."""
    os.makedirs(directory, exist_ok=True)
    options = [*OPTIONS, "--replicaof", "127.0.0.1 %d" % master.port]
    return Server(bench, kind, directory, *options, cores=cores, answers_at_once=False)


def wait_for(what, condition, seconds=600):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError("waited too long for %s" % what)
        time.sleep(0.005)


def is_up(replica):
    return replica.client.info("replication").get("master_link_status") == "up"


def offset(server):
    return int(server.client.info("replication")["master_repl_offset"])


def caught_up(master, replica):
    wait_for("the replica", lambda: is_up(replica) and offset(replica) >= offset(master))


WRITES = [("SET", ["-t", "set"]), ("LPUSH", ["-t", "lpush"]), ("HSET", ["-t", "hset"])]


def replicated_rows(depth):
    return [
        Row("%s -P %d with a replica: %s CPU/request" % (test, depth, side), "µs", ("<=", 1.0))
        for test, _ in WRITES
        for side in ("master's", "replica's")
    ]


def pair(bench, kind, directories):
    """A master and a replica that follows it."""
    master = Server(bench, kind, directories[kind], *OPTIONS)
    try:
        replica = follow(bench, kind, os.path.join(directories[kind], "replica"), master, CLIENT_CORES)
        caught_up(master, replica)
    except BaseException:
        master.kill()
        raise
    return master, replica


def slice_of_writes(master, replica, count, words):
    before = replica.nanoseconds()
    _, spent = master.load(count, words)
    caught_up(master, replica)
    return spent, (replica.nanoseconds() - before) / count / 1000


def replicated(bench, directories, depth, count):
    pairs, figures, count = {}, {}, bench.scaled(count)
    try:
        for kind in KINDS:
            pairs[kind] = pair(bench, kind, directories)
        for (test, words), turn in ((test, turn) for test in WRITES for turn in range(SLICES)):
            words = ["-P", str(depth), "-d", "32", "-r", "100000", *words]
            found = {kind: slice_of_writes(*pairs[kind], count, words) for kind in KINDS[:: -1 if turn % 2 else 1]}
            for i, side in enumerate(("master's", "replica's")):
                name = "%s -P %d with a replica: %s CPU/request" % (test, depth, side)
                figures.setdefault(name, []).append(tuple(found[kind][i] for kind in KINDS))
        return figures
    finally:
        for server in (server for both in pairs.values() for server in both):
            server.kill()


for depth, count in ((1, 60_000), (16, 300_000)):
    paired("replicated-p%d" % depth, replicated_rows(depth), depth=depth, count=count)(replicated)


SYNC = [
    Row("full sync of 5M keys: time", "s"),
    Row("full sync of 5M keys: master's peak memory growth", "%", ("<=", 10), absolute=True),
    Row("full sync of 5M keys: master's CPU", "s"),
    Row("full sync of 5M keys: replica's CPU", "s"),
    Row("p99.9 without a full sync", "ms"),
    Row("p99.9 during a full sync", "ms"),
    Row("longest during a full sync", "ms"),
    Row("p99.9 during a full sync / without", "x", ("<=", 1.5), absolute=True),
    Row("requests/s of one client during a full sync", "/s", (">=", 1.0)),
]


def synced(bench, kind, master, directory, cores):
    """Has a new replica do a full sync; seconds, the growth of the master's memory in percent, CPU seconds of both."""
    with open("/proc/%d/clear_refs" % master.pid, "w") as file:
        file.write("5")
    memory, began, spent = master.memory(), time.monotonic(), master.cpu()
    replica = follow(bench, kind, directory, master, cores)
    try:
        wait_for("the full sync", lambda: is_up(replica))
        seconds = time.monotonic() - began
        copied = int(master.client.info("persistence").get("rdb_last_cow_size", 0))
        growth = master.memory("VmHWM") - memory + copied
        return seconds, max(0, growth) / memory * 100, master.cpu() - spent, replica.cpu()
    finally:
        replica.kill()


@group("full-sync-5m", SYNC)
def full_sync(bench, kind, directory):
    cores = SERVER_CORES | CLIENT_CORES
    master, keys = Server(bench, kind, directory, *OPTIONS, cores=cores), bench.scaled(5_000_000)
    try:
        grow(master, keys, 32)
        # What a server that has been up for a while has.
        master.save()
        values = list(synced(bench, kind, master, os.path.join(directory, "first"), cores))
        master.settle()
        end = time.monotonic() + (4 if not bench.quick else 1.5)
        calm = latencies(master, keys, lambda: time.monotonic() > end)
        over, began = threading.Event(), time.monotonic()

        def another():
            synced(bench, kind, master, os.path.join(directory, "second"), cores)
            over.set()

        threading.Thread(target=another, daemon=True).start()
        busy = latencies(master, keys, over.is_set)
        rate = len(busy) / (time.monotonic() - began)
        usual, worst = percentile(calm, 0.999), percentile(busy, 0.999)
        values += [usual, worst, max(busy), worst / usual, rate]
    finally:
        master.kill()
    return dict(zip((row.name for row in SYNC), values))
