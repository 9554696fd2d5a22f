"""The servers under test and the clients that fill and ask them; used by bench.py."""

import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "Tests" / "Support"))

from certificates import Certificates  # noqa: F401
from resp import Connection, decoded
from resp import encode as encoded

SERVER_CORES, CLIENT_CORES = {0}, {1}
TICK = os.sysconf("SC_CLK_TCK")
POOL = random.Random(7).randbytes(1 << 20)  # Values are slices of this: they do not compress.


# MARK: Clients


class Client(Connection):
    """One connection, one request at a time; replies come decoded."""

    def __init__(self, port):
        super().__init__(port)
        self.socket.settimeout(None)

    def __call__(self, *words):
        self.send(*words)
        return self.answer()

    def answer(self):
        reply = self.reply()
        if reply[:1] == b"-":
            raise RuntimeError(reply[1:-2].decode())
        if reply[:1] == b"+":
            return reply[1:-2]
        return decoded(reply)

    def info(self, section):
        lines = self("INFO", section).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)


def encode(*words):
    return encoded(words)


def pipeline(port, requests, batch, lines=True):
    """Sends requests. Makes a batch while the server answers the one before. `lines`: all replies are single lines,
    which saves reading them one by one."""
    client = Client(port)
    connection, owed = client.socket, 0

    def settle(owed):
        if not lines:
            for _ in range(owed):
                client.answer()
            return
        while owed > 0:
            data = connection.recv(1 << 18)
            if not data or data[:1] == b"-" or b"\n-" in data:
                raise RuntimeError("a request of the filling failed: %r" % data[:200])
            owed -= data.count(b"\n")

    iterator = iter(requests)
    while True:
        chunk = []
        for request in iterator:
            chunk.append(request)
            if len(chunk) == batch:
                break
        settle(owed)
        if not chunk:
            break
        connection.sendall(b"".join(chunk))
        owed = len(chunk)
    connection.close()


def set_requests(numbers, size, salt=0):
    """SETs of keys of 16 bytes."""
    head = b"*3\r\n$3\r\nSET\r\n$16\r\nkey:%%012d\r\n$%d\r\n%%b\r\n" % size
    limit, pool = len(POOL) - size, POOL
    for number in numbers:
        start = (number * 7919 + salt) % limit
        yield head % (number, pool[start : start + size])


# MARK: Servers

KINDS = ("swiftlet", "redis")
SLICES = 7


def alternate(bench, directories, options, fill, tests):
    """Requests/s and CPU a request of both servers, in short slices by turns, so that what slows the machine down for
    some seconds slows both. `fill` takes each server; `tests` gives the name of each test, how many requests a slice
    has, and redis-benchmark's options. Only the server being measured has anything to do."""
    servers, figures = {}, {}
    try:
        for kind in KINDS:
            servers[kind] = Server(bench, kind, directories[kind], *options)
            fill(servers[kind])
        for name, count, words in tests:
            count = bench.scaled(count)
            for server in servers.values():
                server.settle()
            load_by_turns(figures, name, lambda kind: servers[kind].load(count, words))
        return figures
    finally:
        for server in servers.values():
            server.kill()


def load_by_turns(figures, name, load):
    """Adds slices of a load, `load(kind)` of each server in turn, to the figures of rows that `name` begins."""
    for turn in range(SLICES):
        found = {kind: load(kind) for kind in KINDS[:: -1 if turn % 2 else 1]}
        for i, what in enumerate(("requests/s", "CPU/request")):
            pair = tuple(found[kind][i] for kind in KINDS)
            figures.setdefault("%s: %s" % (name, what), []).append(pair)


