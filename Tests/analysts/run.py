"""What analysts read a snapshot with, unmodified, of PyPI and Debian: DuckDB's scanner on the live file and on a copy, and Datasette
with docs/datasette.yaml, whose front page is photographed with Chromium for somebody to look at.

run.py --server …/swiftlet-server --migrate …/redis-migrate --screenshots .build/analysts
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
import venv

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "Tests" / "Support"), str(ROOT / "Tests" / "clients")]

# Versions whose sqlite_scanner PyPI has, too.
DUCKDB = ["1.4.4", "1.5.5"]
DATASETTE = "0.65.5"
PAGES = {"front": "/", "tables": "/analysis", "keys": "/analysis/keys", "recipe": "/analysis/leaderboard"}


def environment(folder, *packages):
    """The interpreter of an environment that has these packages."""
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
        (folder / "complete").touch()
    return python


def check_duckdb(folder, paths):
    for version in DUCKDB:
        python = environment(
            folder / f"duckdb-{version}", f"duckdb=={version}", f"duckdb-extension-sqlite-scanner=={version}"
        )
        for path in paths:
            subprocess.run([python, HERE / "with_duckdb.py", path], check=True)


def check_datasette(folder, copy):
    """Starts Datasette on the copy, asks for every view and every recipe, and photographs some pages."""
    from oracle import free_port
    from waiting import wait_until

    python = environment(folder / "datasette", f"datasette=={DATASETTE}", "setuptools<81")
    port = free_port()
    command = [python, "-m", "datasette", copy, "--metadata", ROOT / "docs" / "datasette.yaml", "--port", str(port)]
    with open(folder / "datasette.log", "wb") as log:
        process = subprocess.Popen([*map(str, command)], stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"

        def answers():
            assert process.poll() is None, (folder / "datasette.log").read_text()
            try:
                return urllib.request.urlopen(address).status == 200
            except OSError:
                return False

        wait_until(answers, 60)
        database = json.load(urllib.request.urlopen(f"{address}/analysis.json"))
        shown = [table["name"] for table in database["tables"] if not table["hidden"]]
        assert shown and not any(name.startswith("raw_") for name in shown), shown
        queries = [query["name"] for query in database["queries"]]
        for name in queries:
            answer = json.load(urllib.request.urlopen(f"{address}/analysis/{urllib.parse.quote(name)}.json"))
            assert answer["rows"], name
        for name in [*shown, *(view["name"] if isinstance(view, dict) else view for view in database["views"])]:
            urllib.request.urlopen(f"{address}/analysis/{name}.json?_size=3").read()
        print(f"datasette {DATASETTE}: {len(shown)} tables, {len(queries)} recipes")
        for name, page in PAGES.items():
            photograph(address + page, folder / f"{name}.png")
    finally:
        process.terminate()
        process.wait()


def photograph(address, path):
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1100,900"]
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            ["chromium", *flags, f"--user-data-dir={profile}", f"--screenshot={path}", address],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip
    print(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True)
    parser.add_argument("--migrate", required=True)
    parser.add_argument("--screenshots", type=pathlib.Path, default=ROOT / ".build" / "analysts")
    options = parser.parse_args()
    os.environ["SWIFTLET_SERVER"] = options.server
    folder = options.screenshots.resolve()
    folder.mkdir(parents=True, exist_ok=True)

    from oracle import start_swiftlet
    from test_recipes import DATA

    server = start_swiftlet()
    try:
        connection = server.connect()
        for command in [*DATA, ("SET", b"\xff\x00", b"\x00binary"), ("SET", "X'00'", "quoted"), ("SADD", "tags", "a")]:
            assert connection.call(*command)[:1] != b"-", command
        assert connection.call("SAVE") == b"+OK\r\n"
        live = pathlib.Path(server.directory, "dump.sqlite")
        copy = pathlib.Path(server.directory, "analysis.sqlite")
        subprocess.run([options.migrate, "index", live, copy], check=True)
        check_duckdb(folder, [live, copy])
        check_datasette(folder, copy)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
