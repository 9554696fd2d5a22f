"""redis-py, in either protocol, with and without hiredis: pipelines, locks, scripts, pub/sub, a cache of the client's own."""

import os
import threading

import redis

URL = os.environ["REDIS_URL"]
for protocol in (2, 3):
    client = redis.Redis.from_url(URL, protocol=protocol, decode_responses=True)
    client.flushall()
    with client.pipeline() as pipeline:
        for i in range(100):
            pipeline.set(f"k{i}", i).expire(f"k{i}", 100)
        assert len(pipeline.execute()) == 200

    def increase(pipeline):
        number = int(pipeline.get("n") or 0)
        pipeline.multi()
        pipeline.set("n", number + 1)

    def work():
        own = redis.Redis.from_url(URL, protocol=protocol, decode_responses=True)
        for _ in range(50):
            own.transaction(increase, "n")
            with own.lock("lock", timeout=5):
                own.set("m", int(own.get("m") or 0) + 1)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (client.get("n"), client.get("m")) == ("150", "150")

    script = client.register_script("return {KEYS[1], ARGV[1], redis.call('INCR', KEYS[1])}")
    assert script(keys=["counter"], args=["x"]) == ["counter", "x", 1]
    client.script_flush()
    assert script(keys=["counter"], args=["x"]) == ["counter", "x", 2]

    subscriber = client.pubsub(ignore_subscribe_messages=True)
    subscriber.subscribe("channel")
    subscriber.psubscribe("chan*")
    subscriber.get_message(timeout=1)
    subscriber.get_message(timeout=1)
    client.publish("channel", "hello")
    heard = [subscriber.get_message(timeout=5) for _ in range(2)]
    assert sorted(message["type"] for message in heard) == ["message", "pmessage"], heard
    client.xadd("stream", {"a": "b"})
    client.xgroup_create("stream", "group", "0")
    assert client.xreadgroup("group", "me", {"stream": ">"})
    client.hset("hash", mapping={"a": 1, "b": 2})
    assert client.hexpire("hash", 100, "a") == [1] and client.httl("hash", "a", "b") == [100, -1]
    assert client.hgetex("hash", "a", persist=True) == ["1"] and client.hgetdel("hash", "a", "c") == ["1", None]
    assert client.hsetex("hash", "d", "4", ex=100) == 1
    client.zadd("zset", {"a": 1, "b": 2.5})
    assert client.zrange("zset", 0, -1, withscores=True)[1][1] == 2.5
    assert client.geoadd("geo", (13.361389, 38.115556, "Palermo")) == 1
    assert client.info("server")["redis_version"] and client.command_count() > 200
print("RESP2 and RESP3: pipelines, transactions, 150 locks each, scripts, pub/sub, streams, hashes")
