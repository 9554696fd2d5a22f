"""The order of system calls that durability rests on, read from strace: no power cut on one file system shows it, as ext4
commits names together with files. See docs/durability.md.

Where processes may not be traced this fails: SWIFTLET_NO_STRACE=1 skips it.
"""

import collections
import os
import pathlib
import re
import shutil
import sqlite3
import tempfile
import time

import pytest

from oracle import Server, swiftlet_binary

SNAPSHOT = "dump.sqlite"
SNAPSHOT_FILES = (SNAPSHOT, SNAPSHOT + "-wal", SNAPSHOT + "-journal")
SEGMENT = re.compile(r"appendonly\.aof\.\d+$")
# What marks a segment's head, and how long that is at most: a record, and a batch that selects the
# database.
HEADER, HEADER_SIZE = "swiftlet:s:", 256

CALLS = "openat,write,pwrite64,writev,pwritev,ftruncate,fdatasync,fsync,unlink,unlinkat,rename,renameat,renameat2,link,linkat,sendto"
SUCCEEDED = re.compile(r"\)\s+= 0$")
LINE = re.compile(r"(\d+)\s+(.*)")
RESUMED = re.compile(r"<\.\.\. \w+ resumed>(.*)")


def calls(trace):
    """(thread, whether it begins or has ended, name, arguments and result) of each call, in order."""
    waiting = {}
    for line in trace.read_text(errors="replace").splitlines():
        match = LINE.match(line)
        if not match:
            continue
        pid, text = match.groups()
        if text.endswith("<unfinished ...>"):
            text = waiting[pid] = text.removesuffix(" <unfinished ...>")
            phases = ("begins",)
        elif resumed := RESUMED.match(text):
            text = waiting.pop(pid, "") + resumed.group(1)
            phases = ("ended",)
        else:
            phases = ("begins", "ended")
        name, bracket, rest = text.partition("(")
        if bracket and name.isidentifier():
            for phase in phases:
                yield pid, phase, name, rest


def is_commit(rest):
    """Whether what is written to the WAL is the header of a frame that commits: 24 bytes, of which the second four are the
    size of the database after it, else zero (SQLite's file format, "WAL Frame Header")."""
    text = re.search(r'"((?:[^"\\]|\\.)*)"', rest)
    data = text.group(1).encode().decode("unicode_escape").encode("latin-1") if text else b""
    return len(data) == 24 and data[4:8] != bytes(4)


class File:
    """What was written to a file, and how much of it a sync has reached."""

    def __init__(self):
        self.begun = self.ended = self.synced = 0

    @property
    def is_dirty(self):
        return self.begun > self.synced


