"""Sorted sets and places."""

from compare import distances, shape
from on_collections import numkeys, random_count
from rows import Row, arity, intact


def zadd_options(w):
    return w.maybe(0.12, w.choice(["NX", "XX", "nx"])) + w.maybe(0.12, w.choice(["GT", "LT"])) + w.maybe(0.15, "CH")


def scores(w, draw, most):
    return [x for _ in range(w.between(1, most)) for x in (draw(), w.member())]


def with_scores(w):
    return w.maybe(0.5, *w.case("WITHSCORES"))


def limit(w):
    return w.maybe(0.4, *w.case("LIMIT"), w.choice([0, 1, 3, -1, w.index()]), w.choice([-1, 0, 2, 10, w.index()]))


def zrange(w, key):
    """The words of ZRANGE and ZRANGESTORE behind their first keys. By rank or by score."""
    options = w.maybe(0.3, "REV")
    if w.chance() < 0.5:
        words = [key, w.index(), w.index(), *options]
        return words + (limit(w) if w.chance() < 0.1 else [])
    bounds = w.score_range()
    words = [["BYSCORE"], options, limit(w)]
    w.random.shuffle(words)
    return [key, *bounds, *(x for part in words for x in part)]


def algebra(w, stored):
    """Keys and options of ZUNION and ZINTER. With sums whose operands are not exact there are two of them at most, as
    the order is the server's choice."""
    odd = w.chance() < 0.15
    keys = (
        w.some(lambda: w.own("odd"), 2) if odd else w.some(lambda: w.key(w.choice(["zset", "zset", "set", "ints"])), 4)
    )
    words = [len(keys) if w.chance() < 0.98 else w.choice([0, -1, 1 << 40, "x"]), *keys]
    if w.chance() < 0.4:
        # Weights that turn 0 to -0 stay in the reply.
        weights = [1, 2, 0.5, 3] if stored else [1, 2, 0.5, -1]
        words += ["WEIGHTS", *(w.choice(weights) for _ in keys)]
        if w.chance() < 0.03:
            words.append(w.choice(["x", 1, "nan"]))
    if w.chance() < 0.4:
        words += ["AGGREGATE", w.choice(["SUM", "MIN", "MAX", "max"])]
    return words


def store(w):
    """Results go to keys of the kind with any scores."""
    name = w.choice(["ZUNIONSTORE", "ZINTERSTORE", "ZINTERSTORE", "ZDIFFSTORE"])
    words = algebra(w, True)
    if name == "ZDIFFSTORE":
        words = words[: 1 + words[0]] if isinstance(words[0], int) and 0 < words[0] < 9 else words
    return [name, w.own("odd"), *words]


SORTED = [
    arity(10, lambda w: ["ZADD", w.key("zset"), *zadd_options(w), *scores(w, w.score, 5)]),
    arity(0.5, lambda w: ["ZADD", w.key("zset"), *scores(w, w.score, 200)]),
    arity(1, lambda w: ["ZADD", w.key("zset"), *zadd_options(w), "INCR", w.score(), w.member()]),
    arity(5, lambda w: ["ZADD", w.own("odd"), *zadd_options(w), *scores(w, w.odd_score, 4)]),
    arity(4, lambda w: ["ZINCRBY", w.key("zset"), w.score(), w.member()]),
    arity(2, lambda w: ["ZINCRBY", w.own("odd"), w.odd_score(), w.member()]),
    Row(7, lambda w: ["ZREM", w.key("zset"), *w.some(w.member, 12)]),
    Row(2, lambda w: ["ZREM", w.own("odd"), *w.some(w.member, 12)]),
    Row(4, lambda w: ["ZSCORE", w.key("zset"), w.member()]),
    Row(2, lambda w: ["ZMSCORE", w.own("odd"), *w.some(w.member, 6)]),
    Row(2, lambda w: ["ZCARD", w.key("zset")]),
    intact(5, lambda w: [w.choice(["ZRANK", "ZREVRANK"]), w.key("zset"), w.member()]),
    intact(0.1, lambda w: [w.choice(["ZRANK", "ZREVRANK"]), w.key("zset")]),
    Row(3, lambda w: ["ZCOUNT", w.key("zset"), *w.score_range()]),
    Row(5, lambda w: ["ZRANGE", *zrange(w, w.key("zset")), *with_scores(w)]),
    Row(3, lambda w: ["ZRANGE", *zrange(w, w.own("odd")), *with_scores(w)]),
    arity(2, lambda w: ["ZRANGESTORE", w.key("zset"), *zrange(w, w.key("zset"))]),
    Row(2, lambda w: ["ZREVRANGE", w.key("zset"), w.index(), w.index(), *with_scores(w)]),
    Row(
        4,
        lambda w: [
            w.choice(["ZRANGEBYSCORE", "ZREVRANGEBYSCORE"]),
            w.key("zset"),
            *w.score_range(),
            *with_scores(w),
            *limit(w),
        ],
    ),
    Row(2, lambda w: ["ZREMRANGEBYRANK", w.key("zset"), w.index(), w.index()]),
    Row(2, lambda w: ["ZREMRANGEBYSCORE", w.key("zset"), *w.score_range()]),
    Row(3, lambda w: [w.choice(["ZPOPMIN", "ZPOPMAX"]), w.key(w.choice(["zset", "zset"])), *w.maybe(0.5, w.count(10))]),
    Row(3, lambda w: ["ZMPOP", *numkeys(w, "zset", 3), w.choice(["MIN", "MAX"]), *w.maybe(0.4, "COUNT", w.count(10))]),
    arity(
        2, lambda w: ["ZRANDMEMBER", w.key("zset"), *w.maybe(0.7, random_count(w), *w.maybe(0.5, "WITHSCORES"))], shape
    ),
    arity(4, lambda w: [w.choice(["ZUNION", "ZINTER"]), *algebra(w, False), *with_scores(w)]),
    Row(2, lambda w: ["ZDIFF", *numkeys(w, "zset"), *with_scores(w)]),
    arity(4, store),
    Row(2, lambda w: ["ZINTERCARD", *numkeys(w, "zset"), *w.maybe(0.4, "LIMIT", w.count())]),
    # Ranges by name, over equal scores.
    arity(5, lambda w: ["ZADD", w.own("lex"), *(x for _ in range(w.between(1, 6)) for x in (0, w.member()))]),
    arity(2, lambda w: ["ZREM", w.own("lex"), *w.some(w.member, 12)]),
    arity(2, lambda w: [w.choice(["ZRANGEBYLEX", "ZREVRANGEBYLEX"]), w.own("lex"), *w.lex_range(), *limit(w)]),
    arity(
        2,
        lambda w: [
            "ZRANGE",
            w.own("lex"),
            *w.lex_range(),
            "BYLEX",
            *w.maybe(0.3, "REV"),
            *limit(w),
            *w.maybe(0.03, "WITHSCORES"),
        ],
    ),
    arity(
        1,
        lambda w: ["ZRANGESTORE", w.own("lex"), w.own("lex"), *w.lex_range(), "BYLEX", *w.maybe(0.3, "REV"), *limit(w)],
    ),
    arity(2, lambda w: ["ZLEXCOUNT", w.own("lex"), *w.lex_range()]),
    arity(1, lambda w: ["ZREMRANGEBYLEX", w.own("lex"), *w.lex_range()]),
]


