"""Client-side caching: who is told of what, and in which order, compared with redis-server 7.0.15 byte for byte but where 7.2
is the model: a message to the client that causes it follows the whole reply there, also where others redirect theirs to it."""

import os
import re

import pytest
import redis

from moved_clock import advance
from oracle import start_swiftlet
from pushed import Listening
from resp import bulk, bulks, encode, integer
from seed import seeded
from waiting import wait_until

CHANNEL = "__redis__:invalidate"
HEADS = re.compile(
    rb">2\r\n\$10\r\ninvalidate\r\n|\*3\r\n\$7\r\nmessage\r\n\$20\r\n__redis__:invalidate\r\n"
    rb"|>2\r\n\$21\r\ntracking-redir-broken\r\n"
)
NULLS = (b"_\r\n", b"$-1\r\n")


def pushed(*keys):
    """The message that names these keys, in RESP3; all where there are none."""
    body = b"".join(b"$%d\r\n%s\r\n" % (len(key), key) for key in (k.encode() for k in keys))
    return b">2\r\n$10\r\ninvalidate\r\n" + (b"*%d\r\n%s" % (len(keys), body) if keys else b"_\r\n")


def separated(data):
    """The messages among what came to a client, and the rest."""
    messages, rest, at = [], b"", 0
    while found := HEADS.search(data, at):
        rest += data[at : found.start()]
        end = found.end()
        null = next((n for n in NULLS if data.startswith(n, end)), None)
        line = data.index(b"\r\n", end) + 2
        if null or data[end : end + 1] == b":":
            end = line
        else:
            count, end = int(data[end + 1 : line - 2]), line
            for _ in range(count):
                line = data.index(b"\r\n", end) + 2
                end = line + int(data[end + 1 : line - 2]) + 2
        messages.append(data[found.start() : end])
        at = end
    return messages, rest + data[at:]


class Side(Listening):
    def __init__(self, server, count):
        self.server = server
        # Ids differ between servers, and are to be no number that is an answer too.
        for _ in range(100 - info(server, "total_connections_received")):
            server.connect().close()
        super().__init__([server.connect() for _ in range(count)])
        self.other = server.connect()
        for command in (["FLUSHALL"], ["DEBUG", "SET-ACTIVE-EXPIRE", 0]):
            self.other.call(*command)
        self.ids = [integer(client.call("CLIENT", "ID")) for client in self.clients]
        self.all_ids = list(self.ids)

    def close(self):
        self.other.call("DEBUG", "SET-ACTIVE-EXPIRE", 1)
        self.other.close()
        super().close()
        wait_until(lambda: info(self.server, "tracking_clients", "clients") == 0)

    def all_settled(self):
        """The first round is for the turn to end, after which messages of broadcast mode are sent."""
        first = [self.settled(i) for i in range(len(self.clients))]
        return [a + self.settled(i) for i, a in enumerate(first)]

    def request(self, words):
        return encode([self.ids[word] if isinstance(word, int) else word for word in words])

    def step(self, number, requests):
        """What comes to each client when one sends requests."""
        self.clients[number].socket.sendall(b"".join(self.request(request) for request in requests))
        own = self.settled(number)
        found = self.all_settled()
        found[number] = own + found[number]
        return [self.unnumbered(data) for data in found]

    def unnumbered(self, data):
        for number, each in enumerate(self.all_ids):
            data = data.replace(b":%d\r\n" % each, b":client %d\r\n" % number)
        return data

    def gone(self, key):
        """Waits until a key has expired, and looks it up from outside."""
        wait_until(lambda: self.other.call("EXISTS", key) == b":0\r\n")
        return [self.unnumbered(data) for data in self.all_settled()]


def info(server, field, section="stats"):
    connection = server.connect()
    text = bulk(connection.call("INFO", section)).decode()
    connection.close()
    return int(re.search(rf"{field}:(\d+)", text).group(1))


# MARK: At random

KEYS = ["a", "ab", "abc", "b", "user:1", "user:2", "u", "", "k" * 300]
PREFIXES = ["", "a", "ab", "user:", "u", "b", "zzz", "k" * 200]


