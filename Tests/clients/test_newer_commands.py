"""Commands that Redis 8 and Valkey 9 have added: written-down conversations, which the two are asked to confirm where REDIS8 and
VALKEY9 in the environment name their binaries (`make peers`), and what the commands leave in replicas, in the log and in
watched keys."""

import os
import random
import shlex

import pytest

import conversations
from oracle import Server, start_redis, start_swiftlet
from replicas import RawReplica, is_synchronised, wait_for_equal_offsets
from resp import bulk, bulks, decoded, integer
from seed import new_seed
from waiting import wait_until

FILES = sorted(conversations.FOLDER.glob("*.txt"))
PARTS = [pytest.param(part, id=part.title) for file in FILES for part in conversations.read(file)]
PEERS = {
    name: os.environ[variable]
    for name, variable in (("redis", "REDIS8"), ("valkey", "VALKEY9"))
    if variable in os.environ
}


@pytest.mark.parametrize("part", PARTS)
def test_conversation(swiftlet_server, part):
    speaker = conversations.Speaker(swiftlet_server)
    try:
        wrong = speaker.play(part)
    finally:
        speaker.close()
    assert not wrong, "\n".join(wrong)


@pytest.fixture(scope="module", params=PEERS)
def peer(request):
    server = Server(PEERS[request.param])
    server.name = request.param
    yield server
    server.stop()


@pytest.mark.parametrize("part", PARTS)
def test_a_peer_says_so_too(peer, part):
    if peer.name in part.absent:
        pytest.skip(f"{peer.name} has none")
    speaker = conversations.Speaker(peer)
    try:
        wrong = speaker.play(part, peer.name)
    finally:
        speaker.close()
    assert not wrong, "\n".join(wrong)


# What is random


def some(numbers, words, most):
    return [numbers.choice(words) for _ in range(numbers.randint(1, most))]


def random_hash_command(numbers):
    key, fields = numbers.choice(["h1", "h2"]), [f"f{i}" for i in range(5)]
    time = numbers.choice([["EX", 1000], ["PX", 100], ["EXAT", 4102444800], ["PXAT", 1], ["EX", 0], []])
    name = numbers.choice(["HGETEX", "HSETEX", "HSETEX", "HGETDEL", "HEXPIRETIME", "HMGET", "HSET", "HPERSIST"])
    few = some(numbers, fields, 3)
    pairs = [word for field in few for word in (field, numbers.randrange(100))]
    if name == "HGETEX":
        return [name, key, *numbers.choice([time, ["PERSIST"]]), "FIELDS", len(few), *few]
    if name == "HSETEX":
        condition = numbers.choice([[], [], ["FNX"], ["FXX"]])
        return [name, key, *condition, *numbers.choice([time, ["KEEPTTL"]]), "FIELDS", len(few), *pairs]
    if name == "HMGET":
        return [name, key, *few]
    return [name, key, *pairs] if name == "HSET" else [name, key, "FIELDS", len(few), *few]


def random_string_command(numbers):
    keys, values = ["s1", "s2", "s3"], ["", "1", "2", "x" * 40]
    time = numbers.choice([["EX", 1000], ["EXAT", 4102444800], ["KEEPTTL"], []])
    name = numbers.choice(["SET", "SET", "MSETEX", "DELIFEQ", "EXPIRETIME", "MGET"])
    few = some(numbers, keys, 3)
    value = numbers.choice(values)
    if name == "SET":
        return [name, few[0], value, "IFEQ", numbers.choice(values), *numbers.choice([[], ["GET"]]), *time]
    if name == "MSETEX":
        pairs = [word for key in few for word in (key, numbers.choice(values))]
        return [name, len(few), *pairs, *numbers.choice([[], ["NX"], ["XX"]]), *time]
    if name == "DELIFEQ":
        return [name, few[0], value]
    return [name, few[0]] if name == "EXPIRETIME" else [name, *keys]


def random_bit_command(numbers):
    keys = ["b1", "b2", "b3", "b4"]
    if numbers.random() < 0.3:
        length = numbers.choice([0, 1, 31, 32, 33, 64, 65, 100, 8191, 8192, 8193])
        return ["SET", numbers.choice(keys), numbers.randbytes(length)]
    if numbers.random() < 0.3:
        return ["GET", numbers.choice(keys)]
    return ["BITOP", numbers.choice(["DIFF", "DIFF1", "ANDOR", "ONE"]), numbers.choice(keys), *some(numbers, keys, 4)]


