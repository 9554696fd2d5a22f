"""CLIENT LIST and CLIENT KILL: which clients a filter lets through."""

import pytest

from resp import bulk
from waiting import wait_until

FILTERS = """
TYPE normal
TYPE pubsub
TYPE replica
USER default
ADDR 1.2.3.4:5
LADDR 1.2.3.4:5
SKIPME yes
SKIPME no
TYPE pubsub SKIPME no
TYPE normal TYPE pubsub
"""


def names(connection, *filters):
    """Names of the clients that CLIENT LIST shows; errors as they came."""
    reply = connection.call("CLIENT", "LIST", *filters)
    if reply[:1] == b"-":
        return reply
    return {word[5:] for word in reply.decode().split() if word.startswith("name=")}


@pytest.fixture
def clients(swiftlet_server, swiftlet):
    made = of_all_kinds(swiftlet_server, swiftlet)
    yield made
    for connection in made.values():
        connection.close()


def of_all_kinds(server, me):
    """Clients of all kinds: `me` asks."""
    me.call("CLIENT", "SETNAME", "me")
    made = {"me": me}
    for name in ("listener", "queueing", "waiting", "library"):
        made[name] = connection = server.connect()
        connection.call("CLIENT", "SETNAME", name)
    made["listener"].call("SUBSCRIBE", "c")
    made["queueing"].call("MULTI")
    made["library"].call("CLIENT", "SETINFO", "LIB-NAME", "lib")
    made["library"].call("CLIENT", "SETINFO", "LIB-VER", "1.2")
    made["library"].call("SELECT", "3")
    made["waiting"].send("BLPOP", "nothing", 0)
    wait_until(lambda: b" flags=b " in me.call("CLIENT", "LIST"))
    return made


ALL = {"me", "listener", "queueing", "waiting", "library"}


@pytest.mark.parametrize(
    "filters, found",
    [
        ("TYPE pubsub", {"listener"}), ("NOT-TYPE pubsub", ALL - {"listener"}), ("type NORMAL", ALL - {"listener"}),
        ("NAME library", {"library"}), ("NOT-NAME library", ALL - {"library"}), ("NAME librar", set()),
        ("LIB-NAME lib", {"library"}), ("NOT-LIB-NAME lib", ALL - {"library"}), ("LIB-VER 1.2", {"library"}),
        ("NOT-LIB-VER 1.2 NOT-NAME me", {"listener", "queueing", "waiting"}), ("DB 3", {"library"}),
        ("NOT-DB 0", {"library"}), ("FLAGS P", {"listener"}), ("FLAGS x", {"queueing"}), ("FLAGS b", {"waiting"}),
        ("FLAGS bx", set()), ("FLAGS N", {"me", "library"}), ("NOT-FLAGS N", {"listener", "queueing", "waiting"}),
        ("NOT-FLAGS bP", ALL), ("FLAGS bu", set()), ("IP 127.0.0.1", ALL), ("NOT-IP 127.0.0.1", set()),
        ("IP 127.0.0.1 SKIPME yes", ALL - {"me"}), ("USER default DB 3 SKIPME no", {"library"}), ("CAPA r", set()),
        ("NOT-CAPA r", ALL), ("ADDR 1.1.1.1:1", set()), ("NOT-ADDR 1.1.1.1:1", ALL), ("NOT-LADDR 1.1.1.1:1", ALL),
        ("NOT-USER default", set()), ("TYPE pubsub TYPE normal", ALL - {"listener"}), ("MAXAGE 1000000000", set()),
        ("IDLE 1000000000", set()),
    ],
)  # fmt: skip
def test_who_is_listed(clients, filters, found):
    assert names(clients["me"], *filters.split()) & ALL == found


def test_ids(clients):
    me = clients["me"]
    ids = [int(clients[name].call("CLIENT", "ID")[1:]) for name in ("me", "library")]
    assert names(me, "ID", *ids) == {"me", "library"}
    assert names(me, "ID", *ids, "NAME", "me") == {"me"}
    assert names(me, "ID", ids[0], "ID", ids[1]) == {"me", "library"}
    assert names(me, "NOT-ID", *ids) & ALL == ALL - {"me", "library"}
    # As often as asked for, in that order; of ids that are none, nothing.
    lines = me.call("CLIENT", "LIST", "ID", ids[1], 0, -1, 10**15, ids[0], ids[1]).decode().splitlines()[1:-1]
    assert [line.split()[0] for line in lines] == [f"id={id}" for id in (ids[1], ids[0], ids[1])]


@pytest.mark.parametrize(
    "filters, error",
    [
        ("IDLE 0", "idle should be greater than 0"), ("MAXAGE -1", "maxage should be greater than 0"),
        ("MAXAGE x", "maxage is not an integer or out of range"), ("IDLE x", "idle is not an integer or out of range"),
        ("DB x", "DB is not an integer or out of range"), ("DB 16", "DB number should be between 0 and 15"),
        ("DB -1", "DB number should be between 0 and 15"), ("FLAGS bZ", "Unknown flags found in the provided filter: Z"),
        ("CAPA z", "Unknown capa found in the provided filter: z"), ("USER nobody", "No such user 'nobody'"),
        ("TYPE nothing", "Unknown client type 'nothing'"), ("NOT-TYPE nothing", "Unknown client type 'nothing'"),
        ("SKIPME maybe", "syntax error"), ("NOT-SKIPME yes", "syntax error"), ("NOT-IDLE 1", "syntax error"),
        ("NOT-MAXAGE 1", "syntax error"), ("NAME", "syntax error"), ("NAME a DB", "syntax error"), ("X y", "syntax error"),
        ("NOT-NOT-NAME x", "syntax error"), ("ID 1 NAME", "syntax error"),
        ("NOT-ID 0", "client-id should be greater than 0"), ("NAME a ID x", "client-id should be greater than 0"),
    ],
)  # fmt: skip
def test_what_is_no_filter(swiftlet, filters, error):
    for command in ("LIST", "KILL"):
        if command == "KILL" and len(filters.split()) == 1:
            continue
        assert swiftlet.call("CLIENT", command, *filters.split()).decode() == f"-ERR {error}\r\n"


