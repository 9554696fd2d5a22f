"""docs/clients.md names what was run: Tests/ecosystem/results.json, which `make ecosystem` writes."""

import ast
import importlib
import sys

from oracle import ROOT

sys.path.insert(0, str(ROOT / "Tests" / "ecosystem"))
table = importlib.import_module("table")


def test_page_agrees_with_the_results():
    assert table.PAGE.read_text() == table.filled(table.read_results())


def test_all_that_is_run_is_in_the_table():
    names = set()
    for file in ("run.py", "suites.py"):
        for statement in ast.parse((ROOT / "Tests/ecosystem" / file).read_text()).body:
            if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Dict):
                names |= {key.value for key in statement.value.keys}
    assert len(names) > 20
    assert names - set(table.read_results()) == set()


def test_versions_are_read():
    assert table.pairs("huey 3.5.4 redis 8.1.0") == "huey 3.5.4, redis 8.1.0"
    assert table.pairs("ruby-sidekiq 6.4.1+dfsg-1") == "ruby-sidekiq 6.4.1"
    assert table.pairs("php-redis 5.3.7+4.3.0-3") == "php-redis 5.3.7"
