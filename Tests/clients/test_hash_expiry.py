"""Fields of hashes that expire. The oracle has none: what is right is what Redis 7.4 documents."""

import random
import time

import pytest

from oracle import start_swiftlet
from resp import bulk, bulks, integer
from script import scan_all
from seed import new_seed


def numbers_of(reply):
    assert reply[:1] == b"*", reply
    return [int(line[1:]) for line in reply.split(b"\r\n")[1:-1]]


@pytest.fixture(params=[512, 0], ids=["small", "table"])
def server(request, swiftlet):
    """Connections that expire nothing by themselves."""
    swiftlet.call("CONFIG", "SET", "hash-max-listpack-entries", request.param)
    swiftlet.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    swiftlet.encoding = b"listpackex" if request.param else b"hashtable"
    yield swiftlet
    swiftlet.call("DEBUG", "SET-ACTIVE-EXPIRE", 1)
    swiftlet.call("CONFIG", "SET", "hash-max-listpack-entries", 512)


def fields(server, command, *fields, key="h"):
    return numbers_of(server.call(*command.split()[:1], key, *command.split()[1:], "FIELDS", len(fields), *fields))


def fill(server, key="h", count=4):
    server.call("DEL", key)
    server.call("HSET", key, *(word for i in range(count) for word in (f"f{i}", f"v{i}")))