def test_time_passes(start):
    server = start("--enable-debug-command", "yes")
    me = server.connect()
    kept = of_all_kinds(server, me)
    me.call("DEBUG", "ADVANCE-CLOCK", 100_000)
    assert names(me, "IDLE", 99) & ALL == ALL - {"me"}
    assert names(me, "IDLE", 1000) == set()
    assert names(me, "MAXAGE", 99) & ALL == set(kept) == ALL
    assert names(me, "MAXAGE", 99, "IDLE", 99, "NAME", "library") == {"library"}


def test_who_is_killed(clients):
    me = clients["me"]
    assert me.call("CLIENT", "KILL", "NAME", "library", "DB", 0) == b":0\r\n"
    assert me.call("CLIENT", "KILL", "NAME", "library", "DB", 3) == b":1\r\n"
    ids = [int(line.split()[0][3:]) for line in me.call("CLIENT", "LIST", "FLAGS", "b").decode().splitlines()[1:-1]]
    assert me.call("CLIENT", "KILL", "ID", *ids, *ids, "ID", *ids) == b":%d\r\n" % len(ids)
    wait_until(lambda: names(me) & ALL == {"me", "listener", "queueing"})
    assert me.call("CLIENT", "KILL", "NAME", "me") == b":0\r\n"
    assert me.call("CLIENT", "KILL", "NAME", "me", "SKIPME", "no") == b":1\r\n"
    with pytest.raises(ConnectionError):
        me.call("PING")


def test_forms_that_redis_has(both):
    for line in FILTERS.strip().splitlines():
        shown = [server.call("CLIENT", "LIST", *line.split()) for server in (both.swiftlet, both.oracle)]
        if "SKIPME" in line or "USER" in line or "ADDR" in line or line.count("TYPE") > 1:
            # CLIENT LIST of the oracle knows TYPE and ID alone.
            continue
        assert [len(text.splitlines()) for text in shown] == [len(shown[1].splitlines())] * 2, line
    both.each("""
        CLIENT LIST ID
        CLIENT LIST ID x
        CLIENT LIST ID 999999999 1000000000
        CLIENT LIST TYPE
        CLIENT LIST TYPE x
        CLIENT LIST x
        CLIENT KILL x
        CLIENT KILL 1.2.3.4:5
        CLIENT KILL ID
        CLIENT KILL ID x
        CLIENT KILL ID 0
        CLIENT KILL ID -1
        CLIENT KILL ID 999999999
        CLIENT KILL ID 1.5
        CLIENT KILL TYPE x
        CLIENT KILL TYPE pubsub
        CLIENT KILL TYPE replica
        CLIENT KILL TYPE slave
        CLIENT KILL TYPE master
        CLIENT KILL USER nobody
        CLIENT KILL USER
        CLIENT KILL ADDR 1:1 LADDR 2:2
        CLIENT KILL SKIPME
        CLIENT KILL SKIPME x
        CLIENT KILL TYPE pubsub TYPE x
        CLIENT KILL ADDR 1:1 SKIPME yes SKIPME no
        CLIENT UNBLOCK 999999999
        CLIENT UNBLOCK x
        CLIENT UNBLOCK 1 x
        CLIENT UNBLOCK 1 ERROR x
        CLIENT PAUSE x
        CLIENT PAUSE -1
        CLIENT PAUSE 0
        CLIENT PAUSE 1 x
        CLIENT PAUSE 1 WRITE x
        CLIENT UNPAUSE
        CLIENT UNPAUSE x
        CLIENT REPLY x
        CLIENT NO-EVICT on
        CLIENT NO-EVICT OFF
        CLIENT NO-EVICT x
        CLIENT SETNAME x
        CLIENT GETNAME
        CLIENT SETNAME a\tb
        CLIENT GETREDIR
        CLIENT TRACKINGINFO
        CLIENT INFO x
        CLIENT ID x
        CLIENT
        CLIENT nope
    """)
    both("CLIENT", "SETNAME", "a b")
    both("CLIENT", "SETNAME", "")
    both("CLIENT", "GETNAME")


def test_lolwut(both):
    for words in ("VERSION x", "VERSION 5 x", "VERSION 6 1 x", "VERSION 99999999999999999999"):
        both("LOLWUT", *words.split())
    for words in (
        (),
        ("VERSION", 5),
        ("VERSION", 5, 40, 3),
        ("VERSION", 6, -1, -1),
        ("VERSION", 1, 10**18, 10**18),
        ("VERSION",),
    ):
        text = both.swiftlet.call("LOLWUT", *words)
        if words == ("VERSION",):
            assert text == b"-ERR value is not an integer or out of range\r\n"
            continue
        lines = bulk(text).decode().splitlines()
        assert len({len(line) for line in lines[:12]}) == 1 and lines[-1].startswith("Redis ver. 7.2.0, Swiftlet")