def reading(pick):
    k = lambda: pick(KEYS)  # noqa: E731
    return pick(
        [
            lambda: ["GET", k()], lambda: ["GET", k()], lambda: ["MGET", k(), k(), k()], lambda: ["EXISTS", k(), k()],
            lambda: ["HGETALL", k()], lambda: ["LRANGE", k(), "0", "-1"], lambda: ["SISMEMBER", k(), "m"],
            lambda: ["ZSCORE", k(), "m"], lambda: ["TYPE", k()], lambda: ["STRLEN", k()], lambda: ["TTL", k()],
            lambda: ["SINTERCARD", "2", k(), k()], lambda: ["ZUNION", "2", k(), k()], lambda: ["PFCOUNT", k(), k()],
            lambda: ["OBJECT", "REFCOUNT", k()], lambda: ["XLEN", k()], lambda: ["LCS", k(), k()], lambda: ["SCAN", "0", "MATCH", "none"],
            lambda: ["SORT_RO", k(), "ALPHA"], lambda: ["BITCOUNT", k()], lambda: ["GETRANGE", k(), "0", "1"],
            lambda: ["DUMP", "none"], lambda: ["TOUCH", k(), k()], lambda: ["XREAD", "STREAMS", k(), "0"],
            lambda: ["ZINTERCARD", "2", k(), k(), "LIMIT", "x"], lambda: ["ZINTERCARD", "5", k(), k()], lambda: ["GET"],
        ]
    )()  # fmt: skip


def writing(pick):
    k = lambda: pick(KEYS)  # noqa: E731
    return pick(
        [
            lambda: ["SET", k(), "v"], lambda: ["SET", k(), "1"], lambda: ["MSET", k(), "1", k(), "2", k(), "3"],
            lambda: ["DEL", k(), k(), k()], lambda: ["UNLINK", k()], lambda: ["INCR", k()], lambda: ["APPEND", k(), "x"],
            lambda: ["RENAME", k(), k()], lambda: ["RENAMENX", k(), k()], lambda: ["COPY", k(), k(), "REPLACE"],
            lambda: ["LPUSH", k(), "e"], lambda: ["RPOP", k()], lambda: ["LMOVE", k(), k(), "LEFT", "RIGHT"],
            lambda: ["SADD", k(), "m", "n"], lambda: ["SREM", k(), "m"], lambda: ["SMOVE", k(), k(), "m"],
            lambda: ["SUNIONSTORE", k(), k(), k()], lambda: ["HSET", k(), "f", "v"], lambda: ["HDEL", k(), "f"],
            lambda: ["ZADD", k(), "1", "m"], lambda: ["ZUNIONSTORE", k(), "2", k(), k()], lambda: ["ZPOPMIN", k()],
            lambda: ["EXPIRE", k(), "1000"], lambda: ["PERSIST", k()], lambda: ["EXPIRE", k(), "-1"],
            lambda: ["GETDEL", k()], lambda: ["GETEX", k(), "EX", "1000"], lambda: ["GETEX", k()],
            lambda: ["GETSET", k(), "w"], lambda: ["SETNX", k(), "x"], lambda: ["SETRANGE", k(), "1", "z"],
            lambda: ["XADD", k(), "1-1", "f", "v"], lambda: ["PFADD", k(), "x"], lambda: ["PFMERGE", k(), k()],
            lambda: ["BITOP", "NOT", k(), k()], lambda: ["SETBIT", k(), "1", "1"], lambda: ["MOVE", k(), "1"],
            lambda: ["SORT", k(), "ALPHA", "STORE", k()], lambda: ["LTRIM", k(), "1", "0"],
            lambda: ["SREM", k(), "m", "n"], lambda: ["BLPOP", k(), "1"], lambda: ["GEOADD", k(), "1", "1", "p"],
        ]
    )()  # fmt: skip


def option(random, count):
    pick = random.choice
    words = []
    if random.random() < 0.4:
        words.append("BCAST")
    for _ in range(random.choice([0, 0, 1, 2])):
        words += ["PREFIX", pick(PREFIXES)]
    for word, chance in (("OPTIN", 0.15), ("OPTOUT", 0.15), ("NOLOOP", 0.3)):
        if random.random() < chance:
            words.append(word)
    if random.random() < 0.3:
        words += ["REDIRECT", random.randrange(count)]
    random.shuffle(words) if "REDIRECT" not in words and "PREFIX" not in words else None
    return words


def about_tracking(random, count):
    pick = random.choice
    return pick(
        [
            lambda: ["CLIENT", "TRACKING", "ON", *option(random, count)],
            lambda: ["CLIENT", "TRACKING", "ON", *option(random, count)],
            lambda: ["CLIENT", "TRACKING", "ON"],
            lambda: ["CLIENT", "TRACKING", "OFF"],
            lambda: ["CLIENT", "CACHING", pick(["YES", "NO"])],
            lambda: ["CLIENT", "CACHING", pick(["YES", "NO"])],
            lambda: ["CLIENT", "TRACKINGINFO"],
            lambda: ["CLIENT", "GETREDIR"],
            lambda: ["HELLO", pick(["2", "3"]), "SETNAME", "x"],
            lambda: ["SUBSCRIBE", CHANNEL],
            lambda: ["UNSUBSCRIBE", CHANNEL],
            lambda: ["RESET"],
        ]
    )()


