"""redis-migrate against real servers: what it writes is loaded by them, and what they write is read.

Peers are named by variables: REDIS62, REDIS82, VALKEY91 (paths of server programs); redis-server 7.0 is the one in PATH. Those that
are not named are left out, with a line that says so. The seed of the generated data is printed.
"""

import argparse
import collections
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests" / "Support"))

from data import CORPUS, fill, mixed_requests  # noqa: E402
from migrate import migrate_binary  # noqa: E402
from oracle import Server  # noqa: E402
from resp import bulks  # noqa: E402

DATABASES = 64
TABLES = [
    "raw_strings", "raw_lists", "raw_list_items", "raw_hashes", "raw_hash_fields", "raw_sets", "raw_set_members", "raw_zsets",
    "raw_zset_members", "raw_streams", "raw_stream_entries", "raw_stream_groups", "raw_stream_consumers",
    "raw_stream_pending", "functions",
]  # fmt: skip


class Peer:
    """A server that loads one file after the other."""

    def __init__(self, name, binary, target):
        self.name, self.target = name, target
        self.server = Server(binary, ("--dbfilename", "dump.rdb", "--databases", str(DATABASES)))
        self.connection = self.server.connect()
        self.connection.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)

    def load(self, path):
        """False where the server does not load the file."""
        shutil.copy(path, os.path.join(self.server.directory, "dump.rdb"))
        return self.connection.call("DEBUG", "RELOAD", "NOSAVE") == b"+OK\r\n"

    def facts(self):
        """The digest, and the expiry of each key."""
        times = {}
        for database in range(DATABASES):
            self.connection.call("SELECT", database)
            keys = bulks(self.connection.call("KEYS", "*"))
            for key, reply in zip(keys, self.connection.pipeline([("PEXPIRETIME", key) for key in keys])):
                times[database, key] = reply
        self.connection.call("SELECT", 0)
        return self.connection.call("DEBUG", "DIGEST"), times

    def stop(self):
        self.connection.close()
        self.server.stop()


def tool(*arguments, expect=0):
    run = subprocess.run([migrate_binary(), *map(str, arguments)], capture_output=True, text=True, timeout=900)
    if run.returncode != expect:
        raise AssertionError(
            f"redis-migrate {' '.join(map(str, arguments))}: {run.returncode}\n{run.stdout}{run.stderr}"
        )
    return run.stdout + run.stderr


def digest(path):
    line = tool("verify", path).splitlines()[0]
    return b"+" + line.rsplit(" ", 1)[1].encode() + b"\r\n"


def content(path):
    """What a file holds, by database and key: groups of streams left out."""
    found = {}
    for line in tool("convert", path, "-", "--to", "json").split("\n"):
        if line.startswith("{"):
            row = json.loads(line)
            value = sorted(row["value"]) if row["type"] == "set" else row.get("value", row.get("code"))
            found[row.get("db"), row.get("key", row.get("name"))] = (row["type"], row.get("expires_ms"), value)
    return found


def same(a, b):
    assert "equal" in tool("verify", a, b, "--keep-expired")


def start_peers(scratch):
    found = [("redis-server 7.0", shutil.which("redis-server"), "redis-7.0")]
    found.append(("redis-server 6.2", os.environ.get("REDIS62"), "redis-6.2"))
    found.append(("redis-server 8.2", os.environ.get("REDIS82"), "redis-7.4"))
    found.append(("valkey-server 9.1", os.environ.get("VALKEY91"), "valkey-9"))
    made = []
    for name, binary, target in found:
        if not binary:
            print(f"{name}: not there, left out")
            continue
        if target == "redis-6.2":
            made.append(Peer62(name, without_newer_settings(binary, scratch), target))
        else:
            made.append(Peer(name, binary, target))
    return made


def without_newer_settings(binary, directory):
    """A program that starts `binary`, which is before 7.0, without the settings of 7.0."""
    wrapper = pathlib.Path(directory) / "server"
    wrapper.write_text(
        "#!/usr/bin/env python3\nimport os, sys\na = sys.argv[1:]\ni = a.index('--enable-debug-command')\n"
        f"del a[i:i + 2]\nos.execv({binary!r}, [{binary!r}, *a])\n"
    )
    wrapper.chmod(0o755)
    return str(wrapper)


class Peer62(Peer):
    """6.2 has no PEXPIRETIME: its times are those of what it saves."""

    def facts(self):
        saved = os.path.join(self.server.directory, "dump.rdb")
        digest = self.connection.call("DEBUG", "DIGEST")
        self.connection.call("SAVE")
        times = {}
        run = subprocess.run(
            [migrate_binary(), "convert", saved, "-", "--to", "json", "--keep-expired"], capture_output=True, check=True
        )
        for line in run.stdout.splitlines():
            row = json.loads(line)
            times[row.get("db"), row.get("key", "")] = row.get("expires_ms")
        return digest, times


