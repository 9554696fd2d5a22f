"""Mutated files of every kind that redis-migrate reads, packed ones too, given to the program itself: it reads them or refuses
them with a place, and never dies of a signal, hangs, or takes memory for what is not there. The seed is printed.

    make fuzz-tool [INPUTS=20000] [SEED=n]
"""

import argparse
import collections
import gzip
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests" / "Support"))

from data import CORPUS  # noqa: E402
from seed import new_seed  # noqa: E402

FILES = ["encodings.rdb", "redis_50_with_streams.rdb", "parser_filters.rdb", "small_v12.rdb"]
FORMS = {"rdb": [], "jsonl": [], "csv": [], "resp": [], "rdb.gz": [], "jsonl.zst": [], "rdb.zst": []}
SECONDS = 20
# Beyond twice the content: the program, its blocks and threads.
MEGABYTES = 150
EDGES = [b"\x00", b"\xff", b"\x80", b"\n", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"-", b"0", b"9", b"1e999", b"b64:", b"\\u",
         b"null", b"18446744073709551616", b"-9223372036854775809", b"\xc3", b"\xed\xa0\x80", b"*", b"$", b"\r\n"]  # fmt: skip
PLACE = re.compile(r"offset \d+|line \d+")


def mutated(rng, data, others):
    data = bytearray(data)
    for _ in range(1 if rng.random() < 0.7 else rng.randrange(2, 5)):
        if not data:
            break
        at = rng.randrange(len(data))
        match rng.randrange(9):
            case 0:
                data[at] = rng.randrange(256)
            case 1:
                data[at] ^= 1 << rng.randrange(8)
            case 2:
                data[at : at + 1] = rng.choice(EDGES)
            case 3:
                data[at:at] = rng.choice(EDGES) * rng.choice([1, 1, 2, 1000])
            case 4:
                del data[at : at + rng.randrange(1, 40)]
            case 5:
                del data[at:]
            case 6:
                data[at:at] = data[at : at + rng.randrange(1, 200)]
            case 7:
                digits = [i for i in range(max(0, at - 200), min(len(data), at + 200)) if 48 <= data[i] <= 57]
                if digits:
                    data[rng.choice(digits)] = 48 + rng.randrange(10)
            case _:
                other = rng.choice(others)
                start = rng.randrange(len(other))
                data[at : at + rng.randrange(20)] = other[start : start + rng.randrange(1, 100)]
    return bytes(data)


def run(migrate, arguments, scratch):
    """Exit code, stderr, seconds and megabytes."""
    with open(scratch / "stderr", "wb") as errors:
        began = time.monotonic()
        process = subprocess.Popen([migrate, *arguments], stdout=subprocess.DEVNULL, stderr=errors)
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() - began > SECONDS:
                process.kill()
            time.sleep(0.0005)
        process.returncode = os.waitstatus_to_exitcode(status)
    text = (scratch / "stderr").read_text(errors="replace")
    return process.returncode, text, time.monotonic() - began, usage.ru_maxrss / 1e3


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--migrate", required=True)
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--keep", help="where inputs that failed are put")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else new_seed()
    print(f"seed {seed}", flush=True)
    rng = random.Random(seed)
    keep = pathlib.Path(options.keep or tempfile.mkdtemp(prefix="swiftlet-fuzz-"))
    keep.mkdir(parents=True, exist_ok=True)
    counts, failures, largest, slowest = collections.Counter(), 0, 0, 0
    with tempfile.TemporaryDirectory(prefix="swiftlet-fuzz-") as scratch:
        scratch = pathlib.Path(scratch)
        for name in FILES:
            for form, made in FORMS.items():
                target = scratch / f"whole.{form}"
                subprocess.run(
                    [options.migrate, "convert", CORPUS / name, target, "--force", "--keep-expired"],
                    check=True,
                    capture_output=True,
                )
                made.append(target.read_bytes())
        for number in range(options.inputs):
            form = rng.choice(list(FORMS))
            whole = rng.choice(FORMS[form])
            data = mutated(rng, whole, FORMS[form])
            if form == "rdb.gz" and rng.random() < 0.5:
                # What is inside is damaged, not the packing.
                data = gzip.compress(mutated(rng, gzip.decompress(whole), FORMS["rdb"]), 1)
            path = scratch / f"input.{form}"
            path.write_bytes(data)
            verb = ["convert", path, "-", "--to", "json"] if number % 4 == 0 else ["verify", path]
            code, text, seconds, megabytes = run(options.migrate, verb, scratch)
            largest, slowest = max(largest, megabytes), max(slowest, seconds)
            outcome = {0: "read", 1: "refused"}.get(code, f"exit {code}")
            if code == 1 and not PLACE.search(text):
                outcome = "refused without a place"
            counts[form, outcome] += 1
            if code not in (0, 1) or seconds > SECONDS or megabytes > MEGABYTES:
                failures += 1
                kept = keep / f"{seed}-{number}.{form}"
                kept.write_bytes(data)
                print(
                    f"FAILED {kept}: {verb[0]} {outcome}, {seconds:.1f} s, {megabytes:.0f} MB: {text[-300:]}",
                    flush=True,
                )
            elif outcome == "refused without a place" and counts[form, outcome] <= 3:
                print(f"{form}: {text.strip()[-200:]}", flush=True)
    for (form, outcome), count in sorted(counts.items()):
        print(f"{form:10} {outcome:24} {count}")
    print(f"{options.inputs} inputs, {failures} failures; at most {largest:.0f} MB, {slowest:.2f} s; seed {seed}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
