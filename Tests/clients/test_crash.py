"""A few rounds of Tests/crash/crash.py; `make crash` runs many."""

import pathlib
import random
import subprocess
import sys

import pytest

from oracle import swiftlet_binary

SCRIPT = pathlib.Path(__file__).resolve().parents[1] / "crash" / "crash.py"


def test_nothing_acknowledged_is_lost():
    binary = swiftlet_binary()
    if binary is None:
        pytest.skip("swiftlet-server is not built")
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    run = subprocess.run(
        [sys.executable, SCRIPT, "--server", binary, "--rounds", "12", "--seed", str(seed)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout
    assert f"seed {seed}: 12 rounds" in run.stdout and " 0 violations" in run.stdout, run.stdout
