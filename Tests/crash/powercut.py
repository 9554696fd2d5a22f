"""Cuts the power under load, again and again, and checks that what comes back keeps the contract of docs/durability.md.

    powercut.py --server BIN --rounds N [--seed S] [--keep DIR]

The data directory is on an ext4 of its own on a loop device, which is shut down while the server writes: what was not
synced is gone, as the kernel's memory goes with the power. The server is killed, the file system mounted again, which
replays its journal, and a server started on what is there. Rounds take turns in `appendfsync`; in half of them another
process holds a read transaction on the snapshot, and so its WAL; in some the kernel's writeback of some file is imitated.

- always: no request is lost that was acknowledged before the cut.
- everysec: none that was acknowledged over two seconds before the cut.
- all: what is there is a prefix of what was executed, never a hole, and transactions are whole.

What is acknowledged after the cut does not count: an fdatasync that is under way when ext4 is shut down may return 0
though what it was for is lost, as it takes a failed conversion of extents for done.

Needs root; elsewhere it says that it is skipped, and succeeds. The seed decides what is written, not how threads
interleave.
"""

import argparse
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "Support"))

from harness import BY_SIZE, Harness, absolute
from model import brief
from seed import chosen_seed
from volume import Unavailable, Volume

MODES = ("always", "everysec", "no")
SNAPSHOT = "dump.sqlite"
MAX_UNSYNCED = 2.0  # seconds, under everysec
SLACK = 0.1  # seconds, between a reply and the time taken for it here
MEGABYTES = 384


def hold():
    """In a process of its own: a line with a snapshot's path opens a read transaction on it, an empty one ends it."""
    held = None
    for line in sys.stdin:
        path = line.rstrip("\n")
        said = "closed"
        if path:
            try:
                held = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
                held.execute("BEGIN")
                held.execute("SELECT count(*) FROM meta").fetchall()
                said = "held"
            except sqlite3.Error as error:
                said = f"not held: {error}"
        if said != "held" and held:
            try:
                held.close()
            except sqlite3.Error:
                pass
            held = None
        print(said, flush=True)


class Reader:
    """Another program that reads the snapshot."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--hold"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, path):
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def hold(self, path):
        """Whether it could."""
        return self.ask(path) == "held"

    def close(self):
        self.ask("")

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


class Figures:
    """Of one mode."""

    def __init__(self):
        self.cuts = self.held = self.acknowledged = self.lost = 0
        self.oldest = 0.0  # seconds before the cut that the oldest lost request was acknowledged


class PowerCuts(Harness):
    def __init__(self, binary, seed, keep=None):
        self.volume = Volume(MEGABYTES)
        super().__init__(binary, seed, str(self.volume.path))
        self.keep = keep
        self.reader = Reader()
        self.figures = {mode: Figures() for mode in MODES}

    def write_back(self, rng):
        """As the kernel may at any time: some file goes to the disk."""
        while not self.model.is_ending:
            time.sleep(rng.uniform(0.005, 0.1))
            try:
                names = sorted(os.listdir(self.directory))
                descriptor = os.open(os.path.join(self.directory, rng.choice(names)), os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
            except (OSError, IndexError):
                pass

    def cut(self, server, mode, options, rng):
        """Load, until the power goes at some moment. Returns when that was."""
        figures = self.figures[mode]
        threads = self.load(server, saves=not options)
        if rng.random() < 0.3:
            threads.append(threading.Thread(target=self.write_back, args=(self.model.rng("kernel"),), daemon=True))
            threads[-1].start()
        # Under everysec nothing is late until two seconds are over.
        end = time.monotonic() + (
            rng.uniform(2.5, 4) if mode == "everysec" and rng.random() < 0.1 else rng.uniform(0.02, 0.4)
        )
        if rng.random() < 0.5:
            self.model.failed.wait(rng.uniform(0, 0.1))
            if self.reader.hold(os.path.join(self.directory, SNAPSHOT)):
                figures.held += 1
        self.model.failed.wait(max(0, end - time.monotonic()))
        if server.process.poll() is not None:
            self.model.report(f"the server ended by itself ({server.process.returncode}):\n{self.log(server)}")
        self.model.is_ending = True
        moment = time.monotonic()
        self.volume.cut()
        figures.cuts += 1
        # The server may see errors for a while, or not.
        time.sleep(rng.choice([0, 0, 0.01]))
        server.process.kill()
        server.process.wait()
        for thread in threads:
            thread.join()
        server.stop()
        self.reader.close()
        self.volume.unmount()
        self.volume.mount()
        return moment

    def judge(self, settled, mode, moment):
        figures = self.figures[mode]
        allowed = {"always": 0, "everysec": MAX_UNSYNCED + SLACK, "no": float("inf")}[mode]
        for s in settled:
            figures.acknowledged += sum(1 for step in s.history if (step.acknowledged or moment) < moment)
            lost = [step for step in s.lost if step.acknowledged < moment]
            figures.lost += len(lost)
            for step in lost[:1]:
                age = moment - step.acknowledged
                figures.oldest = max(figures.oldest, age)
                if age > allowed:
                    self.model.report(
                        f"appendfsync {mode}: {'; '.join(map(brief, step.request.commands))} was acknowledged "
                        f"{age * 1000:.1f} ms before the cut and is lost, with {len(lost) - 1} after it"
                    )

    def run(self, rounds):
        model = self.model
        mode, options = MODES[0], ()
        try:
            server = self.start(mode)
            while server and not model.violations and model.round < rounds:
                model.begin()
                moment = self.cut(server, mode, options, model.rng("cut"))
                server = None
                if self.keep:
                    shutil.rmtree(self.keep, ignore_errors=True)
                    shutil.copytree(self.directory, self.keep, ignore=shutil.ignore_patterns("lost+found"))
                if model.violations:
                    break
                # What a server finds does not depend on its mode: this one goes on with the next round's.
                before, mode = mode, MODES[model.round % len(MODES)]
                options = BY_SIZE if model.rng("options").random() < 0.3 else ()
                server = self.start(mode, *options)
                if server and (settled := self.settle(server)):
                    self.judge(settled, before, moment)
            if server:
                server.stop()
        finally:
            self.reader.stop()
            self.volume.remove()

    def summary(self):
        lines = []
        for mode, f in self.figures.items():
            oldest = f", the oldest {f.oldest * 1000:.0f} ms before the cut" if f.lost else ""
            lines.append(
                f"{mode:9} {f.cuts} cuts, {f.held} with the WAL held, {f.acknowledged} acknowledged writes, "
                f"{f.lost} lost{oldest}"
            )
        model = self.model
        lines.append(
            f"seed {model.seed}: {model.round} cuts, {sum(f.acknowledged for f in self.figures.values())} acknowledged "
            f"writes, {self.snapshots} snapshots, {len(model.violations)} violations"
        )
        return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", required=True)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--keep", help="a directory for the data as they came back from the last cut; it is replaced")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else chosen_seed()
    print(f"seed {seed}", flush=True)
    try:
        cuts = PowerCuts(absolute(options.server), seed, options.keep)
    except Unavailable as reason:
        print(f"SKIPPED: no power was cut, as {reason}")
        return 0
    cuts.run(options.rounds)
    print(cuts.summary())
    return 1 if cuts.model.violations else 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--hold"]:
        hold()
    else:
        sys.exit(main())
