"""Swiftlet on a data directory that outlives its processes."""

import time

import pytest

from oracle import Server, swiftlet_binary


class Life:
    """Swiftlet on one directory, in which it can be killed and started again."""

    def __init__(self, directory):
        self.directory = directory
        self.server = self.connection = None

    def start(self):
        binary = swiftlet_binary()
        if binary is None:
            pytest.skip("swiftlet-server is not built")
        # The last of two settings wins.
        self.server = Server(binary, ("--appendonly", "yes", "--dir", str(self.directory)))
        self.connection = loaded(self.server)
        return self

    def kill(self):
        """kill -9."""
        if self.server:
            if self.connection:
                self.connection.close()
            self.server.stop()
        self.server = self.connection = None

    def restart(self):
        self.kill()
        self.start()

    def call(self, *args):
        reply = self.connection.call(*args)
        assert reply[:1] not in b"-!", (args, reply)
        return reply

    def digest(self):
        return self.call("DEBUG", "DIGEST")


def loaded(server):
    """A connection to a server that has read its data."""
    connection = server.connect()
    while connection.call("PING").startswith(b"-LOADING"):
        time.sleep(0.005)
    return connection
