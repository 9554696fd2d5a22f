"""redis-migrate stats: counts against redis-server, and each form of output against the JSON."""

import base64
import csv
import html.parser
import io
import json
import random

import pytest

from data import FAR, fill, mixed_requests
from migrate import tool
from oracle import start_redis
from resp import bulk, bulks, integer
from seed import new_seed

TALLY = ["keys", "elements", "bytes", "expiring"]
COUNTS = {"list": "LLEN", "hash": "HLEN", "set": "SCARD", "zset": "ZCARD", "stream": "XLEN"}


@pytest.fixture(scope="module")
def dump(tmp_path_factory):
    """An RDB file of redis-server's, and what it says of each key: type, elements, whether it expires."""
    directory = tmp_path_factory.mktemp("made")
    redis = start_redis("--dir", str(directory))
    try:
        connection = redis.connect()
        fill(connection.call)
        connection.pipeline(list(mixed_requests(random.Random(new_seed()), 400)))
        connection.call("SET", '<b>&"quoted"</b>:x', "1", "PXAT", FAR)
        connection.call("SELECT", 3)
        connection.call("SET", "user:1", "x" * 1000, "EX", 1000)
        connection.call("RPUSH", "user:2:list", "a", "bc")
        facts = {}
        for database in (0, 3):
            connection.call("SELECT", database)
            for key in bulks(connection.call("KEYS", "*")):
                kind = connection.call("TYPE", key)[1:-2].decode()
                size = integer(connection.call(COUNTS[kind], key)) if kind in COUNTS else 0
                facts[database, key] = kind, size, integer(connection.call("PTTL", key)) >= 0
        length = len(bulk(connection.call("GET", "user:1")) or b"") or 1000
        assert length == 1000
        connection.call("SAVE")
    finally:
        redis.stop()
    return directory / "dump.rdb", facts


def stats(path, *options):
    run = tool("stats", path, "--json", *options)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def total(rows, name):
    return sum(row[name] for row in rows)


def test_counts_are_those_of_redis_server(dump):
    path, facts = dump
    found = stats(path, "--top", 10_000)
    assert found["keys"] == len(facts)
    assert found["elements"] == sum(size for _, size, _ in facts.values())
    assert found["expiring"] == sum(expires for _, _, expires in facts.values())
    for row in found["types"]:
        mine = [size for kind, size, _ in facts.values() if kind == row["type"]]
        assert (row["keys"], row["elements"]) == (len(mine), sum(mine)), row
    assert {row["db"]: row["keys"] for row in found["databases"]} == {
        str(db): sum(1 for at, _ in facts if at == db) for db in (0, 3)
    }
    assert total(found["ttl"], "keys") == found["expiring"]
    for section in ("types", "databases", "sizes", "prefixes"):
        for name in TALLY:
            assert total(found[section], name) == found[name], (section, name)
    lengths = sorted((size for _, size, _ in facts.values() if size), reverse=True)[:5]
    assert [row["elements"] for row in found["longest"][:5]] == lengths
    sizes = [row["bytes"] for row in found["biggest"]]
    assert sizes == sorted(sizes, reverse=True)


def test_bytes_are_those_of_names_and_values(dump):
    found = stats(dump[0], "--top", 10_000)
    named = {(row["db"], row.get("key")): row for row in found["biggest"]}
    assert named[3, "user:1"]["bytes"] == len("user:1") + 1000
    assert named[3, "user:2:list"]["bytes"] == len("user:2:list") + 3


def test_a_snapshot_has_the_same_as_its_rdb_file(dump, tmp_path):
    snapshot = tmp_path / "dump.sqlite"
    assert tool("to-sqlite", dump[0], snapshot).returncode == 0
    first, second = stats(dump[0]), stats(snapshot)
    for one in (first, second):
        one.pop("file"), one.pop("format")
    assert first == second


