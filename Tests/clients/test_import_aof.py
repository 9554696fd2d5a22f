"""Redis's append-only files, of version 6 and before and of 7, become the first snapshot: the data is that of the
redis-server which wrote them."""

import os
import re
import shutil
import signal
import subprocess
import time

import pytest

from data import fill, mixed_requests
from life import loaded
from migrate import migrate, migrate_binary
from oracle import Server, start_redis, swiftlet_binary
from resp import bulk, encode
from seed import seeded

SET = encode(["SELECT", "0"]) + encode(["SET", "k", "v"])
OLD = b"REDIS0009\xfe\0\0\1k\3old\xff" + b"\0" * 8


class Refused(Exception):
    """Swiftlet did not start; with what it said."""


def started(directory, *options):
    """Swiftlet in a directory that stays, with its connection."""
    binary = swiftlet_binary()
    if binary is None:
        pytest.skip("swiftlet-server is not built")
    return start(binary, "--dir", str(directory), "--save", "", *options)


def start(command, *options):
    try:
        server = Server(command, options)
    except RuntimeError as error:
        raise Refused(str(error)) from None
    try:
        return server, loaded(server)
    except OSError:
        # It listens before it has read its files.
        assert server.process.wait(20) > 0
        raise Refused(ended(server)) from None


def ended(server):
    """kill -9; the data stays."""
    server.process.kill()
    server.process.wait()
    server.log.close()
    return open(server.log.name, errors="replace").read()


def imported(directory, *options):
    """What Swiftlet says of a directory: digest, and its log. Then it starts again, from its own files alone."""
    before = contents(directory)
    server, connection = started(directory, *options)
    digest = connection.call("DEBUG", "DIGEST")
    assert connection.call("SET", "new", "1") == b"+OK\r\n"
    assert connection.call("DEL", "new") == b":1\r\n"
    log = ended(server)
    after = contents(directory)
    # Redis's files are as they were.
    assert {name: after[name] for name in before if not name.startswith("log")} == before
    server, connection = started(directory, *options)
    assert connection.call("DEBUG", "DIGEST") == digest
    ended(server)
    return digest, log


def contents(directory):
    found = {}
    for path in directory.rglob("*"):
        if path.is_file() and not path.name.startswith(("dump.sqlite", "swiftlet.lock")):
            if not re.search(r"aof\.\d{10}$", path.name):
                found[str(path.relative_to(directory))] = path.read_bytes()
    return found


def by_redis(directory, work, *options):
    """What `work` makes of a connection to redis-server, and the digest at its end. It is killed then."""
    # With everysec, writes wait while an fsync is under way.
    options = "--appendonly", "yes", "--appendfsync", "no", "--save", "", *options
    server = start_redis("--dir", str(directory), *options)
    try:
        connection = loaded(server)
        work(connection)
        return connection.call("DEBUG", "DIGEST")
    finally:
        server.process.kill()
        server.process.wait()


def rewrite(connection):
    assert connection.call("BGREWRITEAOF")[:1] == b"+"
    while True:
        text = bulk(connection.call("INFO", "persistence"))
        if b"aof_rewrite_in_progress:0" in text and b"aof_rewrite_scheduled:0" in text:
            return
        time.sleep(0.01)


def write_mixed(connection, rng, count):
    for request in mixed_requests(rng, count):
        # redis-server forgets the sign of -0 where a sorted set is small.
        request = ["0.5" if argument == "-0.0" else argument for argument in request]
        assert connection.call(*request)[:1] != b"-"


def single_file(directory, name="appendonly.aof"):
    """The files of Redis 7's folder as Redis 6 had them: one."""
    folder = directory / "appendonlydir"
    manifest = (folder / f"{name}.manifest").read_text()
    names = re.findall(r"file (\S+) seq \d+ type [bi]", manifest)
    (directory / name).write_bytes(b"".join((folder / part).read_bytes() for part in names))
    shutil.rmtree(folder)


