"""PUBLISH to few and to many subscribers, which read what comes in a process of their own."""

import os
import select
import socket

from groups import LOGS, Row, paired
from harness import CLIENT_CORES, alternate


def read_to_the_end(port, count, ready):
    """Subscribes so many times, says so, and throws away what comes until the server ends."""
    os.sched_setaffinity(0, CLIENT_CORES)
    poll, sockets = select.epoll(), {}
    for _ in range(count):
        one = socket.create_connection(("127.0.0.1", port))
        one.sendall(b"SUBSCRIBE channel\r\n")
        sockets[one.fileno()] = one
    for one in sockets.values():
        one.recv(100)
        one.setblocking(False)
        poll.register(one.fileno(), select.EPOLLIN)
    os.write(ready, b".")
    while True:
        for descriptor, _ in poll.poll():
            if not sockets[descriptor].recv(1 << 20):
                return


def subscribe(port, count):
    """Starts a process of subscribers, which ends by itself when the server does."""
    done, ready = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            read_to_the_end(port, count, ready)
        finally:
            os._exit(0)
    os.close(ready)
    os.read(done, 1)
    os.close(done)


def name(count):
    return "PUBLISH to %d -P 1" % count


def rows(count):
    return [Row(name(count) + ": requests/s", "/s"), Row(name(count) + ": CPU/request", "µs", ("<=", 0.8))]


for count, requests in ((1, 60_000), (100, 5_000), (10_000, 60)):

    @paired("publish-%d" % count, rows(count), count=count, requests=requests)
    def publish(bench, directories, count, requests):
        words = ["PUBLISH", "channel", "x" * 32]
        options = [*LOGS["off"], "--maxclients", str(count + 100)]
        return alternate(
            bench, directories, options, lambda server: subscribe(server.port, count), [(name(count), requests, words)]
        )
