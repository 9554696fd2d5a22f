"""Programs that people use with Redis: redis-py with and without hiredis, redis-cli, redis-benchmark."""

import shutil
import subprocess

import pytest

redis = pytest.importorskip("redis")

from redis.connection import Connection as RedisConnection  # noqa: E402

try:
    import hiredis  # noqa: F401
    from redis._parsers import _HiredisParser, _RESP2Parser, _RESP3Parser
except ImportError:
    hiredis = None
    from redis._parsers import _RESP2Parser, _RESP3Parser


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def protocol(request):
    return request.param


@pytest.fixture(params=["hiredis", "python"])
def client(request, protocol, swiftlet, swiftlet_server):
    """redis-py, with each of its parsers. `swiftlet` is there for its FLUSHALL."""
    if request.param == "hiredis":
        if hiredis is None:
            pytest.skip("hiredis is not installed")
        parser = _HiredisParser
    else:
        parser = _RESP3Parser if protocol == 3 else _RESP2Parser

    class Connection(RedisConnection):
        # The class, not the parameter: on connecting, redis-py replaces a parser that it thinks of as the default.
        def set_parser(self, parser_class):
            super().set_parser(parser)

    pool = redis.ConnectionPool(
        connection_class=Connection, host="127.0.0.1", port=swiftlet_server.port, protocol=protocol, socket_timeout=20
    )
    found = redis.Redis(connection_pool=pool)
    found.ping()
    connection = pool.get_connection()
    assert type(connection._parser) is parser
    pool.release(connection)
    yield found
    pool.disconnect()


def test_server(client, protocol):
    assert client.ping() is True
    assert client.echo("hello") == b"hello"
    assert client.info("server")["redis_version"]
    assert client.config_get("appendonly") in ({"appendonly": "no"}, {b"appendonly": b"no"})
    assert client.client_setname("tester") is True
    # A pool may hand out another connection, but there is only one.
    assert client.client_getname() in ("tester", b"tester")
    assert any(c["name"] == "tester" for c in client.client_list())
    assert client.execute_command("HELLO", protocol)
    assert client.dbsize() == 0


def test_strings(client):
    assert client.set("k", "v") is True
    assert client.get("k") == b"v"
    assert client.get("none") is None
    assert client.set("k", "w", nx=True) is None
    assert client.set("k", "w", get=True) == b"v"
    assert client.set("binary", bytes(range(256))) is True
    assert client.get("binary") == bytes(range(256))
    assert client.set("large", b"x" * (1 << 20)) is True
    assert client.get("large") == b"x" * (1 << 20)
    assert client.incr("n") == 1
    assert client.incrby("n", 41) == 42
    assert client.incrbyfloat("f", 1.5) == 1.5
    assert client.mset({"a": 1, "b": 2}) is True
    assert client.mget("a", "none", "b") == [b"1", None, b"2"]
    assert client.append("a", "23") == 3
    assert client.getrange("a", 1, 2) == b"23"
    assert client.strlen("a") == 3
    with pytest.raises(redis.ResponseError, match="not an integer"):
        client.incr("k")


def test_keys(client):
    client.set("k", "v", ex=1000)
    assert 990 < client.ttl("k") <= 1000
    assert client.persist("k") is True
    assert client.ttl("k") == -1
    assert client.ttl("none") == -2
    assert client.expire("k", 50) is True
    assert client.rename("k", "l") is True
    assert client.exists("k", "l") == 1
    assert client.type("l") == b"string"
    client.mset({f"key:{n}": n for n in range(300)})
    assert set(client.scan_iter("key:*")) == {b"key:%d" % n for n in range(300)}
    assert len(client.keys("key:*")) == 300
    assert client.delete("l", "none") == 1


def test_lists(client):
    assert client.rpush("l", "a", "b", "c") == 3
    assert client.lpush("l", "z") == 4
    assert client.lrange("l", 0, -1) == [b"z", b"a", b"b", b"c"]
    assert client.lpop("l") == b"z"
    assert client.rpop("l", 2) == [b"c", b"b"]
    assert client.lpop("none") is None
    assert client.llen("l") == 1
    assert client.linsert("l", "BEFORE", "a", "y") == 2
    assert client.lindex("l", 0) == b"y"
    assert client.lset("l", 0, "x") in (True, b"OK")
    assert client.lpos("l", "a") == 1
    assert client.lmove("l", "m", "LEFT", "RIGHT") == b"x"
    assert client.blpop(["none", "m"], timeout=1) in ((b"m", b"x"), [b"m", b"x"])
    with pytest.raises(redis.ResponseError, match="^WRONGTYPE|wrong kind"):
        client.get("l")


