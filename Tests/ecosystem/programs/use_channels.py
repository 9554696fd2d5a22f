"""channels-redis: both layers, with groups, capacity and messages that expire."""

import asyncio
import os

from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer

HOST = {"hosts": [os.environ["REDIS_URL"]]}


async def use(layer):
    names = [await layer.new_channel() for _ in range(5)]
    for name in names:
        await layer.group_add("all", name)
    for i in range(50):
        await layer.group_send("all", {"type": "message", "number": i})
    for name in names:
        for i in range(50):
            message = await asyncio.wait_for(layer.receive(name), 10)
            assert message["number"] == i, (name, i, message)
    await layer.group_discard("all", names[0])
    await layer.group_send("all", {"type": "last"})
    assert (await asyncio.wait_for(layer.receive(names[1]), 10))["type"] == "last"
    try:
        await asyncio.wait_for(layer.receive(names[0]), 0.5)
    except asyncio.TimeoutError:
        return
    raise AssertionError("a channel that left its group got its message")


async def main():
    core = RedisChannelLayer(**HOST, capacity=100)
    await core.send("plain", {"type": "one"})
    assert (await core.receive("plain"))["type"] == "one"
    await use(core)
    full = RedisChannelLayer(**HOST, capacity=3)
    for _ in range(3):
        await full.send("narrow", {"type": "x"})
    try:
        await full.send("narrow", {"type": "x"})
    except Exception as error:
        assert type(error).__name__ == "ChannelFull"
    else:
        raise AssertionError("a full channel took a message")
    await core.flush()
    await use(RedisPubSubChannelLayer(**HOST))
    print("two layers, 505 messages to groups, capacity")


asyncio.run(main())
