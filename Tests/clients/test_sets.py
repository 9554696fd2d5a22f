"""Sets, compared with redis-server: replies must be equal byte for byte, in RESP2 and RESP3.

Integer sets come in ascending order from both servers; the order of other sets is anyone's choice, so those are sorted
or have one member.
"""

import pytest

from resp import bulk, bulks, integer
from script import members, run, scan, scan_all
from seed import seeded


@pytest.fixture
def pair(protocols):
    """Both servers, in each protocol."""
    return protocols


def test_basics(pair):
    run(
        pair,
        """
        SADD s a b c
        SADD s A a b c B
        SADD s a
        SCARD s
        SCARD none
        SISMEMBER s a
        SISMEMBER s z
        SISMEMBER none a
        SMISMEMBER s a z B
        SMISMEMBER none a b
        SADD i 5 3 1 4
        SMEMBERS i
        SMEMBERS none
        SREM s k k k
        SREM s b c x
        SREM i 3 9
        SMEMBERS i
        SREM none a
        SREM i 1 4 5 6 7 8
        EXISTS i
        OBJECT ENCODING none
    """,
    )
    assert members(pair, "SMEMBERS", "s") == [b"A", b"B", b"a"]


def test_integers_have_one_form(pair):
    run(
        pair,
        """
        SADD s 1 01 +1 -0 0 " 1" 1.0 9223372036854775807 9223372036854775808 -9223372036854775808
        SADD s 1 01 +1 -0 0 " 1" 1.0 9223372036854775807 9223372036854775808 -9223372036854775808
        SCARD s
        SISMEMBER s 01
        SISMEMBER s 001
        SREM s 01
        SISMEMBER s 1
    """,
    )


def test_errors(pair):
    run(
        pair,
        """
        SET str x
        SADD str a
        SREM str a
        SISMEMBER str a
        SMISMEMBER str a
        SMEMBERS str
        SCARD str
        SPOP str
        SPOP str 1
        SPOP str 0
        SPOP str -1
        SPOP str x
        SRANDMEMBER str
        SRANDMEMBER str 1
        SRANDMEMBER str x
        SSCAN str 0
        SMOVE str none a
        SMOVE none str a
        SADD s a
        SMOVE s str a
        SMOVE s str z
        SCARD s
        SADD
        SADD s
        SMISMEMBER s
        SPOP s 1 2
        SRANDMEMBER s 1 2
    """,
    )


def test_move(pair):
    run(
        pair,
        """
        SADD a 1 2 3
        SADD b 3 4
        SMOVE a b 1
        SMOVE a b 3
        SMOVE a b 9
        SMOVE a a 2
        SMOVE a a 9
        SMEMBERS a
        SMEMBERS b
        SMOVE a c 2
        EXISTS a
        SMEMBERS c
        SMOVE none b 1
        SMOVE b c x
    """,
    )


def test_pop(pair):
    run(
        pair,
        """
        SADD s a
        SPOP s 0
        SPOP s
        EXISTS s
        SPOP s
        SPOP s 1
        SPOP s 0
        SADD s a
        SPOP s 1
        EXISTS s
        SADD s 1 2 3
        SPOP s 5
        EXISTS s
        SADD s a
        SPOP s -1
        SPOP s x
        SPOP s 9223372036854775808
    """,
    )


