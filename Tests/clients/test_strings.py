"""Strings, counters and bits, compared with the oracle."""

import time

import pytest

from resp import bulk, integer
from seed import seeded

BIG = 9223372036854775807


def test_set_and_get(protocols):
    protocols.each(
        """
        GET missing
        SET k v
        GET k
        SET k 12
        GET k
        STRLEN k
        SET k -0
        GET k
        SET k 9223372036854775808
        GET k
        GETSET k next
        GETSET fresh first
        GETDEL fresh
        GETDEL fresh
        SETNX k no
        SETNX other yes
        MGET k missing other
        SET k
        GET
        GET a b
        """
    )
    protocols("SET", b"\x00\xff binary \r\n", b"\r\n\x00")
    protocols("GET", b"\x00\xff binary \r\n")
    protocols("SET", "", "")
    protocols("GET", "")
    protocols("SET", "large", b"x" * 3_000_000)
    protocols("GET", "large")


def test_set_options(protocols):
    protocols.each(
        """
        SET k v XX
        SET k v NX
        SET k w NX
        SET k w XX
        SET k x GET
        SET new x GET
        SET k x nx get
        SET other y NX GET
        SET none y XX GET
        GET none
        SET k v NX XX
        SET k v NX NX
        SET k v foo
        SET k v EX
        SET k v EX a
        SET k v EX 0
        SET k v PX -1
        SET k v EXAT 0
        SET k v PXAT 0
        SET k v EX 9223372036854775807
        SET k v PX 9223372036854775807
        SET k v EXAT 9223372036854775807
        SET k v EX 10 PX 10
        SET k v EX 10 EX 20
        SET k v EX 10 KEEPTTL
        SET k v KEEPTTL EX 10
        SET k v PERSIST
        SET k v PXAT 1
        GET k
        SET k v PXAT 4000000000000
        PEXPIRETIME k
        SET k w KEEPTTL
        PEXPIRETIME k
        SET k w
        PEXPIRETIME k
        SET k v EXAT 4000000000
        EXPIRETIME k
        SET k v EXAT 4000000000 GET XX
        """
    )
    protocols.near("PTTL", "k", slack=200)
    protocols("RPUSH", "list", "a")
    protocols("SET", "list", "v", "GET")
    protocols("SET", "list", "v", "NX", "GET")
    protocols("SET", "list", "v")
    protocols("GET", "list")


def test_setex_and_getex(both):
    both.each(
        """
        SETEX k 100 v
        PSETEX p 100000 v
        SETEX k a v
        SETEX k 0 v
        PSETEX k -1 v
        SETEX k 9223372036854775807 v
        GETEX k
        """
    )
    both.near("PTTL", "k", slack=200)
    both.near("PTTL", "p", slack=200)
    both.each(
        """
        GETEX k PERSIST
        TTL k
        GETEX k PXAT 4000000000000
        PEXPIRETIME k
        GETEX k EXAT 4000000000
        PEXPIRETIME k
        GETEX k KEEPTTL
        GETEX k NX
        GETEX k GET
        GETEX k EX
        GETEX k EX 0
        GETEX k EX a
        GETEX k PERSIST EX 10
        GETEX k EX 10 PERSIST
        GETEX k PERSIST PERSIST
        GETEX missing EX 0
        GETEX missing foo
        SET k v
        GETEX k PXAT 1
        EXISTS k
        """
    )
    both("RPUSH", "list", "a")
    for command in ("GETEX list", "GETDEL list", "GETSET list x", "APPEND list x", "STRLEN list", "INCR list"):
        both(*command.split())


def test_expiry_passes(both):
    both("SET", "k", "v", "PX", 30)
    both("SETEX", "stays", 100, "v")
    time.sleep(0.06)
    both.each("GET k\nEXISTS k\nSETNX k w\nGET k\nDEL k\nEXISTS stays")