class Order:
    """Follows a trace. `checks` counts what was looked at, by rule."""

    def __init__(self, directory, appendfsync):
        self.directory, self.appendfsync = directory, appendfsync
        self.files = collections.defaultdict(File)
        self.names = set()
        self.unsynced_names = set()  # made, removed or replaced since the directory was synced
        self.reach = {}  # by thread, what the sync under way will have synced
        self.is_wal_in_use = False
        self.breaches, self.checks = [], collections.Counter()

    def breach(self, what):
        if what not in self.breaches:
            self.breaches.append(what)

    def follow(self, trace):
        for thread, phase, call, rest in calls(trace):
            begins = phase == "begins"
            opened = re.match(r"-?\w+<([^>]*)>", rest)
            path = opened.group(1) if opened else ""
            parent, name = os.path.split(path.removesuffix(" (deleted)"))
            here = parent == self.directory
            if call == "openat":
                self.open(begins, rest)
            elif call in ("unlink", "unlinkat", "rename", "renameat", "renameat2", "link", "linkat"):
                self.rename_or_remove(begins, call, rest)
            elif call == "sendto":
                self.reply(begins, rest)
            elif path == self.directory and call in ("fsync", "fdatasync"):
                if begins:
                    self.reach[thread] = set(self.unsynced_names)
                elif SUCCEEDED.search(rest):
                    self.unsynced_names -= self.reach[thread]
            elif here and call in ("fsync", "fdatasync"):
                file = self.files[name]
                if begins:
                    self.reach[thread] = file.ended
                elif SUCCEEDED.search(rest):
                    file.synced = max(file.synced, self.reach[thread])
            elif here:
                self.write(begins, call, name, rest)

    def open(self, begins, rest):
        match = re.search(r'"([^"]*)"', rest)
        if begins or not match or "O_CREAT" not in rest or "= -1" in rest:
            return
        parent, name = os.path.split(match.group(1))
        if parent == self.directory and name not in self.names:
            self.names.add(name)
            self.unsynced_names.add(name)
            self.files[name] = File()

    def write(self, begins, call, name, rest):
        file = self.files[name]
        if SEGMENT.match(name):
            size = re.search(r", (\d+)(\)|$)", rest)
            if HEADER in rest and size and int(size.group(1)) <= HEADER_SIZE:
                return
            if call == "ftruncate":
                return
            if begins:
                self.checks["segment named"] += 1
                if name in self.unsynced_names:
                    self.breach(f"{name} is written to before its name is synced")
        if name == SNAPSHOT + "-wal":
            restarts = call == "ftruncate" or re.search(r", 0(\)|$)", rest)
            if begins and restarts:
                self.checks["wal restarts"] += 1
                if self.files[SNAPSHOT].is_dirty and self.is_wal_in_use:
                    self.breach("the WAL begins anew before what it held is synced in the snapshot")
            if call == "ftruncate":
                # Should its old content come back, it is what the snapshot holds by now.
                file.synced = file.begun
                return
            self.is_wal_in_use = True
            if not is_commit(rest):
                # Frames of a transaction that is not committed yet: the next one may be under way.
                return
        if begins:
            file.begun += 1
        else:
            file.ended += 1

    def rename_or_remove(self, begins, call, rest):
        paths = [p for p in re.findall(r'"([^"]*)"', rest) if os.path.dirname(p) == self.directory]
        names = [os.path.basename(p) for p in paths]
        if not names:
            return
        if begins:
            if call.startswith("unlink") and SEGMENT.match(names[0]):
                self.segment_goes(names[0])
            elif not call.startswith("unlink") and self.files[names[0]].is_dirty:
                self.breach(f"{names[0]} is renamed to {names[-1]} before it is synced")
            return
        if "= -1" in rest:
            return
        for name in names:
            self.unsynced_names.add(name)
        if not call.startswith("link"):
            self.names.discard(names[0])
        if not call.startswith("unlink"):
            self.names.add(names[-1])
            self.files[names[-1]] = self.files[names[0]]
        if names[0] == SNAPSHOT + "-wal":
            self.is_wal_in_use = False

    def segment_goes(self, name):
        """What the segment held must be in the snapshot for good."""
        self.checks["segment goes"] += 1
        if SNAPSHOT not in self.names:
            self.breach(f"{name} is unlinked, and there is no snapshot")
        for file in SNAPSHOT_FILES:
            if file in self.unsynced_names:
                self.breach(f"{name} is unlinked before the name of {file} is synced")
            if file not in self.names or not self.files[file].is_dirty:
                continue
            # What is copied from the WAL need not be synced before the WAL begins anew.
            if file != SNAPSHOT or not self.is_wal_in_use:
                self.breach(f"{name} is unlinked before {file} is synced")

    def reply(self, begins, rest):
        if not begins or self.appendfsync != "always" or '"+OK' not in rest:
            return
        self.checks["reply"] += 1
        for name, file in self.files.items():
            if SEGMENT.match(name) and name in self.names and file.is_dirty:
                self.breach(f"a reply leaves before what was written to {name} is synced")


def traced(directory, trace, appendfsync):
    """A server under strace."""
    wrapper = directory / "traced"
    wrapper.write_text(
        f'#!/bin/sh\nexec strace -f --seccomp-bpf -y -s 120 -o "{trace}" -e trace={CALLS} "{swiftlet_binary()}" "$@"\n'
    )
    wrapper.chmod(0o755)
    return Server(str(wrapper), ("--appendonly", "yes", "--appendfsync", appendfsync, "--dir", str(directory / "data")))


