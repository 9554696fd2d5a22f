"""Cuts, delays, half-open links, stopped and killed servers, in any state of a replication, again and again; afterwards all
servers must agree, and what could be resumed must have been.

    chaos.py [--rounds N] [--seed S] [--first-game G] [--kinds swiftlet,redis]

A game is some rounds with the same servers and settings; it begins anew with the next. The seed decides what is done and
when, not how processes interleave.
"""

import argparse
import contextlib
import os
import pathlib
import random
import signal
import sys
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "Support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "differential"))
os.environ["LC_ALL"] = "C"

import blows
from agreement import agree
from dataset import fill_mixed
from load import Brief, Load, Mixed, Pairs, Witness
from nodes import REDIS, SWIFTLET, Gone, Nodes, stands_in
from proxy import Proxy
from resp import bulk
from seed import chosen_seed

ROUNDS_OF_A_GAME = 5
SMALL, LARGE = 16 << 10, 64 << 20  # backlogs
KINDS = (
    [(SWIFTLET, SWIFTLET)] * 4
    + [(SWIFTLET,) * 3] * 3
    + [(REDIS, SWIFTLET), (SWIFTLET, REDIS), (REDIS, SWIFTLET, SWIFTLET)]
)
TIMEOUT = 60  # seconds until all agree


def settings(rng, backlog):
    return {
        "appendonly": rng.choice(["yes", "no"]),
        "appendfsync": rng.choice(["always", "everysec", "no"]),
        "save": rng.choice(["", "3600 1"]),
        "repl-backlog-size": backlog,
        "repl-diskless-load": rng.choice(["disabled", "on-empty-db", "swapdb"]),
        "repl-diskless-sync": rng.choice(["yes", "no"]),
        "repl-ping-replica-period": 1,
        "repl-timeout": 6,
    }


class Game:
    """A chain of servers with settings at random."""

    def __init__(self, seed, number, kinds=None):
        self.rng = random.Random(f"{seed} {number}")
        kinds = kinds or self.rng.choice(KINDS)
        self.backlog = self.rng.choice([SMALL, LARGE])
        self.started = Nodes()
        self.nodes = [self.started(kind, **settings(self.rng, self.backlog)) for kind in kinds]
        self.proxies = [self.started.keep(Proxy(node.port)) for node in self.nodes[:-1]]
        self.round = 0
        self.done = []
        self.resumed = 0  # partial syncs of links whose backlog held all
        fill_mixed(self.nodes[0], self.rng.random(), self.rng.choice([30, 300, 3000]))
        # A restart must not forget whom to follow.
        for node, proxy in zip(self.nodes[1:], self.proxies):
            node.follow(proxy.port)
            node.set(replicaof=f"127.0.0.1 {proxy.port}")
        agree(*self.nodes, timeout=TIMEOUT)

    def stop(self):
        self.started.stop()

    def describe(self):
        names = ("appendonly", "appendfsync", "save", "repl-diskless-load", "repl-diskless-sync")
        return "\n".join(
            [f"backlog {self.backlog}, round {self.round}: {', '.join(self.done)}"]
            + [f"{node}: " + ", ".join(f"{name}={node.options[name]!r}" for name in names) for node in self.nodes]
        )

    # A round.

    def play(self):
        self.round += 1
        self.done = []
        upheavals = self.rng.random() < 0.2
        counts = [node.syncs() for node in self.nodes[:-1]]
        connections = [proxy.connections for proxy in self.proxies]
        acknowledged = self.acknowledged()
        witnesses = [Witness(node) for node in self.nodes[1:]]
        load = Load(self.nodes[0], self.rng.random(), upheavals, kinds=(Mixed, Brief, Pairs), pause=0.002)
        for each in witnesses:
            each.start()
        spoilt = self.estranged() | self.strike()
        self.heal()
        load.finish()
        agree(*self.nodes, timeout=TIMEOUT)
        for each in witnesses:
            each.finish()
        self.check_resumed(spoilt, counts, connections)
        if not upheavals and self.nodes[0].options["appendonly"] == "yes":
            done = load.writers[-1].acknowledged
            assert self.acknowledged() >= acknowledged + done, (self.acknowledged(), acknowledged, done)

    def acknowledged(self):
        connection = self.nodes[0].connect()
        connection.call("SELECT", 7)
        value = bulk(connection.call("GET", "pair:0"))
        connection.close()
        return int(value or 0)

    def strike(self):
        """Blows in turn. Returns the links that need not be resumed partially."""
        spoilt = set()
        for _ in range(self.rng.choice([1, 1, 2, 3])):
            link = self.rng.randrange(len(self.proxies))
            blow = blows.draw(self.rng)
            self.done.append(f"{blow.__name__}({link})")
            spoilt |= set(blow(self, link) or ())
            time.sleep(self.rng.choice([0, 0, 0.02, 0.3]))
        return spoilt

    def estranged(self):
        """Links whose replica was given another history by DEBUG, which it asks for when it connects again."""
        histories = [node.info("replication")["master_replid"] for node in self.nodes]
        return {link for link in range(len(self.proxies)) if histories[link] != histories[link + 1]}

    def heal(self):
        for proxy in self.proxies:
            proxy.heal()
        for node in self.nodes:
            node.resume()
            if node.process is None:
                node.start()
            if not node.is_alive():
                raise Gone(f"{node} ended by itself")

    def check_resumed(self, spoilt, counts, connections):
        """Where only the link failed, and the backlog holds what was missed, nothing was sent whole."""
        if self.backlog == SMALL:
            return
        for link, (proxy, before) in enumerate(zip(self.proxies, counts)):
            full, partial, _ = self.nodes[link].syncs()
            if link in spoilt:
                continue
            self.resumed += partial - before[1]
            assert full == before[0], f"link {link}: {full - before[0]} full syncs, none was needed"
            if proxy.connections > connections[link] and proxy.links[-1].answers():
                assert partial > before[1], f"link {link}: no partial resync"

    def is_durable(self, number):
        """Whether a node that is killed comes back with a position in the stream."""
        node = self.nodes[number]
        return not stands_in(node.kind) and (node.options["appendonly"] == "yes" or node.options["save"] != "")


