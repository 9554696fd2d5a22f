"""EVAL and its kin, compared with redis-server; busy scripts, what is propagated, and what the cache keeps."""

import contextlib
import hashlib
import random

import pytest

import on_scripts
from life import Life
from oracle import bulk, bulks, encode, new_seed, start_swiftlet
from replicas import info
from waiting import wait_until


def sha(script):
    return hashlib.sha1(script.encode()).hexdigest()


@contextlib.contextmanager
def server(*options):
    started = start_swiftlet(*options)
    try:
        yield started
    finally:
        started.stop()


def statistics(connection):
    """What INFO counts of errors and of commands, without times."""
    errors = sorted(line for line in info(connection, "errorstats").items() if line[0].startswith("errorstat"))
    commands = info(connection, "commandstats")
    counts = {
        name: [part for part in value.split(",") if not part.startswith("usec")]
        for name, value in commands.items()
        if name.startswith("cmdstat") and "config" not in name and "info" not in name
    }
    return errors, counts


# --- As in redis-server ---


def test_values_and_errors(protocols):
    for value in on_scripts.VALUES:
        protocols("EVAL", f"return {value}", 1, "k1", "12")
        protocols("EVAL", f"return {{{value}}}", 2, "k1", "k2", "x")
    for program in on_scripts.ERRORS:
        protocols("EVAL", program, 0)
        protocols("EVAL_RO", program, 0)


REPLIES = [
    ["GET", "s"], ["GET", "none"], ["INCR", "n"], ["INCR", "s"], ["LRANGE", "l", 0, -1], ["SMEMBERS", "one"], ["HGETALL", "h"],
    ["ZRANGE", "z", 0, -1, "WITHSCORES"], ["ZSCORE", "z", "a"], ["ZSCORE", "z", "x"], ["HMGET", "h", "f", "none"], ["PING"],
    ["SET", "s", "v"], ["SET", "s", "v", "XX", "GET"], ["XRANGE", "x", "-", "+"], ["EXISTS", "s", "none"], ["TYPE", "s"],
    ["LPOP", "none", 2], ["CONFIG", "GET", "maxmemory"], ["COMMAND", "COUNT", "x"], ["TIME", "x"],
    ["SELECT", 99], ["ECHO", "a\r\nb"], ["SRANDMEMBER", "one", 1], ["LCS", "s", "s", "IDX"], ["GEOPOS", "g", "p"],
    ["XREAD", "BLOCK", 10, "STREAMS", "x", "$"], ["BLMPOP", 1, 1, "none", "LEFT"], ["OBJECT"], ["OBJECT", "NOSUCH"], ["NOSUCH"],
    ["MULTI"], ["EVAL", "return 1", 0], ["SUBSCRIBE", "c"], ["PUBLISH", "c", "m"], ["SORT", "one", "BY", "nosort"],
]  # fmt: skip


@pytest.mark.parametrize("version", [2, 3])
def test_replies_of_commands(protocols, version):
    both = protocols
    both.each("""
        SET n 1
        RPUSH l a b c
        SADD one a
        HSET h f v
        ZADD z 1.5 a inf b
        XADD x 1-1 f v
        GEOADD g 1 1 p
    """)
    both("SET", "s", "v")
    for command in REPLIES:
        for call in on_scripts.CALLS:
            both("EVAL", f"redis.setresp({version}) return {call}(unpack(ARGV))", 0, *command)


def test_blocking_commands_do_not_wait(both):
    """As in Redis 7.2; the oracle refuses them."""
    both.alike(b"$-1\r\n", "EVAL", "return redis.call('BLPOP', KEYS[1], 0)", 1, "none")
    both.alike(b":0\r\n", "EVAL", "return redis.call('WAIT', 1, 0)", 0)
    both.swiftlet.call("RPUSH", "l", "a")
    both.alike(b"*2\r\n$1\r\nl\r\n$1\r\na\r\n", "EVAL", "return redis.call('BRPOP', KEYS[1], 0)", 1, "l")


