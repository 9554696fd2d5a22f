"""Lists, hashes, sets."""

from compare import pairs, shape, unordered
from rows import Row, arity


def side(w):
    return w.choice(["LEFT", "RIGHT"]) if w.chance() < 0.98 else w.choice(["left", "x"])


def lpos_options(w):
    words = w.maybe(0.4, "RANK", w.choice([1, -1, 2, -2, 5, w.index()]))
    words += w.maybe(0.4, "COUNT", w.choice([0, 1, 2, 5, w.index()])) + w.maybe(
        0.3, "MAXLEN", w.choice([0, 3, 10, w.index()])
    )
    return words


def item(w):
    return w.plain() if w.chance() < 0.6 else w.value()


def field(w):
    return w.member()


def numkeys(w, kind, most=4):
    keys = w.some(lambda: w.key(kind), most)
    return [len(keys) if w.chance() < 0.98 else w.choice([0, -1, 2, 1 << 40, "x"]), *keys]


def random_count(w):
    """For commands that choose at random: a negative count is how many are answered."""
    return w.choice([0, 1, 2, 5, 40, -1, -5, -40, 400, "x"])


LISTS = [
    Row(12, lambda w: [w.choice(["LPUSH", "RPUSH"]), w.key("list"), *w.some(lambda: item(w), 8)]),
    Row(1, lambda w: ["RPUSH", w.key("list"), *(item(w) for _ in range(w.below(200)))]),
    Row(3, lambda w: [w.choice(["LPUSHX", "RPUSHX"]), w.key("list"), *w.some(lambda: item(w), 3)]),
    Row(8, lambda w: [w.choice(["LPOP", "RPOP"]), w.key("list"), *w.maybe(0.4, w.count(40))]),
    Row(6, lambda w: ["LRANGE", w.key("list"), w.index(), w.index()]),
    Row(3, lambda w: ["LLEN", w.key("list")]),
    Row(4, lambda w: ["LINDEX", w.key("list"), w.index()]),
    Row(4, lambda w: ["LSET", w.key("list"), w.index(), item(w)]),
    Row(4, lambda w: ["LINSERT", w.key("list"), w.choice(["BEFORE", "AFTER", "after"]), item(w), item(w)]),
    Row(4, lambda w: ["LREM", w.key("list"), w.choice([0, 1, -1, 2, -3, w.index()]), item(w)]),
    Row(3, lambda w: ["LTRIM", w.key("list"), w.index(), w.index()]),
    Row(4, lambda w: ["LPOS", w.key("list"), item(w), *lpos_options(w)]),
    Row(3, lambda w: ["LMOVE", w.key("list"), w.key("list"), side(w), side(w)]),
    Row(2, lambda w: ["RPOPLPUSH", w.key("list"), w.key("list")]),
    Row(3, lambda w: ["LMPOP", *numkeys(w, "list", 3), side(w), *w.maybe(0.4, "COUNT", w.count(10))]),
]

HASHES = [
    Row(
        10,
        lambda w: [
            w.choice(["HSET", "HSET", "HMSET"]),
            w.key("hash"),
            *(x for _ in range(w.between(1, 4)) for x in (field(w), w.value())),
        ],
    ),
    Row(0.5, lambda w: ["HSET", w.key("hash"), *(x for _ in range(w.below(90)) for x in (field(w), w.value()))]),
    Row(3, lambda w: ["HSETNX", w.key("hash"), field(w), w.value()]),
    Row(5, lambda w: ["HGET", w.key("hash"), field(w)]),
    Row(3, lambda w: ["HMGET", w.key("hash"), *w.some(lambda: field(w), 6)]),
    Row(5, lambda w: ["HDEL", w.key("hash"), *w.some(lambda: field(w), 12)]),
    Row(2, lambda w: ["HGETALL", w.key("hash")], pairs),
    Row(1, lambda w: [w.choice(["HKEYS", "HVALS"]), w.key("hash")], unordered),
    Row(2, lambda w: ["HLEN", w.key("hash")]),
    Row(2, lambda w: ["HEXISTS", w.key("hash"), field(w)]),
    Row(2, lambda w: ["HSTRLEN", w.key("hash"), field(w)]),
    Row(5, lambda w: ["HINCRBY", w.key("hnum"), field(w), w.integer()]),
    Row(5, lambda w: ["HINCRBYFLOAT", w.key("hnum"), field(w), w.float()]),
    Row(1, lambda w: ["HSET", w.key("hnum"), field(w), w.float()]),
    arity(
        2, lambda w: ["HRANDFIELD", w.key("hash"), *w.maybe(0.7, random_count(w), *w.maybe(0.5, "WITHVALUES"))], shape
    ),
]

