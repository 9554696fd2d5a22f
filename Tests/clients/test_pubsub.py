"""Pub/sub: who gets what, and what each command answers, compared with redis-server 7.0.15 but where 7.2 is the model: a
message to the client that causes it follows the whole reply there, of EXEC too."""

import re

import pytest

from oracle import start_redis, start_swiftlet
from pushed import Listening
from resp import bulk, bulks, connect_slow_reader, decoded, encode, integer
from seed import seeded
from waiting import wait_until

LINE = rb"\$\d+\r\n[^\r]*\r\n"
MESSAGES = re.compile(rb"[*>]3\r\n\$[78]\r\ns?message\r\n" + LINE * 2 + rb"|[*>]4\r\n\$8\r\npmessage\r\n" + LINE * 3)
ENDS = re.compile(rb"[*>]3\r\n\$1[12]\r\n[ps]?unsubscribe\r\n" + LINE + rb":\d+\r\n")


class Side(Listening):
    def __init__(self, server, protocols):
        super().__init__([server.connect() for _ in protocols])
        for client, protocol in zip(self.clients, protocols):
            client.call("HELLO", protocol)

    def step(self, number, requests):
        """What comes to each client when one sends requests: messages, and all else."""
        self.clients[number].socket.sendall(b"".join(encode(request) for request in requests))
        own = self.settled(number)
        return [self.parts(own if i == number else self.settled(i)) for i in range(len(self.clients))]

    @staticmethod
    def parts(data):
        rest = MESSAGES.sub(b"", data)
        ends = sorted(re.sub(rb":\d+\r\n$", b"", end) for end in ENDS.findall(rest))
        counts = [end[-4:] for end in ENDS.findall(rest)]
        # Several patterns may match, and all subscriptions may end, in whatever order there.
        return sorted(MESSAGES.findall(data)), ENDS.sub(b"", rest), ends, counts


NAMES = ["a", "b", "news.1", "news.2", "x" * 300, ""]
PATTERNS = ["*", "**", "a", "news.*", "news.[12]", "n?ws.\\1", "[^a]", "", "\\"]


def operation(random):
    pick = random.choice
    some = lambda names: [pick(names) for _ in range(random.randint(1, 3))]  # noqa: E731
    return pick(
        [
            lambda: ["SUBSCRIBE", *some(NAMES)],
            lambda: ["UNSUBSCRIBE", *some(NAMES)],
            lambda: ["UNSUBSCRIBE"],
            lambda: ["PSUBSCRIBE", *some(PATTERNS)],
            lambda: ["PUNSUBSCRIBE", *some(PATTERNS)],
            lambda: ["PUNSUBSCRIBE"],
            lambda: ["SSUBSCRIBE", *some(NAMES)],
            lambda: ["SUNSUBSCRIBE", *some(NAMES)],
            lambda: ["SUNSUBSCRIBE"],
            lambda: ["PUBLISH", pick(NAMES), pick(["hello", "", "y" * 400])],
            lambda: ["PUBLISH", pick(NAMES), pick(["hello", "", "y" * 400])],
            lambda: ["PUBLISH", pick(NAMES), "again"],
            lambda: ["SPUBLISH", pick(NAMES), pick(["hello", "z" * 250])],
            lambda: ["PUBSUB", "NUMSUB", *NAMES],
            lambda: ["PUBSUB", "SHARDNUMSUB", *NAMES],
            lambda: ["PUBSUB", "NUMPAT"],
            lambda: ["PING"],
            lambda: ["PING", "text"],
            lambda: ["GET", "nothing"],
            lambda: ["CLIENT", "GETNAME"],
            lambda: ["RESET"],
            lambda: ["HELLO", pick([2, 3]), "SETNAME", "me"],
            lambda: ["SUBSCRIBE"],
            lambda: ["PUBLISH", "a"],
        ]
    )()


@pytest.mark.parametrize("number", range(3))
def test_random_sequences(swiftlet_server, oracle_server, number):
    random = seeded(number)
    protocols = [2, 2, 3, 3, random.choice([2, 3])]
    ours, theirs = Side(swiftlet_server, protocols), Side(oracle_server, protocols)
    past = []
    try:
        for _ in range(400):
            client = random.randrange(len(protocols))
            requests = [operation(random)]
            if random.random() < 0.15:
                # A transaction, in which RESP2 may do what it may not while it is subscribed.
                inner = [operation(random) for _ in range(random.randint(1, 5))]
                requests = [["MULTI"], *(r for r in inner if r[0] not in ("RESET", "HELLO")), ["EXEC"]]
            requests = [r for r in requests if r[0] != "HELLO"] or [["PING"]]
            past.append((client, requests))
            assert ours.step(client, requests) == theirs.step(client, requests), past[-6:]
            if random.random() < 0.1:
                for side, server in ((ours, swiftlet_server), (theirs, oracle_server)):
                    side.clients[client].close()
                    side.clients[client] = server.connect()
                    side.clients[client].call("HELLO", protocols[client])
                for server in (swiftlet_server, oracle_server):
                    wait_until(lambda: clients(server) == len(protocols) + 1)
    finally:
        ours.close()
        theirs.close()
        for server in (swiftlet_server, oracle_server):
            wait_until(lambda: info(server, "pubsub_channels") + info(server, "pubsub_patterns") == 0)


