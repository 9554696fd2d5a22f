"""What happens to keys, as each server tells it: redis-server by its keyspace notifications, Swiftlet by DEBUG EVENTS."""

import re

from resp import decoded

# Of each event, its name, the number of the database, and the key.


class Notifications:
    """Those of redis-server, for which somebody subscribes."""

    CHANNEL = re.compile(rb"__keyevent@(\d+)__:(.*)", re.DOTALL)

    def __init__(self, server):
        self.admin, self.subscriber = server.connect(), server.connect()
        self.admin.call("CONFIG", "SET", "notify-keyspace-events", "AEmn")
        self.subscriber.call("PSUBSCRIBE", "__keyevent@*__:*")
        self.subscriber.call("SUBSCRIBE", "until now")

    def take(self):
        """What happened since the last call."""
        self.admin.call("PUBLISH", "until now", "")
        found = []
        while True:
            words = decoded(self.subscriber.reply())
            if words[0] == b"message":
                return found
            database, name = self.CHANNEL.fullmatch(words[2]).groups()
            found.append((name.decode(), int(database), words[3]))

    def close(self):
        self.admin.call("CONFIG", "SET", "notify-keyspace-events", "")
        self.admin.close()
        self.subscriber.close()


class Recorded:
    """Those of Swiftlet."""

    def __init__(self, server):
        self.admin = server.connect()
        self.admin.call("DEBUG", "EVENTS", "ON")

    def take(self):
        events = decoded(self.admin.call("DEBUG", "EVENTS", "TAKE"))
        return [(name.decode(), database, key) for name, database, key in events]

    def close(self):
        self.admin.call("DEBUG", "EVENTS", "OFF")
        self.admin.close()


class Witness:
    """The same commands to both servers, and what each says of them."""

    def __init__(self, swiftlet_server, oracle_server):
        self.servers = (swiftlet_server, oracle_server)
        self.connections = [server.connect() for server in self.servers]
        self.listeners = [Recorded(swiftlet_server), Notifications(oracle_server)]

    def close(self):
        for each in self.listeners + self.connections:
            each.close()

    def prepare(self, lines):
        """Empty databases with what these commands make."""
        for connection in self.connections:
            connection.call("HELLO", 2)
            connection.call("FLUSHALL")
            replies = connection.pipeline([["SELECT", 0], *(line.split() for line in lines)])
            refused = [reply for reply in replies if reply.startswith(b"-")]
            assert not refused
        self.take()

    def call(self, *args):
        for connection in self.connections:
            connection.call(*args)

    def take(self):
        """What happened on Swiftlet, and on redis-server."""
        return [listener.take() for listener in self.listeners]

    def events(self, *args):
        """What a command causes, the same on both."""
        self.call(*args)
        ours, theirs = self.take()
        assert ours == theirs, f"{args}: {ours}, and redis-server {theirs}"
        return ours

    def waiting(self):
        """Another client on each."""
        return [server.connect() for server in self.servers]

    def send(self, clients, *args):
        """What the clients wait for, from the time that they do."""
        for client, connection in zip(clients, self.connections):
            client.send(*args)
            while b"blocked_clients:1" not in connection.call("INFO", "clients"):
                pass
        return self.take()
