"""Every way in which a key or a field gets, changes and loses the time at which it goes: after it the clock is moved past
that time, and past the earlier one that it replaced. As the server lives on, and after kill -9 with the log and with a
snapshot; found by a command that looks, and by the server itself.
"""

import pytest

from life import Life
from moved_clock import advance, wall_ms
from resp import bulks, decoded, integer
from waiting import wait_until

NEVER = None
# Commands on keys of the case's own: K, and J beside it. NOW+n: the server's time and n, in seconds; NOWMS+n in milliseconds.
# Last, how many seconds
# K lives.
KEYS = """
SET K v EX 100 | 100
SET K v PX 100000 | 100
SET K v EXAT NOW+100 | 100
SET K v PXAT NOWMS+100000 | 100
SETEX K 100 v | 100
PSETEX K 100000 v | 100
SET K v EX 100; SET K longer-value-than-before EX 1000 | 1000
SET K v EX 1000; SET K w EX 100 | 100
SET K v EX 100; SET K w PX 1000000 GET | 1000
SET K v EX 100; SET K w | NEVER
SET K 1 EX 100; SET K 22222222222222222222222222222222222222222222222222222222222222222222222 EX 1000 | 1000
SET K v EX 100; SET K w KEEPTTL | 100
SET K v EX 100; SET K w XX KEEPTTL | 100
SET K v EX 100; SET K w NX EX 1000 | 100
SET K v EX 100; SETNX K w | 100
SET K v EX 100; GETSET K w | NEVER
SET K v EX 100; GETDEL K; SET K w | NEVER
SET K v EX 100; GETDEL K; SET K w EX 1000 | 1000
SET K v EX 100; GETEX K EX 1000 | 1000
SET K v EX 100; GETEX K PX 1000000 | 1000
SET K v EX 100; GETEX K EXAT NOW+1000 | 1000
SET K v EX 100; GETEX K PXAT NOWMS+1000000 | 1000
SET K v EX 1000; GETEX K EX 100 | 100
SET K v EX 100; GETEX K PERSIST | NEVER
SET K v EX 100; GETEX K | 100
SET K v EX 100; MSET K w J x | NEVER
SET K v EX 100; MSETNX K w J x | 100
SET K 1 EX 100; INCR K | 100
SET K 1 EX 100; INCRBYFLOAT K 1.5 | 100
SET K v EX 100; APPEND K a-tail-that-does-not-fit-into-what-was-allocated-before-it-came | 100
SET K v EX 100; SETRANGE K 100 x | 100
SET K v EX 100; SETBIT K 1000 1 | 100
SET K v EX 100; BITFIELD K SET u8 0 1 | 100
SET K v EX 100; BITOP NOT K K | NEVER
SET K v; EXPIRE K 100 | 100
SET K v; PEXPIRE K 100000 | 100
SET K v; EXPIREAT K NOW+100 | 100
SET K v; PEXPIREAT K NOWMS+100000 | 100
SET K v EX 100; EXPIRE K 1000 | 1000
SET K v EX 1000; EXPIRE K 100 | 100
SET K v EX 100; EXPIRE K 1000 NX | 100
SET K v; EXPIRE K 1000 NX | 1000
SET K v EX 100; EXPIRE K 1000 XX | 1000
SET K v; EXPIRE K 1000 XX | NEVER
SET K v EX 100; EXPIRE K 1000 GT | 1000
SET K v EX 1000; EXPIRE K 100 GT | 1000
SET K v; EXPIRE K 100 GT | NEVER
SET K v EX 1000; EXPIRE K 100 LT | 100
SET K v EX 100; EXPIRE K 1000 LT | 100
SET K v; EXPIRE K 100 LT | 100
SET K v EX 100; PERSIST K | NEVER
SET K v EX 100; PERSIST K; EXPIRE K 1000 | 1000
SET K v EX 100; DEL K; SET K w | NEVER
SET K v EX 100; UNLINK K; SET K w EX 1000 | 1000
SET J v EX 1000; RENAME J K | 1000
SET J v EX 1000; SET K w EX 100; RENAME J K | 1000
SET J v EX 100; SET K w EX 1000; RENAME J K | 100
SET J v; SET K w EX 100; RENAME J K | NEVER
SET J v EX 1000; SET K w EX 100; RENAMENX J K | 100
SET J v EX 1000; COPY J K | 1000
SET J v EX 1000; SET K w EX 100; COPY J K REPLACE | 1000
SET J v EX 1000; SET K w EX 100; COPY J K | 100
SET J v; SET K w EX 100; COPY J K REPLACE | NEVER
RPUSH J 1 2; EXPIRE J 1000; SET K w EX 100; COPY J K REPLACE | 1000
SET K v EX 100; RPUSH J 1 2; SORT J STORE K | NEVER
SET K v EX 100; SADD J 1 2; SUNIONSTORE K J | NEVER
SET K v EX 100; ZADD J 1 a; ZUNIONSTORE K 1 J | NEVER
SET K v EX 100; ZADD J 1 a; ZRANGESTORE K J 0 -1 | NEVER
SET K v EX 100; GEOADD J 1 1 a; GEOSEARCHSTORE K J FROMLONLAT 1 1 BYRADIUS 9 km | NEVER
RPUSH K 1; EXPIRE K 100; RPUSH K 2; LPOP K; LSET K 0 x | 100
RPUSH K 1; EXPIRE K 100; LPOP K; RPUSH K 2 | NEVER
RPUSH K 1; EXPIRE K 100; EXPIRE K 1000; LTRIM K 0 0 | 1000
HSET K f v; EXPIRE K 100; HSET K g w | 100
HSET K f v; EXPIRE K 100; HDEL K f; HSET K g w | NEVER
HSET K f v; HEXPIRE K 1000 FIELDS 1 f; EXPIRE K 100 | 100
HSET K f v; HEXPIRE K 100 FIELDS 1 f; EXPIRE K 1000 | 100 with its last field
HSET K f v; HEXPIRE K 100 FIELDS 1 f; HEXPIRE K 1000 FIELDS 1 f | 1000 with its last field
HSET K f v; HEXPIRE K 100 FIELDS 1 f; HPERSIST K FIELDS 1 f; EXPIRE K 1000 | 1000
SADD K 1; EXPIRE K 100; SADD K x | 100
SADD K 1; EXPIRE K 100; EXPIRE K 1000; SADD K x; SREM K 1 | 1000
ZADD K 1 a; EXPIRE K 100; ZADD K 2 b; ZPOPMIN K | 100
XADD K 1-1 f v; EXPIRE K 100; XADD K 2-1 f v; XTRIM K MAXLEN 1 | 100
XADD K 1-1 f v; EXPIRE K 100; EXPIRE K 1000; XGROUP CREATE K g 0 | 1000
PFADD K a; EXPIRE K 100; PFADD K b | 100
PFADD K a; EXPIRE K 100; PFADD J b; PFMERGE K J | 100
RESTORE K 100000 PAYLOAD | 100
RESTORE K NOWMS+100000 PAYLOAD ABSTTL | 100
RESTORE K 0 PAYLOAD | NEVER
SET K v EX 100; RESTORE K 1000000 PAYLOAD REPLACE | 1000
SET K v EX 100; RESTORE K 0 PAYLOAD REPLACE | NEVER
MULTI; SET K v EX 100; EXPIRE K 1000; EXEC | 1000
"""
CASES = [line.split("|") for line in KEYS.strip().splitlines()]
LIFETIMES = {f"k:{i}": None if (life := case[1].split()[0]) == "NEVER" else int(life) for i, case in enumerate(CASES)}
WITH_FIELD = {f"k:{i}" for i, case in enumerate(CASES) if "with its last field" in case[1]}
assert set(LIFETIMES.values()) == {100, 1000, None}

