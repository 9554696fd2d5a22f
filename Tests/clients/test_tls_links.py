"""Outbound connections with TLS: replicas of both servers, and MIGRATE."""

import contextlib
import socket

import pytest

from certificates import Certificates
from oracle import free_port, seeded, start_redis
from replicas import info
from resp import bulk, encode
from test_tls import TLSServer
from waiting import wait_until


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@contextlib.contextmanager
def swiftlet(certificates, *options):
    server = TLSServer(certificates, *map(str, options))
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def redis(certificates, *options):
    port = free_port()
    server = start_redis("--tls-port", str(port), *certificates.options(), *map(str, options))
    server.tls_port = port
    try:
        yield server
    finally:
        server.stop()


def fill(connection):
    """Data of some MB: a full sync of many records."""
    random = seeded(5)
    for i in range(8):
        connection.call("SET", f"big{i}", random.randbytes(300_000))
    connection.pipeline([("SET", f"k{i}", random.randbytes(30)) for i in range(3000)])


def digest(connection):
    return connection.call("DEBUG", "DIGEST")


def is_up(connection):
    return info(connection)["master_link_status"] == "up"


@pytest.mark.parametrize("master_of, replica_of", [(swiftlet, swiftlet), (redis, swiftlet), (swiftlet, redis)])
def test_replication(certificates, master_of, replica_of):
    with (
        master_of(certificates, "--repl-diskless-sync-delay", 0) as master,
        replica_of(certificates, "--tls-replication", "yes") as replica,
    ):
        on_master, on_replica = master.connect(), replica.connect()
        fill(on_master)
        assert on_replica.call("REPLICAOF", "127.0.0.1", master.tls_port) == b"+OK\r\n"
        wait_until(lambda: is_up(on_replica))
        on_master.pipeline([("INCR", "n")] * 1000)
        on_master.call("SET", "late", b"x" * 500_000)
        wait_until(lambda: digest(on_master) == digest(on_replica))
        # The replica says where clients find it with TLS.
        slave = info(on_master)["slave0"]
        assert f"port={replica.tls_port}," in slave and "state=online" in slave
        # A link that is cut comes back, and goes on where it was.
        on_master.call("CLIENT", "KILL", "TYPE", "replica")
        on_master.call("SET", "later", "y")
        wait_until(lambda: is_up(on_replica) and digest(on_master) == digest(on_replica))
        assert info(on_master, "stats")["sync_full"] == "1"


def test_a_master_that_is_not_trusted(certificates, tmp_path):
    """And a replica that is not, and a master that speaks no TLS: the link does not come up, and the log says why."""
    other = Certificates(tmp_path)
    with (
        swiftlet(other, "--repl-diskless-sync-delay", 0) as master,
        swiftlet(certificates, "--tls-replication", "yes") as replica,
    ):
        on_replica = replica.connect()
        for port, reason in [
            (master.tls_port, b"certificate verify failed: self-signed certificate"),
            (master.port, b"TLS with 127.0.0.1:%d failed: " % master.port),
        ]:
            on_replica.call("REPLICAOF", "127.0.0.1", port)
            # The plain server waits for the end of a line.
            if port == master.tls_port:
                wait_until(lambda: reason in replica.output())
            assert not is_up(on_replica)
        on_replica.call("REPLICAOF", "NO", "ONE")
        assert on_replica.call("PING") == b"+PONG\r\n"
        # From here on it is trusted.
        on_replica.call("CONFIG", "SET", "tls-ca-cert-file", other.authority.file)
        on_replica.call("REPLICAOF", "127.0.0.1", master.tls_port)
        wait_until(lambda: b"TLS with 127.0.0.1:%d failed" % master.tls_port in replica.output().split(b"NO ONE")[-1])
        assert not is_up(on_replica)
        certificate, key = other.client
        on_replica.call("CONFIG", "SET", "tls-client-cert-file", certificate, "tls-client-key-file", key)
        wait_until(lambda: is_up(on_replica))


def test_links_that_are_given_up_while_they_shake_hands(certificates):
    """A master that accepts and says nothing."""

    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        swiftlet(certificates, "--tls-replication", "yes") as replica,
    ):
        connection = replica.connect()
        connection.call("CONFIG", "SET", "repl-timeout", "1")
        connection.call("REPLICAOF", "127.0.0.1", silent.getsockname()[1])
        wait_until(lambda: b"Error condition on socket for SYNC" in replica.output())
        connection.call("REPLICAOF", "NO", "ONE")
        assert connection.call("PING") == b"+PONG\r\n"


@pytest.mark.parametrize("target_of", [swiftlet, redis])
def test_migrate(certificates, target_of):
    """As in redis-server, it is one of the connections that tls-cluster is for."""
    with swiftlet(certificates, "--tls-cluster", "yes") as source, target_of(certificates) as target:
        connection, there = source.connect(), target.connect()
        value = b"v" * 1_000_000
        connection.pipeline([("SET", "a", value), ("SET", "b", value)])
        arguments = ("MIGRATE", "127.0.0.1", target.tls_port, "", 0, 5000, "KEYS", "a", "b")
        assert connection.call(*arguments) == b"+OK\r\n"
        assert bulk(there.call("GET", "a")) == value and bulk(there.call("GET", "b")) == value
        assert connection.call("EXISTS", "a", "b") == b":0\r\n"
        # Without it the target gets what it does not understand, and the key stays.
        connection.pipeline([("SET", "c", value), ("CONFIG", "SET", "tls-cluster", "no")])
        reply = connection.call("MIGRATE", "127.0.0.1", target.tls_port, "c", 0, 500)
        assert reply.startswith(b"-IOERR"), reply
        assert connection.call("EXISTS", "c") == b":1\r\n"
        assert encode(("GET", "a")) and connection.call("PING") == b"+PONG\r\n"