def operations(random, count):
    """What one client sends at a time."""
    roll = random.random()
    if roll < 0.2:
        return [about_tracking(random, count)]
    if roll < 0.25:
        return [[random.choice(["FLUSHDB", "FLUSHALL", "SELECT 1", "SELECT 0"])]]
    some = [random.choice([reading, writing])(random.choice) for _ in range(random.choice([1, 1, 1, 2, 5]))]
    if roll < 0.4:
        middle = random.randrange(len(some) + 1)
        if random.random() < 0.3:
            some.insert(middle, random.choice([["FLUSHDB"], ["CLIENT", "CACHING", "YES"], ["CLIENT", "CACHING", "NO"]]))
        some = [["MULTI"], *some, ["EXEC"]]
    if random.random() < 0.2:
        some.insert(0, ["CLIENT", "CACHING", random.choice(["YES", "NO"])])
    return some


HELLO = re.compile(rb"(?:%7|\*14)\r\n\$6\r\nserver.*?\$7\r\nmodules\r\n\*0\r\n", re.DOTALL)


def compared(parts, executing, is_target):
    """7.0 has a message to the client that executes, and that others redirect theirs to, before or within the reply."""
    parts = [HELLO.sub(b"", part) for part in parts]
    return [separated(part) if i == executing and is_target else part for i, part in enumerate(parts)]


def run_random(servers, random, steps, count=4):
    sides = [Side(server, count) for server in servers]
    past, targets = [], set()
    try:
        for _ in range(steps):
            client = random.randrange(count)
            if random.random() < 0.04:
                key = random.choice(KEYS)
                past.append((client, "expire", key))
                for side in sides:
                    side.other.call("SET", key, "v", "PX", 150)
                for told in ([side.step(client, [["GET", key]]) for side in sides], [side.gone(key) for side in sides]):
                    assert told[0] == told[1], past[-8:]
                continue
            requests = [word[0].split() if len(word) == 1 else word for word in operations(random, count)]
            past.append((client, requests))
            for request in requests:
                if "REDIRECT" in request:
                    targets.add(request[request.index("REDIRECT") + 1])
            found = [compared(side.step(client, requests), client, client in targets) for side in sides]
            assert found[0] == found[1], past[-8:]
            if random.random() < 0.03:
                past.append((client, "closed"))
                for side in sides:
                    side.clients[client].close()
                    wait_until(lambda side=side: info(side.server, "connected_clients", "clients") == count + 1)
                    side.clients[client] = side.server.connect()
                    side.ids[client] = integer(side.clients[client].call("CLIENT", "ID"))
                    side.all_ids.append(side.ids[client])
                targets.discard(client)
            for field in ("tracking_total_keys", "tracking_total_items", "tracking_total_prefixes"):
                ours, theirs = (info(side.server, field) for side in sides)
                # Once no client is there that has tracked keys, ours knows of none.
                assert ours == theirs or ours < theirs and field != "tracking_total_prefixes", (field, past[-8:])
    finally:
        for side in sides:
            side.close()


# SWIFTLET_TRACKING_STEPS has it run longer.
STEPS = int(os.environ.get("SWIFTLET_TRACKING_STEPS", "150"))


@pytest.mark.parametrize("number", range(3))
def test_random_sequences(swiftlet_server, oracle_server, number):
    run_random((swiftlet_server, oracle_server), seeded(number), STEPS)


# MARK: In sequence

