#!/usr/bin/env python3
"""Compares Swiftlet with redis-server, interleaved in one run, and prints a Markdown table.

    python Benchmarks/bench.py --server BIN --migrate BIN [--only NAME,...] [--quick] [--rounds N]

The server under test is pinned to core 0, the client to core 1. Throughput is measured in slices of some tenths of a
second, one server after the other; all else in rounds, every other one in the reverse order. A row's ratio is the
median of the ratios of neighbours. `--only` takes names of groups (`--list` prints them) or patterns for rows. Needs
redis-server, redis-benchmark, and Python 3.9; no package beyond the standard library. Everything is bound to the
loopback address.
"""

import argparse
import fnmatch
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

# These register their groups.
import churn  # noqa: F401
import connections  # noqa: F401
import conversion  # noqa: F401
import datatypes  # noqa: F401
import eviction  # noqa: F401
import publish  # noqa: F401
import replication  # noqa: F401
import saving  # noqa: F401
import scripts  # noqa: F401
from groups import GROUPS, LOGS, Row, group, paired
from harness import (
    CLIENT_CORES,
    KINDS,
    POOL,
    SERVER_CORES,
    Server,
    alternate,
    encode,
    grow,
    latencies,
    percentile,
    pipeline,
    set_requests,
)


def throughput(bench, directories, log, depth, tests, requests):
    def fill(server):
        # LRANGE needs its list, GET its keys, RPOP what LPUSH left.
        pipeline(server.port, [encode("RPUSH", "range", *("element:%d" % i for i in range(100)))], 1)
        pipeline(server.port, (encode("SET", "key:%012d" % i, POOL[i : i + 32]) for i in range(100000)), 5000)

    def words(test):
        named = ["LRANGE", "range", "0", "99"] if test == "LRANGE_100" else ["-t", test.lower()]
        return ["-P", str(depth), "-d", "32", "-r", "100000", *named]

    return alternate(
        bench,
        directories,
        LOGS[log],
        fill,
        [("%s -P %d, log %s" % (test, depth, log), requests, words(test)) for test in tests],
    )


def throughput_rows(log, depth, tests, least, most=None):
    rows = []
    for test in tests:
        prefix = "%s -P %d, log %s" % (test, depth, log)
        rows.append(Row(prefix + ": requests/s", "/s", (">=", least)))
        rows.append(Row(prefix + ": CPU/request", "µs", most and ("<=", most)))
    return rows


OTHERS = ["LPUSH", "RPOP", "HSET", "ZADD", "SADD", "INCR", "LRANGE_100"]
for log in ("off", "everysec"):
    for name, depth, tests, requests, least, most in (
        ("getset", 1, ["GET", "SET"], 60_000, 1.0, 1.0),
        ("getset16", 16, ["GET", "SET"], 500_000, 1.5, 0.65),
        ("others", 1, OTHERS, 40_000, 1.0, None),
    ):
        paired(
            "%s-%s" % (name, log),
            throughput_rows(log, depth, tests, least, most),
            log=log,
            depth=depth,
            tests=tests,
            requests=requests,
        )(throughput)
paired("set-always", throughput_rows("always", 1, ["SET"], 1.5), log="always", depth=1, tests=["SET"], requests=40_000)(
    throughput
)


@group("memory-1m", [Row("memory per key, 1M keys of 16 B + 32 B", "B", ("<=", 0.6))])
def memory(bench, kind, directory):
    server, keys = Server(bench, kind, directory, *LOGS["off"]), bench.scaled(1_000_000)
    try:
        return {"memory per key, 1M keys of 16 B + 32 B": grow(server, keys, 32)}
    finally:
        server.kill()