def test_prefixes(dump):
    path, facts = dump
    for depth in (1, 2):
        found = stats(path, "--depth", depth, "--top", 10_000)
        counts = {}
        for (_, key), _ in facts.items():
            parts = key.split(b":")
            prefix = b":".join(parts[: min(depth, len(parts) - 1)]) + b":" if len(parts) > 1 else None
            counts[prefix] = counts.get(prefix, 0) + 1
        for row in found["prefixes"]:
            text = row["prefix"]
            name = base64.b64decode(text[4:]) if text.startswith("b64:") else text.encode()
            assert row["keys"] == counts.pop(None if name == b"(no prefix)" else name)
        assert not counts
    found = stats(path, "--separator", "", "--top", 3)
    assert [row["prefix"] for row in found["prefixes"]] == ["(no prefix)"]
    assert len(found["biggest"]) == len(found["longest"]) == 3


def test_csv_has_the_same_numbers(dump):
    found = stats(dump[0])
    run = tool("stats", dump[0], "--csv")
    assert run.returncode == 0
    rows = list(csv.DictReader(io.StringIO(run.stdout)))
    assert [int(rows[0][name]) for name in TALLY] == [found[name] for name in TALLY]
    for section in ("types", "databases", "ttl", "sizes", "prefixes", "biggest", "longest"):
        mine = [[int(row[name]) for name in TALLY] for row in rows if row["section"] == section]
        assert mine == [[row[name] for name in TALLY] for row in found[section]], section


class Page(html.parser.HTMLParser):
    """What stands in the page: totals, rows by section, and whatever would be fetched."""

    def __init__(self, text):
        super().__init__()
        self.totals, self.rows, self.foreign, self.section, self.label = {}, {}, [], None, None
        self.bars, self.open = {}, []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in ("meta", "rect", "link", "img"):
            self.open.append(tag)
        if tag in ("script", "link", "img", "iframe", "object") or {"src", "href"} & attributes.keys():
            self.foreign.append(tag)
        if "data-total" in attributes:
            self.totals[attributes["data-total"]] = int(attributes["data-value"])
        if tag == "section":
            self.section = attributes["id"]
        if "data-keys" in attributes:
            self.rows.setdefault(self.section, []).append([int(attributes["data-" + name]) for name in TALLY])
        if tag == "rect":
            self.bars.setdefault(self.section, []).append(float(attributes["width"]))

    handle_startendtag = handle_starttag

    def handle_endtag(self, tag):
        # What a browser writes of <rect/> has an end.
        assert tag == "rect" or self.open.pop() == tag


def check_page(page, found):
    assert not page.foreign
    for name in TALLY:
        assert page.totals[name] == found[name]
    for section in ("types", "databases", "ttl", "sizes", "prefixes", "biggest", "longest"):
        expected = [[row[name] for name in TALLY] for row in found[section]]
        assert page.rows.get(section, []) == (expected if total(found[section], "keys") else []), section
        # Bars are as long as what they stand for.
        measure = {"longest": "elements", "ttl": "keys"}.get(section, "bytes")
        largest = max([row[measure] for row in found[section]], default=0) or 1
        for row, width in zip(found[section], page.bars.get(section, [])):
            assert abs(width - 400 * row[measure] / largest) < 0.1


def test_the_page_has_the_same_numbers(dump, tmp_path):
    out = tmp_path / "report.html"
    run = tool("stats", dump[0], "--json", "--html", out)
    assert run.returncode == 0, run.stderr
    text = out.read_text()
    check_page(Page(text), json.loads(run.stdout))
    assert "<b>&" not in text and "&lt;b&gt;&amp;&quot;quoted&quot;" in text
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    run = tool("stats", dump[0], "--html", out)
    assert run.returncode == 1 and "exists already" in run.stderr and out.read_text() == text
    assert tool("stats", dump[0], "--html", out, "--force").returncode == 0


def test_a_table_for_people(dump):
    run = tool("stats", dump[0])
    assert run.returncode == 0 and "Biggest keys" in run.stdout and "user:" in run.stdout
    assert run.stderr == ""


def test_refusals(tmp_path):
    (tmp_path / "neither").write_text("something else entirely")
    for arguments, code, text in [
        ((tmp_path / "neither",), 1, "neither"),
        ((tmp_path / "missing",), 1, "cannot be opened"),
        ((tmp_path / "neither", "--depth", "0"), 64, "--depth"),
        ((tmp_path / "neither", "--json", "--csv"), 64, "exclude"),
    ]:
        run = tool("stats", *arguments)
        assert run.returncode == code and text in run.stderr, run
