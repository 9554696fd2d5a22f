"""Streams, compared with redis-server: replies must be equal byte for byte, in RESP2 and RESP3, and DEBUG DIGEST too.

Left out of the comparison is what Redis 7.2 answers and the oracle, 7.0, does not: a consumer's last activity.
"""

import re
import sqlite3
import time

import pytest

from life import Life
from migrate import migrate
from oracle import Pair, start_redis, start_swiftlet
from resp import Connection, decoded
from script import run
from seed import new_seed
from stream_writer import MAKES_CONSUMER, Writer


@pytest.fixture
def pair(protocols):
    """Both servers, in each protocol."""
    return protocols


TIMES = (b"seen-time", b"idle")


def comparable(value):
    """A reply of XINFO without times, and without what only one of the servers tells."""
    if not isinstance(value, list):
        return value
    out = []
    at = 0
    while at < len(value):
        if value[at] in (b"active-time", b"inactive"):
            at += 2
            continue
        out.append(comparable(value[at]))
        if value[at] in TIMES:
            at += 1
            out.append(b"a time")
        at += 1
    # Entries of pending lists: id, consumer, delivery time, deliveries; or without the consumer.
    if len(out) in (3, 4) and isinstance(out[-2], int) and out[-2] > 1_000_000_000_000:
        out[-2] = b"a time"
    return out


def info(pair, *args):
    expected, got = decoded(pair.oracle.call(*args)), decoded(pair.swiftlet.call(*args))
    assert comparable(got) == comparable(expected), args
    return got


def digests(pair):
    pair("DEBUG", "DIGEST")


def test_entries(pair):
    run(
        pair,
        """
        XADD s 1-1 a b
        XADD s 1-2 a b c d
        XADD s 1-* a b
        XADD s 2 a 1
        XADD s 1-9 a b
        XADD s 2-0 a b
        XADD s 3-18446744073709551615 f v
        XADD s 0-0 f v
        XADD s 4-x f v
        XADD s -1 f v
        XADD s 4-1 f
        XADD s 4-1 f v x
        XADD s NOMKSTREAM 4-1 f v
        XADD none NOMKSTREAM 4-1 f v
        XADD none NOMKSTREAM * f v
        EXISTS none
        XLEN s
        XLEN none
        XRANGE s - +
        XREVRANGE s + -
        XRANGE s 1 2 COUNT 2
        XRANGE s (1-1 (2-0
        XRANGE s ( +
        XRANGE s (- +
        XRANGE s (18446744073709551615-18446744073709551615 +
        XREVRANGE s (0-0 -
        XRANGE s - + COUNT 0
        XRANGE s - + COUNT -1
        XRANGE s - + COUNT x
        XRANGE s - + LIMIT 1
        XRANGE none - +
        XRANGE s 2 1
        XDEL s 1-2 7-7 1-2
        XDEL s x
        XDEL none 1-1
        XRANGE s - +
        TYPE s
        OBJECT ENCODING s
        XSETID s 1-1
        XSETID s 9-9
        XSETID s 9-9 ENTRIESADDED 1
        XSETID s 9-9 ENTRIESADDED 20 MAXDELETEDID 5-5
        XSETID s 9-9 ENTRIESADDED 20 MAXDELETEDID 10-5
        XSETID none 1-1
        XSETID s 9-9 ENTRIESADDED -1
        XSETID s 9-9 X
        XADD s 18446744073709551615-18446744073709551615 f v
        XADD s * f v
        XADD s 18446744073709551615-18446744073709551615 f v
        XADD t 0-* f v
        XADD t 007-+8 f v
        COPY s c
        XRANGE c - +
        RENAME c d
        MOVE d 1
    """,
    )
    for connection in (pair.swiftlet, pair.oracle):
        assert b"$1\r\nt\r\n" in connection.call("SCAN", 0, "TYPE", "stream", "COUNT", 100)
    info(pair, "XINFO", "STREAM", "s")
    info(pair, "XINFO", "STREAM", "t", "FULL")
    digests(pair)


def test_ids_that_redis_7_2_refuses_otherwise(pair):
    pair("XADD", "s", "3-18446744073709551615", "f", "v")
    pair.alike(
        b"-ERR The ID specified in XADD is equal or smaller than the target stream top item\r\n",
        "XADD", "s", "3-*", "f", "v",
    )  # fmt: skip
    pair("XADD", "s", "5-5", "f", "v")
    pair("XDEL", "s", "5-5")
    assert pair.swiftlet.call("XSETID", "s", "4-4").startswith(b"-ERR The ID specified in XSETID is smaller than")


