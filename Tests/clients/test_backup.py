"""BACKUP and SNAPSHOT: copies that stand alone, and what is refused."""

import os
import pathlib
import shutil
import threading

import pytest

from oracle import Server, bulks, start_swiftlet, swiftlet_binary
from waiting import wait_until

OK = b"+OK\r\n"


@pytest.fixture
def server():
    server = start_swiftlet("--appendonly", "yes", "--enable-protected-configs", "yes")
    yield server
    server.stop()


def info(connection):
    lines = connection.call("INFO", "snapshot").decode().split("\r\n")
    return dict(line.split(":", 1) for line in lines if ":" in line)


def start_alone(copy):
    """A server in an empty directory with the copy as its snapshot."""
    other = start_swiftlet("--appendonly", "yes")
    directory = other.directory
    other.process.kill()
    other.process.wait()
    for path in pathlib.Path(directory).iterdir():
        if path.name != "log":
            path.unlink() if path.is_file() else shutil.rmtree(path)
    shutil.copy(copy, os.path.join(directory, "dump.sqlite"))
    again = Server(swiftlet_binary(), ("--appendonly", "yes", "--dir", directory))
    return other, again


def fill(connection):
    connection.call("DEBUG", "POPULATE", 2000)
    connection.call("HSET", "hash", "field", "value")
    connection.call("SELECT", 3)
    connection.call("ZADD", "board", "1.5", "a")
    connection.call("SELECT", 0)


def test_a_server_starts_with_a_backup_alone(server):
    connection = server.connect()
    fill(connection)
    digest = connection.call("DEBUG", "DIGEST")
    assert connection.call("BACKUP", "b.sqlite") == OK
    connection.call("SET", "later", 1)
    copy = os.path.join(server.directory, "backups", "b.sqlite")
    assert sorted(os.listdir(os.path.dirname(copy))) == ["b.sqlite"]
    facts = info(connection)
    assert (facts["backup_in_progress"], facts["backup_last_status"], facts["backup_last_file"]) == ("0", "ok", copy)
    other, again = start_alone(copy)
    try:
        assert again.connect().call("DEBUG", "DIGEST") == digest
    finally:
        again.stop()
        other.stop()


def test_what_is_written_meanwhile_does_not_spoil_it(server):
    connection = server.connect()
    connection.call("DEBUG", "POPULATE", 20000)
    writer, stop = server.connect(), threading.Event()

    def write():
        number = 0
        while not stop.is_set():
            number += 1
            writer.pipeline([("SET", "first", number), ("SET", "second", number)])

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for number in range(3):
            assert connection.call("BACKUP", f"{number}.sqlite") == OK
    finally:
        stop.set()
        thread.join()
    other, again = start_alone(os.path.join(server.directory, "backups", "2.sqlite"))
    try:
        first, second = bulks(again.connect().call("MGET", "first", "second"))
        assert int(first) - int(second) in (0, 1)
    finally:
        again.stop()
        other.stop()


def test_an_existing_file_is_replaced_only_when_told_to(server):
    connection = server.connect()
    assert connection.call("BACKUP", "b.sqlite") == OK
    assert b"exists already" in connection.call("BACKUP", "b.sqlite")
    assert info(connection)["backup_last_status"] == "err"
    connection.call("SET", "key", 1)
    assert connection.call("BACKUP", "b.sqlite", "REPLACE") == OK
    assert info(connection)["backup_last_status"] == "ok"
    path = os.path.join(server.directory, "backups", "notes.txt")
    pathlib.Path(path).write_text("mine")
    assert connection.call("BACKUP", "notes.txt", "REPLACE").startswith(b"-ERR")
    assert pathlib.Path(path).read_text() == "mine"
    assert connection.call("BACKUP", "b.sqlite", "NOW") == b"-ERR syntax error\r\n"


@pytest.mark.parametrize("path", ["../x", "/tmp/x", "a/../../x", "", ".", "a//b", "x/", b"a\0b", b"\xff"])
def test_paths_lead_nowhere_else(server, path):
    reply = server.connect().call("BACKUP", path)
    assert reply.startswith(b"-ERR the path must be")


def test_the_data_directory_is_no_place_for_it(server):
    connection = server.connect()
    for name in (server.directory, "."):
        assert connection.call("CONFIG", "SET", "backup-dir", name) == OK
        for path in ("dump.sqlite", "swiftlet.lock", "appendonly.aof.0000000009"):
            assert b"in the data directory itself" in connection.call("BACKUP", path, "REPLACE"), path


def test_backup_dir_is_protected():
    server = start_swiftlet()
    try:
        reply = server.connect().call("CONFIG", "SET", "backup-dir", "/")
        assert b"can't set protected config" in reply
    finally:
        server.stop()


def test_a_directory_that_cannot_be_made_is_an_error(server):
    pathlib.Path(server.directory, "backups").write_text("a file")
    connection = server.connect()
    assert connection.call("BACKUP", "b.sqlite").startswith(b"-ERR")
    assert connection.call("PING") == b"+PONG\r\n"


def test_it_does_not_wait_in_a_transaction(server):
    connection = server.connect()
    replies = connection.pipeline([("MULTI",), ("BACKUP", "b.sqlite"), ("EXEC",)])
    assert replies[1].startswith(b"-ERR")


def test_whoever_asked_may_leave(server):
    connection, other = server.connect(), server.connect()
    connection.call("DEBUG", "POPULATE", 20000)
    connection.send("BACKUP", "b.sqlite")
    connection.close()
    wait_until(lambda: info(other)["backup_last_file"].endswith("b.sqlite"))


def test_snapshots_are_kept_and_dropped(server):
    connection = server.connect()
    fill(connection)
    assert connection.call("SNAPSHOT", "LIST") == b"*0\r\n"
    assert connection.call("SNAPSHOT", "KEEP", "one") == OK
    assert b"exists already" in connection.call("SNAPSHOT", "KEEP", "one")
    connection.call("SET", "more", 1)
    assert connection.call("SNAPSHOT", "KEEP", "two.2") == OK
    reply = connection.call("SNAPSHOT", "LIST")
    assert reply.startswith(b"*2\r\n*12\r\n$4\r\nname\r\n$3\r\none\r\n$11\r\nsaved_at_ms\r\n:")
    assert b"$4\r\nkeys\r\n:2002\r\n" in reply and b"$4\r\nkeys\r\n:2003\r\n" in reply
    assert connection.call("SNAPSHOT", "DROP", "one") == OK
    assert connection.call("SNAPSHOT", "DROP", "one").startswith(b"-ERR no snapshot is kept")
    assert os.listdir(os.path.join(server.directory, "snapshots")) == ["two.2.sqlite"]
    for name in ("", ".hidden", "a/b", "..", "x" * 65, "é"):
        assert connection.call("SNAPSHOT", "KEEP", name).startswith(b"-ERR a snapshot's name"), name