# Fields of one hash: commands on field F, and how many seconds it lives.
FIELDS = """
HEXPIRE H 100 FIELDS 1 F | 100
HPEXPIRE H 100000 FIELDS 1 F | 100
HEXPIREAT H NOW+100 FIELDS 1 F | 100
HPEXPIREAT H NOWMS+100000 FIELDS 1 F | 100
HEXPIRE H 100 FIELDS 1 F; HEXPIRE H 1000 FIELDS 1 F | 1000
HEXPIRE H 1000 FIELDS 1 F; HEXPIRE H 100 FIELDS 1 F | 100
HEXPIRE H 100 FIELDS 1 F; HEXPIRE H 1000 NX FIELDS 1 F | 100
HEXPIRE H 1000 NX FIELDS 1 F | 1000
HEXPIRE H 100 FIELDS 1 F; HEXPIRE H 1000 XX FIELDS 1 F | 1000
HEXPIRE H 1000 XX FIELDS 1 F | NEVER
HEXPIRE H 100 FIELDS 1 F; HEXPIRE H 1000 GT FIELDS 1 F | 1000
HEXPIRE H 1000 FIELDS 1 F; HEXPIRE H 100 GT FIELDS 1 F | 1000
HEXPIRE H 1000 FIELDS 1 F; HEXPIRE H 100 LT FIELDS 1 F | 100
HEXPIRE H 100 FIELDS 1 F; HEXPIRE H 1000 LT FIELDS 1 F | 100
HEXPIRE H 100 FIELDS 1 F; HPERSIST H FIELDS 1 F | NEVER
HEXPIRE H 100 FIELDS 1 F; HPERSIST H FIELDS 1 F; HEXPIRE H 1000 FIELDS 1 F | 1000
HEXPIRE H 100 FIELDS 1 F; HSET H F another-value | NEVER
HEXPIRE H 100 FIELDS 1 F; HSET H F w; HEXPIRE H 1000 FIELDS 1 F | 1000
HEXPIRE H 100 FIELDS 1 F; HSETNX H F w | 100
HEXPIRE H 100 FIELDS 1 F; HDEL H F; HSET H F w | NEVER
HEXPIRE H 100 FIELDS 1 F; HSET H F 1; HEXPIRE H 1000 FIELDS 1 F; HINCRBY H F 1 | 1000
"""
FIELD_CASES = [line.split("|") for line in FIELDS.strip().splitlines()]
FIELD_LIFETIMES = {
    f"f:{i}": None if (life := case[1].strip()) == "NEVER" else int(life) for i, case in enumerate(FIELD_CASES)
}