def eventually(condition):
    """Waits for what the server does by itself."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_answers(server):
    assert fields(server, "HEXPIRE 100", "a", "b") == [-2, -2]
    assert fields(server, "HTTL", "a") == fields(server, "HPERSIST", "a") == [-2]
    fill(server)
    assert fields(server, "HTTL", "f0", "x") == [-1, -2]
    assert fields(server, "HPERSIST", "f0", "x") == [-1, -2]
    assert fields(server, "HEXPIRE 100", "f0", "x", "f1") == [1, -2, 1]
    assert fields(server, "HTTL", "f0", "f1", "f2") == [100, 100, -1]
    assert 99_000 < fields(server, "HPTTL", "f0")[0] <= 100_000
    assert fields(server, "HEXPIREAT 2000000000", "f0") == [1]
    assert fields(server, "HEXPIRETIME", "f0") == [2000000000]
    assert fields(server, "HPEXPIRETIME", "f0") == [2000000000000]
    assert fields(server, "HPEXPIREAT 2000000000001", "f0") == [1]
    assert fields(server, "HEXPIRETIME", "f0") == [2000000001]
    assert fields(server, "HPERSIST", "f0", "f1", "f2") == [1, 1, -1]
    assert fields(server, "HTTL", "f0", "f1") == [-1, -1]
    assert bulk(server.call("OBJECT", "ENCODING", "h")) == server.encoding
    assert bulk(server.call("HGET", "h", "f0")) == b"v0"


def test_conditions(server):
    fill(server)
    assert fields(server, "HEXPIRE 100 XX", "f0") == [0]
    assert fields(server, "HEXPIRE 100 GT", "f0") == [0]
    assert fields(server, "HEXPIRE 100 NX", "f0") == [1]
    assert fields(server, "HEXPIRE 200 NX", "f0", "f1") == [0, 1]
    assert fields(server, "HEXPIRE 50 GT", "f0") == [0]
    assert fields(server, "HEXPIRE 150 GT", "f0", "f1") == [1, 0]
    assert fields(server, "HEXPIRE 120 LT", "f0", "f1", "f2") == [1, 1, 1]
    assert fields(server, "HEXPIRE 130 LT", "f0") == [0]
    assert fields(server, "HEXPIRE 500 XX", "f0", "f3") == [1, 0]
    assert fields(server, "HTTL", "f0", "f1", "f2", "f3") == [500, 120, 120, -1]


def test_the_past_removes(server):
    fill(server)
    assert fields(server, "HEXPIREAT 1", "f0", "x", "f1") == [2, -2, 2]
    assert fields(server, "HEXPIREAT 1 XX", "f2") == [0]
    assert integer(server.call("HLEN", "h")) == 2
    assert fields(server, "HPEXPIRE 0", "f2", "f3") == [2, 2]
    assert integer(server.call("EXISTS", "h")) == 0


def test_errors(server):
    fill(server)
    server.call("SET", "s", "x")
    for text, words in {
        b"-ERR invalid expire time, must be >= 0": "HEXPIRE h -1 FIELDS 1 f0",
        b"-ERR value is not an integer or out of range": "HEXPIRE h x FIELDS 1 f0",
        b"-ERR invalid expire time in 'hexpire' command": f"HEXPIRE h {1 << 38} FIELDS 1 f0",
        b"-ERR invalid expire time in 'hpexpireat' command": f"HPEXPIREAT h {1 << 46} FIELDS 1 f0",
        b"-ERR Mandatory argument FIELDS is missing or not at the right position": "HEXPIRE h 1 f0 1 a",
        b"-ERR Parameter `numFields` should be greater than 0": "HTTL h FIELDS 0 f0",
        b"-ERR The `numfields` parameter must match the number of arguments": "HTTL h FIELDS 2 f0",
        b"-WRONGTYPE Operation against a key holding the wrong kind of value": "HPERSIST s FIELDS 1 f0",
        b"-ERR wrong number of arguments for 'hpersist' command": "HPERSIST h FIELDS 1",
        b"-ERR wrong number of arguments for 'hexpire' command": "HEXPIRE h 1 FIELDS 1",
    }.items():
        assert server.call(*words.split()) == text + b"\r\n", words
    assert server.call("HEXPIRE", "h", 1, "XX", "FIELDS").startswith(b"-ERR wrong number")
    assert server.call("HEXPIRE", "h", 1, "XX", "FIELDS", "1").startswith(b"-ERR Parameter") is False
    assert fields(server, "HTTL", "f0") == [-1]


def test_what_is_due_is_not_seen(server):
    fill(server, count=8)
    assert fields(server, "HPEXPIRE 1", "f0", "f1", "f2", "f3", "f4") == [1] * 5
    time.sleep(0.02)
    live = [b"f5", b"f6", b"f7"]
    assert bulks(server.call("HKEYS", "h")) == live
    assert bulks(server.call("HVALS", "h")) == [b"v5", b"v6", b"v7"]
    assert bulks(server.call("HGETALL", "h"))[::2] == live
    assert sorted(scan_all(server, "HSCAN", "h")[::2]) == live
    assert integer(server.call("HLEN", "h")) == 8
    assert bulks(server.call("HMGET", "h", "f0", "f5", "x")) == [None, b"v5", None]
    assert integer(server.call("HLEN", "h")) == 7
    assert integer(server.call("HSETNX", "h", "f1", "new")) == 1
    assert integer(server.call("HINCRBY", "h", "f2", 3)) == 3
    assert fields(server, "HTTL", "f1", "f2", "f3") == [-1, -1, -2]
    assert integer(server.call("HSET", "h", "f3", "again")) == 1
    assert sorted(bulks(server.call("HRANDFIELD", "h", 100))) == [b"f1", b"f2", b"f3", *live]
    assert integer(server.call("HLEN", "h")) == 6
    fields(server, "HPEXPIRE 1", "f1", "f2", "f3", "f5", "f6", "f7")
    time.sleep(0.02)
    assert bulks(server.call("HGETALL", "h")) == []
    assert integer(server.call("EXISTS", "h")) == 1
    assert bulk(server.call("HRANDFIELD", "h")) is None
    assert integer(server.call("EXISTS", "h")) == 0
    fill(server, count=1)
    fields(server, "HPEXPIRE 1", "f0")
    time.sleep(0.02)
    assert bulks(server.call("HMGET", "h", "f0", "f0", "f1")) == [None] * 3
    assert integer(server.call("EXISTS", "h")) == 0


def test_setting_takes_the_expiry_away(server):
    fill(server)
    fields(server, "HEXPIRE 100", "f0", "f1", "f2", "f3")
    server.call("HSET", "h", "f0", "other")
    server.call("HSET", "h", "f3", "a value that is longer than the one that was there before")
    server.call("HSET", "h", "n", 1)
    fields(server, "HEXPIRE 100", "n")
    server.call("HINCRBY", "h", "n", 10**15)
    server.call("HINCRBYFLOAT", "h", "n", "0.5")
    assert fields(server, "HTTL", "f0", "f1", "f3", "n") == [-1, 100, -1, 100]
    server.call("HDEL", "h", "f1", "f2")
    assert fields(server, "HTTL", "f1") == [-2]


def test_the_key_goes_elsewhere(server):
    for i, move in enumerate((["RENAME", "h", "h2"], ["COPY", "h", "h2"], ["COPY", "h", "h2", "REPLACE"])):
        fill(server)
        fields(server, "HPEXPIRE 30", "f0", "f1")
        fields(server, "HEXPIRE 1000", "f2")
        server.call("DEL", "h2") if i < 2 else fill(server, "h2", 9)
        server.call(*move)
        assert 900 < fields(server, "HTTL", "f2", key="h2")[0] <= 1000
        assert fields(server, "HTTL", "f3", key="h2") == [-1]
        server.call("DEL", "h")
        server.call("DEBUG", "SET-ACTIVE-EXPIRE", 1)
        eventually(lambda: integer(server.call("HLEN", "h2")) == 2)
        server.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    fill(server)
    fields(server, "HPEXPIRE 60000", "f0")
    fields(server, "HPEXPIRE 30", "f1", "f2", "f3")
    server.call("MOVE", "h", 3)
    server.call("SWAPDB", 3, 4)
    server.call("SELECT", 4)
    assert fields(server, "HPTTL", "f0")[0] > 0
    server.call("DEBUG", "SET-ACTIVE-EXPIRE", 1)
    eventually(lambda: integer(server.call("HLEN", "h")) == 1)
    fields(server, "HPEXPIRE 1", "f0")
    eventually(lambda: integer(server.call("EXISTS", "h")) == 0)
    fill(server)
    fields(server, "HPEXPIRE 30", "f0")
    server.call("FLUSHDB")
    time.sleep(0.2)
    server.call("SELECT", 0)


def test_active_expiry(server):
    server.call("DEBUG", "SET-ACTIVE-EXPIRE", 1)
    for size in (1, 15, 17, 100, 3000):
        fill(server, f"h{size}", size)
        server.call("HSET", f"keep{size}", "stays", 1)
        for i in range(size):
            server.call("HSET", f"keep{size}", f"f{i}", i)
            fields(server, f"HPEXPIRE {random.randint(1, 80)}", f"f{i}", key=f"h{size}")
            fields(server, "HPEXPIRE 60", f"f{i}", key=f"keep{size}")
    for size in (1, 15, 17, 100, 3000):
        eventually(lambda: integer(server.call("EXISTS", f"h{size}")) == 0)
        eventually(lambda: integer(server.call("HLEN", f"keep{size}")) == 1)
    assert b"subexpiry" not in server.call("INFO", "keyspace")


def test_at_random(server):
    """Against a model: times far off and in the past, so that nothing depends on the clock."""
    seed = new_seed()
    numbers = random.Random(seed)
    hashes = {}
    base = 2_000_000_000_000
    for step in range(6000):
        key = f"k{numbers.randrange(3)}"
        field = f"f{numbers.randrange(40)}"
        hash_ = hashes.setdefault(key, {})
        action = numbers.choice(("set", "set", "expire", "expire", "persist", "del", "past", "check", "rename", "incr"))
        if action == "set":
            value = "v" * numbers.choice((1, 5, 30, 100))
            assert integer(server.call("HSET", key, field, value)) == (field not in hash_)
            hash_[field] = [value, None]
        elif action == "expire":
            when = base + numbers.randrange(1000)
            word = numbers.choice(("", "NX", "XX", "GT", "LT"))
            expected = -2
            if field in hash_:
                old = hash_[field][1]
                fits = {
                    "": True,
                    "NX": old is None,
                    "XX": old is not None,
                    "GT": old is not None and when > old,
                    "LT": old is None or when < old,
                }[word]
                expected = int(fits)
                if fits:
                    hash_[field][1] = when
            assert fields(server, f"HPEXPIREAT {when} {word}", field, key=key) == [expected]
        elif action == "persist":
            expected = -2 if field not in hash_ else -1 if hash_[field][1] is None else 1
            assert fields(server, "HPERSIST", field, key=key) == [expected]
            if field in hash_:
                hash_[field][1] = None
        elif action == "del":
            assert integer(server.call("HDEL", key, field)) == (hash_.pop(field, None) is not None)
        elif action == "past" and numbers.random() < 0.3:
            assert fields(server, "HEXPIREAT 5", field, key=key) == [2 if hash_.pop(field, None) else -2]
        elif action == "incr" and not isinstance(hash_.get(field, [0])[0], str):
            if field not in hash_:
                hash_[field] = [0, None]
            hash_[field][0] += step
            assert integer(server.call("HINCRBY", key, field, step)) == hash_[field][0]
        elif action == "rename" and hash_ and numbers.random() < 0.1:
            other = f"k{numbers.randrange(3)}"
            server.call("RENAME", key, other)
            hashes[other] = hashes.pop(key)
        if step % 300 == 299:
            if numbers.random() < 0.5:
                assert server.call("DEBUG", "RELOAD") == b"+OK\r\n"
            for key, hash_ in hashes.items():
                pairs = bulks(server.call("HGETALL", key))
                assert dict(zip(pairs[::2], pairs[1::2])) == {
                    f.encode(): str(v).encode() for f, (v, _) in hash_.items()
                }
                if hash_:
                    assert fields(server, "HPEXPIRETIME", *hash_, key=key) == [w or -1 for _, w in hash_.values()]


@pytest.mark.parametrize("entries", [512, 0])
def test_times_survive(entries):
    """A restart from the log alone, and one from a snapshot that only changed expiries went into."""
    server = start_swiftlet("--appendonly", "yes", "--hash-max-listpack-entries", str(entries))
    try:
        c = server.connect()
        assert c.call("SAVE") == b"+OK\r\n"
        fill(c, count=20)
        fill(c, "gone", 2)
        fields(c, "HEXPIREAT 2000000000", "f1", "f2", "f3")
        fields(c, "HPEXPIRE 100000", "f4")
        c.call("HSET", "h", "n", 5)
        fields(c, "HEXPIREAT 2000000007", "n")
        c.call("HINCRBYFLOAT", "h", "n", "0.25")
        fields(c, "HPEXPIRE 20", "f0", "f1", key="gone")
        fields(c, "HPEXPIRE 20", "f19")
        time.sleep(0.3)
        names = [f"f{i}" for i in range(20)] + ["n"]

        def state():
            return fields(c, "HPEXPIRETIME", *names), sorted(bulks(c.call("HGETALL", "h"))), c.call("DEBUG", "DIGEST")

        before = state()
        assert before[0][1:4] == [2000000000000] * 3 and before[0][-2:] == [-2, 2000000007000]
        assert c.call("DEBUG", "LOADAOF") == b"+OK\r\n"
        assert state() == before
        assert c.call("SAVE") == b"+OK\r\n"
        fields(c, "HPERSIST", "f1")
        fields(c, "HEXPIREAT 2000000001", "f5")
        before = state()
        assert c.call("DEBUG", "RELOAD") == b"+OK\r\n"
        assert state() == before
        assert c.call("DEBUG", "LOADAOF") == b"+OK\r\n"
        assert state() == before
        assert bulk(c.call("OBJECT", "ENCODING", "h")) == (b"listpackex" if entries else b"hashtable")
        assert integer(c.call("EXISTS", "gone")) == 0
        assert b"subexpiry=1" in c.call("INFO", "keyspace")
    finally:
        server.stop()


def test_dump_has_the_version_that_knows_fields_that_expire(server):
    """A server that cannot keep the times of fields must refuse the payload: RDB 12, else 10."""
    fill(server)
    assert bulk(server.call("DUMP", "h"))[-10:-8] == b"\x0a\0"
    fields(server, "HEXPIRE 100", "f0")
    assert bulk(server.call("DUMP", "h"))[-10:-8] == b"\x0c\0"