def info(server, field, section="stats"):
    connection = server.connect()
    text = bulk(connection.call("INFO", section)).decode()
    connection.close()
    return int(re.search(rf"{field}:(\d+)", text).group(1))


def clients(server):
    return info(server, "connected_clients", "clients")


# Requests that a client sends one after the other, in RESP2 and in RESP3.
SCRIPTS = """
SUBSCRIBE a a b ; UNSUBSCRIBE q a a ; PSUBSCRIBE a* ; PUNSUBSCRIBE ; PUNSUBSCRIBE ; UNSUBSCRIBE b ; UNSUBSCRIBE
SSUBSCRIBE a ; SUNSUBSCRIBE ; SUNSUBSCRIBE ; SUNSUBSCRIBE a b
SUBSCRIBE a ; PING ; PING x ; PING x y ; GET k ; MULTI ; DISCARD ; CLIENT ID x ; PUBSUB NUMPAT ; NOPE ; QUIT x
SSUBSCRIBE s ; GET k ; SET k v ; PING ; PUBLISH s x ; RESET ; GET k ; PUBSUB SHARDNUMSUB s
PSUBSCRIBE p ; AUTH x ; ECHO x ; RESET ; PUBSUB NUMPAT
MULTI ; SSUBSCRIBE a ; SUBSCRIBE a b ; PSUBSCRIBE * ; SUNSUBSCRIBE ; EXEC ; PING ; UNSUBSCRIBE a ; RESET
MULTI ; SUBSCRIBE ; PUBLISH a ; EXEC
SUBSCRIBE a ; EXEC ; DISCARD ; UNSUBSCRIBE a ; EXEC ; EXEC x ; MULTI ; EXEC x ; EXEC
CLIENT REPLY OFF ; SUBSCRIBE a ; GET x ; UNSUBSCRIBE b ; PUNSUBSCRIBE ; SSUBSCRIBE x ; RESET ; PING
CLIENT REPLY SKIP ; SUBSCRIBE a ; UNSUBSCRIBE a ; PING
CLIENT REPLY OFF ; MULTI ; SUBSCRIBE z ; GET x ; EXEC ; RESET
CLIENT REPLY OFF ; SUBSCRIBE ; MULTI ; SSUBSCRIBE z ; EXEC ; RESET ; PING
PUBSUB ; PUBSUB CHANNELS a b ; PUBSUB NUMSUB ; PUBSUB SHARDNUMSUB ; PUBSUB NUMPAT x ; PUBSUB NOPE ; PUBSUB SHARDCHANNELS
PUBLISH a b ; SPUBLISH a b ; PUBLISH a b c ; SPUBLISH a
"""


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("script", SCRIPTS.strip().splitlines())
def test_replies(swiftlet_server, oracle_server, script, protocol):
    found = []
    for server in (swiftlet_server, oracle_server):
        connection = server.connect()
        # Other tests have used these servers.
        connection.call("FLUSHALL")
        connection.call("HELLO", protocol)
        requests = [line.split() for line in script.split(" ; ")] + [["QUIT"]]
        connection.socket.sendall(b"".join(encode(request) for request in requests))
        data = b""
        while more := connection.socket.recv(1 << 16):
            data += more
        connection.close()
        found.append(data)
    assert found[0] == found[1]