SETS = [
    Row(10, lambda w: ["SADD", w.key("set"), *w.some(w.member, 12)]),
    Row(0.5, lambda w: ["SADD", w.key("set"), *(w.member() for _ in range(w.below(200)))]),
    Row(6, lambda w: ["SADD", w.key("ints"), *w.some(w.number_member, 12)]),
    Row(6, lambda w: ["SREM", w.key("set"), *w.some(w.member, 12)]),
    Row(5, lambda w: ["SREM", w.key("ints"), *w.some(w.number_member, 8)]),
    Row(3, lambda w: ["SISMEMBER", w.key("set"), w.member()]),
    Row(3, lambda w: ["SMISMEMBER", w.key("ints"), *w.some(w.number_member, 8)]),
    Row(2, lambda w: ["SCARD", w.key("set")]),
    Row(1.5, lambda w: ["SMEMBERS", w.key(w.choice(["set", "ints"]))], unordered),
    Row(4, lambda w: ["SMOVE", w.key("set"), w.key("set"), w.member()]),
    Row(2, lambda w: ["SMOVE", w.key("ints"), w.key("set"), w.number_member()]),
    Row(
        3,
        lambda w: [w.choice(["SINTER", "SUNION", "SDIFF"]), *w.some(lambda: w.key(w.choice(["set", "ints"])), 4)],
        unordered,
    ),
    Row(
        3,
        lambda w: [
            w.choice(["SINTERSTORE", "SDIFFSTORE"]),
            w.key("set"),
            *w.some(lambda: w.key(w.choice(["set", "ints"])), 4),
        ],
    ),
    Row(0.6, lambda w: ["SUNIONSTORE", w.key("set"), *w.some(lambda: w.key(w.choice(["set", "ints"])), 4)]),
    Row(3, lambda w: ["SINTERCARD", *numkeys(w, "set"), *w.maybe(0.4, "LIMIT", w.count())]),
    arity(2, lambda w: ["SRANDMEMBER", w.key(w.choice(["set", "ints"])), *w.maybe(0.7, random_count(w))], shape),
]

ROWS = LISTS + HASHES + SETS


def spop(w):
    """Swiftlet chooses, and the oracle removes the same."""
    return ["SPOP", w.key(w.choice(["set", "ints"])), *w.maybe(0.6, w.choice([0, 1, 2, 5, 40, 400, -1, "x"]))]


# Waiting commands, for transactions: there they do not wait.
WAITING = [
    Row(1, lambda w: [w.choice(["BLPOP", "BRPOP"]), *w.some(lambda: w.key("list"), 3), 0]),
    Row(1, lambda w: ["BLMOVE", w.key("list"), w.key("list"), side(w), side(w), 0]),
    Row(1, lambda w: ["BRPOPLPUSH", w.key("list"), w.key("list"), 0]),
    Row(1, lambda w: ["BLMPOP", w.choice([0, 1, "1.5", -1, "x"]), *numkeys(w, "list", 3), side(w), *w.maybe(0.4, "COUNT", w.count(10))]),
    Row(1, lambda w: [w.choice(["BZPOPMIN", "BZPOPMAX"]), *w.some(lambda: w.key("zset"), 3), 0]),
    Row(1, lambda w: ["BZMPOP", 0, *numkeys(w, "zset", 3), w.choice(["MIN", "MAX"]), *w.maybe(0.4, "COUNT", w.count(10))]),
]  # fmt: skip
