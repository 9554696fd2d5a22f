"""Short ways to put commands to the servers, for the tests of collections."""

import shlex

from resp import bulks


def run(both, text):
    """Runs each line of `text`, a command with shell quoting; `both` compares the replies."""
    for line in text.strip().splitlines():
        both(*shlex.split(line))


def members(both, *command):
    """The sorted elements of a reply whose order is the server's choice, compared without regard to it."""
    return sorted(bulks(both.unordered(*command)))


def scan(connection, command, key, cursor, *options):
    """One call of HSCAN, SSCAN or ZSCAN: the next cursor and the elements."""
    reply = connection.call(command, key, cursor, *options)
    assert reply.startswith(b"*2\r\n$"), reply
    cursor_at = reply.index(b"\r\n", 4) + 2
    elements_at = reply.index(b"\r\n", cursor_at) + 2
    return int(reply[cursor_at : elements_at - 2]), bulks(reply[elements_at:])


def scan_all(connection, command, key, *options):
    """The elements that a whole pass finds."""
    found = []
    cursor = 0
    while True:
        cursor, elements = scan(connection, command, key, cursor, *options)
        found += elements
        if cursor == 0:
            return found


def in_pairs(elements):
    """A flat reply of fields and values, or members and scores, as a dictionary."""
    return dict(zip(elements[::2], elements[1::2]))


def flat(mapping):
    """A dictionary as arguments: of HSET, or reversed, of ZADD."""
    return [word for pair in mapping.items() for word in pair]
