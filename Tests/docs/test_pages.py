"""What the README and docs/ show is run; pages.py says how a block says so."""

import os
import re

import pytest

from oracle import ROOT
from pages import Sandbox, blocks, is_as_shown

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
RUN = [page for page in PAGES if any(block.action == "run" for block in blocks(page))]
# Names of blocks that other tests have, by page: where.
OTHERS = {"high-availability.md": "Tests/replication/test_setups.py"}
# Pages with blocks that have no marks: what tries them.
UNMARKED = {
    "snapshot.md": "the tests of views",
    "recipes.md": "made of recipes that a test runs",
    "sql.md": "the tests of SQL",
    "migrating.md": "the tests of redis-migrate; what is marked runs as it stands",
}


def page_id(page):
    return page.stem


@pytest.fixture
def sandbox(tmp_path):
    sandbox = Sandbox(tmp_path)
    status, output = sandbox.run(["systemctl", "start", "swiftlet-server"])
    assert status == 0, output
    yield sandbox
    sandbox.close()


@pytest.mark.parametrize("page", RUN, ids=page_id)
def test_page_runs_as_it_stands(page, sandbox):
    left_out = []
    for block in blocks(page):
        if block.missing and not os.environ.get("SWIFTLET_DOCS_ALL"):
            left_out.append(f"{block.place} needs {' '.join(block.missing)}")
        elif block.action in ("run", "file"):
            sandbox.execute(block)
    print(*left_out, sep="\n")


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_marks_are_whole(page):
    """A mark stands right before a fence, and says why where it keeps a block from being run."""
    text = re.sub(r"^(```+).*?^\1$", "```", page.read_text(), flags=re.M | re.S)
    marks = re.findall(r"^<!-- (?:run|file|tested|not run)\b.*\n(.*)", text, re.M)
    assert [line for line in marks if not line.startswith("```")] == []
    assert [block.place for block in blocks(page) if block.action not in ("", "run") and not block.argument] == []
    if any(block.action == "tested" for block in blocks(page)):
        assert page.name in (ROOT / OTHERS[page.name]).read_text() + (ROOT / "Tests/replication/setups.py").read_text()


def test_each_block_says_whether_it_is_run():
    unmarked = [
        block.place for page in PAGES if page.name not in UNMARKED for block in blocks(page) if not block.action
    ]
    assert unmarked == []


def test_output_is_compared():
    shown = ["a …", "…", "1 2026-11-23 04:52:52 0.17 s"]
    assert is_as_shown("a b\nx\ny\n1 2026-01-02 03:04:05 9.9 s\n", shown)
    assert is_as_shown("a b\n1 2026-01-02 03:04:05 9.9 s\n", shown)
    assert not is_as_shown("a b\n2 2026-01-02 03:04:05 9.9 s\n", shown)
    assert not is_as_shown("a b\n1 2026-01-02 03:04:05 9.9 s\nmore\n", shown)
    assert not is_as_shown("", ["OK"])
