"""The programs of Tests/scripting/hostile over a socket: each ends, the server stays, and the next script is none the worse.

All run on the host alone (LuaHostileTests); here a sample, which a seed determines. SWIFTLET_HOSTILE=all has all run.
"""

import os
import pathlib
import random
import threading

from oracle import new_seed, start_swiftlet
from waiting import wait_until

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "scripting" / "hostile"
SAMPLE = 60


def programs():
    lines = [line for file in sorted(FOLDER.glob("*.lua")) for line in file.read_text().splitlines()]
    return [line for line in lines if line and not line.startswith("-- ")]


def resident(pid):
    """In bytes."""
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Killer(threading.Thread):
    """Kills whatever script is busy."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.connection = server.connect()
        self.stopped = threading.Event()

    def run(self):
        while not self.stopped.wait(0.02):
            self.connection.call("SCRIPT", "KILL")


def test_each_program_ends():
    chosen = programs()
    if os.environ.get("SWIFTLET_HOSTILE") != "all":
        chosen = random.Random(new_seed()).sample(chosen, SAMPLE)
    server = start_swiftlet("--busy-reply-threshold", "20")
    killer = Killer(server)
    killer.start()
    try:
        connection = server.connect()
        for program in chosen:
            assert connection.call("EVAL", program, 1, "k", "a"), program
            assert connection.call("EVAL", "return {KEYS[1], #ARGV, string.rep('x', 2)}", 1, "k") == (
                b"*3\r\n$1\r\nk\r\n:0\r\n$2\r\nxx\r\n"
            ), program
            # What Lua may hold, once more for a reply, and what the server had.
            assert resident(server.process.pid) < 3 << 30, program
    finally:
        killer.stopped.set()
        killer.join()
        wait_until(lambda: server.connect().call("PING") == b"+PONG\r\n")
        server.stop()
