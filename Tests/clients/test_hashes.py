"""Hashes, compared with redis-server: replies must be equal byte for byte, in RESP2 and RESP3."""

import pytest

from resp import bulks
from script import flat, in_pairs, members, run, scan_all
from seed import seeded


@pytest.fixture
def pair(protocols):
    """Both servers, in each protocol."""
    return protocols


def test_set_and_get(pair):
    run(
        pair,
        """
        HSET h f v
        HSET h f w g x
        HMSET h i 1 j 2
        HSETNX h f never
        HSETNX h k new
        HGET h f
        HGET h none
        HGET none f
        HMGET h f none g
        HMGET none f g
        HLEN h
        HLEN none
        HSTRLEN h f
        HSTRLEN h none
        HSTRLEN none f
        HEXISTS h f
        HEXISTS h none
        HEXISTS none f
        HGETALL h
        HKEYS h
        HVALS h
        HGETALL none
        HKEYS none
        HVALS none
    """,
    )


def test_delete_removes_the_key_with_its_last_field(pair):
    run(
        pair,
        """
        HSET h a 1 b 2 c 3
        HDEL h a none a
        HDEL none a
        HLEN h
        HDEL h b c d e f
        EXISTS h
        TYPE h
    """,
    )


def test_empty_and_binary_fields(pair):
    pair("HSET", "h", b"", b"")
    pair("HSET", "h", b"\0\xff\r\n", b"\0" * 100)
    for field in (b"", b"\0\xff\r\n", b"\0"):
        pair("HGET", "h", field)
        pair("HSTRLEN", "h", field)


def test_increments(pair):
    run(
        pair,
        """
        HINCRBY h n 5
        HINCRBY h n -7
        HGET h n
        HINCRBY h n 9223372036854775807
        HINCRBY h n 2
        HINCRBY h n 1
        HINCRBY h n x
        HINCRBY h n 1.5
        HINCRBY h n " 1"
        HSET h s " 11" t "11 " w foo e ""
        HINCRBY h s 1
        HINCRBY h t 1
        HINCRBY h w 1
        HINCRBY h e 1
        HSET h low -9223372036854775808
        HINCRBY h low -1
        HINCRBY h low 1
        HINCRBY h low -9223372036854775808
    """,
    )


def test_float_increments(pair):
    run(
        pair,
        """
        HINCRBYFLOAT h f 2.5
        HINCRBYFLOAT h f 0.1
        HINCRBYFLOAT h f -2.6
        HINCRBYFLOAT h g 1.23
        HINCRBYFLOAT h g 0.77
        HINCRBYFLOAT h g -0.1
        HINCRBYFLOAT h big 17179869184
        HINCRBYFLOAT h big 17179869184.5
        HINCRBYFLOAT h e 5.0e3
        HINCRBYFLOAT h e 1e-20
        HINCRBYFLOAT h tiny 1e-17
        HINCRBYFLOAT h zero -0
        HINCRBYFLOAT h zero 0
        HINCRBYFLOAT h huge 1e400
        HINCRBYFLOAT h over 1e5000
        HINCRBYFLOAT h under 1e-5000
        HINCRBYFLOAT h x inf
        HINCRBYFLOAT h x -inf
        HINCRBYFLOAT h x nan
        HINCRBYFLOAT h x abc
        HINCRBYFLOAT h x ""
        HINCRBYFLOAT h x " 1"
        HINCRBYFLOAT h x "1 "
        HINCRBYFLOAT h hex 0x10
        HSET h s " 11" t "11 " w foo
        HINCRBYFLOAT h s 1
        HINCRBYFLOAT h t 1
        HINCRBYFLOAT h w 1
        HSET h max 1.1e4932
        HINCRBYFLOAT h max 1.1e4932
        EXISTS x
        HINCRBYFLOAT none f inf
        EXISTS none
        HLEN h
        HMGET h f g big e tiny zero huge x hex s max
    """,
    )
    pair("HSET", "h", "nul", b"1\x002")
    pair("HINCRBYFLOAT", "h", "nul", "1")


def test_errors(pair):
    run(
        pair,
        """
        SET str x
        HSET str f v
        HSETNX str f v
        HGET str f
        HMGET str f
        HGETALL str
        HDEL str f
        HINCRBY str f 1
        HINCRBY str f x
        HINCRBYFLOAT str f 1
        HINCRBYFLOAT str f x
        HKEYS str
        HVALS str
        HLEN str
        HSTRLEN str f
        HEXISTS str f
        HRANDFIELD str
        HRANDFIELD str x
        HSCAN str 0
        HSCAN str x
        HSCAN str 0 COUNT x
        HSET h a
        HSET h a 1 b
        HMSET h a 1 b
        HGET h
        HGET h a b
        HDEL h
        HSET str a 1 b
    """,
    )


