"""The words that commands are made of: keys, elements, numbers, times; all from one seeded source of chance."""

import random

# How a key's name begins says what it mostly holds; one of each dozen commands takes a key of another kind.
OPEN = ["str", "num", "bits", "list", "hash", "hnum", "set", "ints", "zset", "stream"]
# Kinds whose values never come into keys of other kinds. lcs: short, as LCS takes the product of two lengths.
# hll: HyperLogLogs, which commands on strings would damage.
# geo: places; their scores are too large to be added exactly. odd: scores such as 1e300 and inf, whose sums depend on the
# order. lex: all scores are equal, as ranges by name need. Wrong types are met there as well.
CLOSED = ["lcs", "hll", "geo", "odd", "lex"]
SMALL, WIDE = 5, 3000
# Streams have the names that test_streams.Writer gives them.
STREAMS = [b"s", b"t", b"u"]
KEYS = {kind: [b"%s:%d" % (kind.encode(), n) for n in range(SMALL)] for kind in OPEN + CLOSED}
KEYS["stream"] = STREAMS
OPEN_KEYS = [key for kind in OPEN for key in KEYS[kind]]
FAR = 4_000_000_000_000  # ms since 1970; times of expiry are after it.

TEXT = ["", "a", "b", "c", "A", "foo", "bar", "héllo", "x y", b"\x00", b"\xff\xfe", b"a\r\nb", "aaa", "ab*", "0x10"]
INTEGERS = [
    0, 1, -1, 2, 12, 127, 128, -128, -129, 4095, 4096, 9999, 10000, 32767, -32769, 1 << 23, 1 << 31, -(1 << 31) - 1,
    1 << 32, (1 << 53) + 1, (1 << 63) - 1, -(1 << 63),
]  # fmt: skip
NUMBERS = INTEGERS + ["1.5", "-0.25", "1e3", "3.0e-5", "00", "+1", " 1", "1 ", "0.1", "1e300"]
# What stands in for an argument now and then. No numbers between: SRANDMEMBER k -1000000 would answer them all.
EDGES = [
    "", "0", "-1", "1", "2", "-2", "3", "+1", "01", "1.0", "9223372036854775807", "9223372036854775808",
    "-9223372036854775808", "-9223372036854775809", "18446744073709551615", "18446744073709551616", "nan", "inf", "-inf",
    "1e17", "0x11", " 5", "5 ", "abc", "LIMIT", "COUNT", "(1", "[a", "(", "[", "+", "-", "$", b"\x00", b"\xff",
    "x" * 100, "#", "str:0", "list:0", "zset:0", "hash:0", "set:0",
]  # fmt: skip


