"""maxmemory: how well each policy picks, what that costs, and what it does to others."""

import itertools
import random
import time

from groups import LOGS, Row, paired
from harness import KINDS, POOL, Server, encode, percentile

POLICIES = ("allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu", "volatile-random")
KEYS, FITTING, REQUESTS, BATCH = 100_000, 10_000, 400_000, 100
VALUE = POOL[:100]
# Keys of a scan come once each.
SCANS, SCAN = 10, 4_000


def zipf(generator):
    """Keys of which few are asked for often: the n-th with a weight of 1/n."""
    weights = list(itertools.accumulate(1 / (i + 1) for i in range(KEYS)))
    names = list(range(KEYS))
    generator.shuffle(names)
    return generator.choices(names, cum_weights=weights, k=REQUESTS)


def scanned(trace):
    """The trace with keys between that nobody asks for again."""
    once, every = itertools.count(KEYS), len(trace) // SCANS
    for start in range(0, len(trace), every):
        yield from trace[start : start + every]
        yield from itertools.islice(once, SCAN)


def rows():
    for trace, policy in itertools.product(("Zipf", "Zipf and scans"), POLICIES):
        yield Row("%s, %s: hits" % (policy, trace), "%", (">=", 0.98))
        yield Row("%s, %s: CPU/request" % (policy, trace), "µs", ("<=", 1.0))
    yield Row("evicting: p99.9 against before", "times", ("<=", 1.5), absolute=True)


class Cache:
    """A server in front of something slower: what it has not is put there."""

    def __init__(self, server, policy):
        self.server, self.hits, self.asked = server, 0, 0
        self.set = ("EX", "100000") if policy.startswith("volatile") else ()
        server.client("CONFIG", "SET", "maxmemory", "0")
        server.client("FLUSHALL")
        server.client("CONFIG", "SET", "maxmemory-policy", policy)
        self.pipeline([self.put(key) for key in range(FITTING)])
        # Little by little, until as many keys stay as are to fit: both have the same number, whatever each one takes.
        limit, fresh = int(server.client.info("memory")["used_memory"]), itertools.count(KEYS * 4)
        for step in (-200_000, 50_000, -12_000, 3_000):
            while (self.kept(limit, fresh) < FITTING) == (step > 0):
                limit += step
        # What is left of that is not the same for both.
        server.client("FLUSHALL")
        self.cpu = server.cpu()

    def kept(self, limit, fresh):
        """How many keys are left after many more than fit have come."""
        self.server.client("CONFIG", "SET", "maxmemory", str(limit))
        self.pipeline([self.put(key) for key in itertools.islice(fresh, 2000)])
        return self.server.client("DBSIZE")

    def put(self, key):
        return encode("SET", "key:%07d" % key, VALUE, *self.set)

    def pipeline(self, requests):
        client = self.server.client
        for start in range(0, len(requests), 1000):
            part = requests[start : start + 1000]
            client.socket.sendall(b"".join(part))
            for _ in part:
                client.reply()

    def ask(self, keys):
        client = self.server.client
        client.socket.sendall(b"".join(encode("GET", "key:%07d" % key) for key in keys))
        missed = [key for key in keys if client.reply() == b"$-1\r\n"]
        self.hits += len(keys) - len(missed)
        self.asked += len(keys)
        if missed:
            self.pipeline([self.put(key) for key in missed])

    def figures(self):
        return 100 * self.hits / self.asked, (self.server.cpu() - self.cpu) / self.asked * 1e6


def waits(client, seconds, generator):
    """Milliseconds that a SET of a new key takes."""
    samples, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.perf_counter()
        client("SET", "new:%d" % generator.getrandbits(40), VALUE)
        samples.append((time.perf_counter() - began) * 1e3)
    return samples


@paired("eviction", list(rows()))
def eviction(bench, directories):
    """Both are asked the same at the same time: what counts as long ago is then the same for both."""
    servers, figures = {}, {}
    try:
        for kind in KINDS:
            servers[kind] = Server(bench, kind, directories[kind], *LOGS["off"])
        generator = random.Random(11)
        trace = zipf(generator)[: bench.scaled(REQUESTS)]
        for name, keys in (("Zipf", trace), ("Zipf and scans", list(scanned(trace)))):
            for policy in POLICIES:
                caches = [Cache(servers[kind], policy) for kind in KINDS]
                for start in range(0, len(keys), BATCH):
                    for cache in caches if start // BATCH % 2 else caches[::-1]:
                        cache.ask(keys[start : start + BATCH])
                found = [cache.figures() for cache in caches]
                for i, what in enumerate(("hits", "CPU/request")):
                    pair = tuple(one[i] for one in found)
                    figures.setdefault("%s, %s: %s" % (policy, name, what), []).append(pair)
        figures["evicting: p99.9 against before"] = [tuple(slower(servers[kind], generator) for kind in KINDS)]
        return figures
    finally:
        for server in servers.values():
            server.kill()


def slower(server, generator):
    server.client("CONFIG", "SET", "maxmemory", "0")
    server.client("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    before = percentile(waits(server.client, 5, generator), 0.999)
    server.client("CONFIG", "SET", "maxmemory", server.client.info("memory")["used_memory"])
    return percentile(waits(server.client, 5, generator), 0.999) / before
