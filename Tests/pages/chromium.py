"""The page of `redis-migrate stats --html` in headless Chromium: it renders without network, and what stands in its DOM is what
--json says. Leaves screenshots, light and dark, wide and narrow, for a person to look at.

    make pages [OUT=directory]
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
for folder in ("Support", "clients"):
    sys.path.insert(0, str(ROOT / "Tests" / folder))

from data import fill  # noqa: E402
from oracle import start_redis  # noqa: E402
from test_stats import Page, check_page  # noqa: E402

CHROMIUM = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-extensions"]
# Nothing may be fetched: every name leads nowhere.
OFFLINE = ["--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=2000"]
DARK = ["--blink-settings=preferredColorScheme=0"]
LIGHT = ["--blink-settings=preferredColorScheme=1"]


def chromium(profile, *arguments):
    run = subprocess.run(
        [*CHROMIUM, f"--user-data-dir={profile}", *OFFLINE, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    return run


def make_data(directory):
    """A shop, so that what a person looks at is what a person would look at."""
    redis = start_redis("--dir", str(directory))
    try:
        connection = redis.connect()
        fill(connection.call)
        for i in range(3000):
            connection.call("HSET", f"user:{i}", "name", f"name {i}", "mail", f"{i}@example.org", "visits", i)
            if i % 3 == 0:
                connection.call("SET", f"session:{i:08x}", "s" * (i % 700), "EX", 600 + i * 1000)
            if i % 10 == 0:
                connection.call("RPUSH", f"cart:{i}", *(f"sku:{j}" for j in range(i % 37 + 1)))
            connection.call("ZADD", "leaderboard:all-time:über-alle-Länder", i, f"user:{i}")
        connection.call("SET", '<script>alert("x")</script>:&amp;', "not executed")
        connection.call("SET", b"\xff\xfe binary \x00 key", "x" * 5000)
        connection.call("SELECT", 4)
        for i in range(200):
            connection.call("SET", f"cache:page:{i}", "x" * 2000, "PX", 90_000_000 * (i + 1))
        connection.call("SAVE")
    finally:
        redis.stop()
    return directory / "dump.rdb"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--migrate", required=True)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    out = pathlib.Path(options.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="swiftlet-pages-") as scratch:
        scratch = pathlib.Path(scratch)
        rdb = make_data(scratch)
        page = out / "report.html"
        page.unlink(missing_ok=True)
        run = subprocess.run(
            [options.migrate, "stats", str(rdb), "--json", "--html", str(page)],
            capture_output=True,
            text=True,
            check=True,
        )
        found = json.loads(run.stdout)
        dom = chromium(scratch / "profile", "--dump-dom", page.as_uri()).stdout
        shown = Page(dom[dom.index("<html") :].replace("<hr>", ""))
        check_page(shown, found)
        assert sum(map(len, shown.rows.values())) > 30 and sum(map(len, shown.bars.values())) > 30
        for name, width, colours in [("light", 1000, LIGHT), ("dark", 1000, DARK), ("narrow", 480, LIGHT)]:
            image = out / f"report-{name}.png"
            image.unlink(missing_ok=True)
            chromium(
                scratch / "profile", f"--screenshot={image}", f"--window-size={width},3200", *colours, page.as_uri()
            )
            assert image.stat().st_size > 20_000, name
    print(f"The DOM has the numbers of --json ({found['keys']} keys). Look at {out}/report-*.png")


if __name__ == "__main__":
    if not shutil.which("chromium"):
        sys.exit("chromium is not installed")
    main()