@pytest.mark.parametrize("member", [b"%d", b"m%d"])
@pytest.mark.parametrize("size", [10, 200, 1000])
def test_pop_takes_each_member_once(swiftlet, member, size):
    expected = {member % i for i in range(size)}
    for counts in ([size], [size + 1], [1] * size, [size - 1, 1], [size // 3, size // 3, size]):
        swiftlet.call("SADD", "s", *expected)
        popped = []
        for count in counts:
            popped += bulks(swiftlet.call("SPOP", "s", count))
            assert integer(swiftlet.call("SCARD", "s")) == size - len(popped)
        assert len(popped) == size and set(popped) == expected
        assert integer(swiftlet.call("EXISTS", "s")) == 0
    swiftlet.call("SADD", "s", *expected)
    assert {bulk(swiftlet.call("SPOP", "s")) for _ in range(size)} == expected


def test_random_members(pair):
    run(
        pair,
        """
        SADD s a
        SRANDMEMBER s
        SRANDMEMBER s 0
        SRANDMEMBER s 1
        SRANDMEMBER s 9
        SRANDMEMBER s -3
        SRANDMEMBER none
        SRANDMEMBER none 3
        SRANDMEMBER s x
        SRANDMEMBER s -9223372036854775808
        SRANDMEMBER s 9223372036854775808
    """,
    )


@pytest.mark.parametrize("member", [b"%d", b"m%d"])
@pytest.mark.parametrize("size", [10, 1000])
def test_random_members_are_distinct_and_all_come_up(swiftlet, member, size):
    expected = {member % i for i in range(size)}
    swiftlet.call("SADD", "s", *expected)
    for count in (1, size // 4, size // 2, size - 1, size, size + 1):
        found = bulks(swiftlet.call("SRANDMEMBER", "s", count))
        assert len(found) == len(set(found)) == min(count, size)
        assert set(found) <= expected
    seen = set()
    for _ in range(1000):
        seen.update(bulks(swiftlet.call("SRANDMEMBER", "s", -size)))
        if seen == expected:
            break
    assert seen == expected


def test_algebra_of_integers(pair):
    pair("SADD", "a", *range(200))
    pair("SADD", "b", *range(195, 395))
    pair("SADD", "c", 199, 195, 1000, 2000)
    run(
        pair,
        """
        SINTERCARD 2 a b
        SINTERCARD 2 a b LIMIT 0
        SINTERCARD 2 a b LIMIT 3
        SINTERCARD 2 a b LIMIT 10
        SINTERCARD 3 a b c
        SINTERCARD 1 none LIMIT 10
        SINTERCARD 2 a none
        SINTERSTORE d a b
        SMEMBERS d
        SINTERSTORE d a b c
        SMEMBERS d
        SUNIONSTORE d a b c none
        SMEMBERS d
        SDIFFSTORE d a b
        SCARD d
        SMEMBERS d
        SDIFFSTORE d a a
        EXISTS d
        SDIFFSTORE a a b c
        SMEMBERS a
        SUNIONSTORE b c b
        SMEMBERS b
        SINTERSTORE c c c
        SMEMBERS c
        SET str x
        SUNIONSTORE str none
        EXISTS str
        SET str x
        SUNIONSTORE str c
        SMEMBERS str
        EXPIRE c 1000
        SUNIONSTORE c c
        TTL c
    """,
    )
    for command in ("SINTER", "SUNION", "SDIFF"):
        for keys in (["a"], ["a", "b"], ["b", "a", "c"], ["a", "none"], ["none", "a"], ["none"], ["a", "a"]):
            members(pair, command, *keys)


def test_algebra_fuzz(pair):
    rng = seeded(1)
    for _ in range(60):
        keys = [f"s{i}" for i in range(rng.randrange(1, 8))]
        pair("DEL", *keys)
        for key in keys:
            count = rng.choice([0, 3, 100, 400])
            pool = [rng.choice([f"m{i}", i]) for i in range(rng.choice([5, 200]))]
            if count:
                pair("SADD", key, *rng.choices(pool, k=count))
        for command in ("SINTER", "SUNION", "SDIFF"):
            members(pair, command, *keys)
            pair(command + "STORE", "d", *keys)
            members(pair, "SMEMBERS", "d")
        pair("SINTERCARD", len(keys), *keys)
        pair("SINTERCARD", len(keys), *keys, "LIMIT", 2)
        pair("SUNIONSTORE", keys[0], *keys)
        members(pair, "SMEMBERS", keys[0])


def test_difference_of_many_sets(pair):
    """Many sets against a large first one: the other way to compute it."""
    pair("SADD", "a", *range(2000))
    keys = [f"k{i}" for i in range(20)]
    for i, key in enumerate(keys):
        pair("SADD", key, i, i * 3)
    assert len(members(pair, "SDIFF", "a", *keys)) < 2000


def test_algebra_errors(pair):
    run(
        pair,
        """
        SET str x
        SADD s a
        SADD d e
        SINTER str none
        SINTER none str
        SINTER str s
        SINTER s str
        SUNION str none
        SUNION none str
        SUNION s str
        SDIFF str none
        SDIFF none str
        SDIFF s str
        SINTERSTORE d str none
        SINTERSTORE d none str
        SUNIONSTORE d none str
        SUNIONSTORE d s str
        SDIFFSTORE d none str
        SDIFFSTORE d s str
        SMEMBERS d
        SINTERCARD
        SINTERCARD 1
        SINTERCARD 0 s
        SINTERCARD a s
        SINTERCARD -1 s
        SINTERCARD 2 s
        SINTERCARD 9223372036854775807 s
        SINTERCARD 3 s d
        SINTERCARD 1 s d
        SINTERCARD 1 s LIMIT
        SINTERCARD 1 s LIMIT -1
        SINTERCARD 1 s LIMIT a
        SINTERCARD 1 s LIMIT 1 LIMIT 0
        SINTERCARD 1 str
        SINTERCARD 2 none str
        SINTERCARD 1 str foo
    """,
    )


@pytest.mark.parametrize("member", [b"%d", b"m%d"])
@pytest.mark.parametrize("size", [100, 129, 513, 2000])
def test_scan_finds_everything(swiftlet, member, size):
    expected = {member % i for i in range(size)}
    swiftlet.call("SADD", "s", *expected)
    for count in (1, 10, 5000):
        assert set(scan_all(swiftlet, "SSCAN", "s", "COUNT", count)) == expected
    assert set(scan_all(swiftlet, "SSCAN", "s", "MATCH", "*99")) == {m for m in expected if m.endswith(b"99")}


def test_scan_keeps_its_promise_while_members_go(swiftlet):
    """What is there from the first call to the last is found, though the table shrinks meanwhile."""
    for stop in range(10):
        swiftlet.call("DEL", "s")
        swiftlet.call("SADD", "s", "x", *range(1000))
        cursor, found = scan(swiftlet, "SSCAN", "s", 0)
        found = set(found)
        step = 0
        while cursor:
            if step == stop:
                swiftlet.call("SREM", "s", *range(100, 1000))
            cursor, more = scan(swiftlet, "SSCAN", "s", cursor)
            found.update(more)
            step += 1
        assert {b"%d" % i for i in range(100)} <= found


def test_scan_small(pair):
    run(
        pair,
        """
        SADD s 1
        SSCAN s 0
        SSCAN s 0 MATCH *1* COUNT 100
        SSCAN s 0 MATCH a
        SSCAN none 0
        SSCAN s 0 COUNT 0
        SSCAN s 0 COUNT x
        SSCAN s foo
    """,
    )


@pytest.mark.parametrize("entries", [512])
def test_intset_grows_into_hashtable(pair, entries):
    for i in range(entries):
        pair("SADD", "s", i)
    pair("OBJECT", "ENCODING", "s")
    pair("SADD", "s", entries)
    pair("OBJECT", "ENCODING", "s")
    pair("SCARD", "s")


def test_listpack_encoding(swiftlet):
    """Since Redis 7.2; the oracle is older."""

    def encoding():
        return bulk(swiftlet.call("OBJECT", "ENCODING", "s"))

    swiftlet.call("SADD", "s", "a", *range(127))
    assert encoding() == b"listpack"
    swiftlet.call("SADD", "s", "b")
    assert encoding() == b"hashtable"
    swiftlet.call("DEL", "s")
    swiftlet.call("SADD", "s", *range(130))
    assert encoding() == b"intset"
    swiftlet.call("SADD", "s", "a")
    assert encoding() == b"hashtable"
    swiftlet.call("DEL", "s")
    swiftlet.call("SADD", "s", 1, 2, 3)
    swiftlet.call("SADD", "s", "x" * 64)
    assert encoding() == b"listpack"
    swiftlet.call("SADD", "s", "x" * 65)
    assert encoding() == b"hashtable"


def test_against_a_model(pair):
    rng = seeded(2)
    for kind in ("{}", "m{}"):
        for _ in range(1500):
            member = kind.format(rng.randrange(700))
            pair(rng.choice(["SADD", "SADD", "SREM", "SISMEMBER"]), "s", member)
        members(pair, "SMEMBERS", "s")
