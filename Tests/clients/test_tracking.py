"""Client-side caching: who is told of what, and in which order, compared with redis-server 7.0.15 byte for byte but where 7.2
is the model: a message to the client that causes it follows the whole reply there, also where others redirect theirs to it."""

import re

import pytest
import redis

from moved_clock import advance
from oracle import start_swiftlet
from resp import Connection, bulk, bulks, encode, integer
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


class Side:
    """Clients of one server. Nobody waits for time: a token that comes back says that all before it is there."""

    def __init__(self, server, count):
        self.server = server
        self.clients = [server.connect() for _ in range(count)]
        self.other = server.connect()
        for command in (["FLUSHALL"], ["DEBUG", "SET-ACTIVE-EXPIRE", 0]):
            self.other.call(*command)
        self.ids = [integer(client.call("CLIENT", "ID")) for client in self.clients]
        self.tokens = 0

    def close(self):
        self.other.call("DEBUG", "SET-ACTIVE-EXPIRE", 1)
        for client in [*self.clients, self.other]:
            client.close()
        wait_until(lambda: info(self.server, "tracking_clients", "clients") == 0)

    def settled(self, number):
        """All that has come to a client that is in no transaction."""
        self.tokens += 1
        token = b"token-%d" % self.tokens
        client = self.clients[number]
        client.send("PING", token)
        found = b""
        while token not in found:
            found += client.reply()
        return re.sub(rb"(\*2\r\n\$4\r\npong\r\n)?\$\d+\r\n" + token + rb"\r\n$", b"", found)

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
        """Ids differ."""
        for number, each in enumerate(self.ids):
            data = data.replace(b":%d\r\n" % each, b":client %d\r\n" % number) if each > 9 else data
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
                targets.discard(client)
            for field in ("tracking_total_keys", "tracking_total_items", "tracking_total_prefixes"):
                ours, theirs = (info(side.server, field) for side in sides)
                # Once no client is there that has tracked keys, ours knows of none.
                assert ours == theirs or ours < theirs and field != "tracking_total_prefixes", (field, past[-8:])
    finally:
        for side in sides:
            side.close()


@pytest.mark.parametrize("number", range(4))
def test_random_sequences(swiftlet_server, oracle_server, number):
    run_random((swiftlet_server, oracle_server), seeded(number), 250)
