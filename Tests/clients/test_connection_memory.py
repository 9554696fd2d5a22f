"""Memory for connections is what they use, not what they announce; and strangers get little."""

import shutil
import socket

import pytest

from certificates import Certificates
from launched import Launched
from oracle import free_port, seeded, swiftlet_binary
from resp import bulk, encode
from waiting import wait_until


def redis_binary():
    return shutil.which("redis-server") or pytest.skip("redis-server is not installed")


def memory(server):
    """Bytes resident."""
    for line in open(f"/proc/{server.pid}/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) << 10
    raise AssertionError("no VmRSS")


def open_socket(port):
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def close_all(sockets):
    for s in sockets:
        s.close()


@pytest.fixture
def server():
    launched = Launched(swiftlet_binary(), "--appendonly", "no")
    yield launched
    launched.stop()


def cost(server, make, count=800):
    """Bytes for each of many connections that `make` opens, once a few have been there."""
    admin = server.connect()
    warm = [make() for _ in range(50)]
    before = memory(server)
    made = [make() for _ in range(count)]
    wait_until(lambda: bulk(admin.call("CLIENT", "LIST")).count(b"\n") == count + 51, 60)
    # The list itself is as long as a buffer that is kept may be.
    result = (memory(server) - before - (1 << 20)) / count
    close_all(warm + made)
    admin.close()
    return result


def asked(port):
    s = open_socket(port)
    s.sendall(b"PING\r\n")
    assert s.recv(100) == b"+PONG\r\n"
    return s


def test_an_idle_connection_costs_no_more_than_in_redis(server):
    redis = Launched(redis_binary(), "--appendonly", "no")
    try:
        assert cost(server, lambda: asked(server.port)) <= cost(redis, lambda: asked(redis.port))
    finally:
        redis.stop()


def test_an_idle_tls_connection_costs_no_more_than_in_redis(tmp_path):
    certificates = Certificates(tmp_path)

    def figure(binary):
        port = free_port()
        options = ["--tls-port", str(port), *certificates.options(), "--appendonly", "no"]
        launched = Launched(binary, *options)
        context = certificates.context()
        try:
            return cost(launched, lambda: certificates.connect(port, context).socket, 250)
        finally:
            launched.stop()

    assert figure(swiftlet_binary()) <= figure(redis_binary())


def test_what_is_announced_takes_no_memory(server):
    """200 values of 512 MB, the most that one may have, of each of which 100 bytes come; likewise for arguments."""
    admin = server.connect()
    before = memory(server)
    sockets = []
    for begin in (b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n", b"*1000000000\r\n$3\r\nDEL\r\n"):
        for _ in range(200):
            sockets.append(open_socket(server.port))
            sockets[-1].sendall(begin + b"x" * 100 if begin.startswith(b"*3") else begin)
    wait_until(lambda: bulk(admin.call("CLIENT", "LIST")).count(b"\n") == 401)
    assert admin.call("PING") == b"+PONG\r\n"
    assert memory(server) - before < 16 << 20
    # A gigabyte is more than a value may have.
    too_much = open_socket(server.port)
    too_much.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1073741824\r\n")
    assert too_much.recv(100) == b"-ERR Protocol error: invalid bulk length\r\n"
    # What has come counts, within a factor of two.
    before = memory(server)
    for s in sockets[:20]:
        s.sendall(b"x" * (1 << 20))
    wait_until(lambda: bulk(admin.call("CLIENT", "LIST")).count(b" qbuf=1048") >= 20)
    assert memory(server) - before < 60 << 20
    close_all(sockets)


def test_strangers_get_no_memory():
    """Without the password: garbage, long lines, many arguments, large values, and replies that are not read."""
    server = Launched(swiftlet_binary(), "--appendonly", "no", "--requirepass", "secret")
    random = seeded()
    sockets = []
    try:
        admin = server.connect()
        assert admin.call("AUTH", "secret") == b"+OK\r\n"
        before = memory(server)
        for i in range(300):
            s = open_socket(server.port)
            s.setblocking(False)
            kind = i % 5
            data = (
                random.randbytes(100_000),
                b"x" * 60_000,
                b"*11\r\n" + b"$1\r\nx\r\n" * 11,
                b"*2\r\n$4\r\nAUTH\r\n$16385\r\n" + b"x" * 16_385,
                encode(("HELLO", "3")) * 10_000,
            )[kind]
            try:
                s.send(data)
            except OSError:
                pass
            sockets.append(s)
        assert admin.call("PING") == b"+PONG\r\n"
        assert memory(server) - before < 40 << 20
        limits = open_socket(server.port)
        limits.sendall(b"*11\r\n")
        assert limits.recv(100) == b"-ERR Protocol error: unauthenticated multibulk length\r\n"
        limits = open_socket(server.port)
        limits.sendall(b"*2\r\n$4\r\nAUTH\r\n$16385\r\n")
        assert limits.recv(100) == b"-ERR Protocol error: unauthenticated bulk length\r\n"
    finally:
        close_all(sockets)
        server.stop()


def test_input_that_was_large_is_not_kept(server):
    """Buffers shrink behind a large request, and behind a large reply."""
    admin = server.connect()
    clients = [server.connect() for _ in range(20)]
    for client in clients:
        client.call("SET", "k", b"x" * 3_000_000)
        client.call("GET", "k")
    text = bulk(admin.call("CLIENT", "LIST")).decode().splitlines()
    totals = [int(line.split("tot-mem=")[1].split()[0]) for line in text]
    assert max(totals) < 200_000
