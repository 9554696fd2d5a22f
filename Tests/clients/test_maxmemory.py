"""maxmemory: what goes where memory is short, what is refused where nothing may, and what is told of it, as with redis-server
7.0.15."""

import random

import pytest

from events import Notifications
from oracle import Pair, start_redis, start_swiftlet
from replicas import RawReplica, info
from resp import bulk, bulks, encode, integer
from seed import seeded
from waiting import wait_until

ALL_KEYS = ["allkeys-lru", "allkeys-lfu", "allkeys-random"]
VOLATILE = ["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"]
OOM = b"-OOM command not allowed when used memory > 'maxmemory'.\r\n"
MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def servers():
    pair = (start_swiftlet(), start_redis())
    yield pair
    for server in pair:
        server.stop()


@pytest.fixture
def both(servers):
    connections = [server.connect() for server in servers]
    for connection in connections:
        connection.call("CONFIG", "SET", "maxmemory", 0)
        connection.call("FLUSHALL")
        wait_until(lambda connection=connection: info(connection, "memory")["lazyfree_pending_objects"] == "0")
        connection.call("CONFIG", "RESETSTAT")
    yield Pair(*connections)
    for connection in connections:
        connection.call("CONFIG", "SET", "maxmemory", 0, "maxmemory-policy", "noeviction")
        connection.close()


def used(connection):
    """Bytes in use that count for `maxmemory`."""
    memory = info(connection, "memory")
    return int(memory["used_memory"]) - int(memory["mem_not_counted_for_evict"])


def limit(connection, policy, room):
    """Sets a limit so far above what is in use."""
    connection.call("CONFIG", "SET", "maxmemory", used(connection) + room, "maxmemory-policy", policy)


# MARK: What is refused


def test_what_takes_memory_is_refused(both):
    both("SET", "a", "1")
    both("RPUSH", "list", "1")
    both("CONFIG", "SET", "maxmemory", 1, "maxmemory-policy", "noeviction")
    for command in (
        ["SET", "b", "2"],
        ["APPEND", "a", "1"],
        ["RESTORE", "c", 0, "x"],
        ["GET", "a"],
        ["DEL", "b"],
        ["LPOP", "list"],
        ["EXPIRE", "a", 100],
        ["EVAL", "return redis.call('set', 'x', 'y')", 0],
        ["EVAL", "return redis.pcall('set', 'x', 'y')", 0],
        ["EVAL", "return redis.call('get', 'a')", 0],
        ["EVAL", "redis.call('del', 'a'); return redis.call('set', 'x', 'y')", 0],
        ["EVAL", "#!lua\nreturn 1", 0],
        ["EVAL", "#!lua flags=no-writes\nreturn redis.call('get', 'a')", 0],
        ["EVAL", "#!lua flags=allow-oom\nreturn redis.call('set', 'x', 'y')", 0],
        ["FUNCTION", "LOAD", "#!lua name=l\nredis.register_function('f', function() return 1 end)"],
    ):
        both(*command)
    assert both("SET", "b", "2") == OOM


def test_functions_say_whether_they_may(both):
    both("FUNCTION", "FLUSH")
    code = """#!lua name=l
        local function write() return redis.call('set', 'x', 'y') end
        redis.register_function('plain', write)
        redis.register_function{function_name='allowed', callback=write, flags={'allow-oom'}}
        redis.register_function{function_name='reads', callback=function() return 1 end, flags={'no-writes'}}"""
    both("FUNCTION", "LOAD", code)
    both("CONFIG", "SET", "maxmemory", 1, "maxmemory-policy", "noeviction")
    for name in ("plain", "allowed", "reads"):
        both("FCALL", name, 0)
    both("FUNCTION", "FLUSH")


