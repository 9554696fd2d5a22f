"""Loaded by each Python that has this folder on its path, children of tests among them: who connects to a port where a library's
own tests expect Redis comes to the server that is tried."""

import os
import socket

SERVER = ("127.0.0.1", int(os.environ["REDIS_PORT"]))
# Redis's own.
EXPECTED = {6379}


def redirected(method):
    def call(self, address):
        if self.family == socket.AF_INET6 and address[1] in EXPECTED:
            # "localhost" may be this at first; the server is at the other.
            raise ConnectionRefusedError(address)
        return method(self, SERVER if self.family == socket.AF_INET and address[1] in EXPECTED else address)

    return call


socket.socket.connect = redirected(socket.socket.connect)
socket.socket.connect_ex = redirected(socket.socket.connect_ex)