# Who sends what; @1 stands for the id of client 1. Several commands of one client go in one piece where "+" is between them.
SEQUENCES = """
0 HELLO 3 ; 0 CLIENT TRACKING ON ; 0 GET k ; 1 SET k v ; 1 SET k v ; 0 GET k + SET k w + GET k + DEL k none + GET k + PING
0 HELLO 3 ; 0 CLIENT TRACKING ON NOLOOP ; 0 GET k + SET k w ; 1 SET k v ; 0 GET k ; 1 DEL k
0 HELLO 3 ; 0 CLIENT TRACKING ON ; 0 MULTI + GET k + SET k 1 + GET k + FLUSHDB + FLUSHDB + GET q + EXEC + PING ; 1 SET q 1 ; 1 SET k 1
0 HELLO 3 ; 0 CLIENT TRACKING ON ; 0 MGET a b c a ; 1 MSET c 1 b 1 a 1 ; 0 MGET a b c ; 1 DEL c a b ; 0 EXISTS a b ; 1 RENAME a b ; 1 MSET a 1 b 1 ; 0 MGET a b ; 1 RENAME a b ; 0 MGET a b ; 1 RENAME b a
0 HELLO 3 ; 0 CLIENT TRACKING ON BCAST ; 1 SET b 1 + SET a 1 + SET b 2 + SET c 3 ; 0 SET x 1 + GET x ; 1 FLUSHALL
0 HELLO 3 ; 0 CLIENT TRACKING ON BCAST NOLOOP PREFIX a PREFIX b ; 0 SET a1 1 + SET b1 1 ; 1 SET a1 1 + SET b2 1 + SET c 1 ; 0 MULTI + SET a1 1 + SET b 1 + EXEC
1 HELLO 3 ; 1 CLIENT TRACKING ON BCAST PREFIX a ; 0 HELLO 3 ; 0 SET a1 1 + CLIENT TRACKING ON BCAST + SET a2 1 ; 0 SET a1 2
0 HELLO 3 ; 0 CLIENT TRACKING ON BCAST PREFIX a ; 0 CLIENT TRACKING ON BCAST ; 1 SET abc 1 + SET b 1 ; 0 CLIENT TRACKINGINFO
1 SUBSCRIBE __redis__:invalidate ; 0 CLIENT TRACKING ON REDIRECT @1 BCAST PREFIX k ; 2 SET k1 1 + SET k2 2 ; 2 FLUSHALL ; 1 UNSUBSCRIBE ; 2 SET k 1
1 SUBSCRIBE other ; 0 CLIENT TRACKING ON REDIRECT @1 ; 0 GET k ; 2 SET k 1 ; 0 CLIENT GETREDIR
1 HELLO 3 ; 0 CLIENT TRACKING ON REDIRECT @1 ; 0 GET k ; 2 SET k 1 ; 2 FLUSHALL ; 0 HELLO 3 ; 2 FLUSHALL ; 0 GET k ; 0 SET k 1
1 HELLO 3 ; 0 HELLO 3 ; 0 CLIENT TRACKING ON REDIRECT @1 ; 2 CLIENT TRACKING ON REDIRECT @1 ; 0 GET k ; 2 GET k ; 2 SET k 1 ; 0 CLIENT TRACKING ON ; 0 GET k ; 2 SET k 1
0 HELLO 3 ; 0 CLIENT TRACKING ON OPTIN ; 0 GET a ; 0 CLIENT CACHING YES + GET b + GET c ; 1 MSET a 1 b 1 c 1 ; 0 CLIENT CACHING YES + NOPE + GET a ; 1 SET a 1 ; 0 CLIENT CACHING YES + CLIENT ID + CLIENT NOPE + GET a ; 1 SET a 1
0 HELLO 3 ; 0 CLIENT TRACKING ON OPTOUT ; 0 GET a ; 0 CLIENT CACHING NO + GET b + GET c ; 1 MSET a 1 b 1 c 1 ; 0 CLIENT CACHING YES ; 0 CLIENT CACHING NO + MULTI + GET a + GET b + EXEC + GET c ; 1 MSET a 1 b 1 c 1
0 HELLO 3 ; 0 CLIENT TRACKING ON OPTIN ; 0 MULTI + CLIENT CACHING YES + GET a + EXEC ; 0 MULTI + GET b + CLIENT CACHING YES + GET c + EXEC ; 1 MSET a 1 b 1 c 1
0 HELLO 3 ; 0 CLIENT TRACKING ON ; 0 GET k ; 0 CLIENT TRACKING OFF ; 1 SET k 1 ; 0 CLIENT TRACKING ON ; 0 GET k ; 0 CLIENT TRACKING OFF ; 0 CLIENT TRACKING ON ; 1 SET k 1
0 HELLO 3 ; 0 CLIENT TRACKING ON ; 0 GET k ; 0 CLIENT TRACKING OFF ; 0 CLIENT TRACKING ON BCAST PREFIX z ; 1 SET k 1
0 HELLO 3 ; 0 CLIENT TRACKING ON ; 0 GET k ; 0 RESET ; 1 SET k 1 ; 0 CLIENT TRACKINGINFO ; 0 HELLO 3 ; 0 CLIENT TRACKING ON ; 0 SELECT 1 ; 0 GET k ; 1 SET k 1
0 HELLO 3 ; 0 CLIENT TRACKING ON ; 0 GET k + CLIENT REPLY SKIP + SET k 1 + PING
0 HELLO 3 ; 0 CLIENT TRACKING ON ; 1 LPUSH l a ; 0 GET l ; 1 LPUSH l b ; 0 GET l x ; 0 SORT_RO l BY w* GET g* ; 1 SET w1 x ; 1 LPUSH l c ; 0 ZUNION 1 z ; 1 ZADD z 1 a ; 0 OBJECT ENCODING z ; 1 DEL z
0 HELLO 3 ; 0 CLIENT TRACKING ON ; 0 LRANGE b 0 -1 ; 2 BLMOVE a b LEFT LEFT 0 ; 1 RPUSH a x ; 0 LRANGE b 0 -1 ; 0 BLMOVE a b LEFT LEFT 0 ; 1 RPUSH a y
0 HELLO 3 ; 0 CLIENT TRACKING ON ; 0 GET k ; 1 EXPIRE k -1 ; 1 SET k v ; 0 GET k ; 1 EXPIRE k -1 ; 1 SET k v ; 0 TOUCH k k ; 1 PEXPIREAT k 1
0 CLIENT TRACKING ON ; 0 GET k ; 1 SET k v ; 0 HELLO 3 ; 0 GET k ; 0 HELLO 2 ; 1 SET k v ; 0 HELLO 3 ; 1 SET k v
"""  # noqa: E501

