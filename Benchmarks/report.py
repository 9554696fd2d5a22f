"""Writes the README's table, and tables and plots of docs/benchmarks.md, out of Benchmarks/results.json.

A figure is the median of what was measured. Nothing here measures: Tests/docs/test_benchmarks.py has it that pages and results
agree."""

import json
import pathlib
import re
import statistics

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "Benchmarks" / "results.json"
README, PAGE, IMAGES = ROOT / "README.md", ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "images"
NAMES = {"swiftlet": "Swiftlet", "redis": "redis-server", "valkey": "Valkey"}


class Row:
    """A line of the tables. `digits`: behind the point."""

    def __init__(self, name, text, unit, digits, in_readme=True):
        self.name, self.text, self.unit, self.digits, self.in_readme = name, text, unit, digits, in_readme

    def shown(self, figure):
        return f"{figure:,.{self.digits}f} {self.unit}"


ROWS = [
    Row("cpu_get", "CPU a GET, 50 clients", "µs", 1),
    Row("cpu_set", "CPU a SET, log on (`everysec`)", "µs", 1),
    Row("cpu_get16", "CPU a GET, 16 requests in a pipeline", "µs", 2),
    Row("cpu_set16", "CPU a SET, 16 requests in a pipeline, log on", "µs", 2),
    Row("bytes_a_key", "memory a key of 16 B with 32 B", "B", 0),
    Row("checkpoint_seconds", "checkpoint when 1 % of {keys} keys changed", "s", 2),
    Row("checkpoint_megabytes", "bytes that this checkpoint writes", "MB", 0),
    Row("many_megabytes", "bytes that one writes when 5 % changed", "MB", 0, in_readme=False),
    Row("few_megabytes", "bytes that one writes when 10 keys changed", "MB", 2),
    Row("checkpoint_memory", "memory that a checkpoint takes under load", "MB", 0),
    Row("busy_longest", "longest request during a checkpoint", "ms", 1),
    Row("busy_p999", "p99.9 of requests during a checkpoint", "ms", 2, in_readme=False),
    Row("calm_p999", "p99.9 of requests without one", "ms", 2, in_readme=False),
    Row("start_seconds", "start with {keys} keys", "s", 1),
]
# File: title, rows.
PLOTS = {
    "bench-cpu": ("CPU a request", ["cpu_get", "cpu_set"]),
    "bench-pipeline": ("CPU a request, 16 in a pipeline", ["cpu_get16", "cpu_set16"]),
    "bench-memory": ("Memory", ["bytes_a_key", "checkpoint_memory"]),
    "bench-checkpoint": (
        "Checkpoints",
        ["checkpoint_seconds", "checkpoint_megabytes", "many_megabytes", "few_megabytes"],
    ),
    "bench-latency": ("Requests during a checkpoint", ["busy_longest", "busy_p999"]),
    "bench-start": ("Start", ["start_seconds"]),
}


def read_results():
    return json.loads(RESULTS.read_text())


def write_results(results):
    """Replaces the file at once, so that what stops the run leaves a whole one."""
    fresh = RESULTS.with_suffix(".new")
    text = json.dumps(results, indent=1)
    # Figures of a server on one line.
    fresh.write_text(re.sub(r"\[[^\[\]]*\]", lambda found: " ".join(found[0].split()), text) + "\n")
    fresh.replace(RESULTS)


def median(results, name, kind):
    """None where there is no figure."""
    figures = results["figures"].get(name, {}).get(kind)
    return statistics.median(figures) if figures else None


def text(row, results):
    keys = results["keys"]
    return row.text.format(keys=f"{keys // 1_000_000}M" if keys >= 1_000_000 else f"{keys // 1000}k")


