"""How long others wait while hostile statements come in: GETs of one client are timed in short spans of time, in turns without and
with a client that sends Tests/sql/hostile.py. The quiet spans are the measure for the others, as both meet the same machine.

    python Tests/sql/run.py --server .build/release/swiftlet-server

`--core N`: the server alone on that core, its SQL too, which is the hardest case.
"""

import argparse
import os
import pathlib
import random
import socket
import sys
import threading
import time

sys.path[:0] = [
    str(pathlib.Path(__file__).resolve().parent),
    str(pathlib.Path(__file__).resolve().parents[1] / "Support"),
]

import hostile  # noqa: E402
import random_statements  # noqa: E402

from oracle import Server  # noqa: E402
from resp import encode  # noqa: E402
from seed import chosen_seed  # noqa: E402

KEYS = 200_000
SPAN = 1.0
TIME_LIMIT = 1000
ALLOWED = 1.5


class Attacker(threading.Thread):
    """Sends statements while `on` is set."""

    def __init__(self, server, statements):
        super().__init__(daemon=True)
        self.connection = server.connect()
        self.connection.socket.settimeout(120)
        self.statements = statements
        self.on, self.stopped = threading.Event(), False
        self.sent = self.refused = self.slowest = 0

    def run(self):
        while not self.stopped:
            for sql in self.statements:
                self.on.wait()
                if self.stopped:
                    return
                began = time.monotonic()
                reply = self.connection.call("SQL", sql)
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.sent += 1
                self.refused += reply[:1] == b"-"


def timed_gets(path, port, core, spans, command):
    """A process of its own: times of GETs in ns, a span for each G on `command`; another byte ends it."""
    if core is not None:
        os.sched_setaffinity(0, {core})
    client = socket.create_connection(("127.0.0.1", port))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    requests = [encode(("GET", f"k{i}")) for i in range(0, KEYS, 97)]
    with open(path, "wb") as out:
        while os.read(command, 1) == b"G":
            end = time.monotonic() + SPAN
            times = []
            i = 0
            while time.monotonic() < end:
                began = time.perf_counter_ns()
                client.sendall(requests[i % len(requests)])
                client.recv(4096)
                times.append(time.perf_counter_ns() - began)
                i += 1
            out.write(len(times).to_bytes(8, "little") + b"".join(t.to_bytes(8, "little") for t in times))
            out.flush()
            os.write(spans, b"D")


def percentile(times, share):
    return sorted(times)[min(len(times) - 1, int(len(times) * share))] / 1000


def measure(server, rounds, statements, client_core):
    """([quiet times], [times beside statements]) of each round, in ns."""
    path = pathlib.Path(server.directory) / "times"
    command, done = os.pipe(), os.pipe()
    if os.fork() == 0:
        timed_gets(path, server.port, client_core, done[1], command[0])
        os._exit(0)
    attacker = Attacker(server, statements)
    attacker.start()
    order = []
    for _ in range(rounds):
        for is_hostile in random.sample([False, True], 2):
            if is_hostile:
                attacker.on.set()
            os.write(command[1], b"G")
            os.read(done[0], 1)
            attacker.on.clear()
            order.append(is_hostile)
            if is_hostile:
                # What is still executed must not be taken for quiet.
                server.connect().call("SQL", "SELECT 1")
    os.write(command[1], b"E")
    os.wait()
    attacker.stopped = True
    attacker.on.set()
    data, at, found = path.read_bytes(), 0, {False: [], True: []}
    for is_hostile in order:
        count = int.from_bytes(data[at : at + 8], "little")
        found[is_hostile].append(
            [int.from_bytes(data[at + 8 + 8 * i : at + 16 + 8 * i], "little") for i in range(count)]
        )
        at += 8 + 8 * count
    return found[False], found[True], attacker


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--core", type=int, default=None)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = chosen_seed() if options.seed is None else options.seed
    print(f"seed {seed}")
    random.seed(seed)
    statements = [sql for _, sql in hostile.STATEMENTS]
    random.shuffle(statements)
    server = Server(options.server, ("--sql-time-limit", str(TIME_LIMIT)))
    if options.core is not None:
        for task in os.listdir(f"/proc/{server.process.pid}/task"):
            os.sched_setaffinity(int(task), {options.core})
    try:
        connection = server.connect()
        for i in range(0, KEYS, 1000):
            connection.pipeline([("SET", f"k{j}", "v" * 32) for j in range(i, i + 1000)])
        assert connection.call("SAVE") == b"+OK\r\n"
        before = random_statements.state(server)
        resident = random_statements.resident(server)
        others = set(range(os.cpu_count())) - {options.core} if options.core is not None else set()
        quiet, beside, attacker = measure(server, options.rounds, statements, min(others) if others else None)
        after = random_statements.state(server)
        before[0].pop("times", None), after[0].pop("times", None)
        assert after == before, "something was written"
        grown = (random_statements.resident(server) - resident) >> 20
    finally:
        server.stop()
    print(
        f"{attacker.sent} statements, {attacker.refused} refused or cut, the slowest took {attacker.slowest:.2f} s; {grown} MB more are resident"
    )
    ratios = {}
    for name, share in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)):
        medians = [sorted(percentile(times, share) for times in spans)[len(spans) // 2] for spans in (quiet, beside)]
        whole = [percentile([t for times in spans for t in times], share) for spans in (quiet, beside)]
        ratios[name] = medians[1] / medians[0]
        print(
            f"GET {name}: quiet {medians[0]:.0f} us, beside {medians[1]:.0f} us, ratio {ratios[name]:.2f} (median of {len(quiet)} spans); "
            f"over all {whole[0]:.0f} and {whole[1]:.0f} us, {whole[1] / whole[0]:.2f}"
        )
    sys.exit(0 if ratios["p99.9"] <= ALLOWED else 1)


if __name__ == "__main__":
    main()
