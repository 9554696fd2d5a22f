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