def test_hashes(client):
    assert client.hset("h", mapping={"f": "v", "g": 1}) == 2
    assert client.hgetall("h") == {b"f": b"v", b"g": b"1"}
    assert client.hget("h", "f") == b"v"
    assert client.hget("h", "none") is None
    assert client.hmget("h", "f", "none") == [b"v", None]
    assert client.hincrby("h", "g", 2) == 3
    assert client.hincrbyfloat("h", "x", 0.5) == 0.5
    assert client.hdel("h", "x") == 1
    assert client.hexists("h", "f") is True
    assert sorted(client.hkeys("h")) == [b"f", b"g"]
    assert client.hlen("h") == 2
    assert dict(client.hscan_iter("h")) == {b"f": b"v", b"g": b"3"}


def test_sets(client):
    assert client.sadd("s", "a", "b", "c") == 3
    assert client.sadd("t", "b", "c", "d") == 3
    assert set(client.smembers("s")) == {b"a", b"b", b"c"}
    assert client.sismember("s", "a") == 1
    assert list(client.smismember("s", ["a", "d"])) == [1, 0]
    assert set(client.sinter("s", "t")) == {b"b", b"c"}
    assert set(client.sunion("s", "t")) == {b"a", b"b", b"c", b"d"}
    assert set(client.sdiff("s", "t")) == {b"a"}
    assert client.sinterstore("u", "s", "t") == 2
    assert client.srem("s", "a") == 1
    assert client.spop("s") in (b"b", b"c")
    assert client.scard("s") == 1


def test_zsets(client, protocol):
    assert client.zadd("z", {"a": 1, "b": 2.5, "c": float("inf")}) == 3
    assert client.zscore("z", "b") == 2.5
    assert client.zscore("z", "c") == float("inf")
    assert client.zscore("z", "none") is None
    assert client.zrange("z", 0, -1) == [b"a", b"b", b"c"]
    pairs = [tuple(pair) for pair in client.zrange("z", 0, 1, withscores=True)]
    assert pairs == [(b"a", 1.0), (b"b", 2.5)]
    assert client.zrangebyscore("z", "(1", "+inf") == [b"b", b"c"]
    assert client.zincrby("z", 2, "a") == 3.0
    assert client.zrank("z", "a") == 1
    assert client.zrank("z", "none") is None
    assert client.zcount("z", "-inf", "+inf") == 3
    # One pair comes flat in RESP3, as from Redis.
    assert client.zpopmin("z") == ([b"b", 2.5] if protocol == 3 else [(b"b", 2.5)])
    assert dict(client.zscan_iter("z")) == {b"a": 3.0, b"c": float("inf")}
    assert client.zrem("z", "a") == 1


def test_pipeline(client):
    with client.pipeline(transaction=False) as pipe:
        for n in range(2000):
            pipe.set(f"k:{n}", n).get(f"k:{n}")
        replies = pipe.execute()
    assert replies[::2] == [True] * 2000
    assert replies[1::2] == [b"%d" % n for n in range(2000)]
    with client.pipeline(transaction=False) as pipe:
        first, error, last = pipe.get("k:1").lpush("k:1", "x").get("k:2").execute(raise_on_error=False)
    assert (first, last) == (b"1", b"2")
    assert isinstance(error, redis.ResponseError)


def test_transaction(client):
    client.set("balance", 10)
    with client.pipeline() as pipe:
        assert pipe.incrby("balance", 5).set("seen", "yes").get("balance").execute() == [15, True, b"15"]

    # Watched, and not touched.
    with client.pipeline() as pipe:
        pipe.watch("balance")
        value = int(pipe.get("balance"))
        pipe.multi()
        pipe.set("balance", value * 2)
        assert pipe.execute() == [True]
    assert client.get("balance") == b"30"

    # Watched, and touched by another connection.
    with client.pipeline() as pipe:
        pipe.watch("balance")
        client.incr("balance")
        pipe.multi()
        pipe.set("balance", 0)
        with pytest.raises(redis.WatchError):
            pipe.execute()
    assert client.get("balance") == b"31"

    # redis-py's own loop, which tries again.
    tries = []

    def double(pipe):
        tries.append(1)
        value = int(pipe.get("balance"))
        if len(tries) == 1:
            client.incr("balance")
        pipe.multi()
        pipe.set("balance", value * 2)

    assert client.transaction(double, "balance") == [True]
    assert len(tries) == 2
    assert client.get("balance") == b"64"

    with client.pipeline() as pipe, pytest.raises(redis.ResponseError):
        pipe.set("a", 1).execute_command("NOSUCHCOMMAND").execute()
    assert client.exists("a") == 0


