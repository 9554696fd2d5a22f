"""Writers under load and what they know: which of their requests were acknowledged, when, and which of them a server that
was killed or cut off from power still has.

Each writer has keys of its own, so that what is found must be what some number of its requests made, from the first on:
a prefix of its history. The prefixes of all writers must fit together: when a request was sent after another had been
acknowledged, it cannot be there without that one.
"""

import random
import threading
import time

from operations import BRIEF_KEYS, KINDS, OK, QUEUED, Requests, array
from resp import integer
from values import read

WRITERS = 8
UPHEAVALS = b"upheavals"
DATABASES = 2
SHORT, LONG = 40, 1500  # elements of a collection
LONG_WRITERS = (0, 5)  # the others' collections are short


def brief(command):
    shown = [
        a if isinstance(a, str) else a.decode(errors="replace") if isinstance(a, bytes) else str(a) for a in command
    ]
    shown = [a if len(a) < 60 else f"{a[:60]}… ({len(a)} bytes)" for a in shown]
    return " ".join(shown[:8]) + (f" … ({len(shown)} arguments)" if len(shown) > 8 else "")


class Step:
    """A request in a writer's history. Times are monotonic; `acknowledged` is None without a reply."""

    __slots__ = ("request", "sent", "acknowledged")

    def __init__(self, request):
        self.request, self.sent, self.acknowledged = request, time.monotonic(), None


class Upheaval:
    """FLUSHALL or SWAPDB 0 1, in the place of a request: a step of every writer's history. It leaves its number in
    database 0, as a writer without keys would not show whether it is there."""

    shared = False

    def __init__(self, number, *command):
        self.number = number
        self.empties = command[0] == "FLUSHALL"
        self.commands = [("MULTI",), command, ("SET", UPHEAVALS, number), ("EXEC",)]
        self.replies = [OK, QUEUED, QUEUED, array(OK, OK)]


class Writer(Requests):
    """A connection's own keys as they will be when all that was sent is executed, and how they came to be so."""

    def __init__(self, number):
        self.index = number
        self.name = b"w%d" % number
        self.length = LONG if number in LONG_WRITERS else SHORT
        # Writers of the same group share a counter and stay in the same database.
        self.group = self.database = number % DATABASES
        self.shared = b"shared:%d" % self.group
        self.sequence = 0
        self.rng = random.Random(0)
        self.lock = threading.Lock()  # while a request of it is on its way
        self.start({}, self.database)

    def start(self, keys, database):
        """A round begins, with what was found."""
        self.base, self.base_database = keys, database
        self.keys, self.database = dict(keys), database
        self.history = []
        self.highest_shared = 0

    def apply(self, request, keys, database):
        """Changes `keys`; returns the database where they are then, and those that changed."""
        if isinstance(request, Upheaval):
            if request.empties:
                changed = list(keys)
                keys.clear()
                return database, changed
            return 1 - database, None
        for key, value in request.changes.items():
            keys.pop(key, None)
            if value is not None and (value.kind in ("string", "stream") or value.content):
                keys[key] = value
        return database, request.changes

    def run(self, connection, rng, model):
        """Writes until the server is gone."""
        self.rng = rng
        selected = None
        try:
            while True:
                with self.lock:
                    if selected != self.database:
                        connection.call("SELECT", self.database)
                        selected = self.database
                    self.sequence += 1
                    request = rng.choice(KINDS)(self)
                    step = Step(request)
                    self.history.append(step)
                    replies = connection.pipeline(request.commands)
                    if not self.check(request, replies, model):
                        return
                    step.acknowledged = time.monotonic()
                    self.apply(request, self.keys, self.database)
        except OSError:
            pass
        finally:
            connection.close()

    def check(self, request, replies, model):
        """Whether the request was acknowledged. Once the disk is gone errors are in order."""
        for command, reply, expected in zip(request.commands, replies, request.replies):
            if expected is None:
                expected = b"a higher number"
                if reply[:1] == b":" and integer(reply) > self.highest_shared:
                    expected, self.highest_shared = reply, integer(reply)
            if reply != expected:
                if not (model.is_ending and reply[:1] == b"-"):
                    model.report(f"{brief(command)}: the reply was {reply[:200]!r}, not {expected[:200]!r}")
                return False
        return True


