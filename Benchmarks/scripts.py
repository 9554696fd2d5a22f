"""Scripts: EVALSHA of a small one, of a rate limiter, of one as large as job queues have them, and a loop of calls."""

import hashlib

from groups import LOGS, Row, paired
from harness import KINDS, SLICES, Server, alternate, encode, pipeline

GET = "return redis.call('GET', KEYS[1])"

# A sliding window: what is older goes, and the request is let through while few are left.
LIMITER = """
local key, now, window, limit = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', key, '-inf', now - window)
local count = redis.call('ZCARD', key)
if count >= limit then
    local oldest = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    return {0, oldest[2] and tostring(oldest[2] + window - now) or '0'}
end
redis.call('ZADD', key, now, now .. ':' .. count)
redis.call('PEXPIRE', key, window)
return {1, limit - count - 1}
"""

# Moves a job from state to state, as the queues of web frameworks do: options as JSON or MessagePack, parents and
# children, priorities, delays, a stream of events, limits of rate, and many helpers of which each call uses some.
QUEUE = """
local prefix, now, id, data = KEYS[1], tonumber(ARGV[1]), ARGV[2], ARGV[3]
local waiting, active, delayed = prefix .. ':wait', prefix .. ':active', prefix .. ':delayed'
local prioritized, events, meta = prefix .. ':prioritized', prefix .. ':events', prefix .. ':meta'
local options = cmsgpack.unpack(ARGV[4])
local call = redis.call

local function emit(name, job, extra)
    local length = call('HGET', meta, 'events.length') or 1000
    if extra then
        call('XADD', events, 'MAXLEN', '~', length, '*', 'event', name, 'job', job, 'extra', extra)
    else
        call('XADD', events, 'MAXLEN', '~', length, '*', 'event', name, 'job', job)
    end
end
local function isPaused() return call('HEXISTS', meta, 'paused') == 1 end
local function target() if isPaused() then return prefix .. ':paused' end return waiting end
local function score(priority) return priority * 0x100000000 + call('INCR', prefix .. ':counter') % 0x100000000 end
local function addWithPriority(job, priority)
    call('ZADD', prioritized, score(priority), job)
    emit('waiting', job)
end
local function addDelayed(job, delay)
    call('ZADD', delayed, (now + delay) * 0x1000, job)
    emit('delayed', job, now + delay)
end
local function addWaiting(job, last)
    call(last and 'RPUSH' or 'LPUSH', target(), job)
    emit('waiting', job)
end
local function store(job, key)
    local fields = {'name', options.name or 'default', 'data', data, 'timestamp', now, 'delay', options.delay or 0,
        'priority', options.priority or 0, 'opts', cjson.encode(options)}
    if options.parent then
        fields[#fields + 1] = 'parent'
        fields[#fields + 1] = options.parent
        call('SADD', options.parent .. ':dependencies', key)
    end
    call('HSET', key, unpack(fields))
    emit('added', job, options.name)
end
local function isLimited()
    local limiter = prefix .. ':limiter'
    local rate = tonumber(call('HGET', meta, 'max') or '0')
    if rate == 0 then return 0 end
    local used = tonumber(call('GET', limiter) or '0')
    if used >= rate then return math.max(1, call('PTTL', limiter)) end
    if call('INCR', limiter) == 1 then call('PEXPIRE', limiter, call('HGET', meta, 'duration') or 1000) end
    return 0
end
local function promote()
    local jobs = call('ZRANGEBYSCORE', delayed, 0, (now + 1) * 0x1000 - 1, 'LIMIT', 0, 100)
    if #jobs == 0 then return end
    call('ZREM', delayed, unpack(jobs))
    for _, job in ipairs(jobs) do
        local priority = tonumber(call('HGET', prefix .. ':' .. job, 'priority') or '0')
        if priority == 0 then addWaiting(job, true) else addWithPriority(job, priority) end
        call('HSET', prefix .. ':' .. job, 'delay', 0)
    end
end
local function take()
    local job = call('RPOPLPUSH', waiting, active)
    if job then return job end
    local popped = call('ZPOPMIN', prioritized)
    if #popped == 0 then return nil end
    call('LPUSH', active, popped[1])
    return popped[1]
end
local function finish(job, key, result)
    if call('LREM', active, -1, job) == 0 then return redis.error_reply('MISSING job ' .. job .. ' is not active') end
    local keep = options.keep or {count = 100}
    local done = prefix .. ':completed'
    call('ZADD', done, now, job)
    local old = call('ZREVRANGE', done, keep.count, keep.count + 9)
    for _, one in ipairs(old) do
        call('DEL', prefix .. ':' .. one, prefix .. ':' .. one .. ':logs', prefix .. ':' .. one .. ':lock')
        call('ZREM', done, one)
    end
    call('HSET', key, 'returnvalue', result, 'finishedOn', now)
    local parent = call('HGET', key, 'parent')
    if parent then
        call('SREM', parent .. ':dependencies', key)
        if call('SCARD', parent .. ':dependencies') == 0 then call('HSET', parent, 'ready', 1) end
    end
    emit('completed', job, result)
    return 'OK'
end

local key = prefix .. ':' .. id
if call('EXISTS', key) == 0 then store(id, key) end
if (options.delay or 0) > 0 then
    addDelayed(id, options.delay)
elseif (options.priority or 0) > 0 then
    addWithPriority(id, options.priority)
else
    addWaiting(id, options.lifo)
end
promote()
if isPaused() or isLimited() > 0 then return {0, id} end
local job = take()
if not job then return {1, id} end
local jobKey = prefix .. ':' .. job
call('SET', jobKey .. ':lock', ARGV[5], 'PX', 30000)
call('HSET', jobKey, 'processedOn', now)
call('HINCRBY', jobKey, 'attempts', 1)
emit('active', job)
local fields = call('HGETALL', jobKey)
local result = finish(job, jobKey, cjson.encode({ok = true, fields = #fields}))
call('DEL', jobKey .. ':lock')
return {2, job, result}
"""

