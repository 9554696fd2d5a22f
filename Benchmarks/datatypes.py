"""Every type's commands on small values and large ones, and what large collections cost: memory, deletion, checkpoint."""

import os
import random
import time

from groups import LOGS, Row, group, paired
from harness import POOL, Server, alternate, encode, pipeline

ANY = "__rand_int__"  # redis-benchmark puts a number of -r's range in its place.
RANGE = 100_000


# MARK: Small values


def small_fill():
    """Keys of every type, RANGE of them each where a command picks one at random."""
    for i in range(RANGE):
        name = "%012d" % i
        yield encode("SET", "s:" + name, POOL[i : i + 32])
        yield encode("RPUSH", "l:" + name, *("e%d" % j for j in range(10)))
        yield encode("HSET", "h:" + name, *(w for j in range(5) for w in ("field:%d" % j, POOL[i : i + 20])))
        yield encode("SADD", "i:" + name, *range(i, i + 10))
        yield encode("ZADD", "z:" + name, *(w for j in range(10) for w in (j, "member:%d" % j)))
    for i in range(1000):
        yield encode("XADD", "x:range", "*", "field", POOL[i : i + 32])
        yield encode("GEOADD", "g:small", i % 180, i % 80, "place:%d" % i)
        yield encode("SADD", "s:small", "member:%d" % i)
        yield encode("PFADD", "p:small", i)
    yield encode("XGROUP", "CREATE", "x:group", "g", "0", "MKSTREAM")


# Name to the words of the command. Those that need what another leaves come after it.
SMALL = {
    "APPEND": ["APPEND", "a:" + ANY, "x"],
    "GETRANGE": ["GETRANGE", "s:" + ANY, "3", "9"],
    "INCRBYFLOAT": ["INCRBYFLOAT", "f:" + ANY, "1.5"],
    "MGET of 10": ["MGET"] + ["s:" + ANY] * 10,
    "SETBIT": ["SETBIT", "b:" + ANY, "77", "1"],
    "GETBIT": ["GETBIT", "s:" + ANY, "77"],
    "BITCOUNT": ["BITCOUNT", "s:" + ANY],
    "BITFIELD": ["BITFIELD", "n:" + ANY, "INCRBY", "u16", "#3", "1"],
    "PFADD": ["PFADD", "p:" + ANY, ANY],
    "PFADD of one key": ["PFADD", "p:one", ANY],
    "PFCOUNT": ["PFCOUNT", "p:small"],
    "GEOADD": ["GEOADD", "g:one", "13.3", "38.1", ANY],
    "GEOSEARCH": ["GEOSEARCH", "g:small", "FROMLONLAT", "15", "37", "BYRADIUS", "200", "km"],
    "LPUSH of one key": ["LPUSH", "l:one", ANY],
    "LINDEX": ["LINDEX", "l:" + ANY, "5"],
    "LRANGE": ["LRANGE", "l:" + ANY, "0", "-1"],
    "LMOVE": ["LMOVE", "l:" + ANY, "l:" + ANY, "LEFT", "RIGHT"],
    "HGET": ["HGET", "h:" + ANY, "field:3"],
    "HGETALL": ["HGETALL", "h:" + ANY],
    "HINCRBY": ["HINCRBY", "h:" + ANY, "n", "1"],
    "HSET of one key": ["HSET", "h:one", ANY, "value"],
    "SISMEMBER": ["SISMEMBER", "s:small", "member:" + ANY],
    "SADD of one key": ["SADD", "s:one", ANY],
    "SRANDMEMBER": ["SRANDMEMBER", "s:small"],
    "SMEMBERS": ["SMEMBERS", "i:" + ANY],
    "SINTER": ["SINTER", "i:" + ANY, "i:" + ANY],
    "ZADD of one key": ["ZADD", "z:one", ANY, ANY],
    "ZINCRBY": ["ZINCRBY", "z:" + ANY, "1", "member:3"],
    "ZRANGE": ["ZRANGE", "z:" + ANY, "0", "-1", "WITHSCORES"],
    "ZSCORE": ["ZSCORE", "z:" + ANY, "member:5"],
    "ZRANGEBYSCORE": ["ZRANGEBYSCORE", "z:" + ANY, "2", "7"],
    "ZPOPMIN": ["ZPOPMIN", "z:one"],
    "XADD": ["XADD", "x:group", "*", "field", ANY],
    "XADD MAXLEN ~": ["XADD", "x:max", "MAXLEN", "~", "1000", "*", "f", ANY],
    "XRANGE": ["XRANGE", "x:range", "-", "+", "COUNT", "10"],
    "XREADGROUP": ["XREADGROUP", "GROUP", "g", "c", "COUNT", "1", "STREAMS", "x:group", ">"],
    "EXPIRE": ["EXPIRE", "s:" + ANY, "100000"],
    "TTL": ["TTL", "s:" + ANY],
    "EXISTS": ["EXISTS", "s:" + ANY],
    "SORT": ["SORT", "i:" + ANY],
    "COPY": ["COPY", "z:" + ANY, "copy", "REPLACE"],
    "DUMP": ["DUMP", "z:" + ANY],
}


