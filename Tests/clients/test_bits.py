"""BITFIELD, BITOP, and counting in long strings, compared with redis-server."""

import pytest

from resp import bulk
from script import run
from seed import seeded

OVERFLOWS = ["WRAP", "SAT", "FAIL"]


def test_bitfield(protocols):
    run(
        protocols,
        """
        BITFIELD k SET i8 0 -100 SET i8 8 101 GET i8 0 GET u8 0
        GET k
        BITFIELD k SET u8 #0 255 SET u8 #1 100 SET u8 #2 1 GET u4 #3 GET i5 3
        BITFIELD k INCRBY u2 100 1 OVERFLOW SAT INCRBY u2 102 1
        BITFIELD k INCRBY u2 100 1 OVERFLOW SAT INCRBY u2 102 1
        BITFIELD k INCRBY u2 100 1 OVERFLOW SAT INCRBY u2 102 1
        BITFIELD k INCRBY u2 100 1 OVERFLOW SAT INCRBY u2 102 1
        BITFIELD k OVERFLOW FAIL INCRBY u2 102 1
        BITFIELD k OVERFLOW FAIL SET u2 102 5 GET u2 102
        BITFIELD k SET i64 64 9223372036854775807 INCRBY i64 64 1
        BITFIELD k SET u63 64 9223372036854775807 INCRBY u63 64 1
        BITFIELD k SET u8 0 -1 OVERFLOW SAT SET u8 0 -1 SET i8 0 -1000 SET i8 0 1000
        BITFIELD k GET u8 1000000
        BITFIELD_RO k GET u8 0 GET i64 3
        BITFIELD_RO missing GET u8 0
        BITFIELD missing GET u8 0
        BITFIELD missing
        BITFIELD k
        BITFIELD_RO k
        EXISTS missing
        STRLEN k
        SET n 12345
        BITFIELD n GET u16 4
        BITFIELD n INCRBY u8 0 1
        GET n
        BITFIELD new OVERFLOW FAIL INCRBY u1 1000 5
        STRLEN new
        BITFIELD new2 SET u8 80 0
        STRLEN new2
        EXPIRE n 1000
        BITFIELD n SET u8 0 65
        PERSIST n
    """,
    )


def test_bitfield_errors(both):
    run(
        both,
        """
        RPUSH list a
        BITFIELD list GET u8 0
        BITFIELD_RO list GET u8 0
        BITFIELD list SET u8 0 1
        BITFIELD k GET u64 0
        BITFIELD k GET u0 0
        BITFIELD k GET i65 0
        BITFIELD k GET u 0
        BITFIELD k GET 8 0
        BITFIELD k GET a8 0
        BITFIELD k GET u8 -1
        BITFIELD k GET u8 a
        BITFIELD k GET u8 #a
        BITFIELD k GET u8 #
        BITFIELD k GET u8 #-1
        BITFIELD k GET u8 #9223372036854775807
        BITFIELD k GET u8 4294967296
        BITFIELD k GET u8 4294967295
        BITFIELD k GET u8 #536870911
        BITFIELD k GET u8 #536870912
        BITFIELD k SET u8 0 a
        BITFIELD k SET u8 0
        BITFIELD k GET u8
        BITFIELD k INCRBY u8 0
        BITFIELD k OVERFLOW
        BITFIELD k OVERFLOW none GET u8 0
        BITFIELD k FOO u8 0
        BITFIELD_RO k SET u8 0 1
        BITFIELD_RO k SET u8 0 a
        BITFIELD_RO k INCRBY u8 0 1
        BITFIELD_RO k GET u8 0 SET u8 0 1
        BITFIELD_RO k SET u8 0 1 FOO
        BITFIELD_RO k OVERFLOW SAT GET u8 0
        BITFIELD
        EXISTS k
    """,
    )


def random_field(numbers):
    signed = numbers.random() < 0.5
    width = numbers.randint(1, 64 if signed else 63)
    at = numbers.randrange(600)
    return f"{'i' if signed else 'u'}{width}", numbers.choice((str(at), f"#{at % 20}"))