def random_stream_command(numbers, last):
    """`last`: the highest id's time so far, in a list of one."""
    last[0] = max(last[0], 1)
    group = numbers.choice(["g1", "g2"])
    ids = [f"{numbers.randint(1, last[0] + 1)}-0" for _ in range(numbers.randint(1, 4))]
    how = numbers.choice([[], ["KEEPREF"], ["DELREF"], ["ACKED"]])
    name = numbers.choice(
        ["XADD", "XADD", "XREADGROUP", "XREADGROUP", "XACK", "XDELEX", "XACKDEL", "XTRIM", "XPENDING", "XRANGE"]
    )
    if name == "XADD":
        last[0] += 1
        bound = numbers.choice(
            [[], [], [*how, "MAXLEN", numbers.randint(0, 20)], ["MINID", numbers.randint(1, last[0]), *how]]
        )
        return [name, "x", *bound, f"{last[0]}-0", "f", "v"]
    if name == "XREADGROUP":
        return [name, "GROUP", group, "c", "COUNT", numbers.randint(1, 5), "STREAMS", "x", ">"]
    if name == "XACK":
        return [name, "x", group, *ids]
    if name == "XTRIM":
        return [
            name,
            "x",
            *numbers.choice([["MAXLEN", numbers.randint(0, 15)], ["MINID", numbers.randint(1, last[0])]]),
            *how,
        ]
    if name in ("XDELEX", "XACKDEL"):
        return [name, "x", *([group] if name == "XACKDEL" else []), *how, "IDS", len(ids), *ids]
    return [name, "x", group] if name == "XPENDING" else [name, "x", "-", "+"]


def begin(connections):
    for connection in connections:
        connection.call("FLUSHALL")
        for group in ("g1", "g2"):
            assert connection.call("XGROUP", "CREATE", "x", group, 0, "MKSTREAM") == b"+OK\r\n"


def random_commands(numbers, count):
    last = [0]
    kinds = [random_hash_command, random_string_command, random_bit_command, lambda n: random_stream_command(n, last)]
    for _ in range(count):
        kind = numbers.choice(kinds)
        yield kind(numbers)


def absent(name, command):
    """Whether a peer has no such command."""
    new_string = command[0] in ("MSETEX", "DELIFEQ") or "IFEQ" in command
    return new_string if name == "redis" else command[0] in ("BITOP", "XDELEX", "XACKDEL") or command[0][0] == "X"


def test_at_random_as_a_peer(peer, swiftlet):
    """Without relative times, as the two have clocks of their own."""
    seed = new_seed()
    numbers = random.Random(seed)
    other = peer.connect()
    begin([swiftlet, other])
    for step, command in enumerate(random_commands(numbers, 20000)):
        if "PX" in command or 1000 in command or absent(peer.name, command):
            continue
        ours, theirs = swiftlet.call(*command), other.call(*command)
        assert ours == theirs, f"seed {seed}, step {step}: {command}"
    other.close()


def union(sources, at):
    found = 0
    for source in sources:
        found |= source[at] if at < len(source) else 0
    return found


def combined(operation, sources):
    """What BITOP is to answer."""
    result = bytearray()
    for at in range(max(map(len, sources))):
        first = sources[0][at] if at < len(sources[0]) else 0
        others = union(sources[1:], at)
        if operation == "DIFF":
            result.append(first & ~others)
        elif operation == "DIFF1":
            result.append(~first & others)
        elif operation == "ANDOR":
            result.append(first & others)
        else:
            once = twice = 0
            for source in sources:
                byte = source[at] if at < len(source) else 0
                twice |= once & byte
                once |= byte
            result.append(once & ~twice)
    return bytes(result)


def test_bits_as_a_model(swiftlet):
    numbers = random.Random(new_seed())
    for _ in range(300):
        lengths = [
            numbers.choice([0, 1, 31, 32, 33, 63, 64, 65, 200, 8192, 8193]) for _ in range(numbers.randint(2, 5))
        ]
        sources = [numbers.randbytes(length) for length in lengths]
        for i, source in enumerate(sources):
            swiftlet.call("SET", f"b{i}", source)
        operation = numbers.choice(["DIFF", "DIFF1", "ANDOR", "ONE"])
        names = [f"b{i}" for i in range(len(sources))]
        expected = combined(operation, sources)
        assert integer(swiftlet.call("BITOP", operation, "d", *names)) == len(expected)
        assert bulk(swiftlet.call("GET", "d")) == expected if expected else swiftlet.call("EXISTS", "d") == b":0\r\n"


def test_relative_times(swiftlet):
    swiftlet.call("HSETEX", "h", "EX", 100, "FIELDS", 2, "a", 1, "b", 2)
    assert 99_000 < decoded(swiftlet.call("HPTTL", "h", "FIELDS", 1, "b"))[0] <= 100_000
    swiftlet.call("HGETEX", "h", "PX", 50_000, "FIELDS", 1, "b")
    assert 49_000 < decoded(swiftlet.call("HPTTL", "h", "FIELDS", 1, "b"))[0] <= 50_000
    swiftlet.call("MSETEX", 2, "s", 1, "t", 2, "EX", 100)
    assert 99_000 < integer(swiftlet.call("PTTL", "t")) <= 100_000