def differing_tables(a, b):
    """Of two snapshots: those that sqldiff finds to differ."""
    found = []
    for table in TABLES:
        run = subprocess.run(["sqldiff", "--table", table, str(a), str(b)], capture_output=True, text=True, timeout=600)
        if run.returncode != 0 or run.stdout.strip():
            found.append((table, run.stdout[:300], run.stderr[:300]))
    return found


def check_file(path, peers, scratch, tally):
    """RDB -> SQLite -> RDB -> each server, and SQLite -> RDB -> SQLite."""
    snapshot, again, back = scratch / "a.sqlite", scratch / "b.sqlite", scratch / "back.rdb"
    run = subprocess.run(
        [migrate_binary(), "to-sqlite", str(path), str(snapshot), "--force", "--keep-expired"],
        capture_output=True,
        text=True,
    )
    if run.returncode != 0:
        tally["refused"] += 1
        print(f"{path.name}: refused: {run.stderr.strip()[:150]}")
        return
    for peer in peers:
        said = tool("to-rdb", snapshot, back, "--for", peer.target, "--force", "--drop-field-ttls", "--drop-functions")
        is_whole = "left out:" not in said
        assert peer.load(back), f"{path.name}: {peer.name} does not load what was written for it"
        ours = peer.facts()
        # Newer servers print scores in another way before they digest them.
        if peer.target in ("redis-6.2", "redis-7.0"):
            assert ours[0] == digest(back), (path.name, peer.name, ours[0], digest(back))
        if is_whole:
            same(snapshot, back)
        tally[f"loaded by {peer.name}"] += 1
        if is_whole and peer.load(path):
            theirs = peer.facts()
            assert ours[0] == theirs[0], f"{path.name}: {peer.name}: other data: {ours[0]} {theirs[0]}"
            assert ours[1] == theirs[1], f"{path.name}: {peer.name}: other expiries"
            tally[f"equal in {peer.name}"] += 1
    # Once more where the file's order is not that in which servers write small sorted sets and sets of integers: ids follow it.
    for source, target in [(snapshot, again), (again, snapshot)]:
        tool("to-rdb", source, back, "--force", "--rdb-version", 12)
        same(source, back)
        tool("to-sqlite", back, target, "--force", "--keep-expired")
    assert differing_tables(snapshot, again) == [], (path.name, differing_tables(snapshot, again))
    tally["SQLite -> RDB -> SQLite without a difference"] += 1
    back.unlink()
    for form in ["jsonl", "csv", "resp"]:
        text, third = scratch / f"t.{form}", scratch / "c.rdb"
        tool("convert", snapshot, text, "--force", "--keep-expired")
        tool("convert", text, third, "--force", "--keep-expired", "--for", "redis-7.4")
        if form == "resp":
            # Times at which consumers were seen have no command, and -0 becomes 0 when a sorted set grows large.
            assert content(third) == content(snapshot), (path.name, form)
        else:
            same(snapshot, third)
        tally[f"{form} and back, equal"] += 1


def more_requests(rng, newer):
    """Streams with groups and pending entries, and edges; `newer`: what Redis 7.4 and Valkey 9 have."""
    for n in range(3):
        key = f"stream:{n}"
        for i in range(rng.choice([1, 5, 250])):
            yield (
                "XADD",
                key,
                f"{1000 + i}-{rng.randrange(1, 5) if i else 1}",
                *(["a", i, "b", rng.randbytes(5)] if i % 3 else ["c", ""]),
            )
        yield "XGROUP", "CREATE", key, "g", "0"
        yield "XGROUP", "CREATE", key, b"\x00\xff", "$"
        yield "XREADGROUP", "GROUP", "g", "alice", "COUNT", rng.choice([1, 40]), "STREAMS", key, ">"
        yield "XREADGROUP", "GROUP", "g", "bob", "COUNT", 2, "STREAMS", key, ">"
        yield "XDEL", key, "1001-1"
        yield "XACK", key, "g", "1000-1"
    yield "XGROUP", "CREATE", "stream:none", "g", "0", "MKSTREAM"
    yield "SET", "b64:key", "b64:value"
    yield "SET", "", ""
    yield "SELECT", rng.randrange(1, 60)
    yield "HSET", 'quotes",\n', 'f"\r\n', "1,2", "\u2028", "\x7f"
    yield "ZADD", "odd", "inf", "a", "-inf", "b", "-0", "c", "1e-320", "d", "0.1", "e", "3.3333333333333335", "f"
    yield "PEXPIREAT", "odd", 4_000_000_000_123
    yield "SELECT", 0
    if newer:
        for size in [3, 700]:
            yield "HSET", f"expiring:{size}", *(w for i in range(size) for w in (f"f{i}", i))
            for i in range(0, size, 2):
                yield "HPEXPIREAT", f"expiring:{size}", 4_000_000_000_000 + rng.randrange(10**9), "FIELDS", 1, f"f{i}"


