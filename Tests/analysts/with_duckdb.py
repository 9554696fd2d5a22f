"""Reads every view of a snapshot with DuckDB, and compares it with what SQLite reads. with_duckdb.py FILE"""

import pathlib
import sqlite3
import sys

import duckdb
import duckdb_extension_sqlite_scanner

# They hold both TEXT and BLOB.
RAW = "raw_"


def main(path):
    extension = next(pathlib.Path(duckdb_extension_sqlite_scanner.__file__).parent.rglob("*.duckdb_extension"))
    duck = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    duck.execute(f"LOAD '{extension}'")
    duck.execute(f"ATTACH '{path}' AS s (TYPE sqlite, READ_ONLY)")
    duck.execute("USE s")
    lite = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    names = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY name"
    names = [row[0] for row in lite.execute(names)]
    assert {row[0] for row in duck.execute("SHOW TABLES").fetchall()} >= set(names)
    read = 0
    for name in names:
        if name.startswith(RAW) or name == "meta":
            continue
        # Of what does not move while one looks.
        columns = [row[1] for row in lite.execute(f"PRAGMA table_info({name})") if row[1] != "ttl_seconds"]
        sql = f"SELECT {', '.join(columns)} FROM {name}"
        expected = sorted([text(value) for value in row] for row in lite.execute(sql))
        found = sorted([text(value) for value in row] for row in duck.execute(sql).fetchall())
        assert found == expected, (name, found[:3], expected[:3])
        read += 1
    keys = duck.execute("SELECT type, count(*), sum(size::BIGINT) FROM keys GROUP BY type ORDER BY type").fetchall()
    assert keys == lite.execute("SELECT type, count(*), sum(size) FROM keys GROUP BY type ORDER BY type").fetchall()
    ada = "SELECT count(*) FROM zsets WHERE key = 'scores' AND score::DOUBLE > 100"
    assert duck.execute(ada).fetchone() == (3,)
    print(f"duckdb {duckdb.__version__}: {pathlib.Path(path).name}, {read} views and tables")


def text(value):
    """Numbers in views come as text."""
    if value is None:
        return ""
    number = float(value) if isinstance(value, int | float) else None
    if number is None:
        try:
            number = float(value)
        except ValueError:
            return str(value)
    return f"{number:.3f}"


if __name__ == "__main__":
    main(sys.argv[1])
