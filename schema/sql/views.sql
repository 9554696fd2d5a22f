-- The views, for people. Their names are the server's: at start, views of an older version are replaced by these, and what
-- somebody else has made under one of the newer names stays.
--
-- Columns of keys and elements are always text. What begins with ' or X' there is an SQL literal, and can be pasted into a
-- query: X'FF00' is binary, 'X''FF00''' is text that would look like it. All else is the text itself; that is told by
-- comparing, as text sorts before binary, which takes half the time of typeof(). Dates are in UTC (the number of
-- milliseconds where the year is beyond 9999), list positions from 0.
--
-- Rules of this file, each held by a test:
-- * An owner CROSS JOINs its elements, so that SQLite never begins with the elements, which takes up to 36 times as long.
-- * Expressions over a key are deterministic and the same everywhere: an analysis copy has indexes on them (index.sql).
-- * Who reads views leaves trusted_schema on: before SQLite 3.41 JSON functions are refused in views otherwise.
-- * DuckDB reads a view by parsing it and writing it anew, for SQLite: count(*), UNION ALL and GLOB do not survive that.

CREATE VIEW strings AS -- Swiftlet's
    SELECT db,
        CASE WHEN key >= 'X(' AND key < zeroblob(0) OR key >= '(' AND key < 'X''' OR key < '''' THEN key ELSE quote(key) END AS key,
        CASE WHEN value >= 'X(' AND value < zeroblob(0) OR value >= '(' AND value < 'X''' OR value < '''' THEN value ELSE quote(value) END AS value,
        coalesce(datetime(expires_ms / 1000, 'unixepoch'), expires_ms) AS expires_at
    FROM raw_strings;

-- The window is told that a list has one database and one key: so a condition on either comes before it, and rows leave it as
-- they come. The first ten of a list of a million take no longer than those of a list of a hundred.
CREATE VIEW lists AS -- Swiftlet's
    SELECT o.db,
        CASE WHEN o.key >= 'X(' AND o.key < zeroblob(0) OR o.key >= '(' AND o.key < 'X''' OR o.key < '''' THEN o.key ELSE quote(o.key) END AS key,
        row_number() OVER (
            PARTITION BY o.id, o.db,
                CASE WHEN o.key >= 'X(' AND o.key < zeroblob(0) OR o.key >= '(' AND o.key < 'X''' OR o.key < '''' THEN o.key ELSE quote(o.key) END
            ORDER BY i.id) - 1 AS position,
        CASE WHEN i.value >= 'X(' AND i.value < zeroblob(0) OR i.value >= '(' AND i.value < 'X''' OR i.value < '''' THEN i.value ELSE quote(i.value) END AS value,
        coalesce(datetime(o.expires_ms / 1000, 'unixepoch'), o.expires_ms) AS expires_at
    FROM raw_lists o CROSS JOIN raw_list_items i
    WHERE i.id BETWEEN o.id << 32 AND (o.id << 32 | 4294967295);

-- Lists from their tails, where positions are -1, -2, -3, as LINDEX counts.
CREATE VIEW lists_reversed AS -- Swiftlet's
    SELECT o.db,
        CASE WHEN o.key >= 'X(' AND o.key < zeroblob(0) OR o.key >= '(' AND o.key < 'X''' OR o.key < '''' THEN o.key ELSE quote(o.key) END AS key,
        -row_number() OVER (
            PARTITION BY o.id, o.db,
                CASE WHEN o.key >= 'X(' AND o.key < zeroblob(0) OR o.key >= '(' AND o.key < 'X''' OR o.key < '''' THEN o.key ELSE quote(o.key) END
            ORDER BY i.id DESC) AS position,
        CASE WHEN i.value >= 'X(' AND i.value < zeroblob(0) OR i.value >= '(' AND i.value < 'X''' OR i.value < '''' THEN i.value ELSE quote(i.value) END AS value,
        coalesce(datetime(o.expires_ms / 1000, 'unixepoch'), o.expires_ms) AS expires_at
    FROM raw_lists o CROSS JOIN raw_list_items i
    WHERE i.id BETWEEN o.id << 32 AND (o.id << 32 | 4294967295);

CREATE VIEW hashes AS -- Swiftlet's
    SELECT o.db,
        CASE WHEN o.key >= 'X(' AND o.key < zeroblob(0) OR o.key >= '(' AND o.key < 'X''' OR o.key < '''' THEN o.key ELSE quote(o.key) END AS key,
        CASE WHEN i.field >= 'X(' AND i.field < zeroblob(0) OR i.field >= '(' AND i.field < 'X''' OR i.field < '''' THEN i.field ELSE quote(i.field) END AS field,
        CASE WHEN i.value >= 'X(' AND i.value < zeroblob(0) OR i.value >= '(' AND i.value < 'X''' OR i.value < '''' THEN i.value ELSE quote(i.value) END AS value,
        coalesce(datetime(o.expires_ms / 1000, 'unixepoch'), o.expires_ms) AS expires_at,
        coalesce(datetime(i.expires_ms / 1000, 'unixepoch'), i.expires_ms) AS field_expires_at
    FROM raw_hashes o CROSS JOIN raw_hash_fields i
    WHERE i.id BETWEEN o.id << 32 AND (o.id << 32 | 4294967295);

-- A hash a row, as a JSON object: SELECT j->>'name' FROM hashes_json.
CREATE VIEW hashes_json AS -- Swiftlet's
    SELECT o.db,
        CASE WHEN o.key >= 'X(' AND o.key < zeroblob(0) OR o.key >= '(' AND o.key < 'X''' OR o.key < '''' THEN o.key ELSE quote(o.key) END AS key,
        (SELECT json_group_object(
                CASE WHEN i.field >= 'X(' AND i.field < zeroblob(0) OR i.field >= '(' AND i.field < 'X''' OR i.field < '''' THEN i.field ELSE quote(i.field) END,
                CASE WHEN i.value >= 'X(' AND i.value < zeroblob(0) OR i.value >= '(' AND i.value < 'X''' OR i.value < '''' THEN i.value ELSE quote(i.value) END)
            FROM raw_hash_fields i WHERE i.id BETWEEN o.id << 32 AND (o.id << 32 | 4294967295)) AS j,
        coalesce(datetime(o.expires_ms / 1000, 'unixepoch'), o.expires_ms) AS expires_at
    FROM raw_hashes o;

CREATE VIEW sets AS -- Swiftlet's
    SELECT o.db,
        CASE WHEN o.key >= 'X(' AND o.key < zeroblob(0) OR o.key >= '(' AND o.key < 'X''' OR o.key < '''' THEN o.key ELSE quote(o.key) END AS key,
        CASE WHEN i.member >= 'X(' AND i.member < zeroblob(0) OR i.member >= '(' AND i.member < 'X''' OR i.member < '''' THEN i.member ELSE quote(i.member) END AS member,
        coalesce(datetime(o.expires_ms / 1000, 'unixepoch'), o.expires_ms) AS expires_at
    FROM raw_sets o CROSS JOIN raw_set_members i
    WHERE i.id BETWEEN o.id << 32 AND (o.id << 32 | 4294967295);

CREATE VIEW zsets AS -- Swiftlet's
    SELECT o.db,
        CASE WHEN o.key >= 'X(' AND o.key < zeroblob(0) OR o.key >= '(' AND o.key < 'X''' OR o.key < '''' THEN o.key ELSE quote(o.key) END AS key,
        CASE WHEN i.member >= 'X(' AND i.member < zeroblob(0) OR i.member >= '(' AND i.member < 'X''' OR i.member < '''' THEN i.member ELSE quote(i.member) END AS member,
        i.score,
        coalesce(datetime(o.expires_ms / 1000, 'unixepoch'), o.expires_ms) AS expires_at
    FROM raw_zsets o CROSS JOIN raw_zset_members i
    WHERE i.id BETWEEN o.id << 32 AND (o.id << 32 | 4294967295);

CREATE VIEW streams AS -- Swiftlet's
    SELECT o.db,
        CASE WHEN o.key >= 'X(' AND o.key < zeroblob(0) OR o.key >= '(' AND o.key < 'X''' OR o.key < '''' THEN o.key ELSE quote(o.key) END AS key,
        printf('%llu-%llu', e.ms, e.seq) AS id,
        CASE WHEN typeof(e.fields) = 'blob' THEN quote(e.fields) ELSE e.fields END AS fields,
        coalesce(datetime(o.expires_ms / 1000, 'unixepoch'), o.expires_ms) AS expires_at
    FROM raw_streams o CROSS JOIN raw_stream_entries e
    WHERE e.id BETWEEN o.id << 32 AND (o.id << 32 | 4294967295);

-- A field of an entry a row. An entry with binary in it is one row without a field, and all of it is the value.
CREATE VIEW stream_fields AS -- Swiftlet's
    SELECT db,
        CASE WHEN key >= 'X(' AND key < zeroblob(0) OR key >= '(' AND key < 'X''' OR key < '''' THEN key ELSE quote(key) END AS key,
        id, time,
        CASE WHEN field IS NULL THEN NULL WHEN field >= 'X(' AND field < zeroblob(0) OR field >= '(' AND field < 'X''' OR field < '''' THEN field ELSE quote(field) END AS field,
        CASE WHEN value >= 'X(' AND value < zeroblob(0) OR value >= '(' AND value < 'X''' OR value < '''' THEN value ELSE quote(value) END AS value
    FROM (
        SELECT o.db, o.key, printf('%llu-%llu', e.ms, e.seq) AS id,
            CASE WHEN e.ms < 0 THEN printf('%llu', e.ms) ELSE
                coalesce(strftime('%Y-%m-%d %H:%M:%f', e.ms / 1000.0, 'unixepoch'), e.ms) END AS time,
            f.atom AS field,
            CASE WHEN typeof(e.fields) = 'blob' THEN e.fields
                ELSE json_extract(e.fields, '$[' || (f.key + 1) || ']') END AS value
        FROM raw_streams o CROSS JOIN raw_stream_entries e
            CROSS JOIN json_each(CASE WHEN typeof(e.fields) = 'blob' THEN '[null]' ELSE e.fields END) f
        WHERE e.id BETWEEN o.id << 32 AND (o.id << 32 | 4294967295) AND f.key % 2 = 0);

CREATE VIEW stream_groups AS -- Swiftlet's
    SELECT o.db,
        CASE WHEN o.key >= 'X(' AND o.key < zeroblob(0) OR o.key >= '(' AND o.key < 'X''' OR o.key < '''' THEN o.key ELSE quote(o.key) END AS key,
        CASE WHEN g.name >= 'X(' AND g.name < zeroblob(0) OR g.name >= '(' AND g.name < 'X''' OR g.name < '''' THEN g.name ELSE quote(g.name) END AS group_name,
        printf('%llu-%llu', g.last_ms, g.last_seq) AS last_delivered_id,
        g.entries_read,
        (SELECT count(p.id) FROM raw_stream_pending p
            WHERE p.id BETWEEN o.id << 32 AND (o.id << 32 | 4294967295) AND p.group_slot = (g.id & 4294967295)) AS pending
    FROM raw_streams o CROSS JOIN raw_stream_groups g
    WHERE g.id BETWEEN o.id << 32 AND (o.id << 32 | 4294967295);

CREATE VIEW stream_consumers AS -- Swiftlet's
    SELECT o.db,
        CASE WHEN o.key >= 'X(' AND o.key < zeroblob(0) OR o.key >= '(' AND o.key < 'X''' OR o.key < '''' THEN o.key ELSE quote(o.key) END AS key,
        CASE WHEN g.name >= 'X(' AND g.name < zeroblob(0) OR g.name >= '(' AND g.name < 'X''' OR g.name < '''' THEN g.name ELSE quote(g.name) END AS group_name,
        CASE WHEN c.name >= 'X(' AND c.name < zeroblob(0) OR c.name >= '(' AND c.name < 'X''' OR c.name < '''' THEN c.name ELSE quote(c.name) END AS consumer,
        coalesce(datetime(c.seen_ms / 1000, 'unixepoch'), c.seen_ms) AS seen_at,
        coalesce(datetime(c.active_ms / 1000, 'unixepoch'), c.active_ms) AS active_at
    FROM raw_streams o CROSS JOIN raw_stream_consumers c CROSS JOIN raw_stream_groups g
    WHERE c.id BETWEEN o.id << 32 AND (o.id << 32 | 4294967295) AND g.id = (o.id << 32 | c.group_slot);

CREATE VIEW stream_pending AS -- Swiftlet's
    SELECT o.db,
        CASE WHEN o.key >= 'X(' AND o.key < zeroblob(0) OR o.key >= '(' AND o.key < 'X''' OR o.key < '''' THEN o.key ELSE quote(o.key) END AS key,
        CASE WHEN g.name >= 'X(' AND g.name < zeroblob(0) OR g.name >= '(' AND g.name < 'X''' OR g.name < '''' THEN g.name ELSE quote(g.name) END AS group_name,
        CASE WHEN c.name >= 'X(' AND c.name < zeroblob(0) OR c.name >= '(' AND c.name < 'X''' OR c.name < '''' THEN c.name ELSE quote(c.name) END AS consumer,
        printf('%llu-%llu', p.ms, p.seq) AS id,
        coalesce(datetime(p.delivered_ms / 1000, 'unixepoch'), p.delivered_ms) AS delivered_at,
        p.deliveries
    FROM raw_streams o CROSS JOIN raw_stream_pending p CROSS JOIN raw_stream_groups g CROSS JOIN raw_stream_consumers c
    WHERE p.id BETWEEN o.id << 32 AND (o.id << 32 | 4294967295) AND g.id = (o.id << 32 | p.group_slot)
        AND c.id = (o.id << 32 | p.consumer_slot);

-- Every key, for `keys` and for programs. Not a UNION ALL, which DuckDB cannot read: of the rows of `meta` that count tables' rows,
-- each is joined with that table, and with none of the others, as no id is at least NULL. Strings, which are most often
-- the many, come last, so that nothing is asked for each of them.
CREATE VIEW raw_keys AS -- Swiftlet's
    SELECT coalesce(s.db, l.db, h.db, m.db, z.db, t.db) AS db, coalesce(s.key, l.key, h.key, m.key, z.key, t.key) AS key,
        CASE r.name
            WHEN 'rows:raw_strings' THEN 'string'
            WHEN 'rows:raw_lists' THEN 'list'
            WHEN 'rows:raw_hashes' THEN 'hash'
            WHEN 'rows:raw_sets' THEN 'set'
            WHEN 'rows:raw_zsets' THEN 'zset'
            WHEN 'rows:raw_streams' THEN 'stream' END AS type,
        coalesce(s.expires_ms, l.expires_ms, h.expires_ms, m.expires_ms, z.expires_ms, t.expires_ms) AS expires_ms,
        CASE r.name
            WHEN 'rows:raw_strings' THEN length(CAST(s.value AS BLOB))
            WHEN 'rows:raw_lists' THEN (SELECT count(i.id) FROM raw_list_items i WHERE i.id BETWEEN l.id << 32 AND (l.id << 32 | 4294967295))
            WHEN 'rows:raw_hashes' THEN (SELECT count(i.id) FROM raw_hash_fields i WHERE i.id BETWEEN h.id << 32 AND (h.id << 32 | 4294967295))
            WHEN 'rows:raw_sets' THEN (SELECT count(i.id) FROM raw_set_members i WHERE i.id BETWEEN m.id << 32 AND (m.id << 32 | 4294967295))
            WHEN 'rows:raw_zsets' THEN (SELECT count(i.id) FROM raw_zset_members i WHERE i.id BETWEEN z.id << 32 AND (z.id << 32 | 4294967295))
            WHEN 'rows:raw_streams' THEN (SELECT count(i.id) FROM raw_stream_entries i WHERE i.id BETWEEN t.id << 32 AND (t.id << 32 | 4294967295)) END AS size,
        length(CAST(coalesce(s.key, l.key, h.key, m.key, z.key, t.key) AS BLOB)) + CASE r.name
            WHEN 'rows:raw_strings' THEN length(CAST(s.value AS BLOB))
            WHEN 'rows:raw_lists' THEN (SELECT sum(length(CAST(i.value AS BLOB))) FROM raw_list_items i WHERE i.id BETWEEN l.id << 32 AND (l.id << 32 | 4294967295))
            WHEN 'rows:raw_hashes' THEN (SELECT sum(length(CAST(i.field AS BLOB)) + length(CAST(i.value AS BLOB))) FROM raw_hash_fields i WHERE i.id BETWEEN h.id << 32 AND (h.id << 32 | 4294967295))
            WHEN 'rows:raw_sets' THEN (SELECT sum(length(CAST(i.member AS BLOB))) FROM raw_set_members i WHERE i.id BETWEEN m.id << 32 AND (m.id << 32 | 4294967295))
            WHEN 'rows:raw_zsets' THEN (SELECT sum(length(CAST(i.member AS BLOB))) FROM raw_zset_members i WHERE i.id BETWEEN z.id << 32 AND (z.id << 32 | 4294967295))
            WHEN 'rows:raw_streams' THEN (SELECT sum(length(CAST(i.fields AS BLOB))) FROM raw_stream_entries i WHERE i.id BETWEEN t.id << 32 AND (t.id << 32 | 4294967295)) END AS bytes
    FROM meta r
        LEFT JOIN raw_streams t ON t.id >= CASE WHEN r.name = 'rows:raw_streams' THEN 0 END
        LEFT JOIN raw_lists l ON l.id >= CASE WHEN r.name = 'rows:raw_lists' THEN 0 END
        LEFT JOIN raw_zsets z ON z.id >= CASE WHEN r.name = 'rows:raw_zsets' THEN 0 END
        LEFT JOIN raw_sets m ON m.id >= CASE WHEN r.name = 'rows:raw_sets' THEN 0 END
        LEFT JOIN raw_hashes h ON h.id >= CASE WHEN r.name = 'rows:raw_hashes' THEN 0 END
        LEFT JOIN raw_strings s ON s.id >= CASE WHEN r.name = 'rows:raw_strings' THEN 0 END
    WHERE coalesce(s.id, l.id, h.id, m.id, z.id, t.id) IS NOT NULL;

-- size: a string's bytes, else the number of elements. bytes: those of the key and of all that is in it, without scores and ids.
CREATE VIEW keys AS -- Swiftlet's
    SELECT db,
        CASE WHEN key >= 'X(' AND key < zeroblob(0) OR key >= '(' AND key < 'X''' OR key < '''' THEN key ELSE quote(key) END AS key,
        type, size, bytes,
        coalesce(datetime(expires_ms / 1000, 'unixepoch'), expires_ms) AS expires_at
    FROM raw_keys;

-- Keys with an expiry, to the millisecond. ttl_seconds is negative for what has expired and is still here.
CREATE VIEW expiring AS -- Swiftlet's
    SELECT db,
        CASE WHEN key >= 'X(' AND key < zeroblob(0) OR key >= '(' AND key < 'X''' OR key < '''' THEN key ELSE quote(key) END AS key,
        type, coalesce(strftime('%Y-%m-%d %H:%M:%f', expires_ms / 1000.0, 'unixepoch'), expires_ms) AS expires_at,
        round(expires_ms / 1000.0 - (julianday('now') - 2440587.5) * 86400.0, 3) AS ttl_seconds
    FROM raw_keys WHERE expires_ms IS NOT NULL;

-- What stands before the first colon of a key. A string counts as one element.
CREATE VIEW prefixes AS -- Swiftlet's
    SELECT db, substr(key, 1, instr(key || ':', ':') - 1) AS prefix,
        count(key) AS keys, sum(CASE WHEN type = 'string' THEN 1 ELSE size END) AS elements, sum(bytes) AS bytes
    FROM keys GROUP BY db, substr(key, 1, instr(key || ':', ':') - 1);

-- When the snapshot was saved and what is in it, without counting.
CREATE VIEW info AS -- Swiftlet's
    SELECT strftime('%Y-%m-%d %H:%M:%f', (SELECT value FROM meta WHERE name = 'saved_at_ms') / 1000.0, 'unixepoch') AS saved_at,
        coalesce((SELECT value FROM meta WHERE name = 'checkpoint'), 0) AS checkpoint,
        coalesce((SELECT value FROM meta WHERE name = 'rows:raw_strings'), 0)
            + coalesce((SELECT value FROM meta WHERE name = 'rows:raw_lists'), 0)
            + coalesce((SELECT value FROM meta WHERE name = 'rows:raw_hashes'), 0)
            + coalesce((SELECT value FROM meta WHERE name = 'rows:raw_sets'), 0)
            + coalesce((SELECT value FROM meta WHERE name = 'rows:raw_zsets'), 0)
            + coalesce((SELECT value FROM meta WHERE name = 'rows:raw_streams'), 0) AS keys,
        coalesce((SELECT value FROM meta WHERE name = 'rows:raw_strings'), 0) AS strings,
        coalesce((SELECT value FROM meta WHERE name = 'rows:raw_lists'), 0) AS lists,
        coalesce((SELECT value FROM meta WHERE name = 'rows:raw_hashes'), 0) AS hashes,
        coalesce((SELECT value FROM meta WHERE name = 'rows:raw_sets'), 0) AS sets,
        coalesce((SELECT value FROM meta WHERE name = 'rows:raw_zsets'), 0) AS zsets,
        coalesce((SELECT value FROM meta WHERE name = 'rows:raw_streams'), 0) AS streams,
        coalesce((SELECT value FROM meta WHERE name = 'rows:raw_list_items'), 0)
            + coalesce((SELECT value FROM meta WHERE name = 'rows:raw_hash_fields'), 0)
            + coalesce((SELECT value FROM meta WHERE name = 'rows:raw_set_members'), 0)
            + coalesce((SELECT value FROM meta WHERE name = 'rows:raw_zset_members'), 0)
            + coalesce((SELECT value FROM meta WHERE name = 'rows:raw_stream_entries'), 0) AS elements,
        (SELECT value FROM meta WHERE name = 'server') AS server;
