"""What CONTRIBUTING.md tells to run or to look at is there."""

import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
TOLD = set(re.findall(r"`([^`]+)`", re.sub(r"\s+", " ", TEXT)))
MAKE = sorted({words for words in TOLD if re.match(r"([A-Z_]+=\S+ )?make ", words)})
PATHS = sorted(
    {
        words
        for words in TOLD
        if re.fullmatch(r"(Sources|Tests|schema)(/[\w.]+)+/?|\w+\.md", words) or words in ("schema/sql", "schema/")
    }
)


@pytest.mark.parametrize("command", MAKE)
def test_target_exists(command):
    """`make -n` prints what would be done, and fails where there is no such target."""
    words = [word for word in command.replace('"', "").split() if "=" not in word][1:]
    run = subprocess.run(["make", "-n", words[0]], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    for variable in re.findall(r"make \S+ ([A-Z]+)=", command) + re.findall(r"^([A-Z]+)=", command):
        assert variable in run.stdout + (ROOT / "Makefile").read_text(), variable


@pytest.mark.parametrize("path", PATHS)
def test_path_exists(path):
    assert (ROOT / path).exists()


def test_names_of_the_sources_and_tests_exist():
    texts = "\n".join(
        path.read_text()
        for folder in ("Sources", "Tests", "Benchmarks")
        for suffix in ("*.swift", "*.py")
        for path in (ROOT / folder).rglob(suffix)
        if path != pathlib.Path(__file__)
    )
    names = {words for words in TOLD if re.fullmatch(r"\w+", words)}
    assert "SeededRandom" in names
    assert [name for name in names if not re.search(rf"\b{name}\b", texts)] == []
