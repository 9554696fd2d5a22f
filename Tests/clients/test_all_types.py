"""Files of all types and encodings by redis-server 7.0, 7.2 and 7.4: everything in them is what the server that wrote
the file says of it: the oracle for 7.0, the description (.json) beside the file for the others."""

import base64
import json
import shutil

import pytest
import redis

from data import CORPUS, NEWER, fill
from life import loaded
from migrate import migrate
from oracle import start_redis, start_swiftlet


def text(data):
    """Bytes as the descriptions have them."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def texts(items):
    return [text(item) for item in items]


def pairs(flat):
    return sorted(([text(a), text(b)] for a, b in flat.items()), key=str)


def order(described):
    return base64.b64decode(described["base64"]) if isinstance(described, dict) else described.encode()


def entries(found):
    return [[identifier.decode(), pairs(fields)] for identifier, fields in found]


def group(client, key, info):
    name = info["name"]
    pending = client.xpending_range(key, name, "-", "+", 100_000)
    return {
        "name": text(name),
        "last": info["last-delivered-id"].decode(),
        "entries_read": info["entries-read"],
        "pending": [[p["message_id"].decode(), text(p["consumer"]), p["times_delivered"]] for p in pending],
        "consumers": sorted(text(c["name"]) for c in client.xinfo_consumers(key, name)),
    }


def described(client, key, kind, expected):
    """What the description of `key` should say, as far as `expected` says something."""
    found = {"key": text(key), "type": kind, "pexpireat": client.pexpiretime(key)}
    if kind == "string":
        found["value"] = text(client.get(key))
    elif kind == "list":
        found["value"] = texts(client.lrange(key, 0, -1))
    elif kind == "set":
        found["value"] = sorted(texts(client.smembers(key)), key=str)
    elif kind == "zset":
        found["value"] = [[text(member), repr(score)] for member, score in client.zrange(key, 0, -1, withscores=True)]
    elif kind == "hash":
        fields = client.hgetall(key)
        found["value"] = pairs(fields)
        if "field_pexpireat" in expected:
            times = client.execute_command("HPEXPIRETIME", key, "FIELDS", len(fields), *fields)
            timed = [[text(field), when] for field, when in zip(fields, times) if when >= 0]
            found["field_pexpireat"] = sorted(timed, key=str)
    else:
        information = client.xinfo_stream(key)
        found["value"] = entries(client.xrange(key))
        found["last_id"] = information["last-generated-id"].decode()
        found["entries_added"] = information["entries-added"]
        found["max_deleted_id"] = information["max-deleted-entry-id"].decode()
        found["groups"] = [group(client, key, info) for info in client.xinfo_groups(key)]
    return found


def check(server, description):
    """Compares key by key: pytest's words on a difference are then short. Returns the digest."""
    loaded(server).close()
    for name, keys in description.items():
        if name == "digest":
            continue
        with redis.Redis(port=server.port, db=int(name[2:])) as client:
            assert client.dbsize() == len(keys)
            for expected in keys:
                key = order(expected["key"])
                kind = client.type(key).decode()
                assert described(client, key, kind, expected) == expected
    with redis.Redis(port=server.port) as client:
        return client.execute_command("DEBUG", "DIGEST").decode()


@pytest.fixture(scope="module")
def by_oracle(tmp_path_factory):
    """A file that redis-server 7.0 writes, and its description."""
    directory = tmp_path_factory.mktemp("oracle")
    server = start_redis("--dir", str(directory))
    try:
        call = server.connect().call
        fill(call)
        call("FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function() return 1 end)")
        call("PEXPIREAT", "hash small", 4_102_444_812_345)
        call("SELECT", 3)
        call("SET", "other", "database")
        call("SAVE")
        found = {}
        for number in (0, 3):
            with redis.Redis(port=server.port, db=number) as client:
                keys = client.keys()
                found[f"db{number}"] = [described(client, key, client.type(key).decode(), {}) for key in keys]
        with redis.Redis(port=server.port) as client:
            found["digest"] = client.execute_command("DEBUG", "DIGEST").decode()
        return directory / "dump.rdb", found
    finally:
        server.process.kill()
        server.process.wait()


@pytest.mark.parametrize("by", ["redis-migrate", "the server"])
@pytest.mark.parametrize("name", ["the oracle", *NEWER])
def test_file_holds_what_its_server_said(name, by, by_oracle, tmp_path):
    if name == "the oracle":
        rdb, description = by_oracle
    else:
        rdb = CORPUS / name
        description = json.loads(rdb.with_suffix(".json").read_text())
    if by == "the server":
        shutil.copy(rdb, tmp_path / "dump.rdb")
    else:
        run = migrate(rdb, tmp_path / "dump.sqlite")
        assert run.returncode == 0, run.stderr
    digests = []
    for _ in range(2):
        server = start_swiftlet("--dir", str(tmp_path))
        try:
            digests.append(check(server, description))
            # What the second round reads is all of the server's own writing.
            call = server.connect().call
            assert call("DEBUG", "RELOAD") == b"+OK\r\n"
        finally:
            server.process.kill()
            server.process.wait()
            server.log.close()
    assert digests[0] == digests[1]
    # Ours is the digest of 7.0; those of 7.2 and 7.4 are of another making.
    if "digest" in description:
        assert digests[0] == description["digest"]
