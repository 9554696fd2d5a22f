"""Short runs of what stands in Tests/replication; `make replication`, `make replication-chaos` and `make sentinel` run long."""

import os
import pathlib
import subprocess
import sys

import pytest

from migrate import migrate_binary
from oracle import swiftlet_binary
from seed import new_seed

TESTS = pathlib.Path(__file__).resolve().parents[1]
CHAINS = ["swiftlet,swiftlet,swiftlet", "swiftlet,redis,redis", "redis,swiftlet,redis", "redis,redis,swiftlet"]


def begin(script, *options):
    if swiftlet_binary() is None:
        pytest.skip("swiftlet-server is not built")
    return subprocess.Popen(
        [sys.executable, TESTS / script, *map(str, options), "--seed", str(new_seed())],
        env={**os.environ, "SWIFTLET_SERVER": swiftlet_binary()},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def end(process, timeout=240):
    """It must have succeeded."""
    said, _ = process.communicate(timeout=timeout)
    assert process.returncode == 0, said


def run(script, *options):
    end(begin(script, *options))


def test_chains():
    """A full sync under load, partial ones after cuts, and all that is hard to replicate. At once, as they mostly wait."""
    begun = [begin("replication/matrix.py", "--keys", 900, "--brief", "--chain", chain) for chain in CHAINS]
    for process in begun:
        end(process)


def test_chaos():
    run("replication/chaos.py", "--rounds", 10, "--game", 2)


def test_failover_by_sentinels():
    run("replication/sentinel.py", "--failovers", 1)


def test_replicas_of_random_commands(monkeypatch):
    monkeypatch.setenv("SWIFTLET_MIGRATE", migrate_binary())
    run("differential/run.py", "--commands", 30_000, "--replicas")
