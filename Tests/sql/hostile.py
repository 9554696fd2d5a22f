"""Statements that want what SQL over the wire must not give: other files, writes, all memory, all time, an answer without end.

`STATEMENTS` has (kind, statement): `refused` are never executed; `cut` end at a limit; `answered` look as bad, and have an
answer, for which the time is bounded. Each is sent by test_sql_hostile.py, and by run.py beside a client that counts how long
its GETs take.
"""

ENDLESS = "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t) "
DISTINCT = "WITH RECURSIVE t(x) AS (SELECT 1 UNION SELECT x + 1 FROM t) "
TWO_WAYS = "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t UNION ALL SELECT x + 2 FROM t) "
TEXT = "WITH RECURSIVE t(x) AS (SELECT 'abcdefgh' UNION ALL SELECT x || x FROM t) "
THOUSAND = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "
MILLIONS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000) "
LONG = "hex(zeroblob(10000000))"

FILES = f"""
ATTACH 'other.sqlite' AS other
ATTACH ':memory:' AS other
ATTACH '' AS other
ATTACH '/etc/passwd' AS other
ATTACH 'file:/tmp/evil.sqlite?mode=rwc' AS other
ATTACH 'dump.sqlite' AS again KEY 'x'
ATTACH (SELECT 'x') AS other
DETACH main
DETACH temp
VACUUM
VACUUM main
VACUUM INTO 'copy.sqlite'
VACUUM INTO '/tmp/copy.sqlite'
VACUUM INTO (SELECT '/tmp/' || 'copy.sqlite')
SELECT load_extension('x')
SELECT load_extension('/tmp/x.so', 'sqlite3_extension_init')
SELECT load_extension(key) FROM keys
SELECT readfile('/etc/passwd')
SELECT writefile('/tmp/x', 'x')
SELECT edit('x')
SELECT * FROM fsdir('/')
SELECT lsmode(33188)
SELECT * FROM zipfile('/tmp/x.zip')
SELECT sqlar_compress('x')
SELECT usleep(100000000)
SELECT sqlite_log(1, 'x')
SELECT fts3_tokenizer('simple')
SELECT fts3_tokenizer('simple', x'4141414141414141')
SELECT fts5(1)
SELECT fts5_source_id()
SELECT rtreecheck('main', 'keys')
SELECT rtreenode(2, x'00')
SELECT rtreedepth(x'0000')
SELECT geopoly_area('[[0,0],[1,0],[0,1],[0,0]]')
SELECT match('a', 'b')
SELECT regexp('(a+)+$', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!')
SELECT 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!' REGEXP '(a+)+$'
SELECT snippet(keys) FROM keys
SELECT matchinfo(keys) FROM keys
SELECT optimize(keys) FROM keys
SELECT bm25(keys) FROM keys
SELECT highlight(keys, 0, '<', '>') FROM keys
SELECT sqlite_compileoption_get(0)
SELECT sqlite_source_id()
SELECT sqlite_offset(key) FROM raw_strings
SELECT changes()
SELECT total_changes()
SELECT last_insert_rowid()
SELECT subtype('x')
SELECT json_patch('{{}}', '{{}}')
SELECT json_patch(json({LONG}), '{{}}')
"""