class Settled:
    """How much of a writer's history is there: after which numbers of steps its keys were as they were found. There are
    several where steps change nothing that shows."""

    def __init__(self, writer, fits, keys):
        self.writer, self.fits, self.keys = writer, fits, keys
        self.history = writer.history

    @property
    def least(self):
        """So many steps are there for sure."""
        return self.fits[0][0]

    @property
    def most(self):
        return self.fits[-1][0]

    @property
    def database(self):
        return self.fits[-1][1]

    @property
    def lost(self):
        """Acknowledged steps that are not there for sure."""
        return [step for step in self.history[self.most :] if step.acknowledged is not None]


class Model:
    """All writers. Violations are printed as they are found."""

    def __init__(self, seed):
        self.seed = seed
        self.writers = [Writer(n) for n in range(WRITERS)]
        self.counters = [0] * DATABASES  # each group's, as found last
        self.upheavals = self.mark = 0  # sent, and found last
        self.violations = []
        self.round = 0
        self.acknowledged = 0
        self.is_ending = False
        self.failed = threading.Event()

    def report(self, what):
        self.violations.append(what)
        self.failed.set()
        print(f"VIOLATION in round {self.round} (seed {self.seed}): {what}", flush=True)

    def begin(self):
        self.round += 1
        self.is_ending = False

    def rng(self, what):
        return random.Random(f"{self.seed} {self.round} {what}")

    def threads(self, connect):
        """Of the writers, not started."""
        return [
            threading.Thread(target=w.run, args=(connect(), self.rng(w.name), self), daemon=True) for w in self.writers
        ]

    def upheaval(self, connection, *command):
        """FLUSHALL or SWAPDB, while no request of a writer is on its way."""
        for writer in self.writers:
            writer.lock.acquire()
        try:
            self.upheavals += 1
            step = Step(Upheaval(self.upheavals, *command))
            for writer in self.writers:
                writer.history.append(step)
            replies = connection.pipeline(step.request.commands)
            if replies != step.request.replies:
                if not self.is_ending:
                    self.report(f"{brief(command)}: {replies!r}")
                return
            step.acknowledged = time.monotonic()
            for writer in self.writers:
                writer.database, _ = writer.apply(step.request, writer.keys, writer.database)
                if step.request.empties:
                    writer.highest_shared = 0
        finally:
            for writer in self.writers:
                writer.lock.release()

    # After a restart.

    def settle(self, connection):
        """Reads what is there, finds each writer's place in its history, and goes on from there. Returns Settled for
        each writer, or None after a violation."""
        found = [read(connection, database) for database in range(DATABASES)]
        for database, keys in enumerate(found):
            connection.call("SELECT", database)
            size = integer(connection.call("DBSIZE"))
            # Keys that are about to expire, or have and are not removed yet, count or do not.
            expiring = sum(1 for key in keys if b":brief:" in key)
            if not len(keys) - expiring <= size <= len(keys) + BRIEF_KEYS * WRITERS - expiring:
                self.report(f"DBSIZE of database {database} is {size}, and there are {len(keys)} keys")
        mark = found[0].pop(UPHEAVALS, None)
        found[1].pop(UPHEAVALS, None)
        mark = int(mark.content) if mark else 0
        owned = [{} for _ in self.writers]
        counters = {}
        for database, keys in enumerate(found):
            for key, value in keys.items():
                prefix = key.split(b":")[0]
                if prefix == b"shared":
                    counters[key, database] = value
                elif prefix[:1] == b"w" and prefix[1:].isdigit() and int(prefix[1:]) < len(owned):
                    owned[int(prefix[1:])][database, key] = value
                else:
                    self.report(f"{key!r} in database {database} was never written")
        settled = [self.place(writer, owned[writer.index], mark) for writer in self.writers]
        if None in settled or self.violations:
            return None
        self.compare(settled)
        for group in range(DATABASES):
            self.count(group, [s for s in settled if s.writer.group == group], counters)
        if counters:
            self.report(f"counters where none can be: {counters}")
        self.acknowledged += sum(1 for w in self.writers for step in w.history if step.acknowledged is not None)
        self.mark = mark
        for s in settled:
            s.writer.start(s.keys, s.database)
        return None if self.violations else settled

    def place(self, writer, found, mark):
        """The numbers of steps after which the writer's keys were `found`, with `mark` upheavals, as Settled."""
        now = time.time() * 1000
        keys, database = dict(writer.base), writer.base_database

        def differs(key):
            expected, there = keys.get(key), found.get((database, key))
            if expected == there:
                return False
            return not (there is None and 0 <= expected.expires < now)

        def all_that_differ():
            strays = {key for d, key in found if d != database}
            return strays | {k for k in keys.keys() | {key for _, key in found} if differs(k)}

        different = all_that_differ()
        fits, fewest = [], (len(different), 0, set(different))
        last = self.mark
        for at, step in enumerate([None, *writer.history]):
            if step:
                database, changed = writer.apply(step.request, keys, database)
                if changed is None:
                    different = all_that_differ()
                for key in changed or ():
                    (different.add if differs(key) else different.discard)(key)
                if isinstance(step.request, Upheaval):
                    last = step.request.number
            if not different and last == mark:
                fits.append((at, database))
            elif len(different) <= fewest[0]:
                fewest = (len(different), at, set(different))
        if fits:
            return Settled(writer, fits, {key: value for (_, key), value in found.items()})
        self.explain(writer, found, *fewest[1:])
        return None

    def explain(self, writer, found, at, different):
        """No prefix of a writer's history makes what was found."""
        history = writer.history
        acknowledged = sum(1 for step in history if step.acknowledged is not None)
        lines = [
            f"{writer.name.decode()}: what is there is no prefix of its {len(history)} requests ({acknowledged} "
            f"acknowledged); nearest is the state after {at}, but for {len(different)} keys"
        ]
        for key in sorted(different)[:4]:
            there = {d: value for (d, k), value in found.items() if k == key}
            keys, database, versions = dict(writer.base), writer.base_database, []
            for i, step in enumerate([None, *history]):
                if step:
                    database, _ = writer.apply(step.request, keys, database)
                if keys.get(key) == there.get(database):
                    versions.append(i)
            lines.append(f"    {key!r} is {there}; it was so after {versions[:3]} … {versions[-3:]}")
            lines.append(f"        and in the end {keys.get(key)} in database {database}")
        for i in range(max(at - 2, 0), min(at + 3, len(history))):
            lines.append(f"    {i + 1}: " + "; ".join(map(brief, history[i].request.commands)))
        self.report("\n".join(lines))

    def compare(self, settled):
        """The writers' prefixes must be one prefix of what the server executed."""
        present = [step for s in settled for step in s.history[: s.least]]
        missing = [(s, step) for s in settled for step in s.history[s.most :]]
        latest = max(present, key=lambda step: step.sent, default=None)
        for s, step in missing:
            shown = "; ".join(map(brief, step.request.commands))
            if latest and step.acknowledged is not None and step.acknowledged < latest.sent:
                later = "; ".join(map(brief, latest.request.commands))
                self.report(
                    f"a hole: {shown} of {s.writer.name.decode()} is missing, and {later}, sent "
                    f"{(latest.sent - step.acknowledged) * 1000:.1f} ms after it was acknowledged, is there"
                )
                return

    def count(self, group, settled, counters):
        """A counter that many raise is neither behind nor ahead of them."""
        database = settled[0].database
        value = counters.pop((b"shared:%d" % group, database), None)
        found = int(value.content) if value else 0
        low = high = self.counters[group]
        for s in settled:
            # After the last FLUSHALL, if any.
            for step in s.history[: s.most]:
                if isinstance(step.request, Upheaval) and step.request.empties:
                    low = high = 0
        for s in settled:
            begin = 0
            for at, step in enumerate(s.history[: s.most]):
                if isinstance(step.request, Upheaval) and step.request.empties:
                    begin = at + 1
            steps = [at for at in range(begin, s.most) if s.history[at].request.shared]
            low += sum(1 for at in steps if at < s.least)
            high += len(steps)
        if not low <= found <= high:
            self.report(f"the counter of group {group} is {found}, not from {low} to {high}")
        self.counters[group] = found