def test_wrong_types_and_arities(pair):
    run(
        pair,
        """
        SET str x
        XADD str * f v
        XLEN str
        XRANGE str - +
        XDEL str 1-1
        XTRIM str MAXLEN 1
        XSETID str 1-1
        XREAD STREAMS str 0
        XREADGROUP GROUP g c STREAMS str >
        XGROUP CREATE str g 0
        XACK str g 1-1
        XPENDING str g
        XCLAIM str g c 0 1-1
        XAUTOCLAIM str g c 0 0
        XINFO STREAM str
        XINFO GROUPS str
        XINFO CONSUMERS str g
        XADD s
        XADD s *
        XADD s * f
        XRANGE s
        XDEL s
        XTRIM s
        XTRIM s MAXLEN
        XREAD
        XREAD STREAMS s
        XREAD COUNT 1
        XREAD COUNT x STREAMS s 0
        XREAD BLOCK x STREAMS s 0
        XREAD BLOCK -1 STREAMS s 0
        XREAD GROUP g c STREAMS s 0
        XREAD NOACK STREAMS s 0
        XREAD STREAMS s >
        XREADGROUP GROUP g c COUNT 1 x
        XREADGROUP COUNT 1 STREAMS s >
        XREADGROUP COUNT 1 NOACK STREAMS s >
        XGROUP CREATE none g 0
        XGROUP CREATE none g x MKSTREAM
        XGROUP CREATE none g 0 FOO
        XGROUP CREATE none g 0 MKSTREAM ENTRIESREAD -2
        XGROUP CREATE none g 0 MKSTREAM ENTRIESREAD x
        XGROUP SETID none g 0
        XGROUP DESTROY none g
        XGROUP CREATECONSUMER none g c
        XGROUP DELCONSUMER none g c
        XGROUP FOO a b
        XADD s 1-1 f v
        XGROUP SETID s g 0
        XGROUP DESTROY s g
        XGROUP CREATECONSUMER s g c
        XGROUP DELCONSUMER s g c
        XACK s g 1-1
        XPENDING s g
        XPENDING none g
        XCLAIM s g c 0 1-1
        XCLAIM none g c 0 1-1
        XAUTOCLAIM s g c 0 0
        XINFO STREAM none
        XGROUP CREATE none i 0 ENTRIESREAD 1 ENTRIESREAD 2 ENTRIESREAD 3
        XGROUP CREATE none i 0 MKSTREAM MKSTREAM MKSTREAM MKSTREAM
        XGROUP CREATE s i x MKSTREAM MKSTREAM ENTRIESREAD 1
        XGROUP CREATE s g 0 MKSTREAM MKSTREAM ENTRIESREAD 1
        XGROUP CREATE s twice 0 MKSTREAM MKSTREAM MKSTREAM
        XGROUP SETID s twice x ENTRIESREAD 1 ENTRIESREAD 2
        XGROUP SETID s none 0 ENTRIESREAD 1 ENTRIESREAD 2
        XGROUP SETID none g 0 ENTRIESREAD 1 ENTRIESREAD 2
        XGROUP DESTROY s twice
        XINFO STREAM none FOO
        XINFO STREAM none FULL COUNT x
        XINFO STREAM s FULL X
        XINFO STREAM s FOO
        XINFO STREAM s FULL COUNT x
        XINFO GROUPS none
        XINFO CONSUMERS none g
        XINFO CONSUMERS s g
        XREADGROUP GROUP g c STREAMS s >
        XREADGROUP GROUP g c STREAMS none >
    """,
    )


def test_unbalanced_lists(pair):
    """As Redis 7.2 says it; the oracle names XREAD for both."""
    text = b"-ERR Unbalanced '%s' list of streams: for each stream key an ID or '%s' must be specified.\r\n"
    pair.alike(text % (b"xread", b"$"), "XREAD", "STREAMS", "a", "b", "0")
    pair.alike(text % (b"xreadgroup", b">"), "XREADGROUP", "GROUP", "g", "c", "STREAMS", "a", "b", ">")


