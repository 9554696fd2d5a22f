"""How long queries on a snapshot take, live and in a copy that `redis-migrate index` made: a million strings, and a list, hash, set
and sorted set of a million elements each. Prints the table of docs/snapshot.md; fails where a limit is exceeded.

query_times.py --server …/swiftlet-server --migrate …/redis-migrate [--keys 1000000]
"""

import argparse
import contextlib
import pathlib
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "Tests" / "Support"))

from launched import Launched  # noqa: E402

BATCH = 5000
# What, the query, and the limits in ms: on the live file, in the copy.
QUERIES = [
    ("a string by its key", "SELECT * FROM strings WHERE key = 'key:777'", 200, 1),
    ("any key", "SELECT * FROM keys WHERE key = 'key:777'", 200, 1),
    ("a small hash", "SELECT * FROM hashes WHERE db = 0 AND key = 'user:77'", 200, 1),
    ("a small hash as JSON", "SELECT j FROM hashes_json WHERE key = 'user:77'", 200, 1),
    ("a field of a million", "SELECT value FROM hashes WHERE key = 'hash' AND field = 'field 77'", 200, 1),
    ("a member of a million", "SELECT * FROM sets WHERE key = 'set' AND member = 'member 77'", 200, 1),
    ("a score among a million", "SELECT score FROM zsets WHERE key = 'zset' AND member = 'member 77'", 200, 1),
    ("first 10 of a list of a million", "SELECT position, value FROM lists WHERE key = 'list' LIMIT 10", 10, 1),
    ("last 10 of it", "SELECT position, value FROM lists_reversed WHERE key = 'list' LIMIT 10", 10, 1),
    ("top 10 of a million scores",
     "SELECT member, score FROM zsets WHERE key = 'zset' ORDER BY score DESC LIMIT 10", 600, None),
    ("10 largest keys by elements", "SELECT key, size FROM keys ORDER BY size DESC LIMIT 10", 600, 1),
    ("10 largest keys by bytes", "SELECT key, bytes FROM keys ORDER BY bytes DESC LIMIT 10", 600, 1),
    ("what expires within the hour",
     "SELECT key FROM expiring WHERE ttl_seconds BETWEEN 0 AND 3600 LIMIT 10", 600, None),
    ("prefixes by bytes", "SELECT * FROM prefixes ORDER BY bytes DESC LIMIT 10", None, 1),
    ("what is in it", "SELECT * FROM info", 1, 1),
]  # fmt: skip


def fill(server, count):
    connection = server.connect()
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        commands = [
            ("MSET", *[part for i in numbers for part in (f"key:{i}", f"value of key {i:020}")]),
            ("RPUSH", "list", *[f"item {i}" for i in numbers]),
            ("HSET", "hash", *[part for i in numbers for part in (f"field {i}", f"value {i}")]),
            ("SADD", "set", *[f"member {i}" for i in numbers]),
            ("ZADD", "zset", *[part for i in numbers for part in (i / 2, f"member {i}")]),
        ]
        for i in numbers[:: max(1, BATCH // 50)]:
            commands.append(("HSET", f"user:{i // 100}", "name", f"name {i}", "city", "Berlin"))
            commands.append(("EXPIRE", f"user:{i // 100}", 1800 + i % 7200))
        connection.pipeline(commands)
    assert connection.call("SAVE") == b"+OK\r\n"


def best(connection, sql):
    """The shortest of three times, in ms, after a first one that fills the caches."""
    times = []
    for _ in range(4):
        started = time.perf_counter()
        connection.execute(sql).fetchall()
        times.append((time.perf_counter() - started) * 1000)
    return min(times[1:])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True)
    parser.add_argument("--migrate", required=True)
    parser.add_argument("--keys", type=int, default=1_000_000)
    options = parser.parse_args()
    server = Launched(options.server, "--appendonly", "no")
    slow = []
    try:
        fill(server, options.keys)
        live = pathlib.Path(server.directory, "dump.sqlite")
        copy = live.with_name("analysis.sqlite")
        started = time.perf_counter()
        subprocess.run([options.migrate, "index", live, copy], check=True, capture_output=True)
        took = time.perf_counter() - started
        print("| | live file | copy with indexes |\n|---|---|---|")
        with contextlib.ExitStack() as stack:
            files = [
                stack.enter_context(contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)))
                for path in (live, copy)
            ]
            for what, sql, *limits in QUERIES:
                times = [best(file, sql) for file in files]
                print(f"| {what} | {times[0]:.1f} ms | {times[1]:.2f} ms |")
                slow += [(what, t, limit) for t, limit in zip(times, limits, strict=True) if limit and t > limit]
        sizes = [path.stat().st_size / 1e6 for path in (live, copy)]
        print(f"\nThe copy took {took:.0f} s; {sizes[0]:.0f} MB became {sizes[1]:.0f} MB.")
    finally:
        server.stop()
    for what, took, limit in slow:
        print(f"too slow: {what}, {took:.1f} ms of at most {limit} ms", file=sys.stderr)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
