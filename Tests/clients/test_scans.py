"""SCAN, SSCAN, HSCAN and ZSCAN while elements come and go: what is there all the time is given, and, as in redis-server,
nothing is given twice because something else was removed."""

import pytest

from resp import bulks
from seed import seeded

# How a collection is filled, walked, and what is removed with; whether elements come with values.
KINDS = {
    "SCAN": (lambda e: ["SET", e, 1], ["SCAN"], lambda e: ["DEL", e], 1),
    "SSCAN": (lambda e: ["SADD", "k", e], ["SSCAN", "k"], lambda e: ["SREM", "k", e], 1),
    "HSCAN": (lambda e: ["HSET", "k", e, 1], ["HSCAN", "k"], lambda e: ["HDEL", "k", e], 2),
    "ZSCAN": (lambda e: ["ZADD", "k", 1, e], ["ZSCAN", "k"], lambda e: ["ZREM", "k", e], 2),
}


def step(connection, walk, cursor, step_size, count):
    """The next cursor and the elements of one call."""
    reply = connection.call(*walk, cursor, "COUNT", count)
    second = reply.index(b"\r\n", reply.index(b"$")) + 2
    third = reply.index(b"\r\n", second) + 2
    return reply[second : third - 2], bulks(reply[third:])[::step_size]


@pytest.mark.parametrize("count", [1, 10, 100])
@pytest.mark.parametrize("kind", KINDS)
def test_a_removal_gives_nothing_twice(both, kind, count):
    """600 elements; after each call one goes that was not given yet."""
    add, walk, remove, step_size = KINDS[kind]
    chance = seeded()
    for connection in (both.swiftlet, both.oracle):
        elements = [b"element-%d" % i for i in range(600)]
        connection.pipeline([add(element) for element in elements])
        cursor, given, removed = b"0", [], set()
        while True:
            cursor, found = step(connection, walk, cursor, step_size, count)
            given += found
            if cursor == b"0":
                break
            left = sorted(set(elements) - set(given) - removed)
            if left and len(removed) < 60:
                element = chance.choice(left)
                removed.add(element)
                connection.call(*remove(element))
        assert len(given) == len(set(given))
        assert set(given) >= set(elements) - removed
        connection.call("FLUSHALL")


@pytest.mark.parametrize("kind", KINDS)
def test_what_stays_is_given_while_the_table_grows_and_shrinks(swiftlet, kind):
    add, walk, remove, step_size = KINDS[kind]
    stay = [b"stay-%d" % i for i in range(500)]
    come = [b"come-%d" % i for i in range(8000)]
    for grows in (True, False):
        swiftlet.pipeline([add(element) for element in stay + ([] if grows else come)])
        cursor, given, change = b"0", set(), list(come)
        while True:
            cursor, found = step(swiftlet, walk, cursor, step_size, 10)
            given.update(found)
            if cursor == b"0":
                break
            part, change = change[:400], change[400:]
            if part:
                swiftlet.pipeline([(add if grows else remove)(element) for element in part])
        assert given >= set(stay)
        swiftlet.call("FLUSHALL")


@pytest.mark.parametrize("kind", KINDS)
def test_count_is_about_how_many_come(swiftlet, kind):
    add, walk, _, step_size = KINDS[kind]
    swiftlet.pipeline([add(b"element-%d" % i) for i in range(5000)])
    for count in (1, 10, 500):
        cursor, calls, most = b"0", 0, 0
        while True:
            cursor, found = step(swiftlet, walk, cursor, step_size, count)
            calls, most = calls + 1, max(most, len(found))
            if cursor == b"0":
                break
        assert most <= count + 40 and calls <= 5000 / count + 1
    assert len(step(swiftlet, walk, 0, step_size, 2**62)[1]) == 5000
