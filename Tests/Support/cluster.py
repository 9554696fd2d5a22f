"""A cluster of redis-server processes, with slots given by hand."""

from oracle import free_port, start_redis
from resp import bulk, bulks, integer
from waiting import wait_until

SLOTS = 16384
OPTIONS = ["--cluster-enabled", "yes", "--repl-diskless-sync-delay", "0"]


class Cluster:
    def __init__(self, count=3):
        self.nodes, self.buses = [], []
        try:
            for _ in range(count):
                # The port of the cluster's bus is 10000 above the other by default, which may be none.
                self.buses.append(free_port())
                self.nodes.append(start_redis(*OPTIONS, "--cluster-port", str(self.buses[-1])))
            self._join()
        except BaseException:
            self.stop()
            raise

    def _join(self):
        count = len(self.nodes)
        for i, node in enumerate(self.nodes):
            connection = node.connect()
            first, last = SLOTS * i // count, SLOTS * (i + 1) // count - 1
            assert connection.call("CLUSTER", "ADDSLOTSRANGE", first, last) == b"+OK\r\n"
            # Epochs that differ, so that nobody votes.
            connection.call("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
            connection.close()
        first = self.nodes[0].connect()
        for node, bus in zip(self.nodes[1:], self.buses[1:]):
            assert first.call("CLUSTER", "MEET", "127.0.0.1", node.port, bus) == b"+OK\r\n"
        first.close()
        wait_until(lambda: all(self._is_whole(node) for node in self.nodes), timeout=40)

    def _is_whole(self, node):
        connection = node.connect()
        try:
            info = connection.call("CLUSTER", "INFO")
            return b"cluster_state:ok" in info and b"cluster_known_nodes:%d" % len(self.nodes) in info
        finally:
            connection.close()

    def keys(self):
        """Of each node."""
        return [integer(node.connect().call("DBSIZE")) for node in self.nodes]

    def identifier(self, index):
        return bulk(self.nodes[index].connect().call("CLUSTER", "MYID"))

    def dumps(self):
        """{key: (payload, expiry)} of all nodes."""
        found = {}
        for node in self.nodes:
            connection = node.connect()
            keys = bulks(connection.call("KEYS", "*"))
            values = connection.pipeline([("DUMP", key) for key in keys])
            times = connection.pipeline([("PEXPIRETIME", key) for key in keys])
            found.update(zip(keys, zip(values, times)))
            connection.close()
        return found

    def flush(self):
        for node in self.nodes:
            node.connect().call("FLUSHALL")

    def stop(self):
        for node in self.nodes:
            node.stop()
