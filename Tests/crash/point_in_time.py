"""Goes back to random moments of a run with FLUSHALLs, failed checkpoints and kills, and checks what is there.

    point_in_time.py --server BIN [--moments N] [--rounds N] [--seconds S] [--seed S] [--keep DIR]

Writers run against one data directory while the server is killed again and again, and know when each of their requests was
sent and acknowledged. Afterwards a copy of the directory goes back to each moment: there must be, for every writer, all that
was acknowledged before it, and nothing that was sent after it, in one order, transactions whole. The moment before the last
FLUSHALL must have exactly what was acknowledged before that was sent.

The seed decides what is written, when the server is killed and which moments are tried, not how the threads interleave.
"""

import argparse
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "Support"))

from harness import Harness, absolute
from model import Model, Upheaval
from resp import integer
from seed import chosen_seed

HISTORY = ("--snapshot-history", "1h", "--auto-aof-rewrite-min-size", "256kb", "--hz", "100")


class Past:
    """The writers' histories of one round, and what was there when it began."""

    def __init__(self, model):
        self.began = time.time()
        self.base = [(dict(w.keys), w.database) for w in model.writers]
        self.counters, self.mark = list(model.counters), model.mark
        self.histories = None

    def end(self, model):
        self.ended = time.time()
        # Acknowledgements are in monotonic time; the clocks of this machine go alike for so short a time.
        self.skew = time.time() - time.monotonic()
        self.histories = [list(w.history) for w in model.writers]

    def model(self, seed, report):
        """As it was when the round had ended, before anything was read."""
        model = Model(seed)
        model.report = report
        model.counters, model.mark = list(self.counters), self.mark
        for writer, (keys, database), history in zip(model.writers, self.base, self.histories):
            writer.start(dict(keys), database)
            writer.history = list(history)
        return model