def table(results, rows=None):
    """A column for each server that was there; a dash where nothing could be measured."""
    kinds = list(results["versions"])
    lines = ["| | " + " | ".join(f"{NAMES[kind]} {results['versions'][kind]}" for kind in kinds) + " |"]
    lines.append("|---|" + "---:|" * len(kinds))
    for row in rows or [row for row in ROWS if row.in_readme]:
        figures = [median(results, row.name, kind) for kind in kinds]
        shown = ["–" if figure is None else row.shown(figure) for figure in figures]
        lines.append(f"| {text(row, results)} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def spread(results):
    """All rows: medians of Swiftlet's ratio to each of the others, and the least and most that were measured."""
    kinds = list(results["versions"])
    lines = ["| | " + " | ".join(NAMES[kind] for kind in kinds) + " | "]
    lines[0] += " | ".join(f"ratio to {NAMES[kind]}" for kind in kinds[1:]) + " |"
    lines.append("|---|" + "---:|" * (2 * len(kinds) - 1))
    for row in ROWS:
        cells = []
        for kind in kinds:
            found = results["figures"].get(row.name, {}).get(kind)
            cells.append(f"{min(found):,.{row.digits}f} – {row.shown(max(found))}" if found else "–")
        ours = median(results, row.name, "swiftlet")
        for kind in kinds[1:]:
            theirs = median(results, row.name, kind)
            cells.append(f"{ours / theirs:.2f}" if ours is not None and theirs else "–")
        lines.append(f"| {text(row, results)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


STYLE = """
  text { font: 13px sans-serif; fill: #24292f } .title { font-weight: bold } .figure { font-size: 12px }
  .swiftlet { fill: #d9480f } .redis { fill: #868e96 } .valkey { fill: #4263eb } line { stroke: #24292f; stroke-width: 1 }
  @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } line { stroke: #e6edf3 } }
"""


def plot(results, title, names):
    """An SVG of bars: a group a row, a bar a server, as long as its median beside the longest of the group; a line from the least
    that was measured to the most."""
    left, width, height, y = 110, 420, 18, 28
    parts = [f'<text class="title" x="8" y="18">{title}</text>']
    for row in (row for row in ROWS if row.name in names):
        y += 20
        parts.append(f'<text x="8" y="{y}">{text(row, results).replace("`", "")}</text>')
        y += 8
        found = {kind: results["figures"].get(row.name, {}).get(kind) for kind in results["versions"]}
        longest = max((max(figures) for figures in found.values() if figures), default=0) or 1
        for kind, figures in found.items():
            parts.append(f'<text x="8" y="{y + 13}">{NAMES[kind]}</text>')
            if figures:
                x = [
                    left + width * figure / longest
                    for figure in (min(figures), statistics.median(figures), max(figures))
                ]
                parts.append(
                    f'<rect class="{kind}" x="{left}" y="{y}" width="{x[1] - left:.1f}" height="{height - 3}"/>'
                )
                parts.append(f'<line x1="{x[0]:.1f}" x2="{x[2]:.1f}" y1="{y + 7.5}" y2="{y + 7.5}"/>')
                shown = row.shown(statistics.median(figures))
                parts.append(f'<text class="figure" x="{x[2] + 6:.1f}" y="{y + 12}">{shown}</text>')
            y += height
    size = f'width="{left + width + 90}" height="{y + 8}"'
    body = "\n".join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">\n<title>{title}</title>\n<style>{STYLE}</style>\n{body}\n</svg>\n'


def run(results):
    return (
        f"Measured on {results['date']}: {results['machine']}; "
        f"{', '.join(f'{NAMES[kind]} {number}' for kind, number in results['versions'].items())}."
    )


def blocks(results):
    """What stands between the marks of a page, by name."""
    plots = "\n\n".join(f"![{title}](images/{name}.svg)" for name, (title, _) in PLOTS.items())
    return {
        "table": table(results),
        "all": table(results, ROWS),
        "spread": spread(results),
        "plots": plots,
        "run": run(results),
    }


def filled(page, results):
    """The text of a page with what its marks ask for."""
    found = blocks(results)
    return re.sub(
        r"(?<=<!-- bench: )(\w+)( -->\n).*?(?=<!-- end of bench -->)",
        lambda mark: f"{mark[1]}{mark[2]}{found[mark[1]]}\n",
        page.read_text(),
        flags=re.S,
    )


def files(results):
    """Path and contents of all that comes of the results."""
    return {
        README: filled(README, results),
        PAGE: filled(PAGE, results),
        **{IMAGES / f"{name}.svg": plot(results, *about) for name, about in PLOTS.items()},
    }


def write_pages():
    IMAGES.mkdir(exist_ok=True)
    for path, contents in files(read_results()).items():
        path.write_text(contents)
