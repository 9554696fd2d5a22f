"""What one client may take: before it has authenticated, of memory for replies and requests, and of descriptors."""

import os
import re
import resource
import socket
import time

import pytest

from launched import Launched
from oracle import start_redis, start_swiftlet, swiftlet_binary
from resp import connect_slow_reader, encode
from waiting import wait_until


@pytest.fixture(params=[start_swiftlet, start_redis], ids=["swiftlet", "redis"])
def guarded(request):
    """Either server, with a password."""
    server = request.param("--requirepass", "pw")
    yield server
    server.stop()


def answer(server, data):
    """All that comes back for `data`, until the server closes or is silent."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as s:
        s.sendall(data)
        got = b""
        s.settimeout(0.5)
        try:
            while part := s.recv(1 << 16):
                got += part
        except TimeoutError:
            pass
        return got


class TestBeforeAuthentication:
    def test_a_request_has_few_and_short_arguments(self, guarded):
        error = b"-ERR Protocol error: unauthenticated %s length\r\n"
        for data in (b"*11\r\n", b"*1048576\r\n"):
            assert answer(guarded, data) == error % b"multibulk"
        for data in (b"*1\r\n$16385\r\n", b"*2\r\n$4\r\nAUTH\r\n$500000000\r\n"):
            assert answer(guarded, data) == error % b"bulk"
        denied = b"-NOAUTH Authentication required.\r\n"
        assert answer(guarded, encode(["SET"] + ["a"] * 9)) == denied
        assert answer(guarded, encode(["SET", "a", "x" * 16384])) == denied

    def test_what_follows_auth_in_one_packet_is_not_bounded(self, guarded):
        many = ["MSET"] + ["a", "b"] * 20
        data = encode(["AUTH", "pw"]) + encode(["SET", "k", "x" * 20000]) + encode(many)
        assert answer(guarded, data) == b"+OK\r\n" * 3
        connection = guarded.connect()
        assert connection.pipeline([["AUTH", "pw"], ["RESET"]]) == [b"+OK\r\n", b"+RESET\r\n"]
        assert connection.call(*many) == b"-ERR Protocol error: unauthenticated multibulk length\r\n"

    def test_replies_are_bounded(self):
        server = start_swiftlet("--requirepass", "pw")
        try:
            # 60 KB at most are read at once, and executed before anything leaves.
            assert answer(server, b"A\r\n" * 20000) == b""
            assert b"output-buffer-limit" in open(server.log.name, "rb").read()
        finally:
            server.stop()


def is_closed(s):
    """Whether the server has ended the connection; takes what comes."""
    try:
        while part := s.recv(1 << 20):
            del part
        return True
    except ConnectionError:
        return True
    except TimeoutError:
        return False


class TestOutput:
    LIMIT = 16 << 20

    @pytest.fixture
    def limited(self):
        server = start_swiftlet("--client-output-buffer-limit", f"normal {self.LIMIT} 0 0")
        yield server
        server.stop()

    @staticmethod
    def peak(server):
        text = open(f"/proc/{server.process.pid}/status").read()
        return int(re.search(r"VmHWM:\s+(\d+)", text)[1]) << 10

    def test_one_batch_of_large_replies_is_cut_at_the_limit(self, limited):
        connection = limited.connect()
        connection.call("SET", "big", b"x" * (1 << 20))
        before = self.peak(limited)
        with connect_slow_reader(limited) as s:
            s.sendall(encode(["GET", "big"]) * 2000)
            assert is_closed(s)
        assert self.peak(limited) - before < 3 * self.LIMIT

    @pytest.mark.parametrize("command", [["LRANGE", "l", 0, -1], ["EXEC"]])
    def test_one_huge_reply_is_cut_at_the_limit(self, limited, command):
        connection = limited.connect()
        for _ in range(64):
            connection.call("RPUSH", "l", *["x" * 1000] * 1000)
        before = self.peak(limited)
        with connect_slow_reader(limited) as s:
            if command == ["EXEC"]:
                s.sendall(encode(["MULTI"]) + encode(["LRANGE", "l", 0, 2000]) * 32 + encode(["INCR", "n"]))
            s.sendall(encode(command))
            assert is_closed(s)
        assert self.peak(limited) - before < 3 * self.LIMIT
        if command == ["EXEC"]:
            # What it wrote is done all the same.
            assert connection.call("GET", "n") == b"$1\r\n1\r\n"

    def test_replies_that_others_cause_count_too(self, limited):
        connection = limited.connect()
        with connect_slow_reader(limited) as s:
            for _ in range(40):
                # The client waits; what it is given is written by the one that pushes.
                s.sendall(encode(["BRPOP", "q", 0]))
            for _ in range(40):
                connection.call("LPUSH", "q", b"x" * (1 << 20))
            assert is_closed(s)
        assert b"client_output_buffer_limit_disconnections:1\r\n" in connection.call("INFO", "stats")

    def test_the_soft_limit_ends_a_silent_client(self):
        server = start_swiftlet("--client-output-buffer-limit", "normal 0 1mb 1")
        try:
            connection = server.connect()
            connection.call("SET", "big", b"x" * (32 << 20))
            with connect_slow_reader(server) as s:
                s.sendall(encode(["GET", "big"]))
                wait_until(lambda: connection.call("CLIENT", "LIST").count(b"\nid=") == 2)
                wait_until(lambda: connection.call("CLIENT", "LIST").count(b"\nid=") == 1)
        finally:
            server.stop()

    def test_replies_within_the_limit_all_come(self, limited):
        connection = limited.connect()
        connection.call("SET", "k", b"x" * 100_000)
        assert connection.pipeline([("GET", "k")] * 100) == [b"$100000\r\n" + b"x" * 100_000 + b"\r\n"] * 100
        connection.call("CONFIG", "SET", "client-output-buffer-limit", "normal 0 0 0")
        connection.call("SET", "k", b"x" * 200_000)
        assert connection.pipeline([("GET", "k")] * 500)[-1].startswith(b"$200000\r\nxxx")

    @pytest.mark.parametrize("start", [start_swiftlet, start_redis])
    def test_a_limit_of_nothing_leaves_the_fixed_buffer(self, start):
        server = start("--client-output-buffer-limit", "normal 1 1 0")
        try:
            connection = server.connect()
            connection.call("SET", "k", b"x" * 5000)
            assert connection.pipeline([("GET", "k")] * 3) == [b"$5000\r\n" + b"x" * 5000 + b"\r\n"] * 3
            with pytest.raises(OSError):
                connection.pipeline([("GET", "k")] * 30)
        finally:
            server.stop()

    def test_a_neighbour_does_not_wait_for_a_batch_of_large_replies(self, swiftlet_server):
        """What one packet asks for is not all answered before anybody else is."""
        a, b = swiftlet_server.connect(), swiftlet_server.connect()
        a.call("SET", "big", b"x" * (4 << 20))
        a.socket.sendall(encode(["GET", "big"]) * 200 + encode(["SET", "last", 1]))
        assert b.call("PING") == b"+PONG\r\n"
        assert b.call("EXISTS", "last") == b":0\r\n"
        for _ in range(200):
            a.reply()
        assert a.reply() == b"+OK\r\n"
        a.call("FLUSHALL")


class TestInput:
    @pytest.fixture(params=[start_swiftlet, start_redis], ids=["swiftlet", "redis"])
    def narrow(self, request):
        server = request.param("--client-query-buffer-limit", "1mb")
        yield server
        server.stop()

    def test_a_request_that_does_not_end_is_cut_at_the_limit(self, narrow):
        with socket.create_connection(("127.0.0.1", narrow.port), timeout=10) as s, pytest.raises(OSError):
            s.sendall(b"*2\r\n$4\r\nECHO\r\n$30000000\r\n")
            for _ in range(200):
                s.sendall(b"x" * 20000)
                time.sleep(0.001)

    def test_queued_commands_do_not_count(self, narrow):
        """As in redis-server 7.0: a transaction may be larger than a request."""
        connection = narrow.connect()
        connection.call("MULTI")
        for _ in range(100):
            assert connection.call("SET", "a", "x" * 20000) == b"+QUEUED\r\n"
        assert connection.call("EXEC").startswith(b"*100\r\n+OK\r\n")


class TestDescriptors:
    LIMIT = 64

    @pytest.fixture
    def few(self):
        process = Launched(
            swiftlet_binary(),
            "--appendonly",
            "yes",
            prepare=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (self.LIMIT, self.LIMIT)),
        )
        yield process
        process.stop()

    def test_maxclients_is_lowered(self, few):
        connection = few.connect()
        assert connection.call("CONFIG", "GET", "maxclients").endswith(b"$2\r\n32\r\n")
        assert connection.call("CONFIG", "SET", "maxclients", 100) == (
            b"-ERR CONFIG SET failed (possibly related to argument 'maxclients') - The operating system is not able to "
            b"handle the specified number of clients, try with 32\r\n"
        )
        assert connection.call("CONFIG", "SET", "maxclients", 20) == b"+OK\r\n"

    def test_a_server_that_is_full_says_so_and_saves(self, few):
        connection = few.connect()
        connection.call("CONFIG", "SET", "maxclients", 32)
        others = [few.connect() for _ in range(31)]
        for other in others:
            assert other.call("PING") == b"+PONG\r\n"
        for _ in range(40):
            with socket.create_connection(("127.0.0.1", few.port), timeout=10) as s:
                assert s.recv(100) == b"-ERR max number of clients reached\r\n"
        assert connection.call("SET", "a", 1) == b"+OK\r\n"
        assert connection.call("SAVE") == b"+OK\r\n"

    def test_without_descriptors_the_server_waits(self):
        """The limit falls while the server runs, as no setting can know: nothing spins, and nobody is lost."""
        process = Launched(swiftlet_binary())
        try:
            connection = process.connect()
            held = [process.connect() for _ in range(5)]
            assert held[-1].call("PING") == b"+PONG\r\n"
            used = len(os.listdir(f"/proc/{process.pid}/fd"))
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (used, used))
            waiting = process.connect()
            waiting.send("PING")
            wait_until(lambda: b"Accepting clients pauses" in process.output())
            before = process.cpu_seconds()
            time.sleep(1)
            assert process.cpu_seconds() - before < 0.3
            assert connection.call("PING") == b"+PONG\r\n"
            held.pop().close()
            assert waiting.reply() == b"+PONG\r\n"
        finally:
            process.stop()


class TestNames:
    """What no snapshot can hold comes into no keyspace, whatever the command that would put it there."""

    LONG = b"x" * 90_000_001
    REFUSED = b"-ERR keys and fields of hashes have at most 90000000 bytes: the snapshot could not hold this one\r\n"

    @pytest.mark.parametrize(
        "before, after",
        [
            (["SET"], ["1"]),
            (["RENAME", "s"], []),
            (["RENAMENX", "s"], []),
            (["COPY", "s"], []),
            (["SMOVE", "e"], ["a"]),
            (["LMOVE", "l"], ["LEFT", "LEFT"]),
            (["SORT", "l", "STORE"], []),
            (["GEORADIUS", "p", 0, 0, 1, "m", "STORE"], []),
            (["ZUNIONSTORE"], [1, "e"]),
            (["MSET", "s", 1], [2]),
        ],
        ids=lambda words: " ".join(map(str, words)),
    )
    def test_targets_with_too_long_a_name_are_refused(self, swiftlet, before, after):
        for command in ("SET s 1", "SADD e a", "RPUSH l a"):
            swiftlet.call(*command.split())
        assert swiftlet.call(*before, self.LONG, *after) == self.REFUSED
        assert swiftlet.call("DBSIZE") == b":3\r\n"

    def test_keys_that_cannot_be_there_may_be_asked_for(self, swiftlet):
        for command in (["GET"], ["DEL"], ["EXISTS"], ["HGETALL"]):
            assert swiftlet.call(*command, self.LONG) in (b"$-1\r\n", b":0\r\n", b"*0\r\n"), command
        assert swiftlet.call("EXPIRE", self.LONG, 10) == b":0\r\n"
