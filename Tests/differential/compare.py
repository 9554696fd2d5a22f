"""How two replies compare. Equal bytes are always right; these functions say what else is."""

import re

from resp import elements, header, parsed


def exact(args, ours, oracles):
    return ours == oracles


def unordered(args, ours, oracles):
    """The same elements, in any order."""
    if header(ours) != header(oracles) or elements(ours) is None:
        return False
    return sorted(elements(ours)) == sorted(elements(oracles))


def pairs(args, ours, oracles):
    """The same fields with the same values, in any order."""
    if header(ours) != header(oracles) or elements(ours) is None:
        return False
    a, b = elements(ours), elements(oracles)
    return len(a) % 2 == 0 and sorted(zip(a[::2], a[1::2])) == sorted(zip(b[::2], b[1::2]))


def shape(args, ours, oracles):
    """The same kind of reply with as many elements: what is chosen at random."""
    if ours[:1] != oracles[:1] or ours[:1] == b"-":
        return False
    if ours[:1] == b"$":
        return (ours[:3] == b"$-1") == (oracles[:3] == b"$-1")
    return header(ours) == header(oracles)


def near(args, ours, oracles):
    """Times that were given relative to now."""
    return ours[:1] == oracles[:1] == b":" and abs(int(ours[1:]) - int(oracles[1:])) < 30_000


def distances(args, ours, oracles):
    """GEOSEARCH with COUNT and WITHDIST: which of several at the same distance come is the server's choice."""
    pattern = re.compile(rb"\r\n(\d+\.\d{4})\r\n")
    return header(ours) == header(oracles) and sorted(pattern.findall(ours)) == sorted(pattern.findall(oracles))


def encoding(args, ours, oracles):
    """Redis 7.2 has listpacks for small sets, and for lists of one chunk; the oracle has not."""
    return b"listpack" in ours and (b"quicklist" in oracles or b"hashtable" in oracles)


def unsorted(args, ours, oracles):
    """SORT BY nosort: sets have no order, and with LIMIT no saying what comes."""
    if any(str(word).upper() == "LIMIT" for word in args):
        return shape(args, ours, oracles)
    return unordered(args, ours, oracles)


def loose(args, ours, oracles):
    """Encodings after a restart, when small values are small again. And how often a value is referred to."""
    return ours[:1] == oracles[:1] and ours[:1] in b"$:"


def pending(args, ours, oracles):
    """XPENDING's extended form, without how long ago it was."""

    def still(reply):
        return [[e[0], e[1], e[3]] if isinstance(e, list) and len(e) == 4 else e for e in parsed(reply)]

    return header(ours) == header(oracles) and ours[:1] == b"*" and still(ours) == still(oracles)


# Fields whose values are times, and fields that only Redis 7.2 has.
TIMES = (b"$9\r\nseen-time\r\n", b"$4\r\nidle\r\n")
NEWER = (b"$11\r\nactive-time\r\n", b"$8\r\ninactive\r\n")


def without_times(value):
    """A parsed reply of XINFO without what depends on the time or on the version."""
    if not isinstance(value, list):
        return value
    if len(value) == 4 and isinstance(value[2], bytes) and re.fullmatch(rb":\d{12,}\r\n", value[2]):
        return [value[0], value[1], value[3]]  # An entry of a group's pending ones, when delivered.
    if len(value) == 3 and isinstance(value[1], bytes) and re.fullmatch(rb":\d{12,}\r\n", value[1]):
        return [value[0], value[2]]  # The same of a consumer.
    out = []
    at = 0
    while at < len(value):
        if value[at] in NEWER:
            at += 2
            continue
        out.append(without_times(value[at]))
        if value[at] in TIMES:
            at += 1
        at += 1
    return out


def info(args, ours, oracles):
    return (
        ours[:1] == oracles[:1] and ours[:1] in b"*%" and without_times(parsed(ours)) == without_times(parsed(oracles))
    )


class Exec:
    """A transaction's replies, each compared as its command says. `units`: pairs of command and function."""

    def __init__(self, units):
        self.units = units

    def __call__(self, args, ours, oracles):
        if header(ours) != header(oracles) or ours[:1] != b"*":
            return False
        a, b = elements(ours), elements(oracles)
        if a is None or len(a) != len(self.units):
            return False
        from differences import known

        return all(
            x == y or how(command, x, y) or known(command, x, y) for (command, how), x, y in zip(self.units, a, b)
        )
