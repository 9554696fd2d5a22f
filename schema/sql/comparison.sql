-- What a comparison of two files keeps of keys that are not equal, in a database of its own that goes when it is closed. A key
-- or part without a new side was removed, one without an old side was added.

-- name: comparison.create
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -16384;
PRAGMA temp_store = FILE;
CREATE TABLE changed(
    id INTEGER PRIMARY KEY,
    db INTEGER NOT NULL,
    key NOT NULL,
    old_type INTEGER, old_size INTEGER, old_expiry INTEGER,
    new_type INTEGER, new_size INTEGER, new_expiry INTEGER,
    UNIQUE(db, key));
CREATE TABLE parts(
    id INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    name NOT NULL,
    old, new,
    PRIMARY KEY(id, kind, name)) WITHOUT ROWID;

-- name: comparison.begin
BEGIN;

-- name: comparison.commit
COMMIT;

-- name: comparison.find
SELECT id FROM changed WHERE db = ?1 AND key = ?2;

-- name: comparison.old_key
INSERT INTO changed(id, db, key, old_type, old_size, old_expiry) VALUES(?1, ?2, ?3, ?4, ?5, ?6);

-- name: comparison.new_key
INSERT INTO changed(id, db, key, new_type, new_size, new_expiry) VALUES(?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT(id) DO UPDATE SET new_type = ?4, new_size = ?5, new_expiry = ?6;

-- name: comparison.old_part
INSERT INTO parts(id, kind, name, old) VALUES(?1, ?2, ?3, ?4)
    ON CONFLICT(id, kind, name) DO UPDATE SET old = ?4;

-- name: comparison.new_part
INSERT INTO parts(id, kind, name, new) VALUES(?1, ?2, ?3, ?4)
    ON CONFLICT(id, kind, name) DO UPDATE SET new = ?4;

-- name: comparison.keys
SELECT id, db, key, old_type, old_size, old_expiry, new_type, new_size, new_expiry FROM changed ORDER BY db, key;

-- name: comparison.parts
SELECT kind, name, old, new FROM parts WHERE id = ?1 AND kind <> ?2 AND old IS NOT new ORDER BY kind, name;

-- name: comparison.first_unequal
SELECT min(name) FROM parts WHERE id = ?1 AND kind = ?2 AND old IS NOT new;

-- name: comparison.old_item
SELECT old FROM parts WHERE id = ?1 AND kind = ?2 AND name = ?3;

-- name: comparison.new_item
SELECT new FROM parts WHERE id = ?1 AND kind = ?2 AND name = ?3;

-- name: comparison.removed_head
-- How many items at the head of the old list went, where all others stand at the head of the new one.
SELECT name FROM parts AS start
WHERE id = ?1 AND kind = ?2 AND name > 0 AND old IS (SELECT new FROM parts WHERE id = ?1 AND kind = ?2 AND name = 0)
    AND NOT EXISTS(
        SELECT 1 FROM parts AS a LEFT JOIN parts AS b ON b.id = ?1 AND b.kind = ?2 AND b.name = a.name - start.name
        WHERE a.id = ?1 AND a.kind = ?2 AND a.name >= start.name AND a.old IS NOT NULL AND a.old IS NOT b.new)
ORDER BY name LIMIT 1;

-- name: comparison.added_head
SELECT name FROM parts AS start
WHERE id = ?1 AND kind = ?2 AND name > 0 AND new IS (SELECT old FROM parts WHERE id = ?1 AND kind = ?2 AND name = 0)
    AND NOT EXISTS(
        SELECT 1 FROM parts AS a LEFT JOIN parts AS b ON b.id = ?1 AND b.kind = ?2 AND b.name = a.name - start.name
        WHERE a.id = ?1 AND a.kind = ?2 AND a.name >= start.name AND a.new IS NOT NULL AND a.new IS NOT b.old)
ORDER BY name LIMIT 1;