# What one client is answered.
ANSWERS = """
CLIENT TRACKING ; CLIENT CACHING ; CLIENT GETREDIR x ; CLIENT TRACKINGINFO x ; CLIENT TRACKING XX ; CLIENT TRACKING on FOO ; CLIENT TRACKING OFF FOO
CLIENT TRACKING ON PREFIX ; CLIENT TRACKING ON REDIRECT ; CLIENT TRACKING ON REDIRECT x ; CLIENT TRACKING ON REDIRECT 0 ; CLIENT TRACKING ON REDIRECT -1 ; CLIENT TRACKING ON REDIRECT 99999999 ; CLIENT TRACKING ON REDIRECT 9223372036854775808
CLIENT TRACKING ON PREFIX a ; CLIENT TRACKING ON BCAST OPTIN ; CLIENT TRACKING ON OPTIN OPTOUT ; CLIENT TRACKING ON BCAST OPTIN OPTOUT PREFIX a PREFIX a ; CLIENT TRACKING OFF OPTIN OPTOUT PREFIX a ; CLIENT TRACKINGINFO
CLIENT TRACKING ON OPTIN ; CLIENT TRACKING ON OPTOUT ; CLIENT TRACKING ON BCAST ; CLIENT TRACKING ON BCAST OPTOUT ; CLIENT TRACKING ON OPTIN OPTOUT ; CLIENT TRACKING ON PREFIX a ; CLIENT TRACKING ON ; CLIENT TRACKINGINFO ; CLIENT TRACKING ON OPTOUT NOLOOP ; CLIENT TRACKINGINFO
CLIENT TRACKING ON BCAST PREFIX ab PREFIX a ; CLIENT TRACKING ON BCAST PREFIX a PREFIX b PREFIX a PREFIX bc ; CLIENT TRACKING ON BCAST PREFIX ab PREFIX b ; CLIENT TRACKING ON BCAST PREFIX abc ; CLIENT TRACKING ON BCAST PREFIX c PREFIX b ; CLIENT TRACKING ON BCAST PREFIX c PREFIX cd PREFIX b
CLIENT TRACKING ON BCAST PREFIX ab PREFIX b ; CLIENT TRACKING ON BCAST ; CLIENT TRACKING ON BCAST PREFIX c ; CLIENT TRACKING ON NOLOOP ; CLIENT TRACKINGINFO ; CLIENT TRACKING OFF ; CLIENT TRACKINGINFO ; CLIENT TRACKING ON BCAST BCAST NOLOOP ; CLIENT TRACKINGINFO
CLIENT CACHING YES ; CLIENT TRACKING ON ; CLIENT CACHING YES ; CLIENT CACHING NO ; CLIENT CACHING MAYBE ; CLIENT TRACKING ON OPTIN ; CLIENT CACHING NO ; CLIENT CACHING yes ; CLIENT TRACKINGINFO ; CLIENT GETNAME ; CLIENT TRACKINGINFO ; PING ; CLIENT TRACKINGINFO
CLIENT TRACKING ON OPTOUT ; CLIENT CACHING YES ; CLIENT CACHING no ; CLIENT TRACKINGINFO ; MULTI ; CLIENT TRACKINGINFO ; PING ; CLIENT TRACKINGINFO ; EXEC ; CLIENT TRACKINGINFO ; CLIENT CACHING NO ; MULTI ; DISCARD ; CLIENT TRACKINGINFO
CLIENT TRACKING ON OPTIN ; CLIENT CACHING YES ; CLIENT TRACKING ON ; CLIENT TRACKINGINFO ; CLIENT TRACKING OFF ; CLIENT GETREDIR ; CLIENT TRACKING ON OPTIN ; CLIENT TRACKINGINFO ; RESET ; CLIENT TRACKINGINFO
"""  # noqa: E501


