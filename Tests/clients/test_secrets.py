"""Passwords are not shown, in the slow log for one, whatever becomes of the command that has them."""

import pytest

from oracle import start_redis, start_swiftlet
from resp import encode

# What redis-server shows too, word for word.
AS_REDIS = """
AUTH foo
AUTH default foo
CONFIG SET requirepass sekret
AUTH sekret
AUTH default wrong
HELLO 3 AUTH default sekret
HELLO 3 AUTH default wrong
HELLO 2 AUTH default sekret SETNAME x
HELLO 2 SETNAME x AUTH default sekret
CONFIG SET masterauth sekret
CONFIG SET masteruser sekret maxmemory 0
CONFIG SET maxmemory 0 requirepass sekret
CONFIG SET maxmemory x requirepass sekret
CONFIG SET nosuch x requirepass sekret
MIGRATE 127.0.0.1 1 nokey 0 100 AUTH sekret
MIGRATE 127.0.0.1 1 nokey 0 100 AUTH2 u sekret
MIGRATE 127.0.0.1 1 nokey 0 100 COPY AUTH2 u sekret KEYS a
MIGRATE 127.0.0.1 1 nokey 0 x AUTH sekret
MIGRATE 127.0.0.1 1 nokey 0 100 AUTH sekret BAD
SET foo bar
MIGRATE 127.0.0.1 1 foo 0 100 AUTH sekret
MIGRATE 127.0.0.1 1 foo 0 100 REPLACE AUTH2 u sekret
MIGRATE 127.0.0.1 1 foo y 100 AUTH2 u sekret
CONFIG SET requirepass sekret
"""

# What redis-server shows in the clear.
BEYOND_REDIS = """
AUTH a sekret sekret
HELLO 9 AUTH default sekret
HELLO x AUTH default sekret
HELLO 2 BAD AUTH default sekret
HELLO 2 SETNAME x AUTH sekret
CONFIG SET requirepass sekret extra
CONFIG SET maxmemory requirepass sekret
CONFIG SET tls-key-file-pass sekret
MIGRATE 127.0.0.1 1 foo 0 100 BAD AUTH sekret
MIGRATE 127.0.0.1 1 foo 0 100 AUTH2 sekret
"""


@pytest.fixture(params=[start_swiftlet], ids=["swiftlet"])
def pair(request):
    servers = [request.param("--slowlog-log-slower-than", "0"), start_redis("--slowlog-log-slower-than", "0")]
    yield [server.connect() for server in servers]
    for server in servers:
        server.stop()


def shown(connection, args):
    """How the slow log shows the command, as RESP."""
    connection.call(*args)
    entries = connection.call("SLOWLOG", "GET", 10)
    connection.call("SLOWLOG", "RESET")
    at = entries.find(encode(args[:1])[4:])
    assert at > 0, entries
    # From the array's header on, up to the address.
    start = entries.rindex(b"*", 0, at)
    return entries[start : entries.index(b"127.0.0.1:", at)].rsplit(b"$", 1)[0]


def test_the_slow_log_shows_what_redis_shows(pair):
    for line in AS_REDIS.strip().splitlines():
        ours, theirs = (shown(c, line.split()) for c in pair)
        assert ours == theirs, line
        assert b"sekret" not in ours, line


def test_the_slow_log_never_shows_a_password(pair):
    pair[0].call("SET", "foo", "bar")
    for line in BEYOND_REDIS.strip().splitlines():
        assert b"sekret" not in shown(pair[0], line.split()), line


def test_in_a_transaction(pair):
    for connection in pair:
        connection.call("CONFIG", "SET", "requirepass", "sekret")
        connection.call("SLOWLOG", "RESET")
        connection.pipeline([["MULTI"], ["AUTH", "sekret"], ["CONFIG", "SET", "masterauth", "sekret"], ["EXEC"]])
        entries = connection.call("SLOWLOG", "GET", 10)
        assert b"sekret" not in entries
        assert entries.count(b"(redacted)") == 2
