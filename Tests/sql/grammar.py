"""Random statements from a grammar: SELECTs mostly, over the snapshot's tables and views, with all of SQLite's syntax that reads,
and now and then what must be refused, or a statement that was damaged."""

VIEWS = {
    "keys": ["db", "key", "type", "size", "bytes", "expires_at"],
    "strings": ["db", "key", "value", "expires_at"],
    "lists": ["db", "key", "position", "value", "expires_at"],
    "hashes": ["db", "key", "field", "value", "expires_at"],
    "sets": ["db", "key", "member", "expires_at"],
    "zsets": ["db", "key", "member", "score", "expires_at"],
    "streams": ["db", "key", "id", "fields"],
    "stream_pending": ["db", "key", "group_name", "consumer", "id", "deliveries"],
    "raw_strings": ["id", "db", "key", "value", "expires_ms", "rowid"],
    "raw_hash_fields": ["id", "field", "value"],
    "raw_zset_members": ["id", "member", "score", "minus_zero"],
    "meta": ["name", "value"],
    "sqlite_schema": ["type", "name", "tbl_name", "rootpage", "sql"],
    "json_each('[1,2,{\"a\":[3]}]')": ["key", "value", "type", "atom", "fullkey"],
    'json_tree(\'{"a":{"b":[1,null]}}\')': ["key", "value", "type", "path", "parent"],
    "pragma_table_info('keys')": ["cid", "name", "type", "pk"],
}
UNARY = "abs hex length lower upper quote typeof unicode soundex trim ltrim rtrim round sign ln log10 sqrt sin exp ceil floor trunc \
zeroblob char json json_valid json_type json_quote json_array_length date time datetime julianday unixepoch strftime likely".split()
BINARY = (
    "coalesce ifnull nullif instr max min round substr trim ltrim rtrim printf like glob json_extract json_array strftime date \
datetime pow mod atan2 log json_remove json_type".split()
)
TERNARY = "replace substr iif json_set json_insert json_replace printf like coalesce strftime json_array format".split()
AGGREGATES = "count sum total avg min max group_concat json_group_array".split()
WINDOWS = "row_number() rank() dense_rank() percent_rank() cume_dist() ntile(3) lag(1) lead(1,2,3) first_value(1) nth_value(1,2)".split()
OPERATORS = "+ - * / % || < <= > >= = == <> != IS & | << >> AND OR -> ->> LIKE GLOB".split() + [
    "IS NOT",
    "NOT LIKE",
    "IS DISTINCT FROM",
]
LITERALS = [
    "0", "1", "-1", "7", "0.5", "1e308", "-1e-308", "9223372036854775807", "-9223372036854775808", "0x7fffffffffffffff", "''",
    "'a'", "'k1'", "'%'", "'[1,2]'", "'{\"a\":1}'", "'$.a'", "'$[0]'", "'2026-11-27'", "'+1 day'", "'%s'", "'%d-%f'", "x''", "x'ff'",
    "NULL", "TRUE", "CURRENT_TIMESTAMP", "'\U0001f642é'", "1e999", "char(0)", "100", "'*'", "'_'", "'[a-'",
]  # fmt: skip
REFUSED = [
    "INSERT INTO meta VALUES (1, 2)", "DELETE FROM {table}", "UPDATE meta SET value = {value}", "DROP TABLE {table}",
    "CREATE TABLE x AS SELECT {value}", "CREATE TEMP TABLE x(a)", "ATTACH {value} AS x", "PRAGMA writable_schema = ON",
    "PRAGMA {column}", "PRAGMA journal_mode = {value}", "VACUUM INTO {value}", "SELECT load_extension({value})", "BEGIN",
    "SELECT * FROM sqlite_dbpage", "SELECT * FROM dbstat", "REINDEX", "ANALYZE", "ALTER TABLE meta ADD x", "DETACH main",
    "CREATE INDEX x ON raw_strings({column})", "WITH x AS (SELECT 1) DELETE FROM meta WHERE {value}",
    "INSERT INTO sqlite_schema VALUES ({value}, {value}, {value}, 1, {value})", "CREATE VIRTUAL TABLE x USING fts5(a)",
]  # fmt: skip