def small_rows(depth):
    rows = []
    for name in SMALL:
        rows.append(Row("%s -P %d: requests/s" % (name, depth), "/s", (">=", 1.0)))
        rows.append(Row("%s -P %d: CPU/request" % (name, depth), "µs", ("<=", 1.0)))
    return rows


@paired("types", small_rows(1), depth=1, requests=20_000)
@paired("types16", small_rows(16), depth=16, requests=60_000)
def small(bench, directories, depth, requests):
    return alternate(
        bench,
        directories,
        LOGS["off"],
        lambda server: pipeline(server.port, small_fill(), 1000, lines=False),
        [("%s -P %d" % (name, depth), requests, options(depth, words)) for name, words in SMALL.items()],
    )


def options(depth, words):
    return ["-P", str(depth), "-r", str(RANGE), *words]


# MARK: Large values


def million(kind, count):
    """Fills the key `big` with `count` elements."""
    if kind == "list":
        words = lambda i: ("element:%d" % i,)
        command = "RPUSH"
    elif kind == "hash":
        words, command = lambda i: ("field:%d" % i, POOL[i % 9999 : i % 9999 + 16]), "HSET"
    elif kind == "set":
        words, command = lambda i: ("member:%d" % i,), "SADD"
    elif kind == "zset":
        words, command = lambda i: (i * 7919 % count, "member:%d" % i), "ZADD"
    elif kind == "geo":
        generator = random.Random(5)
        words = lambda i: (generator.uniform(-179, 179), generator.uniform(-80, 80), "place:%d" % i)
        command = "GEOADD"
    else:
        return (encode("XADD", "big", "%d-1" % (i + 1), "field", POOL[i % 9999 : i % 9999 + 16]) for i in range(count))
    return (
        encode(command, "big", *(w for i in range(start, min(start + 100, count)) for w in words(i)))
        for start in range(0, count, 100)
    )


# Name to kind of the big value, requests, and the words.
LARGE = {
    "ZADD into 1M": ("zset", 10_000, ["ZADD", "big", ANY, "new:" + ANY]),
    "ZRANK in 1M": ("zset", 10_000, ["ZRANK", "big", "member:" + ANY]),
    "ZRANGE BYSCORE of 10 in 1M": ("zset", 10_000, ["ZRANGE", "big", ANY, "+inf", "BYSCORE", "LIMIT", "0", "10"]),
    "LINDEX in the middle of 1M": ("list", 6_000, ["LINDEX", "big", "500000"]),
    "HSET into 1M": ("hash", 10_000, ["HSET", "big", "new:" + ANY, "value"]),
    "SADD into 1M": ("set", 10_000, ["SADD", "big", "new:" + ANY]),
    "XADD to 1M": ("stream", 10_000, ["XADD", "big", "*", "field", ANY]),
    "XRANGE in 1M": ("stream", 6_000, ["XRANGE", "big", ANY, "+", "COUNT", "10"]),
    "XREADGROUP of 1M": ("stream", 10_000, ["XREADGROUP", "GROUP", "g", "c", "COUNT", "10", "STREAMS", "big", ">"]),
    "GEOSEARCH among 1M": ("geo", 300, ["GEOSEARCH", "big", "FROMLONLAT", "15", "37", "BYRADIUS", "200", "km"]),
    "SINTER of 100k with 100k": ("pair", 20, ["SINTER", "left", "right"]),
    "SINTERCARD of 100k with 100k": ("pair", 20, ["SINTERCARD", "2", "left", "right"]),
    "SORT of 100k": ("sort", 12, ["SORT", "numbers"]),
    "BITCOUNT of 100 MB": ("bits", 20, ["BITCOUNT", "bits"]),
}