def test_random_fields(pair):
    run(
        pair,
        """
        HSET h f v
        HRANDFIELD h
        HRANDFIELD h 0
        HRANDFIELD h 1
        HRANDFIELD h 5
        HRANDFIELD h -3
        HRANDFIELD h 1 WITHVALUES
        HRANDFIELD h 0 WITHVALUES
        HRANDFIELD h -3 withvalues
        HRANDFIELD none
        HRANDFIELD none 5
        HRANDFIELD none 5 WITHVALUES
        HRANDFIELD h x
        HRANDFIELD h 1 foo
        HRANDFIELD h 1 WITHVALUES foo
        HRANDFIELD h 9223372036854775807 WITHVALUES
        HRANDFIELD h 4611686018427387903 WITHVALUES
        HRANDFIELD h -9223372036854770000 WITHVALUES
        HRANDFIELD h -9223372036854775808
        HRANDFIELD h -9223372036854775808 WITHVALUES
        HRANDFIELD h 9223372036854775808
    """,
    )


@pytest.mark.parametrize("size", [10, 1000])
def test_random_fields_are_distinct_and_all_come_up(swiftlet, size):
    fields = {b"f%d" % i: b"%d" % i for i in range(size)}
    swiftlet.call("HSET", "h", *flat(fields))
    for count in (1, size // 4, size // 2, size - 1, size, size + 1):
        found = bulks(swiftlet.call("HRANDFIELD", "h", count))
        assert len(found) == len(set(found)) == min(count, size)
        assert set(found) <= set(fields)
    seen = set()
    for _ in range(1000):
        seen.update(bulks(swiftlet.call("HRANDFIELD", "h", -size)))
        if seen == set(fields):
            break
    assert seen == set(fields)


def test_scan_small(pair):
    run(
        pair,
        """
        HSET h f v g w
        HSCAN h 0
        HSCAN h 0 MATCH f*
        HSCAN h 0 MATCH *
        HSCAN h 0 MATCH v COUNT 100
        HSCAN h 0 COUNT 9223372036854775807
        HSCAN none 0
        HSCAN none 0 COUNT x
        HSCAN h x
        HSCAN h ""
        HSCAN h " 0"
        HSCAN h -1
        HSCAN h 18446744073709551615
        HSCAN h 18446744073709551616
        HSCAN h 0 COUNT 0
        HSCAN h 0 COUNT -1
        HSCAN h 0 COUNT x
        HSCAN h 0 MATCH
        HSCAN h 0 foo
        HSCAN h 0 foo bar
        HSCAN h
    """,
    )


@pytest.mark.parametrize("size", [30, 128, 129, 1000])
def test_scan_finds_everything(swiftlet, size):
    fields = {b"f%d" % i: b"%d" % i for i in range(size)}
    swiftlet.call("HSET", "h", *flat(fields))
    for count in (1, 10, 5000):
        assert in_pairs(scan_all(swiftlet, "HSCAN", "h", "COUNT", count)) == fields
    found = in_pairs(scan_all(swiftlet, "HSCAN", "h", "MATCH", "f1*"))
    assert found == {f: v for f, v in fields.items() if f.startswith(b"f1")}


def test_encoding_follows_size(pair):
    for i in range(513):
        pair("HSET", "h", f"f{i}", i)
        if i > 509:
            pair("OBJECT", "ENCODING", "h")
    pair("HSET", "v", "f", "x" * 64)
    pair("OBJECT", "ENCODING", "v")
    pair("HSET", "v", "f", "x" * 65)
    pair("OBJECT", "ENCODING", "v")
    pair("HSET", "w", "f" * 65, "x")
    pair("OBJECT", "ENCODING", "w")


@pytest.mark.parametrize("size", [10, 512])
def test_against_a_model(pair, size):
    rng = seeded(size)
    model = {}
    for _ in range(1500):
        field = str(rng.randrange(size))
        match rng.randrange(4):
            case 0:
                pair("HDEL", "h", field)
                model.pop(field, None)
            case 1:
                pair("HINCRBY", "h", field, rng.randrange(-1000, 1000))
                model[field] = None
            case _:
                pair("HSET", "h", field, rng.randrange(1 << 40))
                model[field] = None
    pair("HLEN", "h")
    for field in range(size):
        pair("HGET", "h", field)
    assert members(pair, "HKEYS", "h") == sorted(f.encode() for f in model)