@pytest.mark.parametrize("preamble", ["yes", "no"])
@pytest.mark.parametrize("form", ["folder", "single file"])
@pytest.mark.parametrize("ours", ["yes", "no"])
def test_what_redis_server_wrote(preamble, form, ours, tmp_path):
    rng = seeded()

    def work(connection):
        connection.call("SELECT", 2)
        write_mixed(connection, rng, 150)
        connection.call("SELECT", 0)
        connection.call("FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function() return 1 end)")
        fill(connection.call)
        connection.call("DEL", "zset zero", "zset odd")
        rewrite(connection)
        connection.call("SET", "expiring", "1", "PX", 10**9)
        connection.call("MULTI")
        connection.call("INCR", "counter")
        connection.call("RPUSH", "queue", "a", "b")
        connection.call("EXEC")
        connection.call("XADD", "stream", "*", "f", "v")
        connection.call("XREADGROUP", "GROUP", "unread", "me", "STREAMS", "stream", ">")
        write_mixed(connection, rng, 100)
        connection.call("FUNCTION", "LOAD", "#!lua name=two\nredis.register_function('g', function() return 1 end)")

    digest = by_redis(tmp_path, work, "--aof-use-rdb-preamble", preamble, "--aof-timestamp-enabled", "yes")
    if form == "single file":
        single_file(tmp_path)
    assert imported(tmp_path, "--appendonly", ours)[0] == digest
    back = tmp_path / "back.rdb"
    run = subprocess.run([migrate_binary(), "to-rdb", tmp_path / "dump.sqlite", back], capture_output=True, text=True)
    assert "libraries of functions: 2" in run.stdout, run.stdout + run.stderr


def test_several_increments(tmp_path):
    """While a rewrite runs or has failed, the manifest has more than one increment; killed servers leave such."""
    rng = seeded()

    def work(connection):
        write_mixed(connection, rng, 100)

    names = "--appendfilename", "täglich my.aof", "--appenddirname", "folder"
    by_redis(tmp_path, work, *names)
    folder = tmp_path / "folder"
    base = folder / "täglich my.aof.1.incr.aof"
    # A failed rewrite leaves the increment that it began.
    more = encode(["SELECT", "1"]) + encode(["SET", "second", "1"])
    (folder / "täglich my.aof.2.incr.aof").write_bytes(more)
    (folder / "täglich my.aof.0.incr.aof").write_bytes(b"history is not looked at")
    manifest = folder / "täglich my.aof.manifest"
    text = manifest.read_text()
    assert base.exists() and "\\xc3" in text
    line = [line for line in text.splitlines() if "incr" in line][0]
    history = line.replace(".1.incr", ".0.incr").replace("seq 1", "seq 1").replace("type i", "type h")
    manifest.write_text(
        "# a comment\n" + text + history + "\n" + line.replace(".1.incr", ".2.incr").replace("seq 1", "seq 2") + "\n"
    )
    digest = by_redis(tmp_path, lambda connection: connection.call("PING"), *names)
    assert imported(tmp_path, *names)[0] == digest


@pytest.mark.parametrize("ours", [["--appendonly", "yes"], ["--appendonly", "no"], []])
def test_the_single_file(ours, tmp_path):
    (tmp_path / "appendonly.aof").write_bytes(b"#TS:1700000000\r\n" + SET + b"#TS:1700000001\r\n")
    _, log = imported(tmp_path, *ours)
    assert "Imported 1 keys, 2 commands replayed" in log
    assert not list(tmp_path.glob("*importing*"))


def test_the_append_only_file_wins(tmp_path):
    """As in redis-server, with `appendonly yes`, whichever is newer."""
    for when in (0, 2**31):
        directory = tmp_path / str(when)
        directory.mkdir()
        (directory / "appendonly.aof").write_bytes(SET)
        (directory / "dump.rdb").write_bytes(OLD)
        os.utime(directory / "dump.rdb", (when, when))
        _, log = imported(directory, "--appendonly", "yes")
        assert "dump.rdb is not imported" in log
        server, connection = started(directory, "--appendonly", "yes")
        assert connection.call("GET", "k") == b"$1\r\nv\r\n"
        ended(server)


def both_files(directory, newer, aof=SET, rdb=OLD):
    (directory / "appendonly.aof").write_bytes(aof)
    (directory / "dump.rdb").write_bytes(rdb)
    times = {"aof": (2000, 1000), "rdb": (1000, 2000)}[newer]
    os.utime(directory / "appendonly.aof", (times[0], times[0]))
    os.utime(directory / "dump.rdb", (times[1], times[1]))


def test_both_where_appendonly_is_not_set(tmp_path):
    """The newer one has everything, unless the files were moved about: then nothing is guessed."""
    both_files(tmp_path, "rdb")
    with pytest.raises(Refused, match="hold different data"):
        started_by_default(tmp_path)
    assert sorted(contents(tmp_path)) == ["appendonly.aof", "dump.rdb"] and not list(tmp_path.glob("dump.sqlite*"))
    # The same data: a clean shutdown of redis-server writes the RDB file last.
    both_files(tmp_path, "rdb", aof=encode(["SET", "k", "old"]))
    assert value_by_default(tmp_path) == b"old"
    (tmp_path / "dump.sqlite").unlink()
    for log in tmp_path.glob("appendonly.aof.0*"):
        log.unlink()
    both_files(tmp_path, "aof")
    # What this directory held is gone: Redis's files may be older.
    with pytest.raises(Refused, match="remove swiftlet.lock"):
        started_by_default(tmp_path)
    (tmp_path / "swiftlet.lock").unlink()
    assert value_by_default(tmp_path) == b"v"