def test_trimming(pair):
    for i in range(1, 401):
        pair("XADD", "s", f"{i}-0", "f", i)
    pair("COPY", "s", "t")
    pair("COPY", "s", "u")
    run(
        pair,
        """
        XTRIM s MAXLEN ~ 250
        XLEN s
        XTRIM s MAXLEN = 250
        XTRIM s MAXLEN ~ 10 LIMIT 100
        XTRIM s MAXLEN ~ 10 LIMIT 0
        XTRIM s MAXLEN 10 LIMIT 100
        XTRIM s MAXLEN 5
        XRANGE s - +
        XTRIM t MINID ~ 250
        XTRIM t MINID 250
        XLEN t
        XTRIM t MINID 18446744073709551615
        XLEN t
        XTRIM t MAXLEN -1
        XTRIM t MAXLEN x
        XTRIM t MINID x
        XTRIM t LIMIT 1
        XTRIM t LIMIT 0
        XTRIM t FOO 1
        XTRIM t MAXLEN 1 MINID 1
        XTRIM u MAXLEN ~ 0 LIMIT -1
        XADD u MAXLEN 100 500-0 f v
        XADD u MAXLEN ~ 50 600-1 f v
        XADD u MINID = 390 600-2 f v
        XADD u LIMIT 5 600-3 f v
        XADD u MAXLEN ~ 50 LIMIT 10 600-4 f v
        XADD u MAXLEN 50 LIMIT 10 600-4 f v
        XADD u MAXLEN ~ 0 LIMIT 0 700-4 f v
        XADD u MAXLEN 0 NOMKSTREAM 800-1 f v
        XLEN u
    """,
    )
    for key in "stu":
        info(pair, "XINFO", "STREAM", key)
    digests(pair)


def test_reading(pair):
    run(
        pair,
        """
        XADD a 1-1 f v
        XADD a 2-1 f v
        XADD b 1-5 g w
        XREAD STREAMS a 0
        XREAD STREAMS a b 0 0
        XREAD COUNT 1 STREAMS a b none 0 0 0
        XREAD COUNT 0 STREAMS a 1
        XREAD COUNT -5 STREAMS a 1
        XREAD STREAMS a 2-1
        XREAD STREAMS a $
        XREAD STREAMS a b 2-1 $
        XREAD STREAMS a x
        XREAD STREAMS a 18446744073709551615-18446744073709551615
        XREAD BLOCK 1 STREAMS a $
        XDEL a 2-1
        XREAD STREAMS a 1-1
    """,
    )


def test_groups(pair):
    for i in range(1, 11):
        pair("XADD", "s", f"{i}-0", "f", f"v{i}")
    run(
        pair,
        """
        XGROUP CREATE s g 0
        XGROUP CREATE s g 0
        XGROUP CREATE s h $
        XGROUP CREATE m g $ MKSTREAM
        XGROUP CREATE m h 5-5 MKSTREAM ENTRIESREAD 3
        XLEN m
        XGROUP CREATECONSUMER s g c
        XGROUP CREATECONSUMER s g c
        XGROUP CREATECONSUMER s g d
        XGROUP CREATECONSUMER m g d
        XREADGROUP GROUP g c COUNT 3 STREAMS s >
        XREADGROUP GROUP g d COUNT 2 STREAMS s m > >
        XREADGROUP GROUP g c NOACK COUNT 1 STREAMS s >
        XREADGROUP GROUP h c STREAMS s >
        XREADGROUP GROUP g c STREAMS s 0
        XREADGROUP GROUP g c COUNT 1 STREAMS s 1
        XREADGROUP GROUP g c STREAMS s $
        XREADGROUP GROUP g c STREAMS s x
        XREADGROUP GROUP g new STREAMS s 0
        XPENDING s g
        XPENDING s h
        XPENDING s g - + 10 nobody
        XPENDING s g - +
        XPENDING s g - + x
        XPENDING s g IDLE 1 - +
        XPENDING s g IDLE x - + 1
        XPENDING s g IDLE 100000 - + 10
        XPENDING s g x + 10
        XDEL s 2-0
        XREADGROUP GROUP g c STREAMS s 0
        XACK s g 1-0 1-0 9-9
        XACK s g x
        XACK s none 1-0
        XACK none g 1-0
        XPENDING s g
        XGROUP SETID s g 3-0
        XREADGROUP GROUP g c COUNT 3 STREAMS s >
        XPENDING s g
        XGROUP SETID s g $ ENTRIESREAD 7
        XGROUP SETID s g - ENTRIESREAD -1
        XGROUP SETID s g +
        XGROUP SETID s g x
        XGROUP SETID s g 1 FOO
        XGROUP DELCONSUMER s g d
        XGROUP DELCONSUMER s g d
        XPENDING s g
        XGROUP DESTROY s h
        XGROUP DESTROY s h
    """,
    )
    for key in "sm":
        info(pair, "XINFO", "STREAM", key)
        info(pair, "XINFO", "STREAM", key, "FULL")
        info(pair, "XINFO", "STREAM", key, "FULL", "COUNT", 1)
        info(pair, "XINFO", "STREAM", key, "FULL", "COUNT", 0)
        info(pair, "XINFO", "GROUPS", key)
        info(pair, "XINFO", "CONSUMERS", key, "g")