def segments(data):
    return sorted(p.name for p in data.glob("appendonly.aof.*") if SEGMENT.match(p.name))


def idle(connection, data, old=()):
    """Waits until no snapshot is being made and the segments `old` are gone: that is another thread's work, and what the
    next snapshot writes to the WAL meanwhile is not what they stand for. The last snapshot succeeded."""
    while b"rdb_bgsave_in_progress:1" in (info := connection.call("INFO", "persistence")):
        time.sleep(0.002)
    assert b"rdb_last_bgsave_status:ok\r" in info
    deadline = time.monotonic() + 20
    # One is in use, and the next may be there; without a log, none.
    kept = 2 if b"aof_enabled:1" in info else 0
    while len(now := segments(data)) > kept or set(old) & set(now):
        assert time.monotonic() < deadline, now
        time.sleep(0.002)


def snapshot(connection, data, *command):
    # The log's switching makes one, too.
    idle(connection, data)
    old = segments(data)[:1]
    assert connection.call(*command)[:1] == b"+"
    idle(connection, data, old)


def work(server, held):
    """Writes, snapshots, and the log switched off and on."""
    connection = server.connect()
    data, reader = pathlib.Path(connection.call("CONFIG", "GET", "dir").split(b"\r\n")[-2].decode()), None
    for i in range(160):
        assert connection.call("SET", f"k{i % 50}", f"v{i}") == b"+OK\r\n"
        if i % 40 == 20:
            snapshot(connection, data, "BGSAVE")
        if i == 70 and held:
            reader = sqlite3.connect(f"file:{data}/{SNAPSHOT}?mode=ro", uri=True, isolation_level=None)
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM meta").fetchall()
    snapshot(connection, data, "SAVE")
    for appendonly in ("no", "yes"):
        assert connection.call("CONFIG", "SET", "appendonly", appendonly) == b"+OK\r\n"
        assert connection.call("SET", "k", appendonly) == b"+OK\r\n"
        snapshot(connection, data, "BGSAVE")
    connection.send("SHUTDOWN")
    server.process.wait(timeout=30)
    if reader:
        reader.close()


@pytest.mark.parametrize("held", [False, True], ids=["", "held"])
@pytest.mark.parametrize("appendfsync", ["always", "everysec", "no"])
def test_order_of_system_calls(appendfsync, held):
    if os.environ.get("SWIFTLET_NO_STRACE"):
        pytest.skip("SWIFTLET_NO_STRACE is set")
    if swiftlet_binary() is None:
        pytest.skip("swiftlet-server is not built")
    assert shutil.which("strace"), "strace is missing: install it, or set SWIFTLET_NO_STRACE=1"
    directory = pathlib.Path(tempfile.mkdtemp(prefix="swiftlet-order-"))
    server = pid = None
    try:
        (directory / "data").mkdir()
        trace = directory / "trace"
        try:
            server = traced(directory, trace, appendfsync)
        except RuntimeError as error:
            pytest.fail(f"no process can be traced here (SWIFTLET_NO_STRACE=1 skips this test): {error}")
        info = server.connect().call("INFO", "server")
        pid = int(re.search(rb"process_id:(\d+)", info).group(1))
        work(server, held)
        pid = None
        order = Order(str(directory / "data"), appendfsync)
        order.follow(trace)
        assert not order.breaches, "\n".join(order.breaches)
        # That nothing was broken means something only where there was something to break.
        assert order.checks["segment goes"] >= 4 and order.checks["segment named"] >= 100, order.checks
        assert appendfsync != "always" or order.checks["reply"] >= 160, order.checks
    finally:
        if pid:
            os.kill(pid, 9)
        if server:
            server.stop()
        shutil.rmtree(directory, ignore_errors=True)
