"""redis-migrate against redis-server's own loading and saving of the same 5M keys."""

import os
import subprocess
import time

from groups import LOGS, Row, group
from harness import CLIENT_CORES, SERVER_CORES, Server, pipeline, set_requests

ROWS = [
    Row("RDB of 5M keys: to-sqlite, against loading", "s", ("<=", 2.0)),
    Row("RDB of 5M keys: to-rdb, against saving", "s", ("<=", 1.2)),
    Row("RDB of 5M keys: memory of to-sqlite", "MB", ("<=", 200), absolute=True),
    Row("RDB of 5M keys: memory of to-rdb", "MB", ("<=", 200), absolute=True),
    Row("RDB of 5M keys, out and in: digests unequal", "", ("<=", 0), absolute=True),
]


@group("conversion", ROWS)
def conversion(bench, kind, directory):
    source = os.path.join(directory, "redis")
    os.mkdir(source)
    redis = Server(bench, "redis", source, *LOGS["off"])
    try:
        pipeline(redis.port, set_requests(range(bench.scaled(5_000_000)), 32), 8000)
        redis.save()
        seconds = redis.save()[0]
        digest = redis.client("DEBUG", "DIGEST")
        redis.kill()
        if kind == "redis":
            return dict(zip((row.name for row in ROWS), (redis.start(), seconds, 0, 0, 0)))
        snapshot, back = os.path.join(directory, "dump.sqlite"), os.path.join(directory, "dump.rdb")
        read = tool(bench, "to-sqlite", os.path.join(source, "dump.rdb"), snapshot)
        written = tool(bench, "to-rdb", snapshot, back)
        os.replace(back, os.path.join(source, "dump.rdb"))
        redis.start()
        unequal = redis.client("DEBUG", "DIGEST") != digest
        return dict(zip((row.name for row in ROWS), (read[0], written[0], read[1], written[1], int(unequal))))
    finally:
        redis.kill()


def tool(bench, *arguments):
    """Runs redis-migrate, on both cores: seconds, and the most memory it had, in MB."""
    began = time.monotonic()
    process = subprocess.Popen(
        [bench.migrate, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, SERVER_CORES | CLIENT_CORES),
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError("redis-migrate %s failed" % arguments[0])
    return time.monotonic() - began, usage.ru_maxrss / 1e3
