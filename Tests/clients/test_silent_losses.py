"""Losses that nobody would notice: a way to write that is not logged, an attribute that the snapshot does not hold, a
directory with a file missing or older than the others."""

import re
import shutil
import sqlite3
import time

import pytest

from oracle import Server, swiftlet_binary
from resp import bulk, bulks

# How each command that writes is tried, on keys that `SETUP` makes; several lines where it has several ways to write.
# $dump stands for what DUMP says of s.
SETUP = """
SET s text
SET n 10
SET e value EX 1000
SET bits \x01
RPUSH l a b c d e
RPUSH l2 x y
SADD set a b c d
SADD set2 b c
ZADD z 1 a 2 b 3 c 4 d -0.0 zero inf most 0.1 tenth
ZADD z2 1 b
HSET h a 1 b 2 c 3 d 4
HPEXPIREAT h 4000000000000 FIELDS 1 d
GEOADD geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
PFADD p a b
PFADD p2 c
XADD x 1-1 f v
XADD x 2-1 f v
XADD x 3-1 f v
XGROUP CREATE x g 0
XREADGROUP GROUP g a COUNT 2 STREAMS x >
"""
EXAMPLES = """
append: APPEND s more
bitfield: BITFIELD bits SET u8 0 200 INCRBY u8 8 5
bitop: BITOP NOT to bits
blmove: BLMOVE l l2 LEFT RIGHT 1
blmpop: BLMPOP 1 2 none l LEFT COUNT 2
blpop: BLPOP none l 1
brpop: BRPOP l 1
brpoplpush: BRPOPLPUSH l l2 1
bzmpop: BZMPOP 1 1 z MAX COUNT 2
bzpopmax: BZPOPMAX z 1
bzpopmin: BZPOPMIN z 1
copy: COPY z to | COPY l s REPLACE | COPY h h DB 1
debug: DEBUG SLEEP 0
decr: DECR n
decrby: DECRBY n 3
del: DEL s l none
expire: EXPIRE s 1000 | EXPIRE l -1
expireat: EXPIREAT s 4000000000
flushall: FLUSHALL
flushdb: FLUSHDB
geoadd: GEOADD geo CH 13 38 Palermo
georadius: GEORADIUS geo 15 37 200 km STORE to
georadiusbymember: GEORADIUSBYMEMBER geo Palermo 200 km STOREDIST to
geosearchstore: GEOSEARCHSTORE to geo FROMMEMBER Palermo BYRADIUS 200 km
getdel: GETDEL s
getex: GETEX e PERSIST | GETEX s EX 1000
getset: GETSET s other
hdel: HDEL h a b
hexpire: HEXPIRE h 1000 FIELDS 1 a | HEXPIRE h 0 FIELDS 1 b
hexpireat: HEXPIREAT h 4000000000 FIELDS 1 a
hincrby: HINCRBY h a 5
hincrbyfloat: HINCRBYFLOAT h a 0.1
hmset: HMSET h a x new y
hpersist: HPERSIST h FIELDS 1 d
hpexpire: HPEXPIRE h 1000000 FIELDS 1 a
hpexpireat: HPEXPIREAT h 4000000000001 FIELDS 2 a b
hset: HSET h a x d y new z
hsetnx: HSETNX h new v
incr: INCR n
incrby: INCRBY n 7
incrbyfloat: INCRBYFLOAT n 0.1
linsert: LINSERT l BEFORE b x
lmove: LMOVE l l2 LEFT RIGHT
lmpop: LMPOP 1 l RIGHT COUNT 3
lpop: LPOP l 2
lpush: LPUSH l x y
lpushx: LPUSHX l x
lrem: LREM l 0 b
lset: LSET l 1 x
ltrim: LTRIM l 1 2
move: MOVE z 1
mset: MSET s 1 new 2
msetnx: MSETNX new1 1 new2 2
persist: PERSIST e
pexpire: PEXPIRE s 1000000
pexpireat: PEXPIREAT s 4000000000000
pfadd: PFADD p d e f
pfdebug: PFDEBUG TODENSE p
pfmerge: PFMERGE p p2
psetex: PSETEX s 1000000 v
rename: RENAME z s
renamenx: RENAMENX l new
restore: RESTORE new 0 $dump | RESTORE s 1000000 $dump REPLACE
restore-asking: RESTORE-ASKING new 0 $dump
rpop: RPOP l
rpoplpush: RPOPLPUSH l l2
rpush: RPUSH l x
rpushx: RPUSHX l x
sadd: SADD set x y
sdiffstore: SDIFFSTORE to set set2
set: SET s new | SET l now-a-string | SET e kept KEEPTTL | SET n v PX 1000000
setbit: SETBIT bits 77 1
setex: SETEX s 1000 v
setnx: SETNX new v
setrange: SETRANGE s 10 x
sinterstore: SINTERSTORE to set set2
smove: SMOVE set set2 a
sort: SORT l ALPHA DESC STORE to
spop: SPOP set 2
srem: SREM set a b
sunionstore: SUNIONSTORE to set set2
swapdb: SWAPDB 0 1
unlink: UNLINK z h
xack: XACK x g 1-1
xadd: XADD x 9-9 f v | XADD x MAXLEN = 2 * f v | XADD new NOMKSTREAM 1-1 f v
xautoclaim: XAUTOCLAIM x g b 0 0
xclaim: XCLAIM x g b 0 1-1
xdel: XDEL x 1-1 3-1
xreadgroup: XREADGROUP GROUP g b STREAMS x >
xsetid: XSETID x 50-1
xtrim: XTRIM x MAXLEN = 1
zadd: ZADD z GT CH 9 a -5 b | ZADD z INCR 2 c
zdiffstore: ZDIFFSTORE to 2 z z2
zincrby: ZINCRBY z 0.1 a
zinterstore: ZINTERSTORE to 2 z z2 WEIGHTS 2 3
zmpop: ZMPOP 1 z MIN COUNT 2
zpopmax: ZPOPMAX z 2
zpopmin: ZPOPMIN z
zrangestore: ZRANGESTORE to z 1 3
zrem: ZREM z a b
zremrangebylex: ZREMRANGEBYLEX z - +
zremrangebyrank: ZREMRANGEBYRANK z 0 1
zremrangebyscore: ZREMRANGEBYSCORE z 1 2
zunionstore: ZUNIONSTORE to 2 z z2 AGGREGATE MAX
"""
# Tried elsewhere: it needs another server.
ELSEWHERE = {"migrate": "test_migrate.py"}
# XGROUP's rows are subcommands.
MORE = """
xgroup: XGROUP SETID x g 1-1 ENTRIESREAD 7 | XGROUP CREATECONSUMER x g new | XGROUP DELCONSUMER x g a
xgroup destroy: XGROUP DESTROY x g
multi: MULTI | SET s in | INCR n | EXEC
delex: DELEX s IFEQ text | DELEX n
delifeq: DELIFEQ s text
hgetdel: HGETDEL h FIELDS 2 a d
hgetex: HGETEX h EX 1000 FIELDS 1 a | HGETEX h PERSIST FIELDS 1 d
hsetex: HSETEX h EX 1000 FIELDS 2 a 5 new 6 | HSETEX h KEEPTTL FIELDS 1 d 7
msetex: MSETEX 2 s 1 new 2 EX 1000 | MSETEX 1 e 5 KEEPTTL
xackdel: XACKDEL x g DELREF IDS 1 1-1
xdelex: XDELEX x DELREF IDS 1 2-1
eval: EVAL return{redis.call('SET','s','scripted'),redis.call('INCR','n')} 0
"""


