-- Every statement that the server runs, each under its name. A line that begins with the marker opens a statement,
-- which ends at the next. Parameters of a table's statements: ?1 is the row's id, then the columns in the table's
-- order; what reads or deletes a range takes its first and its last id.

-- name: create.settings
-- auto_vacuum and page_size count only before the first table is made. 2 KB pages: a checkpoint of 1 % of
-- small rows, scattered, writes a fifth less than with 4 KB, in two thirds of the time; of 5 % or more, about the same.
PRAGMA encoding = 'UTF-8';
PRAGMA page_size = 2048;
PRAGMA auto_vacuum = INCREMENTAL;

-- name: writer.settings
-- A commit is on the disk before a log segment goes: FULL, and EXTRA where a journal is deleted for it. Only the server's own
-- call checkpoints the WAL. Overwriting what is deleted with zeros would log every page of it. The cache is in KiB; ids come
-- sorted, so a page is seldom wanted twice.
PRAGMA synchronous = EXTRA;
PRAGMA wal_autocheckpoint = 0;
PRAGMA secure_delete = OFF;
PRAGMA cache_size = -16384;
PRAGMA foreign_keys = OFF;
PRAGMA trusted_schema = OFF;
PRAGMA cell_size_check = ON;

-- name: writer.scratch
-- For a file that nobody opens before it is whole, and that is removed when it does not become so: no journal, and the
-- sync is its maker's, once.
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -16384;
PRAGMA foreign_keys = OFF;
PRAGMA trusted_schema = OFF;

-- name: writer.copy
-- As writer.scratch, but views may use JSON functions: before SQLite 3.41 they are refused in a schema that is not trusted.
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -65536;

-- name: writer.wal
PRAGMA journal_mode = WAL;

-- name: writer.no_wal
PRAGMA journal_mode = DELETE;

-- name: writer.no_sync
PRAGMA synchronous = OFF;

-- name: reader.settings
PRAGMA query_only = ON;
PRAGMA synchronous = FULL;
PRAGMA cache_size = -16384;
PRAGMA trusted_schema = OFF;
PRAGMA cell_size_check = ON;

-- name: application_id
PRAGMA application_id;

-- name: user_version
PRAGMA user_version;

-- name: encoding
PRAGMA encoding;

-- Before a client's statement: it writes nowhere, also no temporary file.
-- name: query.settings
PRAGMA query_only = ON;
PRAGMA temp_store = MEMORY;
PRAGMA cache_size = -8192;
PRAGMA mmap_size = 0;
PRAGMA cell_size_check = ON;

-- Nothing is read: preparing it declares them.
-- name: query.virtual_tables
SELECT 0 FROM json_each, json_tree, pragma_table_info, pragma_table_xinfo, pragma_table_list, pragma_index_list,
    pragma_index_info, pragma_index_xinfo LIMIT 0;

-- name: query.journal_mode
PRAGMA journal_mode;

-- name: query.schema
SELECT m.type, m.name, (SELECT group_concat(c.name, ', ') FROM pragma_table_info(m.name) c) AS columns
FROM sqlite_schema m
WHERE m.type IN ('table', 'view')
ORDER BY m.type DESC, m.name;

-- name: query.recipes
SELECT value->>0 AS name, value->>1 AS title FROM json_each(?) ORDER BY json_each.key;

-- name: data_version
PRAGMA data_version;

-- name: page_size
PRAGMA page_size;

-- name: meta.page
SELECT rootpage FROM sqlite_schema WHERE name = 'meta';

-- name: objects
SELECT count(*) FROM sqlite_schema;

-- name: schema.objects
SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY tbl_name, name;

-- name: view.drop
-- ?1: its name, which cannot be bound.
DROP VIEW IF EXISTS "?1";

-- name: schema.indexes
-- ?1: a table. Of each index made by hand: its name, whether it is unique, partial, and over expressions or with a
-- collation that SQLite does not have by itself.
SELECT l.name, l."unique", l.partial,
    (SELECT count(*) FROM pragma_index_xinfo(l.name) x
        WHERE x.key AND (x.cid = -2 OR upper(x.coll) NOT IN ('BINARY', 'NOCASE', 'RTRIM')))
    FROM pragma_index_list(?1) l WHERE l.origin = 'c';

-- name: roots
SELECT s.name, s.rootpage, (SELECT count(*) FROM pragma_table_info(s.name)) FROM sqlite_schema s
    WHERE s.type = 'table';

