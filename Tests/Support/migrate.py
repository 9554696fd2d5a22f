"""redis-migrate, as the tests run it."""

import os
import subprocess

import pytest

from oracle import ROOT


def migrate_binary():
    given = os.environ.get("SWIFTLET_MIGRATE")
    if given:
        return given
    built = [p for p in (ROOT / ".build").glob("*/redis-migrate") if p.is_file()]
    if not built:
        pytest.skip("redis-migrate is not built")
    return str(max(built, key=lambda p: p.stat().st_mtime))


def migrate(*arguments):
    return subprocess.run(
        [migrate_binary(), "to-sqlite", *map(str, arguments)], capture_output=True, text=True, timeout=120
    )


def tool(*arguments, timeout=300):
    """Any of its verbs."""
    return subprocess.run([migrate_binary(), *map(str, arguments)], capture_output=True, text=True, timeout=timeout)