WRITES = """
INSERT INTO raw_strings VALUES (1, 0, 'a', 'b', NULL)
INSERT INTO strings VALUES (0, 'a', 'b', NULL)
INSERT OR REPLACE INTO meta VALUES ('segment', 0)
REPLACE INTO meta VALUES ('segment', 0)
INSERT INTO raw_strings SELECT * FROM raw_strings
INSERT INTO raw_strings DEFAULT VALUES RETURNING *
WITH t AS (SELECT 1) INSERT INTO meta VALUES ('x', 1)
UPDATE raw_strings SET value = 'x'
UPDATE meta SET value = 0 WHERE name = 'segment'
UPDATE raw_strings SET value = 'x' RETURNING key
UPDATE sqlite_schema SET sql = ''
UPDATE sqlite_master SET sql = 'x' WHERE name = 'meta'
DELETE FROM raw_strings
DELETE FROM raw_strings RETURNING *
DELETE FROM sqlite_schema
DELETE FROM sqlite_master WHERE type = 'view'
WITH t AS (SELECT 1) DELETE FROM meta
INSERT INTO sqlite_schema VALUES ('table', 'x', 'x', 0, '')
CREATE TABLE evil(x)
CREATE TABLE IF NOT EXISTS keys(x)
CREATE TABLE evil AS SELECT * FROM keys
CREATE TEMP TABLE evil(x)
CREATE TEMP TABLE evil AS SELECT * FROM keys
CREATE TABLE temp.evil(x)
CREATE VIEW evil AS SELECT 1
CREATE TEMP VIEW keys AS SELECT 1
CREATE INDEX evil ON raw_strings(key)
CREATE UNIQUE INDEX evil ON raw_strings(key)
CREATE TRIGGER evil AFTER INSERT ON raw_strings BEGIN SELECT 1; END
CREATE TEMP TRIGGER evil AFTER INSERT ON raw_strings BEGIN SELECT 1; END
CREATE VIRTUAL TABLE evil USING fts5(x)
CREATE VIRTUAL TABLE evil USING fts4(x)
CREATE VIRTUAL TABLE evil USING rtree(a, b, c)
CREATE VIRTUAL TABLE temp.evil USING dbstat(main)
CREATE VIRTUAL TABLE evil USING fts3tokenize
DROP TABLE raw_strings
DROP TABLE IF EXISTS meta
DROP VIEW keys
DROP VIEW IF EXISTS keys
DROP INDEX sqlite_autoindex_meta_1
DROP TRIGGER IF EXISTS x
ALTER TABLE raw_strings RENAME TO evil
ALTER TABLE raw_strings ADD COLUMN x
ALTER TABLE raw_strings DROP COLUMN value
ALTER TABLE raw_strings RENAME COLUMN value TO x
REINDEX
REINDEX raw_strings
ANALYZE
ANALYZE main
ANALYZE raw_strings
BEGIN
BEGIN IMMEDIATE
BEGIN EXCLUSIVE
COMMIT
END
ROLLBACK
SAVEPOINT x
RELEASE x
ROLLBACK TO x
EXPLAIN DELETE FROM raw_strings
EXPLAIN QUERY PLAN UPDATE raw_strings SET value = 'x'
EXPLAIN VACUUM
"""

PRAGMAS = """
PRAGMA writable_schema = ON
PRAGMA writable_schema
PRAGMA writable_schema = RESET
PRAGMA journal_mode
PRAGMA journal_mode = DELETE
PRAGMA journal_mode = OFF
PRAGMA query_only = OFF
PRAGMA query_only
PRAGMA trusted_schema = ON
PRAGMA synchronous = OFF
PRAGMA locking_mode = EXCLUSIVE
PRAGMA wal_checkpoint
PRAGMA wal_checkpoint(TRUNCATE)
PRAGMA wal_autocheckpoint = 1
PRAGMA auto_vacuum = FULL
PRAGMA incremental_vacuum(1000)
PRAGMA user_version = 7
PRAGMA application_id = 7
PRAGMA application_id(7)
PRAGMA schema_version
PRAGMA schema_version = 7
PRAGMA data_version
PRAGMA database_list
PRAGMA integrity_check
PRAGMA quick_check
PRAGMA foreign_key_check
PRAGMA optimize
PRAGMA optimize(0xfffe)
PRAGMA temp_store = FILE
PRAGMA temp_store_directory = '/tmp'
PRAGMA data_store_directory = '/tmp'
PRAGMA cache_size = 100000000
PRAGMA cache_spill = OFF
PRAGMA mmap_size = 1000000000000
PRAGMA soft_heap_limit = 1
PRAGMA hard_heap_limit = 1
PRAGMA hard_heap_limit(1)
PRAGMA threads = 8
PRAGMA busy_timeout = 100000000
PRAGMA analysis_limit = 1
PRAGMA shrink_memory
PRAGMA compile_options
PRAGMA function_list
PRAGMA module_list
PRAGMA collation_list
PRAGMA page_count(7)
PRAGMA page_size = 65536
PRAGMA encoding = 'UTF-16'
PRAGMA max_page_count = 1
PRAGMA secure_delete = ON
PRAGMA legacy_file_format = ON
PRAGMA legacy_alter_table = ON
PRAGMA defer_foreign_keys = ON
PRAGMA recursive_triggers = ON
PRAGMA key = 'x'
PRAGMA rekey = 'x'
PRAGMA activate_extensions('see')
PRAGMA lock_status
PRAGMA stats
PRAGMA vdbe_trace = ON
PRAGMA parser_trace = ON
PRAGMA nothing
SELECT * FROM pragma_database_list
SELECT * FROM pragma_writable_schema
SELECT * FROM pragma_integrity_check
SELECT * FROM pragma_quick_check('raw_strings')
SELECT * FROM pragma_journal_mode
SELECT * FROM pragma_compile_options
SELECT * FROM pragma_function_list
SELECT * FROM pragma_hard_heap_limit(1)
SELECT * FROM pragma_wal_checkpoint
"""

