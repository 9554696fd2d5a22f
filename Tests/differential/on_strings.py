"""Strings, bitmaps, HyperLogLogs."""

from compare import near
from rows import Row, arity


def expiry(w, *more):
    """An option that sets a time, or none."""
    draw = w.below(10)
    if draw < 5:
        return []
    unit, time = w.choice(
        [("EX", w.seconds), ("PX", w.milliseconds), ("EXAT", w.at_seconds), ("PXAT", w.at_milliseconds)]
    )
    return w.case(unit) + [time()] if draw < 9 or not more else list(more)


def set_expiry(w):
    """As in `expiry`; no past times, which leave the key until it is looked at."""
    words = expiry(w, "KEEPTTL")
    if len(words) == 2 and words[0].upper() in ("EXAT", "PXAT") and words[1] in (1, 1000):
        words[1] = 0
    return words


def set_options(w):
    words = set_expiry(w) + w.maybe(0.15, w.choice(["NX", "XX"])) + w.maybe(0.15, "GET")
    return words if w.chance() < 0.5 else words[::-1] if len(words) < 2 else words


def bit_range(w):
    draw = w.below(4)
    if draw == 0:
        return []
    return [w.index(), w.index()] + (w.case(w.choice(["BYTE", "BIT"])) if draw == 1 else [])


def offset(w):
    draw = w.chance()
    if draw < 0.9:
        return w.below(700)
    return w.choice([7, 8, 4000, 20000, 1 << 23, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, -1, "x"])


def field_type(w):
    draw = w.chance()
    if draw < 0.9:
        return w.choice("iu") + str(w.between(1, 63))
    return w.choice(["i64", "u64", "i0", "u0", "i65", "x8", "u", "i-1", "I8"])


def field_offset(w):
    return (
        w.choice(["", "", "#"]) + str(w.below(90)) if w.chance() < 0.95 else w.choice(["-1", "#-1", "#", "x", 1 << 40])
    )


def bitfield(w, most=4):
    words = []
    for _ in range(w.between(0, most)):
        draw = w.below(10)
        if draw < 3:
            words += ["GET", field_type(w), field_offset(w)]
        elif draw < 6:
            words += ["SET", field_type(w), field_offset(w), w.integer()]
        elif draw < 8:
            words += ["INCRBY", field_type(w), field_offset(w), w.integer()]
        else:
            words += [
                "OVERFLOW",
                w.choice(["WRAP", "SAT", "FAIL", "fail", "x"] if w.chance() < 0.1 else ["WRAP", "SAT", "FAIL"]),
            ]
    return words


def lcs_text(w):
    return "".join(w.choice("ACGT") for _ in range(w.below(40)))


def lcs_options(w):
    return w.choice(
        [[], [], ["LEN"], ["IDX"], ["IDX", "WITHMATCHLEN"], ["IDX", "MINMATCHLEN", w.between(-1, 6)], ["LEN", "IDX"]]
    )