LOOP = "for i = 1, tonumber(ARGV[1]) do redis.call('GET', KEYS[1]) end"
# The options of a job, as MessagePack: {name: 'mail', keep: {count: 10}}.
JOB = b"\x82\xa4name\xa4mail\xa4keep\x81\xa5count\x0a"


def sha(script):
    return hashlib.sha1(script.encode()).hexdigest()


def fill(server):
    pipeline(server.port, [encode("SCRIPT", "LOAD", script) for script in (GET, LIMITER, QUEUE)], 1)
    pipeline(server.port, (encode("SET", "key:%012d" % i, "x" * 32) for i in range(100_000)), 5000)


TESTS = {
    "EVALSHA of a GET": [sha(GET), "1", "key:__rand_int__"],
    "EVALSHA of a rate limiter": [sha(LIMITER), "1", "limit:__rand_int__", "1700000000000", "60000", "10"],
    "EVALSHA of a job queue's script": [
        sha(QUEUE), "1", "queue", "1700000000000", "__rand_int__", '{"to":"somebody"}', JOB, "token",
    ],
}  # fmt: skip


def rows(depth):
    found = []
    for name in TESTS:
        found.append(Row("%s -P %d: requests/s" % (name, depth), "/s"))
        found.append(Row("%s -P %d: CPU/request" % (name, depth), "µs", ("<=", 0.9)))
    return found


@paired("scripts", rows(1), depth=1, requests=20_000)
@paired("scripts16", rows(16), depth=16, requests=60_000)
def scripts(bench, directories, depth, requests):
    return alternate(
        bench,
        directories,
        LOGS["off"],
        fill,
        [
            ("%s -P %d" % (name, depth), requests, ["-P", str(depth), "-r", "100000", "EVALSHA", *words])
            for name, words in TESTS.items()
        ],
    )


@paired("script-loop", [Row("a million redis.call in a script: CPU", "s", ("<=", 0.9))])
def loop(bench, directories):
    """The seconds of CPU of one script."""
    servers = {kind: Server(bench, kind, directories[kind], *LOGS["off"]) for kind in KINDS}
    try:
        figures = []
        for turn in range(SLICES):
            found = {}
            for kind in KINDS[:: -1 if turn % 2 else 1]:
                server = servers[kind]
                server.client("SET", "k", "x" * 32)
                before = server.nanoseconds()
                server.client("EVAL", LOOP, "1", "k", str(bench.scaled(1_000_000)))
                found[kind] = (server.nanoseconds() - before) / 1e9
            figures.append(tuple(found[kind] for kind in KINDS))
        return {"a million redis.call in a script: CPU": figures}
    finally:
        for server in servers.values():
            server.kill()
