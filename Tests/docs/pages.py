"""Runs what the pages in docs/ and the README show, in a directory and with a server of a page's own.

How to have a block run: put a comment in the line before its fence, which no reader of the page sees.

    <!-- run -->                        The block is run, as what it looks like (below).
    <!-- run, needs: restic rclone -->  Left out where one of these programs is missing; `make docs` installs them first.
    <!-- file: backup.sh -->            Written to that file in the page's directory, for the blocks behind it.
    <!-- tested: NAME -->               Another test has it: say which in OTHERS of test_pages.py.
    <!-- not run: REASON -->            Why nothing can run it here.
    <!-- hidden                         Commands that a reader need not see: what the page takes for granted. They run where
    redis-cli SET a b                   they stand.
    -->

What a block is: lines that begin with `$ `, and go on with `> `, are a transcript of a shell, and lines that begin with `> ` one of
redis-cli; their output is compared. A fence with `sql` is asked of the snapshot, and must return rows; one with `redis` goes to
redis-cli; `python` is a program; all else is a script of bash, which must succeed.

Blocks of a page run in its order, each in a bash of its own, in the page's directory: files last, variables do not. In it are
`data`, the server's directory (/var/lib/swiftlet is the same), and `dump.sqlite`. The server runs before the first block.
`redis-cli` speaks to it. /var, /etc/swiftlet, /run/swiftlet and /srv lie in the page's directory, and ports from 6379 to 6399 are
free ones of this machine. `systemctl start|stop|restart swiftlet-server`, `sudo`, `make run` and `pidof swiftlet-server` are
stand-ins; other targets of make are the real ones.

In a transcript `…` stands for any text, and alone in a line for any lines; dates, durations, rates and process ids may differ.
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

from migrate import migrate_binary
from oracle import ROOT, free_port, swiftlet_binary

BLOCK = re.compile(
    r"^<!-- hidden\n(?P<hidden>.*?)^-->$"
    r"|^(?:<!-- (?P<mark>(?:run|file|tested|not run)\b[^\n]*?) -->\n)?(?P<fence>```+)(?P<language>\w*)\n(?P<text>.*?)^(?P=fence)$",
    re.M | re.S,
)
# What may differ from run to run, and what stands for it.
VARYING = [
    (re.compile(r"\b\d+:[A-Z] \d\d? \w{3} \d{4} \d\d:\d\d:\d\d\.\d{3}"), "PID TIME"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?"), "DATE"),
    (re.compile(r"\b[\d.]+(?= (?:s|ms|seconds|MB/s|keys/s)\b)"), "N"),
]
PLACES = re.compile(r"(?<![\w./-])/(var|etc/swiftlet|run/swiftlet|srv)(?=[/\s'\"]|$)")
PORT = re.compile(r"\b63(?:79|[89]\d)\b")


class Block:
    """A fenced block of a page, or hidden commands (`mark` is then "run")."""

    def __init__(self, page, found):
        self.page, self.line = page, page.read_text().count("\n", 0, found.start()) + 1
        self.text = found["text"] if found["hidden"] is None else found["hidden"]
        self.mark = found["mark"] if found["hidden"] is None else "run"
        self.language = found["language"] or ""

    @property
    def place(self):
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def action(self):
        """run, file, tested, not run; empty where the block has no mark."""
        return re.match(r"(?:not )?\w+", self.mark)[0] if self.mark else ""

    @property
    def argument(self):
        """What follows the colon of the mark."""
        return self.mark.partition(": ")[2].strip()

    @property
    def missing(self):
        """Programs that it needs and that are not installed."""
        return [name for name in self.argument.split() if shutil.which(name) is None] if self.action == "run" else []

    def commands(self):
        """The commands of a transcript, each with the lines that it must print; None where the block is none."""
        lines = self.text.splitlines()
        prompt = lines[0][:2] if lines else ""
        if prompt not in ("$ ", "> "):
            return None
        commands = []
        for line in lines:
            if line.startswith(prompt):
                commands.append(("redis-cli --no-raw " * (prompt == "> ") + line[2:], []))
            elif line.startswith("> ") and not commands[-1][1]:
                commands[-1] = (commands[-1][0] + "\n" + line[2:], [])
            else:
                commands[-1][1].append(line)
        return commands


def blocks(page):
    return [Block(page, found) for found in BLOCK.finditer(page.read_text())]


def varying_replaced(text):
    for pattern, stand_in in VARYING:
        text = pattern.sub(stand_in, text)
    return text


def is_as_shown(output, shown):
    """Whether a command's output is what the page shows, but for what may differ."""
    pattern = ""
    for line in shown:
        if line.strip() == "…":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*?".join(map(re.escape, varying_replaced(line.rstrip()).split("…"))) + "\n"
    lines = [line.rstrip() for line in varying_replaced(output).rstrip().splitlines()]
    return re.fullmatch(pattern, "".join(line + "\n" for line in lines)) is not None


