"""A server under load on a data directory that outlives it: what `crash.py` and `powercut.py` share."""

import os
import pathlib
import re
import shutil
import threading
import time

from model import Model
from oracle import Server

# Limits under which the writers' collections take their large form, whose elements are saved one by one. Every other
# round has them, so that a snapshot of either form is loaded under the other limits too.
LARGE = (
    "--list-max-listpack-size", "4", "--hash-max-listpack-entries", "4", "--set-max-listpack-entries", "4",
    "--set-max-intset-entries", "4", "--zset-max-listpack-entries", "4", "--stream-node-max-entries", "4",
)  # fmt: skip
# In others the log's size is what makes checkpoints.
BY_SIZE = ("--auto-aof-rewrite-percentage", "1", "--auto-aof-rewrite-min-size", "32kb", "--hz", "100")


class Harness:
    def __init__(self, binary, seed, directory):
        self.binary, self.directory = binary, directory
        self.model = Model(seed)
        self.snapshots = 0

    def start(self, appendfsync, *more):
        """A server that has loaded its data; None, and a violation, if it does not start."""
        try:
            # The last of two settings wins.
            options = ("--appendonly", "yes", "--appendfsync", appendfsync, "--dir", self.directory, *more)
            server = Server(self.binary, options + (LARGE if self.model.round % 2 else ()))
        except RuntimeError as error:
            self.model.report(f"no restart: {error}")
            return None
        try:
            connection = server.connect()
            while connection.call("DBSIZE").startswith(b"-LOADING"):
                time.sleep(0.002)
            connection.close()
        except OSError as error:
            # It listens before it has loaded its data, and may give up on them.
            self.model.report(f"no restart: {error}\n{self.log(server)}")
            server.stop()
            return None
        return server

    @staticmethod
    def log(server):
        return pathlib.Path(server.log.name).read_text(errors="replace")[-3000:]

    def settle(self, server):
        connection = server.connect()
        try:
            return self.model.settle(connection)
        except OSError as error:
            self.model.report(f"gone while its data were read: {error}\n{self.log(server)}")
            return None
        finally:
            connection.close()

    def save(self, connection):
        """Snapshots, one after the other, until the server is gone."""
        model = self.model
        try:
            while True:
                reply = connection.call("BGSAVE")
                if not reply.startswith((b"+Background saving", b"-ERR Background save already in progress")):
                    if not model.is_ending:
                        model.report(f"BGSAVE: {reply!r}")
                    return
                while b"rdb_bgsave_in_progress:1" in (info := connection.call("INFO", "persistence")):
                    time.sleep(0.001)
                if not re.search(rb"rdb_last_bgsave_status:ok\r", info):
                    if not model.is_ending:
                        model.report(f"the snapshot failed: {info!r}")
                    return
                self.snapshots += 1
        except OSError:
            pass
        finally:
            connection.close()

    def upset(self, connection, rng):
        """FLUSHALL and SWAPDB, now and then."""
        try:
            while not self.model.is_ending:
                self.model.upheaval(connection, *rng.choice([("FLUSHALL",), ("SWAPDB", 0, 1), ("SWAPDB", 0, 1)]))
                time.sleep(rng.uniform(0.02, 0.2))
        except OSError:
            pass
        finally:
            connection.close()

    def load(self, server, saves=True):
        """Starts writers, snapshots, and at times what changes all databases at once. Returns the threads, which end
        when the server does."""
        rng = self.model.rng("load")
        threads = self.model.threads(server.connect)
        if saves:
            threads.append(threading.Thread(target=self.save, args=(server.connect(),), daemon=True))
        if rng.random() < 0.2:
            threads.append(threading.Thread(target=self.upset, args=(server.connect(), rng), daemon=True))
        for thread in threads:
            thread.start()
        return threads


def absolute(binary):
    return os.path.abspath(shutil.which(binary) or binary)
