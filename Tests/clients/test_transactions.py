"""WATCH across SWAPDB, FLUSHALL and expiry: what counts as a change to a watched key."""

import pytest


def exec_after(both, watch_db, prepare, act):
    """EXEC's reply after `act`, on both servers; each step is compared."""
    both("SELECT", 0)
    both("FLUSHALL")
    both("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    try:
        for command in prepare:
            both(*command)
        both("SELECT", watch_db)
        both("WATCH", "x")
        for command in act:
            both(*command)
        both("MULTI")
        both("PING")
        both("EXEC")
    finally:
        both("DEBUG", "SET-ACTIVE-EXPIRE", 1)
        both("SELECT", 0)


STALE = ["SET", "x", "foo", "PXAT", 1]
SHORT = ["PSETEX", "x", 1, "foo"]


@pytest.mark.parametrize(
    "prepare, act",
    [
        ([], [["SWAPDB", 0, 1]]),
        ([["SELECT", 1], ["SET", "x", "foo"]], [["SWAPDB", 0, 1]]),
        ([["SELECT", 1], SHORT, ["DEBUG", "SLEEP", "0.01"]], [["SWAPDB", 0, 1]]),
        ([["SET", "x", "foo"]], [["SWAPDB", 0, 1]]),
        ([["SET", "x", "foo"]], [["FLUSHALL"]]),
        ([], [["FLUSHALL"]]),
        ([["SET", "x", "foo"]], [["SET", "x", "foo"]]),
        ([["SET", "x", "foo"]], [["GET", "x"]]),
        ([["SET", "x", "foo"]], [["EXPIRE", "x", 100]]),
        ([SHORT, ["DEBUG", "SLEEP", "0.01"]], [["GET", "x"]]),
        ([], [STALE]),
    ],
    ids=range(11),
)
def test_watched_keys(both, prepare, act):
    exec_after(both, 0, prepare, act)


# Type, and writes that change nothing: only some of them count as a change.
IDLE_WRITES = {
    "SET x 5": """
        SETNX x 6
        SET x 5 NX
        SET x 5
        APPEND x |
        SETRANGE x 1 |
        INCRBY x 0
        SETBIT x 1 0
        BITFIELD x SET u1 0 0
        PERSIST x
        EXPIRE x 100 XX
        GETEX x
        GETEX x PERSIST
        RENAME x x
        RENAMENX x x
        COPY other x
        RESTORE x 0 bad
        LPUSH x 1
        SINTERSTORE x none
    """,
    "RPUSH x a b c": """
        LTRIM x 0 -1
        LTRIM x -100 100
        LREM x 0 none
        LINSERT x BEFORE none n
        LSET x 0 a
        LMOVE x x LEFT LEFT
        LPOP x 0
        SORT x BY nosort STORE x
        SORT none STORE x
    """,
    "HSET x f 1": """
        HSET x f 1
        HSETNX x f 2
        HDEL x none
        HINCRBY x f 0
        HINCRBYFLOAT x f 0
    """,
    "SADD x 1 2 a": """
        SADD x a
        SREM x none
        SMOVE x none none
        SMOVE x x a
        SPOP x 0
        SUNIONSTORE x x
    """,
    "ZADD x 1 a 2 b": """
        ZADD x 1 a
        ZADD x XX 5 none
        ZADD x GT 0 a
        ZINCRBY x 0 a
        ZREM x none
        ZREMRANGEBYSCORE x 5 6
        ZPOPMIN x 0
        ZUNIONSTORE x 1 x
    """,
    "XADD x 1-1 f v": """
        XTRIM x MAXLEN 5
        XDEL x 9-9
        XSETID x 1-1
        XGROUP CREATE x g 0
        XGROUP DESTROY x none
        XACK x none 1-1
    """,
    "PFADD x a b": """
        PFADD x a
        PFADD x
        PFMERGE x
        PFCOUNT x
    """,
    "GEOADD x 13 38 a": """
        GEOADD x 13 38 a
        GEOADD x XX 13 38 none
        GEORADIUS none 0 0 1 m STORE x
    """,
}


@pytest.mark.parametrize("prepare", IDLE_WRITES)
def test_watched_keys_and_writes_that_change_nothing(both, prepare):
    for line in IDLE_WRITES[prepare].strip().splitlines():
        act = [word.strip("|") for word in line.split()]
        exec_after(both, 0, [["SET", "other", 1], prepare.split()], [act])
