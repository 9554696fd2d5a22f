"""More elements, changes or clients than a structure's constant, at which the code takes another way: what is stored, logged
and answered stays right. The same with small structures is tried in debug builds, see CONTRIBUTING.md."""

import pytest

from life import Life
from moved_clock import advance
from resp import Connection, bulks, decoded, integer
from seed import seeded
from waiting import wait_until


@pytest.fixture
def life(tmp_path):
    directory = tmp_path / "data"
    directory.mkdir()
    found = Life(directory)
    yield found.start()
    found.kill()


def survives(life, save):
    """What is there after kill -9, from the log alone or from a snapshot, is what was there."""
    digest = life.digest()
    if save:
        life.call("SAVE")
    life.restart()
    assert life.digest() == digest


@pytest.mark.parametrize("count", [1023, 1024, 1025, 2048, 2049, 3000])
def test_spop_of_many_members(life, count):
    life.call("SADD", "s", *range(100_000, 105_000))
    popped = bulks(life.call("SPOP", "s", count))
    assert len(set(popped)) == count
    assert integer(life.call("SCARD", "s")) == 5000 - count
    assert not set(popped) & set(bulks(life.call("SMEMBERS", "s")))
    survives(life, save=False)


@pytest.mark.parametrize("changes", [255, 256, 257, 700])
def test_a_list_changed_in_many_places(life, changes):
    """In more intervals of slots than are told apart, between two snapshots."""
    life.call("RPUSH", "l", *(f"item {i}" for i in range(6000)))
    life.call("SAVE")
    rng = seeded(changes)
    for index in rng.sample(range(0, 6000, 3), changes):
        life.call("LSET", "l", index, f"changed {rng.randrange(1000)}")
    life.call("LINSERT", "l", "BEFORE", "item 1", "inserted")
    life.call("LREM", "l", 1, "item 4")
    survives(life, save=True)
    life.call("LPUSH", "l", "head")
    survives(life, save=True)


@pytest.mark.parametrize("members", [60, 64, 65, 4000, 4096, 4097, 20_000])
def test_ranks_in_a_tree_of_several_levels(both, members):
    rng = seeded(members)
    scores = list(range(members))
    rng.shuffle(scores)
    for at in range(0, members, 1000):
        both("ZADD", "z", *(word for i in scores[at : at + 1000] for word in (i // 3, f"m{i:06}")))
    for _ in range(200):
        both("ZRANK", "z", f"m{rng.randrange(members):06}")
        low = rng.randrange(members)
        both("ZCOUNT", "z", low // 3, f"({low // 3 + 50}")
        both("ZRANGE", "z", low, low + 5, "WITHSCORES")
    for i in rng.sample(range(members), members * 3 // 4):
        both("ZREM", "z", f"m{i:06}")
    for _ in range(100):
        both("ZREVRANK", "z", f"m{rng.randrange(members):06}")
    both("ZRANGE", "z", 0, -1, "WITHSCORES")


def test_many_leave_the_queue(life):
    """More than 32 places in a queue of waiting clients become vacant; the others are served in the order in which they
    came."""
    clients = []
    for i in range(120):
        connection = Connection(life.server.port)
        # Those who are to leave have a time.
        connection.send("BLPOP", "l", 100 if i % 4 else 0)
        clients.append(connection)
        wait_until(lambda i=i: f"blocked_clients:{i + 1}\r".encode() in life.call("INFO", "clients"))
    advance(life.connection, 101)
    wait_until(lambda: b"blocked_clients:30\r" in life.call("INFO", "clients"))
    for number, connection in enumerate(clients[::4]):
        life.call("RPUSH", "l", number)
        assert decoded(connection.reply()) == [b"l", b"%d" % number]
    survives(life, save=False)


@pytest.mark.parametrize("size", [131_071, 131_072, 131_073, 262_144, 300_001])
def test_a_long_string_is_saved_in_pieces(life, size):
    value = seeded(size).randbytes(size)
    life.call("SET", "s", value)
    life.call("SET", "t", b"x" + value)
    survives(life, save=True)
    life.call("APPEND", "s", "tail")
    survives(life, save=True)


@pytest.mark.parametrize("count", [255, 256, 257, 511, 512, 513, 2000])
def test_elements_of_a_table(life, count):
    """As many as the first block of bits for changes has, and more."""
    life.call("CONFIG", "SET", "hash-max-listpack-entries", 16)
    life.call("HSET", "h", *(word for i in range(count) for word in (f"f{i}", i)))
    life.call("SAVE")
    life.call("HSET", "h", f"f{count - 1}", "changed", "new", "field", "f0", "changed too")
    life.call("HDEL", "h", "f1", "f2")
    survives(life, save=True)


@pytest.mark.parametrize("count", [10, 11, 12, 100])
def test_slots_at_the_head_of_a_list(life, count):
    """Small structures have room for few pushes at a list's head before its slots are numbered anew."""
    life.call("CONFIG", "SET", "list-max-listpack-size", 4)
    life.call("RPUSH", "l", *range(20))
    life.call("SAVE")
    for i in range(count):
        life.call("LPUSH", "l", f"head {i}")
    survives(life, save=True)
