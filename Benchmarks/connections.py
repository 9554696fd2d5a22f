"""Connections: what TLS costs, what idle ones take, and who disturbs others."""

import contextlib
import os
import random
import socket
import statistics
import time

from groups import LOGS, Row, group, paired
from harness import CLIENT_CORES, KINDS, POOL, Certificates, Server, encode, load_by_turns, percentile, pipeline

NONE_SHOWN = ["--tls-auth-clients", "no"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def tls_server(bench, kind, directory, *options):
    """A server with a TLS port, and its certificates."""
    certificates, port = Certificates(directory), free_port()
    server = Server(bench, kind, directory, *LOGS["off"], "--tls-port", str(port), *certificates.options(), *options)
    server.tls_port, server.certificates = port, certificates
    return server


# MARK: Requests over TLS


def tests():
    for depth, requests in ((1, 40_000), (16, 300_000)):
        for test in ("GET", "SET"):
            yield "TLS %s -P %d" % (test, depth), test, depth, requests


def tls_rows():
    for name, *_ in tests():
        yield Row(name + ": requests/s", "/s")
        yield Row(name + ": CPU/request", "µs", ("<=", 1.0))


@paired("tls", list(tls_rows()))
def tls(bench, directories):
    """50 clients with certificates; their handshakes are counted too."""
    servers, figures = {}, {}
    try:
        for kind in KINDS:
            servers[kind] = tls_server(bench, kind, directories[kind])
            pipeline(
                servers[kind].port, (encode("SET", "key:%012d" % i, POOL[i : i + 32]) for i in range(100_000)), 5000
            )
        for name, test, depth, requests in tests():

            def load(kind):
                server = servers[kind]
                certificate, key = map(str, server.certificates.client)
                words = ["-p", str(server.tls_port), "--tls", "--cert", certificate, "--key", key]
                words += ["--cacert", str(server.certificates.authority.file), "-t", test.lower()]
                words += ["-P", str(depth), "-d", "32", "-r", "100000"]
                return server.load(bench.scaled(requests), words)

            load_by_turns(figures, name, load)
        return figures
    finally:
        for server in servers.values():
            server.kill()


# MARK: Idle connections


@group("idle", [Row("idle connection: memory", "B", ("<=", 1.0)), Row("idle TLS connection: memory", "B", ("<=", 1.0))])
def idle(bench, kind, directory):
    """10,000, and 2,000 of TLS, each of which has asked for something; as many as there may be descriptors for."""
    figures = {}
    for name, count in (("idle connection", 9_000), ("idle TLS connection", 2_000)):
        server = tls_server(bench, kind, directory, *NONE_SHOWN, "--maxclients", "12000")
        context = server.certificates.context(None)
        try:

            def connect():
                one = socket.create_connection(("127.0.0.1", server.port if "TLS" not in name else server.tls_port))
                if "TLS" in name:
                    one = context.wrap_socket(one, server_hostname="localhost")
                one.sendall(b"PING\r\n")
                one.recv(100)
                return one

            kept = [connect() for _ in range(50)]
            before = server.memory()
            kept += [connect() for _ in range(bench.scaled(count))]
            time.sleep(3)
            figures[name + ": memory"] = (server.memory() - before) / bench.scaled(count)
            for one in kept:
                one.close()
        finally:
            server.kill()
    return figures


# MARK: Those who disturb


@contextlib.contextmanager
def children(count, body):
    """Processes that repeat `body` until the end of the block, on the clients' core, where they give way."""
    started = []
    for _ in range(count):
        child = os.fork()
        if child == 0:
            try:
                os.sched_setaffinity(0, CLIENT_CORES)
                os.nice(19)
                while True:
                    with contextlib.suppress(OSError):
                        body()
            finally:
                os._exit(0)
        started.append(child)
    try:
        yield
    finally:
        for child in started:
            os.kill(child, 9)
            os.waitpid(child, 0)


def waits(sockets, seconds):
    """Milliseconds that a GET takes, on any of `sockets`, one at a time."""
    generator, samples, end = random.Random(3), [], time.monotonic() + seconds
    while time.monotonic() < end:
        one = generator.choice(sockets)
        began = time.perf_counter()
        one.sendall(b"GET k\r\n")
        one.recv(4096)
        samples.append((time.perf_counter() - began) * 1e3)
    return samples


def compare(server, count, disturbed, seconds):
    """The 99.9th percentile with and without those who disturb, by turns."""
    sockets = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(count)]
    server.client("SET", "k", "v")
    quiet, loud = [], []
    for _ in range(3):
        quiet.append(percentile(waits(sockets, seconds), 0.999))
        with disturbed():
            time.sleep(0.3)
            loud.append(percentile(waits(sockets, seconds), 0.999))
    return statistics.median(loud), statistics.median(loud) / statistics.median(quiet)


@group(
    "flood",
    [
        Row("p99.9 in a flood of TLS handshakes", "ms", ("<=", 0.5)),
        Row("p99.9 in a flood of TLS handshakes, times that without", "", ("<=", 1.5), absolute=True),
    ],
)
def flood(bench, kind, directory):
    server = tls_server(bench, kind, directory, *NONE_SHOWN)
    context = server.certificates.context(None)

    def shake_hands():
        with socket.create_connection(("127.0.0.1", server.tls_port)) as one:
            context.wrap_socket(one, server_hostname="localhost").close()

    try:
        names = ["p99.9 in a flood of TLS handshakes", "p99.9 in a flood of TLS handshakes, times that without"]
        return dict(zip(names, compare(server, 1, lambda: children(4, shake_hands), 1 if bench.quick else 3)))
    finally:
        server.kill()


@group(
    "greedy",
    [
        Row("p99.9 of 1,000 beside a client that never reads", "ms"),
        Row("p99.9 of 1,000 beside a client that never reads, times that without", "", ("<=", 1.5), absolute=True),
    ],
)
def greedy(bench, kind, directory):
    """It asks for 100 KB as often as it can, is cut at 8 MB, and comes again."""
    server = Server(bench, kind, directory, *LOGS["off"], "--client-output-buffer-limit", "normal 8mb 0 0")
    server.client("SET", "large", b"x" * 100_000)

    def ask():
        with socket.create_connection(("127.0.0.1", server.port)) as one:
            while True:
                one.sendall(b"GET large\r\n")
                time.sleep(0.001)

    try:
        names = ["p99.9 of 1,000 beside a client that never reads"]
        names.append(names[0] + ", times that without")
        figures = dict(zip(names, compare(server, 1000, lambda: children(1, ask), 1 if bench.quick else 3)))
        if server.client.info("stats").get("client_output_buffer_limit_disconnections", "unknown") == "0":
            raise RuntimeError("the client that never reads was not cut")
        return figures
    finally:
        server.kill()
