"""What comes with the server: manual pages, completions, the service, the configuration. `make deb-test` tries the package."""

import importlib.machinery
import importlib.util
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


def test_manual_page_of_the_server_names_every_option():
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", output(swiftlet_binary(), "--help")))
    # Of examples.
    options -= {"--setting", "--loglevel"}
    assert options and [option for option in sorted(options) if option not in manual("swiftlet-server")] == []


def test_manual_page_of_the_tool_is_what_it_says_of_itself():
    """Every verb and option: `make man` writes it."""
    loader = importlib.machinery.SourceFileLoader("manual", str(PACKAGING / "manual"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("manual", loader))
    loader.exec_module(module)
    assert module.PAGE.read_text() == module.page(MIGRATE), "make man writes it"
    verbs = re.findall(r"^  ([a-z][a-z-]*) +\S", output(MIGRATE, "--help").partition("SUBCOMMANDS:")[2], re.M)
    assert len(verbs) > 2 and [verb for verb in verbs if f".SS {verb}\n" not in manual("redis-migrate")] == []


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
