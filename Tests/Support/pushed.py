"""Clients to which messages come unasked."""

import re

from resp import Connection


class Listening:
    """Clients of one server, in `clients`. Nobody waits for time: a token that comes back says that all before it is there."""

    def __init__(self, clients: list[Connection]):
        self.clients = clients
        self.tokens = 0

    def close(self):
        for client in self.clients:
            client.close()

    def settled(self, number):
        """All that has come to a client that is in no transaction."""
        self.tokens += 1
        token = b"token-%d" % self.tokens
        client = self.clients[number]
        client.send("PING", token)
        found = b""
        while token not in found:
            found += client.reply()
        return re.sub(rb"(\*2\r\n\$4\r\npong\r\n)?\$\d+\r\n" + token + rb"\r\n$", b"", found)
