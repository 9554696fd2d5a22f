"""Chains of servers, Swiftlet and redis-server in any order, under write load: a full sync, then cut links, which must be
resumed partially, then what is hard to replicate, one after the other.

    matrix.py [--keys N] [--seed S] [--chain swiftlet,redis,…]

$SWIFTLET_SERVER names the server that is tried.
"""

import argparse
import contextlib
import os
import pathlib
import sys
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "Support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "differential"))
os.environ["LC_ALL"] = "C"

from agreement import Disagreement, agree, wait_offsets
from dataset import fill_mixed
from load import Load, Pairs, Witness
from nodes import REDIS, SWIFTLET, Nodes
from proxy import TO_MASTER, Proxy
from resp import bulk, bulks
from seed import chosen_seed
from waiting import wait_until

CHAINS = [
    (SWIFTLET, SWIFTLET), (REDIS, SWIFTLET), (SWIFTLET, REDIS),
    (SWIFTLET, REDIS, REDIS), (REDIS, SWIFTLET, REDIS), (REDIS, REDIS, SWIFTLET), (SWIFTLET, SWIFTLET, SWIFTLET),
]  # fmt: skip
BACKLOG = 256 << 20
SAMPLE = 20_000  # keys of a database; of larger ones the digest is compared alone


class Chain:
    """Nodes one behind the other, with a proxy in each link. `nodes`: a `Nodes`, which stops them."""

    is_brief = False  # fewer cuts

    def __init__(self, nodes, kinds, **options):
        settings = {"repl-backlog-size": BACKLOG, "repl-timeout": 120} | options
        self.nodes = [nodes(kind, **settings) for kind in kinds]
        self.master, self.replicas = self.nodes[0], self.nodes[1:]
        self.proxies = [nodes.keep(Proxy(node.port)) for node in self.nodes[:-1]]
        self.field_times = all(node.has("HPEXPIRE") for node in self.nodes)

    def attach(self, timeout=300):
        """From the top, so that each full sync is of data."""
        for replica, proxy in zip(self.replicas, self.proxies):
            replica.follow(proxy.port)
            replica.wait_linked(timeout)

    def agree(self):
        agree(self.master, *self.replicas, timeout=300, sample=SAMPLE)

    def syncs(self):
        """Of each master, (full, partial, refused)."""
        return [node.syncs() for node in self.nodes[:-1]]


def cut_and_resume(chain, number, how):
    """A cut of one link, which is resumed partially."""
    master, proxy, replica = chain.nodes[number], chain.proxies[number], chain.replicas[number]
    full, partial, refused = master.syncs()
    how(proxy)
    wait_until(lambda: master.syncs()[1] > partial, 60)
    proxy.heal()
    replica.wait_linked()
    assert master.syncs()[0] == full and master.syncs()[2] == refused, (master.syncs(), full, refused)
    assert proxy.answers()[-1].startswith(b"+CONTINUE"), proxy.answers()


CUTS = [
    lambda proxy: proxy.cut(), lambda proxy: proxy.cut(abruptly=True), lambda proxy: proxy.cut_after(1),
    lambda proxy: proxy.cut_after(2017), lambda proxy: proxy.cut_after(40_000), lambda proxy: proxy.cut_after(9, TO_MASTER),
]  # fmt: skip


def sync_under_load(chain, _, seed, keys):
    """A full sync of many keys while the master is written to, and cuts of each link after it."""
    fill_mixed(chain.master, seed, keys, field_times=chain.field_times)
    fill_mixed(chain.replicas[-1], seed + 1, 300)  # what must be gone
    witness = Witness(chain.replicas[-1])
    with Load(chain.master, seed, field_times=chain.field_times) as load:
        load.wait_more(5)
        chain.attach()
        witness.start()
        assert all(counts[0] == 1 for counts in chain.syncs()), chain.syncs()
        for number in range(len(chain.proxies)):
            for cut in CUTS[:: 1 + chain.is_brief]:
                load.wait_more(3)
                cut_and_resume(chain, number, cut)
    chain.agree()
    witness.finish()
    assert all(counts[0] == 1 for counts in chain.syncs()), chain.syncs()


