"""Kills the server under load, again and again on one data directory, and checks that nothing acknowledged is lost.

    crash.py --server BIN --rounds N [--seed S] [--appendfsync always|everysec|no] [--keep DIR]

What the server has after a restart must be, for every connection, all it acknowledged and at most the one request that
was on its way: nothing less, nothing more, transactions whole. That holds with every `appendfsync`, as the kernel
survives. Replies are checked on the way. The writers' model of their keys lives on over the rounds, as the data
directory does. `powercut.py` takes the kernel's memory away too.

The seed decides what is written and when the server is killed, not how the threads interleave: a seed that fails once
makes a failure likely, not certain. `--keep DIR` holds a copy of the data as it was before the restart that failed.
"""

import argparse
import pathlib
import shutil
import signal
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "Support"))

from harness import BY_SIZE, Harness, absolute
from model import brief
from seed import chosen_seed


class Crashes(Harness):
    def __init__(self, binary, seed, appendfsync="always", keep=None):
        super().__init__(binary, seed, tempfile.mkdtemp(prefix="swiftlet-crash-"))
        self.appendfsync, self.keep = appendfsync, keep

    def kill(self, server, rng):
        """Load, until the server is killed at some moment."""
        threads = self.load(server, saves=self.model.round % 4 != 3)
        self.model.failed.wait(rng.uniform(0.010, 0.400))
        if server.process.poll() is not None:
            self.model.report(f"the server ended by itself ({server.process.returncode}):\n{self.log(server)}")
        self.model.is_ending = True
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        for thread in threads:
            thread.join()
        server.stop()

    def verify(self, server):
        for settled in self.settle(server) or ():
            if settled.lost:
                lost = "; ".join(map(brief, settled.lost[0].request.commands))
                self.model.report(f"{len(settled.lost)} acknowledged requests are lost, the first: {lost}")

    def run(self, rounds):
        model = self.model
        server = self.start(self.appendfsync)
        while server and not model.violations and model.round < rounds:
            model.begin()
            rng = model.rng("kill")
            self.kill(server, rng)
            server = None
            if model.violations:
                break
            if self.keep:
                shutil.rmtree(self.keep, ignore_errors=True)
                shutil.copytree(self.directory, self.keep)
            options = BY_SIZE if model.round % 4 == 2 else ()
            if rng.random() < 0.15 and (server := self.start(self.appendfsync)):
                # Killed again, as soon as it has recovered.
                server.stop()
            server = self.start(self.appendfsync, *options)
            if server:
                self.verify(server)
        if server:
            server.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def summary(self):
        model = self.model
        return (
            f"seed {model.seed}: {model.round} rounds, {model.acknowledged} acknowledged writes, {self.snapshots} "
            f"snapshots, {len(model.violations)} violations"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", required=True)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--appendfsync", choices=["always", "everysec", "no"], default="always")
    parser.add_argument("--keep", help="a directory for the data as it was before the last restart; it is replaced")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else chosen_seed()
    print(f"seed {seed}", flush=True)
    crashes = Crashes(absolute(options.server), seed, options.appendfsync, options.keep)
    crashes.run(options.rounds)
    print(crashes.summary())
    return 1 if crashes.model.violations else 0


if __name__ == "__main__":
    sys.exit(main())