INSIDE = """
SELECT * FROM sqlite_dbpage
SELECT data FROM sqlite_dbpage WHERE pgno = 1
SELECT * FROM dbstat
SELECT sum(pgsize) FROM dbstat('main', 1)
SELECT * FROM sqlite_stmt
SELECT * FROM sqlite_dbdata
SELECT * FROM sqlite_dbptr
SELECT * FROM bytecode('SELECT 1')
SELECT * FROM tables_used('SELECT 1')
SELECT * FROM completion('s')
SELECT * FROM generate_series(1, 100000000000)
SELECT * FROM fts3tokenize('simple', 'a b')
SELECT * FROM carray(1, 2)
SELECT * FROM other.keys
SELECT * FROM temp.keys
SELECT 1; SELECT 2
SELECT 1; DROP TABLE meta
SELECT 1;; VACUUM
SELECT ?
SELECT ?1000000
SELECT abs(-9223372036854775807 - 1)
SELECT :a, :b, :c
SELECT $x
SELECT (
SELECT 'x
SELECT "x
SELECT /* x
SELECT [x
SELECT `x
;
;;;
"""

CUT = [
    *(f"{ENDLESS}SELECT {what} FROM t" for what in (
        "x", "count(*)", "max(x)", "sum(x)", "total(x)", "avg(x)", "group_concat(x)", "group_concat(x, 'abcdefgh')",
        "json_group_array(x)", "json_group_object(x, x)", "count(DISTINCT x)", "count(DISTINCT hex(randomblob(1000)))",
        "max(hex(randomblob(100000)))", "group_concat(hex(zeroblob(1000000)))", "row_number() OVER (ORDER BY x)",
        "sum(x) OVER (ORDER BY x DESC)", "group_concat(x) OVER (ORDER BY x)", "lag(x, 1000000) OVER (ORDER BY x)",
        "ntile(1000) OVER (ORDER BY x)", "percent_rank() OVER (ORDER BY -x)", "zeroblob(1000000)",
        "randomblob(1000000)", "printf('%.*c', 1000000, 'x')", "hex(zeroblob(100000))",
    )),
    f"{ENDLESS}SELECT x FROM t ORDER BY x DESC",
    f"{ENDLESS}SELECT x FROM t ORDER BY random()",
    f"{ENDLESS}SELECT DISTINCT x FROM t",
    f"{ENDLESS}SELECT x FROM t GROUP BY x HAVING count(*) > 1",
    f"{ENDLESS}SELECT x FROM t WHERE x < 0",
    f"{ENDLESS}SELECT x FROM t WHERE x % 2 = 3",
    f"{ENDLESS}SELECT x FROM t UNION SELECT x FROM t",
    f"{ENDLESS}SELECT x FROM t EXCEPT SELECT x FROM t",
    f"{ENDLESS}SELECT x FROM t INTERSECT SELECT -x FROM t",
    f"{ENDLESS}SELECT count(*) FROM t a JOIN t b ON a.x = -b.x",
    f"{ENDLESS}SELECT (SELECT count(*) FROM t b WHERE b.x > a.x) FROM t a",
    f"{ENDLESS}SELECT EXISTS (SELECT 1 FROM t WHERE x < 0)",
    f"{ENDLESS}SELECT 1 IN (SELECT -x FROM t)",
    f"{ENDLESS}SELECT x FROM t LIMIT 1 OFFSET 100000000000",
    f"{ENDLESS}SELECT * FROM keys WHERE size IN (SELECT -x FROM t)",
    f"{DISTINCT}SELECT count(*) FROM t",
    f"{DISTINCT}SELECT max(x) FROM t WHERE x < 0",
    f"{TWO_WAYS}SELECT count(*) FROM t",
    f"{TWO_WAYS}SELECT x FROM t ORDER BY x",
    f"{TEXT}SELECT max(length(x)) FROM t",
    f"{TEXT}SELECT x FROM t",
    "SELECT zeroblob(1000000000)",
    "SELECT zeroblob(2147483647)",
    "SELECT zeroblob(9223372036854775807)",
    "SELECT randomblob(1000000000)",
    "SELECT randomblob(9223372036854775807)",
    "SELECT hex(zeroblob(500000000))",
    "SELECT hex(randomblob(50000000))",
    "SELECT hex(hex(hex(hex(hex(zeroblob(5000000))))))",
    "SELECT quote(zeroblob(100000000))",
    "SELECT quote(quote(quote(hex(zeroblob(30000000)))))",
    "SELECT upper(hex(zeroblob(33554430))) || lower(hex(zeroblob(33554430)))",
    "SELECT zeroblob(60000000) || zeroblob(60000000)",
    "SELECT printf('%.*c', 1000000000, 'x')",
    "SELECT format('%.*c%.*c%.*c', 60000000, 'a', 60000000, 'b', 60000000, 'c')",
    f"SELECT replace({LONG}, '0', {LONG})",
    f"SELECT replace({LONG}, '00', '0123456789')",
    "SELECT replace(hex(zeroblob(100000)), '0', hex(zeroblob(100000)))",
    f"SELECT {LONG}, {LONG}, {LONG}, {LONG}",
    f"SELECT {LONG} UNION ALL SELECT {LONG}",
    f"SELECT json_array({', '.join(['hex(zeroblob(5000000))'] * 20)})",
    f"SELECT json_object('a', {LONG}, 'b', {LONG})",
    f"{THOUSAND}SELECT group_concat(hex(zeroblob(1000000))) FROM n",
    f"{THOUSAND}SELECT json_group_array(hex(zeroblob(1000000))) FROM n",
    f"{THOUSAND}SELECT hex(zeroblob(100000)) FROM n",
    f"{THOUSAND}SELECT i, randomblob(1000000) AS b FROM n ORDER BY b",
    f"{THOUSAND}SELECT DISTINCT randomblob(1000000) FROM n",
    f"{THOUSAND}SELECT count(*) FROM n a, n b, n c, n d",
    f"{THOUSAND}SELECT count(*) FROM n a, n b, n c WHERE a.i + b.i + c.i < 0",
    f"{THOUSAND}SELECT max(a.i * b.i * c.i * d.i) FROM n a, n b, n c, n d",
    f"{THOUSAND}SELECT a.i FROM n a, n b, n c ORDER BY a.i * b.i * c.i",
    f"{THOUSAND}SELECT sum(a.i) OVER (ORDER BY b.i ROWS UNBOUNDED PRECEDING) FROM n a, n b, n c",
    f"{THOUSAND}SELECT avg(a.i) OVER (ORDER BY b.i ROWS BETWEEN 100000 PRECEDING AND 100000 FOLLOWING) FROM n a, n b",
    f"{THOUSAND}SELECT max(a.i) OVER (ORDER BY b.i ROWS BETWEEN 9999 PRECEDING AND 9999 FOLLOWING EXCLUDE TIES) "
    "FROM n a, n b",
    f"{MILLIONS}SELECT count(*) FROM n",
    f"{MILLIONS}SELECT i FROM n ORDER BY i DESC",
    f"{MILLIONS}SELECT i % 1000 AS g, group_concat(i) FROM n GROUP BY g",
    f"{MILLIONS}SELECT i, count(*) FROM n GROUP BY i",
    f"{MILLIONS}SELECT json_group_array(i) FROM n",
    f"{MILLIONS}SELECT count(*) FROM n WHERE 'x' || i LIKE '%9%8%7%6%5%4%3%2%1%'",
    f"{MILLIONS}SELECT count(*) FROM n WHERE hex(randomblob(1000)) GLOB '*0*1*2*3*4*5*6*7*8*9*'",
    f"{MILLIONS}SELECT count(*) FROM n WHERE instr(hex(randomblob(1000)), 'FFFFFFFF')",
    f"{MILLIONS}SELECT sum(length(trim(hex(zeroblob(1000)), '0'))) FROM n",
    f"{MILLIONS}SELECT max(datetime(i, 'unixepoch', '+1 month', 'weekday 3', 'start of year')) FROM n",
    f"{MILLIONS}SELECT max(strftime('%Y-%m-%d %H:%M:%f %J %w %W', i, 'unixepoch')) FROM n",
    f"{MILLIONS}SELECT sum(json_extract('[1,2,[3,4,{{\"a\":5}}]]', '$[2][2].a')) FROM n",
    f"{MILLIONS}SELECT sum(sin(i) * cos(i) * tan(i) * exp(1) * pow(i, 0.5)) FROM n",
    "SELECT count(*) FROM keys a, keys b, keys c, keys d",
    "SELECT count(*) FROM raw_strings a, raw_strings b, raw_strings c, raw_strings d",
    "SELECT count(*) FROM raw_strings a JOIN raw_strings b ON a.key <> b.key JOIN raw_strings c ON b.key <> c.key "
    "JOIN raw_strings d ON c.key <> d.key",
    "SELECT a.key FROM raw_strings a, raw_strings b, raw_strings c ORDER BY a.value || b.value || c.value",
    "SELECT group_concat(a.value || b.value) FROM raw_strings a, raw_strings b, raw_strings c",
    "SELECT count(DISTINCT a.key || b.key || c.key) FROM raw_strings a, raw_strings b, raw_strings c",
    "WITH RECURSIVE p(x, y) AS (SELECT 0, 0 UNION SELECT x + 1, y FROM p UNION SELECT x, y + 1 FROM p) "
    "SELECT max(x + y) FROM p",
    "WITH RECURSIVE f(a, b) AS (SELECT 0.0, 1.0 UNION ALL SELECT b, a + b FROM f) SELECT max(a) FROM f",
    "WITH RECURSIVE w(s) AS (SELECT '' UNION ALL SELECT s || 'a' FROM w UNION ALL SELECT s || 'b' FROM w) SELECT s FROM w",
    "WITH RECURSIVE j(d) AS (SELECT '[]' UNION ALL SELECT '[' || d || ',' || d || ']' FROM j) "
    "SELECT max(json_array_length(d)) FROM j",
    "SELECT (WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x FROM t) SELECT count(*) FROM t)",
    "VALUES ((WITH RECURSIVE t(x) AS (VALUES (1) UNION ALL SELECT x FROM t) SELECT max(x) FROM t))",
]  # fmt: skip

