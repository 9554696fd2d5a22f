"""Real programs and libraries against a server: `make ecosystem`.

Each has a virtual environment of its own, with what PyPI has of it. Job queues run jobs while the server is killed (SIGKILL,
`appendfsync always`) and started again: every job that the library took must have run, or stand where the library keeps what
failed; how often one may run twice, or be lost, is what the library promises. Others are used by programs in `programs/`, or have
their own tests run, out of their source distributions (`suites.py`).

    run.py --server PATH [--only NAME ...] [--jobs 200] [--kills 3] [--seed 7] [--no-record]

What was run in which version stands in results.json then, of which table.py makes the tables of docs/clients.md.
"""

import argparse
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "Support"))

import table  # noqa: E402
from suites import SUITES, try_suite  # noqa: E402

from certificates import Certificates  # noqa: E402
from oracle import free_port  # noqa: E402
from resp import Connection  # noqa: E402
from seed import new_seed  # noqa: E402

ENVIRONMENTS = HERE.parents[1] / ".build" / "ecosystem"

# Queues: packages, how many jobs a kill may lose, how many it may have run again. None: any number.
QUEUES = {
    "rq": (["rq"], 0, 0),
    # A chord may lose its last task, with redis-server as well: 2 in 3 kills with --seed 7, on both.
    "celery": (["celery[redis]"], 1, None),
    "huey": (["huey", "redis"], 2, 1),
    "dramatiq": (["dramatiq[redis]"], 0, None),
    "arq": (["arq"], 0, None),
    "saq": (["saq[redis]", "typing_extensions"], 0, None),
    "bullmq": (["bullmq"], 0, None),
}
# Others: packages, each used by the program of its name.
PROGRAMS = {
    "channels": ["channels-redis"],
    "limits": ["limits[redis]", "flask-limiter"],
    "django": ["django", "django-redis"],
    "flask_caching": ["flask-caching", "redis"],
    "walrus": ["walrus"],
    "redis_py": ["redis", "hiredis"],
    "tls": ["redis", "hiredis", "valkey", "valkey-glide", "coredis"],
    "coredis": ["coredis"],
}
# Of Debian: packages, and the command before the program's name.
DEBIAN_QUEUES = {"sidekiq": (["ruby-sidekiq"], ["ruby"], ".rb", 2, 1)}
DEBIAN_PROGRAMS = {
    "php_sessions": (["php-redis"], ["php"], "sessions.php"),
    "php_tls": (["php-redis"], ["php"], "tls.php"),
    "ruby_tls": (["ruby-redis"], ["ruby"], "tls.rb"),
    "php_redis": (["php-redis"], ["php"], "use_php_redis.php"),
    "ruby_redis": (["ruby-redis"], ["ruby"], "use_ruby_redis.rb"),
    "exporter": (["prometheus-redis-exporter"], [sys.executable], "exporter.py"),
}
# Seconds in which what was queued is done.
PATIENCE = 90


class Server:
    """One that is killed and comes back on its port, with its data."""

    def __init__(self, binary):
        self.binary, self.port = binary, free_port()
        self.directory = tempfile.mkdtemp(prefix="swiftlet-ecosystem-")
        self.log = open(os.path.join(self.directory, "log"), "ab")
        self.tls_port, self.certificates = free_port(), Certificates(self.directory)
        self.start()

    def start(self):
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.directory, "--save", ""]
        options += ["--appendonly", "yes", "--appendfsync", "always", "--enable-debug-command", "yes"]
        options += ["--tls-port", str(self.tls_port), *self.certificates.options()]
        self.process = subprocess.Popen([self.binary, *options], stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 30
        while True:
            try:
                connection = Connection(self.port)
                answers = connection.call("PING") == b"+PONG\r\n"
                connection.close()
                if answers:
                    return
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.binary} does not answer; see {self.log.name}")
            time.sleep(0.02)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    @property
    def environment(self):
        certificate, key = map(str, self.certificates.client)
        return {
            "REDIS_URL": f"redis://127.0.0.1:{self.port}/0",
            "REDIS_PORT": str(self.port),
            "TLS_PORT": str(self.tls_port),
            "TLS_CA": str(self.certificates.authority.file),
            "TLS_CERT": certificate,
            "TLS_KEY": key,
        }