def examples():
    for line in (EXAMPLES.strip() + MORE.rstrip()).splitlines():
        name, _, commands = line.partition(": ")
        yield name, [command.split(" ") for command in commands.split(" | ")]


@pytest.fixture
def directory(tmp_path):
    if swiftlet_binary() is None:
        pytest.skip("swiftlet-server is not built")
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def start(directory, *options):
    return Server(swiftlet_binary(), ("--appendonly", "yes", "--dir", str(directory), *options))


def kill(server):
    server.process.kill()
    server.process.wait()
    server.stop()


def digests(connection):
    """Of both databases: contents, and what the digest leaves out."""
    found = []
    for database in (0, 1):
        connection.call("SELECT", database)
        keys = sorted(bulks(connection.call("KEYS", "*")))
        found.append([connection.call("DEBUG", "DIGEST")])
        for key in keys:
            found[-1].append((key, connection.call("PEXPIRETIME", key)))
            kind = connection.call("TYPE", key)
            if kind == b"+hash\r\n":
                found[-1].append(connection.call("HPEXPIRETIME", key, "FIELDS", 5, "a", "b", "c", "d", "new"))
            elif kind == b"+stream\r\n":
                # Without the times, which go on.
                full = connection.call("XINFO", "STREAM", key, "FULL")
                found[-1].append(re.sub(rb"(seen-time|active-time)\r\n:\d+|:1\d{12}", b"", full))
            elif kind == b"+zset\r\n":
                found[-1].append(connection.call("ZRANGE", key, 0, -1, "WITHSCORES"))
    connection.call("SELECT", 0)
    return found


def test_every_way_to_write_is_logged(directory):
    """Each command, then kill -9: the log has what was done. After that it is saved, and must come out of the snapshot."""
    server = start(directory, "--appendfsync", "no")
    try:
        connection = server.connect()
        described = connection.call("COMMAND").replace(b"\r\n", b" ")
        writing = {
            name.decode() for name, flags in re.findall(rb"\$\d+ ([a-z-]+) :-?\d+ \*\d+ ((?:\+[a-z_]+ )*)", described)
            if b"+write " in flags
        }  # fmt: skip
        tried = {name for name, _ in examples()}
        assert len(writing) > 100 and writing - tried - ELSEWHERE.keys() == set(), "commands without an example"
        for name, commands in examples():
            connection.call("FLUSHALL")
            for line in SETUP.strip("\n").splitlines():
                assert connection.call(*line.split(" "))[:1] != b"-", line
            dump = bulk(connection.call("DUMP", "s"))
            for command in commands:
                reply = connection.call(*(dump if word == "$dump" else word for word in command))
                assert reply[:1] != b"-", (command, reply)
            before = digests(connection)
            for saved in (False, True):
                if saved:
                    assert connection.call("SAVE") == b"+OK\r\n"
                kill(server)
                server = start(directory, "--appendfsync", "no")
                connection = server.connect()
                while connection.call("DBSIZE").startswith(b"-LOADING"):
                    time.sleep(0.001)
                assert digests(connection) == before, f"{name}: {'the snapshot' if saved else 'the log'} differs"
    finally:
        server.stop()