# Refused as they stand, as SQLite or a limit says.
SHAPES = [
    "SELECT " + "(" * 5000 + "1" + ")" * 5000,
    "SELECT " + "-" * 1 + " -".join(["1"] * 10000),
    "SELECT " + "+".join(["1"] * 5000),
    "SELECT " + " || ".join(["'a'"] * 5000),
    "SELECT " + " AND ".join(["1"] * 5000),
    "SELECT " + "NOT " * 5000 + "1",
    "SELECT " + "~" * 5000 + "1",
    "SELECT " + "abs(" * 2000 + "1" + ")" * 2000,
    "SELECT " + "CASE WHEN 1 THEN " * 2000 + "1" + " END" * 2000,
    "SELECT " + "(SELECT " * 500 + "1" + ")" * 500,
    "SELECT * FROM " + "(SELECT * FROM " * 500 + "keys" + ")" * 500,
    "SELECT max(" + ",".join(["1"] * 200) + ")",
    "SELECT json_object(" + ",".join(["'a',1"] * 100) + ")",
    "SELECT " + ",".join(["1"] * 2000),
    " UNION ALL ".join(["SELECT 1"] * 600),
    " UNION ".join(["SELECT 1"] * 600),
    "SELECT * FROM " + ", ".join(f"raw_strings a{i}" for i in range(70)),
    "SELECT * FROM keys WHERE key LIKE '" + "%a" * 2000 + "'",
    "SELECT * FROM keys WHERE key GLOB '" + "*a" * 2000 + "'",
    "SELECT '" + "a" * 300000 + "'",
    "SELECT 1 -- " + "x" * 300000,
    "WITH " + ", ".join(
        ["a0 AS (SELECT 1 AS x)"] + [f"a{i} AS (SELECT * FROM a{i - 1} UNION ALL SELECT * FROM a{i - 1})" for i in range(1, 60)]
    ) + " SELECT count(*) FROM a59",
    "WITH " + ", ".join(
        ["a0 AS (SELECT key AS x FROM keys)"] + [f"a{i} AS (SELECT p.x FROM a{i - 1} p, a{i - 1} q)" for i in range(1, 40)]
    ) + " SELECT count(*) FROM a39",
]  # fmt: skip