def commands(text, words, now):
    """The commands of a case, with its own keys."""

    def word(word):
        for name, unit in (("NOWMS+", 1), ("NOW+", 1000)):
            if word.startswith(name):
                return now // unit + int(word.removeprefix(name))
        return words.get(word, word)

    return [[word(w) for w in command.split()] for command in text.split(";")]


def set_up(connection, keys=True, fields=True):
    now = wall_ms(connection)
    connection.call("SET", "template", "v")
    payload = decoded(connection.call("DUMP", "template"))
    connection.call("DEL", "template")
    todo = []
    if keys:
        for i, (text, _) in enumerate(CASES):
            todo += commands(text, {"K": f"k:{i}", "J": f"j:{i}", "PAYLOAD": payload}, now)
    if fields:
        connection.call("HSET", "h", *(word for field in FIELD_LIFETIMES for word in (field, "v")))
        for i, (text, _) in enumerate(FIELD_CASES):
            todo += commands(text, {"H": "h", "F": f"f:{i}"}, now)
    for command in todo:
        assert connection.call(*command)[:1] != b"-", command


def check(connection, passed):
    """What is there after `passed` seconds is what should be, and its time is the one it was given."""
    for key, life in LIFETIMES.items():
        is_there = life is None or life > passed
        # A hash without fields that are not due is there until the server itself removes it, as in Redis.
        look = ["HEXISTS", key, "f"] if key in WITH_FIELD else ["EXISTS", key]
        assert integer(connection.call(*look)) == is_there, (CASES[int(key[2:])], passed)
        if key in WITH_FIELD:
            continue
        ttl = integer(connection.call("TTL", key))
        if not is_there or life is None:
            assert ttl == (-1 if is_there else -2), CASES[int(key[2:])]
        else:
            assert abs(ttl - life + passed) < 20, CASES[int(key[2:])]
    for field, life in FIELD_LIFETIMES.items():
        is_there = life is None or life > passed
        assert integer(connection.call("HEXISTS", "h", field)) == is_there, (FIELD_CASES[int(field[2:])], passed)


