"""Libraries' own tests, out of their source distributions: what `run.py` has beside programs that use them.

`run.py --server redis-server` is the control: what is left out below, and is not said to be of our server, fails there as well.
"""

import os
import pathlib
import re
import subprocess
import sys
import tarfile

HERE = pathlib.Path(__file__).resolve().parent

# As its tests name it: the class whose tests these are.
COMMANDS = "tests/test_commands.py::TestRedisCommands::"
# Each: the distribution, what its tests need besides, arguments of pytest, and what is left out, with the reason.
SUITES = {
    "redis_py_tests": (
        "redis",
        ["hiredis", "pytest-asyncio", "ujson", "numpy", "xxhash", "pybreaker", "cryptography"],
        [f"tests/test_{part}.py" for part in "commands pipeline pubsub lock scripting monitor encoding".split()]
        + ["tests/test_function.py", "tests/test_hash.py"]
        + ["-m", "not onlycluster and not redismod and not ssl and not replica"],
        {
            "our server has no ACL users but 'default'": [
                COMMANDS + test
                for test in "test_acl_deluser test_acl_dryrun test_acl_list test_auth test_client_kill_filter_by_user".split()
            ],
            "fails with redis-server 7.0.15 too, which is older than the tests": [
                COMMANDS + test
                for test in "test_acl_getuser_setuser test_acl_log test_xgroup_create_entriesread".split()
            ],
        },
    ),
    # The rest of its tests are of other stores.
    "huey_tests": (
        "huey",
        ["redis"],
        [f"huey/tests/test_{part}.py" for part in "storage helpers api priority mini asyncio wrappers".split()]
        + [f"huey/tests/test_{part}.py" for part in "stats utils consumer".split()],
        {},
    ),
    "arq_tests": (
        "arq",
        # Its fixtures are those of pytest-asyncio before 1.
        ["pytest-asyncio<1", "pytest-mock", "dirty-equals", "msgpack", "watchfiles", "pydantic", "pytz", "tzdata"],
        # Warnings of newer libraries are errors for it.
        ["tests", "-o", "filterwarnings=", "-o", "asyncio_default_fixture_loop_scope=function"],
        {},
    ),
    "channels_redis_tests": (
        "channels-redis",
        ["cryptography", "pytest-asyncio", "async-timeout"],
        ["tests"],
        {"they need Sentinel": ["tests/test_sentinel.py", "tests/test_pubsub_sentinel.py"]},
    ),
    "django_redis_tests": (
        "django-redis",
        ["pytest-django", "pytest-mock", "pytest-xdist", "msgpack", "lz4"],
        # One process has one of its settings: the plain one.
        ["tests", "-o", "addopts=", "-n", "0", "-k", "not sqlite_"],
        {},
    ),
}


def unpacked(distribution, needs, folder):
    """The folder of a distribution's sources; an environment has the same version, and what its tests need."""
    if not (folder / "complete").exists():
        interpreter = folder / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [interpreter, "-m", "pip"]
        download = [
            *pip,
            "download",
            "-q",
            "--no-deps",
            "--no-binary",
            distribution,
            "-d",
            folder / "sdist",
            distribution,
        ]
        subprocess.run(download, check=True)
        (archive,) = (folder / "sdist").glob("*.tar.gz")
        subprocess.run([*pip, "install", "-q", "pytest", archive, *needs], check=True)
        with tarfile.open(archive) as contents:
            contents.extractall(folder / "sources", filter="data")
        (folder / "complete").touch()
    (sources,) = (folder / "sources").iterdir()
    return sources


def try_suite(name, environments, environment):
    distribution, needs, arguments, left_out = SUITES[name]
    folder = environments / name
    sources = unpacked(distribution, needs, folder)
    tests = [test for group in left_out.values() for test in group]
    arguments = [*arguments, *(f"--deselect={test}" for test in tests)]
    result = subprocess.run(
        [folder / "bin" / "python", "-m", "pytest", "-q", "--tb=line", "-rfE", *arguments],
        env={
            **os.environ,
            **environment,
            # Programs that the library installs are called by name.
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            # The sources: tests that are in no package import each other.
            "PYTHONPATH": f"{HERE / 'redirected'}:{sources}",
        },
        capture_output=True,
        text=True,
        timeout=300,
        cwd=sources,
    )
    lines = result.stdout.strip().splitlines()
    counts = {
        what: int(count)
        for count, what in re.findall(r"(\d+) (passed|failed|error|skipped)", lines[-1] if lines else "")
    }
    passed, ran = counts.get("passed", 0), sum(count for what, count in counts.items() if what != "skipped")
    said = f"its own tests: {passed} of {ran}, {counts.get('skipped', 0)} skipped, {len(tests)} left out by name"
    # None at all is no success: the tests may have found no server.
    passes = result.returncode == 0 and passed > 0
    if not passes:
        failures = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
        said += ": " + " / ".join((failures or [*lines, *result.stderr.strip().splitlines()])[-8:])
    return passes, sources.name.replace("-", " ").replace("_", "-"), said
