-- For people: always text, binary as '\x…', expiry as a date in UTC (the number of milliseconds where the year is
-- beyond 9999), list positions from 0.

CREATE VIEW strings AS
    SELECT db,
        iif(typeof(key) = 'blob', '\x' || hex(key), key) AS key,
        iif(typeof(value) = 'blob', '\x' || hex(value), value) AS value,
        coalesce(datetime(expires_ms / 1000, 'unixepoch'), expires_ms) AS expires_at
    FROM raw_strings;

CREATE VIEW lists AS
    SELECT o.db,
        iif(typeof(o.key) = 'blob', '\x' || hex(o.key), o.key) AS key,
        row_number() OVER (PARTITION BY o.id ORDER BY i.id) - 1 AS position,
        iif(typeof(i.value) = 'blob', '\x' || hex(i.value), i.value) AS value,
        coalesce(datetime(o.expires_ms / 1000, 'unixepoch'), o.expires_ms) AS expires_at
    FROM raw_lists o JOIN raw_list_items i ON i.id BETWEEN o.id << 32 AND o.id << 32 | 4294967295;

CREATE VIEW hashes AS
    SELECT o.db,
        iif(typeof(o.key) = 'blob', '\x' || hex(o.key), o.key) AS key,
        iif(typeof(i.field) = 'blob', '\x' || hex(i.field), i.field) AS field,
        iif(typeof(i.value) = 'blob', '\x' || hex(i.value), i.value) AS value,
        coalesce(datetime(o.expires_ms / 1000, 'unixepoch'), o.expires_ms) AS expires_at,
        coalesce(datetime(i.expires_ms / 1000, 'unixepoch'), i.expires_ms) AS field_expires_at
    FROM raw_hashes o JOIN raw_hash_fields i ON i.id BETWEEN o.id << 32 AND o.id << 32 | 4294967295;

CREATE VIEW sets AS
    SELECT o.db,
        iif(typeof(o.key) = 'blob', '\x' || hex(o.key), o.key) AS key,
        iif(typeof(i.member) = 'blob', '\x' || hex(i.member), i.member) AS member,
        coalesce(datetime(o.expires_ms / 1000, 'unixepoch'), o.expires_ms) AS expires_at
    FROM raw_sets o JOIN raw_set_members i ON i.id BETWEEN o.id << 32 AND o.id << 32 | 4294967295;

CREATE VIEW zsets AS
    SELECT o.db,
        iif(typeof(o.key) = 'blob', '\x' || hex(o.key), o.key) AS key,
        iif(typeof(i.member) = 'blob', '\x' || hex(i.member), i.member) AS member,
        i.score,
        coalesce(datetime(o.expires_ms / 1000, 'unixepoch'), o.expires_ms) AS expires_at
    FROM raw_zsets o JOIN raw_zset_members i ON i.id BETWEEN o.id << 32 AND o.id << 32 | 4294967295;

CREATE VIEW streams AS
    SELECT o.db,
        iif(typeof(o.key) = 'blob', '\x' || hex(o.key), o.key) AS key,
        printf('%llu-%llu', e.ms, e.seq) AS id,
        iif(typeof(e.fields) = 'blob', '\x' || hex(e.fields), e.fields) AS fields,
        coalesce(datetime(o.expires_ms / 1000, 'unixepoch'), o.expires_ms) AS expires_at
    FROM raw_streams o JOIN raw_stream_entries e ON e.id BETWEEN o.id << 32 AND o.id << 32 | 4294967295;

CREATE VIEW stream_groups AS
    SELECT o.db,
        iif(typeof(o.key) = 'blob', '\x' || hex(o.key), o.key) AS key,
        iif(typeof(g.name) = 'blob', '\x' || hex(g.name), g.name) AS group_name,
        printf('%llu-%llu', g.last_ms, g.last_seq) AS last_delivered_id,
        g.entries_read,
        (SELECT count(*) FROM raw_stream_pending p
            WHERE p.id BETWEEN o.id << 32 AND o.id << 32 | 4294967295 AND p.group_slot = g.id & 4294967295) AS pending
    FROM raw_streams o JOIN raw_stream_groups g ON g.id BETWEEN o.id << 32 AND o.id << 32 | 4294967295;

CREATE VIEW stream_consumers AS
    SELECT o.db,
        iif(typeof(o.key) = 'blob', '\x' || hex(o.key), o.key) AS key,
        iif(typeof(g.name) = 'blob', '\x' || hex(g.name), g.name) AS group_name,
        iif(typeof(c.name) = 'blob', '\x' || hex(c.name), c.name) AS consumer,
        coalesce(datetime(c.seen_ms / 1000, 'unixepoch'), c.seen_ms) AS seen_at,
        coalesce(datetime(c.active_ms / 1000, 'unixepoch'), c.active_ms) AS active_at
    FROM raw_streams o
        JOIN raw_stream_consumers c ON c.id BETWEEN o.id << 32 AND o.id << 32 | 4294967295
        JOIN raw_stream_groups g ON g.id = (o.id << 32 | c.group_slot);

CREATE VIEW stream_pending AS
    SELECT o.db,
        iif(typeof(o.key) = 'blob', '\x' || hex(o.key), o.key) AS key,
        iif(typeof(g.name) = 'blob', '\x' || hex(g.name), g.name) AS group_name,
        iif(typeof(c.name) = 'blob', '\x' || hex(c.name), c.name) AS consumer,
        printf('%llu-%llu', p.ms, p.seq) AS id,
        coalesce(datetime(p.delivered_ms / 1000, 'unixepoch'), p.delivered_ms) AS delivered_at,
        p.deliveries
    FROM raw_streams o
        JOIN raw_stream_pending p ON p.id BETWEEN o.id << 32 AND o.id << 32 | 4294967295
        JOIN raw_stream_groups g ON g.id = (o.id << 32 | p.group_slot)
        JOIN raw_stream_consumers c ON c.id = (o.id << 32 | p.consumer_slot);

-- Every key. size: a string's bytes, else the number of elements.
CREATE VIEW keys AS
    SELECT db, iif(typeof(key) = 'blob', '\x' || hex(key), key) AS key, type, size,
        coalesce(datetime(expires_ms / 1000, 'unixepoch'), expires_ms) AS expires_at
    FROM (
        SELECT db, key, 'string' AS type, expires_ms, length(CAST(value AS BLOB)) AS size FROM raw_strings
        UNION ALL
        SELECT db, key, 'list', expires_ms,
            (SELECT count(*) FROM raw_list_items i WHERE i.id BETWEEN o.id << 32 AND o.id << 32 | 4294967295)
        FROM raw_lists o
        UNION ALL
        SELECT db, key, 'hash', expires_ms,
            (SELECT count(*) FROM raw_hash_fields i WHERE i.id BETWEEN o.id << 32 AND o.id << 32 | 4294967295)
        FROM raw_hashes o
        UNION ALL
        SELECT db, key, 'set', expires_ms,
            (SELECT count(*) FROM raw_set_members i WHERE i.id BETWEEN o.id << 32 AND o.id << 32 | 4294967295)
        FROM raw_sets o
        UNION ALL
        SELECT db, key, 'zset', expires_ms,
            (SELECT count(*) FROM raw_zset_members i WHERE i.id BETWEEN o.id << 32 AND o.id << 32 | 4294967295)
        FROM raw_zsets o
        UNION ALL
        SELECT db, key, 'stream', expires_ms,
            (SELECT count(*) FROM raw_stream_entries e WHERE e.id BETWEEN o.id << 32 AND o.id << 32 | 4294967295)
        FROM raw_streams o);