STAND_INS = {
    "redis-cli": """case " $* " in *" -p "*|*" -u "*|*" -s "*) exec {redis_cli} "$@";; esac
exec {redis_cli} -p {port} "$@" """,
    "start-server": """rm -f "$PIDFILE"; : > "$LOGFILE"
{server} "$@" --daemonize yes --pidfile "$PIDFILE" --logfile "$LOGFILE" >&2
for _ in $(seq 600); do
    [ -s "$PIDFILE" ] && [ "$({redis_cli} -p {port} PING 2>/dev/null)" = PONG ] && exit 0
    sleep 0.02
done
cat "$LOGFILE" >&2; exit 1""",
    "stop-server": """pid=$(cat "$PIDFILE" 2>/dev/null) || exit 0
kill "$pid" 2>/dev/null
while kill -0 "$pid" 2>/dev/null; do sleep 0.02; done""",
    "systemctl": """case "$1 $2" in
"start swiftlet-server") start-server {root}/etc/swiftlet/swiftlet.conf ;;
"stop swiftlet-server") stop-server ;;
"restart swiftlet-server") stop-server; start-server {root}/etc/swiftlet/swiftlet.conf ;;
*) echo "no stand-in for systemctl $*" >&2; exit 1 ;;
esac""",
    "make": """case "$1" in
run) start-server --dir {root}/data --port {port} --bind 127.0.0.1 && cat "$LOGFILE" ;;
*) exec /usr/bin/make --no-print-directory -C {source} SERVER={server} MIGRATE={migrate} "$@" ;;
esac""",
    "pidof": """cat "$PIDFILE" """,
    # There is no such user here.
    "chown": "",
    "sudo": """[ "$1" = -u ] && shift 2; exec "$@" """,
}


class Sandbox:
    """The directory of a page, its server, and what stands in for the rest of a machine."""

    def __init__(self, root):
        self.root, self.ports = root, {}
        self.environment = {
            **os.environ,
            "PATH": f"{root / 'bin'}:{os.environ['PATH']}",
            "HOME": str(root),
            "TZ": "UTC",
            "LC_ALL": "C.UTF-8",
            "PIDFILE": str(root / "run/swiftlet/swiftlet-server.pid"),
            "LOGFILE": str(root / "var/log/swiftlet/swiftlet-server.log"),
            "SOURCE": str(ROOT),
            "SWIFTLET_PAGE": str(root),
        }
        for folder in (
            "bin",
            "var/lib/swiftlet",
            "var/log/swiftlet",
            "var/backups",
            "etc/swiftlet",
            "run/swiftlet",
            "srv",
        ):
            (root / folder).mkdir(parents=True)
        (root / "data").symlink_to("var/lib/swiftlet")
        (root / "dump.sqlite").symlink_to("data/dump.sqlite")
        names = {
            "root": root,
            "source": ROOT,
            "port": self.port("6379"),
            "redis_cli": shutil.which("redis-cli"),
            "server": swiftlet_binary(),
            "migrate": migrate_binary(),
        }
        for name, text in STAND_INS.items():
            self.executable(
                name, "#!/bin/bash\n" + re.sub(r"\{(\w+)\}", lambda found: str(names[found[1]]), text) + "\n"
            )
        (root / "bin/swiftlet-server").symlink_to(names["server"])
        (root / "bin/redis-migrate").symlink_to(names["migrate"])
        configuration = self.here((ROOT / "packaging/swiftlet.conf").read_text()) + "save ''\n"
        (root / "etc/swiftlet/swiftlet.conf").write_text(configuration)

    def executable(self, name, text):
        (self.root / "bin" / name).write_text(text)
        (self.root / "bin" / name).chmod(0o755)

    def port(self, name):
        return self.ports.setdefault(name, free_port())

    def here(self, text):
        """The text with this machine's places and ports."""
        text = PLACES.sub(lambda found: f"{self.root}/{found[1]}", text)
        return PORT.sub(lambda found: str(self.port(found[0])), text)

    def there(self, text):
        """Output with the page's places and ports."""
        for name, port in self.ports.items():
            text = re.sub(rf"\b{port}\b", name, text)
        return re.sub(rf"{re.escape(str(self.root))}/(?=var|etc|run|srv)", "/", text)

    def run(self, command, stdin=None):
        """Exit code, and output with errors among it. Ended after two minutes, as is what it leaves in the foreground."""
        with open(self.root / "output", "w+b") as output:
            process = subprocess.Popen(
                command, cwd=self.root, env=self.environment, start_new_session=True,
                stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
            try:
                process.communicate(stdin.encode() if stdin else None, timeout=120)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            output.seek(0)
            return process.returncode, self.there(output.read().decode(errors="replace"))

    def shell(self, text):
        return self.run(["bash", "-euo", "pipefail", "-c", self.here(text)])

    def close(self):
        """Ends what still runs of the page, known by a variable in its environment, or, as a title may lie over that, by its
        directory."""
        mark = f"SWIFTLET_PAGE={self.root}".encode()
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                is_inside = (process / "cwd").readlink().is_relative_to(self.root)
                if is_inside or mark in (process / "environ").read_bytes().split(b"\0"):
                    os.kill(int(process.name), signal.SIGKILL)
            except OSError:  # It has ended, or is another user's.
                pass

    def execute(self, block):
        """Runs a block; fails with the place on the page and what was printed."""
        if block.action == "file":
            path = self.root / block.argument
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.here(block.text))
            path.chmod(0o755 if block.text.startswith("#!") else 0o644)
            return
        for command, shown in block.commands() or []:
            status, output = self.shell(command)
            assert is_as_shown(output, shown), f"{block.place}: {command}\nprints (exit code {status}):\n{output}"
        if block.commands() is not None:
            return
        if block.language == "sql":
            command = ["sqlite3", "-bail", "file:dump.sqlite?mode=ro"]
            status, output = self.run(command, block.text)
            assert output.strip(), f"{block.place}: no rows"
        elif block.language == "redis":
            status, output = self.run(["redis-cli", "-e"], block.text)
        elif block.language == "python":
            status, output = self.run([sys.executable, "-c", self.here(block.text)])
        else:
            status, output = self.shell(block.text)
        assert status == 0, f"{block.place}: exit code {status}\n{output}"