def test_arguments_of_eval(both):
    for args in [(2, "a"), (-1,), ("x",), ("1.5",), (0,), (1, "a"), (2, "a", "b", "c"), (99999999999999999999,)]:
        both("EVAL", "return {KEYS, ARGV}", *args)
        both("EVALSHA", sha("return {KEYS, ARGV}"), *args)
        both("EVALSHA", "f" * 40, *args)
        both("EVALSHA", "short", *args)
    both("EVALSHA", sha("return {KEYS, ARGV}").upper(), 0)
    for words in [("EVAL", "x", 2, "a", "b", "c"), ("EVAL", "x", 0), ("EVAL", "x", 9, "a"), ("FCALL_RO", "f", 1, "k")]:
        both("COMMAND", "GETKEYS", *words)
        both("COMMAND", "GETKEYSANDFLAGS", *words)


def test_script_command(both):
    both("SCRIPT", "FLUSH")
    for words in [
        ("LOAD", "return 1"), ("LOAD", "not lua"), ("LOAD", "#!lua flags=x\n"), ("EXISTS", sha("return 1"), "x", "f" * 40),
        ("FLUSH", "ASYNC"), ("EXISTS", sha("return 1")), ("FLUSH", "NOW"), ("FLUSH", "SYNC", "x"), ("KILL",), ("NOSUCH",),
        ("DEBUG", "x"),
    ]:  # fmt: skip
        both("SCRIPT", *words)
    assert both.swiftlet.call("SCRIPT", "DEBUG", "YES").startswith(b"-ERR")


def test_statistics(both):
    """Errors are counted once, calls where they are made."""
    both("SCRIPT", "FLUSH")
    both("LPUSH", "l", 1)
    both("CONFIG", "RESETSTAT")
    for script in [
        "return redis.call('INCR', 'l')", "return redis.pcall('INCR', 'l')", "redis.pcall('INCR', 'l') return 1",
        "return {1, redis.pcall('INCR', 'l'), {err='FOO bar'}}", "return redis.call('MULTI')", "return redis.call('GET')",
        "return redis.call('NOSUCH')", "return {err='word'}", "error('x')", "error({err='CODE x'})", "return 1", "syntax error",
    ]:  # fmt: skip
        both("EVAL", script, 0)
    assert statistics(both.swiftlet) == statistics(both.oracle)


def test_slow_log_has_the_commands_of_scripts(both):
    both("CONFIG", "SET", "slowlog-log-slower-than", 0)
    both("SLOWLOG", "RESET")
    both("EVAL", "return redis.call('SET', 'a', 'b')", 0)
    both("CONFIG", "SET", "slowlog-log-slower-than", 10000)
    text = both.swiftlet.call("SLOWLOG", "GET")
    assert b"$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n$3\r\n?:0\r\n$0\r\n" in text
    assert text.index(b"$4\r\nEVAL\r\n") < text.index(b"$3\r\nSET\r\n")


def test_a_database_that_a_script_selects_is_its_own(both):
    both("SELECT", 3)
    both("EVAL", "redis.call('SELECT', 5) redis.call('SET', 'k', 'v')", 0)
    both("GET", "k")
    both("SELECT", 5)
    both("GET", "k")


def test_time_stands_still(swiftlet):
    swiftlet.call("SET", "k", "v", "PX", 5)
    script = """
        local first, began = redis.call('TIME'), redis.call('GET', 'k')
        for i = 1, 2000000 do end
        local last = redis.call('TIME')
        return {first[1] == last[1] and first[2] == last[2] and 1 or 0, began == redis.call('GET', 'k') and 1 or 0}
    """
    assert swiftlet.call("EVAL", script, 0) == b"*2\r\n:1\r\n:1\r\n"


# --- The cache ---


def test_scripts_of_eval_are_bounded(swiftlet):
    swiftlet.call("SCRIPT", "FLUSH")
    kept = bulk(swiftlet.call("SCRIPT", "LOAD", "return 'kept'"))
    before = int(info(swiftlet, "stats")["evicted_scripts"])
    used = "return 'used'"
    swiftlet.call("EVAL", used, 0)
    for i in range(700):
        assert swiftlet.call("EVAL", f"return {i}", 0) == b":%d\r\n" % i
        assert swiftlet.call("EVALSHA", sha(used), 0) == b"$4\r\nused\r\n"
    memory = info(swiftlet, "memory")
    assert memory["number_of_cached_scripts"] == "501"
    assert int(info(swiftlet, "stats")["evicted_scripts"]) - before == 201
    assert swiftlet.call("SCRIPT", "EXISTS", sha("return 0"), sha("return 699"), kept) == b"*3\r\n:0\r\n:1\r\n:1\r\n"
    swiftlet.call("EVAL", "return 'raised'", 0)
    swiftlet.call("SCRIPT", "LOAD", "return 'raised'")
    for i in range(600):
        swiftlet.call("EVAL", f"return -{i}", 0)
    assert swiftlet.call("EVALSHA", sha("return 'raised'"), 0) == b"$6\r\nraised\r\n"
    swiftlet.call("SCRIPT", "FLUSH")
    assert info(swiftlet, "memory")["number_of_cached_scripts"] == "0"


