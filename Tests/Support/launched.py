"""A server as a process alone: for tests of how it starts, listens, and ends."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile

from oracle import free_port
from resp import Connection
from waiting import wait_until


class Launched:
    """`options` follow the port and the directory. `waits`: until it listens; `prepare` runs before exec."""

    def __init__(self, binary, *options, directory=None, port=None, waits=True, prepare=None):
        self.own = directory is None
        self.directory = directory or tempfile.mkdtemp(prefix="swiftlet-test-")
        self.port = free_port() if port is None else port
        self.log = tempfile.NamedTemporaryFile(prefix="swiftlet-test-log-")
        command = [
            binary,
            "--port",
            str(self.port),
            "--dir",
            self.directory,
            "--save",
            "",
            "--enable-debug-command",
            "yes",
            *options,
        ]
        self.process = subprocess.Popen(
            command, stdout=self.log, stderr=self.log, cwd=self.directory, preexec_fn=prepare
        )
        self.pid = self.process.pid
        if waits:
            try:
                wait_until(lambda: self.has_ended() or self.is_listening())
                assert not self.has_ended(), self.output()
            except AssertionError:
                self.stop()
                raise

    def has_ended(self):
        return self.process.poll() is not None

    def is_listening(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
            return True
        except OSError:
            return False

    def connect(self):
        return Connection(self.port)

    def output(self):
        return pathlib.Path(self.log.name).read_bytes()

    def cpu_seconds(self):
        fields = open(f"/proc/{self.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def terminate(self, number=signal.SIGTERM, timeout=20):
        """The exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()
        if self.own:
            shutil.rmtree(self.directory, ignore_errors=True)
