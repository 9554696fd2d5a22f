"""The configuration files that come with Redis and Valkey start the server as they are, and CONFIG GET knows all their names."""

import pathlib
import re

import pytest

from process import setting
from resp import bulks

DEBIAN = pathlib.Path("/etc/redis/redis.conf")
# What the files of Redis 7.2 and 7.4, Valkey 8 and 9 have in common, but for what the fixture sets: names and defaults.
COMMON = """
acllog-max-len 128;activerehashing yes;always-show-logo no;aof-load-truncated yes;aof-rewrite-incremental-fsync yes
aof-timestamp-enabled no;aof-use-rdb-preamble yes;appenddirname "appendonlydir";appendfilename "appendonly.aof"
appendfsync everysec;appendonly no;auto-aof-rewrite-min-size 64mb;auto-aof-rewrite-percentage 100;bind 127.0.0.1 -::1
client-output-buffer-limit normal 0 0 0;client-output-buffer-limit pubsub 32mb 8mb 60
client-output-buffer-limit replica 256mb 64mb 60;databases 16;dbfilename dump.rdb;disable-thp yes
hash-max-listpack-entries 512;hash-max-listpack-value 64;hll-sparse-max-bytes 3000;hz 10;jemalloc-bg-thread yes
latency-monitor-threshold 0;list-compress-depth 0;list-max-listpack-size -2;loglevel notice
no-appendfsync-on-rewrite no;notify-keyspace-events "";oom-score-adj no;oom-score-adj-values 0 200 800;port 6379
proc-title-template "{title} {listen-addr} {server-mode}";protected-mode yes;rdb-del-sync-files no
rdb-save-incremental-fsync yes;rdbchecksum yes;rdbcompression yes;repl-disable-tcp-nodelay no
repl-diskless-load disabled;repl-diskless-sync yes;repl-diskless-sync-delay 5;repl-diskless-sync-max-replicas 0
replica-priority 100;replica-read-only yes;replica-serve-stale-data yes;set-max-intset-entries 512;set-proc-title yes
stop-writes-on-bgsave-error yes;stream-node-max-bytes 4096;stream-node-max-entries 100;tcp-backlog 511
tcp-keepalive 300;timeout 0;zset-max-listpack-entries 128;zset-max-listpack-value 64;daemonize no;dynamic-hz yes
locale-collate "";logfile "";set-max-listpack-entries 128;set-max-listpack-value 64
"""
LAZY = "lazyfree-lazy-eviction lazyfree-lazy-expire lazyfree-lazy-server-del lazyfree-lazy-user-del "
LAZY += "lazyfree-lazy-user-flush replica-lazy-flush"
REDIS = "slowlog-log-slower-than 10000;slowlog-max-len 128;" + ";".join(f"{name} no" for name in LAZY.split())
VALKEY = "dual-channel-replication-enabled no;hide-user-data-from-log yes;"
VALKEY += ";".join(f"{name} yes" for name in LAZY.split())
FILES = {
    "redis 7": REDIS,
    "valkey 8": VALKEY + ";slowlog-log-slower-than 10000;slowlog-max-len 128",
    "valkey 9": VALKEY
    + """
commandlog-execution-slower-than 10000;commandlog-large-reply-max-len 128;commandlog-large-request-max-len 128
commandlog-reply-larger-than 1048576;commandlog-request-larger-than 1048576;commandlog-slow-execution-max-len 128
rdb-version-check strict""",
}


def lines(text):
    return [line for line in re.split(r"[;\n]", text) if line.strip()]


def report(server):
    """The settings that the log names at start as being without effect."""
    said = [line for line in server.text().splitlines() if "ithout effect" in line or "has no use for it" in line]
    return [name for line in said for name in re.findall(r"[a-z0-9_]+(?:-[a-z0-9_]+)+", line.split(": ", 1)[-1])]


@pytest.mark.parametrize("name", FILES)
def test_a_stock_file_starts(start, name):
    config = "\n".join(lines(COMMON) + lines(FILES[name])) + "\n"
    server = start(config=config.encode())
    connection = server.connect()
    assert connection.call("PING") == b"+PONG\r\n"
    named = report(server)
    assert len(named) == len(set(named))
    if name == "redis 7":
        assert named == []
    else:
        assert "hide-user-data-from-log" in named
    # What is said stays so.
    for line in lines(config):
        words = line.split()
        if words[0] in ("bind", "port", "client-output-buffer-limit") or words[0].startswith("commandlog"):
            continue
        value = setting(connection, words[0])
        if value is not None and words[1:] and "mb" not in words[1]:
            assert value.decode() == " ".join(words[1:]).strip('"'), line


