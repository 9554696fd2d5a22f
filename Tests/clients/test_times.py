"""What ends, begins or is measured by a time, other than expiries: the clock is moved past it, and to just before it."""

import re
import time

import pytest

from moved_clock import advance, wall_ms
from oracle import start_swiftlet
from resp import decoded, integer
from waiting import wait_until


@pytest.fixture
def server():
    """One of its own, whose clocks are moved."""
    server = start_swiftlet()
    yield server
    server.stop()


@pytest.fixture
def control(server):
    connection = server.connect()
    yield connection
    connection.close()


def field(connection, name, section="all"):
    found = re.search(rf"\n{name}:(\S*)\r".encode(), connection.call("INFO", section))
    return found and found.group(1)


def waiting(control):
    return int(field(control, "blocked_clients", "clients"))


def blocked(server, control, *command):
    """A client whose command waits."""
    connection = server.connect()
    before = waiting(control)
    connection.send(*command)
    wait_until(lambda: waiting(control) == before + 1)
    return connection


# --- Blocked clients ---

NO_ARRAY, NO_BULK, NO_NUMBER = b"*-1\r\n", b"$-1\r\n", b":0\r\n"
BLOCKING = [
    (["BLPOP", "none", "empty", 3600], NO_ARRAY),
    (["BRPOP", "none", 3600], NO_ARRAY),
    (["BLMOVE", "none", "target", "LEFT", "RIGHT", 3600], NO_ARRAY),
    (["BRPOPLPUSH", "none", "target", 3600], NO_ARRAY),
    (["BLMPOP", 3600, 1, "none", "LEFT"], NO_ARRAY),
    (["BZPOPMIN", "none", 3600], NO_ARRAY),
    (["BZPOPMAX", "none", 3600], NO_ARRAY),
    (["BZMPOP", 3600, 1, "none", "MIN"], NO_ARRAY),
    (["XREAD", "BLOCK", 3_600_000, "STREAMS", "x", "$"], NO_ARRAY),
    (["XREADGROUP", "GROUP", "g", "c", "BLOCK", 3_600_000, "STREAMS", "x", ">"], NO_ARRAY),
    (["WAIT", 1, 3_600_000], NO_NUMBER),
]


@pytest.mark.parametrize("command, reply", BLOCKING, ids=lambda value: value[0] if isinstance(value, list) else "")
def test_a_blocked_client_ends_at_its_time_and_not_before(server, control, command, reply):
    control.call("XGROUP", "CREATE", "x", "g", "$", "MKSTREAM")
    connection = blocked(server, control, *command)
    advance(control, 3590)
    control.call("PING")
    assert waiting(control) == 1
    advance(control, 11)
    began = time.monotonic()
    assert connection.reply() == reply
    # By the clock that was moved, not by the time that this takes.
    assert time.monotonic() - began < 8
    assert waiting(control) == 0


def test_each_blocked_client_has_its_own_time(server, control):
    connections = {seconds: blocked(server, control, "BLPOP", "none", seconds) for seconds in (3000, 1000, 0, 2000)}
    for left, seconds in ((3, 1000), (2, 2000), (1, 3000)):
        advance(control, 990)
        assert waiting(control) == left + 1
        advance(control, 11)
        assert connections[seconds].reply() == NO_ARRAY
        assert waiting(control) == left
    advance(control, 1_000_000)
    control.call("RPUSH", "none", "v")
    assert decoded(connections[0].reply()) == [b"none", b"v"]


def test_a_key_that_expires_serves_nobody(server, control):
    control.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    control.call("RPUSH", "l", "v")
    control.call("PEXPIRE", "l", 100_000)
    advance(control, 101)
    connection = blocked(server, control, "BLPOP", "l", 0)
    control.call("RPUSH", "l", "w")
    assert decoded(connection.reply()) == [b"l", b"w"]


# --- WATCH ---


