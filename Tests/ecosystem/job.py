"""What a job of any queue does: it notes that it ran. Programs import it, with their own Python."""

import os
import pathlib
import sys
import time

URL = os.environ["REDIS_URL"]
FOLDER = pathlib.Path(os.environ["LEDGER"])


def note(number):
    """A byte for each run, which is there whatever becomes of this process."""
    with open(FOLDER / str(number), "ab", buffering=0) as ledger:
        ledger.write(b".")


def has_run(number):
    return (FOLDER / str(number)).exists()


def produce(enqueue):
    """`program produce first last`: says of each job whether the library took it, or with which error it did not."""
    for number in range(int(sys.argv[2]), int(sys.argv[3])):
        try:
            enqueue(number)
        except Exception as error:
            print(f"{number} unknown {type(error).__name__}", flush=True)
            time.sleep(0.05)
        else:
            print(f"{number} taken", flush=True)