def test_a_transaction_takes_memory_when_it_is_queued(both):
    both("MULTI")
    both("SET", "a", "1")
    for server in (both.swiftlet, both.oracle):
        server.call("CONFIG", "RESETSTAT")
    both("EXEC")
    both("CONFIG", "SET", "maxmemory", 1, "maxmemory-policy", "noeviction")
    for command in (["GET", "a"], ["SET", "a", "2"], ["PING"], ["WATCH", "a"], ["MULTI"]):
        both("MULTI")
        both(*command)
        both("EXEC")
    both("MULTI")
    both("DISCARD")
    both("MULTI")
    both("RESET")


def test_a_queued_transaction_is_refused_as_a_whole(servers, both):
    others = Pair(*(server.connect() for server in servers))
    both("MULTI")
    both("SET", "a", "2")
    others("CONFIG", "SET", "maxmemory", 1, "maxmemory-policy", "noeviction")
    assert both("EXEC").startswith(b"-EXECABORT Transaction discarded because of: OOM")
    others("CONFIG", "SET", "maxmemory", 0)
    both("MULTI")
    both("GET", "a")
    others("CONFIG", "SET", "maxmemory", 1)
    both("EXEC")
    for connection in (others.swiftlet, others.oracle):
        connection.close()


def test_a_refusal_is_counted(both):
    both("CONFIG", "SET", "maxmemory", 1, "maxmemory-policy", "noeviction")
    both("SET", "a", "1")
    both("SET", "a", "1")
    for connection in (both.swiftlet, both.oracle):
        assert info(connection, "errorstats")["errorstat_OOM"] == "count=2"
        assert "rejected_calls=2" in info(connection, "commandstats")["cmdstat_set"]
        assert int(info(connection, "stats")["current_eviction_exceeded_time"]) >= 0
    both("CONFIG", "SET", "maxmemory", 0)
    both("SET", "a", "1")


def test_memory_that_was_given_back_can_be_taken(both):
    limit(both.swiftlet, "noeviction", 8 * MEGABYTE)
    for i in range(7):
        assert both.swiftlet.call("SET", f"k{i}", b"x" * MEGABYTE) == b"+OK\r\n"
    while both.swiftlet.call("SET", "more", b"x" * MEGABYTE) != OOM:
        both.swiftlet.call("APPEND", "k0", b"x" * MEGABYTE)
    # What is freed on another thread counts as free at once.
    both.swiftlet.call("FLUSHALL")
    assert both.swiftlet.call("SET", "k", b"x" * 5 * MEGABYTE) == b"+OK\r\n"


# MARK: What goes


@pytest.mark.parametrize("policy", ALL_KEYS + VOLATILE)
def test_memory_stays_within_the_limit(both, policy):
    """Random sizes, big values and big collections: what is in use is never much more than what may be."""
    call, rng = both.swiftlet.call, seeded(ALL_KEYS.index(policy) if policy in ALL_KEYS else 10)
    limit(both.swiftlet, policy, 12 * MEGABYTE)
    maximum = int(bulks(call("CONFIG", "GET", "maxmemory"))[1])
    highest = 0
    for i in range(60):
        requests = []
        for _ in range(40):
            key = b"k%d" % rng.randrange(100_000)
            size = rng.choice([10, 100, 1000, 30_000])
            requests.append(["SET", key, b"x" * rng.randrange(size), "EX", rng.randrange(1000, 9000)])
        members = [rng.randbytes(12) for _ in range(rng.choice([5, 300, 5000]))]
        requests += [["SADD", b"s%d" % i, *members], ["EXPIRE", b"s%d" % i, 1000]]
        if i % 20 == 7:
            requests.append(["SET", b"big%d" % i, b"x" * 3 * MEGABYTE, "EX", 500])
        replies = both.swiftlet.pipeline(requests)
        assert not [reply for reply in replies if reply.startswith(b"-")]
        highest = max(highest, used(both.swiftlet))
    # A value of 3 MB stands in the input and in the keyspace before others go for it.
    assert highest < maximum + 7 * MEGABYTE
    wait_until(lambda: used(both.swiftlet) < maximum + 64 * 1024)
    assert int(info(both.swiftlet, "stats")["evicted_keys"]) > 0
    assert call("DEBUG", "CHECK-INVARIANTS") == b"+OK\r\n"


