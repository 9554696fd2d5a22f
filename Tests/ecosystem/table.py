"""The tables of docs/clients.md, out of results.json: what passed, in which version, and when. `run.py` records it."""

import datetime
import json
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULTS = ROOT / "Tests" / "ecosystem" / "results.json"
PAGE = ROOT / "docs" / "clients.md"
KINDS = ("queue", "program", "suite")
# What a program is, where its name does not say it.
ABOUT = {
    "channels": "Django Channels' layers",
    "limits": "rate limits, three strategies",
    "django": "cache, sessions, locks",
    "flask_caching": "cache of Flask",
    "walrus": "its own tests",
    "redis_py": "RESP2 and RESP3",
    "tls": "over TLS, with certificates of clients",
    "php_tls": "over TLS",
    "ruby_tls": "over TLS",
    "php_sessions": "PHP's sessions, with locking",
    "exporter": "all metrics, with their labels, compared with redis-server 7.0.15",
}


def read_results():
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def record(name, kind, versions, said):
    results = read_results()
    results[name] = {"kind": kind, "versions": versions, "said": said, "date": datetime.date.today().isoformat()}
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")


def rows(results, kind):
    found = [(name, result) for name, result in results.items() if result["kind"] == kind]
    for name, result in sorted(found, key=lambda row: row[1]["versions"].lower()):
        said = re.sub(r"^its own tests: ", "", result["said"])
        if kind == "program":
            said = ABOUT.get(name, "its commands")
        yield f"| {pairs(result['versions'])} | {said} | {result['date']} |"


def pairs(versions):
    """Names and versions that follow each other, without what Debian appends to a version."""
    words = [re.sub(r"^(?:\d+:)?(\d[\w.]*)[-+~].*", r"\1", word) for word in versions.split()]
    return ", ".join(f"{name} {version}" for name, version in zip(words[::2], words[1::2]))


HEADS = {"queue": "jobs, while the server is killed", "program": "what was tried", "suite": "its own tests"}


def filled(results):
    """The page with the tables of the results."""

    def lines(mark):
        head = f"| library | {HEADS[mark[1]]} | on |\n|---|---|---|\n"
        return f"{mark[1]}{mark[2]}{head}" + "".join(row + "\n" for row in rows(results, mark[1]))

    return re.sub(
        r"(?<=<!-- ecosystem: )(\w+)( -->\n).*?(?=<!-- end of ecosystem -->)", lines, PAGE.read_text(), flags=re.S
    )


def write_page():
    PAGE.write_text(filled(read_results()))
