#!/usr/bin/env python3
"""Measures what the README's table and docs/benchmarks.md show: Swiftlet, redis-server and Valkey by turns, in one run.

    python Benchmarks/front.py --server BIN [--valkey BIN] [--rounds 3] [--minutes 12] [--quick]
    python Benchmarks/front.py --render

Each figure is kept in Benchmarks/results.json as soon as it is there; a measurement that fails is named and leaves the others
alone, and no round begins that would end after `--minutes`. The pages are written at the end out of that file: `--render` does
only that. Without `--valkey` its column is left out. Needs redis-server, redis-benchmark, two cores, 2.5 GB of memory and as much
on disk; no package beyond the standard library. Servers listen on the loopback address.
"""

import argparse
import datetime
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import report
from bench import change
from groups import LOGS
from harness import (
    CLIENT_CORES,
    POOL,
    SERVER_CORES,
    Server,
    encode,
    grow,
    latencies,
    percentile,
    pipeline,
    set_requests,
)

SLICES = 7
# Of the time, for what requests cost, where a machine is slow.
REQUESTS_SHARE = 0.35
KEYS = 5_000_000


class Bench:
    """What the harness asks of a run, and the figures so far."""

    def __init__(self, options):
        self.binaries = {"swiftlet": options.server, "redis": options.redis}
        if options.valkey:
            self.binaries["valkey"] = options.valkey
        self.quick, self.directory = options.quick, options.dir
        self.failed, self.began, self.seconds = [], time.monotonic(), options.minutes * 60
        self.results = {
            "date": datetime.date.today().isoformat(),
            "machine": machine(),
            "keys": self.scaled(KEYS),
            "versions": {kind: version(binary) for kind, binary in self.binaries.items()},
            "figures": {row.name: {} for row in report.ROWS},
        }

    def scaled(self, size):
        return size // 10 if self.quick else size

    def used(self):
        """How much of the time is gone, as a share."""
        return (time.monotonic() - self.began) / self.seconds

    def kinds(self, turn):
        """The servers in the order of a turn: every other one is reversed."""
        return list(self.binaries)[:: -1 if turn % 2 else 1]

    def add(self, kind, figures):
        for name, figure in figures.items():
            self.results["figures"][name].setdefault(kind, []).append(round(figure, 4))
        report.write_results(self.results)

    def attempt(self, what, kind, measure):
        try:
            self.add(kind, measure())
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            self.failed.append(f"{what}, {kind}: {error}")
            print(self.failed[-1], file=sys.stderr, flush=True)