@pytest.mark.parametrize("policy", VOLATILE)
def test_keys_without_an_expiry_stay(both, policy):
    call = both.swiftlet.call
    for i in range(500):
        call("SET", f"kept{i}", "x" * 100)
    limit(both.swiftlet, policy, 300_000)
    replies = both.swiftlet.pipeline([["SET", f"v{i}", "x" * 1000, "EX", 1000] for i in range(2000)])
    assert set(replies) == {b"+OK\r\n"}
    assert integer(call("EXISTS", *(f"kept{i}" for i in range(500)))) == 500
    assert int(info(both.swiftlet, "stats")["evicted_keys"]) > 1000
    # When none is left, what takes memory is refused.
    both.swiftlet.pipeline([["PERSIST", f"v{i}"] for i in range(2000)])
    assert OOM in both.swiftlet.pipeline([["SET", f"w{i}", "x" * 1000] for i in range(500)])


def test_the_soonest_to_expire_go_first(both):
    limit(both.swiftlet, "volatile-ttl", 400_000)
    order = list(range(300))
    random.Random(5).shuffle(order)
    both.swiftlet.pipeline([["SET", f"k{i}", "x" * 1000, "EX", 1000 + i] for i in order])
    both.swiftlet.pipeline([["SET", f"late{i}", "x" * 1000, "EX", 9000] for i in range(100)])
    there = [integer(reply) for reply in both.swiftlet.pipeline([["EXISTS", f"k{i}"] for i in range(300)])]
    assert 0 < sum(there) < 300
    # Those that were there when room was needed went in their order.
    gone = 300 - sum(there)
    assert sum(there[:gone]) < gone // 4


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu"])
def test_what_is_used_stays(both, policy):
    call = both.swiftlet.call
    call("CONFIG", "SET", "maxmemory-samples", 10)
    limit(both.swiftlet, policy, 600_000)
    both.swiftlet.pipeline([["SET", f"used{i}", "x" * 500] for i in range(100)])
    for round in range(30):
        # LRU tells seconds apart.
        call("DEBUG", "ADVANCE-CLOCK", 2000)
        both.swiftlet.pipeline([["GET", f"used{i}"] for i in range(100)] * 3)
        call("DEBUG", "ADVANCE-CLOCK", 2000)
        both.swiftlet.pipeline([["SET", f"once{round}:{i}", "x" * 500] for i in range(100)])
    call("CONFIG", "SET", "maxmemory-samples", 5)
    assert integer(call("EXISTS", *(f"used{i}" for i in range(100)))) >= 90


def test_all_databases_give(both):
    limit(both.swiftlet, "allkeys-random", 300_000)
    for db in (0, 3, 9):
        both.swiftlet.call("SELECT", db)
        both.swiftlet.pipeline([["SET", f"k{i}", "x" * 500] for i in range(500)])
    both.swiftlet.call("SELECT", 0)
    space = info(both.swiftlet, "keyspace")
    assert all(int(space[f"db{db}"].split(",")[0].split("=")[1]) < 500 for db in (0, 3, 9) if f"db{db}" in space)


def test_a_limit_below_what_is_in_use_empties_in_slices(both):
    """Between slices others are answered, and in the end nothing is left."""
    both("CONFIG", "SET", "maxmemory-eviction-tenacity", 0)
    both.swiftlet.pipeline([["SET", f"k{i}", "x"] for i in range(20_000)])
    both.swiftlet.call("CONFIG", "SET", "maxmemory", 1, "maxmemory-policy", "allkeys-lru")
    assert integer(both.swiftlet.call("DBSIZE")) > 0
    wait_until(lambda: integer(both.swiftlet.call("DBSIZE")) == 0)
    both("CONFIG", "SET", "maxmemory-eviction-tenacity", 10)
    assert int(info(both.swiftlet, "stats")["evicted_keys"]) == 20_000