@pytest.mark.parametrize("active", [0, 1])
def test_a_watched_key_that_expires_is_a_change(server, control, active):
    control.call("DEBUG", "SET-ACTIVE-EXPIRE", active)
    other = server.connect()
    control.call("SET", "k", "v", "EX", 100)
    assert control.call("WATCH", "k") == b"+OK\r\n"
    advance(other, 101)
    if active:
        wait_until(lambda: integer(other.call("DBSIZE")) == 0)
    assert control.pipeline([["MULTI"], ["PING"], ["EXEC"]])[-1] == NO_ARRAY
    # Before it does, it is none.
    control.call("SET", "k", "v", "EX", 100)
    control.call("WATCH", "k")
    advance(other, 90)
    assert control.pipeline([["MULTI"], ["PING"], ["EXEC"]])[-1] == b"*1\r\n+PONG\r\n"


def test_a_key_that_was_due_when_it_was_watched_is_no_change(server, control):
    control.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    control.call("SET", "k", "v", "EX", 100)
    advance(control, 101)
    control.call("WATCH", "k")
    assert control.pipeline([["MULTI"], ["EXISTS", "k"], ["EXEC"]])[-1] == b"*1\r\n:0\r\n"


def test_a_watched_field_that_expires_is_a_change(server, control):
    control.call("HSET", "h", "f", "v", "g", "w")
    control.call("HEXPIRE", "h", 100, "FIELDS", 1, "f")
    control.call("WATCH", "h")
    other = server.connect()
    advance(other, 101)
    wait_until(lambda: integer(other.call("HLEN", "h")) == 1)
    assert control.pipeline([["MULTI"], ["PING"], ["EXEC"]])[-1] == NO_ARRAY


# --- CLIENT PAUSE ---


def pause_all(server, control):
    """A pause of everything. It holds those up who would move the clock, so that it is short and awaited."""
    other = server.connect()
    began = time.monotonic()
    assert control.call("CLIENT", "PAUSE", 150, "ALL") == b"+OK\r\n"
    assert other.call("GET", "k") == NO_BULK
    assert time.monotonic() - began >= 0.149


def test_a_pause_of_writes_after_one_of_everything(server, control):
    """The first one has ended: what it held up besides writes is not held up again."""
    pause_all(server, control)
    assert control.call("CLIENT", "PAUSE", 100_000, "WRITE") == b"+OK\r\n"
    assert control.call("GET", "k") == NO_BULK
    writer = blocked(server, control, "SET", "k", "v")
    advance(control, 90)
    assert control.call("GET", "k") == NO_BULK
    assert waiting(control) == 1
    advance(control, 11)
    assert writer.reply() == b"+OK\r\n"
    assert control.call("SET", "k", "w") == b"+OK\r\n"


def test_pauses_of_writes_follow_each_other(server, control):
    for _ in range(2):
        control.call("CLIENT", "PAUSE", 100_000, "WRITE")
        writer = blocked(server, control, "SET", "k", "v")
        advance(control, 101)
        assert writer.reply() == b"+OK\r\n"
    # A shorter one does not end the longer one.
    control.call("CLIENT", "PAUSE", 100_000, "WRITE")
    control.call("CLIENT", "PAUSE", 10_000, "WRITE")
    writer = blocked(server, control, "SET", "k", "w")
    advance(control, 90)
    assert waiting(control) == 1
    control.call("CLIENT", "UNPAUSE")
    assert writer.reply() == b"+OK\r\n"


def test_nothing_expires_by_itself_while_writes_are_paused(server, control):
    control.call("SET", "k", "v", "EX", 100)
    control.call("CLIENT", "PAUSE", 1_000_000, "WRITE")
    advance(control, 500)
    time.sleep(0.3)  # That nothing happens: some turns of cron.
    assert integer(control.call("DBSIZE")) == 1
    advance(control, 501)
    wait_until(lambda: integer(control.call("DBSIZE")) == 0)


# --- Connections ---


