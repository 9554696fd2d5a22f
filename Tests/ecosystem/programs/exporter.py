"""prometheus-redis-exporter: what it finds in redis-server it finds here, name by name, with the same labels."""

import os
import socket
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request

import redis

OPTIONS = [
    "-include-system-metrics",
    "-export-client-list",
    "-check-keys=db0=list*",
    "-check-single-keys=db0=string,db0=stream",
    "-check-streams=db0=stream",
    "-count-keys=db0=*",
    "-ping-on-connect",
]
# Labels whose values are the server's own.
OWN = {"addr", "name", "id", "port", "redis_version", "redis_build_id", "os", "run_id", "process_id", "executable"}
OWN |= {"created_at", "idle_since", "omem"}
OWN |= {"mem_allocator", "tcp_port", "master_replid", "maxmemory_policy", "aof_enabled", "percentile", "quantile"}


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_for(attempt):
    deadline = time.monotonic() + 20
    while True:
        try:
            return attempt()
        except (OSError, redis.exceptions.ConnectionError):
            assert time.monotonic() < deadline
            time.sleep(0.1)


def use(client):
    """The same on both, so that the same commands and errors are counted."""
    client.flushall()
    client.config_resetstat()
    client.config_set("latency-monitor-threshold", 1)
    client.set("string", 1)
    client.set("short", 1, ex=1000)
    client.rpush("list", 1, 2)
    client.xadd("stream", {"a": "b"})
    client.xgroup_create("stream", "group", 0)
    client.xreadgroup("group", "one", {"stream": ">"})
    client.sadd("set", 1)
    client.hset("hash", "a", "b")
    client.execute_command("DEBUG", "SLEEP", "0.02")
    for wrong in (["HGET", "set", "a"], ["NONE"], ["SET"]):
        try:
            client.execute_command(*wrong)
        except redis.ResponseError:
            pass


def metrics(port):
    """Each metric's name, with the names of its labels, and the values of those that are not the server's own."""
    address = f"127.0.0.1:{free_port()}"
    command = ["prometheus-redis-exporter", f"-redis.addr=redis://127.0.0.1:{port}", f"-web.listen-address={address}"]
    exporter = subprocess.Popen(command + OPTIONS, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: urllib.request.urlopen(f"http://{address}/health"))
        text = urllib.request.urlopen(f"http://{address}/metrics").read().decode()
    finally:
        exporter.kill()
        exporter.wait()
    found = set()
    values = {}
    for line in text.splitlines():
        if not line.startswith("redis_") or line.startswith("redis_exporter"):
            continue
        name, value = line.rsplit(" ", 1)
        values[name] = value
        name, _, labels = name.partition("{")
        pairs = [pair.split("=", 1) for pair in labels.rstrip("}").split(",") if "=" in pair]
        found.add((name, *(key if key in OWN else f"{key}={value}" for key, value in sorted(pairs))))
    return found, values


ours = urllib.parse.urlsplit(os.environ["REDIS_URL"]).port
theirs = free_port()
with tempfile.TemporaryDirectory() as directory:
    server = subprocess.Popen(
        ["redis-server", "--port", str(theirs), "--dir", directory, "--save", "", "--appendonly", "yes"]
        + ["--enable-debug-command", "yes"],
        stdout=subprocess.DEVNULL,
    )
    try:
        for port in (ours, theirs):
            client = redis.Redis(port=port)
            wait_for(client.ping)
            use(client)
            client.close()
        wanted, _ = metrics(theirs)
        found, values = metrics(ours)
    finally:
        server.kill()
        server.wait()
missing = sorted(wanted - found)
assert values["redis_up"] == "1" and not missing, missing
print(f"{len({name for name, *_ in found})} metrics, with labels {len(found)}: all {len(wanted)} of redis-server's")
