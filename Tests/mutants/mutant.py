"""What a mutant is: a bug that is planted at a place of the sources, and the tests that are expected to catch it."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """In `file`, a path below Sources, the text `old`, which stands there once, is replaced by `new`, in which ON is true
    while the bug is switched on. `tests` run first, see `run.py` for how they are written."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple


def mutant(name, file, old, new, *tests):
    return Mutant(name, file, old, new, tests)