def started_by_default(directory):
    """Server sets `appendonly`: here nobody does."""
    binary = swiftlet_binary()
    if binary is None:
        pytest.skip("swiftlet-server is not built")
    wrapper = directory.parent / f"{directory.name}-wrapper"
    wrapper.write_text(f'#!/bin/bash\nargs=()\nwhile [ $# -gt 0 ]; do\n  if [ "$1" = --appendonly ]; then shift 2; '
                       f'else args+=("$1"); shift; fi\ndone\nexec {binary} "${{args[@]}}"\n')  # fmt: skip
    wrapper.chmod(0o755)
    return start(str(wrapper), "--dir", str(directory))


def value_by_default(directory):
    server, connection = started_by_default(directory)
    try:
        return bulk(connection.call("GET", "k"))
    finally:
        ended(server)


def test_both_with_appendonly_no(tmp_path):
    both_files(tmp_path, "rdb")
    server, connection = started(tmp_path, "--appendonly", "no")
    assert connection.call("GET", "k") == b"$3\r\nold\r\n"
    assert "appendonly.aof is not imported" in ended(server)
    (tmp_path / "dump.sqlite").unlink()
    both_files(tmp_path, "aof")
    with pytest.raises(Refused, match="written after"):
        started(tmp_path, "--appendonly", "no")


def test_an_empty_append_only_file_does_not_hide_the_rdb_file(tmp_path):
    (tmp_path / "appendonly.aof").write_bytes(b"")
    (tmp_path / "dump.rdb").write_bytes(OLD)
    server, connection = started(tmp_path, "--appendonly", "yes")
    assert connection.call("GET", "k") == b"$3\r\nold\r\n"
    ended(server)
    other = tmp_path / "other"
    other.mkdir()
    both_files(other, "aof", aof=encode(["FLUSHALL"]))
    with pytest.raises(Refused, match="hold no key"):
        started(other, "--appendonly", "yes")


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_torn_end(cut, tmp_path):
    whole = SET + encode(["SET", "torn", "x" * 20])
    (tmp_path / "appendonly.aof").write_bytes(whole[:-cut])
    with pytest.raises(Refused, match="ends in the middle of a command; `aof-load-truncated yes`"):
        started(tmp_path, "--aof-load-truncated", "no")
    _, log = imported(tmp_path, "--appendonly", "yes")
    assert "are left out" in log and f"from offset {len(SET)} on" in log


def test_an_unfinished_transaction_is_left_out(tmp_path):
    tail = encode(["MULTI"]) + encode(["SET", "k", "half"]) + encode(["SET", "x", "1"])
    (tmp_path / "appendonly.aof").write_bytes(SET + tail)
    server, connection = started(tmp_path, "--appendonly", "yes")
    assert connection.call("GET", "k") == b"$1\r\nv\r\n" and connection.call("EXISTS", "x") == b":0\r\n"
    ended(server)


@pytest.mark.parametrize(
    "content, offset, text",
    [
        (SET + b"x" + SET, len(SET), "is damaged"),
        (SET + b"\0" * 100, len(SET), "is damaged"),
        # A length that reaches beyond the end, with whole commands behind it: no crash leaves that.
        (SET + SET.replace(b"$1\r\nv", b"$99\r\nv") + SET, None, "is damaged"),
        (SET + encode(["NONSENSE", "1"]), len(SET), "does not know it"),
        (SET + encode(["LPUSH", "k", "1"]), len(SET), "WRONGTYPE"),
        (SET + encode(["EVAL", "return redis.call('LPUSH', 'k', 1)", "0"]), len(SET), "WRONGTYPE"),
        (SET + encode(["FUNCTION", "RESTORE", "x"]), len(SET), "payload version or checksum"),
        (b"REDIS0099\xf0" + b"\0" * 40, 9, "RDB version 99"),
    ],
)
def test_what_is_refused(content, offset, text, tmp_path):
    (tmp_path / "appendonly.aof").write_bytes(content)
    with pytest.raises(Refused) as error:
        started(tmp_path, "--appendonly", "yes")
    assert text in str(error.value) and "appendonly.aof at offset" in str(error.value)
    if offset is not None:
        assert f"appendonly.aof at offset {offset}:" in str(error.value)
    # Nothing is left of the attempt.
    assert not list(tmp_path.glob("dump.sqlite*")) and not list(tmp_path.glob("appendonly.aof.*"))


