"""HyperLogLogs: the strings must be redis-server's, byte for byte."""

import pytest

from resp import bulk, integer
from script import run
from seed import seeded


@pytest.fixture
def limited(both):
    """Sets hll-sparse-max-bytes."""

    def limit(size):
        both("CONFIG", "SET", "hll-sparse-max-bytes", size)

    yield limit
    limit(3000)


def same(both, key):
    both("GET", key)
    both("PFCOUNT", key)
    both("GET", key)


def test_commands(protocols):
    run(
        protocols,
        """
        PFADD h
        GET h
        PFADD h
        PFCOUNT h
        GET h
        PFADD h a b c
        PFADD h a b c
        GET h
        PFCOUNT h
        PFCOUNT h
        GET h
        PFADD h ""
        PFADD g 12345678 1234567 123456789012345
        PFCOUNT h g
        PFCOUNT h none
        PFCOUNT none
        PFCOUNT none none2
        PFMERGE d h g none
        GET d
        PFCOUNT d
        PFMERGE d
        GET d
        PFMERGE new
        GET new
        PFMERGE new2 none
        GET new2
        TYPE h
        OBJECT ENCODING h
        PFDEBUG ENCODING h
        PFDEBUG DECODE h
        PFDEBUG TODENSE h
        PFDEBUG TODENSE h
        PFDEBUG ENCODING h
        PFDEBUG DECODE h
        GET h
        PFDEBUG GETREG g
        PFDEBUG ENCODING g
        PFCOUNT g
        PFADD h a
        PFADD h x y z
        GET h
        EXPIRE d 1000
        PFADD d q r s
        PERSIST d
        PFSELFTEST
    """,
    )


def test_errors(both):
    run(
        both,
        """
        SET s x
        SET long 0123456789abcdefghijkl
        SET n 12
        RPUSH list a
        PFADD s a
        PFADD long a
        PFADD n a
        PFADD list a
        PFCOUNT s
        PFCOUNT list
        PFCOUNT s list
        PFCOUNT none s
        PFMERGE d s
        PFMERGE s
        PFMERGE d list
        PFDEBUG ENCODING s
        PFDEBUG ENCODING none
        PFDEBUG ENCODING list
        PFADD h a
        PFDEBUG FOO h
        PFDEBUG ENCODING
        PFDEBUG ENCODING h x
        PFADD
        PFCOUNT
        PFMERGE
        EXISTS d
    """,
    )


def test_corrupt_strings(both):
    run(both, "PFADD h a b c")
    intact = bulk(both("GET", "h"))
    card = b"\x00" * 7 + b"\x80"
    header = b"HYLL\x01\x00\x00\x00" + card
    broken = [
        intact + b"hello",
        intact[:-1],
        intact[:-2],
        intact[:16],
        b"HYLX" + intact[4:],
        intact[:4] + b"\x02" + intact[5:],
        b"HYLL\x00" + intact[5:],
        intact[:15],
        b"HYLL",
        header + b"\x7f\xff\x00",
        header + b"\x7f\xff\x80",
        header + b"\x80" * 5000,
        header + b"\x00",
        header + b"\x40",
        header + b"\xff" * 20,
        header + b"\x7f\xff\x7f\xff",
    ]
    for value in broken:
        for command in (
            ["PFADD", "x", "foo"],
            ["PFCOUNT", "x"],
            ["PFCOUNT", "x", "h"],
            ["PFMERGE", "d", "x"],
            ["PFMERGE", "d", "x", "h"],
            ["PFDEBUG", "GETREG", "x"],
            ["PFDEBUG", "TODENSE", "x"],
            ["PFDEBUG", "ENCODING", "x"],
        ):
            both("SET", "x", value)
            both("DEL", "d")
            both(*command)


def test_half_an_opcode_is_corrupt(swiftlet):
    """Where Redis takes the byte behind the string for the second half."""
    value = b"HYLL\x01" + b"\x00" * 10 + b"\x80\x7f"
    swiftlet.call("SET", "x", value)
    for command in (["PFADD", "x", "foo"], ["PFCOUNT", "x"], ["PFMERGE", "d", "x"]):
        assert swiftlet.call(*command).startswith(b"-INVALIDOBJ")
    assert bulk(swiftlet.call("GET", "x")) == value


def test_adds_at_random(both):
    numbers = seeded()
    for _ in range(6):
        both("DEL", "h")
        for _ in range(300):
            items = [numbers.randbytes(numbers.randrange(20)) for _ in range(numbers.choice((1, 1, 2, 5)))]
            both("PFADD", "h", *items)
            both("GET", "h")
        both("PFDEBUG", "DECODE", "h")
        same(both, "h")


def test_promotion(both, limited):
    numbers = seeded()
    for limit in (3000, 100, 20, 0, 16000, 12304, 50000):
        limited(limit)
        both("DEL", "h")
        for _ in range(60):
            both("PFADD", "h", *(str(numbers.randrange(1 << 60)) for _ in range(numbers.choice((1, 50, 200)))))
            same(both, "h")
        both("PFDEBUG", "ENCODING", "h")


def test_large_values_make_it_dense(both):
    """Elements whose hashes have 32 zeros and more cannot be found by trying; registers can be merged from dense."""
    size = 12304
    for value in (32, 33, 51, 63):
        dense = bytearray(b"HYLL" + b"\x00" * (size - 5) + b"\x00")
        dense[15] = 0x80
        dense[16] = value
        both("SET", "x", bytes(dense))
        same(both, "x")
        both("PFADD", "h", "a")
        both("PFMERGE", "h", "x")
        same(both, "h")
        both("PFDEBUG", "GETREG", "h")


def test_counts_and_merges_at_random(both, limited):
    numbers = seeded()
    for limit in (3000, 1000):
        limited(limit)
        for size in (1, 10, 100, 1000, 5000, 30000):
            both("DEL", "a", "b", "d")
            for key in ("a", "b"):
                items = [str(numbers.randrange(size * 2)) for _ in range(size)]
                for i in range(0, size, 1000):
                    both("PFADD", key, *items[i : i + 1000])
                same(both, key)
            both("PFCOUNT", "a", "b")
            both("PFMERGE", "d", "a", "b")
            same(both, "d")
            both("PFMERGE", "a", "b")
            same(both, "a")
            both("PFDEBUG", "ENCODING", "d")


def test_the_estimate_is_near(swiftlet):
    for i in range(0, 100_000, 1000):
        swiftlet.call("PFADD", "h", *(f"ele:{i + j}" for j in range(1000)))
    assert abs(integer(swiftlet.call("PFCOUNT", "h")) - 100_000) < 3000