@pytest.mark.parametrize("sequence", SEQUENCES.strip().splitlines())
def test_sequences(swiftlet_server, oracle_server, sequence):
    sides = [Side(server, 3) for server in (swiftlet_server, oracle_server)]
    try:
        for step in sequence.split(" ; "):
            number, commands = int(step[0]), step[2:].split(" + ")
            requests = [[int(word[1:]) if word[0] == "@" else word for word in line.split()] for line in commands]
            if requests[0][0] == "BLMOVE":
                for side in sides:
                    side.clients[number].send(*requests[0])
                    wait_until(lambda side=side: info(side.server, "blocked_clients", "clients") == 1)
                continue
            found = [[HELLO.sub(b"", part) for part in side.step(number, requests)] for side in sides]
            assert found[0] == found[1], step
    finally:
        for side in sides:
            side.close()


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("script", ANSWERS.strip().splitlines())
def test_answers(swiftlet_server, oracle_server, script, protocol):
    found = []
    for server in (swiftlet_server, oracle_server):
        connection = server.connect()
        connection.call("HELLO", protocol)
        found.append([(line, connection.call(*line.split())) for line in script.split(" ; ")])
        connection.close()
    assert found[0] == found[1]


def test_without_replies(swiftlet_server, oracle_server):
    """Messages are sent to a client that wants no replies."""
    found = []
    for server in (swiftlet_server, oracle_server):
        tracker, writer = server.connect(), server.connect()
        tracker.call("HELLO", 3)
        tracker.call("CLIENT", "TRACKING", "ON")
        tracker.call("GET", "k")
        tracker.send("CLIENT", "REPLY", "OFF")
        tracker.send("SET", "k", 1)
        replies = [tracker.reply()]
        tracker.send("GET", "k")
        tracker.send("CLIENT", "REPLY", "ON")
        replies.append(tracker.reply())
        writer.call("SET", "k", 2)
        replies.append(tracker.reply())
        tracker.send("CLIENT", "REPLY", "SKIP")
        tracker.send("FLUSHALL")
        replies += [tracker.reply(), tracker.call("PING")]
        found.append(replies)
        tracker.close()
        writer.close()
    assert found[0] == found[1]


def test_prefixes_with_odd_bytes(both):
    for prefixes in (["a\0b", "a\0c"], ["x\r\ny", "x\r\n"], [b"\xff\xfe", b"\xff"], ["", "a"]):
        both("CLIENT", "TRACKING", "ON", "BCAST", *(word for prefix in prefixes for word in ("PREFIX", prefix)))
        both("CLIENT", "TRACKINGINFO")
        both("CLIENT", "TRACKING", "OFF")


# MARK: As in 7.2, or as it should be


@pytest.fixture
def clients(swiftlet_server):
    yield from connected(swiftlet_server)


@pytest.fixture
def own_clients():
    """Clients of a server whose clocks the test may move."""
    server = start_swiftlet()
    yield from connected(server)
    server.stop()


def connected(server):
    side = Side(server, 4)
    for client in side.clients[:3]:
        client.call("HELLO", 3)
    yield side.clients
    side.close()


def told(client):
    """The messages that have come, up to now."""
    found = []
    for _ in range(2):
        client.send("PING", "token")
        while (reply := client.reply()) != b"$5\r\ntoken\r\n":
            found.append(reply)
    return found


def test_redirected_to_who_executes(clients):
    """7.0 has the message before or within the reply."""
    tracker, target = clients[:2]
    tracker.call("CLIENT", "TRACKING", "ON", "REDIRECT", integer(target.call("CLIENT", "ID")))
    tracker.call("GET", "k")
    assert target.call("SET", "k", "v") == b"+OK\r\n" and target.reply() == pushed("k")
    tracker.call("MGET", "k", "l")
    target.pipeline([["MULTI"], ["SET", "k", "v"], ["FLUSHALL"], ["PING"]])
    assert target.call("EXEC") == b"*3\r\n+OK\r\n+OK\r\n+PONG\r\n"
    assert [target.reply(), target.reply()] == [pushed("k"), pushed()]


def test_swapped_databases(clients):
    """The keys are others. Redis says nothing, and leaves what was cached wrong for ever."""
    tracker, writer = clients[:2]
    tracker.call("CLIENT", "TRACKING", "ON")
    writer.call("SET", "k", "v")
    tracker.call("GET", "k")
    writer.call("SWAPDB", 0, 1)
    assert told(tracker) == [pushed()]
    assert tracker.call("GET", "k") == b"_\r\n"
    writer.call("SWAPDB", 0, 1)
    assert told(tracker) == [pushed()]


def test_blocked_reads(clients):
    """What an XREAD that waited has returned is tracked, as in 7.2: its key was changed before."""
    tracker, writer = clients[:2]
    tracker.call("CLIENT", "TRACKING", "ON")
    number = integer(tracker.call("CLIENT", "ID"))
    tracker.send("XREAD", "BLOCK", 0, "STREAMS", "s", "$")
    wait_until(lambda: b" flags=bt " in bulk(writer.call("CLIENT", "LIST", "ID", number)))
    writer.call("XADD", "s", "1-1", "f", "v")
    replies = [tracker.reply(), tracker.reply()]
    assert pushed("s") in replies and any(b"1-1" in reply for reply in replies)
    writer.call("XADD", "s", "2-1", "f", "v")
    assert told(tracker) == [pushed("s")]


