"""Bad input gets redis-server's answer, byte for byte, and the server lives on."""

import random
import socket

import pytest

from oracle import encode

LIMITS = ["9223372036854775807", "-9223372036854775808", "9223372036854775808", "-9223372036854775809", "1e3", "", " 1"]

BROKEN = [
    b"*x\r\n",
    b"*-1\r\n",
    b"*0\r\n",
    b"*2147483648\r\n",
    b"*99999999999999999999\r\n",
    b"*1\r\n+PING\r\n",
    b"*1\r\n$x\r\n",
    b"*1\r\n$-1\r\n",
    b"*1\r\n$-5\r\nPING\r\n",
    b"*1\r\n$536870913\r\n",
    b"*1\r\n$99999999999999999999\r\n",
    b"*2\r\n$3\r\nGET\r\n:1\r\n",
    b"*1" + b"1" * 70000,
    b"*1\r\n$" + b"1" * 70000,
    b"GET 'unbalanced\r\n",
    b'GET "unbalanced\r\n',
    b'ECHO "a"b\r\n',
    b"x" * 70000,
    b"\x00\x01\x02\xff\r\n",
    b"\r\n\r\nPING\r\n",
    b"ECHO \"\\x41\\n\\t'\"\r\n",
    b"ECHO '\\'\"'\r\n",
    b"nosuchcommand a b c\r\n",
    b"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$2\r\n\xff\xfe\r\n*2\r\n$3\r\nGET\r\n$0\r\n\r\n",
]


def answer(server, data):
    """All that comes back until the server closes, or has answered the PING that follows on another connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as s:
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            received = b""
            while chunk := s.recv(65536):
                received += chunk
        except (ConnectionResetError, BrokenPipeError):
            # Closed with input unread: what was sent before may be lost, on either server.
            return None
        return received


@pytest.mark.parametrize("data", BROKEN, ids=range(len(BROKEN)))
def test_broken_requests(swiftlet_server, oracle_server, swiftlet, oracle, data):
    ours, theirs = answer(swiftlet_server, data), answer(oracle_server, data)
    if ours is not None and theirs is not None:
        assert ours == theirs
    assert swiftlet.call("PING") == b"+PONG\r\n"


def test_a_request_broken_at_every_byte(swiftlet_server, oracle_server, swiftlet, oracle):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    random.seed(seed)
    request = encode(["SET", "key", "value"]) + encode(["GET", "key"])
    for at in range(len(request)):
        for byte in {0, 0x0A, 0x24, 0x2A, 0x2D, 0x39, random.randrange(256)}:
            data = request[:at] + bytes([byte]) + request[at + 1 :]
            ours, theirs = answer(swiftlet_server, data), answer(oracle_server, data)
            if ours is not None and theirs is not None:
                assert ours == theirs, data
    assert swiftlet.call("PING") == b"+PONG\r\n"


@pytest.mark.parametrize("number", LIMITS)
def test_numbers_at_the_limits(both, number):
    both("SET", "n", "9223372036854775806")
    for command in (
        ["INCRBY", "n", number],
        ["DECRBY", "n", number],
        ["EXPIRE", "n", number],
        ["PEXPIRE", "n", number],
        ["SETRANGE", "n", number, "x"],
        ["GETRANGE", "n", number, number],
        ["LRANGE", "nolist", number, number],
        ["SETEX", "m", number, "v"],
        ["PSETEX", "m", number, "v"],
        ["SET", "m", "v", "PX", number],
        ["HINCRBY", "h", "f", number],
        ["ZRANGE", "z", number, number],
        ["SELECT", number],
        ["SELECT", "0"],
        ["SCAN", number],
        ["SPOP", "s", number],
    ):
        # A cursor is a place in a hash table: which keys are there differs.
        if command[0] == "SCAN" and number.lstrip("-").isdigit():
            continue
        both(*command)


def test_a_large_value_in_small_pieces(swiftlet):
    value = random.randbytes(32 << 20)
    request = encode(["SET", "big", value])
    for at in range(0, len(request), 100_000):
        swiftlet.socket.sendall(request[at : at + 100_000])
    assert swiftlet.reply() == b"+OK\r\n"
    assert swiftlet.call("GETRANGE", "big", 1 << 20, (1 << 20) + 9).split(b"\r\n", 1)[1][:10] == value[1 << 20 :][:10]
    assert swiftlet.call("STRLEN", "big") == b":%d\r\n" % len(value)
