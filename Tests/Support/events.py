"""What happens to keys, as each server tells it: both by keyspace notifications, Swiftlet by DEBUG EVENTS too."""

import re

from resp import decoded

# Of each event, its name, the number of the database, and the key.


class Notifications:
    """Those that a server publishes, for which somebody subscribes."""

    CHANNEL = re.compile(rb"__keyevent@(\d+)__:(.*)", re.DOTALL)

    def __init__(self, server):
        self.admin, self.subscriber = server.connect(), server.connect()
        self.admin.call("CONFIG", "SET", "notify-keyspace-events", "AEmn")
        self.subscriber.call("PSUBSCRIBE", "__keyevent@*__:*")
        self.subscriber.call("SUBSCRIBE", "until now")

    def take(self):
        """What happened since the last call."""
        self.admin.call("PUBLISH", "until now", "")
        return self.heard()

    def heard(self):
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


class Recorded(Notifications):
    """Those of Swiftlet, which must be the same as what it has recorded."""

    def __init__(self, server):
        super().__init__(server)
        self.admin.call("DEBUG", "EVENTS", "ON")

    def take(self):
        # At once, as keys that expire do not wait.
        requests = [["MULTI"], ["DEBUG", "EVENTS", "TAKE"], ["PUBLISH", "until now", ""], ["EXEC"]]
        recorded = decoded(self.admin.pipeline(requests)[-1])[0]
        published = self.heard()
        assert published == [(name.decode(), database, key) for name, database, key in recorded]
        return published

    def close(self):
        self.admin.call("DEBUG", "EVENTS", "OFF")
        super().close()


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