def large_rows():
    return [
        row
        for name in LARGE
        for row in (Row(name + ": requests/s", "/s", (">=", 1.0)), Row(name + ": CPU/request", "µs", ("<=", 1.0)))
    ]


@paired("large", large_rows())
def large(bench, directories):
    figures = {}
    for value in dict.fromkeys(value for value, _, _ in LARGE.values()):
        tests = [(name, count, options(1, words)) for name, (kind, count, words) in LARGE.items() if kind == value]
        figures.update(
            alternate(
                bench,
                directories,
                LOGS["off"],
                lambda server: pipeline(server.port, large_fill(value, bench), 100, lines=False),
                tests,
            )
        )
        for directory in directories.values():
            for name in os.listdir(directory):
                os.unlink(os.path.join(directory, name))
    return figures


def large_fill(value, bench):
    if value == "pair":
        for key, first in (("left", 0), ("right", bench.scaled(50_000))):
            for start in range(first, first + bench.scaled(100_000), 100):
                yield encode("SADD", key, *("member:%d" % i for i in range(start, start + 100)))
    elif value == "sort":
        numbers = list(range(bench.scaled(100_000)))
        random.Random(3).shuffle(numbers)
        for start in range(0, len(numbers), 100):
            yield encode("RPUSH", "numbers", *numbers[start : start + 100])
    elif value == "bits":
        for _ in range(bench.scaled(100)):
            yield encode("APPEND", "bits", POOL[:1_000_000])
    else:
        yield from million(value, bench.scaled(1_000_000))
        if value == "stream":
            yield encode("XGROUP", "CREATE", "big", "g", "0")


# MARK: Memory

KINDS = ["list", "hash", "set", "zset", "stream"]
MEMORY = [
    Row("memory per element, %s of %s" % (kind, size), "B", ("<=", 1.0))
    for kind in KINDS
    for size in ("1M", "10, 100k of them")
]


