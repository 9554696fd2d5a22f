-- What `redis-migrate index` does to its copy of a snapshot, in this order. Names that begin with analysis. are for a copy on which
-- no server starts, text. for its full-text search, snapshot. for one on which a server may start, and which has plain indexes only.

-- name: copy
-- ?1: a name that is nobody's yet.
VACUUM INTO ?1;

-- name: analysis.id
-- title: marking it as no snapshot
PRAGMA application_id = 0x52535141;

-- name: analysis.keys
-- title: listing the keys
-- The view becomes a table, as it does not change any more.
DROP VIEW keys;
CREATE TABLE keys(
    db INTEGER NOT NULL, key TEXT NOT NULL, type TEXT NOT NULL, size INTEGER NOT NULL, bytes INTEGER NOT NULL,
    expires_at TEXT, expires_ms INTEGER);
INSERT INTO keys
    SELECT db,
        CASE WHEN key >= 'X(' AND key < zeroblob(0) OR key >= '(' AND key < 'X''' OR key < '''' THEN key ELSE quote(key) END,
        type, size, bytes, coalesce(datetime(expires_ms / 1000, 'unixepoch'), expires_ms), expires_ms
    FROM raw_keys;
DROP VIEW raw_keys;
CREATE INDEX keys_by_key ON keys(key, db);
CREATE INDEX keys_by_size ON keys(size);
CREATE INDEX keys_by_bytes ON keys(bytes);
CREATE INDEX keys_by_type_and_size ON keys(type, size);
CREATE INDEX keys_by_type_and_bytes ON keys(type, bytes);
CREATE INDEX keys_by_expires_at ON keys(expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX keys_by_expires_ms ON keys(expires_ms) WHERE expires_ms IS NOT NULL;
DROP VIEW expiring;
CREATE VIEW expiring AS -- Swiftlet's
    SELECT db, key, type, coalesce(strftime('%Y-%m-%d %H:%M:%f', expires_ms / 1000.0, 'unixepoch'), expires_ms) AS expires_at,
        round(expires_ms / 1000.0 - (julianday('now') - 2440587.5) * 86400.0, 3) AS ttl_seconds
    FROM keys WHERE expires_ms IS NOT NULL;

-- name: analysis.prefixes
-- title: adding up prefixes
DROP VIEW prefixes;
CREATE TABLE prefixes(
    db INTEGER NOT NULL, prefix TEXT NOT NULL, keys INTEGER NOT NULL, elements INTEGER NOT NULL, bytes INTEGER NOT NULL);
INSERT INTO prefixes
    SELECT db, substr(key, 1, instr(key || ':', ':') - 1), count(*), sum(iif(type = 'string', 1, size)), sum(bytes)
    FROM keys GROUP BY 1, 2;
CREATE INDEX prefixes_by_prefix ON prefixes(prefix);
CREATE INDEX prefixes_by_bytes ON prefixes(bytes);

-- name: analysis.strings
-- title: indexing the keys of strings
CREATE INDEX strings_by_key ON raw_strings(
    CASE WHEN key >= 'X(' AND key < zeroblob(0) OR key >= '(' AND key < 'X''' OR key < '''' THEN key ELSE quote(key) END);

-- name: analysis.lists
-- title: indexing the keys of lists
CREATE INDEX lists_by_key ON raw_lists(
    CASE WHEN key >= 'X(' AND key < zeroblob(0) OR key >= '(' AND key < 'X''' OR key < '''' THEN key ELSE quote(key) END);

-- name: analysis.hashes
-- title: indexing the keys of hashes
CREATE INDEX hashes_by_key ON raw_hashes(
    CASE WHEN key >= 'X(' AND key < zeroblob(0) OR key >= '(' AND key < 'X''' OR key < '''' THEN key ELSE quote(key) END);

-- name: analysis.sets
-- title: indexing the keys of sets
CREATE INDEX sets_by_key ON raw_sets(
    CASE WHEN key >= 'X(' AND key < zeroblob(0) OR key >= '(' AND key < 'X''' OR key < '''' THEN key ELSE quote(key) END);

-- name: analysis.zsets
-- title: indexing the keys of zsets
CREATE INDEX zsets_by_key ON raw_zsets(
    CASE WHEN key >= 'X(' AND key < zeroblob(0) OR key >= '(' AND key < 'X''' OR key < '''' THEN key ELSE quote(key) END);

-- name: analysis.streams
-- title: indexing the keys of streams
CREATE INDEX streams_by_key ON raw_streams(
    CASE WHEN key >= 'X(' AND key < zeroblob(0) OR key >= '(' AND key < 'X''' OR key < '''' THEN key ELSE quote(key) END);

-- name: analysis.hash_fields
-- title: indexing the elements of hashes
CREATE INDEX hash_fields_by_field ON raw_hash_fields(
    CASE WHEN field >= 'X(' AND field < zeroblob(0) OR field >= '(' AND field < 'X''' OR field < '''' THEN field ELSE quote(field) END);

-- name: analysis.set_members
-- title: indexing the elements of sets
CREATE INDEX set_members_by_member ON raw_set_members(
    CASE WHEN member >= 'X(' AND member < zeroblob(0) OR member >= '(' AND member < 'X''' OR member < '''' THEN member ELSE quote(member) END);

-- name: analysis.zset_members
-- title: indexing the elements of zsets
CREATE INDEX zset_members_by_member ON raw_zset_members(
    CASE WHEN member >= 'X(' AND member < zeroblob(0) OR member >= '(' AND member < 'X''' OR member < '''' THEN member ELSE quote(member) END);

-- name: text.table
-- title: indexing words
-- Binary is left out.
CREATE VIRTUAL TABLE full_text USING fts5(db UNINDEXED, key, type UNINDEXED, element, value);
INSERT INTO full_text SELECT db, key, 'string', '', value FROM strings WHERE value NOT LIKE 'X''%';
INSERT INTO full_text SELECT db, key, 'list', '', value FROM lists WHERE value NOT LIKE 'X''%';
INSERT INTO full_text SELECT db, key, 'hash', field, value FROM hashes WHERE value NOT LIKE 'X''%';
INSERT INTO full_text SELECT db, key, 'set', member, '' FROM sets WHERE member NOT LIKE 'X''%';
INSERT INTO full_text SELECT db, key, 'zset', member, '' FROM zsets WHERE member NOT LIKE 'X''%';
INSERT INTO full_text SELECT db, key, 'stream', id, value FROM stream_fields WHERE value NOT LIKE 'X''%';
INSERT INTO full_text(full_text) VALUES('optimize');

-- name: snapshot.alone
-- title: marking that no log belongs to it
UPDATE meta SET value = 0 WHERE name IN ('segment', 'segment_offset');

-- name: snapshot.strings
-- title: indexing the keys of strings
CREATE INDEX strings_by_key ON raw_strings(key, db);

-- name: snapshot.lists
-- title: indexing the keys of lists
CREATE INDEX lists_by_key ON raw_lists(key, db);

-- name: snapshot.hashes
-- title: indexing the keys of hashes
CREATE INDEX hashes_by_key ON raw_hashes(key, db);

-- name: snapshot.sets
-- title: indexing the keys of sets
CREATE INDEX sets_by_key ON raw_sets(key, db);

-- name: snapshot.zsets
-- title: indexing the keys of zsets
CREATE INDEX zsets_by_key ON raw_zsets(key, db);

-- name: snapshot.streams
-- title: indexing the keys of streams
CREATE INDEX streams_by_key ON raw_streams(key, db);

-- name: statistics
-- title: gathering statistics
ANALYZE;

-- name: close
-- title: leaving write-ahead logging
PRAGMA journal_mode = DELETE;
