"""Streams with groups. Most commands are those of test_streams.Writer."""

from compare import exact, info, pending
from rows import Row, arity
from stream_writer import MAKES_CONSUMER, Writer
from words import STREAMS

GROUPS, CONSUMERS = ["g", "h", "group"], ["a", "b", "consumer"]


class Streams:
    """Commands on streams from the source of chance of `words`."""

    def __init__(self, words):
        self.words = words
        self.writer = Writer(0)
        self.writer.random = words.random

    def unit(self):
        """Commands with how they compare. Consumers that 7.2 makes and 7.0 does not are made before."""
        w = self.words
        self.writer.exact = w.exact
        command = self.writer.command()
        unit = []
        if command[0] in MAKES_CONSUMER:
            unit.append((["XGROUP", "CREATECONSUMER", *MAKES_CONSUMER[command[0]](command)], exact))
        if w.chance() < 0.04 and command[0] not in MAKES_CONSUMER and command[0] != "XSETID":
            command = w.spoil(
                [x if isinstance(x, bytes) else str(x) for x in command], command[0] not in ("XINFO", "XADD")
            )
            if w.exact and "~" in command:
                return []
        unit.append((command, info if command[0].upper() == "XINFO" else exact))
        return unit


def stream(w):
    return w.choice(STREAMS) if w.chance() < 0.93 else w.any()


def id(w):
    return w.choice(["-", "+", "0", f"{w.below(400)}-{w.below(3)}", f"({w.below(400)}", w.below(500)])


ROWS = [
    Row(2, lambda w: ["XPENDING", stream(w), w.choice(GROUPS), *w.maybe(0.1, "IDLE", 0), id(w), id(w), w.count(), *w.maybe(0.4, w.choice(CONSUMERS))], pending),
    Row(2, lambda w: ["XRANGE", stream(w), id(w), id(w), *w.maybe(0.5, "COUNT", w.count())]),
    Row(1, lambda w: ["XREVRANGE", stream(w), id(w), id(w), *w.maybe(0.5, "COUNT", w.count())]),
    Row(1, lambda w: ["XLEN", stream(w)]),
    Row(1, lambda w: ["XDEL", stream(w), *w.some(lambda: f"{w.below(400)}-{w.below(3)}", 5)]),
    Row(1, lambda w: ["XACK", stream(w), w.choice(GROUPS), *w.some(lambda: f"{w.below(400)}-{w.below(3)}", 5)]),
    arity(1, lambda w: ["XADD", stream(w), "NOMKSTREAM", f"{w.between(300, 900)}-{w.below(3)}", "f", w.value()]),
    Row(1, lambda w: ["XGROUP", w.choice(["CREATE", "SETID"]), stream(w), w.choice(GROUPS), w.choice(["0", "$", f"{w.below(400)}-1"]), *w.maybe(0.3, "MKSTREAM"), *w.maybe(0.3, "ENTRIESREAD", w.between(-1, 50))]),
    Row(0.5, lambda w: ["XGROUP", "CREATECONSUMER", stream(w), w.choice(GROUPS), w.choice(CONSUMERS)]),
    Row(0.5, lambda w: ["XGROUP", "DELCONSUMER", stream(w), w.choice(GROUPS), w.choice(CONSUMERS)]),
    Row(0.3, lambda w: ["DEL", w.choice(STREAMS)]),
]  # fmt: skip
