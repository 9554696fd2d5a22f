"""Writes during a whole checkpoint: the first one and one after everything has changed, for data of three shapes."""

import random
import threading
import time

from groups import LOGS, Row, group
from harness import CLIENT_CORES, SERVER_CORES, Client, Server, encode, pipeline

RATE = 1000  # Writes a second.


def filler(shape, count, salt):
    """Requests that write all of the data anew."""
    tag = b"%d" % salt
    if shape == "lists":
        items = [(tag + b":%d" % i).ljust(200, b"v") for i in range(250)]
        for i in range(count):
            if salt:
                yield encode("DEL", b"list:%d" % i)
            yield encode("RPUSH", b"list:%d" % i, *items)
    elif shape == "hash":
        for i in range(0, count, 500):
            yield encode(
                "HSET", "hash", *(w for j in range(i, i + 500) for w in (b"field:%d" % j, b"value:%b:%d" % (tag, j)))
            )
    else:
        for i in range(count):
            yield encode("SET", b"key:%d" % i, b"value:%b:%d" % (tag, i))


def writes(shape, count, number, place):
    if shape == "lists":
        key = b"list:%d" % place
        return [("LPUSH", key, b"n" * 200), ("RPOP", key), ("LSET", key, 100, b"s" * 200)][number % 3]
    if shape == "hash":
        return [("HSET", "hash", b"field:%d" % place, "new"), ("HINCRBY", "hash", b"n:%d" % (place % 1000), 1)][
            number % 2
        ]
    return [("SET", b"key:%d" % place, "new"), ("APPEND", b"key:%d" % place, "x")][number % 2]


def paced(port, shape, count, going):
    """Latencies in milliseconds of writes to random places, `RATE` a second, while `going()`."""
    client, generator, found, began = Client(port), random.Random(5), [], time.perf_counter()
    while going():
        due = began + len(found) / RATE
        time.sleep(max(0, due - time.perf_counter()))
        request = encode(*writes(shape, count, len(found), generator.randrange(count)))
        start = time.perf_counter()
        client.socket.sendall(request)
        client.answer()
        found.append((time.perf_counter() - start) * 1e3)
    return found


def watched(server, shape, count):
    """The same during a BGSAVE, and its seconds. Another connection asks whether it is over."""
    over, began = threading.Event(), time.monotonic()
    server.client("BGSAVE")

    def watch():
        while server.saving():
            time.sleep(0.02)
        over.set()

    threading.Thread(target=watch, daemon=True).start()
    return paced(server.port, shape, count, lambda: not over.is_set()), time.monotonic() - began


def rows(shape):
    limit = {"lists": "lists of 250 x 200 B", "hash": "a hash of 1M fields", "strings": "5M strings"}[shape]
    what = ("checkpoint of %s" % limit, "checkpoint of %s, all changed" % limit)
    result = []
    for i, name in enumerate(what):
        result += [
            Row(name + ": time", "s", ("<=", 2.5 if i == 0 else 5)),
            Row(name + ": peak memory growth", "MB"),
            Row(name + ", under writes: time", "s"),
            Row(name + ": p99.9 of writes", "ms"),
            Row(name + ": longest write", "ms", ("<=", 10), absolute=True),
        ]
    return result + [
        Row("%s, no checkpoint: p99.9 of writes" % limit, "ms"),
        Row("%s, no checkpoint: longest write" % limit, "ms"),
    ]


def saving(bench, kind, directory, shape, count):
    server, count = (
        Server(bench, kind, directory, *LOGS["everysec"], cores=SERVER_CORES | CLIENT_CORES),
        bench.scaled(count),
    )
    names, values = [row.name for row in rows(shape)], []
    try:
        for salt in (0, 1):
            # Twice: alone, and under writes. Both write all there is.
            pipeline(server.port, filler(shape, count, 2 * salt), 50 if shape != "strings" else 5000)
            seconds, _, growth = server.save()
            values += [seconds, growth / 1e6]
            pipeline(server.port, filler(shape, count, 2 * salt + 1), 50 if shape != "strings" else 5000)
            server.settle()
            found, seconds = watched(server, shape, count)
            values += [seconds, sorted(found)[int(len(found) * 0.999)], max(found)]
        end = time.monotonic() + (4 if not bench.quick else 1)
        calm = paced(server.port, shape, count, lambda: time.monotonic() < end)
        values += [sorted(calm)[int(len(calm) * 0.999)], max(calm)]
    finally:
        server.kill()
    return dict(zip(names, values))


for shape, count in (("lists", 50_000), ("hash", 1_000_000), ("strings", 5_000_000)):
    group("saving-" + shape, rows(shape), shape=shape, count=count)(saving)
