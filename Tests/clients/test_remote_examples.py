"""Each example of `redis-migrate restore` and `from`, in the help, the manual page and docs/migrating.md, does what it says."""

import os
import re
import subprocess

import pytest

from certificates import Certificates
from migrate import migrate_binary
from oracle import ROOT, free_port, start_redis
from resp import integer

VERB = re.compile(r"^\s*((?:REDISCLI_AUTH=\w+ )?redis-migrate (?:restore|from) .*\S)\s*$", re.M)


def examples():
    found = []
    for verb in ("restore", "from"):
        wide = {**os.environ, "COLUMNS": "400"}
        run = subprocess.run([migrate_binary(), verb, "--help"], capture_output=True, text=True, timeout=60, env=wide)
        found += VERB.findall(run.stdout)
    found += VERB.findall((ROOT / "docs" / "migrating.md").read_text())
    found += VERB.findall((ROOT / "packaging" / "man" / "redis-migrate.1").read_text().replace("\\-", "-"))
    return sorted(set(found))


# The examples that name no password are of servers without one.
ENVIRONMENT = {**os.environ, "REDISCLI_AUTH": "secret"}


def authenticated(server):
    connection = server.connect()
    assert connection.call("AUTH", "secret") == b"+OK\r\n"
    return connection


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A server, and files of its data beside certificates."""
    directory = tmp_path_factory.mktemp("examples")
    certificates = Certificates(directory)
    certificate, key = certificates.server
    tls = free_port()
    server = start_redis(
        "--tls-port", str(tls), "--tls-cert-file", str(certificate), "--tls-key-file", str(key),
        "--tls-ca-cert-file", str(certificates.authority.file), "--tls-auth-clients", "no",
        "--repl-diskless-sync-delay", "0", "--requirepass", "secret",
    )  # fmt: skip
    connection = authenticated(server)
    connection.call("SET", "session:1", "x", "EX", 1000)
    connection.call("SET", "other", "y")
    run = subprocess.run(
        [migrate_binary(), "from", f"127.0.0.1:{server.port}", directory / "source.sqlite"],
        capture_output=True,
        timeout=60,
        env=ENVIRONMENT,
    )
    assert run.returncode == 0, run.stderr
    yield server, tls, directory
    server.stop()


def test_there_are_examples():
    found = examples()
    assert len([line for line in found if " restore " in line]) >= 5
    assert len([line for line in found if " from " in line]) >= 5


def test_every_example(place, tmp_path):
    server, tls, directory = place
    os.symlink(directory / "ca.crt", tmp_path / "ca.crt")
    connection = authenticated(server)
    for line in examples():
        for name in ("dump.rdb", "dump.sqlite"):
            if (tmp_path / name).exists():
                os.remove(tmp_path / name)
        if " restore " in line:
            connection.call("FLUSHALL")
            for name in ("dump.rdb", "dump.sqlite"):
                command = [migrate_binary(), "convert", directory / "source.sqlite", tmp_path / name]
                subprocess.run(command, check=True, capture_output=True, timeout=60)
        command = line.replace("db.example.com:6380", f"localhost:{tls}").replace(":6379", f":{server.port}")
        command = command.replace("redis-migrate", migrate_binary())
        run = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            env=ENVIRONMENT,
        )
        assert run.returncode == 0, (line, run.stderr)
        if " restore " in line:
            keys = sum(integer(connection.pipeline([("SELECT", db), ("DBSIZE",)])[1]) for db in (0, 2))
            connection.call("SELECT", 0)
            assert keys == (1 if "--prefix" in line else 2), line
        elif "dump.rdb" in line or "dump.sqlite" in line:
            assert os.path.getsize(tmp_path / ("dump.rdb" if "dump.rdb" in line else "dump.sqlite")) > 100
        elif "wc -l" in line:
            assert run.stdout.strip() in ("1", "2"), run.stdout