@pytest.mark.skipif(not DEBIAN.exists(), reason="redis-server's file is not installed")
def test_debians_file_starts(start, tmp_path):
    """As it is, but for the places that a test may write to."""
    server = start("--daemonize", "no", "--logfile", "", "--pidfile", str(tmp_path / "pid"), config=DEBIAN.read_bytes())
    assert server.connect().call("PING") == b"+PONG\r\n"
    assert report(server) == []


# Names of 7.2 that the oracle does not have yet, and of 7.4 and Valkey those that files may hold.
SINCE_7_0 = """
set-max-listpack-entries 128;set-max-listpack-value 64;locale-collate;cluster-announce-human-nodename
aof-disable-auto-gc no;enable-module-command no;loading-process-events-interval-bytes 2097152
cluster-allow-pubsubshard-when-down yes;max-new-connections-per-cycle 10;max-new-tls-connections-per-cycle 1
availability-zone;import-mode no;extended-redis-compatibility no;io-threads 1;unixsocketgroup;tls-auth-clients-user off
"""
# Settings whose default is not Redis's, or that each server has its own way.
OWN_DEFAULTS = {"appendonly", "dir", "port", "maxclients", "pidfile", "jemalloc-bg-thread"}
OWN_NAMES = {"snapshotfilename", "snapshot-history", "snapshot-history-max-size", "backup-dir"}


def test_all_names_and_defaults(start):
    ours, oracle = start().connect(), start(binary="redis-server").connect()
    found = []
    for connection in (ours, oracle):
        pairs = bulks(connection.call("CONFIG", "GET", "*"))
        found.append({name.decode(): value for name, value in zip(pairs[::2], pairs[1::2])})
    assert found[1].keys() - found[0].keys() == set()
    differing = {name for name in found[1] if found[0][name] != found[1][name]}
    assert differing - OWN_DEFAULTS == set()
    for line in lines(SINCE_7_0):
        name, _, value = line.partition(" ")
        assert setting(ours, name) == value.encode(), name
    new = {"set-max-listpack-entries", "set-max-listpack-value", "locale-collate", "cluster-announce-human-nodename"}
    assert new <= found[0].keys() - found[1].keys()
    assert OWN_NAMES <= found[0].keys()


@pytest.mark.parametrize(
    "line", ["cluster-enabled yes", "loadmodule /usr/lib/x.so", "cluster-enabled YES", 'loadmodule "x.so" a b']
)
def test_what_would_weaken_the_server_names_file_and_line(start, tmp_path, line):
    """Also where an included file says it."""
    text = start(config=f"# one\ntimeout 0\n{line}\n".encode()).refusal()
    assert "at line 3" in text and f">>> '{line}'" in text and "is not supported" in text
    included = tmp_path / "more.conf"
    included.write_text(f"{line}\n")
    text = start(config=f"include {included}\n".encode()).refusal()
    assert f"{included}, at line 1" in text


def test_a_rewrite_keeps_what_it_does_not_change(start, tmp_path):
    included = tmp_path / "more.conf"
    included.write_text("slowlog-max-len 7\n")
    config = "\n".join(
        [
            "# first",
            "timeout 5",
            "",
            f"include {included}",
            "  hz   20",
            "import-mode yes",
            'vm-enabled  "no"',
            "maxmemory 100mb",
            "# last",
        ]
    )
    server = start(config=(config + "\n").encode())
    connection = server.connect()
    connection.call("CONFIG", "SET", "timeout", "9", "slowlog-log-slower-than", "1")
    assert connection.call("CONFIG", "REWRITE") == b"+OK\r\n"
    written = server.file.read_text()
    kept, added = written.split("# Generated by CONFIG REWRITE\n")
    assert kept == config.replace("timeout 5", "timeout 9") + "\n"
    assert "slowlog-log-slower-than 1\n" in added and "include" not in added
    assert included.read_text() == "slowlog-max-len 7\n"
    server.kill()
    connection = start(config=written.encode(), directory=server.directory).connect()
    assert [setting(connection, name) for name in ("timeout", "hz", "slowlog-max-len")] == [b"9", b"20", b"7"]
