"""appendonly switched off and on while the server runs: a kill -9 right after loses nothing that was acknowledged."""

import os

import pytest

from oracle import Server, start_swiftlet, swiftlet_binary
from waiting import wait_until


@pytest.mark.parametrize("before", [None, "SAVE", "BGSAVE"])
def test_switching_the_log_off_and_on_loses_nothing(before):
    first = start_swiftlet("--appendonly", "yes", "--appendfsync", "always")
    second = None
    try:
        connection = first.connect()
        for i in range(5):
            assert connection.call("SET", f"key:{i}", i) == b"+OK\r\n"
        if before:
            connection.call(before)
        assert connection.call("CONFIG", "SET", "appendonly", "no") == b"+OK\r\n"
        assert connection.call("CONFIG", "SET", "appendonly", "yes") == b"+OK\r\n"
        for i in range(5, 8):
            assert connection.call("SET", f"key:{i}", i) == b"+OK\r\n"
        first.process.kill()
        first.process.wait()
        second = Server(swiftlet_binary(), ("--appendonly", "yes", "--dir", first.directory))
        assert second.connect().call("DBSIZE") == b":8\r\n"
    finally:
        if second:
            second.stop()
        first.stop()


@pytest.mark.parametrize("fsync", ["always", "everysec"])
def test_nobody_waits_for_a_log_that_is_switched_on(fsync):
    first = start_swiftlet("--appendonly", "no", "--appendfsync", fsync, "--save", "", "--enable-debug-command", "yes")
    second = None
    try:
        connection, writer = first.connect(), first.connect()
        connection.call("DEBUG", "POPULATE", 20_000)
        words = [("MULTI",), ("CONFIG", "SET", "appendonly", "yes"), ("INFO", "persistence"), ("EXEC",)]
        text = connection.pipeline(words)[-1]
        assert b"aof_enabled:1\r\n" in text and b"aof_rewrite_in_progress:1\r\n" in text
        # What was written is on disk when it says so, though that is only the case once there is a checkpoint.
        assert writer.call("INCR", "counter") == b":1\r\n"
        assert writer.call("WAITAOF", 1, 0, 0) == b"*2\r\n:1\r\n:0\r\n"
        first.process.kill()
        first.process.wait()
        second = Server(swiftlet_binary(), ("--appendonly", "yes", "--dir", first.directory))
        assert second.connect().call("DBSIZE") == b":20001\r\n"
        assert second.connect().call("GET", "counter") == b"$1\r\n1\r\n"
    finally:
        if second:
            second.stop()
        first.stop()


def test_a_log_that_cannot_begin_is_tried_again():
    server = start_swiftlet("--appendonly", "no", "--save", "")
    moved = server.directory + ".moved"
    try:
        connection = server.connect()
        connection.call("SET", "key", "value")
        os.rename(server.directory, moved)
        assert connection.call("CONFIG", "SET", "appendonly", "yes") == b"+OK\r\n"
        wait_until(lambda: b"aof_last_bgrewrite_status:err\r\n" in connection.call("INFO", "persistence"))
        assert connection.call("WAITAOF", 1, 0, 50) == b"*2\r\n:0\r\n:0\r\n"
        os.rename(moved, server.directory)
        assert connection.call("WAITAOF", 1, 0, 0) == b"*2\r\n:1\r\n:0\r\n"
    finally:
        server.stop()


@pytest.mark.parametrize("command", [("CONFIG", "SET", "appendonly", "no"), ("FLUSHALL",)])
def test_a_save_of_the_servers_own_is_in_nobodys_way(command):
    server = start_swiftlet("--appendonly", "yes", "--save", "3600 1000")
    try:
        connection = server.connect()
        for i in range(100):
            connection.call("SET", f"key:{i}", i)
        # The server's own save takes long where keys are left, or is at its beginning.
        connection.call("CONFIG", "SET", "rdb-key-save-delay", "100000")
        assert connection.call("MULTI") == b"+OK\r\n"
        for words in (command, ("BGSAVE",), ("BGSAVE",)):
            assert connection.call(*words) == b"+QUEUED\r\n"
        assert connection.call("EXEC") == (
            b"*3\r\n+OK\r\n+Background saving scheduled\r\n+Background saving scheduled\r\n"
        )
        connection.call("CONFIG", "SET", "rdb-key-save-delay", "0")
        assert connection.call("SAVE") in (b"+OK\r\n", b"-ERR Background save already in progress\r\n")
    finally:
        server.stop()
