"""What clients and tools ask of a server before or beside their work: its commands, its one user, and features that are
not there. Compared with redis-server."""

import hashlib
import re

import pytest

from oracle import Pair, start_redis, start_swiftlet
from resp import bulks, parsed

# --- COMMAND INFO ---

# Why a command's flags, categories or arity are not the oracle's: 7.2 is what is built.
ROWS_THAT_DIFFER = {
    "zrank": "7.2 has WITHSCORE, so that more arguments are allowed",
    "zrevrank": "7.2 has WITHSCORE, so that more arguments are allowed",
}


def described(connection):
    """Arity, flags and categories of all commands and subcommands."""
    found = {}

    def add(entry):
        name = entry[0].split(b"\r\n")[1].decode()
        found[name] = int(entry[1][1:]), sorted(entry[2]), sorted(entry[6])
        for subcommand in entry[9]:
            add(subcommand)

    for entry in parsed(connection.call("COMMAND")):
        add(entry)
    return found


def test_commands_have_redis_flags_and_categories(both):
    ours, oracles = described(both.swiftlet), described(both.oracle)
    names = ours.keys() & oracles.keys()
    assert len(names) > 300
    differing = {name: (ours[name], oracles[name]) for name in names if ours[name] != oracles[name]}
    assert {name: rows for name, rows in differing.items() if name not in ROWS_THAT_DIFFER} == {}
    assert differing.keys() == ROWS_THAT_DIFFER.keys(), "listed, but they do not differ any more"


# --- Errors and help ---


def subcommands(connection):
    found = {}
    for name in described(connection):
        if "|" in name:
            container, name = name.split("|")
            found.setdefault(container, []).append(name)
    return found


def test_errors_send_to_commands_that_there_are(swiftlet):
    for container, names in subcommands(swiftlet).items():
        error = swiftlet.call(container, "no-such-subcommand")
        advised = re.search(rb"Try ([A-Z]+) ([A-Z]+)\.", error)
        assert advised, error
        assert swiftlet.call(*advised.groups()).startswith(b"*") or container == "cluster", error
        assert "help" in names


def test_help_tells_of_each_subcommand_and_of_no_other(swiftlet):
    for container, names in subcommands(swiftlet).items():
        reply = swiftlet.call(container, "help")
        if reply == b"-ERR This instance has cluster support disabled\r\n":
            continue
        lines = [line[1:-2].decode() for line in parsed(reply)]
        assert lines[0] == f"{container.upper()} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
        told = {line.split()[0].lower() for line in lines[1:] if line[0] not in " ("}
        # What cannot succeed need not be told.
        assert told | {"load", "loadex", "unload"} >= set(names), container
        assert told <= set(names), container


# --- What is compared byte for byte ---

SAME = """
ACL WHOAMI
ACL CAT nope
ACL CAT a b
ACL GENPASS 0
ACL GENPASS 4097
ACL GENPASS -1
ACL GENPASS x
ACL GENPASS 1 2
ACL USERS
ACL GETUSER nobody
ACL NOPE
ACL SETUSER
ACL SETUSER default
ACL DELUSER bob
ACL DELUSER bob default
ACL LOG
ACL LOG 5
ACL LOG RESET
ACL LOG x
ACL LOG 1 2
ACL DRYRUN default get a
ACL DRYRUN default get
ACL DRYRUN default config|get
ACL DRYRUN default config get save
ACL DRYRUN default nope
ACL DRYRUN bob get a
ACL
CLUSTER
CLUSTER INFO
CLUSTER KEYSLOT a
CLUSTER KEYSLOT
CLUSTER NODES
CLUSTER SLOTS
CLUSTER SLOTS x
CLUSTER SHARDS
CLUSTER MYID
CLUSTER HELP
CLUSTER COUNTKEYSINSLOT 1
CLUSTER GETKEYSINSLOT 1 1
CLUSTER MEET 127.0.0.1 1
CLUSTER RESET
CLUSTER NOPE
READONLY
READWRITE
ASKING
READONLY x
PUBSUB
PUBSUB CHANNELS
PUBSUB CHANNELS x*
PUBSUB CHANNELS a b
PUBSUB NUMSUB
PUBSUB NUMSUB a b
PUBSUB NUMPAT
PUBSUB NUMPAT x
PUBSUB SHARDCHANNELS
PUBSUB SHARDCHANNELS a b
PUBSUB SHARDNUMSUB a
PUBSUB NOPE
SCRIPT EXISTS a b
SCRIPT EXISTS
SCRIPT FLUSH
SCRIPT FLUSH ASYNC
SCRIPT FLUSH NOPE
SCRIPT FLUSH SYNC x
SCRIPT KILL
FUNCTION LIST
FUNCTION LIST WITHCODE
FUNCTION LIST WITHCODE LIBRARYNAME x
FUNCTION LIST LIBRARYNAME
FUNCTION LIST WITHCODE WITHCODE
FUNCTION LIST NOPE
FUNCTION KILL
MODULE LIST
MODULE LIST x
MODULE NOPE
REPLICAOF NO ONE
SLAVEOF no one
ROLE
FAILOVER
FAILOVER ABORT
LATENCY LATEST
LATENCY HISTORY command
LATENCY RESET
LATENCY RESET a b
LATENCY GRAPH nope
LATENCY HISTOGRAM nope
WAIT 0 0
WAIT -1 0
WAIT x 0
WAIT 0 x
WAIT 0 -1
WAIT 0
WAIT 1 10
"""