def test_expiry_by_the_clock_is_logged(directory):
    """A key and a field that expired stay gone, and what is set under the name later stays."""
    server = start(directory)
    try:
        connection = server.connect()
        assert connection.call("SAVE") == b"+OK\r\n"
        connection.pipeline(
            [("SET", "k", "v", "PX", 20), ("HSET", "h", "f", 1, "g", 2), ("HPEXPIRE", "h", 20, "FIELDS", 1, "f")]
        )
        deadline = time.monotonic() + 10
        while connection.call("EXISTS", "k") == b":1\r\n" or connection.call("HLEN", "h") != b":1\r\n":
            assert time.monotonic() < deadline
            time.sleep(0.005)
        connection.pipeline([("RPUSH", "k", "now", "a", "list"), ("HSET", "h", "f", "again")])
        kill(server)
        server = start(directory)
        connection = server.connect()
        assert connection.call("LLEN", "k") == b":3\r\n"
        assert connection.call("HGET", "h", "f") == b"$5\r\nagain\r\n"
    finally:
        server.stop()


def save(connection, directory):
    """A snapshot; the segments before it go on another thread, which is waited for."""
    old = min(directory.glob("appendonly.aof.*"))
    assert connection.call("SAVE") == b"+OK\r\n"
    deadline = time.monotonic() + 20
    while old.exists():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def prepared(directory):
    """A directory with a snapshot, segments behind it, and copies of both as they were before the last checkpoint; what
    another server's looks like; and a copy of the snapshot without its WAL."""
    old, foreign, alone = (directory.parent / name for name in ("old", "foreign", "alone"))
    foreign.mkdir()
    server = start(foreign)
    server.connect().pipeline([("SET", "other", 1), ("SAVE",)])
    kill(server)
    server = start(directory)
    connection = server.connect()
    connection.pipeline([("SET", f"k{i}", i) for i in range(2000)])
    save(connection, directory)
    shutil.copytree(directory, old)
    reader = sqlite3.connect(f"file:{directory}/dump.sqlite?mode=ro", uri=True, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM meta").fetchall()
    # Few enough that they are written to the WAL.
    connection.pipeline([("SET", f"k{i}", "new") for i in range(5)])
    save(connection, directory)
    alone.mkdir()
    shutil.copy(directory / "dump.sqlite", alone)
    for segment in directory.glob("appendonly.aof.*"):
        shutil.copy(segment, alone)
    reader.close()
    connection.call("SET", "last", 1)
    save(connection, directory)
    connection.call("SET", "last", 2)
    kill(server)
    return old, foreign, alone


def refuses(directory):
    """What the server says when it gives up on a directory; None if it starts, with how many keys it has."""
    try:
        server = start(directory)
    except RuntimeError as error:
        return str(error)
    try:
        connection = server.connect()
        while connection.call("DBSIZE").startswith(b"-LOADING"):
            time.sleep(0.002)
        return None
    except OSError:
        server.process.wait(timeout=10)
        return open(server.log.name, errors="replace").read()
    finally:
        server.stop()


def test_a_directory_that_does_not_fit_is_refused(directory):
    """Files missing, swapped, aged, or copied without the WAL: never an empty or an older server."""
    old, foreign, alone = prepared(directory)

    def variant(name, change):
        path = directory.parent / name
        shutil.copytree(directory, path)
        change(path)
        said = refuses(path)
        assert said is not None, f"it starts: {name}"
        # A reason with the place, and no mere crash.
        assert re.search(r"snapshot|segment|log", said) and name in said, said

    def replace(path, source, pattern):
        for file in path.glob(pattern):
            file.unlink()
        for file in source.glob(pattern):
            shutil.copy(file, path)

    variant("no snapshot", lambda path: replace(path, directory / "none", "dump.sqlite*"))
    variant("no segments", lambda path: replace(path, directory / "none", "appendonly.aof.*"))
    variant("older snapshot", lambda path: replace(path, old, "dump.sqlite*"))
    variant("older segments", lambda path: replace(path, old, "appendonly.aof.*"))
    variant("snapshot of another", lambda path: replace(path, foreign, "dump.sqlite*"))
    variant("segments of another", lambda path: replace(path, foreign, "appendonly.aof.*"))
    variant(
        "snapshot without its WAL",
        lambda path: (replace(path, alone, "dump.sqlite*"), replace(path, alone, "appendonly.aof.*")),
    )
    # As it is, it starts.
    assert refuses(directory) is None
