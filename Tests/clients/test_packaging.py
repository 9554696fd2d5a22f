"""What comes with the server: manual pages, completions, the service, the configuration. `make deb-test` tries the package."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

from oracle import swiftlet_binary

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "packaging"
MIGRATE = os.environ.get("SWIFTLET_MIGRATE", str(ROOT / ".build/release/redis-migrate"))


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def manual(name):
    """The page's text, without roff's marks."""
    return (PACKAGING / "man" / f"{name}.1").read_text().replace("\\-", "-")


def test_manual_pages_name_every_option():
    helps = [output(MIGRATE, "help", command) for command in ("convert", "to-sqlite", "to-rdb", "verify", "index")]
    for name, texts in {"swiftlet-server": [output(swiftlet_binary(), "--help")], "redis-migrate": helps}.items():
        options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", "\n".join(texts)))
        # Of examples.
        options -= {"--setting", "--loglevel"}
        assert options and [option for option in sorted(options) if option not in manual(name)] == []


@pytest.mark.skipif(shutil.which("man") is None, reason="needs man-db")
@pytest.mark.parametrize("name", ["swiftlet-server", "redis-migrate"])
def test_manual_pages_have_no_warnings(name):
    page = PACKAGING / "man" / f"{name}.1"
    ended = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "MANWIDTH": "80"},
    )
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_are_scripts_of_the_shell(shell, tmp_path):
    text = output(swiftlet_binary(), "--completion", shell)
    for name in ("appendfsync", "slowlog-max-len", "check-config"):
        assert name in text
    if shutil.which(shell):
        (tmp_path / "script").write_text(text)
        assert output(shell, "-n", str(tmp_path / "script")) == ""
    ended = subprocess.run([swiftlet_binary(), "--completion", "csh"], capture_output=True, timeout=60)
    assert ended.returncode == 1 and ended.stderr.startswith(b"Usage:")


def test_bash_completes_settings():
    script = output(swiftlet_binary(), "--completion", "bash")
    script += "\nCOMP_WORDS=(swiftlet-server --slowlog-m); COMP_CWORD=1; _swiftlet_server; echo ${COMPREPLY[@]}"
    assert output("bash", "-c", script) == "--slowlog-max-len\n"


def test_the_packaged_configuration_is_good(tmp_path):
    options = ["--dir", str(tmp_path), "--logfile", ""]
    text = (PACKAGING / "swiftlet.conf").read_text()
    # The package makes the directory.
    (tmp_path / "swiftlet.conf").write_text(text.replace("/var/lib/swiftlet", str(tmp_path)))
    shown = output(swiftlet_binary(), "--check-config", str(tmp_path / "swiftlet.conf"), *options)
    assert shown == "The configuration is good\n"


def test_the_service_starts_what_is_installed():
    unit = (PACKAGING / "swiftlet-server.service").read_text()
    assert "Type=notify" in unit and "--supervised systemd --daemonize no" in unit
    program = re.search(r"^ExecStart=(\S+)", unit, re.M).group(1)
    assert program in re.search(r"^ExecPaths=(.*)", unit, re.M).group(1).split()
