"""A few rounds of Tests/crash/crash.py; `make crash` runs many."""

import pathlib
import subprocess
import sys

import pytest

from oracle import swiftlet_binary
from seed import new_seed

SCRIPT = pathlib.Path(__file__).resolve().parents[1] / "crash" / "crash.py"


@pytest.mark.parametrize("appendfsync, rounds", [("always", 15), ("everysec", 5)])
def test_nothing_acknowledged_is_lost(appendfsync, rounds):
    binary = swiftlet_binary()
    if binary is None:
        pytest.skip("swiftlet-server is not built")
    seed = new_seed()
    run = subprocess.run(
        [sys.executable, SCRIPT, "--server", binary, "--rounds", str(rounds), "--seed", str(seed),
         "--appendfsync", appendfsync],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout
    assert f"seed {seed}: {rounds} rounds" in run.stdout and " 0 violations" in run.stdout, run.stdout