def program(name):
    binary = shutil.which(name)
    if binary is None:
        pytest.skip(f"{name} is not installed")
    return binary


def cli(server, *arguments, given=None):
    run = subprocess.run(
        [program("redis-cli"), "-h", "127.0.0.1", "-p", str(server.port), *arguments],
        input=given, capture_output=True, timeout=60,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout.decode()


def test_redis_cli(swiftlet, swiftlet_server, protocol):
    option = f"-{protocol}"
    server = swiftlet_server
    assert cli(server, option, "PING") == "PONG\n"
    assert cli(server, option, "SET", "k", "v") == "OK\n"
    assert cli(server, option, "--no-raw", "GET", "k") == '"v"\n'
    assert cli(server, option, "--no-raw", "GET", "none") == "(nil)\n"
    assert cli(server, option, "--no-raw", "INCR", "n") == "(integer) 1\n"
    assert cli(server, option, "-x", "SET", "piped", given=b"from standard input") == "OK\n"
    assert cli(server, option, "GET", "piped") == "from standard input\n"
    assert cli(server, option, "RPUSH", "l", "a", "b") == "2\n"
    assert cli(server, option, "--no-raw", "LRANGE", "l", "0", "-1") == '1) "a"\n2) "b"\n'
    hashed = '1# "f" => "v"\n' if protocol == 3 else '1) "f"\n2) "v"\n'
    cli(server, option, "HSET", "h", "f", "v")
    assert cli(server, option, "--no-raw", "HGETALL", "h") == hashed
    script = b"MULTI\nSET t 1\nINCR t\nEXEC\n"
    assert cli(server, option, given=script).split() == ["OK", "QUEUED", "QUEUED", "OK", "2"]
    assert cli(server, option, "-n", "1", "DBSIZE") == "0\n"
    assert sorted(cli(server, option, "--scan").split()) == ["h", "k", "l", "n", "piped", "t"]
    assert "WRONGTYPE" in cli(server, option, "LPUSH", "k", "x")
    assert "Server" in cli(server, option, "INFO", "server")


def test_redis_cli_pipe(swiftlet, swiftlet_server):
    """Mass insertion: raw requests through redis-cli --pipe."""
    request = b"*3\r\n$3\r\nSET\r\n$8\r\nkey:%04d\r\n$1\r\nx\r\n"
    output = cli(swiftlet_server, "--pipe", given=b"".join(request % n for n in range(5000)))
    assert "errors: 0, replies: 5000" in output
    assert swiftlet.call("DBSIZE") == b":5000\r\n"


def test_redis_cli_bigkeys(swiftlet, swiftlet_server):
    swiftlet.call("RPUSH", "the-list", *range(100))
    swiftlet.call("SET", "the-string", "x" * 100)
    output = cli(swiftlet_server, "--bigkeys")
    assert "the-list" in output and "the-string" in output


@pytest.mark.parametrize("keep_alive", [1, 0], ids=["kept", "reconnecting"])
def test_redis_benchmark(swiftlet, swiftlet_server, keep_alive):
    run = subprocess.run(
        [program("redis-benchmark"), "-h", "127.0.0.1", "-p", str(swiftlet_server.port), "-n", "1000",
         "-t", "set,get,lpush,hset,zadd", "-P", "4", "-q", "-k", str(keep_alive)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    for name in ("SET", "GET", "LPUSH", "HSET", "ZADD"):
        assert f"{name}: " in run.stdout, run.stdout
    assert "requests per second" in run.stdout
    assert swiftlet.call("STRLEN", "key:__rand_int__") == b":3\r\n"
    assert swiftlet.call("LLEN", "mylist") == b":1000\r\n"