def test_own_messages_follow_the_reply(swiftlet_server):
    """As in Redis 7.2: 7.0 has them before it, and among the parts of EXEC's."""
    connection = swiftlet_server.connect()
    connection.call("HELLO", 3)
    message = lambda *words: b">3\r\n" + encode(words).split(b"\r\n", 1)[1]  # noqa: E731
    connection.call("SUBSCRIBE", "a")
    assert connection.call("PUBLISH", "a", 1) == b":1\r\n"
    assert connection.reply() == message("message", "a", "1")
    replies = connection.pipeline(
        [["MULTI"], ["PUBLISH", "a", 1], ["SUBSCRIBE", "b"], ["PUBLISH", "b", "2" * 300], ["PING"]]
    )
    assert replies[-1] == b"+QUEUED\r\n"
    subscribed = b">3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n"
    assert connection.call("EXEC") == b"*4\r\n:1\r\n" + subscribed + b":1\r\n+PONG\r\n"
    assert [connection.reply(), connection.reply()] == [
        message("message", "a", "1"),
        message("message", "b", "2" * 300),
    ]
    # Each is behind its own command of a batch.
    assert connection.pipeline([["PUBLISH", "a", 1], ["PING"], ["PUBLISH", "a", 2]]) == [
        b":1\r\n", message("message", "a", "1"), b"+PONG\r\n",
    ]  # fmt: skip
    assert [connection.reply(), connection.reply()] == [b":1\r\n", message("message", "a", "2")]
    # Without replies they come all the same.
    connection.send("CLIENT", "REPLY", "OFF")
    connection.send("PUBLISH", "a", 3)
    assert connection.reply() == message("message", "a", "3")
    connection.send("CLIENT", "REPLY", "ON")
    assert connection.reply() == b"+OK\r\n"
    connection.send("CLIENT", "REPLY", "SKIP")
    connection.send("PUBLISH", "a", 4)
    connection.send("PUBLISH", "a", 5)
    assert [connection.reply() for _ in range(3)] == [
        message("message", "a", "4"),
        b":1\r\n",
        message("message", "a", "5"),
    ]
    connection.close()


def test_messages_reach_a_client_that_waits(swiftlet_server):
    """A RESP3 client that is blocked gets messages meanwhile, and those that serving it causes behind its reply."""
    waiting, other = swiftlet_server.connect(), swiftlet_server.connect()
    other.call("CONFIG", "SET", "notify-keyspace-events", "El")
    waiting.call("HELLO", 3)
    waiting.call("SUBSCRIBE", "a")
    waiting.call("SUBSCRIBE", "__keyevent@0__:lpop")
    for is_silent in (False, True):
        if is_silent:
            waiting.send("CLIENT", "REPLY", "OFF")
        waiting.send("BLPOP", "l", 0)
        wait_until(lambda: b"blocked_clients:1" in other.call("INFO", "clients"))
        other.call("PUBLISH", "a", "meanwhile")
        assert b"meanwhile" in waiting.reply()
        other.call("RPUSH", "l", "x")
        if not is_silent:
            assert waiting.reply() == b"*2\r\n$1\r\nl\r\n$1\r\nx\r\n"
        assert decoded(waiting.reply()) == [b"message", b"__keyevent@0__:lpop", b"l"]
    # Told as it begins to wait: nothing is to be answered before it.
    other.call("CONFIG", "SET", "notify-keyspace-events", "Em")
    waiting.call("SUBSCRIBE", "__keyevent@0__:keymiss")
    waiting.send("GET", "nothing")
    assert decoded(waiting.reply())[1:] == [b"__keyevent@0__:keymiss", b"nothing"]
    other.call("CONFIG", "SET", "notify-keyspace-events", "")
    waiting.close()
    other.close()


def fields(connection, id):
    text = bulk(connection.call("CLIENT", "LIST", "ID", id)).decode()
    return dict(field.split("=", 1) for field in text.split())


def test_what_the_server_tells_of_subscribers(swiftlet_server):
    subscriber, admin = swiftlet_server.connect(), swiftlet_server.connect()
    id = integer(subscriber.call("CLIENT", "ID"))
    for request in ["SUBSCRIBE a", "SUBSCRIBE b", "PSUBSCRIBE p", "SSUBSCRIBE x", "SSUBSCRIBE y", "SSUBSCRIBE z"]:
        subscriber.call(*request.split())
    shown = fields(admin, id)
    assert [shown[name] for name in ("sub", "psub", "ssub", "flags")] == ["2", "1", "3", "P"]
    assert info(swiftlet_server, "pubsub_channels") == 2
    assert info(swiftlet_server, "pubsub_patterns") == 1
    assert info(swiftlet_server, "pubsubshard_channels") == 3
    assert info(swiftlet_server, "pubsub_clients", "clients") == 1
    assert sorted(bulks(admin.call("PUBSUB", "CHANNELS"))) == [b"a", b"b"]
    assert bulks(admin.call("PUBSUB", "CHANNELS", "[b-z]")) == [b"b"]
    assert sorted(bulks(admin.call("PUBSUB", "SHARDCHANNELS", "[xy]"))) == [b"x", b"y"]
    assert f"id={id} ".encode() in admin.call("CLIENT", "LIST", "TYPE", "pubsub")
    assert admin.call("CLIENT", "KILL", "TYPE", "pubsub") == b":1\r\n"
    with pytest.raises(ConnectionError):
        subscriber.reply()
    wait_until(lambda: decoded(admin.call("PUBSUB", "NUMSUB", "a")) == [b"a", 0])
    assert [info(swiftlet_server, name) for name in ("pubsub_channels", "pubsub_patterns", "pubsubshard_channels")] == [
        0
    ] * 3
    admin.close()