def check_generated(sets, rng, peers, scratch, tally):
    for number in range(sets):
        maker = peers[number % len(peers)]
        maker.connection.call("FLUSHALL")
        newer = maker.target in ("redis-7.4", "valkey-9")
        if number % 10 == 0:
            fill(maker.connection.call)
        for request in [*mixed_requests(rng, rng.choice([20, 150])), *more_requests(rng, newer)]:
            maker.connection.call(*request)
        assert maker.connection.call("SAVE") == b"+OK\r\n"
        path = scratch / "generated.rdb"
        shutil.copy(os.path.join(maker.server.directory, "dump.rdb"), path)
        if maker.target in ("redis-6.2", "redis-7.0"):
            assert digest(path) == maker.connection.call("DEBUG", "DIGEST"), (maker.name, number)
        check_file(path, peers, scratch, tally)
        tally["generated sets"] += 1


# MARK: append-only files


def start_with_log(binary, preamble, old, scratch):
    options = [
        "--appendonly",
        "yes",
        "--aof-use-rdb-preamble",
        "yes" if preamble else "no",
        "--databases",
        str(DATABASES),
    ]
    if old:
        binary = without_newer_settings(binary, scratch)
    return Server(binary, options)


def rewritten(connection):
    connection.call("BGREWRITEAOF")
    deadline = time.monotonic() + 60
    while b"aof_rewrite_in_progress:1" in (info := connection.call("INFO", "persistence")) or b"scheduled:1" in info:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def check_logs(rng, scratch, tally):
    servers = [("7.0", shutil.which("redis-server"), False)]
    if os.environ.get("REDIS62"):
        servers.append(("6.2", os.environ["REDIS62"], True))
    for version, binary, old in servers:
        for preamble in [True, False]:
            for rewrite in [False, True]:
                server = start_with_log(binary, preamble, old, scratch)
                try:
                    connection = server.connect()
                    requests = [*mixed_requests(rng, 200), *more_requests(rng, False)]
                    for request in requests[: len(requests) // 2]:
                        connection.call(*request)
                    if rewrite:
                        rewritten(connection)
                    for request in requests[len(requests) // 2 :]:
                        connection.call(*request)
                    connection.call("CONFIG", "SET", "appendfsync", "always")
                    connection.call("PING")
                    folder = pathlib.Path(server.directory)
                    source = folder / "appendonly.aof" if old else folder / "appendonlydir"
                    out = scratch / "log.rdb"
                    tool("convert", source, out, "--force", "--keep-expired", "--for", "redis-7.0")
                    # Not by digest: which scores of -0 become 0 depends on version and history.
                    connection.call("SAVE")
                    assert content(out) == content(folder / "dump.rdb"), (version, preamble, rewrite)
                    tally[f"append-only files of {version}"] += 1
                    check_torn(source, old, connection, folder, scratch, tally, version)
                finally:
                    server.stop()


def check_torn(source, old, connection, folder, scratch, tally, version):
    """The last command is cut: what was before it counts."""
    before = content(folder / "dump.rdb")
    connection.call("SET", "torn", "away")
    last = source if old else max(folder.glob("appendonlydir/*.incr.aof"), key=lambda p: p.stat().st_mtime)
    data = last.read_bytes()
    assert data.endswith(b"away\r\n")
    last.write_bytes(data[:-3])
    out = scratch / "torn.rdb"
    said = tool("convert", source, out, "--force", "--keep-expired", "--for", "redis-7.0")
    assert "left out" in said, said
    assert content(out) == before, version
    tally[f"append-only files of {version} with a torn end"] += 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rdb-dir", default=str(CORPUS))
    parser.add_argument("--sets", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}")
    rng = random.Random(arguments.seed)
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="migrate-peers-"))
    servers = start_peers(scratch)
    tally = collections.Counter()
    try:
        for path in sorted(pathlib.Path(arguments.rdb_dir).glob("*.rdb")):
            check_file(path, servers, scratch, tally)
        check_generated(arguments.sets, rng, servers, scratch, tally)
        check_logs(rng, scratch, tally)
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(scratch, ignore_errors=True)
    for what, count in sorted(tally.items()):
        print(f"{count:5}  {what}")


if __name__ == "__main__":
    main()
