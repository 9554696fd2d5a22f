"""Keys, expiries, SCAN and SORT, compared with the oracle."""

import time

import pytest

from resp import bulk, bulks
from seed import seeded


def test_whole_keys(protocols):
    protocols.each(
        """
        MSET a 1 b 2 c 3
        RPUSH l x
        EXISTS a b missing a
        TOUCH a missing l
        TYPE a
        TYPE l
        TYPE missing
        DEL a a missing
        UNLINK b missing
        EXISTS a b c
        RANDOMKEY x
        DEL c l
        RANDOMKEY
        DEL
        """
    )


def test_rename(both):
    both.each(
        """
        RENAME missing a
        RENAMENX missing a
        RENAME missing missing
        SET a 1
        RENAME a b
        GET b
        EXISTS a
        SET c 2 PXAT 4000000000000
        RENAME c b
        GET b
        PEXPIRETIME b
        SET d 3
        RENAME d b
        PEXPIRETIME b
        RENAMENX b b
        RENAME b b
        RPUSH l 1 2 3
        RENAMENX l b
        RENAMENX l m
        LRANGE m 0 -1
        """
    )


def test_copy_and_move(both):
    both.each(
        """
        SET a 1 PXAT 4000000000000
        COPY a b
        GET b
        PEXPIRETIME b
        COPY a b
        RPUSH l 1 2 3
        COPY l b REPLACE
        LRANGE b 0 -1
        PEXPIRETIME b
        RPUSH b 4
        LLEN l
        COPY a a
        COPY a a DB 0
        COPY a a DB 3
        COPY missing x
        COPY missing missing
        COPY a x DB y
        COPY a x DB 99
        COPY a x DB -1
        COPY a x DB
        COPY a x FOO
        COPY a x DB 99999999999
        MOVE a 3
        MOVE a 0
        MOVE a 99
        MOVE a y
        MOVE a -3000000000
        MOVE missing 1
        MOVE a 4
        EXISTS a
        SELECT 4
        GET a
        PEXPIRETIME a
        SELECT 3
        GET a
        """
    )


def test_expire(protocols):
    protocols.each(
        """
        SET k v
        EXPIRE k 100
        EXPIRE k 200 NX
        EXPIRE k 200 XX
        EXPIRE k 100 GT
        EXPIRE k 300 gt
        EXPIRE k 400 LT
        EXPIRE k 100 LT XX
        EXPIRE missing 100
        EXPIRE missing 100 NX
        """
    )
    protocols.near("PTTL", "k", slack=300)
    protocols.near("TTL", "k", slack=1)
    protocols.each(
        """
        PERSIST k
        PERSIST k
        PERSIST missing
        TTL k
        PTTL k
        EXPIRETIME k
        PEXPIRETIME k
        TTL missing
        PEXPIRETIME missing
        EXPIRE k 100 XX
        EXPIRE k 100 GT
        EXPIRE k 100 NX XX
        EXPIRE k 100 NX GT
        EXPIRE k 100 GT LT
        EXPIRE k 100 FOO
        EXPIRE k a FOO
        EXPIRE k a
        EXPIRE missing a
        EXPIRE k 9223372036854775807
        EXPIRE k -9223372036854775808
        PEXPIRE k 9223372036854775807
        EXPIREAT k 9223372036854775807
        EXPIREAT k 4000000000
        EXPIRETIME k
        PEXPIREAT k 4000000000499
        EXPIRETIME k
        PEXPIREAT k 4000000000500
        EXPIRETIME k
        PEXPIRETIME k
        PEXPIREAT k 9223372036854775807
        PEXPIRETIME k
        EXPIREAT k 1
        EXISTS k
        SET k v
        EXPIRE k 0
        EXISTS k
        SET k v
        EXPIRE k -10 LT
        EXISTS k
        RPUSH l a
        EXPIRE l 1000
        RPUSH l b
        LRANGE l 0 -1
        """
    )
    protocols("EXPIRE", "k", "")


def test_expired_keys_are_gone(both):
    both.each("SET a 1\nSET b 2\nRPUSH l x\nSET stays 1")
    for key in ("a", "b", "l"):
        both("PEXPIRE", key, 20)
    time.sleep(0.05)
    both.each(
        """
        EXISTS a
        EXPIRE b 10
        RENAME l m
        COPY a x
        MOVE a 1
        DEL b
        TYPE l
        KEYS *
        SCAN 0
        DBSIZE
        """
    )


def test_keys_and_patterns(both):
    names = "foo_a foo_b bar hello hallo hillo h*llo [x] a\\b".split()
    for name in names:
        both("SET", name, 1)
    for pattern in "* foo* h?llo h[ae]llo h[^e]llo h[a-i]llo h\\*llo \\[x\\] [ *o none a\\\\b".split():
        both.unordered("KEYS", pattern)
    both("SET", "a" * 40, 1)
    both("KEYS", "a*" * 20 + "b")
    both("KEYS", "*?" * 20000)
    both("KEYS")