def test_ranges(both):
    both("SET", "k", "Hello World")
    both("SET", "n", "1234")
    edges = (0, 1, -1, 3, -4, 11, 10, -11, -12, 5000, -5000, 1 << 32, BIG, -BIG - 1)
    for key in ("k", "n", "missing"):
        for start in edges:
            for end in edges:
                both("GETRANGE", key, start, end)
                both("SUBSTR", key, start, end)
    both.each(
        """
        GETRANGE k a 1
        SETRANGE k 6 Redis
        GET k
        SETRANGE k 20 far
        GET k
        SETRANGE n 0 2
        GET n
        OBJECT ENCODING n
        SETRANGE n 6 x
        GET n
        SETRANGE fresh 3 abc
        GET fresh
        SETRANGE k -1 x
        SETRANGE k a x
        SETRANGE k 536870908 world
        SETRANGE missing 9223372036854775807 A
        EXISTS missing
        """
    )
    both("SETRANGE", "missing", 5, "")
    both("EXISTS", "missing")
    both("SETRANGE", "k", 1 << 40, "")


def test_append_grows(both):
    for i in range(2000):
        both("APPEND", "k", "x" * (i % 37))
    both("GET", "k")
    both.each("SET n 1\nAPPEND n 2\nOBJECT ENCODING n\nINCR n\nOBJECT ENCODING n\nAPPEND f 5\nOBJECT ENCODING f")
    both("APPEND", "e", "")
    both("EXISTS", "e")


def test_several(both):
    both.each(
        """
        MSET a 1 b 2 c
        MSET a
        MSET a 1 b 2 a 3
        MGET a b c
        MSETNX c 1 a 2
        EXISTS c
        MSETNX c 1 c 2
        MGET c
        MSETNX x
        RPUSH list a
        MGET a list b
        """
    )


def test_counters(protocols):
    protocols.each(
        f"""
        INCR n
        INCR n
        DECR n
        DECR m
        INCRBY n 10
        INCRBY n -3
        DECRBY n 4
        DECRBY n -4
        INCRBY n a
        INCRBY n 1.5
        DECRBY n -9223372036854775808
        SET n {BIG}
        INCR n
        DECRBY n -1
        GET n
        SET n -{BIG}
        DECR n
        DECR n
        GET n
        SET n abc
        INCR n
        SET n 01
        INCR n
        SET n 1 PXAT 4000000000000
        INCR n
        PEXPIRETIME n
        OBJECT ENCODING n
        """
    )
    for spaced in (" 11", "11 ", " 11 ", ""):
        protocols("SET", "n", spaced)
        protocols("INCR", "n")
        protocols("INCRBYFLOAT", "n", 1)


def test_floats(protocols):
    protocols.each(
        """
        INCRBYFLOAT n 1
        INCRBYFLOAT n 0.25
        GET n
        INCRBYFLOAT n -1.1
        INCRBYFLOAT n 1e-17
        INCRBYFLOAT n 1e-19
        INCRBYFLOAT n 3.14159265358979
        INCRBYFLOAT n 0x10
        INCRBYFLOAT n abc
        INCRBYFLOAT n nan
        INCRBYFLOAT n inf
        INCRBYFLOAT n -inf
        INCRBYFLOAT n +inf
        INCRBYFLOAT n 1e400
        INCRBYFLOAT n 1e5000
        SET n 1e-5000
        INCRBYFLOAT n 1
        SET n 17179869184
        INCRBYFLOAT n 1.5
        SET n 9223372036854775807
        INCRBYFLOAT n 1
        SET n 5.0e3
        INCRBYFLOAT n 2.0e2
        SET n 1 PXAT 4000000000000
        INCRBYFLOAT n 0.5
        PEXPIRETIME n
        RPUSH list a
        INCRBYFLOAT list abc
        """
    )
    protocols("INCRBYFLOAT", "z", str(1 / 41))
    protocols("INCRBYFLOAT", "z", str(-1 / 41))
    protocols("SET", "n", b"1\x002")
    protocols("INCRBYFLOAT", "n", 1)
    numbers = seeded(1)
    for _ in range(300):
        protocols("INCRBYFLOAT", "sum", repr(numbers.uniform(-1, 1) * 10 ** numbers.randint(-12, 12)))


def test_lcs(protocols):
    protocols.each(
        """
        LCS a b
        LCS a b IDX
        LCS a b LEN
        MSET a ohmytext b mynewtext n 123123
        LCS a b
        LCS a b LEN
        LCS a b IDX
        LCS a b IDX WITHMATCHLEN
        LCS a b IDX MINMATCHLEN 4
        LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN
        LCS a b IDX MINMATCHLEN -4
        LCS a b LEN IDX
        LCS a b MINMATCHLEN
        LCS a b MINMATCHLEN x
        LCS a b FOO
        LCS a b WITHMATCHLEN
        LCS a missing IDX
        LCS n n
        RPUSH list a
        LCS list a
        LCS a list FOO
        """
    )
    letters = seeded(2)
    for _ in range(60):
        for key in ("a", "b"):
            protocols("SET", key, "".join(letters.choices("ACGT", k=letters.randrange(80))))
        protocols("LCS", "a", "b", "IDX", "WITHMATCHLEN")
        protocols("LCS", "a", "b")


