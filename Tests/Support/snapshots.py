"""Snapshots as readers see them."""

import contextlib
import os
import sqlite3
import threading

OWN_VIEWS = """expiring hashes hashes_json info keys lists lists_reversed prefixes raw_keys sets stream_consumers
    stream_fields stream_groups stream_pending streams strings zsets""".split()


def snapshot(directory, name="dump.sqlite", patience=0):
    """A connection that reads the snapshot as the documentation says, and waits `patience` seconds for a lock."""
    return sqlite3.connect(f"file:{directory}/{name}?mode=ro", uri=True, isolation_level=None, timeout=patience)


def select(directory, sql, *arguments, name="dump.sqlite", patience=0):
    with contextlib.closing(snapshot(directory, name, patience)) as connection:
        return connection.execute(sql, arguments).fetchall()


class Hammer:
    """Threads that open the snapshot of a directory, read from it and close it, over and over, from the time that it is there,
    and wait `patience` seconds for a lock. Leaving it fails where one has seen an error, or where none has read."""

    def __init__(self, directory, threads=2, patience=1):
        self.path = os.path.join(str(directory), "dump.sqlite")
        self.directory, self.patience = directory, patience
        self.errors, self.reads = [], 0
        self.ends = threading.Event()
        self.threads = [threading.Thread(target=self.read) for _ in range(threads)]

    def read(self):
        while not self.ends.is_set():
            if not os.path.exists(self.path):
                continue
            try:
                for table in ("info", "keys"):
                    select(self.directory, f"SELECT count(*) FROM {table}", patience=self.patience)
                self.reads += 1
            except sqlite3.Error as error:
                self.errors.append(f"{type(error).__name__}: {error}")

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *failure):
        self.ends.set()
        for thread in self.threads:
            thread.join()
        if failure[0] is None:
            assert self.errors == [] and self.reads > 0, (self.reads, len(self.errors), self.errors[:3])
