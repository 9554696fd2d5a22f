"""What the server allocates for a command, from socket to reply, alone and in pipelines of 16: bytes by its own allocator's
count, on the thread that executes commands.

GET and SET that overwrites allocate nothing. The limits of the others are what was reached, rounded up: a change that
needs more says why here, one that needs less lowers them.
"""

import re
from typing import NamedTuple

import pytest

PIPELINE = 16
COMMANDS = 8000  # a measurement; a multiple of PIPELINE
# The smallest allocation is 8 bytes; timers allocate now and then, whatever the commands: half of that is room for them.
NOTHING = 4


class Case(NamedTuple):
    limit: int  # bytes for each command, at most
    request: object  # a command, or a function from a number that counts up
    setup: tuple = ()


def filled(command, key, count, arguments):
    """Commands that give a collection `count` elements, 500 at a time."""
    return tuple(
        (command, key, *(word for i in range(at, at + 500) for word in arguments(i))) for at in range(0, count, 500)
    )


STRING = (("SET", "key", "value-0001"),)
COUNTER = (("SET", "n", 10),)
TEN = tuple(f"key:{i}" for i in range(10))
LIST = filled("RPUSH", "l", 20_000, lambda i: (f"element:{i:08}",))
HASH = filled("HSET", "h", 2000, lambda i: (f"field:{i}", f"value:{i:08}"))
SMALL_HASH = (("HSET", "h", "f", "value:1", "g", "value:2"),)
SET = filled("SADD", "s", 2000, lambda i: (f"member:{i}",))
ZSET = filled("ZADD", "z", 2000, lambda i: (i, f"member:{i}"))
# A user whose commands, keys and selectors are all looked at.
ANN = ["~n*", "~m*", "(~k* -@all +@string +debug)", "(~h* -@all +eval)"]
USER = (("ACL", "SETUSER", "ann", "reset", "on", "nopass", "-@all", "+ping", *ANN), ("AUTH", "ann", "x"))
STREAM = (("XADD", "x", "MAXLEN", "=", 1000, "1-1", "field", "value"),)

CASES = {
    "GET": Case(NOTHING, ("GET", "key"), STRING),
    "SET that overwrites": Case(NOTHING, ("SET", "key", "value-0002"), STRING),
    "GET of a user": Case(NOTHING, ("GET", "key"), (*STRING, *USER)),
    "SET of a user": Case(NOTHING, ("SET", "key", "value-0002"), (*STRING, *USER)),
    "MGET of a user": Case(NOTHING, ("MGET", *TEN), USER),
    "MGET of 10": Case(NOTHING, ("MGET", *TEN), tuple(("SET", key, "value") for key in TEN)),
    "INCR": Case(NOTHING, ("INCR", "n"), COUNTER),
    "EXPIRE": Case(NOTHING, lambda i: ("EXPIRE", "key", 10_000 + i % 100), STRING),
    "LPUSH": Case(120, lambda i: ("LPUSH", "l", f"element:{i:08}"), LIST),
    "RPOP": Case(20, ("RPOP", "l"), LIST),
    "HSET of a small hash": Case(NOTHING, lambda i: ("HSET", "h", "f", f"value:{i % 10}"), SMALL_HASH),
    "HSET of a large hash": Case(NOTHING, lambda i: ("HSET", "h", f"field:{i % 2000}", f"value:{i:08}"), HASH),
    "HSET of a new field": Case(64, lambda i: ("HSET", "h", f"new:{i:08}", f"value:{i:08}"), HASH),
    "SADD of a member": Case(NOTHING, lambda i: ("SADD", "s", f"member:{i % 2000}"), SET),
    "SADD of a new member": Case(48, lambda i: ("SADD", "s", f"new:{i:08}"), SET),
    "ZADD of a score": Case(8, lambda i: ("ZADD", "z", i % 977, f"member:{i % 2000}"), ZSET),
    "ZADD of a new member": Case(98, lambda i: ("ZADD", "z", i % 977, f"new:{i:08}"), ZSET),
    "XADD": Case(325, lambda i: ("XADD", "x", "MAXLEN", "~", 1000, f"{i + 2}-1", "field", "value"), STREAM),
}


def allocated(connection):
    return int(re.match(rb":(\d+)", connection.call("DEBUG", "ALLOCATED")).group(1))


def cost(connection, case, depth, first, count):
    """Bytes allocated for `count` requests."""
    make = case.request if callable(case.request) else lambda i: case.request
    before = allocated(connection)
    for at in range(first, first + count, depth):
        for reply in connection.pipeline([make(i) for i in range(at, at + depth)]):
            assert reply[:1] != b"-", reply
    return allocated(connection) - before


@pytest.mark.parametrize("depth", [1, PIPELINE])
@pytest.mark.parametrize("name", CASES)
def test_allocations(swiftlet, name, depth):
    case = CASES[name]
    for command in case.setup:
        swiftlet.call(*command)
    cost(swiftlet, case, depth, 0, 1600)
    found = cost(swiftlet, case, depth, 1600, COMMANDS) / COMMANDS
    if case.setup[-1:] == USER[-1:]:
        swiftlet.pipeline([("AUTH", "default", ""), ("ACL", "DELUSER", "ann")])
    print(f"{name}: {found:.1f} B a command")
    assert found < case.limit
