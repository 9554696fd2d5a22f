"""Every setting of Redis 7.2 at its limits and beyond: the same replies as redis-server's, the same value afterwards, and
after an error the server as it was."""

import re

import pytest

from process import setting
from resp import bulks
from waiting import wait_until

# What would take the server away from the test.
UNTRIED = {
    "port",
    "tls-port",
    "bind",
    "dir",
    "maxclients",
    "maxmemory-clients",
    "requirepass",
    "unixsocket",
    "logfile",
    "pidfile",
    "aclfile",
}
WORDS = [
    b"", b" ", b"garbage", b"yes", b"no", b"YES", b"No", b"maybe", b"x" * 20_000, b"a\x00b", b"\xff\xfe", b"caf\xc3\xa9",
    b"a b", b"/", b"a/b", b"default", b"{title}", b"{nope}", b"50%", b"0%", b"100%", b"101%", b"-1%", b"%", b"1.5%",
]  # fmt: skip
NUMBERS = [
    b"0", b"-0", b"+1", b"01", b"0x10", b"1.5", b" 1", b"1 ", b"1e3", b"-1", b"1", b"1b", b"1k", b"1kb", b"1KB", b"1mb",
    b"1gb", b"1tb", b"1 kb", b"-1kb", b"2147483647", b"2147483648", b"-2147483648", b"-2147483649", b"4294967295",
    b"4294967296", b"9223372036854775807", b"9223372036854775808", b"-9223372036854775808", b"18446744073709551615",
    b"18446744073709551616", b"17179869183gb", b"99999999999gb", b"777", b"778", b"1000",
]  # fmt: skip
LISTS = {
    "save": ["60", "60 1", "60 -1", "0 1", "1 0", "60 1 x 1", "60 1 60", "60  1", "9223372036854775807 2147483647"],
    "client-output-buffer-limit": [
        "normal", "normal 0 0", "normal 0 0 0", "normal 1kb 1mb 60", "slave 1 2 3", "replica 4 5 6", "pubsub 1 2 -1",
        "pubsub 1 2 x", "master 0 0 0", "nobody 0 0 0", "normal -1 0 0", "normal 1 2 3 pubsub 4 5 6", "NORMAL 7 8 9",
        "normal 1 2 3 normal 4 5 6", "normal 1 2 3 nobody 4 5 6", "normal 18446744073709551616 0 0",
        "normal 0 0 2147483648", "normal 1.5 0 0", "normal 0 0 0 pubsub",
    ],
    "oom-score-adj": ["relative", "absolute", "Relative"],
    "oom-score-adj-values": ["0 200", "0 200 800", "0 200 800 900", "-2000 0 2000", "-2001 0 0", "0 0 2001", "x y z",
        "800 200 0", "0 0 1.5"],
    "notify-keyspace-events": ["KEA", "AKE", "Kg$lshzxetdmn", "q", "KEKE", "n", "KEg$lshzxetd", "A", "K", "x", "El", "Km"],
    "latency-tracking-info-percentiles": ["50", "50 99 99.9", "0 100", "100.1", "-1", "nan", "inf", "1e1", "0.001",
        "99.99999", "50 x", "0x10", "12.", "50 50"],
    "shutdown-on-sigterm": ["save", "nosave", "save now force", "save nosave", "default", "default save", "abort", "SAVE", "now now"],
    "shutdown-on-sigint": ["nosave force", "force now nosave", "no"],
    "proc-title-template": ["{title} {listen-addr} {server-mode} {port} {tls-port} {unixsocket} {config-file}", "{", "}", "{}", "{title"],
}  # fmt: skip


def everything(connection):
    found = bulks(connection.call("CONFIG", "GET", "*"))
    return {name.decode(): value for name, value in zip(found[::2], found[1::2])}


def ranges(connection, name):
    """Numbers around the limits that an error of the server's names."""
    found = set()
    for number in (b"-9223372036854775808", b"9223372036854775807"):
        reply = connection.call("CONFIG", "SET", name, number)
        limits = re.search(rb"between (-?\d+) and (-?\d+) inclusive", reply)
        if limits:
            for limit in limits.groups():
                found |= {int(limit) - 1, int(limit), int(limit) + 1}
    return [b"%d" % number for number in sorted(found)]


@pytest.fixture
def pair(start):
    """Servers of the test's own, ours and the oracle's, with nothing configured."""
    options = ("--enable-protected-configs", "yes", "--save", "")
    return start(*options).connect(), start(*options, binary="redis-server").connect()