# What is hard, each on its own.


def transactions(chain, *_):
    """MULTI is whole on every replica, whatever byte the link is cut at."""
    proxy, last = chain.proxies[0], chain.replicas[-1]
    witness = Witness(last)
    witness.start()
    with Load(chain.master, 1, kinds=(Pairs,)) as load:
        for count in range(1, 1400, 400 if chain.is_brief else 97):
            load.wait_more(2)
            proxy.cut_after(count)
            before = chain.master.syncs()[1]
            wait_until(lambda: chain.master.syncs()[1] > before)
    chain.agree()
    witness.finish()


def contexts(chain, *_):
    """Writes in changing databases are applied where they were made, also right after a resync."""
    master = chain.master
    for number in (3, 0, 9) if chain.is_brief else (3, 0, 9, 3, 3, 0):
        chain.proxies[0].cut()
        master.ok("SELECT", number)
        for n in range(3):
            master.ok("SET", f"context:{n}", number)
        master.ok("SELECT", 0)
        master.ok("SET", "context", number)
        chain.replicas[0].wait_linked()
    chain.agree()


def expiry(chain, *_):
    """Keys go when the master says so: a replica hides them until then, and keeps them."""
    master, last = chain.master, chain.replicas[-1]
    master.ok("SELECT", 0)
    last.ok("SELECT", 0)
    before = int(master.ok("DBSIZE")[1:])
    for n in range(20):
        master.ok("SET", f"soon:{n}", n, "PX", 700)
    wait_offsets(master, *chain.replicas)
    master.pause()
    try:
        wait_until(lambda: last.call("EXISTS", *(f"soon:{n}" for n in range(20))) == b":0\r\n")
        assert last.call("GET", "soon:1") == b"$-1\r\n" and last.call("TTL", "soon:1") == b":-2\r\n"
        assert int(last.ok("DBSIZE")[1:]) == before + 20
    finally:
        master.resume()
    if master.kind == REDIS:
        # Among many keys it finds few that are due.
        master.call("EXISTS", *(f"soon:{n}" for n in range(20)))
    wait_until(lambda: int(last.ok("DBSIZE")[1:]) == before)
    chain.agree()


def waiting(chain, *_):
    """What a blocked client gets leaves every replica."""
    master, client = chain.master, chain.master.connect()
    for command in (("BLPOP", "w", 0), ("BLMOVE", "w", "v", "LEFT", "LEFT", 0), ("BRPOPLPUSH", "w", "v", 0)):
        master.ok("DEL", "w")
        client.send(*command)
        wait_until(lambda: master.info("clients")["blocked_clients"] == "1")
        master.ok("RPUSH", "w", "one", "two")
        client.reply()
    client.close()
    chain.agree()
    assert bulks(chain.replicas[-1].ok("LRANGE", "v", 0, -1)) == bulks(master.ok("LRANGE", "v", 0, -1)) != []


