"""Conversations with a server, written down with what it says: for commands that redis-server 7.0 does not have.

A file has parts, each with a title (`=== title`), which begin with an empty database. A line that begins at the margin is a
command, with the quoting of a shell. Below it, indented, stand its reply, the events that it causes, and how much it adds to
`rdb_changes_since_last_save`:

    HSETEX h EX 10 FIELDS 1 f v
        1 | hset h, hexpire h | 1

Then, where another server says something else on purpose, a line for it: `redis: …` or `valkey: …`. `*` stands for anything, and a
server that has none of a command of the part is named at its title: `=== XDELEX (not valkey)`.
"""

import pathlib
import re
import shlex

from events import Notifications
from resp import decoded

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "clients" / "conversations"


class Part:
    def __init__(self, title, absent):
        self.title, self.absent = title, absent
        # Commands, each with what servers say by name.
        self.turns = []


def read(path):
    parts = []
    for line in path.read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("==="):
            title, absent = re.fullmatch(r"=== (.*?)(?: \(not (.*)\))?", line).groups()
            parts.append(Part(title, (absent or "").split(", ")))
        elif not line.startswith(" "):
            parts[-1].turns.append((shlex.split(line), {}))
        else:
            server, said = re.fullmatch(r" +(?:(redis|valkey): )?(.*)", line).groups()
            parts[-1].turns[-1][1][server] = said
    return parts


def shown(value):
    """A decoded reply."""
    if isinstance(value, list):
        return "[" + " ".join(shown(each) for each in value) + "]"
    if isinstance(value, bytes):
        return '"' + value.decode("latin-1").encode("unicode_escape").decode() + '"'
    return "nil" if value is None else str(value)


def changes(connection):
    return int(re.search(rb"rdb_changes_since_last_save:(\d+)", connection.call("INFO", "persistence"))[1])


class Speaker:
    """Who tries conversations with a server."""

    def __init__(self, server):
        self.connection = server.connect()
        self.listener = Notifications(server)

    def close(self):
        self.listener.close()
        self.connection.close()

    def say(self, words):
        before = changes(self.connection)
        reply = self.connection.call(*words)
        text = reply[:-2].decode("latin-1") if reply[:1] in b"-+" else shown(decoded(reply))
        heard = ", ".join(f"{name} {key.decode('latin-1')}" for name, _, key in self.listener.take())
        return f"{text} | {heard or '-'} | {changes(self.connection) - before}"

    def play(self, part, name=None):
        """What was said otherwise than it stands there."""
        self.connection.call("FLUSHALL")
        self.listener.take()
        wrong = []
        for words, expected in part.turns:
            wanted = expected.get(name, expected[None])
            said = self.say(words)
            pattern = ".*".join(re.escape(piece) for piece in wanted.split("*"))
            if not re.fullmatch(pattern, said, re.DOTALL):
                wrong.append(f"{shlex.join(words)}\n    {said}\n    not {wanted}")
        return wrong