class Server:
    """A running server of either kind, with a directory of its own."""

    def __init__(self, bench, kind, directory, *options, cores=SERVER_CORES, answers_at_once=True):
        """`answers_at_once`: false where it is not waited for: a replica may load what it got."""
        self.bench, self.kind, self.directory, self.cores = bench, kind, directory, cores
        self.answers_at_once = answers_at_once
        self.options, self.process, self.client = options, None, None
        self.start()

    def start(self):
        """Starts it; returns the seconds from exec until PING is answered with PONG."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        binary = self.bench.binaries[self.kind]
        arguments = [
            binary,
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--dir",
            self.directory,
            "--save",
            "",
            "--enable-debug-command",
            "local",
            *self.options,
        ]
        self.log = open(os.path.join(self.directory, "server.log"), "ab")
        began = time.monotonic()
        self.process = subprocess.Popen(
            arguments, stdout=self.log, stderr=self.log, preexec_fn=lambda: os.sched_setaffinity(0, self.cores)
        )
        while True:
            try:
                self.client = Client(self.port)
                if not self.answers_at_once or self.client("PING") == b"PONG":
                    break
            except (OSError, RuntimeError):  # Not listening yet, or loading.
                pass
            if self.process.poll() is not None:
                raise RuntimeError("%s ended with status %s; see %s" % (binary, self.process.returncode, self.log.name))
            time.sleep(0.002)
        self.pid = self.process.pid
        return time.monotonic() - began

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def proc(self, name):
        with open("/proc/%d/%s" % (self.pid, name)) as file:
            return file.read()

    def cpu(self):
        fields = self.proc("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def load(self, count, options):
        """redis-benchmark with 50 clients: requests a second, and the server's CPU microseconds for each."""
        command = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(self.port), "-c", "50", "-n", str(count), "--csv"]
        before = self.nanoseconds()
        output = subprocess.run(command + options, check=True, capture_output=True, text=True, timeout=120).stdout
        spent = self.nanoseconds() - before
        return float(output.splitlines()[-1].split('","')[1]), spent / count / 1000

    def nanoseconds(self):
        """CPU time of all threads that are there."""
        tasks = os.listdir("/proc/%d/task" % self.pid)
        return sum(int(self.proc("task/%s/schedstat" % task).split()[0]) for task in tasks)

    def memory(self, field="VmRSS"):
        return next(int(line.split()[1]) << 10 for line in self.proc("status").splitlines() if line.startswith(field))

    def bytes_written(self):
        return int(self.proc("io").split("\nwrite_bytes: ")[1].split()[0])

    def saving(self):
        return self.client.info("persistence")["rdb_bgsave_in_progress"] != "0"

    def settle(self):
        """Waits until no save is under way and the server's threads are idle."""
        while self.saving():
            time.sleep(0.01)
        for _ in range(100):
            before = self.cpu()
            time.sleep(0.3)
            if self.cpu() - before < 0.03:
                return

    def save(self):
        """BGSAVE: seconds until it is done, bytes written, growth of memory at the peak."""
        self.settle()
        with open("/proc/%d/clear_refs" % self.pid, "w") as file:
            file.write("5")
        memory, written, began = self.memory(), self.bytes_written(), time.monotonic()
        self.client("BGSAVE")
        while self.saving():
            time.sleep(0.005)
        seconds = time.monotonic() - began
        info = self.client.info("persistence")
        if info["rdb_last_bgsave_status"] != "ok":
            raise RuntimeError("BGSAVE failed; see " + self.log.name)
        written = self.bytes_written() - written
        growth = self.memory("VmHWM") - memory + int(info.get("rdb_last_cow_size", 0))
        if self.kind != "swiftlet":  # Its child wrote, and is gone.
            written = os.path.getsize(os.path.join(self.directory, "dump.rdb"))
        return seconds, written, max(growth, 0)


def grow(server, keys, size):
    """Fills the server; returns the growth of its memory per key."""
    before = server.memory()
    pipeline(server.port, set_requests(range(keys), size), 8000 if size < 100 else 800)
    server.settle()
    if server.client("DBSIZE") != keys:
        raise RuntimeError("%s does not hold the keys set" % server.kind)
    return (server.memory() - before) / keys


def percentile(samples, share):
    return sorted(samples)[min(len(samples) - 1, int(len(samples) * share))]


def latencies(server, keys, until):
    """A closed loop of single GETs and SETs of random keys, until `until()`; the samples in milliseconds."""
    sock, samples, generator = Client(server.port).socket, [], random.Random(3)
    recv, clock = sock.recv, time.perf_counter
    while True:
        for _ in range(50):
            key = b"key:%012d" % generator.randrange(keys)
            request = encode("GET", key) if len(samples) & 1 else encode("SET", key, POOL[:32])
            began = clock()
            sock.sendall(request)
            recv(4096)
            samples.append((clock() - began) * 1e3)
        if until():
            return samples