def test_claims(pair):
    for i in range(1, 21):
        pair("XADD", "s", f"{i}-0", "f", f"v{i}")
    run(
        pair,
        """
        XGROUP CREATE s g 0
        XREADGROUP GROUP g c COUNT 8 STREAMS s >
        XGROUP CREATECONSUMER s g d
        XCLAIM s g d 0 1-0 2-0 99-0
        XCLAIM s g d 0 3-0 JUSTID
        XCLAIM s g d 100000 4-0
        XCLAIM s g d 0 15-0
        XCLAIM s g d 0 15-0 FORCE
        XCLAIM s g d 0 16-0 FORCE JUSTID
        XCLAIM s g d 0 99-0 FORCE
        XCLAIM s g d 0 5-0 RETRYCOUNT 7 IDLE 5000
        XCLAIM s g d 0 5-0 RETRYCOUNT -7 TIME 1000
        XCLAIM s g d -5 5-0 LASTID 17-0
        XCLAIM s g d x 5-0
        XCLAIM s g d 0 5-0 FOO
        XCLAIM s g d 0 5-0 IDLE x
        XCLAIM s g d 0 5-0 TIME x
        XCLAIM s g d 0 5-0 RETRYCOUNT x
        XCLAIM s g d 0 5-0 LASTID x
        XCLAIM s g d 0 5-0 LASTID
        XCLAIM s g d 0 JUSTID
        XDEL s 1-0 6-0
        XCLAIM s g c 0 1-0
        XPENDING s g
        XAUTOCLAIM s g d 0 0 COUNT 2
        XAUTOCLAIM s g d 0 (3-0 COUNT 2 JUSTID
        XAUTOCLAIM s g d 100000 - COUNT 1
        XAUTOCLAIM s g d 0 0
        XAUTOCLAIM s g d 0 +
        XAUTOCLAIM s g d x 0
        XAUTOCLAIM s g d 0 x
        XAUTOCLAIM s g d 0 0 COUNT 0
        XAUTOCLAIM s g d 0 0 COUNT x
        XAUTOCLAIM s g d 0 0 COUNT 9223372036854775807
        XAUTOCLAIM s g d 0 0 FOO
    """,
    )
    info(pair, "XINFO", "STREAM", "s", "FULL", "COUNT", 0)


def write(pair, writer, count):
    for _ in range(count):
        command = writer.command()
        if command[0] in MAKES_CONSUMER:
            pair("XGROUP", "CREATECONSUMER", *MAKES_CONSUMER[command[0]](command))
        if command[0] == "XINFO":
            info(pair, *command)
        else:
            pair(*command)


def compare_state(pair):
    digests(pair)
    for key in "stu":
        info(pair, "XINFO", "STREAM", key, "FULL", "COUNT", 0)
        info(pair, "XINFO", "GROUPS", key)
        pair("XRANGE", key, "-", "+")


@pytest.mark.parametrize("run_number", range(4))
def test_random_commands(pair, run_number):
    seed = new_seed(run_number)
    writer = Writer(seed)
    if run_number % 2:
        for connection in (pair.swiftlet, pair.oracle):
            connection.call("CONFIG", "SET", "stream-node-max-entries", 7)
    try:
        write(pair, writer, 3000)
        compare_state(pair)
    finally:
        for connection in (pair.swiftlet, pair.oracle):
            connection.call("CONFIG", "SET", "stream-node-max-entries", 100)


def state(connection):
    """All that a stream is, but for what a restart may change: the cut of nodes, and when consumers were seen."""
    found = [connection.call("DEBUG", "DIGEST")]
    for key in "stu":
        reply = decoded(connection.call("XINFO", "STREAM", key, "FULL", "COUNT", 0))
        found.append(comparable(reply[:2] + reply[6:]) if isinstance(reply, list) else reply)
        found.append(connection.call("XINFO", "GROUPS", key))
    return found


