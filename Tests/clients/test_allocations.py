"""The hot path allocates nothing, from socket to reply: GET, and SET that overwrites, alone and pipelined.

Counted by the server's own allocator, on the thread that executes commands.
"""

import re

import pytest

REQUESTS = {
    "get": [("GET", "key:1")],
    "set": [("SET", "key:1", "value-0002")],
    "pipeline": [("SET", "key:1", "value-0003"), ("GET", "key:1")] * 8,
}


def allocated(connection):
    return int(re.match(rb":(\d+)", connection.call("DEBUG", "ALLOCATED")).group(1))


def cost(connection, requests, times):
    before = allocated(connection)
    for _ in range(times):
        connection.pipeline(requests)
    return allocated(connection) - before


@pytest.mark.parametrize("name", REQUESTS)
def test_no_allocation_per_command(swiftlet, name):
    swiftlet.call("SET", "key:1", "value-0001")
    cost(swiftlet, REQUESTS[name], 200)
    # The smallest allocation is 8 bytes; timers allocate now and then, whatever the commands: half of that is room for them.
    commands = 5000 * len(REQUESTS[name])
    assert cost(swiftlet, REQUESTS[name], 5000) < 4 * commands
