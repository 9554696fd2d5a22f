"""coredis, which speaks RESP3 alone: pipelines, transactions, scripts, streams, messages, what an administrator asks."""

import asyncio
import os

import coredis

PORT = int(os.environ["REDIS_PORT"])


async def use():
    client = coredis.Redis(host="127.0.0.1", port=PORT, decode_responses=True)
    async with client:
        await client.flushall()
        async with client.pipeline(transaction=True) as pipeline:
            for i in range(100):
                pipeline.set(f"k{i}", str(i), ex=100)
        assert await client.dbsize() == 100
        assert len([key async for key in client.scan_iter(match="k*")]) >= 100
        assert await client.incr("n") == 1
        assert list(await client.eval("return {KEYS[1], ARGV[1]}", keys=["a"], args=["b"])) == ["a", "b"]
        await client.hset("hash", {"a": "1", "b": "2"})
        assert dict(await client.hgetall("hash")) == {"a": "1", "b": "2"}
        await client.zadd("zset", {"a": 1, "b": 2.5})
        assert [item.score for item in await client.zrange("zset", 0, -1, withscores=True)] == [1.0, 2.5]
        await client.xadd("stream", {"a": "b"})
        await client.xgroup_create("stream", "group", "0")
        assert await client.xreadgroup("group", "me", {"stream": ">"})
        await client.client_setname("coredis")
        assert "coredis" in [info["name"] for info in await client.client_list()]
        assert "maxmemory-policy" in await client.config_get(["maxmemory*"])
        assert (await client.info())["redis_version"]
        assert (await client.command_info("get"))["get"]["arity"] == 2
        try:
            await client.lpush("n", ["1"])
            raise AssertionError("no error")
        except coredis.exceptions.WrongTypeError:
            pass


asyncio.run(use())
print("pipelines, scripts, scanning, streams, sorted sets, CLIENT LIST, COMMAND INFO")
