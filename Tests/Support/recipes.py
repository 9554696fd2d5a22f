"""The recipes of schema/sql/recipes.sql, and the pages that are made of them: run as a program, this file writes them."""

import pathlib
import textwrap

from oracle import ROOT

MARKER, HEADING = "-- name: ", "-- title: "
PAGE, METADATA = ROOT / "docs" / "recipes.md", ROOT / "docs" / "datasette.yaml"

INTRODUCTION = """\
# Recipes

Questions that people ask of their data, with the SQL that answers them. They run on the snapshot while the server runs
(`sqlite3 'file:dump.sqlite?mode=ro'`), on a copy that [`redis-migrate index`](snapshot.md) has made, and in Datasette, as named
queries of [datasette.yaml](datasette.yaml). Names of keys in them are examples.

This page is made of `schema/sql/recipes.sql` by `Tests/Support/recipes.py`; a test runs each of them.
"""

# Views first, then what the views are made of.
TITLES = {
    "keys": ("Keys", "Every key. size is a string's bytes, else the number of elements; bytes are those of all that is in it."),
    "expiring": ("Keys that expire", "ttl_seconds is negative for what has expired and is still here."),
    "prefixes": ("Prefixes", "What stands before the first colon of a key. A string counts as one element."),
    "info": ("The snapshot", "When it was saved, and what is in it."),
    "strings": ("Strings", None),
    "lists": ("Lists", "An element a row, from the head."),
    "lists_reversed": ("Lists, from the tail", "Positions are negative, as LINDEX counts."),
    "hashes": ("Hashes", "A field a row."),
    "hashes_json": ("Hashes as JSON", "A hash a row: j->>'name' is a field."),
    "sets": ("Sets", "A member a row."),
    "zsets": ("Sorted sets", "A member a row."),
    "streams": ("Streams", "An entry a row; its fields are a JSON array of names and values in turn."),
    "stream_fields": ("Fields of streams", "A field of an entry a row."),
    "stream_groups": ("Consumer groups", None),
    "stream_consumers": ("Consumers", None),
    "stream_pending": ("Pending entries", "Delivered and not acknowledged."),
}  # fmt: skip
HIDDEN = """functions meta raw_hash_fields raw_hashes raw_list_items raw_lists raw_set_members raw_sets raw_stream_consumers
    raw_stream_entries raw_stream_groups raw_stream_pending raw_streams raw_strings raw_zset_members raw_zsets""".split()
# It needs a second database.
NOT_IN_DATASETTE = {"compare-snapshots"}


class Recipe:
    def __init__(self, name):
        self.name, self.title, self.about, self.sql = name, "", "", ""


def recipes():
    found = []
    for line in (ROOT / "schema" / "sql" / "recipes.sql").read_text().splitlines():
        if line.startswith(MARKER):
            found.append(Recipe(line.removeprefix(MARKER)))
        elif found and line.startswith(HEADING):
            found[-1].title = line.removeprefix(HEADING)
        elif found and line.startswith("--"):
            found[-1].about = f"{found[-1].about} {line.removeprefix('-- ')}".strip()
        elif found and line:
            found[-1].sql += line + "\n"
    return found


def page():
    parts = [INTRODUCTION]
    for recipe in recipes():
        about = textwrap.fill(recipe.about, 120) + "\n\n" if recipe.about else ""
        parts.append(f"## {recipe.title}\n\n{about}```sql\n{recipe.sql}```\n")
    return "\n".join(parts)


def metadata():
    """For Datasette 0.65 (`--metadata`)."""
    lines = [
        "# datasette analysis.sqlite --metadata datasette.yaml, where `redis-migrate index dump.sqlite analysis.sqlite` has made",
        "# the copy. Made by Tests/Support/recipes.py.",
        "title: A snapshot of Swiftlet",
        "databases:",
        "  analysis:",
        "    title: A snapshot of Swiftlet",
        "    tables:",
    ]
    for name, (title, about) in TITLES.items():
        lines += [f"      {name}:", f"        title: {title}"]
        lines += [f"        description: {quoted(about)}"] if about else []
        lines += ["        sort_desc: bytes"] if name in ("keys", "prefixes") else []
        lines += ["        facets: [type]"] if name == "keys" else []
        lines += ["        sort: ttl_seconds"] if name == "expiring" else []
    for name in HIDDEN:
        lines += [f"      {name}:", "        hidden: true"]
    lines.append("    queries:")
    for recipe in recipes():
        if recipe.name in NOT_IN_DATASETTE:
            continue
        lines += [f"      {recipe.name}:", f"        title: {quoted(recipe.title)}"]
        lines += [f"        description: {quoted(recipe.about)}"] if recipe.about else []
        lines += ["        sql: |-", textwrap.indent(recipe.sql.rstrip().rstrip(";"), " " * 10)]
    return "\n".join(lines) + "\n"


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


if __name__ == "__main__":
    pathlib.Path(PAGE).write_text(page())
    pathlib.Path(METADATA).write_text(metadata())
