"""What memory looks like after keys of many sizes have come and gone."""

import random

from groups import LOGS, Row, group
from harness import POOL, Server, encode, pipeline

KEYS, BATCH = 400_000, 1000
ROUNDS = 5
# Bytes of values: each round has others, so that what a round leaves fits the next badly.
SIZES = [(8, 64), (40, 400), (16, 32), (200, 900), (8, 1200)]


def round_of(generator, number, keys):
    """Writes, then deletions of three in four keys, which are not neighbours."""
    least, most = SIZES[number % len(SIZES)]
    for key in range(keys):
        yield encode("SET", "key:%08d" % (number * keys + key), POOL[: generator.randint(least, most)])
    for key in range(keys):
        if generator.random() < 0.75:
            yield encode("DEL", "key:%08d" % (number * keys + key))


@group(
    "churn",
    [
        Row("after churn: resident memory per byte in use", "times", ("<=", 1.05)),
        Row("after churn: resident memory per key", "B", ("<=", 1.0)),
    ],
)
def churn(bench, kind, directory):

    server = Server(bench, kind, directory, *LOGS["off"])
    try:
        generator = random.Random(13)
        for number in range(ROUNDS):
            pipeline(server.port, round_of(generator, number, bench.scaled(KEYS)), BATCH)
        memory = server.client.info("memory")
        resident, used = int(memory["used_memory_rss"]), int(memory["used_memory"])
        return {
            "after churn: resident memory per byte in use": resident / used,
            "after churn: resident memory per key": resident / server.client("DBSIZE"),
        }
    finally:
        server.kill()
