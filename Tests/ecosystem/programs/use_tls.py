"""redis-py (with hiredis and without), valkey-py, coredis and valkey-glide over TLS, with a client's certificate."""

import asyncio
import os

import coredis
import glide
import hiredis
import redis
import valkey

PORT, CA, CERT, KEY = int(os.environ["TLS_PORT"]), os.environ["TLS_CA"], os.environ["TLS_CERT"], os.environ["TLS_KEY"]
LARGE = os.urandom(3_000_000)
FILES = {"ssl_ca_certs": CA, "ssl_certfile": CERT, "ssl_keyfile": KEY}


def use(library, **options):
    """The libraries that are alike."""
    client = library(host="localhost", port=PORT, ssl=True, **FILES, **options)
    assert client.ping() and client.set("k", LARGE) and client.get("k") == LARGE
    pipeline = client.pipeline(transaction=False)
    for i in range(5000):
        pipeline.set(f"k{i}", i)
    assert all(pipeline.execute())
    listener = client.pubsub()
    listener.subscribe("c")
    assert listener.get_message(timeout=10)["type"] == "subscribe"
    assert client.publish("c", LARGE) == 1
    assert listener.get_message(timeout=10)["data"] == LARGE
    listener.close()
    client.close()
    try:
        library(host="localhost", port=PORT, ssl=True, ssl_ca_certs=CA).ping()
    except (redis.ConnectionError, valkey.ConnectionError):
        return
    raise AssertionError("a client without a certificate got in")


async def use_coredis():
    client = coredis.Redis(host="localhost", port=PORT, ssl=True, **FILES)
    if hasattr(client, "__aenter__"):
        async with client:
            await ask_coredis(client)
    else:
        await ask_coredis(client)


async def ask_coredis(client):
    assert await client.ping() in (b"PONG", "PONG")
    assert await client.set("k", LARGE) and await client.get("k") == LARGE


async def use_glide():
    files = {}
    for name, path in (("root_pem_cacerts", CA), ("client_cert_pem", CERT), ("client_key_pem", KEY)):
        with open(path, "rb") as file:
            files[name] = file.read()
    tls = glide.TlsAdvancedConfiguration(**files)
    configuration = glide.GlideClientConfiguration(
        [glide.NodeAddress("localhost", PORT)],
        use_tls=True,
        request_timeout=10_000,
        advanced_config=glide.AdvancedGlideClientConfiguration(tls_config=tls),
    )
    client = await glide.GlideClient.create(configuration)
    assert await client.ping() == b"PONG"
    assert await client.set("k", LARGE) == "OK" and await client.get("k") == LARGE
    values = await asyncio.gather(*(client.incr("n") for _ in range(500)))
    assert sorted(values) == list(range(1, 501))
    await client.close()


use(redis.Redis)
use(redis.Redis, protocol=3)
use(valkey.Valkey)
assert hiredis.__version__
asyncio.run(use_coredis())
asyncio.run(use_glide())
print("redis-py with hiredis, valkey-py, coredis and valkey-glide over TLS with certificates of clients")
