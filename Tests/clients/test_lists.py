"""Lists, compared with the oracle."""

import pytest

from seed import seeded

LARGE = "x" * 9000


def test_ends(protocols):
    protocols.each(
        """
        LPUSH l a b c
        RPUSH l 1 2 3
        LRANGE l 0 -1
        LLEN l
        LLEN missing
        LPUSHX missing a
        RPUSHX missing a
        LPUSHX l x y
        RPUSHX l z
        LPOP l
        RPOP l
        LPOP l 2
        RPOP l 2
        LPOP l 0
        LPOP missing
        LPOP missing 0
        LPOP missing 2
        RPOP missing 2
        LPOP l -1
        LPOP l a
        LPOP l 1 1
        LPOP l 9223372036854775807
        EXISTS l
        LPUSH l
        """
    )


def test_wrong_type(protocols):
    protocols("SET", "s", "v")
    protocols("RPUSH", "l", "a")
    protocols.each(
        """
        LPUSH s a
        RPUSH s a
        LPUSHX s a
        LPOP s
        LPOP s 1
        LPOP s -1
        LLEN s
        LRANGE s 0 1
        LINDEX s 0
        LINDEX s x
        LSET s 0 a
        LINSERT s BEFORE a b
        LINSERT s foo a b
        LREM s 0 a
        LREM s x a
        LTRIM s 0 1
        LPOS s a
        RPOPLPUSH s l
        RPOPLPUSH l s
        RPOPLPUSH missing s
        LMOVE l s LEFT RIGHT
        LMPOP 1 s LEFT
        LMPOP 2 missing s LEFT
        BLPOP s 0
        BRPOP s 0
        BLMPOP 0 1 s LEFT
        BLMOVE l s LEFT LEFT 0
        BRPOPLPUSH s l 0
        GET l
        LRANGE l 0 -1
        """
    )


@pytest.mark.parametrize("extra", [[], [LARGE]], ids=["small", "large"])
def test_middle(both, extra):
    both("RPUSH", "l", *"a b c a b c 12 -5".split(), *extra)
    for index in (0, 1, -1, 5, -6, 8, 9, -9, -10, 100, "x"):
        both("LINDEX", "l", index)
        both("LSET", "l", index, f"set{index}")
    edges = (0, 1, -1, 3, -4, 9, 10, -9, -10, 5000, -5000, 1 << 40, -(1 << 63), (1 << 63) - 1)
    for start in edges:
        for end in edges:
            both("LRANGE", "l", start, end)
    for start in edges:
        for end in edges:
            both("DEL", "t")
            both("RPUSH", "t", *"abcdefghi", *extra)
            both("LTRIM", "t", start, end)
            both("LRANGE", "t", 0, -1)
            both("EXISTS", "t")
    both.each(
        """
        LINSERT l BEFORE b new
        LINSERT l after b newer
        LINSERT l AFTER missing x
        LINSERT missing BEFORE a b
        LINSERT l foo a b
        LRANGE l 0 -1
        RPUSH r a b a c a b a
        LREM r 2 a
        LREM r -1 a
        LREM r 0 b
        LREM r 5 missing
        LREM missing 0 a
        LREM r -9223372036854775808 c
        LRANGE r 0 -1
        LREM r 0 a
        EXISTS r
        LSET missing 0 a
        LSET missing x a
        LTRIM missing 0 1
        LRANGE missing 0 -1
        LRANGE missing x 1
        LTRIM l x 1
        """
    )


def test_positions(protocols):
    protocols("RPUSH", "l", *"a b c 1 2 3 c c a 1".split())
    protocols.each(
        """
        LPOS l a
        LPOS l 1
        LPOS l c RANK 2
        LPOS l c RANK -1
        LPOS l c RANK -2 COUNT 0
        LPOS l c RANK 4
        LPOS l c COUNT 0
        LPOS l c COUNT 2
        LPOS l c COUNT 2 RANK 2
        LPOS l c COUNT 0 MAXLEN 3
        LPOS l c COUNT 0 MAXLEN 2
        LPOS l c RANK -1 COUNT 0 MAXLEN 3
        LPOS l missing
        LPOS l missing COUNT 0
        LPOS none a
        LPOS none a COUNT 1
        LPOS l a RANK 0
        LPOS l a RANK x
        LPOS l a COUNT -1
        LPOS l a COUNT x
        LPOS l a MAXLEN -1
        LPOS l a FOO 1
        LPOS l a RANK
        LPOS none a RANK 0
        LPOS l a RANK 9223372036854775807
        LPOS l a RANK -9223372036854775807
        """
    )
    protocols.alike(
        b"-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807\r\n",
        "LPOS",
        "l",
        "a",
        "RANK",
        -(1 << 63),
    )