-- name: quick_check
PRAGMA quick_check(1);

-- name: page_count
PRAGMA page_count;

-- name: freelist_count
PRAGMA freelist_count;

-- name: incremental_vacuum
PRAGMA incremental_vacuum;

-- name: begin.read
BEGIN;

-- name: begin.write
BEGIN IMMEDIATE;

-- name: commit
COMMIT;

-- name: rollback
ROLLBACK;

-- name: meta.read
SELECT name, value FROM meta;

-- name: meta.write
INSERT INTO meta(name, value) VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET value = excluded.value;

-- name: functions.write
INSERT INTO functions(name, code) VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET code = excluded.code;

-- name: functions.clear
DELETE FROM functions;

-- name: functions.read
SELECT name, code FROM functions ORDER BY name;

-- name: field_expiries.read
SELECT id, expires_ms FROM raw_hash_fields WHERE expires_ms IS NOT NULL ORDER BY id;

-- name: raw_strings.insert
INSERT INTO raw_strings(id, db, key, value, expires_ms) VALUES(?1, ?2, ?3, ?4, ?5);

-- name: raw_strings.update
UPDATE raw_strings SET db = ?2, key = ?3, value = ?4, expires_ms = ?5 WHERE id = ?1;

-- name: raw_strings.delete
DELETE FROM raw_strings WHERE id = ?1;

-- name: raw_strings.read
SELECT id, db, key, value, expires_ms FROM raw_strings WHERE id BETWEEN ?1 AND ?2 ORDER BY id;

-- name: raw_strings.last
SELECT max(id) FROM raw_strings WHERE id BETWEEN ?1 AND ?2;

-- name: raw_strings.count
SELECT count(*) FROM raw_strings;

-- name: raw_strings.clear
DELETE FROM raw_strings;

-- name: raw_strings.other_databases
SELECT 1 FROM raw_strings WHERE db <> ?1 LIMIT 1;

-- name: raw_strings.clear_database
DELETE FROM raw_strings WHERE db = ?1;

-- name: raw_strings.swap_databases
UPDATE raw_strings SET db = iif(db = ?1, ?2, ?1) WHERE db IN (?1, ?2);

-- name: raw_lists.insert
INSERT INTO raw_lists(id, db, key, expires_ms) VALUES(?1, ?2, ?3, ?4);

-- name: raw_lists.update
UPDATE raw_lists SET db = ?2, key = ?3, expires_ms = ?4 WHERE id = ?1;

-- name: raw_lists.delete
DELETE FROM raw_lists WHERE id = ?1;

-- name: raw_lists.read
SELECT id, db, key, expires_ms FROM raw_lists WHERE id BETWEEN ?1 AND ?2 ORDER BY id;

-- name: raw_lists.last
SELECT max(id) FROM raw_lists WHERE id BETWEEN ?1 AND ?2;

-- name: raw_lists.count
SELECT count(*) FROM raw_lists;

-- name: raw_lists.clear
DELETE FROM raw_lists;

-- name: raw_lists.other_databases
SELECT 1 FROM raw_lists WHERE db <> ?1 LIMIT 1;

-- name: raw_lists.in_database
SELECT id FROM raw_lists WHERE db = ?1 ORDER BY id;

-- name: raw_lists.clear_database
DELETE FROM raw_lists WHERE db = ?1;

-- name: raw_lists.swap_databases
UPDATE raw_lists SET db = iif(db = ?1, ?2, ?1) WHERE db IN (?1, ?2);

-- name: raw_list_items.insert
INSERT INTO raw_list_items(id, value) VALUES(?1, ?2);

-- name: raw_list_items.update
UPDATE raw_list_items SET value = ?2 WHERE id = ?1;

-- name: raw_list_items.delete
DELETE FROM raw_list_items WHERE id BETWEEN ?1 AND ?2;

-- name: raw_list_items.read
SELECT id, value FROM raw_list_items WHERE id BETWEEN ?1 AND ?2 ORDER BY id;

-- name: raw_list_items.last
SELECT max(id) FROM raw_list_items WHERE id BETWEEN ?1 AND ?2;

-- name: raw_list_items.count
SELECT count(*) FROM raw_list_items;

-- name: raw_list_items.count_range
SELECT count(*) FROM raw_list_items WHERE id BETWEEN ?1 AND ?2;