ROWS = [
    arity(16, lambda w: ["SET", w.key("str"), w.value(), *set_options(w)]),
    Row(6, lambda w: ["SET", w.key("str"), w.value()]),
    Row(6, lambda w: ["SET", w.key("num"), w.integer()]),
    Row(10, lambda w: ["GET", w.key("str")]),
    Row(3, lambda w: ["GETSET", w.key("str"), w.value()]),
    Row(3, lambda w: ["GETDEL", w.key("str")]),
    arity(4, lambda w: ["GETEX", w.key("str"), *expiry(w, "PERSIST")]),
    arity(2, lambda w: ["SETEX", w.key("str"), w.seconds(), w.value()]),
    arity(2, lambda w: ["PSETEX", w.key("str"), w.milliseconds(), w.value()]),
    Row(3, lambda w: ["SETNX", w.key("str"), w.value()]),
    Row(4, lambda w: ["MSET", *(x for _ in range(w.between(1, 4)) for x in (w.key("str"), w.value()))]),
    Row(2, lambda w: ["MSETNX", *(x for _ in range(w.between(1, 3)) for x in (w.key("str"), w.value()))]),
    Row(4, lambda w: ["MGET", *w.some(w.any, 6)]),
    Row(6, lambda w: ["APPEND", w.key("str"), w.value()]),
    Row(3, lambda w: ["STRLEN", w.key("str")]),
    Row(4, lambda w: [w.choice(["GETRANGE", "SUBSTR"]), w.key("str"), w.index(), w.index()]),
    Row(4, lambda w: ["SETRANGE", w.key("str"), w.choice([0, 1, 5, 60, w.below(300), w.index()]), w.value()]),
    Row(6, lambda w: [w.choice(["INCR", "DECR"]), w.key("num")]),
    Row(6, lambda w: [w.choice(["INCRBY", "DECRBY"]), w.key("num"), w.integer()]),
    Row(5, lambda w: ["INCRBYFLOAT", w.key("num"), w.float()]),
    arity(3, lambda w: ["SET", w.own("lcs"), lcs_text(w)]),
    arity(2, lambda w: ["LCS", w.own("lcs"), w.own("lcs"), *lcs_options(w)]),
    # Bitmaps.
    Row(8, lambda w: ["SETBIT", w.key("bits"), offset(w), w.choice([0, 1, 1])]),
    Row(4, lambda w: ["GETBIT", w.key("bits"), offset(w)]),
    Row(4, lambda w: ["BITCOUNT", w.key("bits"), *bit_range(w)]),
    Row(4, lambda w: ["BITPOS", w.key("bits"), w.choice([0, 1]), *w.choice([bit_range(w), [w.index()]])]),
    Row(
        3, lambda w: ["BITOP", w.choice(["AND", "OR", "XOR", "and"]), w.key("bits"), *w.some(lambda: w.key("bits"), 4)]
    ),
    Row(1, lambda w: ["BITOP", "NOT", w.key("bits"), w.key("bits")]),
    Row(6, lambda w: ["BITFIELD", w.key("bits"), *bitfield(w)]),
    Row(
        2,
        lambda w: [
            "BITFIELD_RO",
            w.key("bits"),
            *(x for _ in range(w.below(3)) for x in ("GET", field_type(w), field_offset(w))),
        ],
    ),
    Row(2, lambda w: ["SET", w.key("bits"), w.random.randbytes(w.below(90))]),
    # HyperLogLogs.
    arity(8, lambda w: ["PFADD", w.own("hll"), *w.some(w.member, 12)]),
    arity(2, lambda w: ["PFADD", w.own("hll"), *(str(w.below(1 << 30)) for _ in range(w.below(40)))]),
    Row(3, lambda w: ["PFCOUNT", *w.some(lambda: w.any() if w.chance() < 0.05 else w.own("hll"), 4)]),
    arity(2, lambda w: ["PFMERGE", w.own("hll"), *w.some(lambda: w.any() if w.chance() < 0.05 else w.own("hll"), 4)]),
    Row(1, lambda w: ["GET", w.own("hll")]),
    Row(0.3, lambda w: ["PFDEBUG", "ENCODING", w.own("hll")]),
    Row(0.3, lambda w: ["DEL", w.own("hll")]),
    # Times.
    arity(4, lambda w: ["EXPIRE", w.any(), w.seconds(), *w.maybe(0.3, w.choice(["NX", "XX", "GT", "LT", "nx"]))]),
    arity(3, lambda w: ["PEXPIRE", w.any(), w.milliseconds(), *w.maybe(0.3, w.choice(["NX", "XX", "GT", "LT"]))]),
    arity(3, lambda w: ["EXPIREAT", w.any(), w.at_seconds(), *w.maybe(0.4, w.choice(["NX", "XX", "GT", "LT", "zz"]))]),
    arity(4, lambda w: ["PEXPIREAT", w.any(), w.at_milliseconds(), *w.maybe(0.4, w.choice(["NX", "XX", "GT", "LT"]))]),
    Row(4, lambda w: [w.choice(["TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"]), w.any()], near),
    Row(3, lambda w: ["PERSIST", w.any()]),
]


def past(w):
    """A time in the past: the key is gone as soon as it is looked at."""
    key = w.any()
    unit, time = w.choice([("PXAT", 1), ("EXAT", 1), ("PXAT", 1_600_000_000_000)])
    return [["SET", key, "x", unit, time], ["GET", key], ["EXISTS", key]]


def wrong_type(w):
    """Commands that otherwise see keys of their own kinds only."""
    key = w.any()
    return [
        w.choice([["SET", key, "x"], ["LPUSH", key, "x"]]),
        w.choice(
            [["PFADD", key, "a"], ["PFMERGE", key, "hll:0"], ["GEOADD", key, 1, 2, "m"], ["ZRANGEBYLEX", key, "-", "+"]]
        ),
    ]


MACROS = [past, wrong_type]