def test_bits(both):
    both.each(
        """
        SETBIT k 1 1
        GET k
        SETBIT k 1 1
        SETBIT k 1 0
        SETBIT k 20 0
        STRLEN k
        GETBIT k 1
        GETBIT k 1000000
        GETBIT missing 0
        SET n 1
        SETBIT n 6 1
        SETBIT n 2 0
        GETBIT n 0
        GET n
        SETBIT k 4294967296 0
        SETBIT k -1 0
        SETBIT k a 0
        SETBIT k 0 2
        SETBIT k 0 -1
        GETBIT k a
        GETBIT k 4294967296
        BITCOUNT k 0
        BITCOUNT k 0 1 FOO
        BITCOUNT k 0 1 BIT FOO
        BITCOUNT k a b
        BITCOUNT missing
        BITPOS k 2
        BITPOS k a
        BITPOS missing 0
        BITPOS missing 1
        BITPOS missing 1 0 1
        BITPOS k 1 a
        BITPOS k 1 0 1 FOO
        BITPOS k 1 0 x FOO
        BITPOS k 1 x 0 FOO
        BITPOS k 1 0 x BIT
        BITPOS k 1 -1 -5 FOO
        BITCOUNT k 0 x FOO
        BITCOUNT k -1 -5 FOO
        BITCOUNT k -1 -5
        BITCOUNT missing 0 x FOO
        RPUSH list a
        SETBIT list 0 1
        GETBIT list 0
        BITCOUNT list
        BITPOS list 1
        """
    )


def test_bits_at_random(both):
    numbers = seeded(3)
    for size in (0, 1, 7, 8, 9, 16, 17, 40):
        for fill in ("random", b"\x00", b"\xff"):
            value = numbers.randbytes(size) if fill == "random" else fill * size
            both("SET", "k", value)
            both("BITCOUNT", "k")
            both("BITPOS", "k", 0)
            both("BITPOS", "k", 1)
            for _ in range(40):
                unit = numbers.choice(("BYTE", "BIT"))
                edge = size * (8 if unit == "BIT" else 1) + 3
                start, end = numbers.randint(-edge, edge), numbers.randint(-edge, edge)
                both("BITCOUNT", "k", start, end, unit)
                for bit in (0, 1):
                    both("BITPOS", "k", bit, start)
                    both("BITPOS", "k", bit, start, end, unit)
    for _ in range(500):
        both("SETBIT", "b", numbers.randrange(3000), numbers.randrange(2))
    both("GET", "b")


@pytest.mark.parametrize("limit", [1 << 20])
def test_long_strings_are_refused(both, limit):
    both("CONFIG", "SET", "proto-max-bulk-len", limit)
    try:
        both("SETRANGE", "k", limit - 1, "a")
        both("APPEND", "k", "b")
        both("SETRANGE", "k", limit, "b")
        both("SETBIT", "k", limit * 8, 1)
        assert integer(both("STRLEN", "k")) == limit
    finally:
        both("CONFIG", "SET", "proto-max-bulk-len", 512 << 20)


def test_integers_keep_their_form(both):
    for text in ("0", "-1", "10000", str(BIG), str(-BIG - 1), "00", "+1", "-0", "1e3", "", "1" * 30):
        both("SET", "k", text)
        assert bulk(both("GET", "k")) == text.encode()
        both("OBJECT", "ENCODING", "k")
        both("STRLEN", "k")
    for length in (1, 44, 45, 64, 1000, 100_000):
        both("SET", "k", "a" * length)
        both("OBJECT", "ENCODING", "k")


def test_msetnx_looks_at_every_key(both):
    for existing in ("a", "b", "c"):
        both("FLUSHALL")
        both("SET", existing, "old")
        both("MSETNX", "a", 1, "b", 2, "c", 3)
        both("MGET", "a", "b", "c")