class Grammar:
    """`random` decides; each call of `statement` makes one."""

    def __init__(self, random):
        self.random = random

    def statement(self):
        chance = self.random.random()
        if chance < 0.06:
            text = self.random.choice(REFUSED)
            text = text.replace("{table}", self.table()).replace("{column}", self.column([]))
            while "{value}" in text:
                text = text.replace("{value}", self.random.choice(LITERALS), 1)
            return text
        text = self.select(3)
        if chance < 0.12:
            return self.damaged(text)
        if chance < 0.16:
            return self.random.choice(["EXPLAIN ", "EXPLAIN QUERY PLAN "]) + text
        return text

    def damaged(self, text):
        """A piece is left out, repeated, or taken from elsewhere."""
        a, b = sorted(self.random.randrange(len(text) + 1) for _ in range(2))
        c = self.random.randrange(len(text))
        return self.random.choice(
            [text[:a] + text[b:], text[:b] + text[a:], text[:a] + self.random.choice("();,'\"[]x?\x7f\\") + text[a:]]
            + [text[:a] + text[c : c + 10] + text[a:], text[:a] + chr(self.random.randrange(1, 0x2000)) + text[a:]]
        )

    def table(self):
        return self.random.choice(list(VIEWS))

    def column(self, names):
        return self.random.choice(names or ["key", "value", "db", "size", "nothing"])

    def select(self, depth):
        random = self.random
        text = ""
        if random.random() < 0.1:
            text = f"WITH c(a, b) AS (SELECT {self.value([], 1)}, 2) "
        elif random.random() < 0.08:
            stop = random.choice(["30", "300", "3000"])
            text = f"WITH RECURSIVE c(a, b) AS (SELECT 1, {self.value([], 1)} UNION{random.choice(['', ' ALL'])} "
            text += f"SELECT a + 1, b FROM c WHERE a < {stop}) "
        count = random.choice([None, 1, 1, 2, 3])
        text += self.simple_select(depth, bool(text), count)
        while count and random.random() < 0.2 and depth > 0:
            kind = random.choice(["UNION", "UNION ALL", "EXCEPT", "INTERSECT"])
            text += f" {kind} {self.simple_select(depth - 1, False, count)}"
        return text + random.choice(
            ["", "", "", " LIMIT 5", " LIMIT 3 OFFSET 2", " ORDER BY 1 LIMIT 10", " ORDER BY 1 DESC"]
        )

    def simple_select(self, depth, has_common, count=None):
        """Of so many columns, where that is given."""
        random = self.random
        if count is None and random.random() < 0.04:
            return f"VALUES ({self.value([], 2)}, {self.value([], 1)})"
        names, source = self.source(depth, has_common)
        is_grouped = random.random() < 0.2
        columns = ", ".join(self.result(names, depth, is_grouped) for _ in range(count or random.choice([1, 2, 3])))
        if count is None and names and random.random() < 0.2:
            columns = "*"
        text = f"SELECT {random.choice(['', '', '', 'DISTINCT '])}{columns}{source}"
        if source and random.random() < 0.5:
            text += f" WHERE {self.value(names, depth)}"
        if is_grouped:
            text += f" GROUP BY {self.value(names, 1)}"
            if random.random() < 0.3:
                text += f" HAVING {self.aggregate(names, 1)} {random.choice(OPERATORS)} 1"
        return text

    def source(self, depth, has_common):
        """Names of its columns, and FROM."""
        random = self.random
        if has_common and random.random() < 0.8:
            return ["a", "b"], " FROM c"
        chance = random.random()
        if chance < 0.15:
            return [], ""
        if chance < 0.25 and depth > 0:
            return [
                "x"
            ], f" FROM (SELECT {self.value([], depth - 1)} AS x UNION ALL {self.simple_select(depth - 1, False, 1)})"
        table = self.table()
        names, text = VIEWS[table], f" FROM {table}"
        if random.random() < 0.2:
            other = self.table()
            join = random.choice([" JOIN ", ", ", " LEFT JOIN ", " CROSS JOIN ", " FULL JOIN "])
            text = f" FROM {table} AS p{join}{other} AS q"
            names = [f"p.{name}" for name in names] + [f"q.{name}" for name in VIEWS[other]]
            if join.strip() != "," and random.random() < 0.8:
                text += f" ON {self.column(names)} = {self.column(names)}"
        return names, text

    def result(self, names, depth, is_grouped):
        random = self.random
        chance = random.random()
        if is_grouped or chance < 0.15:
            text = self.aggregate(names, depth)
        elif chance < 0.22:
            frame = random.choice(
                ["", " ROWS 2 PRECEDING", " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING", " RANGE 1 PRECEDING"]
            )
            order = f"ORDER BY {self.value(names, 1)}" if frame or random.random() < 0.7 else ""
            part = f"PARTITION BY {self.value(names, 1)} " if random.random() < 0.4 else ""
            text = f"{random.choice([*WINDOWS, 'sum(1)', 'count(*)', 'max(2)'])} OVER ({part}{order}{frame})"
        else:
            text = self.value(names, depth)
        return text + random.choice(["", "", "", " AS a", ' AS "b c"'])

    def aggregate(self, names, depth):
        name = self.random.choice(AGGREGATES)
        inner = self.random.choice(["", "DISTINCT "]) + self.value(names, depth - 1)
        end = f" FILTER (WHERE {self.value(names, 1)})" if self.random.random() < 0.1 else ""
        return f"{name}({inner}){end}"

    def value(self, names, depth):
        random = self.random
        chance = random.random()
        if depth <= 0 or chance < 0.3:
            return self.column(names) if names and random.random() < 0.6 else random.choice(LITERALS)
        inner = depth - 1
        if chance < 0.5:
            return f"({self.value(names, inner)} {random.choice(OPERATORS)} {self.value(names, inner)})"
        if chance < 0.62:
            return f"{random.choice(UNARY)}({self.value(names, inner)})"
        if chance < 0.72:
            return f"{random.choice(BINARY)}({self.value(names, inner)}, {self.value(names, inner)})"
        if chance < 0.78:
            arguments = ", ".join(self.value(names, inner) for _ in range(3))
            return f"{random.choice(TERNARY)}({arguments})"
        if chance < 0.82:
            kind = random.choice(["TEXT", "INTEGER", "REAL", "BLOB", "NUMERIC"])
            return f"CAST({self.value(names, inner)} AS {kind})"
        if chance < 0.86:
            values = ", ".join(self.value(names, inner) for _ in range(3))
            return f"({self.value(names, inner)} {random.choice(['', 'NOT '])}IN ({values}))"
        if chance < 0.90:
            return f"CASE WHEN {self.value(names, inner)} THEN {self.value(names, inner)} ELSE {self.value(names, inner)} END"
        if chance < 0.94:
            return f"({self.simple_select(inner, False, 1)} LIMIT 1)"
        if chance < 0.96:
            return f"EXISTS ({self.simple_select(inner, False)})"
        return random.choice(["-", "+", "~", "NOT "]) + f"({self.value(names, inner)})"
