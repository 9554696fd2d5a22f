"""Data for tests: the corpus of RDB files, and values of every type and encoding."""

from oracle import ROOT

CORPUS = ROOT / "Tests" / "Fixtures" / "rdb"

# Refused, with and without --skip-unsupported: damage, and an append-only file that is no RDB file.
REFUSED = ["corrupt_ziplist.rdb", "rdb-preamble.aof"]
# Modules: read with --skip-unsupported only.
PARTLY_SUPPORTED = ["redis_40_with_module.rdb", "redis_60_with_module_aux.rdb"]
# In versions that the oracle does not read: see test_all_types.py.
NEWER = ["small_v11.rdb", "small_v12.rdb"]
FILES = sorted(p.name for p in CORPUS.glob("*") if p.suffix in (".rdb", ".aof"))
SUPPORTED = [name for name in FILES if name not in REFUSED + PARTLY_SUPPORTED + NEWER]

FAR = 4_000_000_000_000  # ms since 1970: expiries are after it
TYPES = ["string", "list", "hash", "set", "zset", "stream"]


def mixed_requests(rng, count):
    """Requests that make `count` keys of all five types, small and large, some with an expiry far ahead."""

    def word():
        draw = rng.random()
        if draw < 0.3:
            return str(rng.randrange(-(1 << rng.choice([7, 15, 31, 63])), 1 << rng.choice([7, 15, 31, 63])))
        if draw < 0.4:
            return rng.randbytes(rng.randrange(1, 60))
        if draw < 0.42:
            return rng.choice("abc") * rng.randrange(1000, 6000)
        return f"wörd {rng.randrange(1 << 30)} " + "x" * rng.randrange(30)

    for n in range(count):
        kind = TYPES[n % 5]
        key = rng.choice([f"{kind}:{n}", f"schlüssel:{n}", b"\xff\x00%d" % n])
        size = rng.choices([rng.randrange(1, 10), rng.randrange(100, 600), 3000], [97, 2.8, 0.2])[0]
        if kind == "string":
            yield "SET", key, word() if size < 100 else rng.randbytes(size * 20)
        elif kind == "list":
            yield "RPUSH", key, *(word() for _ in range(size))
        elif kind == "hash":
            yield "HSET", key, *(w for i in range(size) for w in (f"f{i}" if rng.random() < 0.8 else word(), word()))
        elif kind == "set" and rng.random() < 0.5:
            yield "SADD", key, *(rng.randrange(1 << rng.choice([8, 20, 50])) for _ in range(size))
        elif kind == "set":
            yield "SADD", key, *(word() for _ in range(size))
        else:
            odd = ["inf", "-inf", "-0.0", "1e300"]
            scores = [lambda: rng.randrange(-100, 100), rng.random, lambda odd=odd: rng.choice(odd)]
            yield "ZADD", key, *(w for _ in range(size) for w in (rng.choices(scores, [5, 4, 1])[0](), word()))
        if rng.random() < 0.2:
            yield "PEXPIREAT", key, FAR + rng.randrange(10**10)


def fill(call):
    """A value of every type and encoding."""
    for i in range(300):
        call("XADD", "stream", f"{i + 1}-{i % 3}", *(["f", i, "g", f"word {i}"] if i % 7 else [f"h{i}", "x"]))
    call("XDEL", "stream", "10-0", "11-1")
    call("XGROUP", "CREATE", "stream", "unread", "$")
    call("XGROUP", "CREATE", "stream empty", "g", "0", "MKSTREAM")
    call("SET", "int", 12345)
    call("SET", "negative", -7)
    call("SET", "large int", 1 << 62)
    call("SET", "empty", "")
    call("SET", "embstr", "a short value")
    call("SET", "raw", "compress me " * 100)
    call("SET", "binary", bytes(range(256)) * 3)
    call("APPEND", "appended", "12")
    call("APPEND", "appended", "34")
    for name, count in [("small", 4), ("middle", 150), ("large", 900)]:
        words = [str(i * 1000) if i % 3 else f"word {i}" for i in range(count)]
        call("RPUSH", f"list {name}", *words)
        call("SADD", f"integers {name}", *(i * i - 9 for i in range(count)))
        call("SADD", f"set {name}", *words)
        call("HSET", f"hash {name}", *(w for i, word in enumerate(words) for w in (f"f{i}", word)))
        call("ZADD", f"zset {name}", *(w for i, word in enumerate(words) for w in (i % 7 / 4, word)))
    call("RPUSH", "list long", "a", "x" * 20000, "", "y" * 9000)
    call("HSET", "hash long", "field", "v" * 100)
    call("ZADD", "zset zero", "-0", "a", "5", "b", "-0.0", "c")
    call("ZADD", "zset odd", "inf", "a", "-inf", "b", "-0", "c", "1e300", "d", "0.1", "e")