def machine():
    model = re.search(r"^model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return f"{os.cpu_count()} cores, {model[1].strip() if model else os.uname().machine}, Linux {os.uname().release.split('-')[0]}"


def version(binary):
    """The number in what `--version` prints, such as `Redis server v=7.0.15 …`."""
    printed = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    return re.search(r"\d+\.\d+\.\d+", printed)[0]


# Row's name, requests in a slice, redis-benchmark's words.
REQUESTS = [
    ("cpu_get", 60_000, ["-t", "get", "-P", "1"]),
    ("cpu_set", 60_000, ["-t", "set", "-P", "1"]),
    ("cpu_get16", 400_000, ["-t", "get", "-P", "16"]),
    ("cpu_set16", 400_000, ["-t", "set", "-P", "16"]),
]


def requests(bench):
    """CPU a request, in slices by turns. All servers are there at once, and only the one being measured has anything to do."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=bench.directory) as directory:
        servers = {}
        try:
            for kind in bench.binaries:
                os.mkdir(os.path.join(directory, kind))
                servers[kind] = Server(bench, kind, os.path.join(directory, kind), *LOGS["everysec"])
                filled = (encode("SET", "key:%012d" % i, POOL[i : i + 32]) for i in range(100_000))
                pipeline(servers[kind].port, filled, 5000)
            for number, (name, count, words) in enumerate(REQUESTS):
                for server in servers.values():
                    server.settle()
                for turn in range(SLICES):
                    if turn >= 3 and bench.used() > REQUESTS_SHARE * (number + 1) / len(REQUESTS):
                        break
                    for kind in bench.kinds(turn):
                        load = [*words, "-d", "32", "-r", "100000"]
                        bench.attempt(name, kind, lambda: {name: servers[kind].load(bench.scaled(count), load)[1]})
        finally:
            for server in servers.values():
                server.kill()


def checkpoints(bench, kind, directory, turn):
    """What 5M keys cost: memory, checkpoints with and without load, a start. The server has both cores."""
    keys = bench.results["keys"]
    server = Server(bench, kind, directory, *LOGS["off"], cores=SERVER_CORES | CLIENT_CORES)
    try:
        figures = {"bytes_a_key": grow(server, keys, 32)}
        server.save()
        change(server, keys, 32, 2 * turn)
        seconds, written = saved(server)
        figures.update(checkpoint_seconds=seconds, checkpoint_megabytes=written / 1e6)
        pipeline(server.port, set_requests(range(0, keys, keys // 10), 32, salt=1), 10)
        figures["few_megabytes"] = saved(server)[1] / 1e6
        for part in range(5):
            change(server, keys, 32, 100 * turn + part + 50)
        figures["many_megabytes"] = saved(server)[1] / 1e6
        end = time.monotonic() + 2
        calm = latencies(server, keys, lambda: time.monotonic() > end)
        change(server, keys, 32, 2 * turn + 1)
        busy, growth = under_load(server, keys)
        figures.update(
            calm_p999=percentile(calm, 0.999),
            busy_p999=percentile(busy, 0.999),
            busy_longest=max(busy),
            checkpoint_memory=growth / 1e6,
        )
        server.save()
        server.kill()
        figures["start_seconds"] = server.start()
        if server.client("DBSIZE") != keys:
            raise RuntimeError("keys are missing after the start")
        return figures
    finally:
        server.kill()


def saved(server):
    """BGSAVE: seconds, and the bytes that the server handed to the kernel; for a child that saved, those of its file. What a file
    system counts as written besides, which may be much where it keeps large pages, is left to it."""

    def handed():
        return int(re.search(r"^wchar: (\d+)", server.proc("io"), re.M)[1])

    before = handed()
    seconds, written, _ = server.save()
    return seconds, handed() - before if server.kind == "swiftlet" else written


def under_load(server, keys):
    """Latencies in milliseconds of single requests during a whole BGSAVE, and how much memory it took beyond what was there."""
    server.settle()
    pathlib.Path("/proc/%d/clear_refs" % server.pid).write_text("5")
    before, asked = server.memory(), [time.monotonic()]
    server.client("BGSAVE")

    def done():
        if time.monotonic() - asked[0] < 0.02:
            return False
        asked[0] = time.monotonic()
        return not server.saving()

    found = latencies(server, keys, done)
    copied = int(server.client.info("persistence").get("rdb_last_cow_size", 0))
    return found, max(0, server.memory("VmHWM") - before + copied)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", help="swiftlet-server")
    parser.add_argument(
        "--redis", default=shutil.which("redis-server"), help="redis-server; the one in PATH unless told"
    )
    parser.add_argument("--valkey", help="valkey-server; Benchmarks/build-valkey makes one")
    parser.add_argument("--rounds", type=int, default=3, help="of what 5M keys cost")
    parser.add_argument("--minutes", type=float, default=12)
    parser.add_argument("--quick", action="store_true", help="a tenth of the sizes, one round")
    parser.add_argument("--dir", help="where the servers' directories are made; on a disk, not in memory")
    parser.add_argument("--render", action="store_true", help="write the pages out of the results that there are")
    options = parser.parse_args()
    if options.render:
        report.write_pages()
        return 0
    if not options.server or not options.redis:
        parser.error("--server is needed, and redis-server")
    options.server = os.path.abspath(options.server)
    os.sched_setaffinity(0, CLIENT_CORES)
    # Ended before its time, it writes the pages of what there is, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    bench = Bench(options)
    try:
        measure(bench, 1 if options.quick else options.rounds)
    finally:
        report.write_pages()
    print("%s\n\n%.0f minutes" % (report.table(report.read_results()), bench.used() * options.minutes))
    return 1 if bench.failed else 0


def measure(bench, rounds):
    bench.attempt("requests", "all", lambda: requests(bench) or {})
    longest = 0
    for turn in range(rounds):
        began = bench.used()
        if began + longest > 1:
            print(f"no time for round {turn + 1}", file=sys.stderr)
            break
        for kind in bench.kinds(turn):
            with tempfile.TemporaryDirectory(prefix="bench-", dir=bench.directory) as directory:
                bench.attempt("checkpoints", kind, lambda: checkpoints(bench, kind, directory, turn))
        longest = max(longest, bench.used() - began)


if __name__ == "__main__":
    sys.exit(main())