@pytest.fixture
def life(tmp_path):
    directory = tmp_path / "data"
    directory.mkdir()
    found = Life(directory)
    yield found.start()
    found.kill()


MOMENTS = (50, 130, 900, 1030)  # seconds: before and after each of the times, with room for a slow machine


def restart(life, after):
    if after == "snapshot":
        life.call("SAVE")
    if after != "nothing":
        life.restart()


@pytest.mark.parametrize("after", ["nothing", "log", "snapshot"])
@pytest.mark.parametrize("form", [512, 0], ids=["small", "table"])
def test_what_is_looked_for(life, after, form):
    """By commands, while the server itself removes nothing."""
    life.call("CONFIG", "SET", "hash-max-listpack-entries", form)
    set_up(life.connection)
    restart(life, after)
    life.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    passed = 0
    for moment in MOMENTS:
        advance(life.connection, moment - passed)
        passed = moment
        check(life.connection, passed)


def count(lifetimes, passed):
    return sum(life is None or life > passed for life in lifetimes.values())


@pytest.mark.parametrize("after", ["nothing", "log", "snapshot"])
@pytest.mark.parametrize("form", [512, 0], ids=["small", "table"])
def test_what_nobody_looks_for(life, after, form):
    """DBSIZE counts what was not removed; nobody names a key."""
    life.call("CONFIG", "SET", "hash-max-listpack-entries", form)
    set_up(life.connection)
    # Beside the keys of the cases.
    for i in range(len(CASES)):
        life.call("DEL", f"j:{i}")
    restart(life, after)
    passed, removed = 0, 0
    for moment in MOMENTS:
        advance(life.connection, moment - passed)
        passed = moment
        left = count(LIFETIMES, passed) + 1
        wait_until(lambda left=left: integer(life.call("DBSIZE")) == left)
        wait_until(lambda: integer(life.call("HLEN", "h")) == count(FIELD_LIFETIMES, passed))
        removed = len(LIFETIMES) + 1 - left - len(WITH_FIELD)
    assert f"expired_keys:{removed}\r\n".encode() in life.call("INFO", "stats")
    check(life.connection, passed)
    life.restart()
    assert integer(life.call("DBSIZE")) == left


def test_a_snapshot_of_what_is_due_has_it_or_not(life):
    """What was due when the snapshot was made is not there after a restart, whichever wrote its end."""
    life.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    life.call("SET", "k", "v", "PX", 1)
    life.call("HSET", "h", "f", "v", "g", "w")
    life.call("HPEXPIRE", "h", 1, "FIELDS", 1, "f")
    advance(life.connection, 1)
    life.call("SAVE")
    life.restart()
    assert integer(life.call("EXISTS", "k")) == 0
    assert bulks(life.call("HGETALL", "h")) == [b"g", b"w"]


@pytest.mark.parametrize("command, value", [
    (["SET", "k", "new"], b"new"), (["SETNX", "k", "new"], b"new"), (["APPEND", "k", "new"], b"new"), (["INCR", "k"], b"1"),
    (["SETRANGE", "k", 0, "new"], b"new"), (["GETSET", "k", "new"], b"new"), (["SET", "k", "new", "KEEPTTL"], b"new"),
])  # fmt: skip
def test_a_write_after_the_time_begins_anew(life, command, value):
    life.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    life.call("SET", "k", "41", "EX", 100)
    advance(life.connection, 101)
    life.call(*command)
    assert decoded(life.call("GET", "k")) == value
    assert integer(life.call("TTL", "k")) == -1
    life.restart()
    assert decoded(life.call("GET", "k")) == value
    assert integer(life.call("TTL", "k")) == -1