@pytest.mark.parametrize("command", SAME.strip().splitlines())
def test_answers_are_those_of_redis(protocols, command):
    protocols(*command.split())


def test_the_commands_of_a_category(both):
    """Those that both have: the same. One is ours."""
    ours, oracles = (described(connection).keys() for connection in (both.swiftlet, both.oracle))
    categories = bulks(both.oracle.call("ACL", "CAT"))
    assert bulks(both.swiftlet.call("ACL", "CAT")) == [*categories, b"sql"]
    for category in categories:
        found, wanted = (
            {name.decode() for name in bulks(connection.call("ACL", "CAT", category))}
            for connection in (both.swiftlet, both.oracle)
        )
        assert found & oracles == wanted & ours, category


def test_generated_passwords(swiftlet):
    seen = [bulk.decode() for bulk in (swiftlet.call("ACL", "GENPASS")[5:-2] for _ in range(10))]
    assert len(set(seen)) == 10 and all(re.fullmatch("[0-9a-f]{64}", word) for word in seen)
    for bits, digits in ((1, 1), (4, 1), (5, 2), (4096, 1024)):
        assert swiftlet.call("ACL", "GENPASS", bits).startswith(b"$%d\r\n" % digits)


@pytest.mark.parametrize("password", ["sesame", "p\u00e4ss", "x" * 119])
def test_the_user_with_a_password(password):
    servers = [start("--requirepass", password) for start in (start_swiftlet, start_redis)]
    try:
        connections = [server.connect() for server in servers]
        both = Pair(*connections)
        both("ACL", "WHOAMI")
        both("AUTH", password)
        for version in (2, 3):
            both.swiftlet.call("HELLO", version), both.oracle.call("HELLO", version)
            for command in (["ACL", "USERS"], ["ACL", "WHOAMI"]):
                both(*command)
        # 7.2 shows a flag that 7.0 leaves out.
        line, oracles = (bulks(connection.call("ACL", "LIST"))[0] for connection in connections)
        assert hashlib.sha256(password.encode()).hexdigest().encode() in line
        assert line.replace(b"sanitize-payload ", b"") == oracles
    finally:
        for server in servers:
            server.stop()


def test_what_cannot_be_done_yet_is_refused_with_a_word(swiftlet):
    for command in (
        "ACL LOAD", "ACL SAVE", "MODULE LOAD x", "MODULE LOADEX x", "MODULE UNLOAD x",
    ):  # fmt: skip
        error = swiftlet.call(*command.split())
        assert error.startswith(b"-ERR ") and b"unknown" not in error, error


# --- BGREWRITEAOF ---


