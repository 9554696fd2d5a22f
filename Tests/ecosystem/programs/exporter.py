"""prometheus-redis-exporter: what it finds in a server."""

import os
import socket
import subprocess
import time
import urllib.request

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    address = "127.0.0.1:%d" % free.getsockname()[1]
exporter = subprocess.Popen(
    [
        "prometheus-redis-exporter",
        "-redis.addr",
        os.environ["REDIS_URL"].rsplit("/", 1)[0],
        "-web.listen-address",
        address,
    ],
    stderr=subprocess.DEVNULL,
)
try:
    deadline = time.monotonic() + 20
    while True:
        try:
            text = urllib.request.urlopen(f"http://{address}/metrics").read().decode()
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
finally:
    exporter.kill()
values = {
    line.rsplit(" ", 1)[0]: line.rsplit(" ", 1)[1]
    for line in text.splitlines()
    if line.startswith("redis_") and not line.startswith("redis_exporter")
}
names = {name.split("{")[0] for name in values}
wanted = ["up", "connected_clients", "memory_used_bytes", "commands_processed_total", "db_keys", "uptime_in_seconds"]
wanted += [
    "aof_enabled",
    "rdb_changes_since_last_save",
    "replication_backlog_bytes",
    "master_repl_offset",
    "slowlog_length",
]
wanted += ["commands_duration_seconds_total", "keyspace_hits_total", "net_output_bytes_total", "config_maxclients"]
missing = [name for name in wanted if f"redis_{name}" not in names]
assert values["redis_up"] == "1" and not missing, missing
print(f"{len(names)} metrics")