-- name: raw_list_items.clear
DELETE FROM raw_list_items;

-- name: raw_hashes.insert
INSERT INTO raw_hashes(id, db, key, expires_ms) VALUES(?1, ?2, ?3, ?4);

-- name: raw_hashes.update
UPDATE raw_hashes SET db = ?2, key = ?3, expires_ms = ?4 WHERE id = ?1;

-- name: raw_hashes.delete
DELETE FROM raw_hashes WHERE id = ?1;

-- name: raw_hashes.read
SELECT id, db, key, expires_ms FROM raw_hashes WHERE id BETWEEN ?1 AND ?2 ORDER BY id;

-- name: raw_hashes.last
SELECT max(id) FROM raw_hashes WHERE id BETWEEN ?1 AND ?2;

-- name: raw_hashes.count
SELECT count(*) FROM raw_hashes;

-- name: raw_hashes.clear
DELETE FROM raw_hashes;

-- name: raw_hashes.other_databases
SELECT 1 FROM raw_hashes WHERE db <> ?1 LIMIT 1;

-- name: raw_hashes.in_database
SELECT id FROM raw_hashes WHERE db = ?1 ORDER BY id;

-- name: raw_hashes.clear_database
DELETE FROM raw_hashes WHERE db = ?1;

-- name: raw_hashes.swap_databases
UPDATE raw_hashes SET db = iif(db = ?1, ?2, ?1) WHERE db IN (?1, ?2);

-- name: raw_hash_fields.insert
INSERT INTO raw_hash_fields(id, field, value, expires_ms) VALUES(?1, ?2, ?3, ?4);

-- name: raw_hash_fields.update
UPDATE raw_hash_fields SET field = ?2, value = ?3, expires_ms = ?4 WHERE id = ?1;

-- name: raw_hash_fields.delete
DELETE FROM raw_hash_fields WHERE id BETWEEN ?1 AND ?2;

-- name: raw_hash_fields.read
SELECT id, field, value, expires_ms FROM raw_hash_fields WHERE id BETWEEN ?1 AND ?2 ORDER BY id;

-- name: raw_hash_fields.last
SELECT max(id) FROM raw_hash_fields WHERE id BETWEEN ?1 AND ?2;

-- name: raw_hash_fields.count
SELECT count(*) FROM raw_hash_fields;

-- name: raw_hash_fields.count_range
SELECT count(*) FROM raw_hash_fields WHERE id BETWEEN ?1 AND ?2;

-- name: raw_hash_fields.clear
DELETE FROM raw_hash_fields;

-- name: raw_sets.insert
INSERT INTO raw_sets(id, db, key, expires_ms) VALUES(?1, ?2, ?3, ?4);

-- name: raw_sets.update
UPDATE raw_sets SET db = ?2, key = ?3, expires_ms = ?4 WHERE id = ?1;

-- name: raw_sets.delete
DELETE FROM raw_sets WHERE id = ?1;

-- name: raw_sets.read
SELECT id, db, key, expires_ms FROM raw_sets WHERE id BETWEEN ?1 AND ?2 ORDER BY id;

-- name: raw_sets.last
SELECT max(id) FROM raw_sets WHERE id BETWEEN ?1 AND ?2;

-- name: raw_sets.count
SELECT count(*) FROM raw_sets;

-- name: raw_sets.clear
DELETE FROM raw_sets;

-- name: raw_sets.other_databases
SELECT 1 FROM raw_sets WHERE db <> ?1 LIMIT 1;

-- name: raw_sets.in_database
SELECT id FROM raw_sets WHERE db = ?1 ORDER BY id;

-- name: raw_sets.clear_database
DELETE FROM raw_sets WHERE db = ?1;

-- name: raw_sets.swap_databases
UPDATE raw_sets SET db = iif(db = ?1, ?2, ?1) WHERE db IN (?1, ?2);

-- name: raw_set_members.insert
INSERT INTO raw_set_members(id, member) VALUES(?1, ?2);

-- name: raw_set_members.update
UPDATE raw_set_members SET member = ?2 WHERE id = ?1;

-- name: raw_set_members.delete
DELETE FROM raw_set_members WHERE id BETWEEN ?1 AND ?2;

-- name: raw_set_members.read
SELECT id, member FROM raw_set_members WHERE id BETWEEN ?1 AND ?2 ORDER BY id;

