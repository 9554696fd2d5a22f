"""How the entries of a restored stream lie in nodes, which decides what an approximate trimming removes: as in the payload, deleted
entries and all."""

import random

import pytest

from resp import bulk, decoded
from seed import new_seed


@pytest.fixture
def small_nodes(both):
    both("CONFIG", "SET", "stream-node-max-entries", 7)
    yield both
    both("CONFIG", "SET", "stream-node-max-entries", 100)


def test_a_restored_stream_has_the_nodes_of_the_payload(small_nodes):
    numbers = random.Random(new_seed())
    both = small_nodes
    for _ in range(40):
        both("FLUSHALL")
        ids = [f"{i}-0" for i in range(1, numbers.randint(2, 150))]
        for i, entry in enumerate(ids):
            both("XADD", "made", entry, *(("f", i) if numbers.random() < 0.8 else ("f", "x" * i, "g", i)))
        both("XDEL", "made", *numbers.sample(ids, numbers.randint(1, len(ids))))
        payload = bulk(both.oracle.call("DUMP", "made"))
        both("RESTORE", "s", 0, payload)
        # The count of a radix tree's own nodes is of redis-server alone.
        nodes = [decoded(server.call("XINFO", "STREAM", "s"))[:4] for server in (both.swiftlet, both.oracle)]
        assert nodes[0] == nodes[1]
        assert both.swiftlet.call("DEBUG", "CHECK-INVARIANTS") == b"+OK\r\n"
        for i in range(numbers.randint(0, 10)):
            both("XADD", "s", f"{200 + i}-0", "f", i)
        both("XTRIM", "s", numbers.choice(["MAXLEN", "MINID"]), "~", numbers.randint(0, 150))
        both("XRANGE", "s", "-", "+")
        assert both.swiftlet.call("DEBUG", "CHECK-INVARIANTS") == b"+OK\r\n"
