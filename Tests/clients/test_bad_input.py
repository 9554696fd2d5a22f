"""Bad input gets redis-server's answer, byte for byte, and the server lives on."""

import random
import socket

import pytest

from resp import encode
from seed import new_seed

LIMITS = ["9223372036854775807", "-9223372036854775808", "9223372036854775808", "-9223372036854775809", "1e3", "", " 1"]

# Turns of a server's loop after which a piece of up to 128 KiB has been read and answered.
TURNS = 12

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
    b'ECHO "\\x41\\n\\t\'"\r\n',
    b"ECHO '\\'\"'\r\n",
    b"nosuchcommand a b c\r\n",
    b"*1048577\r\n",
    b"*-2147483649\r\n",
    b"*+1\r\n$4\r\nPING\r\n",
    b"*01\r\n$4\r\nPING\r\n",
    b"* 1\r\n$4\r\nPING\r\n",
    b"*1 \r\n$4\r\nPING\r\n",
    b"*\r\n$4\r\nPING\r\n",
    b"*1\r\n$\r\nPING\r\n",
    b"*1\r\n$04\r\nPING\r\n",
    b"*1\r\n$4 \r\nPING\r\n",
    b"*1\r\n$4\r\nPINGxxPING\r\n",
    b"*1\r\n$3\r\nPING\r\nPING\r\n",
    b"*1\n$4\nPING\n",
    b"*1\r\n\r\n$4\r\nPING\r\n",
    b"*0\r\n*-5\r\nPING\r\n",
    b"*1\r\n*1\r\n$4\r\nPING\r\n",
    b"*1\r\n$9223372036854775807\r\n",
    b"*1\r\n$-9223372036854775808\r\n",
    b"*9223372036854775807\r\n",
    b"PING\n",
    b"PING\rPING\r\n",
    b"  PING  \t \r\n",
    b"PING hello\x00world\r\n",
    b'ECHO "\\x4"\r\nPING\r\n',
    b"ECHO 'a' 'b'\r\n",
    b'ECHO ""\r\n',
    b"ECHO ''" + b"''\r\n",
    b"\xe2\x80\xa8PING\r\n",
    b"PING\r\n*1\r\n$x\r\nPING\r\n",
    b"+OK\r\n",
    b"-ERR\r\n:1\r\n$4\r\nPING\r\n",
    b"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$2\r\n\xff\xfe\r\n*2\r\n$3\r\nGET\r\n$0\r\n\r\n",
]


def answer(server, *pieces):
    """What comes back for bytes that are sent in pieces, and whether the server closes the connection then.

    One loop serves all connections in turn, so a few turns on another one say that it has done all it will: nobody
    waits for a reply that may never come, and an end is the server's doing and not ours.
    """
    turns = server.connect()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            try:
                s.sendall(piece)
            except (ConnectionResetError, BrokenPipeError):
                break  # Closed early; the reply is there all the same.
            for _ in range(TURNS):
                assert turns.call("PING") == b"+PONG\r\n"
        turns.close()
        s.setblocking(False)
        received = b""
        while True:
            try:
                chunk = s.recv(65536)
            except BlockingIOError:
                return received, "open"
            except ConnectionResetError:
                return received, "closed"
            if not chunk:
                return received, "closed"
            received += chunk


@pytest.mark.parametrize("data", BROKEN, ids=range(len(BROKEN)))
def test_broken_requests(swiftlet_server, oracle_server, swiftlet, oracle, data):
    assert answer(swiftlet_server, data) == answer(oracle_server, data)
    assert swiftlet.call("PING") == b"+PONG\r\n"


# Redis closes on a browser's words, so that a web page cannot make a browser write to a server behind a firewall.
@pytest.mark.parametrize(
    "data",
    [
        b"POST / HTTP/1.1\r\n\r\nSET k v\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\nSET k v\r\n",
        b"PING\r\n" + encode(["post", "a"]) + b"PING\r\n",
        encode(["hOST:"]) + b"PING\r\n",
    ],
    ids=["post", "host", "as an array", "in any case"],
)
def test_a_browser_is_cut_off(swiftlet_server, oracle_server, swiftlet, oracle, data):
    theirs = answer(oracle_server, data)
    assert theirs[1] == "closed"
    assert answer(swiftlet_server, data) == theirs


def test_a_request_broken_at_every_byte(swiftlet_server, oracle_server, swiftlet, oracle):
    seed = new_seed()
    random.seed(seed)
    request = encode(["SET", "key", "value"]) + encode(["GET", "key"])
    for at in range(len(request)):
        for byte in sorted({0, 0x0A, 0x24, 0x2A, 0x2D, 0x39, random.randrange(256)}):
            data = request[:at] + bytes([byte]) + request[at + 1 :]
            assert answer(swiftlet_server, data) == answer(oracle_server, data), data
    assert swiftlet.call("PING") == b"+PONG\r\n"


def test_a_request_in_two_pieces(swiftlet_server, oracle_server, swiftlet, oracle):
    """Cut at every byte: the first piece alone must get the oracle's answer, and both together too."""
    request = encode(["SET", "key", "value"]) + b"GET 'key'\r\n" + encode(["ECHO", ""]) + b"*1\r\n$x\r\n"
    for at in range(len(request)):
        for pieces in [request[:at]], [request[:at], request[at:]]:
            assert answer(swiftlet_server, *pieces) == answer(oracle_server, *pieces), pieces
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