-- name: raw_set_members.last
SELECT max(id) FROM raw_set_members WHERE id BETWEEN ?1 AND ?2;

-- name: raw_set_members.count
SELECT count(*) FROM raw_set_members;

-- name: raw_set_members.count_range
SELECT count(*) FROM raw_set_members WHERE id BETWEEN ?1 AND ?2;

-- name: raw_set_members.clear
DELETE FROM raw_set_members;

-- name: raw_zsets.insert
INSERT INTO raw_zsets(id, db, key, expires_ms) VALUES(?1, ?2, ?3, ?4);

-- name: raw_zsets.update
UPDATE raw_zsets SET db = ?2, key = ?3, expires_ms = ?4 WHERE id = ?1;

-- name: raw_zsets.delete
DELETE FROM raw_zsets WHERE id = ?1;

-- name: raw_zsets.read
SELECT id, db, key, expires_ms FROM raw_zsets WHERE id BETWEEN ?1 AND ?2 ORDER BY id;

-- name: raw_zsets.last
SELECT max(id) FROM raw_zsets WHERE id BETWEEN ?1 AND ?2;

-- name: raw_zsets.count
SELECT count(*) FROM raw_zsets;

-- name: raw_zsets.clear
DELETE FROM raw_zsets;

-- name: raw_zsets.other_databases
SELECT 1 FROM raw_zsets WHERE db <> ?1 LIMIT 1;

-- name: raw_zsets.in_database
SELECT id FROM raw_zsets WHERE db = ?1 ORDER BY id;

-- name: raw_zsets.clear_database
DELETE FROM raw_zsets WHERE db = ?1;

-- name: raw_zsets.swap_databases
UPDATE raw_zsets SET db = iif(db = ?1, ?2, ?1) WHERE db IN (?1, ?2);

-- name: raw_zset_members.insert
INSERT INTO raw_zset_members(id, member, score, minus_zero) VALUES(?1, ?2, ?3, ?4);

-- name: raw_zset_members.update
UPDATE raw_zset_members SET member = ?2, score = ?3, minus_zero = ?4 WHERE id = ?1;

-- name: raw_zset_members.delete
DELETE FROM raw_zset_members WHERE id BETWEEN ?1 AND ?2;

-- name: raw_zset_members.read
SELECT id, member, score, minus_zero FROM raw_zset_members WHERE id BETWEEN ?1 AND ?2 ORDER BY id;

-- name: raw_zset_members.last
SELECT max(id) FROM raw_zset_members WHERE id BETWEEN ?1 AND ?2;

-- name: raw_zset_members.count
SELECT count(*) FROM raw_zset_members;

-- name: raw_zset_members.count_range
SELECT count(*) FROM raw_zset_members WHERE id BETWEEN ?1 AND ?2;

-- name: raw_zset_members.clear
DELETE FROM raw_zset_members;

-- name: raw_streams.insert
-- Its state follows: raw_streams.state.
INSERT INTO raw_streams(id, db, key, expires_ms, last_ms, last_seq, max_deleted_ms, max_deleted_seq, entries_added)
    VALUES(?1, ?2, ?3, ?4, 0, 0, 0, 0, 0);

-- name: raw_streams.update
UPDATE raw_streams SET db = ?2, key = ?3, expires_ms = ?4 WHERE id = ?1;

-- name: raw_streams.state
UPDATE raw_streams SET last_ms = ?2, last_seq = ?3, max_deleted_ms = ?4, max_deleted_seq = ?5, entries_added = ?6
    WHERE id = ?1;

-- name: raw_streams.delete
DELETE FROM raw_streams WHERE id = ?1;

-- name: raw_streams.read
SELECT id, db, key, expires_ms, last_ms, last_seq, max_deleted_ms, max_deleted_seq, entries_added FROM raw_streams WHERE id BETWEEN ?1 AND ?2 ORDER BY id;

-- name: raw_streams.last
SELECT max(id) FROM raw_streams WHERE id BETWEEN ?1 AND ?2;

-- name: raw_streams.count
SELECT count(*) FROM raw_streams;

-- name: raw_streams.clear
DELETE FROM raw_streams;

-- name: raw_streams.other_databases
SELECT 1 FROM raw_streams WHERE db <> ?1 LIMIT 1;

-- name: raw_streams.in_database
SELECT id FROM raw_streams WHERE db = ?1 ORDER BY id;