def test_served_clients_change_keys_themselves(clients):
    """Who makes a client be served has not changed what that client changes, as in 7.2."""
    default, everything, waiting = clients[:3]
    default.call("CLIENT", "TRACKING", "ON", "NOLOOP")
    everything.call("CLIENT", "TRACKING", "ON", "BCAST", "NOLOOP", "PREFIX", "k")
    number = integer(waiting.call("CLIENT", "ID"))
    for pusher, others in ((default, [everything]), (everything, [default])):
        default.call("LRANGE", "k", 0, -1)
        waiting.send("BLMOVE", "q", "k", "LEFT", "LEFT", 0)
        wait_until(lambda: b" flags=b " in bulk(clients[3].call("CLIENT", "LIST", "ID", number)))
        # It changes the key itself before, in the same turn.
        pusher.pipeline([["MULTI"], ["RPUSH", "k", "own"], ["LRANGE", "k", 0, -1], ["RPUSH", "q", "x"]])
        pusher.call("EXEC")
        assert waiting.reply() == b"$1\r\nx\r\n"
        for client in (pusher, *others):
            assert told(client) == [pushed("k")]


def test_scripts(clients):
    """What a script has read is tracked for its caller, as in 7.2; 7.0 tracks the keys that EVAL names."""
    tracker, own, writer = clients[:3]
    tracker.call("CLIENT", "TRACKING", "ON")
    tracker.call("EVAL", "redis.call('set', KEYS[1], 'v') return redis.call('get', KEYS[2])", 3, "a", "b", "c")
    writer.call("MSET", "a", 1, "b", 1, "c", 1)
    assert told(tracker) == [pushed("b")]
    tracker.call("EVAL_RO", "redis.call('get', KEYS[1]) return redis.pcall('hget', KEYS[1], 'f')", 2, "a", "b")
    assert writer.call("EVAL", "redis.call('del', 'a') return redis.call('mset', 'b', 1, 'c', 1)", 0) == b"+OK\r\n"
    assert told(tracker) == [pushed("a")]
    # The caller is who changes what a script changes; the message follows its reply.
    tracker.call("MGET", "b", "c")
    tracker.send("EVAL", "redis.call('del', 'b') redis.call('del', 'c') return {1, 2}", 0)
    assert [tracker.reply() for _ in range(3)] == [b"*2\r\n:1\r\n:2\r\n", pushed("b"), pushed("c")]
    own.call("CLIENT", "TRACKING", "ON", "NOLOOP")
    own.call("EVAL", "return redis.call('get', 'b')", 0)
    own.call("EVAL", "return redis.call('set', 'b', 1)", 0)
    assert told(own) == []
    own.call("EVAL", "return redis.call('get', 'b')", 0)
    writer.call("EVAL", "return redis.call('set', 'b', 1)", 0)
    assert told(own) == [pushed("b")]


def test_killed_redirection(clients):
    tracker, target, writer = clients[:3]
    number = integer(target.call("CLIENT", "ID"))
    tracker.call("CLIENT", "TRACKING", "ON", "REDIRECT", number)
    tracker.call("GET", "k")
    writer.call("CLIENT", "KILL", "ID", number)
    wait_until(lambda: b"id=%d " % number not in bulk(writer.call("CLIENT", "LIST")))
    writer.call("SET", "k", "v")
    broken = b">2\r\n$21\r\ntracking-redir-broken\r\n:%d\r\n" % number
    assert told(tracker) == [broken]
    assert b"broken_redirect" in tracker.call("CLIENT", "TRACKINGINFO")
    assert re.search(rb" flags=tR .* redir=%d " % number, bulk(tracker.call("CLIENT", "INFO")))
    writer.call("FLUSHALL")
    assert told(tracker) == [broken]
    tracker.call("CLIENT", "TRACKING", "ON")
    assert b"broken" not in tracker.call("CLIENT", "TRACKINGINFO")