@pytest.mark.parametrize("limit", ["300000 0 0", "0 200000 1"])
def test_a_subscriber_that_does_not_read_is_disconnected(limit):
    """By the limit of its class, hard or soft; what others get is not concerned."""
    server = start_swiftlet("--client-output-buffer-limit", "pubsub", *limit.split())
    try:
        slow, reader, admin = connect_slow_reader(server), server.connect(), server.connect()
        slow.sendall(encode(["SUBSCRIBE", "c"]))
        slow.recv(4096)
        reader.call("SUBSCRIBE", "c")
        text = "x" * 50_000
        is_gone = False
        for _ in range(2000):
            # More than the socket holds, and far less than the limit of normal clients; then only time passes.
            if integer(admin.call("PUBLISH", "c", text)) == 1:
                is_gone = True
                break
            reader.reply()
            if limit.startswith("0") and int(fields_of_slow(admin)) > 400_000:
                wait_until(lambda: decoded(admin.call("PUBSUB", "NUMSUB", "c")) == [b"c", 1])
        assert is_gone
        assert b"client_output_buffer_limit_disconnections:1" in admin.call("INFO", "stats")
    finally:
        server.stop()


def fields_of_slow(admin):
    """Bytes that wait for the client that does not read."""
    sizes = [int(size) for size in re.findall(rb" omem=(\d+)", admin.call("CLIENT", "LIST", "TYPE", "pubsub"))]
    return max(sizes, default=0)


def test_a_message_is_in_memory_once(start_server=start_swiftlet):
    """However many subscribers do not read."""
    server = start_server("--client-output-buffer-limit", "pubsub", "0", "0", "0")
    try:
        admin = server.connect()
        slow = [connect_slow_reader(server) for _ in range(100)]
        for s in slow:
            s.sendall(encode(["SUBSCRIBE", "c"]))
        wait_until(lambda: decoded(admin.call("PUBSUB", "NUMSUB", "c")) == [b"c", 100])
        before = info(server, "used_memory", "memory")
        assert admin.call("PUBLISH", "c", b"x" * (8 << 20)) == b":100\r\n"
        assert info(server, "used_memory", "memory") - before < 40 << 20
        for s in slow:
            s.close()
    finally:
        server.stop()


def test_settings_of_notifications(both):
    """In the form that redis-server gives them; `An`, which it forgets, apart."""
    for value in ["", "KEA", "AKE", "Elg", "gxK$lshzxetdm", "mK", "nK", "tgKEmn", "g$lshzxetd", "q", "KEn$ ", "E\n"]:
        both("CONFIG", "SET", "notify-keyspace-events", value)
        both("CONFIG", "GET", "notify-keyspace-events")
    both("CONFIG", "SET", "notify-keyspace-events", "")


EVENTS = """
SET k v ; SET k v PX 100000 ; INCR n ; DEL k n ; RPUSH l a b ; LPOP l 2 ; SADD s a ; SPOP s ; HSET h f 1 ; HINCRBY h f 2
MULTI ; SET k v ; SADD s x ; EXEC ; SELECT 1 ; SET k v ; MOVE k 0 ; SWAPDB 0 1 ; SELECT 0 ; FLUSHALL
ZADD z 1 a 2 b ; ZINCRBY z 1 a ; ZPOPMIN z 5 ; XADD x 1-1 f v ; XDEL x 1-1 ; GET none ; EXISTS none ; RENAME x y
SET k v ; EXPIRE k 100 ; PERSIST k ; PEXPIREAT k 1 ; APPEND k x ; SETRANGE k 3 x ; GETDEL k ; COPY k j ; RESTORE r 0 bad
"""


