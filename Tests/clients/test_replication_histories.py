"""Where histories part: who may go on with what he missed, and what a crash leaves of a full sync."""

import pytest

from agreement import agree, wait_offsets
from nodes import REDIS, SWIFTLET, Nodes, stands_in
from proxy import Proxy
from resp import bulk, bulks
from waiting import wait_until

COUNT = 300


@pytest.fixture
def nodes():
    started = Nodes()
    yield started
    started.stop()


def pair(nodes, **options):
    """A master and its replica, in step."""
    master, replica = (nodes(SWIFTLET, **{"repl-ping-replica-period": 3600} | options) for _ in range(2))
    replica.follow(master.port)
    replica.wait_linked()
    return master, replica


def write(node, name, count=COUNT):
    node.ok("MSET", *(word for n in range(count) for word in (f"{name}:{n}", n)))


def test_second_history_ends_where_it_was_left(nodes):
    """The old master has written on: it cannot go on at the new one, which never got that."""
    old, new = pair(nodes)
    write(old, "both")
    wait_offsets(old, new)
    new.lead()
    write(old, "old alone")
    write(new, "new alone", 2 * COUNT)  # so that offsets do not tell
    old.follow(new.port)
    wait_until(old.is_linked)
    agree(new, old)
    full, partial, refused = new.syncs()
    assert (full, partial, refused) == (1, 0, 1)
    assert old.ok("EXISTS", "old alone:1") == b":0\r\n"


def test_second_history_is_good_up_to_there(nodes):
    old, new = pair(nodes)
    write(old, "both")
    wait_offsets(old, new)
    new.lead()
    write(new, "new alone")
    old.follow(new.port)
    wait_until(old.is_linked)
    agree(new, old)
    assert new.syncs() == (0, 1, 0)


def test_sisters_go_on_behind_the_one_that_was_promoted(nodes):
    """Whichever has less goes on at the one that has more."""
    master, ahead = pair(nodes)
    proxy = nodes.keep(Proxy(master.port))
    behind = nodes(SWIFTLET)
    behind.follow(proxy.port)
    behind.wait_linked()
    write(master, "both")
    wait_offsets(master, ahead, behind)
    proxy.refuse()
    write(master, "ahead alone")
    wait_offsets(master, ahead)
    master.kill()
    ahead.lead()
    behind.follow(ahead.port)
    behind.wait_linked()
    agree(ahead, behind)
    assert ahead.syncs() == (0, 1, 0)


@pytest.mark.parametrize("database", [0, 9])
def test_database_that_was_selected_before_a_full_sync(nodes, database):
    """What comes behind a full sync is for the database that the stream had selected, also for the replica of a replica."""
    master, replica = pair(nodes)
    last = nodes(SWIFTLET)
    master.ok("SELECT", database)
    write(master, "before", 3)
    last.follow(replica.port)
    last.wait_linked()
    write(master, "behind", 3)
    agree(master, replica, last)


# A replica that had a history of its own is killed behind a full sync.


@pytest.mark.parametrize("load", ["disabled", "on-empty-db", "swapdb"])
@pytest.mark.parametrize("log", ["yes", "no"])
def test_killed_right_after_a_full_sync(nodes, load, log):
    if stands_in(SWIFTLET):
        pytest.skip("redis-server rewrites its log afterwards")
    master = nodes(SWIFTLET)
    write(master, "theirs")
    replica = nodes(SWIFTLET, appendonly=log, save="3600 1", repl_diskless_load=load)
    for n in range(3):
        write(replica, "own")
        replica.ok("INCR", "counter")
        replica.ok("RPUSH", "list", n)
    replica.ok("SAVE")
    replica.ok("INCR", "counter")
    replica.follow(master.port)
    replica.wait_linked()
    master.ok("SET", "after", "the full sync")
    wait_offsets(master, replica)
    full = master.syncs()[0]
    replica.set(replicaof=f"127.0.0.1 {master.port}")
    replica.kill()
    master.pause()
    try:
        replica.start()
        keys = bulks(replica.ok("KEYS", "*"))
        assert len([key for key in keys if key.startswith(b"theirs:")]) == COUNT
        assert [key for key in keys if not key.startswith((b"theirs:", b"after"))] == []
    finally:
        master.resume()
    replica.wait_linked()
    agree(master, replica)
    # It knew where it was.
    assert master.syncs()[0] == full and bulk(replica.ok("GET", "after")) == b"the full sync"


@pytest.mark.parametrize("log", ["yes", "no"])
def test_clean_restarts_resume(nodes, log):
    """Of a replica, and of a master."""
    if stands_in(SWIFTLET):
        pytest.skip("redis-server needs an RDB file for it")
    master, replica = pair(nodes, appendonly=log, save="3600 1")
    replica.set(replicaof=f"127.0.0.1 {master.port}")
    write(master, "a")
    wait_offsets(master, replica)
    replica.end()
    write(master, "b")
    replica.start()
    replica.wait_linked()
    agree(master, replica)
    assert master.syncs()[:2] == (1, 1)
    master.restart()
    wait_until(replica.is_linked)
    agree(master, replica)
    assert master.syncs()[:2] == (0, 1)


def test_killed_master_that_forgot_is_not_gone_on_with(nodes):
    """Without a log it comes back with less than its replica has."""
    master, replica = pair(nodes, appendonly="no", save="3600 1")
    write(master, "saved")
    master.ok("SAVE")
    write(master, "forgotten")
    wait_offsets(master, replica)
    master.kill()
    master.start()
    write(master, "other", 2 * COUNT)
    wait_until(replica.is_linked)
    agree(master, replica)
    assert replica.ok("EXISTS", "forgotten:1") == b":0\r\n"


def test_field_times_for_a_server_that_has_none(nodes):
    """The fields come without them, and the master's log says so."""
    if stands_in(SWIFTLET):
        pytest.skip("redis-server 7.0 has none")
    master, replica = nodes(SWIFTLET), nodes(REDIS)
    master.ok("HSET", "h", "a", 1, "b", 2)
    master.ok("HPEXPIRE", "h", 10**8, "FIELDS", 1, "a")
    replica.follow(master.port)
    replica.wait_linked()
    wait_offsets(master, replica)
    assert sorted(bulks(replica.ok("HGETALL", "h"))) == [b"1", b"2", b"a", b"b"]
    assert "field" in master.text().lower()


def test_field_times_between_servers_that_have_them(nodes):
    master, replica = pair(nodes)
    if not master.has("HPEXPIREAT"):
        pytest.skip("there are none")
    sister = nodes(SWIFTLET)
    master.ok("HSET", "h", *(word for n in range(1000) for word in (f"f{n}", n)))
    for n in range(0, 1000, 7):
        master.ok("HPEXPIRE", "h", 10**8 + n, "FIELDS", 1, f"f{n}")
    master.ok("HPEXPIRE", "h", 1, "FIELDS", 1, "f1")
    sister.follow(master.port)
    sister.wait_linked()
    wait_until(lambda: master.ok("HLEN", "h") == b":999\r\n")
    agree(master, replica, sister)
