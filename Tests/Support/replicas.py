"""Replicas for tests: real ones of Redis, and sockets that speak the protocol by hand."""

import contextlib
import re

from oracle import start_redis
from resp import Connection, encode
from waiting import wait_until


def info(connection, section="replication"):
    """The fields of a section of INFO."""
    text = connection.call("INFO", section).decode(errors="replace")
    return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)


def is_synchronised(replica):
    return info(replica)["master_link_status"] == "up"


@contextlib.contextmanager
def redis_replica(master, *options):
    """A redis-server that follows `master`, once it has all data: the server, and a connection to it."""
    server = start_redis("--replicaof", f"127.0.0.1 {master.port}", *options)
    try:
        connection = server.connect()
        wait_until(lambda: is_synchronised(connection))
        yield server, connection
    finally:
        server.stop()


def wait_for_equal_offsets(master, replica):
    wait_until(lambda: info(master)["master_repl_offset"] == info(replica)["slave_repl_offset"])


class RawReplica(Connection):
    """The other end of SYNC and PSYNC. Empty lines before an answer are skipped, as replicas do."""

    def line(self):
        while True:
            while (end := self.buffer.find(b"\n", self.start)) < 0:
                self._fill()
            line = bytes(self.buffer[self.start : end]).rstrip(b"\r")
            self.start = end + 1
            if line:
                return line

    def take(self, count):
        while len(self.buffer) < self.start + count:
            self._fill()
        data = bytes(self.buffer[self.start : self.start + count])
        self.start += count
        return data

    def psync(self, identity="?", offset=-1, *capabilities, port=0):
        """The words of the answer."""
        if port:
            assert self.call("REPLCONF", "listening-port", port) == b"+OK\r\n"
        for capability in capabilities:
            assert self.call("REPLCONF", "capa", capability) == b"+OK\r\n"
        self.send("PSYNC", identity, offset)
        return self.line().decode().split(" ")

    def snapshot(self):
        """The RDB, in either form."""
        head = self.line()
        if head.startswith(b"$EOF:"):
            mark = head[5:]
            assert len(mark) == 40
            looked = self.start
            while (end := self.buffer.find(mark, looked)) < 0:
                looked = max(self.start, len(self.buffer) - 40)
                self._fill()
            data = bytes(self.buffer[self.start : end])
            self.start = end + 40
            return data
        assert re.fullmatch(rb"\$\d+", head), head
        return self.take(int(head[1:]))

    def full_sync(self, *capabilities, port=0):
        """History, offset and RDB."""
        words = self.psync("?", -1, *capabilities, port=port)
        assert words[0] == "+FULLRESYNC", words
        return words[1], int(words[2]), self.snapshot()

    def acknowledge(self, offset, *more):
        self.socket.sendall(encode(["REPLCONF", "ACK", offset, *more]))

    def stream(self, *commands):
        """Reads so many bytes of the stream as these commands take, and compares."""
        wanted = b"".join(encode(command.split(" ")) for command in commands)
        got = self.take(len(wanted))
        assert got == wanted, (got, wanted)
        return len(wanted)

    def has_ended(self):
        """Whether the other side closes the connection; what comes before is dropped."""
        try:
            while self.socket.recv(1 << 16):
                pass
        except ConnectionError:
            pass
        return True