@pytest.mark.parametrize("classes", ["KEA", "E$lg", "Kshz", "AKEmn", "Kx", "Em", "A", ""])
def test_notifications(swiftlet_server, oracle_server, classes):
    """Both channels of each event, for all classes and for some, in their order."""
    found = []
    for server in (swiftlet_server, oracle_server):
        subscriber, client = server.connect(), server.connect()
        client.call("FLUSHALL")
        assert client.call("CONFIG", "SET", "notify-keyspace-events", classes) == b"+OK\r\n"
        subscriber.call("PSUBSCRIBE", "__key*__:*")
        subscriber.call("SUBSCRIBE", "end")
        for line in EVENTS.strip().splitlines():
            for request in line.split(" ; "):
                client.call(*request.split())
        client.call("CONFIG", "SET", "notify-keyspace-events", "")
        client.call("SET", "k", "unheard")
        client.call("PUBLISH", "end", "")
        heard = []
        while not heard or b"end" not in heard[-1]:
            heard.append(subscriber.reply())
        found.append(heard)
        subscriber.close()
        client.close()
    assert found[0] == found[1]


def test_a_hello_of_sentinel(swiftlet_server):
    """As redis-sentinel does it: one connection to subscribe on, another to publish and ask."""
    listening, asking = swiftlet_server.connect(), swiftlet_server.connect()
    listening.call("CLIENT", "SETNAME", "sentinel-12345678-pubsub")
    assert (
        listening.call("SUBSCRIBE", "__sentinel__:hello")
        == b"*3\r\n$9\r\nsubscribe\r\n$18\r\n__sentinel__:hello\r\n:1\r\n"
    )
    hello = "127.0.0.1,26379,0123456789,0,mymaster,127.0.0.1,6379,0"
    assert asking.call("PUBLISH", "__sentinel__:hello", hello) == b":1\r\n"
    assert decoded(listening.reply()) == [b"message", b"__sentinel__:hello", hello.encode()]
    listening.close()
    asking.close()


def test_publishing_waits_for_a_pause_of_writes(swiftlet_server):
    """As PUBLISH is what replicas get, CLIENT PAUSE WRITE holds it up."""
    subscriber, publisher, admin = (swiftlet_server.connect() for _ in range(3))
    subscriber.call("SUBSCRIBE", "c")
    admin.call("CLIENT", "PAUSE", 100_000, "WRITE")
    publisher.send("PUBLISH", "c", "later")
    wait_until(lambda: b"blocked_clients:1" in admin.call("INFO", "clients"))
    admin.call("CLIENT", "UNPAUSE")
    assert publisher.reply() == b":1\r\n"
    assert decoded(subscriber.reply()) == [b"message", b"c", b"later"]
    for each in (subscriber, publisher, admin):
        each.close()


@pytest.mark.parametrize("masters, replicas", [("ours", "theirs"), ("theirs", "ours"), ("ours", "ours")])
def test_messages_reach_subscribers_of_replicas(masters, replicas):
    """In their order among the data, also after SELECT and within a transaction; none is heard twice."""
    starts = {"ours": start_swiftlet, "theirs": start_redis}
    master = starts[masters]("--repl-diskless-sync-delay", "0")
    replica = starts[replicas]("--replicaof", f"127.0.0.1 {master.port}")
    try:
        client, subscriber = master.connect(), replica.connect()
        wait_until(lambda: b"master_link_status:up" in subscriber.call("INFO", "replication"))
        for request in ["SUBSCRIBE c", "SSUBSCRIBE s", "PSUBSCRIBE c*"]:
            subscriber.call(*request.split())
        assert client.call("PUBLISH", "c", "one") == b":0\r\n"
        client.call("SELECT", 3)
        client.call("SPUBLISH", "s", "two")
        client.pipeline([["MULTI"], ["SET", "k", "v"], ["PUBLISH", "c", "three"], ["EXEC"]])
        heard = [decoded(subscriber.reply()) for _ in range(5)]
        assert heard == [
            [b"message", b"c", b"one"],
            [b"pmessage", b"c*", b"c", b"one"],
            [b"smessage", b"s", b"two"],
            [b"message", b"c", b"three"],
            [b"pmessage", b"c*", b"c", b"three"],
        ]
        subscriber.send("PING", "end")
        assert decoded(subscriber.reply()) == [b"pong", b"end"]
        # A replica's own messages stay there.
        other = replica.connect()
        assert other.call("PUBLISH", "c", "here") == b":2\r\n"
        assert decoded(subscriber.reply())[-1] == b"here"
        wait_until(lambda: offset(client, "master_repl_offset") == offset(other, "slave_repl_offset"))
        other.call("SELECT", 3)
        assert other.call("GET", "k") == b"$1\r\nv\r\n"
    finally:
        replica.stop()
        master.stop()


def offset(connection, name):
    return int(re.search(rf"{name}:(\d+)".encode(), connection.call("INFO", "replication")).group(1))