@pytest.mark.parametrize("checkpoint", [True, False], ids=["snapshot", "log"])
def test_restart(tmp_path, oracle, checkpoint):
    seed = new_seed()
    life = Life(tmp_path)
    writer = Writer(seed, exact=True)
    try:
        connection = life.start().connection
        for round in range(4):
            write(Pair(connection, oracle), writer, 800)
            if checkpoint:
                assert connection.call("SAVE") == b"+OK\r\n"
                # What comes now is in the log alone.
                write(Pair(connection, oracle), writer, [0, 100][round % 2])
            before = state(connection)
            life.kill()
            connection = life.start().connection
            assert state(connection) == before
        digests(Pair(connection, oracle))
        connection.call("SAVE")
        with sqlite3.connect(f"file:{tmp_path}/dump.sqlite?mode=ro", uri=True) as snapshot:
            for key in "stu":
                ids = [row[0].encode() for row in snapshot.execute("SELECT id FROM streams WHERE key = ?", (key,))]
                reply = decoded(connection.call("XRANGE", key, "-", "+"))
                assert ids == [entry[0] for entry in reply]
                groups = decoded(connection.call("XINFO", "GROUPS", key))
                rows = snapshot.execute(
                    "SELECT group_name, pending FROM stream_groups WHERE key = ? ORDER BY 1", (key,)
                ).fetchall()
                if isinstance(groups, list):
                    assert rows == [(group[1].decode(), group[5]) for group in groups]
    finally:
        life.kill()