def scan_all(connection, *options):
    found, cursor = [], b"0"
    while True:
        reply = connection.call("SCAN", cursor, *options)
        # The reply is an array of the cursor and an array of keys.
        head, _, rest = reply.partition(b"\r\n")
        assert head == b"*2"
        length, _, rest = rest.partition(b"\r\n")
        size = int(length[1:])
        cursor, rest = rest[:size], rest[size + 2 :]
        found += bulks(rest)
        if cursor == b"0":
            return found


def test_scan(both):
    for i in range(1000):
        both.swiftlet.call("SET", f"key:{i}", i)
    for i in range(10):
        both.swiftlet.call("RPUSH", f"list:{i}", i)
    swiftlet = both.swiftlet
    assert len(set(scan_all(swiftlet))) == 1010
    assert len(set(scan_all(swiftlet, "COUNT", 5))) == 1010
    assert len(set(scan_all(swiftlet, "COUNT", 2**62))) == 1010
    assert len(set(scan_all(swiftlet, "MATCH", "key:1??"))) == 100
    assert len(set(scan_all(swiftlet, "TYPE", "list"))) == 10
    assert len(set(scan_all(swiftlet, "TYPE", "STRING", "MATCH", "*9"))) == 100
    assert scan_all(swiftlet, "TYPE", "unknown") == []


def test_scan_while_keys_come_and_go(both):
    swiftlet, numbers = both.swiftlet, seeded(4)
    for i in range(500):
        swiftlet.call("SET", f"stays:{i}", i)
    found, cursor = set(), b"0"
    while True:
        reply = swiftlet.call("SCAN", cursor, "COUNT", 20)
        head, rest = reply.split(b"\r\n", 2)[1:]
        cursor = rest[: int(head[1:])]
        found.update(bulks(rest[len(cursor) + 2 :]))
        if cursor == b"0":
            break
        for _ in range(50):
            name = f"added:{numbers.randrange(20000)}"
            swiftlet.call(numbers.choice(("SET", "DEL")), *((name, 1) if numbers.random() < 0.7 else (name,)))
    assert {f"stays:{i}".encode() for i in range(500)} <= found


def test_scan_arguments(both):
    both.each(
        """
        SCAN
        SCAN x
        SCAN 1x
        SCAN 18446744073709551616
        SCAN 0 COUNT 0
        SCAN 0 COUNT x
        SCAN 0 COUNT
        SCAN 0 FOO
        SCAN 0 MATCH
        SCAN x COUNT x
        SCAN 0
        """
    )


def test_object(protocols):
    protocols.each(
        """
        SET s text
        SET n 12
        SET m 10000
        RPUSH l a
        OBJECT ENCODING s
        OBJECT ENCODING n
        OBJECT REFCOUNT n
        OBJECT REFCOUNT m
        OBJECT REFCOUNT s
        OBJECT IDLETIME s
        OBJECT FREQ s
        OBJECT ENCODING missing
        OBJECT FREQ missing
        OBJECT IDLETIME missing
        OBJECT REFCOUNT missing
        OBJECT FOO s
        OBJECT ENCODING
        OBJECT ENCODING s t
        OBJECT
        """
    )
    protocols("OBJECT", b"\xff\x80", "s")
    protocols("OBJECT", b"a\0b", "s")
    protocols("XGROUP", b"\xff" * 200, "s")


@pytest.mark.parametrize("command", ["SORT", "SORT_RO"])
def test_sort(protocols, command):
    protocols.each(
        """
        RPUSH l 3 1 2 10 -1 2.5
        SADD s 5 3 9 1
        ZADD z 1 a 5 b 2 c 10 d 3 e
        RPUSH words b a c 10 9
        MSET w_1 30 w_2 20 w_3 10 w_10 5
        HSET h_1 f 4 g x
        HSET h_3 f 2
        SET x:3-> arrow
        """
    )
    for arguments in """
        l
        l DESC
        l ASC LIMIT 1 2
        l LIMIT -5 3
        l LIMIT 4 -1
        l LIMIT 100 5
        l LIMIT 9223372036854775807 9223372036854775807
        l LIMIT 0 0
        l ALPHA
        l ALPHA DESC
        s
        s DESC LIMIT 0 2
        z
        z ALPHA
        z ALPHA DESC
        z BY nosort
        z BY nosort DESC
        z BY nosort ASC LIMIT 1 2
        z BY nosort DESC LIMIT 0 2
        z BY nosort LIMIT 5 10
        z BY nosort LIMIT -10 100
        words
        words ALPHA
        words ALPHA LIMIT 1 3 DESC
        l BY w_*
        l BY w_* DESC
        l BY h_*->f
        l BY h_*->f GET #
        l BY nosort
        l BY nosort DESC
        l BY nosort DESC LIMIT 1 2
        l BY nosort LIMIT 1 2 GET # GET w_*
        l BY nosort GET # GET w_* GET h_*->f GET h_*->none GET constant GET l*
        l BY #
        l BY w_* ALPHA
        l BY nosort GET x:*->
        l GET h_*->f
        missing
        missing GET #
        missing BY
        missing FOO
        missing LIMIT 1
        missing LIMIT a b
        missing DESC ASC
        w_1
        """.strip().splitlines():
        protocols(command, *arguments.split())
    for weight in (" 2", "2 ", "0x10", "", "2\0x", "\0", "9" * 300, "0." + "0" * 300, "nan", "inf"):
        protocols("SET", "w_2", weight)
        protocols(command, "l", "BY", "w_*")
    # redis-server forgets to reset errno: once it has refused such a number, it refuses others too.
    for weight in ("1e400", "1e-400", "9" * 400):
        protocols("SET", "w_2", weight)
        assert protocols.swiftlet.call(command, "l", "BY", "w_*").startswith(b"-ERR One or more scores can't")
    protocols("SET", "w_2", "nonsense")
    protocols(command, "l", "BY", "w_*")
    protocols(command, "l", "BY", "w_*", "ALPHA")