def test_moves(protocols):
    protocols("RPUSH", "l", "a", "b", "c", LARGE)
    protocols.each(
        """
        RPOPLPUSH l m
        RPOPLPUSH l m
        RPOPLPUSH m m
        LMOVE l m LEFT RIGHT
        LMOVE l m right left
        LMOVE l m LEFT LEFT
        EXISTS l
        LMOVE m m LEFT RIGHT
        LMOVE m m RIGHT RIGHT
        LRANGE m 0 -1
        LMOVE m l foo LEFT
        LMOVE m l LEFT foo
        RPUSH one x
        LMOVE one one LEFT RIGHT
        LRANGE one 0 -1
        """
    )


def test_pop_from_the_first(protocols):
    protocols("RPUSH", "l", "a", "b", "c", "d")
    protocols("RPUSH", "m", 1, 2, 3)
    protocols.each(
        """
        LMPOP 1 l LEFT
        LMPOP 2 missing l RIGHT COUNT 2
        LMPOP 2 l m LEFT COUNT 10
        LMPOP 2 l m LEFT COUNT 2
        LMPOP 1 l LEFT
        LMPOP 0 l LEFT
        LMPOP a l LEFT
        LMPOP -1 l LEFT
        LMPOP 2 l LEFT
        LMPOP 9999999999 l LEFT
        LMPOP 1 l foo
        LMPOP 1 l LEFT foo
        LMPOP 1 l LEFT COUNT
        LMPOP 1 l LEFT COUNT 0
        LMPOP 1 l LEFT COUNT -1
        LMPOP 1 l LEFT COUNT a
        LMPOP 1 l LEFT COUNT 1 COUNT 1
        LMPOP 1 l
        """
    )


def test_waiting_names_with_data_at_hand(protocols):
    protocols("RPUSH", "l", *range(12))
    protocols.each(
        """
        BLPOP l 0
        BRPOP missing l 1.5
        BLMOVE l m LEFT RIGHT 0
        BRPOPLPUSH l m 0
        BLMPOP 0 2 missing l RIGHT COUNT 3
        BLPOP l x
        BLPOP l -1
        BLMPOP x 1 l LEFT
        BLMPOP 1 0 l LEFT
        BLMOVE l m foo LEFT 0
        BLMOVE l m LEFT LEFT x
        BRPOPLPUSH l m x
        LRANGE l 0 -1
        LRANGE m 0 -1
        """
    )
    protocols.alike(b"-ERR timeout is out of range\r\n", "BLPOP", "l", "0x7FFFFFFFFFFFFF")


def test_waiting_names_in_a_transaction(protocols):
    protocols.each(
        """
        RPUSH l a
        MULTI
        BLPOP l 0
        BLPOP l 0
        BRPOPLPUSH l m 0
        BLMOVE l m LEFT LEFT 0
        BLMPOP 0 1 l LEFT
        EXEC
        """
    )


def test_at_random(both):
    """Long runs of everything, with elements of all sizes."""
    numbers = seeded(6)

    def element():
        kind = numbers.random()
        if kind < 0.4:
            return str(numbers.randrange(-200, 100_000))
        if kind < 0.97:
            return "e" * numbers.randrange(100) + str(numbers.randrange(10))
        return "L" * numbers.randrange(8000, 20000)

    def index():
        return numbers.randint(-300, 300)

    for step in range(4000):
        key, other = numbers.choice("lm"), numbers.choice("lm")
        ends = [numbers.choice(("LEFT", "RIGHT")) for _ in range(2)]
        request = numbers.choice(
            [
                ("LPUSH", key, *(element() for _ in range(numbers.randrange(1, 20)))),
                ("RPUSH", key, *(element() for _ in range(numbers.randrange(1, 20)))),
                ("LPOP", key),
                ("RPOP", key),
                ("LPOP", key, numbers.randrange(12)),
                ("RPOP", key, numbers.randrange(12)),
                ("LSET", key, index(), element()),
                ("LINDEX", key, index()),
                ("LINSERT", key, numbers.choice(("BEFORE", "AFTER")), element(), element()),
                ("LREM", key, numbers.randint(-3, 3), element()),
                ("LPOS", key, element(), "RANK", numbers.choice((1, 2, -1, -2)), "COUNT", numbers.randrange(3)),
                ("LMOVE", key, other, *ends),
                ("LRANGE", key, index(), index()),
            ]
        )
        both(*request)
        if step % 50 == 0:
            both("LRANGE", key, 0, -1)
            both("LLEN", key)
        if step % 400 == 399:
            both("LTRIM", key, numbers.randrange(20), numbers.randint(20, 200))


@pytest.mark.parametrize("count", [1, 300])
def test_lrem_takes_from_the_end_that_it_is_told(both, count):
    for limit in (-2, 2, -1, 1, 0, -3 * count, 3 * count):
        both("DEL", "l")
        both("RPUSH", "l", *["x", "a", "x", "b", "x", "c"] * count)
        both("LREM", "l", limit, "x")
        both("LRANGE", "l", 0, -1)