-- name: raw_streams.clear_database
DELETE FROM raw_streams WHERE db = ?1;

-- name: raw_streams.swap_databases
UPDATE raw_streams SET db = iif(db = ?1, ?2, ?1) WHERE db IN (?1, ?2);

-- name: raw_stream_entries.insert
INSERT INTO raw_stream_entries(id, ms, seq, fields)
    VALUES(?1, ?2, ?3, ?4);

-- name: raw_stream_entries.update
UPDATE raw_stream_entries SET ms = ?2, seq = ?3, fields = ?4 WHERE id = ?1;

-- name: raw_stream_entries.delete
DELETE FROM raw_stream_entries WHERE id BETWEEN ?1 AND ?2;

-- name: raw_stream_entries.read
SELECT id, ms, seq, fields FROM raw_stream_entries WHERE id BETWEEN ?1 AND ?2 ORDER BY id;

-- name: raw_stream_entries.last
SELECT max(id) FROM raw_stream_entries WHERE id BETWEEN ?1 AND ?2;

-- name: raw_stream_entries.count
SELECT count(*) FROM raw_stream_entries;

-- name: raw_stream_entries.clear
DELETE FROM raw_stream_entries;

-- name: raw_stream_groups.insert
INSERT INTO raw_stream_groups(id, name, last_ms, last_seq, entries_read)
    VALUES(?1, ?2, ?3, ?4, ?5);

-- name: raw_stream_groups.update
UPDATE raw_stream_groups SET name = ?2, last_ms = ?3, last_seq = ?4, entries_read = ?5 WHERE id = ?1;

-- name: raw_stream_groups.delete
DELETE FROM raw_stream_groups WHERE id BETWEEN ?1 AND ?2;

-- name: raw_stream_groups.read
SELECT id, name, last_ms, last_seq, entries_read FROM raw_stream_groups WHERE id BETWEEN ?1 AND ?2 ORDER BY id;

-- name: raw_stream_groups.last
SELECT max(id) FROM raw_stream_groups WHERE id BETWEEN ?1 AND ?2;

-- name: raw_stream_groups.count
SELECT count(*) FROM raw_stream_groups;

-- name: raw_stream_groups.clear
DELETE FROM raw_stream_groups;

-- name: raw_stream_consumers.insert
INSERT INTO raw_stream_consumers(id, group_slot, name, seen_ms, active_ms)
    VALUES(?1, ?2, ?3, ?4, ?5);

-- name: raw_stream_consumers.update
UPDATE raw_stream_consumers SET group_slot = ?2, name = ?3, seen_ms = ?4, active_ms = ?5 WHERE id = ?1;

-- name: raw_stream_consumers.delete
DELETE FROM raw_stream_consumers WHERE id BETWEEN ?1 AND ?2;

-- name: raw_stream_consumers.read
SELECT id, group_slot, name, seen_ms, active_ms FROM raw_stream_consumers WHERE id BETWEEN ?1 AND ?2 ORDER BY id;

-- name: raw_stream_consumers.last
SELECT max(id) FROM raw_stream_consumers WHERE id BETWEEN ?1 AND ?2;

-- name: raw_stream_consumers.count
SELECT count(*) FROM raw_stream_consumers;

-- name: raw_stream_consumers.clear
DELETE FROM raw_stream_consumers;

-- name: raw_stream_pending.insert
INSERT INTO raw_stream_pending(id, group_slot, consumer_slot, ms, seq, delivered_ms, deliveries)
    VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7);

-- name: raw_stream_pending.update
UPDATE raw_stream_pending SET group_slot = ?2, consumer_slot = ?3, ms = ?4, seq = ?5, delivered_ms = ?6, deliveries = ?7 WHERE id = ?1;

-- name: raw_stream_pending.delete
DELETE FROM raw_stream_pending WHERE id BETWEEN ?1 AND ?2;

-- name: raw_stream_pending.read
SELECT id, group_slot, consumer_slot, ms, seq, delivered_ms, deliveries FROM raw_stream_pending WHERE id BETWEEN ?1 AND ?2 ORDER BY id;

-- name: raw_stream_pending.last
SELECT max(id) FROM raw_stream_pending WHERE id BETWEEN ?1 AND ?2;

-- name: raw_stream_pending.count
SELECT count(*) FROM raw_stream_pending;

-- name: raw_stream_pending.clear
DELETE FROM raw_stream_pending;