@group("memory-types", MEMORY)
def memory_of_types(bench, kind, directory):
    figures = []
    for value in KINDS:
        for many in (False, True):
            server, count = Server(bench, kind, directory, *LOGS["off"]), bench.scaled(1_000_000)
            try:
                # What code and buffers take, whatever they work on, is there before.
                pipeline(server.port, list(million(value, 1000)) + [encode("FLUSHALL")], 100, lines=False)
                before = server.memory()
                fill = many_small(value, count // 10) if many else million(value, count)
                pipeline(server.port, fill, 100, lines=False)
                server.settle()
                figures.append((server.memory() - before) / count)
            finally:
                server.kill()
    return dict(zip((row.name for row in MEMORY), figures))


def many_small(kind, count):
    """`count` keys of ten elements."""
    for i in range(count):
        key = "key:%012d" % i
        if kind == "list":
            yield encode("RPUSH", key, *("element:%d" % (i + j) for j in range(10)))
        elif kind == "hash":
            yield encode("HSET", key, *(w for j in range(10) for w in ("field:%d" % j, POOL[i : i + 16])))
        elif kind == "set":
            yield encode("SADD", key, *("member:%d" % (i + j) for j in range(10)))
        elif kind == "zset":
            yield encode("ZADD", key, *(w for j in range(10) for w in (j, "member:%d" % j)))
        else:
            for j in range(10):
                yield encode("XADD", key, "%d-%d" % (i + 1, j + 1), "field", POOL[i : i + 16])


# MARK: Deletion

WAYS = ["UNLINK", "DEL", "expiry", "overwriting", "FLUSHALL"]
DELETION = [
    Row("deleting 10M elements of a %s by %s: longest turn" % (kind, way), "ms", ("<=", 1.0), absolute=True)
    for kind in KINDS
    for way in WAYS
]


@group("deletion", DELETION)
def deletion(bench, kind, directory):
    """The server's own measure of the command's time."""
    figures = []
    for value in KINDS:
        server = Server(bench, kind, directory, *LOGS["off"], "--lazyfree-lazy-expire", "yes")
        try:
            pipeline(server.port, million(value, bench.scaled(10_000_000)), 100, lines=False)
            for way in WAYS:
                if kind == "redis" and way != "UNLINK":
                    figures.append(0)  # It frees on the loop, unless told otherwise: nothing to compare with.
                    continue
                if way != WAYS[-1]:
                    server.client("COPY", "big", "doomed")
                server.settle()
                figures.append(longest_turn(server, way) * 1e3)
        finally:
            server.kill()
    return dict(zip((row.name for row in DELETION), figures))


def longest_turn(server, way):
    words = {"overwriting": ["SET", "doomed", "x"], "FLUSHALL": ["FLUSHALL"], "expiry": ["EXISTS", "doomed"]}.get(
        way, [way, "doomed"]
    )
    if way == "expiry":
        # Removed by the command that finds it due: the same work as on the server's own initiative, with its time told.
        server.client("DEBUG", "SET-ACTIVE-EXPIRE", "0")
        server.client("PEXPIRE", "doomed", "1")
        time.sleep(0.02)
    server.client("CONFIG", "SET", "slowlog-log-slower-than", "0")
    server.client(*words)
    entry = next(e for e in server.client("SLOWLOG", "GET", "10") if e[3][0].decode() == words[0])
    server.client("CONFIG", "SET", "slowlog-log-slower-than", "-1")
    return entry[2] / 1e6


# MARK: Checkpoints

CHANGES = {
    "list": ("10 LPUSHes", [("LPUSH", "big", "new")] * 10),
    "hash": ("10 HSETs", [("HSET", "big", "field:%d" % (i * 9973), "new") for i in range(10)]),
    "set": ("10 SADDs", [("SADD", "big", "new:%d" % i) for i in range(10)]),
    "zset": ("10 ZINCRBYs", [("ZINCRBY", "big", "5", "member:%d" % (i * 9973)) for i in range(10)]),
    "stream": ("10 XADDs", [("XADD", "big", "*", "field", "new")] * 10),
}
CHECKPOINTS = [
    Row("checkpoint, %s on a %s of 1M: bytes written" % (what, kind), "MB", ("<=", 1.0), absolute=True)
    for kind, (what, _) in CHANGES.items()
] + [Row("checkpoint, 1 XACK of 1M pending: bytes written", "MB", ("<=", 1.0), absolute=True)]


@group("checkpoint-types", CHECKPOINTS)
def checkpoints(bench, kind, directory):
    figures = []
    for value, (_, changes) in CHANGES.items():
        server = Server(bench, kind, directory, *LOGS["off"])
        try:
            server.client("FLUSHALL")  # What the one before saved.
            pipeline(server.port, large_fill(value, bench), 100, lines=False)
            server.save()
            for change in changes:
                server.client(*change)
            figures.append(server.save()[1] / 1e6)
            if value == "stream":
                while server.client("XREADGROUP", "GROUP", "g", "c", "COUNT", "10000", "STREAMS", "big", ">"):
                    pass
                server.save()
                server.client("XACK", "big", "g", "5000-1")
                figures.append(server.save()[1] / 1e6)
        finally:
            server.kill()
    return dict(zip((row.name for row in CHECKPOINTS), figures))