def test_what_was_due_is_not_there(swiftlet):
    swiftlet.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    try:
        swiftlet.call("HSETEX", "h", "PX", 1, "FIELDS", 2, "a", 1, "b", 2)
        swiftlet.call("HSET", "h", "c", 3)
        wait_until(lambda: swiftlet.call("HEXISTS", "h", "a") == b":0\r\n")
        assert swiftlet.call("HSETEX", "h", "FXX", "FIELDS", 1, "b", 2) == b":0\r\n"
        assert bulks(swiftlet.call("HGETDEL", "h", "FIELDS", 2, "b", "c")) == [None, b"3"]
        assert integer(swiftlet.call("EXISTS", "h")) == 0
    finally:
        swiftlet.call("DEBUG", "SET-ACTIVE-EXPIRE", 1)


# What they leave

LATER = [
    (["HSET", "k", "a", 1], ["HGETEX", "k", "FIELDS", 1, "a"], ["HGETEX", "k", "EX", 9, "FIELDS", 1, "a"]),
    (["HSET", "k", "a", 1], ["HGETEX", "k", "PERSIST", "FIELDS", 1, "a"], ["HGETEX", "k", "EX", 0, "FIELDS", 1, "a"]),
    (["HSET", "k", "a", 1], ["HSETEX", "k", "FNX", "FIELDS", 1, "a", 2], ["HSETEX", "k", "FIELDS", 1, "a", 2]),
    (["HSET", "k", "a", 1], ["HGETDEL", "k", "FIELDS", 1, "b"], ["HGETDEL", "k", "FIELDS", 1, "a"]),
    (["SET", "k", 1], ["SET", "k", 2, "IFEQ", 2], ["SET", "k", 2, "IFEQ", 1]),
    (["SET", "k", 1], ["SET", "k", 2, "IFNE", 1], ["SET", "k", 2, "IFNE", 2]),
    (["SET", "k", 1], ["DELEX", "k", "IFNE", 1], ["DELEX", "k", "IFEQ", 1]),
    (["SET", "k", 1], ["DELIFEQ", "k", 2], ["DELIFEQ", "k", 1]),
    (["SET", "k", 1], ["MSETEX", 1, "k", 1, "NX"], ["MSETEX", 1, "k", 1, "XX"]),
    (["SET", "k", 1], ["BITOP", "DIFF", "l", "k", "k"], ["BITOP", "ONE", "k", "k"]),
    (["XADD", "k", "1-1", "f", "v"], ["XDELEX", "k", "IDS", 1, "2-1"], ["XDELEX", "k", "IDS", 1, "1-1"]),
    (["XADD", "k", "1-1", "f", "v"], ["XTRIM", "k", "MAXLEN", 1, "ACKED"], ["XTRIM", "k", "MAXLEN", 0, "ACKED"]),
]


@pytest.mark.parametrize("before, nothing, something", LATER, ids=lambda words: words[0])
def test_watched_keys(swiftlet, swiftlet_server, before, nothing, something):
    other = swiftlet_server.connect()
    for command, is_executed in ((nothing, True), (something, False)):
        swiftlet.call("FLUSHALL")
        swiftlet.call(*before)
        swiftlet.call("WATCH", "k")
        assert not other.call(*command).startswith(b"-")
        assert swiftlet.call("MULTI") == b"+OK\r\n"
        swiftlet.call("PING")
        assert (swiftlet.call("EXEC") == b"*1\r\n+PONG\r\n") == is_executed, command
    other.close()


def state(connection):
    hashes = [sorted(map(str, decoded(connection.call("HGETALL", key)))) for key in ("h1", "h2")]
    times = [connection.call("HPEXPIRETIME", key, "FIELDS", 5, *(f"f{i}" for i in range(5))) for key in ("h1", "h2")]
    return connection.call("DEBUG", "DIGEST"), hashes, times


def commands_for(numbers, knows_times):
    for command in random_commands(numbers, 4000):
        # Fields whose time comes meanwhile are another test's.
        sets_times = command[0] in ("HSETEX", "HGETEX") and {"EX", "EXAT", "PXAT"} & set(command)
        if "PX" not in command and (knows_times or not sets_times):
            yield command