def test_a_small_change_writes_little(tmp_path):
    """Of a stream of many entries, of which many are pending, a checkpoint writes what changed."""
    life = Life(tmp_path)
    count = 100_000
    try:
        connection = life.start().connection
        for start in range(1, count, 10_000):
            connection.pipeline([["XADD", "s", f"{i}-1", "field", f"value{i}"] for i in range(start, start + 10_000)])
        connection.call("XGROUP", "CREATE", "s", "g", "0")
        for _ in range(count // 10_000):
            connection.call("XREADGROUP", "GROUP", "g", "c", "COUNT", 10_000, "STREAMS", "s", ">")
        connection.call("SAVE")

        def written():
            with open(f"/proc/{life.server.process.pid}/io") as io:
                return int(re.search(r"write_bytes: (\d+)", io.read()).group(1))

        for commands in (
            [["XADD", "s", f"{count + i}-1", "f", "v"] for i in range(1, 11)],
            [["XACK", "s", "g", "5000-1"]],
            [["XDEL", "s", "6000-1"]],
            [["XTRIM", "s", "MAXLEN", count - 500]],
        ):
            before = written()
            connection.pipeline(commands)
            connection.call("SAVE")
            assert written() - before < 1_000_000, commands[0]
    finally:
        life.kill()


def test_memory():
    """Small entries take no more than Redis's."""

    def settled(connection):
        """Bytes in use, once what is freed on other threads is free: twice the same."""
        last = -1
        while True:
            used = int(re.search(rb"used_memory:(\d+)", connection.call("INFO", "memory")).group(1))
            if used == last:
                return used
            last = used
            time.sleep(0.1)

    sizes = []
    for start in (start_swiftlet, start_redis):
        server = start()
        try:
            connection = server.connect()
            before = settled(connection)
            for first in range(1, 200_001, 10_000):
                connection.pipeline([["XADD", "s", f"{i}-1", "f", i] for i in range(first, first + 10_000)])
            sizes.append(settled(connection) - before)
        finally:
            server.stop()
    assert sizes[0] <= sizes[1] * 1.05, sizes


def test_blocked_readers(both, swiftlet_server, oracle_server):
    """XREAD and XREADGROUP wait for entries."""

    def play(control, server):
        replies = []
        readers = [server.connect() for _ in range(3)]

        def wait(reader, *args):
            before = blocked()
            readers[reader].send(*args)
            while blocked() == before:
                pass

        def blocked():
            return int(re.search(rb"blocked_clients:(\d+)", control.call("INFO", "clients")).group(1))

        def step(*args):
            replies.append(control.call(*args))

        wait(0, "XREAD", "BLOCK", 0, "STREAMS", "a", "b", "$", "$")
        wait(1, "XREAD", "COUNT", 1, "BLOCK", 0, "STREAMS", "b", "a", "0", "0")
        step("XADD", "b", "1-1", "f", "v")
        replies += [readers[0].reply(), readers[1].reply()]
        wait(0, "XREAD", "BLOCK", 0, "STREAMS", "b", "$")
        step("MULTI")
        step("XADD", "b", "2-1", "f", "v")
        step("XADD", "b", "3-1", "f", "v")
        step("EXEC")
        replies.append(readers[0].reply())
        step("XGROUP", "CREATE", "b", "g", "$")
        wait(0, "XREADGROUP", "GROUP", "g", "one", "BLOCK", 0, "STREAMS", "b", ">")
        wait(1, "XREADGROUP", "GROUP", "g", "two", "BLOCK", 0, "NOACK", "STREAMS", "b", ">")
        step("XADD", "b", "4-1", "f", "v")
        replies.append(readers[0].reply())
        step("XADD", "b", "5-1", "f", "v")
        replies.append(readers[1].reply())
        step("XPENDING", "b", "g")
        readers[2].send("XREAD", "BLOCK", 10, "STREAMS", "b", "$")
        replies.append(readers[2].reply())
        wait(0, "XREAD", "BLOCK", 0, "STREAMS", "b", "$")
        step("DEL", "b")
        step("RPUSH", "b", "x")
        step("DEL", "b")
        step("XADD", "b", "1-1", "again", "later")
        step("XADD", "b", "6-1", "f", "v")
        replies.append(readers[0].reply())
        step("DEBUG", "DIGEST")
        for reader in readers:
            reader.close()
        return replies

    assert play(both.swiftlet, swiftlet_server) == play(both.oracle, oracle_server)


def test_group_reader_hears_of_the_end(swiftlet, swiftlet_server):
    """As in Redis 7.2, which executes the command again; 7.0 has other words."""
    for end, error in [
        (["XGROUP", "DESTROY", "s", "g"], b"-NOGROUP"),
        (["DEL", "s"], b"-NOGROUP"),
        (["SET", "s", "x"], b"-WRONGTYPE"),
        (["FLUSHALL"], b"-NOGROUP"),
    ]:
        swiftlet.call("DEL", "s")
        swiftlet.call("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
        reader = swiftlet_server.connect()
        reader.send("XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", "s", ">")
        while b"blocked_clients:1" not in swiftlet.call("INFO", "clients"):
            pass
        swiftlet.call(*end)
        assert reader.reply().startswith(error), end
        reader.close()


def test_watched_keys(both):
    """Changes of entries break a transaction, those of groups do not: as the oracle has it."""
    both("XADD", "s", "1-1", "f", "v")
    both("XADD", "s", "2-1", "f", "v")
    both("XGROUP", "CREATE", "s", "g", "0")
    both("XGROUP", "CREATECONSUMER", "s", "g", "c")
    others = Pair(both.swiftlet, both.oracle)
    watching = Pair(Connection(both.swiftlet.socket.getpeername()[1]), Connection(both.oracle.socket.getpeername()[1]))
    for command in (
        ["XADD", "s", "3-1", "f", "v"], ["XGROUP", "CREATE", "s", "h", "0"], ["XGROUP", "SETID", "s", "g", "0"],
        ["XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">"], ["XACK", "s", "g", "1-1"],
        ["XCLAIM", "s", "g", "c", "0", "2-1"], ["XGROUP", "CREATECONSUMER", "s", "g", "d"],
        ["XGROUP", "DELCONSUMER", "s", "g", "d"], ["XGROUP", "DESTROY", "s", "h"], ["XSETID", "s", "9-9"],
        ["XDEL", "s", "1-1"], ["XTRIM", "s", "MAXLEN", "1"], ["XTRIM", "s", "MAXLEN", "1"], ["XDEL", "s", "1-1"],
        ["XGROUP", "CREATE", "m", "g", "$", "MKSTREAM"],
    ):  # fmt: skip
        watching("WATCH", "s", "m")
        others(*command)
        watching("MULTI")
        watching("PING")
        watching("EXEC")


def test_a_file_that_redis_wrote(tmp_path):
    """What redis-server saved is there after to-sqlite: entries, groups, consumers, what is pending."""
    seed = new_seed()
    redis = start_redis()
    life = Life(tmp_path)
    try:
        connection = redis.connect()
        writer = Writer(seed)
        for _ in range(2500):
            connection.call(*writer.command())
        connection.call("SET", "other", "x")
        connection.call("SAVE")
        done = migrate(f"{redis.directory}/dump.rdb", f"{tmp_path}/dump.sqlite")
        assert done.returncode == 0, done.stderr
        assert state(life.start().connection) == state(connection)
    finally:
        redis.stop()
        life.kill()