def test_sort_store(both):
    both.each(
        """
        RPUSH l 3 1 2
        SADD s b a c aa
        SORT l STORE target
        LRANGE target 0 -1
        SORT l BY nosort DESC STORE target
        LRANGE target 0 -1
        SORT l GET w_* STORE target
        LRANGE target 0 -1
        SORT s BY nosort STORE target
        LRANGE target 0 -1
        SORT l STORE first STORE second
        EXISTS first second
        SORT l STORE l
        LRANGE l 0 -1
        SORT l ALPHA LIMIT 10 10 STORE target
        EXISTS target
        SET target x
        SORT missing STORE target
        EXISTS target
        SORT_RO l STORE target
        SORT l STORE
        """
    )


def test_sort_at_random(both):
    numbers = seeded(5)
    for size in (0, 1, 16, 700):
        both("DEL", "l")
        for i in range(size):
            weight = numbers.choice((numbers.randrange(10**6), numbers.random() * 1000))
            both("RPUSH", "l", i)
            both("SET", f"weight_{i}", weight)
            both("HSET", f"object_{i}", "weight", weight)
        both("SORT", "l", "BY", "weight_*", "GET", "#", "GET", "weight_*")
        both("SORT", "l", "BY", "object_*->weight", "DESC", "LIMIT", 5, 10)


@pytest.mark.parametrize("factor", [0, 1000000])
def test_frequency(both, factor):
    """With these factors of the logarithm no chance is left: each use counts, and none does."""
    policy = ["CONFIG", "SET", "maxmemory-policy", "allkeys-lfu", "lfu-log-factor", factor, "lfu-decay-time", 0]
    try:
        both(*policy)
        both("OBJECT", "FREQ", "none")
        both("SET", "k", "v")
        both("RPUSH", "list", "a")
        for command in [
            ["GET", "k"], ["SET", "k", "w"], ["APPEND", "k", "x"], ["EXISTS", "k"], ["TYPE", "k"], ["TTL", "k"],
            ["TOUCH", "k"], ["LRANGE", "list", 0, 1], ["RPUSH", "list", "x"], ["EXPIRE", "k", 1000], ["SETRANGE", "k", 1, "z"],
            ["RENAME", "list", "list2"], ["RENAME", "list2", "list"],
        ]:  # fmt: skip
            both(*command)
            both("OBJECT", "FREQ", "k")
            both("OBJECT", "FREQ", "list")
        payload = bulk(both.oracle.call("DUMP", "list"))
        for count in (0, 100, 255):
            both("RESTORE", "r", 0, payload, "REPLACE", "FREQ", count)
            both("OBJECT", "FREQ", "r")
            both("LLEN", "r")
            both("OBJECT", "FREQ", "r")
        both("OBJECT", "IDLETIME", "k")
    finally:
        both("CONFIG", "SET", "maxmemory-policy", "noeviction", "lfu-log-factor", 10, "lfu-decay-time", 1)
    both("OBJECT", "FREQ", "k")


def test_swapdb_takes_int32(both):
    for value in ("2147483647", "2147483648", "-2147483649", "x"):
        both("SWAPDB", value, "1")
        both("SWAPDB", "1", value)


def test_conditions_at_an_equal_time(both):
    both("SET", "k", "v")
    for moment in (4_000_000_000_000, 4_000_000_000_001, 3_999_999_999_999):
        for condition in ("GT", "LT"):
            both("PEXPIREAT", "k", 4_000_000_000_000)
            both("PEXPIREAT", "k", moment, condition)
            both("PEXPIRETIME", "k")