@pytest.mark.parametrize("follow", ["swiftlet", "redis"])
def test_the_log_and_replicas_have_the_same(follow):
    """Old replicas too, but for the times of fields: every command is propagated as some that they know."""
    seed = new_seed()
    numbers = random.Random(seed)
    master = start_swiftlet("--appendonly", "yes")
    follower = (start_swiftlet if follow == "swiftlet" else start_redis)("--replicaof", f"127.0.0.1 {master.port}")
    try:
        connection, replica = master.connect(), follower.connect()
        wait_until(lambda: is_synchronised(replica))
        connection.call("CONFIG", "SET", "stream-node-max-entries", 5)
        begin([connection])
        for command in commands_for(numbers, follow == "swiftlet"):
            connection.call(*command)
        wait_for_equal_offsets(connection, replica)
        before = state(connection)
        same = state(replica) if follow == "swiftlet" else (replica.call("DEBUG", "DIGEST"), *before[1:])
        assert same == before, f"seed {seed}"
        if follow == "redis":
            assert b"errorstat_" not in replica.call("INFO", "errorstats")
        assert connection.call("DEBUG", "LOADAOF") == b"+OK\r\n"
        assert state(connection) == before, f"seed {seed}"
    finally:
        follower.stop()
        master.stop()


PROPAGATED = """
HSETEX h EXAT 4102444800 FIELDS 2 a 1 b 2 => MULTI; HSET h a 1 b 2; HPEXPIREAT h 4102444800000 FIELDS 2 a b; EXEC
HSETEX h KEEPTTL FIELDS 2 a 2 c 3 => MULTI; HSET h a 2 c 3; HPEXPIREAT h 4102444800000 FIELDS 1 a; EXEC
HSETEX h FXX FIELDS 1 c 4 => HSET h c 4
HGETEX h PERSIST FIELDS 2 a c => HPERSIST h FIELDS 1 a
HGETEX h PXAT 4102444800001 FIELDS 2 a nope => HPEXPIREAT h 4102444800001 FIELDS 1 a
HSETEX h EXAT 1 FIELDS 2 c 1 d 2 => HDEL h c
HGETEX h EX 0 FIELDS 2 b nope => HDEL h b
HGETDEL h FIELDS 2 a nope => HDEL h a
HSETEX h EXAT 1 FIELDS 1 a 1 =>
SET s 1 IFNE 1 => SET s 1
SET s 2 IFEQ 1 EXAT 4102444800 => SET s 2 PXAT 4102444800000
SET s 3 IFEQ 2 KEEPTTL GET => SET s 3 KEEPTTL
MSETEX 2 s 1 t 2 NX =>
MSETEX 2 s 1 t 2 => MSET s 1 t 2
MSETEX 2 s 1 t 2 EXAT 4102444800 => MULTI; SET s 1 PXAT 4102444800000; SET t 2 PXAT 4102444800000; EXEC
MSETEX 2 s 1 t 2 KEEPTTL => MULTI; SET s 1 KEEPTTL; SET t 2 KEEPTTL; EXEC
BITOP ANDOR u s t => SET u 0
BITOP ONE u nope => DEL u
BITOP ONE u nope => DEL u
DELIFEQ s 1 => DEL s
DELEX t IFNE 1 => DEL t
XADD x 1-1 f v => XADD x 1-1 f v
XADD x 2-1 f v => XADD x 2-1 f v
XADD x 3-1 f v => XADD x 3-1 f v
XGROUP CREATE x g 3-1 => XGROUP CREATE x g 3-1
XCLAIM x g c 0 1-1 3-1 FORCE JUSTID TIME 1 => *
XTRIM x MAXLEN 0 ACKED => XDEL x 2-1
XACKDEL x g ACKED IDS 1 1-1 => MULTI; XACK x g 1-1; XDEL x 1-1; EXEC
XADD x DELREF MAXLEN 1 4-1 f v => MULTI; XADD x MAXLEN = 1 4-1 f v; XACK x g 3-1; EXEC
XDELEX x ACKED IDS 1 4-1 =>
XDELEX x DELREF IDS 2 4-1 5-1 => XDEL x 4-1
"""


def test_what_is_propagated():
    # Of its own: who has had a replica counts the stream from then on.
    server = start_swiftlet("--repl-diskless-sync-delay", "0")
    swiftlet, replica = server.connect(), RawReplica(server.port)
    _, offset, _ = replica.full_sync("eof", "psync2")
    replica.acknowledge(offset)
    for line in PROPAGATED.strip().splitlines():
        command, _, expected = line.partition(" =>")
        assert not swiftlet.call(*shlex.split(command)).startswith(b"-"), line
        swiftlet.call("PUBLISH", "until", "now")
        heard = []
        while (words := [word.decode() for word in decoded(replica.reply())])[0].upper() != "PUBLISH":
            if words[0] not in ("SELECT", "PING"):
                heard.append(" ".join([words[0].upper(), *words[1:]]))
        if expected != " *":
            assert "; ".join(heard) == expected.strip(), line
    replica.close()
    server.stop()
