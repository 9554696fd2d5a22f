"""A row of the tables: how often, how freely its arguments may be spoilt, how replies compare, and what makes it."""

from typing import Callable, NamedTuple

from compare import exact

# Spoiling. FREELY: any argument. ARITY: too many or few, as for times, which must stay far, and for what must not get
# into other keys. INTACT: never.
INTACT, ARITY, FREELY = range(3)


class Row(NamedTuple):
    weight: float
    make: Callable  # From Words to the command's words.
    how: Callable = exact
    spoil: int = FREELY


def arity(weight, make, how=exact):
    return Row(weight, make, how, ARITY)


def intact(weight, make, how=exact):
    return Row(weight, make, how, INTACT)
