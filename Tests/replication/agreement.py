"""Whether a replica has what its master has: offsets, digest, and what no digest says: times, groups, expiry of fields."""

import os
import re
import time

from compare import without_times
from nodes import SWIFTLET, stands_in
from resp import bulks, decoded, parsed

DATABASES = 16


class Disagreement(AssertionError):
    pass


def wait_offsets(master, *replicas, timeout=60):
    """Until the replicas have executed all that the master has sent. Nobody may write meanwhile; what expires may."""
    deadline = time.monotonic() + timeout
    while True:
        said = "no answer"
        try:
            wanted = master.info("replication")["master_repl_offset"]
            found = [replica.info("replication") for replica in replicas]
            said = [{k: v for k, v in info.items() if "offset" in k or "link" in k} for info in found]
            if all(i.get("master_link_status") == "up" and i["master_repl_offset"] == wanted for i in found):
                return
            said = f"{wanted} wanted, {said}"
        except (OSError, AssertionError) as error:
            said = error
        if time.monotonic() > deadline:
            raise Disagreement(f"offsets do not meet within {timeout} s: {said}")
        time.sleep(0.02)


def agree(master, *replicas, timeout=60, sample=None):
    """Offsets, then everything. What is due on the master when it is asked may be gone when the replica is: they are asked
    again, some times and for some seconds."""
    wait_offsets(master, *replicas, timeout=timeout)
    enough = time.monotonic() + 10
    attempts = 0
    while (found := disagreement(master, replicas, sample)) is not None:
        attempts += 1
        if attempts >= 4 and time.monotonic() > enough:
            raise Disagreement(found())
        wait_offsets(master, *replicas, timeout=timeout)


def disagreement(master, replicas, sample):
    """What says what differs; None if nothing does."""
    if len({node.digest() for node in (master, *replicas)}) > 1:
        return lambda: "\n".join(differences(master, replica) for replica in replicas)
    wanted = state(master, sample)
    for replica in replicas:
        if found := different(wanted, state(replica, sample), exactly=not stands_in(master.kind)):
            return lambda: f"{master} and {replica}: {found}"
    return None


def database(connection, number):
    """{key: [expiry, …]}: for streams the groups too, for hashes the fields' expiries where the server has them."""
    connection.call("SELECT", number)
    keys = sorted(bulks(connection.call("KEYS", "*")))
    found = {key: [reply] for key, reply in zip(keys, connection.pipeline([("PEXPIRETIME", key) for key in keys]))}
    types = connection.pipeline([("TYPE", key) for key in keys])
    for key, kind in zip(keys, types):
        if kind == b"+stream\r\n":
            full = without_times(parsed(connection.call("XINFO", "STREAM", key, "FULL", "COUNT", 0)))
            found[key] += [full[:2], full[6:]]  # without the tree's keys and nodes
    return found, [key for key, kind in zip(keys, types) if kind == b"+hash\r\n"]


def state(node, sample=None):
    """What the digest leaves out. `sample`: at most so many keys of a database, the first by name."""
    connection = node.connect()
    found = {}
    try:
        for number in range(DATABASES):
            if sample is not None and connection.call("SELECT", number) and _size(connection) > sample:
                continue
            keys, hashes = database(connection, number)
            found |= {(number, key): value for key, value in keys.items()}
            if node.kind == SWIFTLET and node.has("HPEXPIRETIME"):
                for key in hashes:
                    found[number, key].append(field_times(connection, key))
    finally:
        connection.close()
    return found


def _size(connection):
    return int(connection.call("DBSIZE")[1:])


def field_times(connection, key):
    fields = sorted(bulks(connection.call("HKEYS", key)))
    times = decoded(connection.call("HPEXPIRETIME", key, "FIELDS", len(fields), *fields)) if fields else []
    return [(field, when) for field, when in zip(fields, times or []) if when != -1]


def different(wanted, found, exactly):
    """The first keys that differ, with both. `exactly`: redis-server as a master does not say how much a group has read."""
    out = []
    for key in sorted(wanted.keys() | found.keys()):
        a, b = wanted.get(key), found.get(key)
        # Expiry of fields is asked of Swiftlet alone.
        if a is not None and b is not None:
            a, b = a[: len(b)], b[: len(a)]
        if not exactly:
            a, b = without_reads(a), without_reads(b)
        if a != b:
            out.append((key, *apart(a, b)))
    return out[:3]


def apart(a, b):
    """Where two states part, shortened."""
    a, b = repr(a), repr(b)
    at = max(len(os.path.commonprefix([a, b])) - 60, 0)
    return a[at : at + 300], b[at : at + 300]


READS = (b"$12\r\nentries-read\r\n", b"$3\r\nlag\r\n")
ENTRY = re.compile(rb"\$\d+\r\n\d+-\d+\r\n")


def without_reads(value):
    """XINFO's reply without what redis-server does not replicate: how much a group has read, how often an entry was read."""
    if not isinstance(value, list):
        return value
    if (
        len(value) in (2, 3)
        and isinstance(value[0], bytes)
        and ENTRY.fullmatch(value[0])
        and isinstance(value[-1], bytes)
    ):
        return value[:-1]
    out, skips = [], False
    for item in value:
        if not skips:
            out.append(without_reads(item))
        skips = not skips and item in READS
    return out


def differences(master, replica):
    """Keys whose values differ, of all databases."""
    out = []
    connections = [node.connect() for node in (master, replica)]
    for number in range(DATABASES):
        values = []
        for connection in connections:
            connection.call("SELECT", number)
            keys = bulks(connection.call("KEYS", "*"))
            replies = connection.pipeline([("DEBUG", "DIGEST-VALUE", key) for key in keys])
            types = connection.pipeline([("TYPE", key) for key in keys])
            times = connection.pipeline([("PEXPIRETIME", key) for key in keys])
            values.append(dict(zip(keys, zip(replies, types, times))))
        ours, theirs = values
        out += [
            f"database {number}, {key!r}: {ours.get(key)} and {theirs.get(key)}"
            for key in sorted(ours.keys() | theirs.keys())
            if ours.get(key) != theirs.get(key)
        ]
    for connection in connections:
        connection.close()
    return f"{master} and {replica} differ in {len(out)} keys:\n  " + "\n  ".join(out[:10])