def test_expiry_and_noloop(own_clients):
    """A key that goes because its time has come is nobody's change: whoever gets all, and comes upon it, is told."""
    default, everything, writer = own_clients[:3]
    default.call("CLIENT", "TRACKING", "ON")
    everything.call("CLIENT", "TRACKING", "ON", "BCAST", "NOLOOP")
    writer.call("SET", "k", "v", "PX", 10_000)
    assert told(everything) == [pushed("k")]
    default.call("GET", "k")
    advance(writer, 11)
    assert everything.call("GET", "k") == b"_\r\n"
    assert told(everything) == [pushed("k")]
    assert told(default) == [pushed("k")]
    # And in its time, if nobody does.
    writer.call("SET", "k", "v", "PX", 10_000)
    default.call("GET", "k")
    assert told(everything) == [pushed("k")]
    advance(writer, 11)
    writer.call("DEBUG", "SET-ACTIVE-EXPIRE", 1)
    assert default.reply() == pushed("k") and everything.reply() == pushed("k")
    # A field of a hash is a change of it.
    writer.call("HSET", "h", "f", "v", "g", "v")
    writer.call("HPEXPIRE", "h", 10_000, "FIELDS", 1, "f")
    assert told(everything)
    default.call("HGETALL", "h")
    advance(writer, 11)
    assert default.reply() == pushed("h") and everything.reply() == pushed("h")


def test_limit_of_the_table(clients):
    tracker, writer = clients[0], clients[3]
    old = bulks(writer.call("CONFIG", "GET", "tracking-table-max-keys"))[1]
    try:
        tracker.call("CLIENT", "TRACKING", "ON", "NOLOOP")
        writer.call("CONFIG", "SET", "tracking-table-max-keys", 100)
        cached = set()
        for i in range(1000):
            tracker.send("GET", f"key:{i}")
            while (reply := tracker.reply()) != b"_\r\n":
                cached.remove(reply)
            cached.add(pushed(f"key:{i}"))
        cached -= set(told(tracker))
        assert len(cached) == 100
        # Those that it was not told of are still tracked.
        writer.pipeline([["SET", f"key:{i}", "x"] for i in range(1000)])
        assert sorted(told(tracker)) == sorted(cached)
    finally:
        writer.call("CONFIG", "SET", "tracking-table-max-keys", old)


def test_replica_tells_its_clients(tmp_path):
    """What comes from the master, and that all has gone when a full synchronisation takes its place."""
    master = start_swiftlet()
    replica = start_swiftlet("--replicaof", f"127.0.0.1 {master.port}")
    writer, reader = master.connect(), replica.connect()
    wait_until(lambda: b"master_link_status:up" in reader.call("INFO", "replication"))
    reader.call("HELLO", 3)
    reader.call("CLIENT", "TRACKING", "ON")
    writer.call("SET", "k", "v")
    wait_until(lambda: reader.call("GET", "k") == b"$1\r\nv\r\n")
    told(reader)
    reader.call("GET", "k")
    writer.call("SET", "k", "w")
    assert reader.reply() == pushed("k")
    reader.call("GET", "k")
    other = start_swiftlet()
    assert reader.call("REPLICAOF", "127.0.0.1", other.port) == b"+OK\r\n"
    while reader.reply() != pushed():
        pass
    for connection in (writer, reader):
        connection.close()
    for server in (replica, master, other):
        server.stop()


def test_many_keys_hold_nothing_up(clients):
    """FLUSHALL, and the end of the last that tracks, leave the table of many keys to another thread."""
    tracker, writer = clients[:2]
    for ends in (lambda: writer.call("FLUSHALL"), lambda: tracker.close()):
        tracker.call("CLIENT", "TRACKING", "ON")
        for start in range(0, 200_000, 1000):
            tracker.call("MGET", *(f"key:{start + i}" for i in range(1000)))
        assert info_of(writer, "tracking_total_keys") == 200_000
        ends()
        wait_until(lambda: info_of(writer, "tracking_total_keys") == 0)
        assert writer.call("PING") == b"+PONG\r\n"


def info_of(connection, field):
    found = re.search(rb"%s:(\d+)" % field.encode(), connection.call("INFO", "stats"))
    return int(found.group(1))


# MARK: A client library


def test_redis_py_caches(swiftlet_server, monkeypatch):
    """redis-py's client-side caching: what it has cached is never old."""
    cache = pytest.importorskip("redis.cache")
    # It asks for a server that says to be Redis 7.4.
    monkeypatch.setattr(redis.connection.CacheProxyConnection, "MIN_ALLOWED_VERSION", "7.2.0")
    reader = redis.Redis(port=swiftlet_server.port, protocol=3, cache_config=cache.CacheConfig(), decode_responses=True)
    writer = redis.Redis(port=swiftlet_server.port, decode_responses=True)
    writer.flushall()
    random = seeded()
    keys = [f"key:{i}" for i in range(20)]
    for step in range(400):
        key = random.choice(keys)
        if random.random() < 0.3:
            writer.set(key, step)
        elif random.random() < 0.05:
            writer.delete(*random.sample(keys, 5))
        elif random.random() < 0.02:
            writer.flushall()
        # The message left before the writer's next reply, but may be on its way.
        writer.ping()
        wait_until(lambda key=key: reader.get(key) == writer.get(key))
    assert reader.get_cache().size > 0
    reader.close()
    writer.close()