def test_a_server_without_scripts_has_no_lua():
    with server() as started:
        memory = info(started.connect(), "memory")
        assert memory["used_memory_vm_total"] == "0"
        connection = started.connect()
        connection.call("EVAL", "return 1", 0)
        memory = info(connection, "memory")
        assert 0 < int(memory["used_memory_vm_eval"]) < 1 << 20
        assert memory["used_memory_vm_functions"] == "0"


# --- What is refused ---


def test_flags_of_scripts(swiftlet):
    undeclared = "return redis.call('SET', 'k', 'v')"
    writes, reads = f"#!lua\n{undeclared}", "#!lua flags=no-writes\nreturn redis.call('GET', 'k')"
    assert swiftlet.call("EVAL", reads, 0) == b"$-1\r\n"
    swiftlet.call("CONFIG", "SET", "min-replicas-to-write", 1)
    try:
        assert swiftlet.call("EVAL", undeclared, 0).startswith(
            b"-NOREPLICAS Not enough good replicas to write. script: "
        )
        assert swiftlet.call("EVAL", writes, 0) == b"-NOREPLICAS Not enough good replicas to write.\r\n"
        assert swiftlet.call("EVAL", reads, 0) == b"$-1\r\n"
        swiftlet.call("MULTI")
        assert swiftlet.call("EVAL", writes, 0) == b"-NOREPLICAS Not enough good replicas to write.\r\n"
        assert swiftlet.call("EXEC").startswith(b"-EXECABORT")
        swiftlet.call("SCRIPT", "LOAD", writes)
        assert swiftlet.call("EVALSHA", sha(writes), 0).startswith(b"-NOREPLICAS")
    finally:
        swiftlet.call("CONFIG", "SET", "min-replicas-to-write", 0)
    assert swiftlet.call("EVAL", writes, 0) == b"+OK\r\n"
    assert swiftlet.call("EVAL", reads, 0) == b"$1\r\nv\r\n"


def test_scripts_on_a_read_only_replica():
    with server() as master, server("--replicaof", f"127.0.0.1 {master.port}") as replica:
        m, r = master.connect(), replica.connect()
        wait_until(lambda: info(r)["master_link_status"] == "up")
        m.call("SET", "k", "v")
        m.call("WAIT", 1, 0)
        assert r.call("EVAL", "return redis.call('GET', 'k')", 0) == b"$1\r\nv\r\n"
        refused = b"-READONLY You can't write against a read only replica."
        assert r.call("EVAL", "return redis.call('SET', 'k', 'w')", 0).startswith(refused + b" script: ")
        assert r.call("EVAL", "#!lua\nreturn redis.call('GET', 'k')", 0) == refused + b"\r\n"
        assert r.call("EVAL", "#!lua flags=no-writes\nreturn redis.call('GET', 'k')", 0) == b"$1\r\nv\r\n"


# --- Busy scripts ---


@contextlib.contextmanager
def busy(script, *options, command="EVAL"):
    """A server whose script has run for long: another connection, and the one that waits for it."""
    with server("--busy-reply-threshold", "10", *options) as started:
        runner, other = started.connect(), started.connect()
        runner.send(command, script, 0)
        wait_until(lambda: other.call("PING").startswith(b"-BUSY"))
        yield started, runner, other


FOREVER = "while true do end"


def test_a_busy_script_is_killed():
    for script in [FOREVER, "while true do pcall(function() while true do redis.call('PING') end end) end"]:
        with busy(script) as (started, runner, other):
            assert other.call("GET", "k").startswith(
                b"-BUSY Redis is busy running a script. You can only call SCRIPT KILL"
            )
            assert other.call("FUNCTION", "KILL").startswith(b"-BUSY")
            assert other.call("MULTI") == b"+OK\r\n"
            assert other.call("GET", "k").startswith(b"-BUSY")
            assert b"running_script" in started.connect().call("FUNCTION", "STATS")
            assert started.connect().call("SHUTDOWN").startswith(b"-BUSY")
            # Who connects, asks or goes meanwhile is served, also with more than one read takes.
            flood = started.connect()
            assert all(reply.startswith(b"-BUSY") for reply in flood.pipeline([("GET", "x" * 1000)] * 300))
            flood.close()
            assert started.connect().call("SCRIPT", "KILL") == b"+OK\r\n"
            assert runner.reply().startswith(b"-ERR Script killed by user with SCRIPT KILL.")
            assert other.call("EXEC").startswith(b"-EXECABORT")
            assert other.call("PING") == b"+PONG\r\n"
            assert other.call("SCRIPT", "KILL") == b"-NOTBUSY No scripts in execution right now.\r\n"


