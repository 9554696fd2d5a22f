-- The snapshot's tables, version 2.
--
-- Names: what a person types first shows what they want to see, so the plain names (keys, strings, lists, hashes, sets,
-- zsets, streams) are the views in views.sql, and the tables behind them are raw_…: one row an element, as the server
-- stores it. Programs that want exact bytes read raw_…; people and analysts read the views.
--
-- ANY columns hold TEXT where the bytes are valid UTF-8 without NUL, else BLOB; never a number. The bytes back:
-- CAST(x AS BLOB). A look-up by key scans: an index would double a checkpoint's cost.
--
-- Ids are the server's own. An element's id is owner << 32 | slot, so that a collection's elements lie together and in
-- order; a list's slots begin at 2^31 and grow both ways.
--
-- expires_ms is milliseconds since 1970 UTC, NULL where nothing expires. What has expired may still be here: the next
-- checkpoint after the server noticed removes it.

PRAGMA application_id = 0x5253514C;
PRAGMA user_version = 2;

-- Where the snapshot stands: server (a uuid), checkpoint, saved_at_ms, segment and segment_offset (where the log's
-- replay begins), replication_id, replication_offset, and 'rows:' || table for each table, verified at start.
CREATE TABLE meta(name TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;

CREATE TABLE raw_strings(
    id INTEGER PRIMARY KEY, db INTEGER NOT NULL, key ANY NOT NULL, value ANY NOT NULL, expires_ms INTEGER) STRICT;

CREATE TABLE raw_lists(id INTEGER PRIMARY KEY, db INTEGER NOT NULL, key ANY NOT NULL, expires_ms INTEGER) STRICT;
CREATE TABLE raw_list_items(id INTEGER PRIMARY KEY, value ANY NOT NULL) STRICT;

CREATE TABLE raw_hashes(id INTEGER PRIMARY KEY, db INTEGER NOT NULL, key ANY NOT NULL, expires_ms INTEGER) STRICT;
CREATE TABLE raw_hash_fields(
    id INTEGER PRIMARY KEY, field ANY NOT NULL, value ANY NOT NULL, expires_ms INTEGER) STRICT;

CREATE TABLE raw_sets(id INTEGER PRIMARY KEY, db INTEGER NOT NULL, key ANY NOT NULL, expires_ms INTEGER) STRICT;
CREATE TABLE raw_set_members(id INTEGER PRIMARY KEY, member ANY NOT NULL) STRICT;

CREATE TABLE raw_zsets(id INTEGER PRIMARY KEY, db INTEGER NOT NULL, key ANY NOT NULL, expires_ms INTEGER) STRICT;
-- A REAL column stores -0.0 as 0: minus_zero is 1 for such a score, else NULL.
CREATE TABLE raw_zset_members(
    id INTEGER PRIMARY KEY, member ANY NOT NULL, score REAL NOT NULL, minus_zero INTEGER) STRICT;

-- ms and seq are the bit patterns of the unsigned halves of an entry's id. What belongs to a stream has its id in its own,
-- as elements do; slots of groups and consumers are unique within the stream.
CREATE TABLE raw_streams(
    id INTEGER PRIMARY KEY, db INTEGER NOT NULL, key ANY NOT NULL, expires_ms INTEGER,
    last_ms INTEGER NOT NULL, last_seq INTEGER NOT NULL,
    max_deleted_ms INTEGER NOT NULL, max_deleted_seq INTEGER NOT NULL, entries_added INTEGER NOT NULL) STRICT;
-- fields: TEXT is a JSON array [f1, v1, f2, v2 …]; BLOB where something in it is not text: each after its length in four
-- bytes, least significant first.
CREATE TABLE raw_stream_entries(
    id INTEGER PRIMARY KEY, ms INTEGER NOT NULL, seq INTEGER NOT NULL, fields ANY NOT NULL) STRICT;
-- entries_read is NULL where it is not known.
CREATE TABLE raw_stream_groups(
    id INTEGER PRIMARY KEY, name ANY NOT NULL, last_ms INTEGER NOT NULL, last_seq INTEGER NOT NULL,
    entries_read INTEGER) STRICT;
CREATE TABLE raw_stream_consumers(
    id INTEGER PRIMARY KEY, group_slot INTEGER NOT NULL, name ANY NOT NULL,
    seen_ms INTEGER NOT NULL, active_ms INTEGER) STRICT;
CREATE TABLE raw_stream_pending(
    id INTEGER PRIMARY KEY, group_slot INTEGER NOT NULL, consumer_slot INTEGER NOT NULL,
    ms INTEGER NOT NULL, seq INTEGER NOT NULL, delivered_ms INTEGER NOT NULL, deliveries INTEGER NOT NULL) STRICT;

-- Function libraries (FUNCTION LOAD).
CREATE TABLE functions(name TEXT PRIMARY KEY, code ANY NOT NULL) STRICT, WITHOUT ROWID;
