"""DUMP's payloads of Valkey 9 and Redis 8, and what MIGRATE sends to whom."""

import socket
import threading

import pytest

from data import FAR
from peers import PEERS
from resp import bulk

# `HSET h a 1 b 2` and `HPEXPIREAT h 4000000000000 FIELDS 1 a`, as DUMP answers; and `SET s v`.
HASHES = {
    "valkey 9.1.2": b"\x16\x02\x01a\xc0\x01\x00@\x94R\xa3\x03\x00\x00\x01b\xc0\x02" + b"\xff" * 8
    + b"P\x00\xd7\xc8\xef\xadKc+\xce",
    "redis 8.2.3": b"\x19\x00@\x94R\xa3\x03\x00\x00\x1d\x1d\x00\x00\x00\x06\x00\x81a\x02\x01\x01\xf4\x00@\x94R\xa3\x03\x00\x00\t"
    b"\x81b\x02\x02\x01\x00\x01\xff\x0c\x00~hW@`\x82\x8bG",
}  # fmt: skip
STRING = b'\x00\x01vP\x00^"\x07#\x87j\xed:'
EXPIRIES = b"*2\r\n:%d\r\n:-1\r\n" % FAR


@pytest.mark.parametrize("name", HASHES)
def test_hashes_whose_fields_expire(swiftlet, name):
    assert swiftlet.call("RESTORE", "h", 0, HASHES[name]) == b"+OK\r\n"
    assert swiftlet.call("HPEXPIRETIME", "h", "FIELDS", 2, "a", "b") == EXPIRIES
    assert swiftlet.call("HMGET", "h", "a", "b") == b"*2\r\n$1\r\n1\r\n$1\r\n2\r\n"
    # It is in the log as it came, and is read again.
    swiftlet.call("DEBUG", "RELOAD")
    assert swiftlet.call("HPEXPIRETIME", "h", "FIELDS", 2, "a", "b") == EXPIRIES


def test_what_valkey_adds_is_no_damage(swiftlet):
    assert swiftlet.call("RESTORE", "s", 0, STRING) == b"+OK\r\n"
    assert bulk(swiftlet.call("GET", "s")) == b"v"
    damaged = STRING[:2] + b"w" + STRING[3:]
    assert swiftlet.call("RESTORE", "t", 0, damaged) == b"-ERR DUMP payload version or checksum are wrong\r\n"


class Target:
    """A server that says what it is, and takes everything."""

    def __init__(self, info):
        self.info, self.payloads, self.commands = info, [], []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        client, _ = self.listener.accept()
        stream = client.makefile("rb")
        while line := stream.readline():
            words = line.split()
            if line[:1] == b"*":
                words = []
                for _ in range(int(line[1:])):
                    size = int(stream.readline()[1:])
                    words.append(stream.read(size + 2)[:-2])
            self.commands.append(words[0])
            if words[0] == b"RESTORE":
                self.payloads.append(words[3])
            if words[0] == b"INFO" and self.info is not None:
                client.sendall(b"$%d\r\n%s\r\n" % (len(self.info), self.info))
            else:
                client.sendall(ANSWERS.get(words[0], b"+OK\r\n"))


ANSWERS = {b"INFO": b"-NOPERM this user has no permissions\r\n"}
REDIS = b"# Server\r\nredis_version:7.4.1\r\nredis_git_sha1:0\r\n"
VALKEY = b"# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2\r\nrun_id:abc\r\n"


@pytest.mark.parametrize(("info", "form"), [(REDIS, (24, 12)), (VALKEY, (22, 80)), (None, (24, 12)), (b"", (24, 12))])
def test_migrate_sends_what_the_target_takes(swiftlet, info, form):
    target = Target(info)
    swiftlet.call("SET", "s", "v")
    swiftlet.call("HSET", "h", "a", 1, "b", 2)
    swiftlet.call("HPEXPIREAT", "h", FAR, "FIELDS", 1, "a")
    migrate = ("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "COPY", "KEYS")
    assert swiftlet.call(*migrate, "s") == b"+OK\r\n"
    # Who moves nothing that matters asks nothing.
    assert target.commands == [b"SELECT", b"RESTORE"]
    assert swiftlet.call(*migrate, "s", "h") == b"+OK\r\n"
    assert swiftlet.call(*migrate, "h") == b"+OK\r\n"
    assert target.commands == [b"SELECT", b"RESTORE", b"INFO", b"RESTORE", b"RESTORE", b"RESTORE"]
    assert [(payload[0], payload[-10]) for payload in target.payloads] == [(0, 10), (0, 10), form, form]
    assert bulk(swiftlet.call("GET", "s")) == b"v"


@pytest.mark.parametrize("name", [name for name in PEERS if name != "REDIS6"])
def test_a_peer_takes_and_gives(swiftlet, start, name):
    server = start("--save", "", binary=PEERS[name])
    peer = server.connect()
    swiftlet.call("HSET", "h", "a", 1, "b", 2)
    swiftlet.call("HPEXPIREAT", "h", FAR, "FIELDS", 1, "a")
    assert swiftlet.call("MIGRATE", "127.0.0.1", server.port, "h", 0, 5000) == b"+OK\r\n"
    assert swiftlet.call("EXISTS", "h") == b":0\r\n"
    assert peer.call("HPEXPIRETIME", "h", "FIELDS", 2, "a", "b") == EXPIRIES
    for i in range(1000):
        peer.call("HSET", "h", f"field {i}", i)
    assert peer.call("MIGRATE", "127.0.0.1", swiftlet.port, "h", 0, 5000) == b"+OK\r\n"
    assert swiftlet.call("HPEXPIRETIME", "h", "FIELDS", 2, "a", "b") == EXPIRIES
    assert swiftlet.call("HLEN", "h") == b":1002\r\n"