def test_deleting_a_big_value_does_not_take_others_with_it(both):
    """What goes on another thread counts as free while it does."""
    call = both.swiftlet.call
    members = [b"member:%d" % i for i in range(60_000)]
    call("SADD", "big", *members)
    call("DEBUG", "ADVANCE-CLOCK", 5000)
    both.swiftlet.pipeline([["SET", f"k{i}", "x" * 100] for i in range(2000)])
    call("CONFIG", "SET", "maxmemory-samples", 64)
    call("CONFIG", "SET", "maxmemory", used(both.swiftlet) - 100_000, "maxmemory-policy", "allkeys-lru")
    # The pool may have had others from the first samples: the big one goes soon.
    for _ in range(50):
        call("PING")
        call("CONFIG", "SET", "maxmemory", max(1, used(both.swiftlet) - 20_000))
        if call("EXISTS", "big") == b":0\r\n":
            break
    call("CONFIG", "SET", "maxmemory-samples", 5)
    assert integer(call("DBSIZE")) > 500


# MARK: Who is told


def test_what_is_told(servers, both):
    """Propagated, notified, and invalidated for clients that track it, the same on both."""
    for lazy in ("no", "yes"):
        found = []
        for server, connection in zip(servers, (both.swiftlet, both.oracle)):
            connection.call("CONFIG", "SET", "lazyfree-lazy-eviction", lazy)
            replica = RawReplica(server.port)
            replica.psync()
            replica.snapshot() if hasattr(replica, "snapshot") else None
            notifications = Notifications(server)
            connection.call("SET", "a", "1")
            notifications.take()
            connection.call("CONFIG", "SET", "maxmemory", 1, "maxmemory-policy", "allkeys-lru")
            wait_until(lambda connection=connection: connection.call("EXISTS", "a") == b":0\r\n")
            connection.call("CONFIG", "SET", "maxmemory", 0)
            found.append([event for event in notifications.take() if event[0] == "evicted"])
            notifications.close()
            replica.close()
        assert found[0] == found[1] == [("evicted", 0, b"a")]


def test_clients_that_cache_it_hear_of_it(servers, both):
    for server, connection in zip(servers, (both.swiftlet, both.oracle)):
        tracker = server.connect()
        tracker.call("HELLO", 3)
        tracker.call("CLIENT", "TRACKING", "ON", "NOLOOP")
        connection.call("SET", "a", "1")
        tracker.call("GET", "a")
        connection.call("CONFIG", "SET", "maxmemory", 1, "maxmemory-policy", "allkeys-lru")
        assert tracker.reply() == b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n"
        connection.call("CONFIG", "SET", "maxmemory", 0)
        tracker.close()


def test_who_watches_it_fails(servers, both):
    others = Pair(*(server.connect() for server in servers))
    both("SET", "a", "1")
    both("WATCH", "a")
    others("CONFIG", "SET", "maxmemory", 1, "maxmemory-policy", "allkeys-lru")
    for connection in (others.swiftlet, others.oracle):
        wait_until(lambda connection=connection: connection.call("EXISTS", "a") == b":0\r\n")
        connection.call("CONFIG", "SET", "maxmemory", 0)
    both("MULTI")
    both("PING")
    assert both("EXEC") == b"*-1\r\n"


def test_nothing_goes_while_clients_are_paused(both):
    both("SET", "a", "1")
    both("CLIENT", "PAUSE", 60_000, "WRITE")
    both("CONFIG", "SET", "maxmemory", 1, "maxmemory-policy", "allkeys-lru")
    for _ in range(3):
        both("EXISTS", "a")
    both("CLIENT", "UNPAUSE")
    both("CONFIG", "SET", "maxmemory", 0)


# MARK: Replicas


