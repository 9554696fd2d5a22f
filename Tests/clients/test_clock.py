"""DEBUG ADVANCE-CLOCK: what is due in a day is tested now."""

import time

import pytest

from oracle import bulks, integer, start_swiftlet


@pytest.fixture
def server():
    """One of its own, whose clocks are moved."""
    server = start_swiftlet()
    connection = server.connect()
    connection.other = server.connect
    yield connection
    server.stop()


def test_keys_expire_when_the_clock_has_been_advanced(server):
    assert (
        server.pipeline([["SET", "k", "v", "PX", 3_600_000], ["DEBUG", "ADVANCE-CLOCK", 3_599_000], ["GET", "k"]])[2]
        == b"$1\r\nv\r\n"
    )
    assert server.pipeline([["DEBUG", "ADVANCE-CLOCK", 1000], ["GET", "k"]])[1] == b"$-1\r\n"


def test_a_blocked_client_ends_at_its_time(server):
    waiting = server.other()
    waiting.send("BLPOP", "none", 3600)
    deadline = time.monotonic() + 20
    while b"blocked_clients:1" not in server.call("INFO", "clients"):
        assert time.monotonic() < deadline
    server.call("DEBUG", "ADVANCE-CLOCK", 3_600_000)
    assert waiting.reply() == b"*-1\r\n"


def test_both_clocks_move_or_the_wall_clock_alone(server):
    def wall():
        seconds, _ = bulks(server.call("TIME"))
        return int(seconds)

    def uptime():
        (line,) = [x for x in server.call("INFO", "server").split(b"\r\n") if x.startswith(b"uptime_in_seconds:")]
        return int(line.split(b":")[1])

    assert server.call("DEBUG", "ADVANCE-CLOCK", 86_400_000) == b"+OK\r\n"
    assert 86_400 <= uptime() < 86_430
    assert 86_399 <= wall() - time.time() < 86_430
    assert server.call("DEBUG", "ADVANCE-CLOCK", -86_400_000, "WALL") == b"+OK\r\n"
    assert 86_400 <= uptime() < 86_430
    assert -2 <= wall() - time.time() < 30
    for wrong in (["-1"], ["x"], ["9223372036854775807"], ["1", "x"], ["-9223372036854775808", "WALL"]):
        assert server.call("DEBUG", "ADVANCE-CLOCK", *wrong)[:1] == b"-"


def test_an_idle_time_passes(server):
    server.call("SET", "k", "v")
    server.call("DEBUG", "ADVANCE-CLOCK", 50_000)
    assert 50 <= integer(server.call("OBJECT", "IDLETIME", "k")) < 80