def change(server, keys, size, round):
    """Changes a random 1 % of the keys."""
    chosen = random.Random(round).sample(range(keys), keys // 100)
    pipeline(server.port, set_requests(chosen, size, salt=1 + round), 2000)


def latency(bench, server, keys):
    """p99.9 of single requests while saving, and without; the former over as many saves as fill some seconds."""
    span = 4 if not bench.quick else 1.5
    server.settle()
    end = time.monotonic() + span
    calm = latencies(server, keys, lambda: time.monotonic() > end)
    busy, began, rounds = [], time.monotonic(), 0
    while rounds < 2 or (time.monotonic() - began < 3 * span and rounds < 20):
        change(server, keys, 32, 100 + rounds)
        server.client("BGSAVE")
        asked = [time.monotonic()]

        def done():
            if time.monotonic() - asked[0] < 0.02:
                return False
            asked[0] = time.monotonic()
            return not server.saving()

        busy += latencies(server, keys, done)
        rounds += 1
    return percentile(calm, 0.999), percentile(busy, 0.999), max(busy)


FIVE = [
    Row("memory per key, 5M keys of 16 B + 32 B", "B", ("<=", 0.6)),
    Row("first checkpoint of 5M keys: time", "s"),
    Row("first checkpoint of 5M keys: bytes written", "MB"),
    Row("first checkpoint of 5M keys: peak memory growth", "MB"),
    Row("checkpoint, 1 % of 5M keys changed: time", "s", ("<=", 0.2)),
    Row("checkpoint, 1 % of 5M keys changed: bytes written", "MB", ("<=", 1.0)),
    Row("checkpoint, 1 % of 5M keys changed: peak memory growth", "MB"),
    Row("p99.9 without a checkpoint", "ms"),
    Row("p99.9 during a checkpoint", "ms"),
    Row("longest during a checkpoint", "ms"),
    Row("p99.9 during a checkpoint / without", "x", ("<=", 1.5), absolute=True),
    Row("start from a snapshot of 5M keys", "s", ("<=", 1.2)),
    Row("keys after that start", ""),
]


@group("keys-5m", FIVE)
def five_million(bench, kind, directory):
    server, keys = Server(bench, kind, directory, *LOGS["off"]), bench.scaled(5_000_000)
    values = []
    try:
        values.append(grow(server, keys, 32))
        seconds, written, growth = server.save()
        values += [seconds, written / 1e6, growth / 1e6]
        change(server, keys, 32, 1)
        seconds, written, growth = server.save()
        values += [seconds, written / 1e6, growth / 1e6]
        calm, busy, longest = latency(bench, server, keys)
        values += [calm, busy, longest, busy / calm]
        server.save()
        server.kill()
        values += [server.start(), server.client("DBSIZE")]
    finally:
        server.kill()
    return dict(zip((row.name for row in FIVE), values))


FREE = [
    Row("p99.9 during a checkpoint / without, server on both cores", "x", ("<=", 1.5), absolute=True),
    Row("p99.9 during a checkpoint, server on both cores", "ms"),
    Row("longest during a checkpoint, server on both cores", "ms"),
]


@group("latency-both-cores", FREE)
def latency_both_cores(bench, kind, directory):
    server = Server(bench, kind, directory, *LOGS["off"], cores=SERVER_CORES | CLIENT_CORES)
    keys = bench.scaled(2_000_000)
    try:
        grow(server, keys, 32)
        server.save()
        calm, busy, longest = latency(bench, server, keys)
        return dict(zip((row.name for row in FREE), (busy / calm, busy, longest)))
    finally:
        server.kill()


LONG = [
    Row("checkpoint, 1 % of 1M keys of 1000 B changed: time", "s", ("<=", 0.2)),
    Row("checkpoint, 1 % of 1M keys of 1000 B changed: bytes written", "MB", ("<=", 0.1)),
    Row("checkpoint, 1 % of 1M keys of 1000 B changed: peak memory growth", "MB"),
]


@group("values-1000b", LONG)
def long_values(bench, kind, directory):
    server, keys = Server(bench, kind, directory, *LOGS["off"]), bench.scaled(1_000_000)
    try:
        grow(server, keys, 1000)
        server.save()
        change(server, keys, 1000, 1)
        seconds, written, growth = server.save()
        return dict(zip((row.name for row in LONG), (seconds, written / 1e6, growth / 1e6)))
    finally:
        server.kill()


HASH = [
    Row("checkpoint, 10 of a hash's 1M fields changed: bytes written", "MB", ("<=", 1.0), absolute=True),
    Row("checkpoint, 10 of a hash's 1M fields changed: time", "s"),
]


@group("hash", HASH)
def one_hash(bench, kind, directory):
    server, fields = Server(bench, kind, directory, *LOGS["off"]), bench.scaled(1_000_000)
    try:
        head = b"*4\r\n$4\r\nHSET\r\n$4\r\nhash\r\n$12\r\nfield:%06d\r\n$32\r\n%b\r\n"
        limit = len(POOL) - 40
        pipeline(server.port, (head % (i, POOL[i * 31 % limit : i * 31 % limit + 32]) for i in range(fields)), 8000)
        server.save()
        pipeline(server.port, (head % (i, POOL[5:37]) for i in random.Random(1).sample(range(fields), 10)), 10)
        seconds, written, _ = server.save()
        return dict(zip((row.name for row in HASH), (written / 1e6, seconds)))
    finally:
        server.kill()


REPLAY = [Row("start by replaying a log of 2M SETs", "s", ("<=", 1.0)), Row("keys after that replay", "")]


@group("replay", REPLAY)
def replay(bench, kind, directory):
    server = Server(bench, kind, directory, *LOGS["everysec"], "--aof-use-rdb-preamble", "no")
    try:
        pipeline(server.port, set_requests(range(bench.scaled(2_000_000)), 32), 8000)
        server.settle()
        time.sleep(2)  # Nothing is left unsynced.
        server.kill()
        return dict(zip((row.name for row in REPLAY), (server.start(), server.client("DBSIZE"))))
    finally:
        server.kill()


def mixed_requests(keys):
    """Keys of every type that a snapshot holds: small and, one in ten thousand, large; some expire, far away."""
    generator = random.Random(11)
    for i in range(keys):
        count = 2000 if i % 10000 == 5 else generator.randrange(1, 12)
        start = generator.randrange(len(POOL) - 200)
        values = [POOL[start + j % 90 : start + j % 90 + 5 + j % 60] + b"%d" % j for j in range(count)]
        kind = i % 5
        if kind == 0:
            yield encode("SET", "string:%d" % i, generator.choice([values[0], i, -i, POOL[start : start + 200]]))
        elif kind == 1:
            yield encode("RPUSH", "list:%d" % i, *values)
        elif kind == 2:
            yield encode("HSET", "hash:%d" % i, *(w for j in range(count) for w in ("field:%d" % j, values[j])))
        elif kind == 3:
            yield encode("SADD", "set:%d" % i, *(values if i & 1 else range(i, i + count)))
        else:
            yield encode("ZADD", "zset:%d" % i, *(w for j in range(count) for w in (j * 0.25 - i, values[j])))
        if i % 50 == 0:
            yield encode("PEXPIREAT", "string:%d" % i, 4102444800000 + i)


IMPORT = [
    Row("RDB of 1M mixed keys: redis-migrate to-sqlite", "s"),
    Row("RDB of 1M mixed keys: start", "s"),
    Row("RDB of 1M mixed keys: BGSAVE after 1000 writes", "s"),
    Row("RDB of 1M mixed keys: start after kill -9", "s"),
    Row("RDB of 1M mixed keys: digests unequal", "", ("<=", 0), absolute=True),
]


@group("import", IMPORT)
def import_job(bench, kind, directory):
    source = os.path.join(directory, "redis")
    os.mkdir(source)
    original = Server(bench, "redis", source, *LOGS["off"])
    server = None
    writes = [encode("SET", "written:%d" % i, i) for i in range(500)] + [
        encode("RPUSH", "list:%d" % (5 * i + 1), "written") for i in range(500)
    ]
    try:
        pipeline(original.port, mixed_requests(bench.scaled(1_000_000)), 1000)
        original.save()
        digest, unequal, values = original.client("DEBUG", "DIGEST"), 0, []
        if kind == "redis":
            original.kill()
            server = original
            values += [0, original.start()]
        else:
            began = time.monotonic()
            subprocess.run(
                [bench.migrate, "to-sqlite", os.path.join(source, "dump.rdb"), os.path.join(directory, "dump.sqlite")],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            values.append(time.monotonic() - began)
            began = time.monotonic()
            server = Server(bench, kind, directory, *LOGS["off"])
            values.append(time.monotonic() - began)
        unequal += server.client("DEBUG", "DIGEST") != digest
        for target in {original, server}:
            pipeline(target.port, writes, 100)
        values.append(server.save()[0])
        digest = original.client("DEBUG", "DIGEST")
        server.kill()
        values.append(server.start())
        unequal += server.client("DEBUG", "DIGEST") != digest
        return dict(zip((row.name for row in IMPORT), values + [unequal]))
    finally:
        original.kill()
        if server:
            server.kill()


# MARK: The run


class Bench:
    def __init__(self, options):
        self.server, self.migrate, self.redis = options.server, options.migrate, options.redis
        self.binaries = {"swiftlet": options.server, "redis": options.redis}
        self.quick = options.quick
        self.rounds = options.rounds or (1 if self.quick else 5)
        self.directory = options.dir

    def scaled(self, size):
        return size // 10 if self.quick else size

    # The figures of every round: {row's name: [(Swiftlet's, Redis's)]}.

    def by_turns(self, measure):
        figures = {}
        for round in range(self.rounds):
            found = {}
            for kind in KINDS[:: -1 if round % 2 else 1]:
                with tempfile.TemporaryDirectory(prefix="bench-", dir=self.directory) as directory:
                    found[kind] = measure(kind, directory)
            for name, figure in found["swiftlet"].items():
                figures.setdefault(name, []).append((figure, found["redis"][name]))
        return figures

    def together(self, measure):
        figures = {}
        for _ in range(self.rounds):
            with tempfile.TemporaryDirectory(prefix="bench-", dir=self.directory) as directory:
                directories = {kind: os.path.join(directory, kind) for kind in KINDS}
                for path in directories.values():
                    os.mkdir(path)
                for name, pairs in measure(directories).items():
                    figures.setdefault(name, []).extend(pairs)
        return figures


def text(value, unit):
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 3
    return "{:,.{}f} {}".format(value, digits if value != int(value) else 0, unit).strip()


def line(row, pairs):
    """A row of the table, and whether its goal is met."""
    ours, theirs = (statistics.median(pair[i] for pair in pairs) for i in (0, 1))
    ratios = [a / b for a, b in pairs if b]
    ratio = statistics.median(ratios) if ratios else None
    judged, verdict, goal = ours if row.absolute else ratio, "", ""
    if row.goal:
        sign, bound = row.goal
        met = judged is not None and (judged <= bound if sign == "<=" else judged >= bound)
        verdict = "pass" if met else "FAIL"
        goal = "%s %s" % (sign, text(bound, row.unit) if row.absolute else bound)
    spread = " (%.2f-%.2f)" % (min(ratios), max(ratios)) if len(ratios) > 1 else ""
    ratio = "" if ratio is None else "%.2f%s" % (ratio, spread)
    return "| %s | %s | %s | %s | %s | %s |" % (
        row.name,
        text(ours, row.unit),
        text(theirs, row.unit),
        ratio,
        goal,
        verdict,
    ), verdict != "FAIL"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", help="swiftlet-server")
    parser.add_argument("--migrate", help="redis-migrate, for the groups `import` and `conversion`")
    parser.add_argument("--redis", default=shutil.which("redis-server"), help="redis-server to compare with")
    parser.add_argument("--only", help="groups, or patterns for rows, separated by commas")
    parser.add_argument("--quick", action="store_true", help="a tenth of the sizes, one round")
    parser.add_argument("--rounds", type=int, help="5 unless told; 1 with --quick")
    parser.add_argument("--dir", help="where the servers' directories are made; on a disk, not in memory")
    parser.add_argument("--list", action="store_true", help="print the groups and their rows")
    options = parser.parse_args()
    if options.list:
        for name, (rows, _) in GROUPS.items():
            print(name, *("    " + row.name for row in rows), sep="\n")
        return 0
    if not options.server or not options.redis:
        parser.error("--server is needed, and redis-server")
    options.server = os.path.abspath(options.server)
    options.migrate = options.migrate and os.path.abspath(options.migrate)
    patterns = (options.only or "*").split(",")
    os.sched_setaffinity(0, CLIENT_CORES)
    bench, passed = Bench(options), True
    version = subprocess.run([bench.redis, "--version"], capture_output=True, text=True).stdout.split()[2]
    print(
        "%d rounds%s; Redis %s; Linux %s\n"
        % (bench.rounds, ", sizes scaled to a tenth" if bench.quick else "", version, os.uname().release)
    )
    print("| row | Swiftlet | Redis | ratio | goal | |\n|---|---:|---:|---:|---|---|", flush=True)
    for name, (rows, measure) in GROUPS.items():
        whole = any(fnmatch.fnmatch(name, pattern) for pattern in patterns)
        rows = [row for row in rows if whole or any(fnmatch.fnmatch(row.name, pattern) for pattern in patterns)]
        if not rows or (name in ("import", "conversion") and not options.migrate):
            continue
        try:
            figures = measure(bench)
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            print("| %s | could not be measured: %s | | | | FAIL |" % (name, error), flush=True)
            passed = False
            continue
        for row in rows:
            printed, met = line(row, figures[row.name])
            print(printed, flush=True)
            passed = passed and met
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
