"""redis-migrate against redis-server's own loading and saving of the same 5M keys."""

import os
import subprocess
import time

from groups import LOGS, Row, group
from harness import CLIENT_CORES, SERVER_CORES, Server, pipeline, set_requests

READ = Row("RDB of 5M keys: to-sqlite, against loading", "s", ("<=", 1.3))
WRITTEN = Row("RDB of 5M keys: to-rdb, against saving", "s", ("<=", 0.4))
VERIFIED = Row("RDB of 5M keys: verify, against loading", "s", ("<=", 0.6))
VERIFIED_SNAPSHOT = Row("snapshot of 5M keys: verify, against loading", "s", ("<=", 0.6))
MEMORY = {
    verb: Row("RDB of 5M keys: memory of %s" % verb, "MB", ("<=", 150), absolute=True)
    for verb in ("to-sqlite", "to-rdb", "verify")
}
UNEQUAL = Row("RDB of 5M keys, out and in: digests unequal", "", ("<=", 0), absolute=True)
INTO = Row("5M keys: restore into redis-server, against loading", "s")
OUT_OF = Row("5M keys: from redis-server into a snapshot, against saving", "s")


@group("conversion", [READ, WRITTEN, VERIFIED, VERIFIED_SNAPSHOT, *MEMORY.values(), UNEQUAL])
def conversion(bench, kind, directory):
    def measure(redis, source, saved):
        digest = redis.client("DEBUG", "DIGEST")
        redis.kill()
        rdb = os.path.join(source, "dump.rdb")
        snapshot, back = os.path.join(directory, "dump.sqlite"), os.path.join(directory, "dump.rdb")
        if kind == "redis":
            loaded = redis.start()
            ours = dict.fromkeys([*MEMORY.values(), UNEQUAL], 0)
            return {READ: loaded, WRITTEN: saved, VERIFIED: loaded, VERIFIED_SNAPSHOT: loaded, **ours}
        runs = {
            READ: tool(bench, "to-sqlite", rdb, snapshot),
            WRITTEN: tool(bench, "to-rdb", snapshot, back),
            VERIFIED: tool(bench, "verify", rdb),
            VERIFIED_SNAPSHOT: tool(bench, "verify", snapshot),
        }
        found = {row: seconds for row, (seconds, _) in runs.items()}
        for verb, row in zip(MEMORY, (READ, WRITTEN, VERIFIED)):
            found[MEMORY[verb]] = runs[row][1]
        os.replace(back, rdb)
        redis.start()
        found[UNEQUAL] = int(redis.client("DEBUG", "DIGEST") != digest)
        return found

    return with_keys(bench, directory, measure)


@group("conversion-remote", [INTO, OUT_OF])
def remote(bench, kind, directory):
    def measure(redis, source, saved):
        if kind == "redis":
            redis.kill()
            return {INTO: redis.start(), OUT_OF: saved}
        redis.client("CONFIG", "SET", "repl-diskless-sync-delay", "0")
        to = "127.0.0.1:%d" % redis.port
        out = tool(bench, "from", to, os.path.join(directory, "dump.sqlite"))[0]
        redis.client("FLUSHALL")
        return {OUT_OF: out, INTO: tool(bench, "restore", os.path.join(directory, "dump.sqlite"), "--to", to)[0]}

    return with_keys(bench, directory, measure)


def with_keys(bench, directory, measure):
    """Figures of `measure(a redis-server with the keys, its directory, the seconds of a SAVE)`, by the names of their rows."""
    source = os.path.join(directory, "redis")
    os.mkdir(source)
    redis = Server(bench, "redis", source, *LOGS["off"])
    try:
        pipeline(redis.port, set_requests(range(bench.scaled(5_000_000)), 32), 8000)
        redis.save()
        found = measure(redis, source, redis.save()[0])
        return {row.name: figure for row, figure in found.items()}
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