class Words:
    """Draws words. `exact` says that nothing may depend on how the server happens to lay values out, as after a restart."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.chance = self.random.random
        self.choice = self.random.choice
        self.exact = False

    def below(self, n):
        return int(self.chance() * n)

    def between(self, low, high):
        return low + int(self.chance() * (high - low + 1))

    def maybe(self, probability, *words):
        """The words, or none."""
        return list(words) if self.chance() < probability else []

    def some(self, draw, most):
        """1 to `most` words, mostly few."""
        n = 1 + int(self.chance() ** 3 * most)
        return [draw() for _ in range(n)]

    def case(self, *words):
        """An option, sometimes in small letters."""
        return [w.lower() for w in words] if self.chance() < 0.1 else list(words)

    # Keys.

    def key(self, kind):
        draw = self.chance()
        if draw < 0.88:
            return self.choice(KEYS[kind])
        if draw < 0.96:
            return self.choice(OPEN_KEYS)
        return b"%s:wide:%d" % (kind.encode(), self.below(WIDE))

    def own(self, kind):
        """A key of the kind itself, for kinds that are closed."""
        return self.choice(KEYS[kind])

    def any(self):
        return self.choice(OPEN_KEYS) if self.chance() < 0.8 else self.key(self.choice(OPEN))

    # Values.

    def value(self):
        draw = self.chance()
        if draw < 0.3:
            return self.choice(TEXT)
        if draw < 0.5:
            return self.choice(NUMBERS)
        if draw < 0.7:
            return str(self.below(1000))
        if draw < 0.85:
            return self.random.randbytes(self.below(60))
        if draw < 0.98:
            return self.choice("abc") * self.below(80)
        return self.choice("abc") * self.below(3000)

    def plain(self):
        """Text without zero bytes."""
        return self.choice(["a", "b", "c", "B", "aa", "z1", "10", "9", "2.5", str(self.below(50))])

    def integer(self):
        draw = self.chance()
        if draw < 0.7:
            return self.between(-100, 100)
        return self.choice(INTEGERS) if draw < 0.95 else self.value()

    def float(self):
        draw = self.chance()
        if draw < 0.5:
            return self.between(-400, 400) / 4
        if draw < 0.8:
            return repr(round(self.random.uniform(-1000, 1000), self.below(6)))
        return self.choice(NUMBERS) if draw < 0.95 else self.value()

    def index(self):
        """A position in a list or a rank."""
        draw = self.chance()
        if draw < 0.9:
            return self.between(-25, 25)
        return self.choice(INTEGERS) if draw < 0.98 else self.value()

    def count(self, most=30):
        """A number of elements, small or absurd; never such that very many are answered."""
        draw = self.chance()
        if draw < 0.93:
            return self.below(most)
        return self.choice([-1, -5, (1 << 63) - 1, 1 << 63, "x", "1.5", 1000])

    def member(self):
        """An element: of few, of some hundreds, or odd."""
        draw = self.chance()
        if draw < 0.6:
            return b"m%d" % self.below(24)
        if draw < 0.85:
            return b"m%d" % self.below(300)
        return self.value()

    def number_member(self):
        """An element of sets of integers, small or large."""
        draw = self.chance()
        if draw < 0.7:
            return self.between(-20, 60)
        if draw < 0.97:
            return self.between(-(1 << 40), 1 << 40) if draw > 0.9 else self.between(0, 500)
        return self.value()

    def score(self):
        """A multiple of a quarter, not 0: sums are exact in any order, and nothing becomes -0."""
        return (self.between(1, 200) * self.choice([1, 1, 1, -1])) / 4

    def odd_score(self):
        draw = self.chance()
        if draw < 0.4:
            return self.choice(
                ["inf", "-inf", "+inf", "1e300", "-1e300", "1e-300", "1e17", "4503599627370497.5", "0.1", "3.14159265",
                 "9007199254740993", "123456789012345680000", "1", "0"]
            )  # fmt: skip
        if draw < 0.5:
            return self.choice(["nan", "x", "", "0x1p3", "1,5"])
        return repr(self.random.uniform(-1e6, 1e6))

    def score_range(self):
        """Two bounds of a range by score."""

        def bound():
            draw = self.chance()
            if draw < 0.2:
                return self.choice(["-inf", "+inf", "inf", "(inf", "(-inf"])
            if draw < 0.97:
                return self.choice(["", "", "("]) + str(self.between(-60, 220) / 4)
            return self.choice(["x", "nan", "((1", "("])

        return [bound(), bound()]

    def lex_range(self):
        def bound():
            draw = self.chance()
            if draw < 0.25:
                return self.choice("-+")
            if draw < 0.97:
                return self.choice("[(") + self.choice(["", "a", "m", "m1", "m15", "m2", "m200", "m9", "z"])
            return self.choice(["m1", "", "-inf", "[", "+x"])

        return [bound(), bound()]

    # Times: all of them far from now, so that nothing expires meanwhile; or long past, which deletes at once.

    def seconds(self):
        draw = self.chance()
        if draw < 0.85:
            return self.between(10**6, 10**9)
        return self.choice([0, -1, -(10**9), (1 << 63) - 1, -(1 << 63), 1 << 63, (1 << 63) // 1000 + 1, "x", "", "1.5"])

    def milliseconds(self):
        draw = self.chance()
        if draw < 0.85:
            return self.between(10**10, 10**13)
        return self.choice([0, -1, -(10**12), (1 << 63) - 1, -(1 << 63), 1 << 63, "x", "", "1e12"])

    def at_milliseconds(self):
        draw = self.chance()
        if draw < 0.85:
            return FAR + self.below(10**12)
        return self.choice([0, -1, 1, 1000, (1 << 63) - 1, -(1 << 63), 1 << 63, "x"])

    def at_seconds(self):
        draw = self.chance()
        if draw < 0.85:
            return FAR // 1000 + self.below(10**9)
        return self.choice([0, -1, 1, 1000, (1 << 63) - 1, -(1 << 63), 1 << 63, "x"])

    # Damage.

    def spoil(self, args, freely):
        """The command with something wrong about it, perhaps. `freely`: numbers and order may change, not just arity."""
        args = list(args)
        if len(args) == 1:
            return args + ["x"]
        at = 1 + self.below(len(args))
        draw = self.chance()
        if draw < 0.25 and at < len(args):
            del args[at]
        elif draw < 0.4:
            args[0] = args[0].lower()
        elif draw < 0.5 or not freely:
            args.append(self.choice(["x", "", "LIMIT", "WITHSCORES", "GET"]))
        elif at >= len(args):
            args.append(self.choice(EDGES))
        elif draw < 0.8:
            args[at] = self.choice(EDGES)
        elif draw < 0.9:
            other = 1 + self.below(len(args) - 1)
            args[at], args[other] = args[other], args[at]
        else:
            args.insert(at, args[at])
        return args