def python(name, packages):
    """The Python of an environment with these packages, and what versions they have."""
    folder = ENVIRONMENTS / name
    interpreter = folder / "bin" / "python"
    if not (folder / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([interpreter, "-m", "pip", "install", "-q", *packages], check=True)
        (folder / "complete").touch()
    listed = subprocess.run([interpreter, "-m", "pip", "freeze"], capture_output=True, text=True, check=True).stdout
    names = [package.split("[")[0].lower().replace("_", "-") for package in packages]
    found = [line for line in listed.splitlines() if line.split("==")[0].lower().replace("_", "-") in names]
    return str(interpreter), " ".join(found).replace("==", " ")


def debian(packages):
    """Installs what is missing; what versions there are."""
    query = ["dpkg-query", "-W", "-f", "${Package} ${Version} "]
    found = subprocess.run([*query, *packages], capture_output=True, text=True)
    if found.returncode:
        sudo = [] if os.geteuid() == 0 else ["sudo"]
        install = [*sudo, "env", "RUNLEVEL=1", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-qy", *packages]
        subprocess.run(install, check=True, stdout=subprocess.DEVNULL)
        found = subprocess.run([*query, *packages], capture_output=True, text=True, check=True)
    return found.stdout.strip()


class Queue:
    """A queue's producer and worker, as processes."""

    def __init__(self, command, server):
        self.command = command
        self.server, self.worker = server, None
        self.ledger = pathlib.Path(server.directory) / "ledger"
        self.ledger.mkdir()
        folders = f"{HERE}:{HERE / 'queues'}"
        self.environment = {**os.environ, **server.environment, "LEDGER": str(self.ledger), "PYTHONPATH": folders}
        self.output = open(os.path.join(server.directory, "programs"), "ab")

    def supervise(self):
        """As its service manager would: a worker that has ended is started again."""
        if self.worker is None or self.worker.poll() is not None:
            self.worker = subprocess.Popen(
                [*self.command, "worker"],
                env=self.environment,
                stdout=self.output,
                stderr=self.output,
                cwd=self.server.directory,
                start_new_session=True,
            )

    def stop(self):
        if self.worker and self.worker.poll() is None:
            os.killpg(self.worker.pid, signal.SIGKILL)
            self.worker.wait()

    def produce(self, first, last):
        arguments = [*self.command, "produce", str(first), str(last)]
        return subprocess.Popen(
            arguments,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=self.output,
            text=True,
            cwd=self.server.directory,
        )

    def held(self):
        """Jobs that the library has, without having done them."""
        result = subprocess.run(
            [*self.command, "held"], env=self.environment, capture_output=True, text=True, cwd=self.server.directory
        )
        return {int(word) for word in result.stdout.split()}

    def runs(self):
        return {int(path.name): path.stat().st_size for path in self.ledger.iterdir()}


def wait_for_jobs(queue, taken, may_lose):
    deadline = time.monotonic() + PATIENCE
    while True:
        queue.supervise()
        missing = taken - set(queue.runs())
        if not missing:
            return missing
        if time.monotonic() > deadline or len(missing) <= 50 and time.monotonic() > deadline - PATIENCE + 15:
            missing -= queue.held()
            if len(missing) <= may_lose or time.monotonic() > deadline:
                return missing
        time.sleep(0.2)


def try_queue(name, binary, jobs, kills, numbers):
    if name in QUEUES:
        packages, may_lose, may_repeat = QUEUES[name]
        interpreter, versions = python(name, packages)
        command, suffix = [interpreter], ".py"
    else:
        packages, command, suffix, may_lose, may_repeat = DEBIAN_QUEUES[name]
        versions = debian(packages)
    server = Server(binary)
    queue = Queue([*command, str(HERE / "queues" / f"{name}_jobs{suffix}")], server)
    taken, unknown = set(), []
    try:
        queue.supervise()
        rounds = kills + 1
        for part in range(rounds):
            producer = queue.produce(part * jobs // rounds // 10 * 10, (part + 1) * jobs // rounds // 10 * 10)
            dies_after = numbers.randrange(1, jobs // rounds // 2) if part < kills else None
            for count, line in enumerate(producer.stdout):
                number, what, *why = line.split()
                if what == "taken":
                    taken.add(int(number))
                else:
                    unknown.append((number, *why))
                if count == dies_after:
                    server.kill()
                    time.sleep(numbers.random() * 0.3)
                    server.start()
                queue.supervise()
            producer.wait()
        if name == "celery":
            # A chord is taken with its tasks.
            taken = {number + i for number in taken if number % 10 == 0 for i in range(10)}
        missing = wait_for_jobs(queue, taken, may_lose * kills)
        repeated = sum(count - 1 for count in queue.runs().values())
    finally:
        queue.stop()
        server.kill()
    said = f"{len(taken)} jobs taken, {len(unknown)} refused, {kills} kills: {len(missing)} lost, {repeated} run again"
    passes = (
        len(missing) <= may_lose * kills
        and (may_repeat is None or repeated <= may_repeat * kills)
        and len(taken) > jobs / 20
    )
    if not passes:
        said += f"; see {server.directory}"
    return passes, versions, said


def try_program(name, binary):
    if name in PROGRAMS:
        interpreter, versions = python(name, PROGRAMS[name])
        command = [interpreter, str(HERE / "programs" / f"use_{name}.py")]
    else:
        packages, command, file = DEBIAN_PROGRAMS[name]
        versions = debian(packages)
        command = [*command, str(HERE / "programs" / file)]
    server = Server(binary)
    try:
        result = subprocess.run(
            command,
            env={**os.environ, **server.environment, "PYTHONPATH": str(HERE)},
            capture_output=True,
            text=True,
            timeout=300,
            cwd=server.directory,
        )
    finally:
        server.kill()
    lines = (result.stdout if result.returncode == 0 else result.stdout + result.stderr).strip().splitlines()
    return result.returncode == 0, versions, " / ".join(lines[-1:] if result.returncode == 0 else lines[-8:])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--only", nargs="*", default=[*QUEUES, *DEBIAN_QUEUES, *PROGRAMS, *DEBIAN_PROGRAMS, *SUITES])
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--no-record", action="store_true", help="leave results.json and docs/clients.md as they are")
    arguments = parser.parse_args()
    numbers = random.Random(arguments.seed or new_seed())
    passed = failed = 0
    for name in arguments.only:
        begun = time.monotonic()
        if name in QUEUES or name in DEBIAN_QUEUES:
            kind = "queue"
            passes, versions, said = try_queue(name, arguments.server, arguments.jobs, arguments.kills, numbers)
        elif name in SUITES:
            kind, server = "suite", Server(arguments.server)
            try:
                passes, versions, said = try_suite(name, ENVIRONMENTS, server.environment)
            finally:
                server.kill()
        else:
            kind = "program"
            passes, versions, said = try_program(name, arguments.server)
        passed, failed = passed + passes, failed + (not passes)
        print(f"{'ok  ' if passes else 'FAIL'} {versions}: {said} ({time.monotonic() - begun:.0f} s)", flush=True)
        if passes and not arguments.no_record:
            table.record(name, kind, versions, said)
    if not arguments.no_record:
        table.write_page()
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
