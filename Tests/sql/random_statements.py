"""Random statements from a grammar: the server answers each with rows or an error, stays, and writes nothing.

python Tests/sql/random_statements.py --server .build/release/swiftlet-server --statements 1000000 --seed 7
"""

import argparse
import hashlib
import os
import pathlib
import random
import sys
import threading
import time

sys.path[:0] = [
    str(pathlib.Path(__file__).resolve().parent),
    str(pathlib.Path(__file__).resolve().parents[1] / "Support"),
]

from grammar import Grammar  # noqa: E402

from oracle import Server  # noqa: E402
from seed import chosen_seed  # noqa: E402

# Clients at the same time, and what each sends before it reads.
CLIENTS = 4
PIPELINE = 8
REPORT = 60
# Milliseconds; the grammar joins views without a condition, too.
TIME_LIMIT = 100
# In bytes: what a query may have, the answer, and what the server had.
MEMORY_LIMIT = 64 << 20
RESIDENT_LIMIT = 400 << 20


def fill(connection):
    for i in range(60):
        connection.call("SET", f"k{i}", i)
        connection.call("HSET", f"h{i % 5}", f"f{i}", f"v{i}")
        connection.call("RPUSH", f"l{i % 3}", i)
        connection.call("SADD", f"s{i % 3}", i)
        connection.call("ZADD", f"z{i % 3}", i / 7, f"m{i}")
        connection.call("XADD", f"x{i % 2}", f"{i + 1}-0", "n", i)
    connection.call("SET", b"\xff\x00", bytes(range(256)))
    connection.call("SET", "expires", "x", "EX", 100000)
    connection.call("XGROUP", "CREATE", "x0", "g", 0)
    connection.call("XREADGROUP", "GROUP", "g", "c", "COUNT", 5, "STREAMS", "x0", ">")
    assert connection.call("SAVE") == b"+OK\r\n"


def state(server):
    """Files with their bytes; the digest of the data."""
    files = {}
    for path in sorted(pathlib.Path(server.directory).iterdir()):
        # The index of the WAL has marks of readers; the others are the server's own, which writes them in the background.
        if path.name not in ("dump.sqlite-shm", "log", "swiftlet.lock", "swiftlet.reserve"):
            files[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return files, server.connect().call("DEBUG", "DIGEST")


def resident(server):
    return int(pathlib.Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Client(threading.Thread):
    def __init__(self, server, seed, statements):
        super().__init__(daemon=True)
        self.server, self.seed, self.statements = server, seed, statements
        self.done = self.errors = self.cut = 0
        self.failure = None

    def run(self):
        grammar = Grammar(random.Random(self.seed))
        statement = "?"
        try:
            connection = self.server.connect()
            connection.call("HELLO", 2 + self.seed % 2)
            while self.done < self.statements:
                batch = [grammar.statement() for _ in range(PIPELINE)]
                requests = [("SQL", *grammar.random.choice([(), ("JSON",), ("CSV",)]), sql) for sql in batch]
                for sql, reply in zip(batch, connection.pipeline(requests), strict=True):
                    statement = sql
                    assert reply[:1] in b"*$-", reply
                    assert reply[:1] != b"-" or reply.startswith(b"-ERR SQL: "), reply
                    assert b"cannot be read" not in reply, reply
                    self.errors += reply[:1] == b"-"
                    self.cut += b"(sql-" in reply
                self.done += PIPELINE
        except Exception as error:  # noqa: BLE001
            self.failure = f"{error!r}, after: {statement}"


def run(server, seed, statements, report=None):
    """Throws where something is wrong; returns how many statements were sent, errors, and those cut at a limit."""
    admin = server.connect()
    fill(admin)
    before = state(server)
    clients = [Client(server, seed + i, statements // CLIENTS) for i in range(CLIENTS)]
    for client in clients:
        client.start()
    began = last = time.monotonic()
    peak = 0
    while any(client.is_alive() for client in clients):
        time.sleep(0.2)
        assert server.process.poll() is None, "the server has ended"
        peak = max(peak, resident(server))
        assert peak < RESIDENT_LIMIT, f"{peak} bytes are resident"
        if report and time.monotonic() - last > REPORT:
            last = time.monotonic()
            report(f"{sum(c.done for c in clients)} statements in {last - began:.0f} s, at most {peak >> 20} MB")
    assert [client.failure for client in clients if client.failure] == []
    assert state(server) == before, "something was written"
    assert admin.call("SQL", "CSV", "VALUES (1)") == b"$12\r\ncolumn1\r\n1\r\n\r\n"
    return [sum(values) for values in zip(*((c.done, c.errors, c.cut) for c in clients), strict=True)] + [peak]


def started(binary):
    return Server(
        binary, ("--sql-time-limit", str(TIME_LIMIT), "--sql-max-memory", str(MEMORY_LIMIT), "--sql-max-rows", "10000")
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--statements", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = chosen_seed() if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    server = started(options.server)
    try:
        done, errors, cut, peak = run(server, seed, options.statements, lambda text: print(text, flush=True))
        print(
            f"{done} statements, {errors} refused, {cut} of them cut at a limit; at most {peak >> 20} MB; nothing was written"
        )
    finally:
        server.stop()


if __name__ == "__main__":
    main()