def test_bitfield_saturates_as_the_oracle_far_below_the_range(both):
    low, half = -(1 << 63), -(1 << 62)
    for kind in ("i1", "i8", "i61", "i63", "i64"):
        for number in (low, low + 126, low + 127, half, half - 2, half - 1, -low - 1):
            for action in ("SET", "INCRBY"):
                both("BITFIELD", "k", "OVERFLOW", "SAT", action, kind, 3, number)
                both("GET", "k")


def test_bitfield_at_random(both):
    numbers = seeded()
    for _ in range(1500):
        words = ["BITFIELD", f"k{numbers.randrange(3)}"]
        for _ in range(numbers.randint(1, 5)):
            if numbers.random() < 0.3:
                words += ["OVERFLOW", numbers.choice(OVERFLOWS)]
            field = random_field(numbers)
            size = numbers.choice((4, 8, 31, 62, 63))
            value = numbers.randint(-(1 << size), (1 << size) - 1)
            action = numbers.choice(("GET", "SET", "INCRBY", "INCRBY"))
            words += [action, *field] + ([value] if action != "GET" else [])
        both(*words)
        both("GET", words[1])
        both("BITFIELD_RO", words[1], "GET", *random_field(numbers))


def test_bitop(both):
    run(
        both,
        """
        SET a abcdefgh
        SET b ab
        SET n 12345
        SET m -1
        BITOP AND d a b
        GET d
        BITOP OR d a b n m
        GET d
        BITOP XOR d a b n m
        GET d
        BITOP NOT d n
        GET d
        BITOP and d a none
        GET d
        BITOP OR d n
        GET d
        OBJECT ENCODING d
        BITOP XOR a a b
        GET a
        SET d x EX 100
        BITOP OR d a
        TTL d
        BITOP OR d none none2
        EXISTS d
        BITOP OR d none
        BITOP NOT d none
        BITOP NOT d a b
        BITOP FOO d a
        BITOP AND d
        RPUSH list a
        BITOP AND d a list
        BITOP NOT d list
        BITOP OR list a
        GET list
    """,
    )


def test_bitop_at_random(both):
    numbers = seeded()
    for _ in range(150):
        count = numbers.randint(1, 6)
        for i in range(count):
            size = numbers.choice((0, 1, 7, 8, 31, 32, 33, 100, 8191, 8192, 8193, 20000))
            both("SET", f"k{i}", numbers.randbytes(size))
        keys = [f"k{numbers.randrange(count + 1)}" for _ in range(count)]
        for operation in ("AND", "OR", "XOR"):
            target = numbers.choice(("d", keys[0]))
            both("BITOP", operation, target, *keys)
            both("GET", target)
        both("BITOP", "NOT", "d", keys[0])
        both("GET", "d")


def test_long_strings_are_counted(both):
    numbers = seeded()
    for size in (255, 256, 257, 300, 511, 512, 513, 1000, 70_000):
        for value in (numbers.randbytes(size), b"\xff" * size, b"\x00" * size):
            both("SET", "k", value)
            both("BITCOUNT", "k")
            both("BITPOS", "k", 0)
            both("BITPOS", "k", 1)
            for _ in range(20):
                unit = numbers.choice(("BYTE", "BIT"))
                edge = size * (8 if unit == "BIT" else 1)
                both("BITCOUNT", "k", numbers.randint(0, edge), numbers.randint(0, edge), unit)
    both("SETBIT", "far", 20_000_003, 1)
    both("BITPOS", "far", 1)
    both("BITCOUNT", "far")


def test_changes_survive_a_reload(both):
    both("SET", "k", "a" * 5000)
    both("BITFIELD", "k", "SET", "u32", 100, 12345)
    both("BITFIELD", "new", "INCRBY", "i17", 33, -5)
    both("BITOP", "NOT", "n", "k")
    for connection in (both.swiftlet, both.oracle):
        connection.call("DEBUG", "RELOAD")
    for key in ("k", "new", "n"):
        assert bulk(both("GET", key))


@pytest.mark.parametrize("command", ["BITFIELD", "BITFIELD_RO", "BITOP"])
def test_described_alike(both, command):
    both("COMMAND", "GETKEYS", command, *(["AND", "d", "a", "b"] if command == "BITOP" else ["k", "GET", "u8", "0"]))