def logs(game):
    return "\n".join(f"--- {node}\n{node.text()[-2500:]}" for node in game.nodes)


def play(seed, number, rounds, kinds):
    """How often a link was resumed partially, and what went wrong."""
    game = None
    try:
        game = Game(seed, number, kinds)
        while game.round < rounds:
            game.play()
        return game.resumed, None
    except (AssertionError, OSError, Gone, TimeoutError):
        said = f"game {number}\n{traceback.format_exc()}"
        if game:
            with contextlib.suppress(OSError):
                said = f"{game.describe()}\n{said}\n{logs(game)}"
        return (game.resumed if game else 0), said
    finally:
        if game:
            game.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--first-game", type=int, default=0)
    parser.add_argument("--game", type=int, default=ROUNDS_OF_A_GAME, help="rounds with the same servers")
    parser.add_argument("--kinds", default=None, help="of the chain, with commas; without it, at random")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else chosen_seed()
    print(f"seed {seed}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))
    kinds = tuple(options.kinds.split(",")) if options.kinds else None
    played, resumed, failures, number, begun = 0, 0, 0, options.first_game, time.monotonic()
    while played < options.rounds:
        size = min(options.game, options.rounds - played)
        partial, failure = play(seed, number, size, kinds)
        played += size
        resumed += partial
        if failure:
            failures += 1
            print(
                f"FAILED with --seed {seed} --first-game {number} --rounds {size} --game {size}\n{failure}", flush=True
            )
        number += 1
        if number % 10 == 0:
            print(f"{played} rounds, {resumed} links resumed partially, {failures} games failed", flush=True)
    print(
        f"seed {seed}: {played} rounds in {number - options.first_game} games, {failures} failed, "
        f"{resumed} links whose backlog held all were resumed, all partially, {time.monotonic() - begun:.0f} s"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
