"""The seed of whatever is random in a test: one variable, SWIFTLET_SEED, for Python and Swift.

`make test` sets it, so that a change is not refused for what it did not change; without it every run tries something else.
"""

import os
import random


def chosen_seed():
    """$SWIFTLET_SEED, or a random number."""
    return int(os.environ.get("SWIFTLET_SEED") or random.randrange(1 << 32))


def new_seed(number=0):
    """The seed of a test, printed. `number` tells apart the runs of a test that has several."""
    seed = chosen_seed()
    print(f"SWIFTLET_SEED={seed}")
    return seed + number


def seeded(number=0):
    """Random numbers from `new_seed`."""
    return random.Random(new_seed(number))