def test_an_idle_connection_is_closed_and_a_blocked_one_is_not(server, control):
    control.call("CONFIG", "SET", "timeout", 100)
    idle = server.connect()
    idle.call("PING")
    patient = blocked(server, control, "BLPOP", "none", 0)
    advance(control, 90)
    assert idle.call("PING") == b"+PONG\r\n"
    control.call("PING")
    for _ in range(2):
        advance(control, 60)
        control.call("PING")
    with pytest.raises(ConnectionError):
        idle.socket.settimeout(20)
        idle.reply()
    control.call("RPUSH", "none", "v")
    assert decoded(patient.reply()) == [b"none", b"v"]


# --- Snapshots ---


def test_a_save_point_waits_for_its_time(server, control):
    control.call("CONFIG", "SET", "save", "3600 2")
    control.call("SET", "k", "v")
    control.call("SET", "k", "w")
    advance(control, 3500)
    time.sleep(0.3)  # That nothing happens: some turns of cron.
    assert field(control, "rdb_changes_since_last_save", "persistence") == b"2"
    advance(control, 101)
    wait_until(lambda: field(control, "rdb_changes_since_last_save", "persistence") == b"0")
    # Too few changes.
    control.call("SET", "k", "v")
    advance(control, 4000)
    time.sleep(0.3)
    assert field(control, "rdb_changes_since_last_save", "persistence") == b"1"


# --- Access, streams ---


def test_frequency_decays(server, control):
    control.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu", "lfu-log-factor", 0, "lfu-decay-time", 1)
    control.call("SET", "k", "v")
    for _ in range(50):
        control.call("GET", "k")
    before = integer(control.call("OBJECT", "FREQ", "k"))
    assert before > 40
    advance(control, 10 * 60)
    assert before - 11 <= integer(control.call("OBJECT", "FREQ", "k")) <= before - 9


def test_stream_ids_ascend_though_the_clock_goes_back(server, control):
    ms, _ = map(int, decoded(control.call("XADD", "x", "*", "f", "v")).split(b"-"))
    control.call("DEBUG", "ADVANCE-CLOCK", -86_400_000, "WALL")
    assert wall_ms(control) < ms
    for sequence in (1, 2):
        assert decoded(control.call("XADD", "x", "*", "f", "v")) == b"%d-%d" % (ms, sequence)
    control.call("DEBUG", "ADVANCE-CLOCK", 2 * 86_400_000, "WALL")
    later, sequence = map(int, decoded(control.call("XADD", "x", "*", "f", "v")).split(b"-"))
    assert later > ms and sequence == 0


def test_idle_times_of_pending_entries(server, control):
    control.call("XADD", "x", "1-1", "f", "v")
    control.call("XGROUP", "CREATE", "x", "g", "0")
    control.call("XREADGROUP", "GROUP", "g", "a", "STREAMS", "x", ">")
    advance(control, 100)
    assert control.call("XCLAIM", "x", "g", "b", 200_000, "1-1") == b"*0\r\n"
    assert decoded(control.call("XAUTOCLAIM", "x", "g", "b", 200_000, "0"))[1] == []
    ((_, owner, idle, deliveries),) = decoded(control.call("XPENDING", "x", "g", "-", "+", 10))
    assert (owner, deliveries) == (b"a", 1) and 100_000 <= idle < 130_000
    assert decoded(control.call("XPENDING", "x", "g", "IDLE", 200_000, "-", "+", 10)) == []
    advance(control, 101)
    assert len(decoded(control.call("XPENDING", "x", "g", "IDLE", 200_000, "-", "+", 10))) == 1
    assert decoded(control.call("XCLAIM", "x", "g", "b", 200_000, "1-1")) == [[b"1-1", [b"f", b"v"]]]
    ((_, owner, idle, deliveries),) = decoded(control.call("XPENDING", "x", "g", "-", "+", 10))
    assert (owner, deliveries) == (b"b", 2) and idle < 30_000


def test_idle_time_of_a_key(server, control):
    control.call("SET", "k", "v")
    advance(control, 100)
    assert 100 <= integer(control.call("OBJECT", "IDLETIME", "k")) < 130
    control.call("GET", "k")
    assert integer(control.call("OBJECT", "IDLETIME", "k")) < 30