ANSWERED = [
    "SELECT 1 IN (" + ",".join(map(str, range(30000))) + ")",
    "SELECT * FROM (VALUES " + ",".join(f"({i})" for i in range(20000)) + ") LIMIT 1",
    "SELECT " + " OR ".join(f"{i} = 0" for i in range(1, 250)),
    "SELECT count(*) FROM raw_strings WHERE " + " OR ".join(f"key = 'k{i}'" for i in range(250)),
    f"SELECT instr({LONG}, 'x')",
    f"SELECT instr({LONG}, {LONG})",
    f"SELECT instr({LONG}, substr({LONG}, 1, 5000000) || 'x')",
    f"SELECT length(replace({LONG}, substr({LONG}, 1, 5000000) || 'x', 'y'))",
    f"SELECT length(trim({LONG}, 'abcdefghij'))",
    f"SELECT length(replace({LONG}, '0', ''))",
    f"SELECT {LONG} LIKE '%1%'",
    f"SELECT {LONG} LIKE '%0%0%0%0%0%0%0%0%0%0%0%0%1'",
    f"SELECT {LONG} LIKE '" + "%0" * 45 + "1'",
    f"SELECT {LONG} LIKE '%" + "0" * 90 + "1'",
    f"SELECT {LONG} GLOB '*" + "0" * 90 + "1'",
    f"SELECT {LONG} GLOB '" + "*[^1-9]" * 13 + "x'",
    f"SELECT unicode({LONG}), soundex({LONG}), typeof({LONG})",
    f"SELECT length(quote({LONG})), length(upper({LONG}))",
    f"SELECT CAST({LONG} AS INTEGER), CAST({LONG} AS REAL), CAST({LONG} AS NUMERIC)",
    f"SELECT json_valid({LONG})",
    f"SELECT datetime({LONG}), julianday({LONG}), strftime('%s', {LONG})",
    "SELECT length(printf('%.*c', 5000000, 'x'))",
    "SELECT printf('%1000000000d', 1)",
    "SELECT printf('%.1000000000f', 1.5)",
    "SELECT printf('%2147483647s', 'x')",
    "SELECT printf('%-2147483648s', 'x')",
    "SELECT length(group_concat(key)) FROM keys",
    "SELECT count(*) FROM json_tree('" + "[" * 900 + "]" * 900 + "')",
    "SELECT json_valid('" + "[" * 100000 + "]" * 100000 + "')",
    "SELECT json_extract('" + "[" * 900 + "1" + "]" * 900 + "', '$" + "[0]" * 900 + "')",
    "SELECT count(*) FROM json_each('[" + ",".join(["1"] * 100000) + "]')",
    "SELECT length(json_set('{}', " + ", ".join(f"'$.a{i}', {i}" for i in range(49)) + "))",
    "SELECT hex(zeroblob(7000000))",
    "SELECT zeroblob(15000000)",
    f"{THOUSAND}SELECT i, hex(zeroblob(7000)) FROM n",
    f"{THOUSAND}SELECT a.i, hex(zeroblob(50)) FROM n a, n b LIMIT 90000",
    "SELECT * FROM sqlite_schema",
    "SELECT * FROM meta",
    "SELECT * FROM sqlite_temp_schema",
    "PRAGMA table_info(keys)",
    "PRAGMA user_version",
    "SELECT * FROM pragma_table_list",
    "EXPLAIN SELECT * FROM keys",
    "EXPLAIN QUERY PLAN SELECT * FROM keys a, keys b, keys c, lists d, hashes e",
    "SELECT -9223372036854775808 / -1, 1 / 0, 1 % 0, 9223372036854775807 + 1, 1e308 * 10, -1e308 * 10, 0.0 / 0",
    "SELECT CAST(x'ff00fe' AS TEXT), x'', '', NULL, char(0), char(1114112), char(55296)",
    "SELECT CAST(x'c080' AS TEXT) AS \"a\", CAST(x'f8888080' AS TEXT) AS \"a\", 1 AS \"\"",
    "SELECT round(1e300, 30), round(0.5, -5), substr('abc', -9223372036854775808, 9223372036854775807)",
]  # fmt: skip


def lines(text):
    return [line for line in text.splitlines() if line]


STATEMENTS = [
    *(("refused", sql) for sql in lines(FILES + WRITES + PRAGMAS + INSIDE) + SHAPES),
    *(("cut", sql) for sql in CUT),
    *(("answered", sql) for sql in ANSWERED),
]
