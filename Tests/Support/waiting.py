"""Waiting for a condition, which tests do where they cannot be told."""

import time


def wait_until(condition, timeout=20):
    """The first true value of `condition()`; fails when there is none in time."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
    return value
