"""The sequence of commands that a seed gives."""

import bisect
import itertools

import on_collections
import on_keys
import on_scripts
import on_streams
import on_strings
import on_zsets
from compare import Exec, encoding, exact, loose
from rows import FREELY, INTACT, Row
from words import Words

ROWS = on_strings.ROWS + on_collections.ROWS + on_zsets.ROWS + on_streams.ROWS + on_keys.ROWS
STREAMS, SPOP, SCAN, TRANSFER, MULTI, GETKEYS, MACRO, SCRIPT = (
    "streams",
    "spop",
    "scan",
    "transfer",
    "multi",
    "getkeys",
    "macro",
    "script",
)
SPECIAL = [(20, STREAMS), (2, SPOP), (0.8, SCAN), (1.5, TRANSFER), (5, MULTI), (1, GETKEYS), (1, MACRO), (3, SCRIPT)]
# With --scripts: about as often as all else together.
MANY_SCRIPTS = [(weight, choice) for weight, choice in SPECIAL if choice != SCRIPT] + [(150, SCRIPT)]
SPOILT = 0.04
# redis-server's SORT refuses weights where an earlier command left errno set, which reading a double resets.
RESETS_ERRNO = (["GEOSEARCH", "no such key", "FROMLONLAT", "1", "1", "BYRADIUS", "1", "m"], exact)


def is_forgotten(args):
    """What redis-server does and does not replicate: a BITFIELD that fails has made the string longer."""
    words = [str(word).upper() for word in args]
    return words[0] == "BITFIELD" and "FAIL" in words


class Plain:
    """Commands for both servers, with how each one's replies compare."""

    def __init__(self, commands):
        self.commands = commands


class Spop:
    def __init__(self, command):
        self.command = command


class Scan:
    def __init__(self, head, options):
        self.head, self.options = head, options


class Transfer:
    def __init__(self, source, destination, time, options, swiftlets, damaged):
        self.source, self.destination, self.time, self.options = source, destination, time, options
        self.swiftlets, self.damaged = swiftlets, damaged


class Generator:
    def __init__(self, seed, with_scripts=False):
        self.words = Words(seed)
        self.scripts = on_scripts.Scripts(self.words, self.plain)
        self.streams = on_streams.Streams(self.words)
        choices = [(row.weight, row) for row in ROWS] + (MANY_SCRIPTS if with_scripts else SPECIAL)
        self.choices = [choice for _, choice in choices]
        self.bounds = list(itertools.accumulate(weight for weight, _ in choices))
        self.plain_rows = ROWS
        self.plain_bounds = list(itertools.accumulate(row.weight for row in ROWS))
        waiting = [(row.weight / 2, row) for row in on_collections.WAITING]
        rows = [(row.weight, row) for row in ROWS] + waiting
        self.queued = [row for _, row in rows]
        self.queued_bounds = list(itertools.accumulate(weight for weight, _ in rows))
        # Whether redis-server must have replicated all that it did.
        self.is_replicated = False

    def restarted(self):
        """From now on nothing may depend on how values were laid out."""
        self.words.exact = True

    def command(self, row):
        w = self.words
        args = row.make(w)
        if row.spoil != INTACT and w.chance() < SPOILT:
            args = w.spoil(args, row.spoil == FREELY)
        if self.is_replicated and is_forgotten(args):
            args = ["BITFIELD_RO", *args[1:2]]
        how = row.how
        if w.exact and how is encoding:
            how = loose
        return args, how

    def plain(self):
        """A command that stands alone."""
        return self.command(self.drawn(self.plain_rows, self.plain_bounds))

    def commands(self, row):
        command = self.command(row)
        return [RESETS_ERRNO, command] if str(command[0][0]).upper().startswith("SORT") else [command]

    def drawn(self, choices, bounds):
        return choices[bisect.bisect(bounds, self.words.chance() * bounds[-1])]

    def unit(self):
        """What is to be done next; one or a few commands that belong together."""
        choice = self.drawn(self.choices, self.bounds)
        if isinstance(choice, Row):
            return Plain(self.commands(choice))
        w = self.words
        if choice == STREAMS:
            return Plain(self.streams.unit())
        if choice == SCRIPT:
            return Plain(self.scripts.unit())
        if choice == MULTI:
            return Plain(self.transaction())
        if choice == GETKEYS:
            args, _ = self.command(self.drawn(self.queued, self.queued_bounds))
            return Plain([(["COMMAND", "GETKEYS", *args], exact)])
        if choice == MACRO:
            return Plain([(args, exact) for args in w.choice(on_strings.MACROS)(w)])
        if choice == SPOP:
            return Spop(on_collections.spop(w))
        if choice == SCAN:
            return Scan(*on_keys.scan(w))
        return Transfer(*on_keys.transfer(w))

    def transaction(self):
        w = self.words
        unit = []
        if w.chance() < 0.3:
            unit.append((["WATCH", *w.some(w.any, 2)], exact))
            if w.chance() < 0.5:
                unit += self.commands(self.drawn(self.choices[: len(ROWS)], self.bounds[: len(ROWS)]))
            unit += [(["UNWATCH"], exact)] if w.chance() < 0.1 else []
        unit.append((["MULTI"], exact))
        queued = [q for _ in range(w.below(7)) for q in self.commands(self.drawn(self.queued, self.queued_bounds))]
        queued = [q for q in queued if str(q[0][0]).upper() != "DEBUG"]
        unit += [(args, exact) for args, _ in queued]
        if w.chance() < 0.05:
            unit.append((["DISCARD"], exact))
        else:
            unit.append((["EXEC"], Exec(queued)))
        return unit


def drawn_commands():
    """The names of all commands that come, in small letters."""
    generator = Generator("names")
    # Put together elsewhere.
    found = set("dump restore scan hscan sscan zscan spop watch unwatch multi exec discard".split())
    for row in ROWS + on_collections.WAITING:
        found |= {str(row.make(generator.words)[0]).lower() for _ in range(50)}
    for _ in range(3000):
        found |= {str(args[0]).lower() for args, _ in generator.streams.unit() + generator.scripts.unit()}
    return found
