-- Questions that people ask of a snapshot, each under its name; docs/recipes.md and SQL RECIPES are made of them. A line that
-- begins with the marker `-- name: ` opens a recipe, `-- title: ` is its heading, the other comment lines say what to know
-- about it, and one statement follows. Names of keys in them are examples.

-- name: biggest-keys
-- title: The biggest keys of each type
-- `bytes` are those of the key and of all that is in it; `size` counts a string's bytes, else elements.
SELECT type, key, size, bytes
FROM (SELECT type, key, size, bytes, row_number() OVER (PARTITION BY type ORDER BY bytes DESC) AS place FROM keys)
WHERE place <= 3
ORDER BY type, place;

-- name: memory-by-prefix
-- title: Memory by prefix
-- A prefix is the part of a key before its first colon.
SELECT prefix, keys, elements, bytes, round(100.0 * bytes / sum(bytes) OVER (), 1) AS percent
FROM prefixes
ORDER BY bytes DESC
LIMIT 20;

-- name: keys-without-ttl
-- title: Keys that never expire
SELECT db, key, type, bytes
FROM keys
WHERE expires_at IS NULL
ORDER BY bytes DESC
LIMIT 20;

-- name: expiring-soon
-- title: What expires within the next hour
SELECT db, key, type, expires_at, ttl_seconds
FROM expiring
WHERE ttl_seconds BETWEEN 0 AND 3600
ORDER BY ttl_seconds;

-- name: leaderboard
-- title: A leaderboard with ranks
-- Who has as many points has the same rank.
SELECT rank() OVER (ORDER BY score DESC) AS rank, member, score
FROM zsets
WHERE key = 'scores'
ORDER BY rank, member
LIMIT 10;

-- name: hashes-as-table
-- title: Hashes as a table
SELECT key, j->>'name' AS name, j->>'city' AS city
FROM hashes_json
WHERE key LIKE 'user:%'
ORDER BY key;

-- name: sessions-older-than-a-day
-- title: Sessions older than a day
-- The hashes have the time of the login in a field, in seconds since 1970.
SELECT key, j->>'user' AS user, datetime(j->>'created_at', 'unixepoch') AS created_at
FROM hashes_json
WHERE key LIKE 'session:%' AND CAST(j->>'created_at' AS INTEGER) < unixepoch() - 86400
ORDER BY created_at;

-- name: sidekiq-jobs
-- title: Find a job in Sidekiq's queues
-- Those that wait in a queue, and those that are scheduled, to be retried, or dead, with their time.
SELECT replace(key, 'queue:', '') AS place, NULL AS at, value->>'jid' AS jid, value->>'class' AS class, value->'args' AS args
FROM lists
WHERE key LIKE 'queue:%' AND CASE WHEN json_valid(value) THEN value->>'class' END = 'Mailer'
UNION ALL
SELECT key, datetime(score, 'unixepoch'), member->>'jid', member->>'class', member->'args'
FROM zsets
WHERE key IN ('schedule', 'retry', 'dead') AND CASE WHEN json_valid(member) THEN member->>'class' END = 'Mailer'
ORDER BY place, at;

-- name: rq-jobs
-- title: Find a job in RQ's queues
-- A job's call is pickled in its hash; `description` is that in words.
SELECT substr(key, 8) AS id, j->>'origin' AS queue, j->>'status' AS status, j->>'description' AS description,
    j->>'enqueued_at' AS enqueued_at
FROM hashes_json
WHERE key LIKE 'rq:job:%' AND j->>'description' LIKE '%send_mail%'
ORDER BY enqueued_at;

-- name: celery-tasks
-- title: Find a task in Celery's queues
-- Those that wait, and those that a worker has taken and not acknowledged yet.
SELECT key AS queue, value->'headers'->>'id' AS id, value->'headers'->>'task' AS task, value->'headers'->>'argsrepr' AS args
FROM lists
WHERE key IN ('celery') AND CASE WHEN json_valid(value) THEN value->'headers'->>'task' END LIKE '%send_mail%'
UNION ALL
SELECT key, value->0->'headers'->>'id', value->0->'headers'->>'task', value->0->'headers'->>'argsrepr'
FROM hashes
WHERE key = 'unacked' AND value->0->'headers'->>'task' LIKE '%send_mail%';

-- name: bullmq-jobs
-- title: Find a job in BullMQ's queues
-- A job's hash says what it is; which of the queue's lists and sets has its id says where it stands.
WITH places AS (
    SELECT key, value AS id FROM lists WHERE key GLOB 'bull:*:wait' OR key GLOB 'bull:*:active' OR key GLOB 'bull:*:paused'
    UNION ALL
    SELECT key, member FROM zsets WHERE key GLOB 'bull:*' AND key NOT GLOB '*:events'
), jobs AS (
    SELECT key, j FROM hashes_json WHERE key GLOB 'bull:*' AND j->>'data' IS NOT NULL
)
SELECT places.key AS place, places.id, j->>'name' AS name, j->>'data' AS data,
    datetime((j->>'timestamp') / 1000, 'unixepoch') AS added_at
FROM jobs JOIN places ON jobs.key = substr(places.key, 1, instr(substr(places.key, 6), ':') + 5) || places.id
WHERE j->>'name' = 'send-mail'
ORDER BY added_at, places.id;

-- name: pending-by-consumer
-- title: Pending stream entries by consumer
SELECT key, group_name, consumer, count(*) AS pending, min(delivered_at) AS oldest_delivery, max(deliveries) AS deliveries
FROM stream_pending
GROUP BY key, group_name, consumer
ORDER BY pending DESC;

-- name: stream-field
-- title: Entries of a stream by a field's value
SELECT id, time, value
FROM stream_fields
WHERE key = 'events' AND field = 'user' AND value = '7'
ORDER BY time DESC
LIMIT 10;

-- name: compare-snapshots
-- title: What has changed between two snapshots
-- Attach the older one first: ATTACH 'file:older.sqlite?mode=ro' AS older. In the server's own SQL, which attaches nothing,
-- it does not run.
WITH now AS (
    SELECT db, key, 'string' AS type, value AS element, NULL AS value FROM main.strings
    UNION ALL SELECT db, key, 'list', position, value FROM main.lists
    UNION ALL SELECT db, key, 'hash', field, value FROM main.hashes
    UNION ALL SELECT db, key, 'set', member, NULL FROM main.sets
    UNION ALL SELECT db, key, 'zset', member, score FROM main.zsets
    UNION ALL SELECT db, key, 'stream', id, fields FROM main.streams
), before AS (
    SELECT db, key, 'string' AS type, value AS element, NULL AS value FROM older.strings
    UNION ALL SELECT db, key, 'list', position, value FROM older.lists
    UNION ALL SELECT db, key, 'hash', field, value FROM older.hashes
    UNION ALL SELECT db, key, 'set', member, NULL FROM older.sets
    UNION ALL SELECT db, key, 'zset', member, score FROM older.zsets
    UNION ALL SELECT db, key, 'stream', id, fields FROM older.streams
), new AS (
    SELECT * FROM now EXCEPT SELECT * FROM before
), gone AS (
    SELECT * FROM before EXCEPT SELECT * FROM now
)
SELECT db, key, type, sum(added) AS elements_added, sum(removed) AS elements_removed
FROM (SELECT db, key, type, 1 AS added, 0 AS removed FROM new UNION ALL SELECT db, key, type, 0, 1 FROM gone)
GROUP BY db, key, type
ORDER BY db, key;
