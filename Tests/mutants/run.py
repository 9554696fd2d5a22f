"""Plants bugs in the server, one at a time, and says which tests catch each: run.py [NAME or NUMBER ...] [--jobs N] [--all]

Copies the tree to .build/mutants, where each place of the lists beside this file becomes a switch at run time, and builds
it once; the environment variable SWIFTLET_MUTANT then names the bug that is on. The product has none of this. The tests
that a list names for a bug run first; if none of them fails, all tests run. At least 95 of 100 bugs must be caught.

A test is written so: `unit Suite` is a filter for the unit tests; `lists` is Tests/clients/test_lists.py, `lists::test_x`
one test in it; `small` before either has them run with small structures.
"""

import argparse
import concurrent.futures
import itertools
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time

import clients
import commands
import encryption
import following
import remote
import replicating
import scripting
import server
import sql
import storage
import tracking

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRATCH = ROOT / ".build" / "mutants"
TREE = SCRATCH / "tree"
BUILT = SCRATCH / "build"
NEEDED = 0.95
TIMEOUT = 240  # seconds for a test file; who takes longer than that has been caught
MODULES = (storage, server, commands, replicating, following, tracking, scripting, encryption, clients, sql, remote)
MUTANTS = list(enumerate(itertools.chain.from_iterable(module.MUTANTS for module in MODULES), 1))

SWITCH = """import Glibc

/// The bug that is switched on: SWIFTLET_MUTANT.
public enum Mutant {
    public static let number = getenv("SWIFTLET_MUTANT").flatMap { Int32(String(cString: $0)) } ?? 0
    public static func isOn(_ mutant: Int32) -> Bool { number == mutant }
}
"""


def plant():
    """Copies what is in git, as it is in the work tree, and makes the switches. Files keep their times where nothing has
    changed, so that the next build is short."""
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z", "Sources", "Tests", "schema", "Package.swift"],
        cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True,
    )  # fmt: skip
    texts = {name: (ROOT / name).read_bytes() for name in files.stdout.split("\0") if name and (ROOT / name).is_file()}
    wrong = []
    for number, bug in MUTANTS:
        path = "Sources/" + bug.file
        text = texts.get(path, b"").decode()
        if text.count(bug.old) != 1:
            wrong.append(f"{bug.name}: its text stands {text.count(bug.old)} times in {path}")
            continue
        new = re.sub(r"\bON\b", f"Mutant.isOn({number})", bug.new)
        text = text.replace(bug.old, new)
        if "Storage/" not in path and "import Storage\n" not in text:
            text = "import Storage\n" + text
        texts[path] = text.encode()
    if wrong:
        sys.exit("\n".join(wrong))
    texts["Sources/Storage/Base/Mutant.swift"] = SWITCH.encode()
    for path in [p for p in TREE.rglob("*") if p.is_file()] if TREE.exists() else []:
        if str(path.relative_to(TREE)) not in texts:
            path.unlink()
    for name, text in texts.items():
        path = TREE / name
        if not path.exists() or path.read_bytes() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text)


def build():
    command = ["swift", "build", "--build-tests", "--package-path", str(TREE), "--scratch-path", str(BUILT)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if "error:" in line]
        sys.exit("\n".join(dict.fromkeys(lines) or done.stdout.splitlines()[-20:]))


def command_of(test):
    """Command line and environment of a test, as the lists write them."""
    *kinds, name = test.split()
    environment = {"SWIFTLET_SMALL_STRUCTURES": "1"} if "small" in kinds else {}
    if "unit" in kinds:
        binary = BUILT / "debug" / "swiftletPackageTests.xctest"
        filters = ["--filter", name] if name != "*" else []
        return [str(binary), "--testing-library", "swift-testing", *filters], environment
    file, _, case = name.partition("::")
    path = str(ROOT / "Tests" / "clients") if file == "*" else str(ROOT / "Tests" / "clients" / f"test_{file}.py")
    # What is left out measures a release build.
    left_out = ROOT / "Tests" / "clients" / "test_allocations.py"
    python = [sys.executable, "-m", "pytest", "-q", "-x", "-rf", "-p", "no:cacheprovider", "--ignore", str(left_out)]
    return [*python, path + ("::" + case if case else "")], environment


def failures(number, test):
    """Names of the tests that failed; the empty list: none did."""
    command, environment = command_of(test)
    environment = {
        **os.environ, **environment,
        "SWIFTLET_SEED": os.environ.get("SWIFTLET_SEED", "20261123"),
        "SWIFTLET_MUTANT": str(number),
        "SWIFTLET_SERVER": str(BUILT / "debug" / "swiftlet-server"),
        "SWIFTLET_MIGRATE": str(BUILT / "debug" / "redis-migrate"),
    }  # fmt: skip
    limit = TIMEOUT * (10 if test.endswith("*") else 1)
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    ) as process:
        try:
            text = process.communicate(timeout=limit)[0].decode(errors="replace")
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            return [f"{test}: over {limit} s"]
    if process.returncode == 0:
        return []
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    found = re.findall(r"^(?:FAILED|ERROR) (?:.*/)?(test_\S+)", text, re.M)
    found += re.findall(r"✘ Test (\w+)", text)
    return list(dict.fromkeys(found)) or [f"{test}: ended with {process.returncode}"]


def check_sound(tests, jobs):
    """With no bug switched on the tests pass: else what they catch says nothing."""
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        found = [name for names in pool.map(lambda test: failures(0, test), tests) for name in names]
    if found:
        sys.exit("with no bug switched on these tests fail:\n" + "\n".join(found))


def caught_by(number, bug, everything):
    for test in [*bug.tests, *(["unit *", "*"] if everything else [])]:
        if found := failures(number, test):
            return found
    return []


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("which", nargs="*", help="names or numbers of bugs; none: all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--named-only", action="store_true", help="do not go on to all tests")
    parser.add_argument("--unchecked", action="store_true", help="the tests are known to pass with no bug switched on")
    options = parser.parse_args()
    chosen = [(n, bug) for n, bug in MUTANTS if not options.which or {bug.name, str(n)} & set(options.which)]
    if not chosen:
        sys.exit("no such bug")
    SCRATCH.mkdir(parents=True, exist_ok=True)
    plant()
    build()
    if not options.unchecked:
        check_sound(sorted(set(itertools.chain(*(bug.tests for _, bug in chosen)))), options.jobs)
    lock, results = threading.Lock(), {}

    def run(pair):
        number, bug = pair
        began = time.monotonic()
        found = caught_by(number, bug, not options.named_only)
        with lock:
            results[bug.name] = found
            how = ", ".join(found[:3]) if found else "NOT CAUGHT"
            print(f"{number:3} {bug.name:40} {time.monotonic() - began:5.0f} s  {how}", flush=True)

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(run, chosen))
    escaped = [name for name, found in results.items() if not found]
    print(f"{len(results) - len(escaped)} of {len(results)} bugs were caught.", *escaped, sep="\n  not: ")
    return 1 if len(results) - len(escaped) < NEEDED * len(results) else 0


if __name__ == "__main__":
    if shutil.which("swift") is None:
        sys.exit("swift is not installed")
    sys.exit(main())