def folder_of(directory, manifest, **files):
    folder = directory / "appendonlydir"
    folder.mkdir()
    if manifest is not None:
        (folder / "appendonly.aof.manifest").write_text(manifest)
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_bytes(content)


@pytest.mark.parametrize(
    "manifest, files, text",
    [
        ("file appendonly.aof.1.incr.aof seq 1 type i\n", {}, "missing"),
        (None, {"appendonly_aof_1_incr_aof": SET}, "manifest"),
        (None, {"other_manifest": b"file x seq 1 type i\n"}, "appendfilename"),
        ("", {}, "names none"),
        ("file a.aof seq 1\n", {"a_aof": SET}, "line 1"),
        ("file ../a.aof seq 1 type i\n", {"a_aof": SET}, "line 1"),
        ("file a.aof seq 1 type b\nfile b.aof seq 2 type b\n", {"a_aof": SET, "b_aof": SET}, "line 2"),
        ("file a.aof seq 2 type i\nfile b.aof seq 1 type i\n", {"a_aof": SET, "b_aof": SET}, "line 2"),
        # An end that is torn, and not the end.
        ("file a.aof seq 1 type i\nfile b.aof seq 2 type i\n", {"a_aof": SET[:-3], "b_aof": SET}, "not the last"),
    ],
)
def test_folders_that_are_refused(manifest, files, text, tmp_path):
    folder_of(tmp_path, manifest, **files)
    with pytest.raises(Refused, match=text):
        started(tmp_path, "--appendonly", "yes")
    assert not list(tmp_path.glob("dump.sqlite*"))


def test_an_upgrade_of_redis_that_was_broken_off(tmp_path):
    """redis-server 7 writes the manifest before it moves the file of version 6 into the folder."""
    folder_of(tmp_path, "file appendonly.aof seq 1 type b\n")
    (tmp_path / "appendonly.aof").write_bytes(SET)
    server, connection = started(tmp_path, "--appendonly", "yes")
    assert connection.call("GET", "k") == b"$1\r\nv\r\n"
    ended(server)


def test_times(tmp_path):
    """Nothing expires while the file is read; relative times, which somebody wrote by hand, count from now."""
    content = SET + encode(["PEXPIREAT", "k", "1000"]) + encode(["PERSIST", "k"])
    content += encode(["SETEX", "r", "1000", "x"]) + encode(["SET", "gone", "x", "PXAT", "1000"])
    (tmp_path / "appendonly.aof").write_bytes(content)
    server, connection = started(tmp_path, "--appendonly", "yes")
    assert connection.call("GET", "k") == b"$1\r\nv\r\n"
    assert 900 < int(connection.call("TTL", "r")[1:-2]) <= 1000
    assert connection.call("GET", "gone") == b"$-1\r\n"
    ended(server)


def test_killed_at_any_time_it_begins_again(tmp_path):
    """The snapshot appears when everything is in it."""
    rng = seeded()
    commands = [encode(["SELECT", "0"])] + [encode(["RPUSH", f"list:{n % 50}", f"element {n}"]) for n in range(30_000)]
    content = b"".join(commands)
    (tmp_path / "appendonly.aof").write_bytes(content)
    binary = swiftlet_binary()
    arguments = [binary, "--port", "0", "--unixsocket", "", "--dir", str(tmp_path), "--appendonly", "yes"]
    for _ in range(12):
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.random() * 0.4)
        process.send_signal(signal.SIGKILL)
        process.wait()
    server, connection = started(tmp_path, "--appendonly", "yes")
    total = sum(int(connection.call("LLEN", f"list:{n}")[1:-2]) for n in range(50))
    assert total == 30_000
    assert not list(tmp_path.glob("*importing*"))
    ended(server)


def test_what_is_newer_than_the_snapshot_is_named(tmp_path):
    server, connection = started(tmp_path)
    connection.call("SET", "k", "ours")
    connection.call("SAVE")
    ended(server)
    for name in ("dump.rdb", "appendonly.aof"):
        (tmp_path / name).write_bytes(OLD if name == "dump.rdb" else SET)
        future = time.time() + 100
        os.utime(tmp_path / name, (future, future))
    server, connection = started(tmp_path)
    assert connection.call("GET", "k") == b"$4\r\nours\r\n"
    log = ended(server)
    assert "dump.rdb was written after the snapshot" in log and "appendonly.aof was written after the snapshot" in log


def test_to_sqlite_says_what_an_append_only_file_is(tmp_path):
    for content in (SET, OLD + SET):
        (tmp_path / "a.aof").write_bytes(content)
        run = migrate(tmp_path / "a.aof", tmp_path / "a.sqlite")
        assert run.returncode == 1 and "append-only file" in run.stderr