def test_a_second_rewrite_is_refused_and_a_save_says_why():
    """All of a batch comes while the save that its first command asks for is under way."""
    server = start_swiftlet("--appendonly", "yes")
    try:
        connection = server.connect()
        connection.call("DEBUG", "POPULATE", 200000)
        first, second, save, scheduled = connection.pipeline(
            [["BGREWRITEAOF"], ["BGREWRITEAOF"], ["BGSAVE"], ["BGSAVE", "SCHEDULE"]]
        )
        assert first == b"+Background append only file rewriting started\r\n"
        assert second == b"-ERR Background append only file rewriting already in progress\r\n"
        assert save == (
            b"-ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to "
            b"schedule a BGSAVE whenever possible.\r\n"
        )
        assert scheduled == b"+Background saving scheduled\r\n"
        while b"rdb_bgsave_in_progress:1" in connection.call("INFO", "persistence"):
            pass
        first, second, third = connection.pipeline([["BGSAVE"], ["BGSAVE"], ["BGREWRITEAOF"]])
        assert first == b"+Background saving started\r\n"
        assert second == b"-ERR Background save already in progress\r\n"
        assert third == b"+Background append only file rewriting scheduled\r\n"
    finally:
        server.stop()


# --- WAITAOF ---


def test_waitaof():
    """The oracle has none: as the documentation of 7.2 says."""
    server = start_swiftlet("--appendonly", "yes")
    try:
        connection = server.connect()
        range_error = b"-ERR value is out of range, value must between 0 and 1\r\n"
        for arguments, wanted in (
            ((2, 0, 0), range_error), ((-1, 0, 0), range_error),
            (("x", 0, 0), b"-ERR value is not an integer or out of range\r\n"),
            ((0, -1, 0), b"-ERR value is out of range, must be positive\r\n"),
            ((0, 0, -1), b"-ERR timeout is negative\r\n"),
            ((0, 0, "x"), b"-ERR timeout is not an integer or out of range\r\n"),
        ):  # fmt: skip
            assert connection.call("WAITAOF", *arguments) == wanted
        connection.call("SET", "k", 1)
        assert connection.call("WAITAOF", 1, 0, 0) == b"*2\r\n:1\r\n:0\r\n"
        # What is on disk stays so, whatever others write meanwhile.
        other = server.connect()
        other.pipeline([["SET", f"k{i}", i] for i in range(100)])
        assert connection.call("WAITAOF", 1, 0, 1) == b"*2\r\n:1\r\n:0\r\n"
        assert other.call("WAITAOF", 1, 0, 0) == b"*2\r\n:1\r\n:0\r\n"
        # No replica comes: the time ends it.
        assert connection.call("WAITAOF", 0, 1, 10) == b"*2\r\n:1\r\n:0\r\n"
        assert connection.call("WAITAOF", 1, 1, 10) == b"*2\r\n:1\r\n:0\r\n"
        connection.pipeline([["MULTI"], ["SET", "k", 2], ["WAITAOF", 1, 0, 0]])
        assert connection.call("EXEC") in (b"*2\r\n+OK\r\n*2\r\n:%d\r\n:0\r\n" % synced for synced in (0, 1))
        # Nothing is synced any more, until the log ends.
        connection.call("CONFIG", "SET", "appendfsync", "no")
        connection.call("SET", "k", 3)
        assert connection.call("WAITAOF", 0, 0, 0) == b"*2\r\n:0\r\n:0\r\n"
        assert connection.call("WAITAOF", 1, 0, 10) == b"*2\r\n:0\r\n:0\r\n"
        connection.send("WAITAOF", 1, 0, 0)
        while b"blocked_clients:1" not in other.call("INFO", "clients"):
            pass
        other.call("CONFIG", "SET", "appendfsync", "everysec")
        other.call("SET", "k", 4)
        assert connection.reply() == b"*2\r\n:1\r\n:0\r\n"
        other.call("CONFIG", "SET", "appendfsync", "no")
        connection.pipeline([["SET", "k", 5]])
        connection.send("WAITAOF", 1, 0, 0)
        while b"blocked_clients:1" not in other.call("INFO", "clients"):
            pass
        other.call("CONFIG", "SET", "appendonly", "no")
        off = b"-ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.\r\n"
        assert connection.reply() in (off, b"*2\r\n:1\r\n:0\r\n")
        assert connection.call("WAITAOF", 1, 0, 0) == off
        assert connection.call("WAITAOF", 0, 0, 0) == b"*2\r\n:0\r\n:0\r\n"
    finally:
        server.stop()
