"""Random commands over all data types, compared with redis-server: Tests/differential/run.py in a run that is short.

SWIFTLET_SEED gives other commands than the usual ones. `make differential` runs long.
"""

import os
import pathlib
import subprocess
import sys

import pytest

from migrate import migrate_binary
from oracle import swiftlet_binary
from resp import bulks
from seed import new_seed

DIFFERENTIAL = pathlib.Path(__file__).resolve().parents[1] / "differential"
COMMANDS = 200_000


@pytest.mark.parametrize("options, commands", [([], COMMANDS), (["--scripts"], COMMANDS // 4)], ids=["", "scripts"])
def test_no_difference(options, commands):
    if swiftlet_binary() is None:
        pytest.skip("swiftlet-server is not built")
    seed = new_seed()
    run = subprocess.run(
        [sys.executable, str(DIFFERENTIAL / "run.py"), *options, "--commands", str(commands), "--seed", str(seed)],
        env={**os.environ, "SWIFTLET_SERVER": swiftlet_binary(), "SWIFTLET_MIGRATE": migrate_binary()},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout
    assert run.stdout.count(" no difference") == 2, run.stdout


def test_every_command_is_tried(swiftlet):
    from differences import NO_DATA
    from generator import drawn_commands

    there = {name.decode() for name in bulks(swiftlet.call("COMMAND", "LIST")) if b"|" not in name}
    assert there - NO_DATA - drawn_commands() == set()
