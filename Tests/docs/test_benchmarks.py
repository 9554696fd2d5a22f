"""What README and docs/benchmarks.md say of speed is what was measured: Benchmarks/results.json."""

import shutil
import sys
import types

import pytest

from oracle import ROOT

sys.path.insert(0, str(ROOT / "Benchmarks"))

import front  # noqa: E402
import report  # noqa: E402

RESULTS = report.read_results()


@pytest.mark.parametrize("path", report.files(RESULTS), ids=lambda path: path.name)
def test_page_agrees_with_the_results(path):
    assert path.read_text() == report.files(RESULTS)[path], "make bench-pages writes it"


def test_readme_shows_medians():
    row = next(row for row in report.ROWS if row.name == "checkpoint_seconds")
    figures = sorted(RESULTS["figures"][row.name].get("swiftlet", []))
    assert len(figures) % 2 == 0 or f"| {figures[len(figures) // 2]:.2f} s |" in report.README.read_text()


def test_what_is_not_there_is_a_dash():
    results = {**RESULTS, "figures": {name: {"redis": [2.0, 4.0, 3.0]} for name in RESULTS["figures"]}}
    assert all("| – | 3" in line for line in report.table(results).splitlines()[2:])
    assert report.spread(results) and report.plot(results, "x", ["cpu_get"])


def test_a_measurement_that_fails_leaves_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results.json")
    binary = shutil.which("redis-server") or pytest.skip("redis-server is not installed")
    options = types.SimpleNamespace(server=binary, redis=binary, valkey=None, quick=True, dir=None, minutes=1)
    bench = front.Bench(options)

    def fails():
        raise RuntimeError("it did not start")

    bench.attempt("requests", "redis", lambda: {"cpu_get": 2})
    bench.attempt("requests", "swiftlet", fails)
    bench.attempt("requests", "redis", lambda: {"cpu_get": 4})
    assert bench.failed == ["requests, swiftlet: it did not start"]
    assert report.read_results()["figures"]["cpu_get"] == {"redis": [2, 4]}
    assert "| CPU a GET, 50 clients | – | 3.0 µs |" in report.table(report.read_results())
    assert list(tmp_path.iterdir()) == [report.RESULTS]