def test_a_script_that_has_written_is_not_killed(tmp_path):
    script = "redis.call('SET', 'a', '1') while redis.call('GET', 'stop') ~= '1' do end redis.call('SET', 'b', '1')"
    options = ("--appendonly", "yes", "--dir", str(tmp_path))
    with busy(script, *options) as (started, _, other):
        assert other.call("SCRIPT", "KILL").startswith(b"-UNKILLABLE")
        other.send("SHUTDOWN", "NOSAVE")
        started.process.wait(timeout=20)
    with server(*options) as again:
        assert again.connect().call("EXISTS", "a", "b") == b":0\r\n"


def test_what_came_with_a_busy_script_goes_on():
    with busy("for i = 1, 30000000 do end return 'done'") as (_, runner, other):
        runner.send("PING")
        runner.send("ECHO", "x" * 100_000)
        assert runner.reply() == b"$4\r\ndone\r\n"
        assert runner.reply() == b"+PONG\r\n"
        assert len(runner.reply()) > 100_000
        assert other.call("PING") == b"+PONG\r\n"


def test_a_client_that_goes_while_its_script_is_busy():
    with busy(FOREVER) as (_, runner, other):
        runner.close()
        assert other.call("PING").startswith(b"-BUSY")
        assert other.call("SCRIPT", "KILL") == b"+OK\r\n"
        wait_until(lambda: other.call("PING") == b"+PONG\r\n")


# --- What is propagated ---


def test_effects_are_all_there_or_none(tmp_path):
    """kill -9 at random: of each script's effects the log has all, or none."""
    chance = random.Random(new_seed())
    life = Life(tmp_path).start()
    script = (
        "for i = 1, 20 do redis.call('INCR', 'c' .. i) redis.call('RPUSH', 'l', i) end return redis.call('INCR', 'n')"
    )
    try:
        for _ in range(6):
            life.connection.socket.sendall(encode(("EVAL", script, 0)) * 400)
            for _ in range(chance.randrange(1, 300)):
                life.connection.reply()
            life.restart()
            count = int(bulk(life.call("GET", "n")) or 0)
            counters = {bulk(life.call("GET", f"c{i}")) for i in range(1, 21)}
            assert counters == {b"%d" % count}
            assert life.call("LLEN", "l") == b":%d\r\n" % (20 * count)
    finally:
        life.kill()


def test_set_repl(tmp_path):
    life = Life(tmp_path).start()
    try:
        with server("--replicaof", f"127.0.0.1 {life.server.port}") as replica:
            r = replica.connect()
            wait_until(lambda: info(r)["master_link_status"] == "up")
            life.call("EVAL", "redis.call('SET', 'a', '1') redis.set_repl(redis.REPL_NONE) redis.call('SET', 'b', '1')"
                      "redis.set_repl(redis.REPL_AOF) redis.call('SET', 'c', '1') redis.set_repl(redis.REPL_REPLICA)"
                      "redis.call('SET', 'd', '1') redis.set_repl(redis.REPL_ALL) redis.call('SET', 'e', '1')", 0)  # fmt: skip
            # Only the script that says so.
            life.call("EVAL", "redis.set_repl(redis.REPL_NONE)", 0)
            life.call("SET", "f", "1")
            wait_until(lambda: r.call("EXISTS", "f") == b":1\r\n")
            assert [bulk(v) for v in map(lambda k: r.call("GET", k), "abcde")] == [b"1", None, None, b"1", b"1"]
            assert info(r)["slave_repl_offset"] == info(life.connection)["master_repl_offset"]
        life.restart()
        assert bulks(life.call("KEYS", "?")) and sorted(bulks(life.call("KEYS", "?"))) == [b"a", b"c", b"e", b"f"]
    finally:
        life.kill()