def moves(chain, nodes, *_):
    """MIGRATE in and out, COPY and MOVE to other databases, SORT STORE, RENAME, SPOP, relative times."""
    master, other = chain.master, nodes(REDIS)
    other.ok("RPUSH", "guest", *range(50))
    other.ok("PEXPIRE", "guest", 10**8)
    other.ok("MIGRATE", "127.0.0.1", master.port, "guest", 0, 5000)
    master.ok("SADD", "m:set", *range(2500))
    master.ok("MIGRATE", "127.0.0.1", other.port, "", 0, 5000, "COPY", "KEYS", "guest", "m:set")
    master.ok("COPY", "guest", "guest", "DB", 4)
    master.ok("SORT", "guest", "DESC", "STORE", "sorted")
    master.ok("MIGRATE", "127.0.0.1", other.port, "guest", 1, 5000)
    for n in range(60):
        master.ok("SPOP", "m:set", 20)
        master.ok("SET", f"time:{n}", n, "EX", 5000)
        master.ok("GETEX", f"time:{n}", "PX", 9_000_000 + n)
    master.ok("MOVE", "time:1", 9)
    master.ok("RENAME", "time:2", "time:3")
    for n in range(300):
        master.ok("XADD", "m:stream", "*", "f", n)
    # redis-server says the first with LIMIT and `=`, which it takes from masters alone.
    master.ok("XTRIM", "m:stream", "MAXLEN", "~", 50, "LIMIT", 400)
    master.ok("XADD", "m:stream", "MAXLEN", "~", 20, "LIMIT", 90, "*", "f", "v")
    chain.agree()
    last = chain.replicas[-1]
    assert last.ok("EXISTS", "guest") == b":0\r\n" and last.ok("LLEN", "sorted") == b":50\r\n"
    assert int(last.ok("PEXPIRETIME", "time:5")[1:]) == int(master.ok("PEXPIRETIME", "time:5")[1:])


def upheavals(chain, *_):
    """SWAPDB, FLUSHDB and FLUSHALL."""
    master = chain.master
    master.ok("SWAPDB", 0, 3)
    master.ok("SET", "after", "a swap")
    chain.agree()
    master.ok("SELECT", 3)
    master.ok("FLUSHDB")
    master.ok("SELECT", 0)
    chain.agree()
    master.ok("FLUSHALL")
    master.ok("SET", "last", "one")
    chain.agree()
    assert chain.replicas[-1].ok("DBSIZE") == b":1\r\n" and bulk(chain.replicas[-1].ok("GET", "last")) == b"one"


def exchange(chain, *_):
    """The first replica becomes the master, and the old one its replica: partially, as the histories are one."""
    old, new = chain.nodes[:2]
    for node in chain.nodes:
        node.ok("CONFIG", "SET", "repl-ping-replica-period", 3600)
    time.sleep(0.2)  # A PING that was on its way.
    wait_offsets(old, *chain.replicas)
    full = new.syncs()[0]
    ids = old.info("replication")["master_replid"]
    new.lead()
    assert new.info("replication")["master_replid2"] == ids
    new.ok("SET", "by the new one", 1)
    old.follow(new.port)
    wait_until(old.is_linked)
    agree(new, *(node for node in chain.nodes if node is not new))
    assert new.syncs()[0] == full and new.syncs()[1] > 0, new.syncs()


STEPS = [sync_under_load, transactions, contexts, expiry, waiting, moves, upheavals, exchange]


def try_chain(kinds, keys, seed, is_brief=False):
    nodes = Nodes()
    try:
        chain = Chain(nodes, kinds)
        chain.is_brief = is_brief
        for step in STEPS:
            begun = time.monotonic()
            step(chain, nodes, seed, keys)
            print(f"    {step.__name__}: {time.monotonic() - begun:.1f} s", flush=True)
    finally:
        nodes.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--chain", default=None, help="kinds with commas; without it, all chains")
    parser.add_argument("--brief", action="store_true", help="fewer cuts")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else chosen_seed()
    print(f"seed {seed}", flush=True)
    failed = 0
    for kinds in [tuple(options.chain.split(","))] if options.chain else CHAINS:
        begun = time.monotonic()
        said = "ok"
        with contextlib.suppress(KeyboardInterrupt):
            try:
                try_chain(kinds, options.keys, seed, options.brief)
            except (AssertionError, Disagreement, OSError):
                said, failed = f"FAILED\n{traceback.format_exc()}", failed + 1
        print(f"{' -> '.join(kinds):30} {options.keys} keys, {time.monotonic() - begun:.0f} s: {said}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