def test_a_replica_leaves_it_to_its_master(servers, both):
    master = servers[1]
    with_limit = ("--maxmemory", "1", "--maxmemory-policy", "allkeys-random", "--replicaof", f"127.0.0.1 {master.port}")
    both.oracle.call("MSET", "a", 1, "b", 2)
    replica = start_swiftlet(*with_limit)
    try:
        connection = replica.connect()
        wait_until(lambda: connection.call("DBSIZE") == b":2\r\n")
        connection.call("PING")
        assert connection.call("DBSIZE") == b":2\r\n"
        assert connection.call("CONFIG", "SET", "replica-ignore-maxmemory", "no") == b"+OK\r\n"
        wait_until(lambda: connection.call("DBSIZE") == b":0\r\n")
    finally:
        replica.stop()


def test_a_replica_follows_what_its_master_evicts(servers, both):
    limit(both.swiftlet, "allkeys-random", 200_000)
    replica = start_redis("--replicaof", f"127.0.0.1 {servers[0].port}")
    try:
        connection = replica.connect()
        wait_until(lambda: info(connection, "replication")["master_link_status"] == "up")
        both.swiftlet.pipeline([["SET", f"k{i}", "x" * 500] for i in range(2000)])
        both.swiftlet.call("CONFIG", "SET", "maxmemory", 0)
        wait_until(
            lambda: (
                info(connection, "replication")["slave_repl_offset"]
                == info(both.swiftlet, "replication")["master_repl_offset"]
            )
        )
        assert connection.call("DEBUG", "DIGEST") == both.swiftlet.call("DEBUG", "DIGEST")
    finally:
        replica.stop()


# MARK: Settings


@pytest.mark.parametrize(
    "name, values",
    [
        ("maxmemory", ["1gb", "-1", "x", "100", "0"]),
        ("maxmemory-policy", ["volatile-ttl", "none", "ALLKEYS-LRU", "noeviction"]),
        ("maxmemory-samples", ["0", "10", "x", "5"]),
        ("maxmemory-eviction-tenacity", ["-1", "101", "100", "10"]),
        ("maxmemory-clients", ["5%", "101%", "-1%", "1mb", "x", "0%", "0"]),
        ("lazyfree-lazy-eviction", ["yes", "no"]),
        ("activedefrag", ["yes", "no"]),
    ],
)
def test_settings(both, name, values):
    for each in values:
        both("CONFIG", "SET", name, each)
        both("CONFIG", "GET", name)


def test_integers_are_shared_while_their_use_does_not_matter(both):
    both("SET", "a", 1)
    for policy in ("allkeys-lru", "volatile-lfu", "allkeys-random", "noeviction"):
        both("CONFIG", "SET", "maxmemory", "1gb", "maxmemory-policy", policy)
        both("SET", "a", 1)
        both("OBJECT", "REFCOUNT", "a")


# MARK: MEMORY and INFO


def test_info_has_redis_fields(both):
    ours, theirs = (list(info(connection, "memory")) for connection in (both.swiftlet, both.oracle))
    assert [name for name in theirs if name not in ours] == []


def test_memory_stats_has_redis_fields(both):
    for connection in (both.swiftlet, both.oracle):
        connection.call("SET", "a", "1")
    fields = [bulks_of_names(connection.call("MEMORY", "STATS")) for connection in (both.swiftlet, both.oracle)]
    assert fields[0] == fields[1]


def bulks_of_names(reply):
    words = reply.split(b"\r\n")
    return [word for word in words if word[:1].isalpha()]


def test_figures_add_up(both):
    call = both.swiftlet.call
    before = int(info(both.swiftlet, "memory")["used_memory"])
    for first in range(0, 20_000, 500):
        both.swiftlet.pipeline([["SET", f"k{i}", "x" * 200] for i in range(first, first + 500)])
    memory = {name: text for name, text in info(both.swiftlet, "memory").items()}
    number = {name: int(text) for name, text in memory.items() if text.isdigit()}
    assert number["used_memory"] >= 20_000 * 220
    assert number["used_memory_overhead"] + number["used_memory_dataset"] == number["used_memory"]
    assert number["used_memory_startup"] < number["used_memory_overhead"]
    assert number["used_memory_peak"] >= number["used_memory"]
    # What the keys say that they take is what is in use for them.
    sampled = sum(integer(call("MEMORY", "USAGE", f"k{i}")) for i in range(100)) / 100
    data = number["used_memory"] - before
    assert 0.8 < sampled * 20_000 / data < 1.2
    call("FLUSHALL")
    wait_until(lambda: used(both.swiftlet) < before + 2 * MEGABYTE)
    assert call("MEMORY", "DOCTOR").startswith(b"$")
    assert call("MEMORY", "PURGE") == b"+OK\r\n"
    assert b"jemalloc statistics" in bulk(call("MEMORY", "MALLOC-STATS"))