# Why a setting is not as the oracle has it: its names, which values, and the reason.
ANY = r".*"
BEYOND = r"9223372036854775808|1844674407370955161\d|17179869183gb|99999999999gb"
DIFFERENCES = [
    (r".*", r"a\\x00b", "the oracle takes a text to end at NUL, and has what stands before it"),
    (r"maxmemory|maxmemory-clients|cluster-link-sendbuf-limit", BEYOND, "no more than 2^63-1 bytes"),
    (r"client-output-buffer-limit", r"normal 18446744073709551616 0 0", "no more than 2^63-1 bytes"),
    (r"proto-max-bulk-len", ANY, "at most what a row of the snapshot holds"),
    (r"loglevel", ANY, "7.2 has `nothing`"),
    (r"repl-backlog-size", r"\d+|1k|1kb|1KB|1b", "the oracle has at least 16 KB"),
    (r"appendonly", ANY, "yes is the default"),
    (r"dbfilename", r"\\xff\\xfe", "names of files are UTF-8"),
    (r"activedefrag", r"yes|YES", "the oracle is built without"),
    (r"notify-keyspace-events", r"Kg\$lshzxetdmn", "the oracle forgets `n` behind `A`"),
    (r"proc-title-template", r"\{title\}", "the oracle has no title while it checks"),
    (r"latency-tracking-info-percentiles", r"-0", "is 0"),
    (r"save", r"1 ", "the oracle takes nothing for 0"),
    (r"tls-.*|maxmemory-clients|active-.*|list-compress-depth|acl-.*", ANY, "of a part that is built otherwise"),
]  # fmt: skip


def is_listed(name, value):
    value = value if isinstance(value, str) else value.decode("latin-1").encode("unicode_escape").decode()
    return any(re.fullmatch(names, name) and re.fullmatch(values, value) for names, values, _ in DIFFERENCES)


def test_every_setting_at_its_limits_and_beyond(pair):
    ours, oracle = pair
    names = [name for name in everything(oracle) if name not in UNTRIED]
    assert len(names) > 150
    unchanged = everything(ours)
    differing = {}
    for name in names:
        before = [setting(server, name) for server in pair]
        values = WORDS + NUMBERS + LISTS.get(name, []) + ranges(ours, name) + ranges(oracle, name)
        results = []
        for server, first in zip(pair, before):
            server.call("CONFIG", "SET", name, first)
            turns = [(("SET", name, value), ("GET", name), ("SET", name, first)) for value in values]
            calls = [("CONFIG", *call) for turn in turns for call in turn]
            # One at a time where many replies at once would be too many.
            replies = iter([server.call(*c) for c in calls] if name.startswith("client-") else server.pipeline(calls))
            results.append([(reply, bulks(next(replies))[1], next(replies)) for reply in replies])
        for value, (reply, after, _), (its_reply, its_after, _) in zip(values, *results):
            if reply != b"+OK\r\n":
                assert after == before[0], (name, value)
            if (reply, after) != (its_reply, its_after) and not is_listed(name, value):
                differing[name, value[:50]] = (reply, after[:50]), (its_reply, its_after[:50])
    assert differing == {}
    # What is set back to its value is back where it was.
    assert everything(ours) == unchanged


def crons(connection):
    text = connection.call("INFO", "debug").decode()
    return int(re.search(r"eventloop_duration_cron_sum:(\d+)", text)[1])


def numbers_taken(connection, name):
    """The lowest and the highest number that the setting takes; none where it takes no numbers."""
    ends = [b"-9223372036854775808", b"-1", b"0", b"1", b"1000", b"2147483647", b"9223372036854775807"]
    ends += ranges(connection, name)
    first = setting(connection, name)
    taken = [end for end in ends if connection.call("CONFIG", "SET", name, end) == b"+OK\r\n"]
    if not taken:
        return []
    assert connection.call("CONFIG", "SET", name, first) == b"+OK\r\n"
    return sorted({min(taken, key=int), max(taken, key=int)})


# What would keep the test's own commands from being answered.
UNLIVED = {"timeout", "client-query-buffer-limit", "proto-max-bulk-len", "key-load-delay", "rdb-key-save-delay"}


def test_the_server_lives_with_every_number_that_it_takes(start):
    """Nothing overflows where a number at its limit is reckoned with, by commands, by a checkpoint, or by the timer."""
    connection = start("--enable-protected-configs", "yes", "--save", "", "--hz", "500").connect()
    names = [name for name in everything(connection) if name not in UNTRIED - {"maxmemory-clients"} | UNLIVED]
    tried = 0
    for name in names:
        first = setting(connection, name)
        if not re.fullmatch(rb"-?\d+", first):
            continue
        for number in numbers_taken(connection, name):
            assert connection.call("CONFIG", "SET", name, number) == b"+OK\r\n", (name, number)
            since = crons(connection)
            for words in (["SET", "k", "v", "EX", "100"], ["LPUSH", "l", *"abc"], ["HSET", "h", "f", "v"], ["GET", "k"],
                          ["EVAL", "return redis.call('incr', 'n')", "0"], ["INFO", "everything"], ["MEMORY", "STATS"],
                          ["MEMORY", "DOCTOR"], ["CLIENT", "LIST"], ["DEBUG", "CHECK-INVARIANTS"], ["BGSAVE"]):  # fmt: skip
                assert connection.call(*words), (name, number, words)
            if name != "hz":
                wait_until(lambda since=since: crons(connection) > since)
            assert connection.call("CONFIG", "SET", name, first) == b"+OK\r\n", (name, number)
            tried += 1
    assert tried > 100
