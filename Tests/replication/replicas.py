"""Replicas of the two servers of the differential test: Swiftlet of Swiftlet, redis-server of Swiftlet, Swiftlet of
redis-server. What they have must be what the masters have."""

from agreement import Disagreement, differences, wait_offsets
from nodes import REDIS, SWIFTLET, Nodes, Peer
from proxy import Proxy
from session import Difference

BACKLOG = "67108864"


class Replicas:
    """`settings` are those of the masters, as encodings, and so what SCAN and RANDOM see, depend on them."""

    def __init__(self, swiftlet, redis, settings):
        self.nodes = Nodes()
        self.swiftlet, self.redis = Peer(SWIFTLET, swiftlet.port), Peer(REDIS, redis.port)
        # A restart of Swiftlet moves it to another port, which its replicas need not know.
        self.proxy = self.nodes.keep(Proxy(swiftlet.port))
        for master in (self.swiftlet, self.redis):
            for name, value in (("repl-backlog-size", BACKLOG), ("repl-diskless-sync-delay", "0")):
                master.ok("CONFIG", "SET", name, value)
        self.pairs = []
        for kind, master, port in (
            (SWIFTLET, self.swiftlet, self.proxy.port),
            (REDIS, self.swiftlet, self.proxy.port),
            (SWIFTLET, self.redis, self.redis.port),
        ):
            replica = self.nodes(kind, **settings, appendonly="yes")
            replica.follow(port)
            self.pairs.append((master, replica))

    def moved(self, swiftlet):
        """Swiftlet lives anew."""
        self.swiftlet.close()
        self.swiftlet.port = self.proxy.target = swiftlet.port

    def compare(self):
        for master, replica in self.pairs:
            try:
                wait_offsets(master, replica, timeout=120)
            except Disagreement as error:
                raise Difference(["the offset of", str(replica)], str(error).encode(), b"") from None
            ours, wanted = replica.digest(), master.digest()
            if ours != wanted:
                said = differences(master, replica)
                raise Difference(
                    ["DEBUG", "DIGEST", f"of {replica}, a replica of {master.kind}"], said.encode(), wanted
                )

    def stop(self):
        self.swiftlet.close()
        self.redis.close()
        self.nodes.stop()