def place(w):
    """A longitude and a latitude, mostly near some others."""
    draw = w.chance()
    if draw < 0.6:
        return [repr(w.random.gauss(13, 2)), repr(w.random.gauss(38, 2))]
    if draw < 0.95:
        return [repr(w.random.uniform(-180, 180)), repr(w.random.uniform(-85, 85))]
    return [
        w.choice(["180", "-180", "181", "x", "nan", "0", "1e1"]),
        w.choice(["85.05112878", "-85.05112878", "86", "x", "0"]),
    ]


def unit(w):
    return w.choice(["m", "km", "ft", "mi", "KM"]) if w.chance() < 0.98 else "x"


def size(w):
    draw = w.chance()
    if draw < 0.95:
        return repr(w.choice([1, 50, 3000, 50_000, 500_000, 5_000_000, 30_000_000]) * w.random.uniform(0.5, 2))
    return w.choice(["0", "-1", "x", "nan", "inf", "1e10"])


def shape_and_center(w):
    words = [
        ["FROMMEMBER", w.member()] if w.chance() < 0.5 else ["FROMLONLAT", *place(w)],
        ["BYRADIUS", size(w), unit(w)] if w.chance() < 0.5 else ["BYBOX", size(w), size(w), unit(w)],
    ]
    w.random.shuffle(words)
    return words[0] + words[1]


def order(w):
    return w.choice([[], ["ASC"], ["DESC"], ["asc"]])


def some_of(w):
    return ["COUNT", w.choice([1, 3, 10, 100, 0, "x"] if w.chance() < 0.1 else [1, 3, 10, 100])]


def withs(w):
    return w.maybe(0.3, "WITHDIST") + w.maybe(0.3, "WITHCOORD") + w.maybe(0.2, "WITHHASH")


def radius(w, name):
    center = [w.member()] if "BYMEMBER" in name else place(w)
    return [name, w.own("geo"), *center, size(w), unit(w)]


# Where COUNT takes some of those at one distance, the distances count: WITHDIST comes with it.
PLACES = [
    arity(6, lambda w: ["GEOADD", w.own("geo"), *zadd_options(w), *(x for _ in range(w.between(1, 5)) for x in (*place(w), w.member()))]),
    arity(2, lambda w: ["ZREM", w.own("geo"), *w.some(w.member, 12)]),
    Row(3, lambda w: [w.choice(["GEOPOS", "GEOHASH"]), w.own("geo"), *w.some(w.member, 6)]),
    Row(3, lambda w: ["GEODIST", w.own("geo"), w.member(), w.member(), *w.maybe(0.5, unit(w))]),
    arity(3, lambda w: ["GEOSEARCH", w.own("geo"), *shape_and_center(w), *order(w), *withs(w)]),
    arity(1, lambda w: ["GEOSEARCH", w.own("geo"), *shape_and_center(w), *some_of(w), *order(w), "WITHDIST"], distances),
    arity(1, lambda w: ["GEOSEARCH", w.own("geo"), *shape_and_center(w), *some_of(w), "ANY", *order(w)]),
    arity(1, lambda w: ["GEOSEARCHSTORE", w.own("odd"), w.own("geo"), *shape_and_center(w), *w.maybe(0.5, "STOREDIST")]),
    arity(1, lambda w: [*radius(w, w.choice(["GEORADIUS", "GEORADIUS_RO", "GEORADIUSBYMEMBER", "GEORADIUSBYMEMBER_RO"])), *withs(w), *order(w)]),
    arity(1, lambda w: [*radius(w, w.choice(["GEORADIUS", "GEORADIUSBYMEMBER"])), w.choice(["STORE", "STOREDIST"]), w.own("odd")]),
]  # fmt: skip

ROWS = SORTED + PLACES
