"""The places where Tests/mutants plants bugs are there, each once: it is run seldom, and the sources go on."""

import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests" / "mutants"))

from run import MUTANTS  # noqa: E402


@pytest.mark.parametrize("number, bug", MUTANTS, ids=[str(number) for number, _ in MUTANTS])
def test_place_is_there(number, bug):
    assert (ROOT / "Sources" / bug.file).read_text().count(bug.old) == 1, bug.name
