"""The snapshot's file while the server runs: moved, removed, replaced by others, or wanted by another program."""

import os
import pathlib
import shutil
import sqlite3

import pytest

from oracle import Server, start_swiftlet, swiftlet_binary


def move(path, other):
    os.rename(path, path + ".away")


def remove(path, other):
    os.unlink(path)


def empty(path, other):
    open(path, "w").close()


def cut(path, other):
    os.truncate(path, os.path.getsize(path) // 2)


def replace(path, other):
    os.rename(other, path)


def overwrite(path, other):
    pathlib.Path(path).open("r+b").write(pathlib.Path(other).read_bytes())


@pytest.mark.parametrize("log", ["yes", "no"])
@pytest.mark.parametrize("change", [move, remove, empty, cut, replace, overwrite])
def test_a_save_writes_everything_when_the_file_is_another(change, log):
    first = start_swiftlet("--appendonly", log)
    second = None
    try:
        connection = first.connect()
        connection.pipeline([("SET", f"key:{i}", i) for i in range(200)])
        assert connection.call("SAVE") == b"+OK\r\n"
        path = os.path.join(first.directory, "dump.sqlite")
        other = os.path.join(first.directory, "older")
        shutil.copy(path, other)
        connection.call("SET", "key:0", "changed")
        assert connection.call("SAVE") == b"+OK\r\n"
        change(path, other)
        connection.call("SET", "new", 1)
        assert connection.call("SAVE") == b"+OK\r\n"
        digest = connection.call("DEBUG", "DIGEST")
        asides = [name for name in os.listdir(first.directory) if ".replaced-" in name and not name.endswith("-wal")]
        assert len(asides) == (1 if change in (cut, replace, overwrite) else 0)
        log_text = pathlib.Path(first.log.name).read_text()
        assert "everything is to be written anew" in log_text
        assert all(name in log_text for name in asides)
        first.process.kill()
        first.process.wait()
        second = Server(swiftlet_binary(), ("--appendonly", log, "--dir", first.directory))
        assert second.connect().call("DEBUG", "DIGEST") == digest
    finally:
        if second:
            second.stop()
        first.stop()


def test_other_programs_read_and_do_not_write():
    server = start_swiftlet()
    try:
        connection = server.connect()
        connection.pipeline([("SET", f"key:{i}", i) for i in range(200)])
        assert connection.call("SAVE") == b"+OK\r\n"
        path = os.path.join(server.directory, "dump.sqlite")
        with sqlite3.connect(path, timeout=0, isolation_level=None) as other:
            for sql in ("BEGIN IMMEDIATE", "VACUUM", "DELETE FROM raw_strings", "DROP TABLE meta"):
                with pytest.raises(sqlite3.OperationalError, match="locked"):
                    other.execute(sql)
            assert other.execute("SELECT count(*) FROM raw_strings").fetchone() == (200,)
            other.execute("VACUUM INTO ?", (path + ".copy",))
            with sqlite3.connect(path + ".backup") as backup:
                other.backup(backup)
        for command in (("SET", "key:1", "new"), ("SAVE",), ("DEBUG", "RELOAD"), ("DEBUG", "LOADAOF")):
            assert connection.call(*command) == b"+OK\r\n", command
        assert connection.call("DBSIZE") == b":200\r\n"
        for copy in (".copy", ".backup"):
            assert sqlite3.connect(path + copy).execute("SELECT count(*) FROM raw_strings").fetchone() == (200,)
    finally:
        server.stop()


def test_a_start_beside_a_writer_is_refused():
    first = start_swiftlet("--appendonly", "yes")
    try:
        connection = first.connect()
        connection.call("SET", "key", 1)
        assert connection.call("SAVE") == b"+OK\r\n"
        first.process.kill()
        first.process.wait()
        options = ("--appendonly", "yes", "--dir", first.directory)
        with sqlite3.connect(os.path.join(first.directory, "dump.sqlite"), isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            # It listens before it loads, so that the connection may succeed.
            try:
                refused = Server(swiftlet_binary(), options)
                assert refused.process.wait(20) != 0
                text = pathlib.Path(refused.log.name).read_text()
                refused.stop()
            except RuntimeError as error:
                text = str(error)
            assert "another program holds the write lock" in text
            other.execute("ROLLBACK")
            second = Server(swiftlet_binary(), options)
        assert second.connect().call("GET", "key") == b"$1\r\n1\r\n"
        second.stop()
    finally:
        first.stop()