class PointInTime(Harness):
    def __init__(self, binary, seed, rounds, seconds, moments, keep):
        super().__init__(binary, seed, tempfile.mkdtemp(prefix="swiftlet-history-"))
        self.rounds, self.seconds, self.moments, self.keep = rounds, seconds, moments, keep
        self.pasts = []
        self.failed_saves = 0

    def save(self, connection):
        """Snapshots; some of them fail, as their file is gone and no other can be made."""
        rng = self.model.rng("save")
        try:
            while not self.model.is_ending:
                obstacle = None
                if rng.random() < 0.3:
                    obstacle = self.obstruct(connection)
                connection.call("BGSAVE")
                while b"rdb_bgsave_in_progress:1" in (info := connection.call("INFO", "persistence")):
                    time.sleep(0.002)
                ok = b"rdb_last_bgsave_status:ok" in info
                self.snapshots += ok
                self.failed_saves += not ok
                if obstacle:
                    obstacle.rmdir()
                time.sleep(rng.uniform(0.02, 0.3))
        except OSError:
            pass
        finally:
            connection.close()

    def obstruct(self, connection):
        """The snapshot goes, and a directory stands where the new one is to be written."""
        directory = pathlib.Path(self.directory)
        process = integer(connection.call("EVAL", "return tonumber(string.match(ARGV[1], 'process_id:(%d+)'))", 0,
                                          connection.call("INFO", "server")))  # fmt: skip
        obstacle = directory / f"dump.sqlite.importing.{process}"
        if obstacle.exists():
            return None
        obstacle.mkdir()
        (directory / "dump.sqlite").rename(directory / f"gone.{self.model.round}.{time.monotonic_ns()}")
        return obstacle

    def upset(self, connection, rng):
        try:
            while not self.model.is_ending:
                time.sleep(rng.uniform(0.2, 0.8))
                self.model.upheaval(connection, *rng.choice([("FLUSHALL",), ("SWAPDB", 0, 1)]))
        except OSError:
            pass
        finally:
            connection.close()

    def round(self, server, rng):
        model = self.model
        model.begin()
        self.pasts.append(Past(model))
        threads = model.threads(server.connect)
        # Failed checkpoints do not refuse writes here: --stop-writes-on-bgsave-error no.
        threads.append(threading.Thread(target=self.save, args=(server.connect(),), daemon=True))
        threads.append(threading.Thread(target=self.upset, args=(server.connect(), rng), daemon=True))
        for thread in threads:
            thread.start()
        model.failed.wait(self.seconds * rng.uniform(0.7, 1.3))
        model.is_ending = True
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        for thread in threads:
            thread.join()
        server.stop()
        self.pasts[-1].end(model)
        for obstacle in pathlib.Path(self.directory).glob("dump.sqlite.importing.*"):
            if obstacle.is_dir():
                obstacle.rmdir()

    def write(self):
        """The run. False after a violation."""
        options = (*HISTORY, "--stop-writes-on-bgsave-error", "no")
        self.before = sorted(pathlib.Path(self.directory).glob("*"))
        server = self.start("everysec", *options)
        for _ in range(self.rounds):
            if not server or self.model.violations:
                return False
            self.restore_lost_snapshot()
            self.round(server, self.model.rng("kill"))
            self.restore_lost_snapshot()
            server = self.start("everysec", *options)
            if not server or self.settle(server) is None:
                return False
        connection = server.connect()
        self.info = connection.call("INFO", "snapshot").decode()
        connection.close()
        server.stop()
        return True

    def restore_lost_snapshot(self):
        """A kill while the snapshot was gone: whoever took it away puts it back."""
        directory = pathlib.Path(self.directory)
        if (directory / "dump.sqlite").exists():
            return
        gone = max(directory.glob("gone.*"), key=lambda path: path.stat().st_ctime_ns, default=None)
        if gone:
            gone.rename(directory / "dump.sqlite")

    # What was.

    def at(self, target):
        """A server that has gone back to `target`, on a copy; None after a violation."""
        other = Harness(self.binary, self.model.seed, tempfile.mkdtemp(prefix="swiftlet-moment-"))
        shutil.rmtree(other.directory)
        shutil.copytree(self.directory, other.directory)
        other.model.report = self.model.report
        return other, other.start("everysec", "--restore-to", target)

    def compare(self, target, past, check):
        """Goes back and hands what is there to `check`, with where it is in the writers' histories."""
        other, server = self.at(target)
        if server:
            other.model = past.model(self.model.seed, lambda what: self.model.report(f"at {target}: {what}"))
            settled = other.settle(server)
            server.stop()
            for s in settled or ():
                check(s)
        if self.model.violations and self.keep:
            shutil.rmtree(self.keep, ignore_errors=True)
            shutil.copytree(self.directory, self.keep)
        shutil.rmtree(other.directory, ignore_errors=True)

    def moment(self, second):
        past = [past for past in self.pasts if past.began <= second][-1]
        border = second - past.skew

        def check(s):
            acknowledged = [n for n, step in enumerate(s.history, 1) if (step.acknowledged or 1e99) < border]
            sent = [n for n, step in enumerate(s.history, 1) if step.sent < border]
            least, most = acknowledged[-1] if acknowledged else 0, sent[-1] if sent else 0
            if s.most < least or s.least > most:
                self.model.report(
                    f"at {second}: {s.writer.name} has {s.least} to {s.most} of its requests, not {least} to {most}"
                )

        self.compare(time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(second)), past, check)

    def flushed(self):
        """The last FLUSHALL that was acknowledged; what follows it is not there, and all before it is."""
        for past in reversed(self.pasts):
            steps = past.histories[0]
            flushes = [s for s in steps if isinstance(s.request, Upheaval) and s.request.empties]
            if flushes and flushes[-1].acknowledged is not None:
                return past, flushes[-1]
            if flushes:
                return None
        return None

    def before_flushall(self):
        if not (found := self.flushed()):
            return
        past, flush = found

        def check(s):
            position = s.history.index(flush)
            if not s.least <= position <= s.most:
                self.model.report(
                    f"before FLUSHALL: {s.writer.name} has {s.least} to {s.most} of its requests, not {position}"
                )

        self.compare("before-flushall", past, check)

    def run(self):
        if not self.write():
            return
        rng = random.Random(f"{self.model.seed} moments")
        # The first kept checkpoint is made when the server starts.
        first, last = int(self.pasts[0].began) + 2, int(self.pasts[-1].ended)
        self.before_flushall()
        for _ in range(self.moments):
            if self.model.violations:
                return
            self.moment(rng.randint(first, last))
        shutil.rmtree(self.directory, ignore_errors=True)

    def summary(self):
        model = self.model
        flushes = {id(s) for p in self.pasts for s in p.histories or [[]] for s in s if isinstance(s.request, Upheaval)}
        return (
            f"seed {model.seed}: {self.moments} moments of {len(self.pasts)} rounds, {model.acknowledged} acknowledged "
            f"writes, {len(flushes)} FLUSHALLs and SWAPDBs, {self.snapshots} checkpoints, {self.failed_saves} failed, "
            f"{len(model.violations)} violations"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", required=True)
    parser.add_argument("--moments", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--keep", help="a directory for the data as they were when a moment failed; it is replaced")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else chosen_seed()
    print(f"seed {seed}", flush=True)
    run = PointInTime(absolute(options.server), seed, options.rounds, options.seconds, options.moments, options.keep)
    run.run()
    print(run.summary())
    return 1 if run.model.violations else 0


if __name__ == "__main__":
    sys.exit(main())
