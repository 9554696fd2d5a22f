"""Keys of every type and encoding, as many as a test wants, in several databases, with times and groups."""

import random

from data import FAR, TYPES, fill

BATCH = 500


def value_of(rng):
    draw = rng.random()
    if draw < 0.3:
        return rng.randrange(-(1 << 40), 1 << 40)
    if draw < 0.45:
        return rng.randbytes(rng.randrange(60))
    if draw < 0.47:
        return "compress me " * rng.randrange(20, 300)
    return f"wörd {rng.randrange(1 << 30)}"


def size_of(rng):
    """Few elements mostly, more than a listpack takes now and then."""
    return rng.choices([rng.randrange(1, 8), rng.randrange(130, 200), rng.randrange(520, 700)], [985, 12, 3])[0]


def string(rng, key):
    draw = rng.random()
    if draw < 0.9:
        return [("SET", key, value_of(rng))]
    if draw < 0.95:
        return [("SETBIT", key, rng.randrange(4000), 1)]
    return [("PFADD", key, *(rng.randrange(10**6) for _ in range(size_of(rng))))]


def list_(rng, key):
    return [("RPUSH", key, *(value_of(rng) for _ in range(size_of(rng))))]


def hash_(rng, key):
    return [("HSET", key, *(w for n in range(size_of(rng)) for w in (f"f{n}", value_of(rng))))]


def set_(rng, key):
    if rng.random() < 0.5:
        return [("SADD", key, *(rng.randrange(1 << rng.choice([10, 30, 60])) for _ in range(size_of(rng))))]
    return [("SADD", key, *(value_of(rng) for _ in range(size_of(rng))))]


def zset(rng, key):
    if rng.random() < 0.1:
        return [("GEOADD", key, rng.uniform(-180, 180), rng.uniform(-80, 80), value_of(rng))]
    odd = ["inf", "-inf", "-0.0", "1e300", "5e-324", "0.1"]
    score = lambda: rng.choice(odd) if rng.random() < 0.1 else rng.choice([rng.randrange(-99, 99), rng.random()])
    return [("ZADD", key, *(w for n in range(size_of(rng)) for w in (score(), value_of(rng))))]


def stream(rng, key):
    count = size_of(rng)
    out = [("XADD", key, f"{n + 1}-{rng.randrange(3)}", "f", value_of(rng)) for n in range(count)]
    if rng.random() < 0.3:
        out.append(("XGROUP", "CREATE", key, "g", "0"))
        out.append(("XREADGROUP", "GROUP", "g", "reader", "COUNT", rng.randrange(1, 5), "STREAMS", key, ">"))
        out.append(("XACK", key, "g", f"{rng.randrange(1, count + 1)}-0"))
    if rng.random() < 0.1:
        out.append(("XDEL", key, f"{rng.randrange(1, count + 1)}-0"))
    return out


MAKERS = {"string": string, "list": list_, "hash": hash_, "set": set_, "zset": zset, "stream": stream}


def requests(rng, count, field_times=False):
    """Commands that make `count` keys of all types."""
    for n in range(count):
        kind = TYPES[n % len(TYPES)]
        key = rng.choice([f"{kind}:{n}", f"schlüssel:{n}", b"\xff\x00%d" % n])
        yield from MAKERS[kind](rng, key)
        if rng.random() < 0.2:
            yield "PEXPIREAT", key, FAR + rng.randrange(10**10)
        if field_times and kind == "hash" and rng.random() < 0.3:
            yield "HPEXPIREAT", key, FAR + rng.randrange(10**10), "FIELDS", 1, "f0"


def fill_mixed(node, seed, count, databases=(0, 5, 11), field_times=False):
    """Makes about `count` keys on `node`, and one of each encoding besides."""
    connection = node.connect()
    connection.call("SELECT", databases[-1])
    fill(connection.call)
    for number in databases:
        connection.call("SELECT", number)
        batch = []
        for request in requests(random.Random(f"{seed} {number}"), count // len(databases), field_times):
            batch.append(request)
            if len(batch) >= BATCH:
                send(connection, batch)
                batch = []
        send(connection, batch)
    connection.close()


def send(connection, batch):
    for request, reply in zip(batch, connection.pipeline(batch)):
        assert not reply.startswith(b"-"), (request, reply)
