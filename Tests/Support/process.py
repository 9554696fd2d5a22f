"""Server processes that tests start in unusual ways: with a file, with odd arguments, or not at all."""

import os
import pathlib
import signal
import subprocess
import time

import pytest

from oracle import free_port, swiftlet_binary
from resp import Connection, bulk, bulks


class Process:
    """`swiftlet-server` with the given arguments; `config` is the bytes of a file that comes first. It gets a port and
    `directory`, unless `bare`. Standard output and error go to one file."""

    def __init__(self, directory, *arguments, config=None, binary=None, bare=False, stdin=None, env=None, user=None):
        self.directory = directory
        self.port = free_port()
        self.output = pathlib.Path(directory).parent / f"output-{self.port}"
        command = [binary or swiftlet_binary() or pytest.skip("swiftlet-server is not built")]
        self.file = pathlib.Path(directory).parent / f"redis-{self.port}.conf"
        if config is not None:
            self.file.write_bytes(config)
            command.append(str(self.file))
        if not bare:
            command += ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", directory]
        if user is not None:
            command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command]
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(
                [*command, *arguments], stdout=output, stderr=subprocess.STDOUT, cwd=directory,
                stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL, env={**os.environ, **(env or {})},
            )  # fmt: skip
        if stdin is not None:
            self.process.stdin.write(stdin)
            self.process.stdin.close()

    def text(self):
        return self.output.read_text(errors="replace")

    def connect(self):
        """A connection, once the server takes them; fails when it ends instead."""
        deadline = time.monotonic() + 30
        while True:
            try:
                return Connection(self.port)
            except OSError:
                assert self.process.poll() is None and time.monotonic() < deadline, self.text()
                time.sleep(0.01)

    def refusal(self):
        """What a server that does not start says."""
        assert self.process.wait(20) == 1, self.text()
        return self.text()

    def end(self, signal=signal.SIGTERM):
        self.process.send_signal(signal)
        return self.process.wait(20)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Starter:
    """Starts processes, each in a directory of its own, and kills what is left of them."""

    def __init__(self, path):
        self.path = path
        self.started = []

    def __call__(self, *arguments, directory=None, **options):
        if directory is None:
            directory = self.path / f"data-{len(self.started)}"
            directory.mkdir(exist_ok=True)
        self.started.append(Process(directory, *arguments, **options))
        return self.started[-1]

    def stop(self):
        for process in self.started:
            process.kill()


def setting(connection, name):
    """The value that CONFIG GET answers, as bytes; None where there is no such setting."""
    found = bulks(connection.call("CONFIG", "GET", name))
    return found[1] if found else None


def value(connection, *command):
    return bulk(connection.call(*command))
