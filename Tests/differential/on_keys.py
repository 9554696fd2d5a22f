"""Commands on keys of all types."""

from compare import encoding, loose, shape, unordered, unsorted
from rows import Row, arity
from words import CLOSED, KEYS


def pattern(w):
    return w.choice(
        ["*", "str:*", "l?st:[0-3]", "*:1", "[^s]*", "zset:wide:1*", "\\*", "h[a-i]*", "x", "", "*\\", "[", "s[z-a]t:*"]
    )


def two_keys(w):
    """Source and destination. What is in keys of closed kinds stays in them."""
    if w.chance() < 0.15:
        kind = w.choice(CLOSED)
        return [w.own(kind), w.own(kind)]
    if w.chance() < 0.8:
        kind = w.choice(["str", "bits", "list", "hash", "set", "ints", "zset", "stream"])
        return [w.key(kind), w.key(kind)]
    return [w.any(), w.any()]


def every(w):
    """A key of any kind, for what cannot bring its value elsewhere."""
    return w.any() if w.chance() < 0.85 else w.own(w.choice(CLOSED))


def sort_words(w):
    """Numbers and words without zero bytes."""
    return w.choice(["1", "2", "3", "10", "-1", "2.5", "a", "b", "aa", "B", str(w.below(30))])


def gets(w):
    return [
        x
        for _ in range(w.below(3))
        for x in ("GET", w.choice(["#", "num:*", "hnum:*->m1", "str:0", "no*", "hash:*->", "*"]))
    ]


def sort(w, by):
    words = [by, w.maybe(0.3, w.choice(["ASC", "DESC", "desc"])), gets(w)]
    words.append(w.maybe(0.4, "LIMIT", w.between(-2, 6), w.between(-1, 8)))
    w.random.shuffle(words)
    return [x for part in words for x in part]


SORTS = ["sort:0", "sort:1", "sort:2"]


def of_a_set(args, ours, oracles):
    """These keys are lists, whose order is compared; an odd word in their place may name a set."""
    return args[1] not in SORTS and unsorted(args, ours, oracles)


ROWS = [
    Row(6, lambda w: [w.choice(["DEL", "UNLINK"]), *w.some(lambda: every(w), 2)]),
    Row(3, lambda w: ["EXISTS", *w.some(lambda: every(w), 4)]),
    Row(2, lambda w: ["TYPE", every(w)]),
    Row(1, lambda w: ["TOUCH", *w.some(lambda: every(w), 4)]),
    arity(4, lambda w: [w.choice(["RENAME", "RENAMENX"]), *two_keys(w)]),
    arity(4, lambda w: ["COPY", *two_keys(w), *w.maybe(0.2, "DB", w.choice([0, 1, 2, 2, 99, -1, "x"])), *w.maybe(0.6, *w.case("REPLACE"))]),
    arity(2, lambda w: ["MOVE", every(w), w.choice([0, 1, 2, 99, "x"])]),
    Row(0.15, lambda w: ["KEYS", pattern(w)], unordered),
    Row(1, lambda w: ["DBSIZE"]),
    Row(0.5, lambda w: ["RANDOMKEY"], shape),
    Row(2, lambda w: ["OBJECT", "ENCODING", every(w)], encoding),
    Row(1, lambda w: ["OBJECT", "REFCOUNT", every(w)], loose),
    Row(1, lambda w: ["SELECT", w.choice([0, 0, 0, 1, 2, 99, -1, "x"])]),
    Row(0.03, lambda w: ["SWAPDB", w.below(3), w.below(3)]),
    Row(0.02, lambda w: [w.choice(["FLUSHDB", "FLUSHDB", "FLUSHALL"]), *w.choice([[], ["SYNC"], ["x"]])]),
    # SORT has keys of its own with words that locales do not matter for, and takes others for the errors.
    Row(2, lambda w: ["RPUSH", w.choice(SORTS), *w.some(lambda: sort_words(w), 8)]),
    Row(0.5, lambda w: ["DEL", w.choice(SORTS)]),
    Row(1, lambda w: ["LPOP", w.choice(SORTS), w.count(12)]),
    Row(1, lambda w: [w.choice(["SORT", "SORT_RO"]), w.choice(SORTS), *sort(w, [])]),
    Row(1, lambda w: ["SORT", w.choice(SORTS), *sort(w, ["ALPHA"])]),
    Row(1, lambda w: ["SORT", w.key(w.choice(["ints", "list", "zset", "set"])), *sort(w, [])]),
    Row(1, lambda w: ["SORT", w.choice(SORTS), *sort(w, ["BY", w.choice(["num:*", "hnum:*->m2", "nosort", "*"])])], of_a_set),
    Row(1, lambda w: ["SORT", w.choice(SORTS + ["ints:0", "ints:1"]), *sort(w, ["BY", "num:*"]), "STORE", w.choice(KEYS["list"])]),
    Row(0.5, lambda w: ["SORT", w.key(w.choice(["list", "set", "zset"])), *sort(w, ["BY", "nosort"]), "STORE", w.choice(KEYS["list"])]),
    Row(0.5, lambda w: ["SORT", w.key(w.choice(["zset", "set", "list"])), *sort(w, ["BY", "nosort"])], unsorted),
    arity(0.3, lambda w: ["DEBUG", "DIGEST-VALUE", *w.some(lambda: every(w), 3)]),
]  # fmt: skip

SCANS = [
    ["SCAN"], ["SCAN", "MATCH"], ["SCAN", "TYPE"], ["HSCAN", "hash"], ["HSCAN", "hnum"], ["SSCAN", "set"],
    ["SSCAN", "ints"], ["ZSCAN", "zset"], ["ZSCAN", "odd"],
]  # fmt: skip


def scan(w):
    """A whole iteration: the command's words before the cursor, and those behind it."""
    which = w.choice(SCANS)
    options = w.maybe(0.7, "COUNT", w.choice([1, 3, 10, 100, 1000]))
    if which[0] == "SCAN":
        if which[1:] == ["MATCH"]:
            options += ["MATCH", pattern(w)]
        elif which[1:] == ["TYPE"]:
            options += ["TYPE", w.choice(["string", "list", "set", "zset", "hash", "stream", "none"])]
        return ["SCAN"], options
    return [which[0], w.choice(KEYS[which[1]])], options + w.maybe(0.4, "MATCH", w.choice(["m*", "m1?", "*", "[^m]*"]))


def transfer(w):
    """DUMP by one of both, RESTORE by both: source, destination, options of RESTORE, whether Swiftlet's payload is taken,
    whether it is damaged on its way."""
    source, destination = two_keys(w)
    options = (
        w.maybe(0.8, "REPLACE")
        + w.maybe(0.1, "FREQ", w.choice([0, 5, 255, 256]))
        + w.maybe(0.1, "IDLETIME", w.choice([0, 100, -1]))
    )
    time = w.choice([[0], [0], [w.choice([10**10 + w.below(10**13), -1, "x"])], [w.at_milliseconds(), "ABSTTL"]])
    return source, destination, time[0], options + time[1:], w.chance() < 0.5, w.chance() < 0.03
