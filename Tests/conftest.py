"""Fixtures. Servers run for the whole session; every test begins with empty databases and connections of its own."""

import pytest

from oracle import Pair, start_redis, start_swiftlet
from process import Starter


@pytest.fixture(scope="session")
def swiftlet_server():
    server = start_swiftlet()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def oracle_server():
    server = start_redis()
    yield server
    server.stop()


def connected(server):
    connection = server.connect()
    connection.call("FLUSHALL")
    connection.port = server.port
    return connection


@pytest.fixture
def swiftlet(swiftlet_server):
    connection = connected(swiftlet_server)
    yield connection
    connection.close()


@pytest.fixture
def oracle(oracle_server):
    connection = connected(oracle_server)
    yield connection
    connection.close()


@pytest.fixture
def both(swiftlet, oracle):
    return Pair(swiftlet, oracle)


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def protocols(request, both):
    """`both`, in each protocol."""
    for connection in (both.swiftlet, both.oracle):
        connection.call("HELLO", request.param)
    return both


@pytest.fixture
def start(tmp_path):
    """Starts servers of the test's own, as processes; see process.py."""
    starter = Starter(tmp_path)
    yield starter
    starter.stop()