def test_memory_help(both):
    both("MEMORY", "DOCTOR", "x")
    both("MEMORY", "USAGE", "missing")
    both("MEMORY", "USAGE", "missing", "SAMPLES", "x")
    both("MEMORY", "NOTHING")


def test_lazy_freeing_is_counted(both):
    call = both.swiftlet.call
    call("CONFIG", "RESETSTAT")
    call("SADD", "big", *range(5000))
    call("UNLINK", "big")
    wait_until(lambda: info(both.swiftlet, "memory")["lazyfreed_objects"] == "1")
    assert info(both.swiftlet, "memory")["lazyfree_pending_objects"] == "0"


# MARK: Clients


def test_the_largest_clients_go(servers):
    server = servers[0]
    admin = server.connect()
    admin.call("CLIENT", "NO-EVICT", "ON")
    admin.call("CONFIG", "RESETSTAT")
    clients = [server.connect() for _ in range(6)]
    sizes = [20, 20, 20, 400, 400, 3000]
    for number, (client, size) in enumerate(zip(clients, sizes)):
        client.call("CLIENT", "SETNAME", f"c{number}")
        client.socket.sendall(b"*1\r\n$%d\r\n" % (size << 10) + b"x" * (size << 10))

    def listed():
        lines = bulk(admin.call("CLIENT", "LIST")).decode().splitlines()
        fields = [dict(field.split("=", 1) for field in line.split()) for line in lines]
        return {field["name"]: int(field["tot-mem"]) for field in fields if field["name"].startswith("c")}

    wait_until(lambda: sum(listed().values()) > 3800 << 10)
    admin.call("CONFIG", "SET", "maxmemory-clients", 1 << 20)
    wait_until(lambda: "c5" not in listed())
    assert set(listed()) == {"c0", "c1", "c2", "c3", "c4"}
    admin.call("CONFIG", "SET", "maxmemory-clients", 600 << 10)
    wait_until(lambda: len(listed()) < 5)
    assert set(listed()) >= {"c0", "c1", "c2"} and len(listed()) == 4
    assert info(admin, "stats")["evicted_clients"] == "2"
    admin.call("CONFIG", "SET", "maxmemory-clients", 0)
    for client in clients:
        client.close()
    admin.close()


def test_clients_go_before_keys_do(servers, both):
    """Clients that ask for much at once and read nothing: their buffers are counted before what they ask for next is there."""
    for admin, server in zip((both.swiftlet, both.oracle), servers):
        for key in range(50):
            admin.call("SETRANGE", key, 100_000, "x")
        admin.call("CLIENT", "NO-EVICT", "ON")
        limit(admin, "allkeys-lru", 5 * MEGABYTE)
        admin.call("CONFIG", "SET", "maxmemory-clients", 3 * MEGABYTE)
        clients = [server.connect() for _ in range(20)]
        for client in clients:
            client.socket.sendall(encode(["MGET", 1]) * 100)
        wait_until(lambda admin=admin: int(info(admin, "stats")["evicted_clients"]) > 0)
        stats = info(admin, "stats")
        assert stats["evicted_keys"] == "0" and integer(admin.call("DBSIZE")) == 50
        for client in clients:
            client.close()
        admin.call("CONFIG", "SET", "maxmemory-clients", 0)
        admin.call("CLIENT", "NO-EVICT", "OFF")
