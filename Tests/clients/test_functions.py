"""FUNCTION and FCALL, compared with redis-server, and where libraries are kept: restarts, logs, replicas, RDB."""

import contextlib
import sqlite3

import pytest

from life import Life, loaded
from oracle import Server, bulk, start_redis, start_swiftlet, swiftlet_binary
from replicas import info, redis_replica
from waiting import wait_until

CODE = """#!lua name={name}
local calls = 0
redis.register_function('{name}_set', function(keys, args) return redis.call('SET', keys[1], args[1]) end)
redis.register_function{{
    function_name='{name}_get', callback=function(keys) return redis.call('GET', keys[1]) end,
    flags={{'no-writes', 'allow-stale'}}, description='Gets.'}}
"""
LISTS = [("LIST",), ("LIST", "WITHCODE"), ("LIST", "LIBRARYNAME", "A*"), ("STATS",)]


def code(name):
    return CODE.format(name=name)


def same_lists(both, *words):
    """Libraries and functions come in no order."""
    ours, oracles = both.swiftlet.call("FUNCTION", *words), both.oracle.call("FUNCTION", *words)
    assert sorted(ours.split(b"\r\n")) == sorted(oracles.split(b"\r\n")), (ours, oracles)


@pytest.fixture
def functions(protocols):
    protocols("FUNCTION", "FLUSH")
    yield protocols
    protocols("FUNCTION", "FLUSH")


def test_load_call_list_delete(functions):
    both = functions
    both("FUNCTION", "LOAD", code("abc"))
    both("FUNCTION", "LOAD", code("abc"))
    both("FUNCTION", "LOAD", "REPLACE", code("abc"))
    for words in LISTS:
        same_lists(both, *words)
    both("FCALL", "abc_set", 1, "k", "v")
    both("FCALL", "ABC_Get", 1, "k")
    both("FCALL_RO", "abc_get", 1, "k")
    both("FCALL_RO", "abc_set", 1, "k", "v")
    both("FCALL", "abc_set", 1, "k")
    for args in [("none", 0), ("abc_get", "x"), ("abc_get", -1), ("abc_get", 2, "k"), ("none", "x")]:
        both("FCALL", *args)
    both("FUNCTION", "DELETE", "none")
    both("FUNCTION", "DELETE", "abc")
    both("FCALL", "abc_get", 1, "k")
    same_lists(both, "LIST")


REGISTER = "redis.register_function"
BROKEN = [
    "return 1", "#!lua\nx", "#!lua name=", "#!lua name=a b=1\nx", "#!lua name=a name=b\n", "#!js name=a\n", "#!lua name=a-b\nx",
    '#!lua "name=a\n', "#!", "#!\n", "#!lua NAME=upper\nredis.register_function('u', function() end)", "#!lua name=a\nlocal x",
    "#!lua name=a\nsyntax error", "#!lua name=a\nerror('x')", "#!lua name=a\nredis.call('PING')", "#!lua name=a\nprint(nosuch)",
    f"#!lua name=a\n{REGISTER}()", f"#!lua name=a\n{REGISTER}('f')", f"#!lua name=a\n{REGISTER}('f', 1)",
    f"#!lua name=a\n{REGISTER}(1, function() end)", f"#!lua name=a\n{REGISTER}('f-g', function() end)",
    f"#!lua name=a\n{REGISTER}('f', function() end)\n{REGISTER}('f', function() end)",
    f"#!lua name=a\n{REGISTER}{{function_name='f'}}", f"#!lua name=a\n{REGISTER}{{callback=function() end}}",
    f"#!lua name=a\n{REGISTER}{{function_name='f', callback=function() end, flags={{'x'}}}}",
    f"#!lua name=a\n{REGISTER}{{function_name='f', callback=function() end, flags=1}}",
    f"#!lua name=a\n{REGISTER}{{function_name='f', callback=function() end, other=1}}",
    f"#!lua name=b\n{REGISTER}('abc_get', function() end)", f"#!lua name=a\n{REGISTER}('f', function() end, 1)",
    "#!lua name=a\nx = 1", "#!lua name=a\nreturn KEYS",
]  # fmt: skip


def test_libraries_that_are_refused(functions):
    functions("FUNCTION", "LOAD", code("abc"))
    for text in BROKEN:
        functions("FUNCTION", "LOAD", text)
        functions("FUNCTION", "LOAD", "REPLACE", text)
    same_lists(functions, "LIST", "LIBRARYNAME", "abc")
    for words in [
        ("LOAD", "x", code("z")), ("LOAD", "REPLACE", "REPLACE", code("abc")), ("LOAD",), ("FLUSH", "X"), ("FLUSH", "SYNC", "X"),
        ("LIST", "X"), ("LIST", "LIBRARYNAME"), ("LIST", "WITHCODE", "WITHCODE"), ("DELETE",), ("KILL",), ("NOSUCH",),
        ("RESTORE", "x"), ("RESTORE", "x", "Y"), ("RESTORE", "x", "FLUSH", "Z"), ("DUMP", "x"), ("STATS", "x"),
    ]:  # fmt: skip
        functions("FUNCTION", *words)


def test_errors_in_functions_name_them(functions):
    functions(
        "FUNCTION",
        "LOAD",
        "#!lua name=bad\nredis.register_function('plain', function() error('x') end)\n"
        "redis.register_function('table', function() error({err='CODE x'}) end)\n"
        "redis.register_function('call', function() return redis.call('INCR') end)\n"
        "redis.register_function('ro', {} and function() return redis.call('NOSUCH') end)",
    )
    for name in ["plain", "table", "call", "ro"]:
        functions("FCALL", name, 0)
        functions("FCALL_RO", name, 0)


def test_a_restore_that_fails_leaves_nothing(functions):
    both = functions
    names = ["lib%d" % i for i in range(8)]
    for name in names:
        both("FUNCTION", "LOAD", code(name))
    payload = bulk(both.oracle.call("FUNCTION", "DUMP"))
    # Whichever comes first of the payload, one of a later library's functions is there already.
    for taken in names:
        both("FUNCTION", "FLUSH")
        both("FUNCTION", "LOAD", code("mine").replace("mine_get", taken + "_get"))
        ours = both.swiftlet.call("FUNCTION", "RESTORE", payload)
        assert ours == both.oracle.call("FUNCTION", "RESTORE", payload) and ours.startswith(b"-ERR")
        for name in names:
            both("FCALL", name + "_set", 1, "k", "v")
            both("FCALL", name + "_get", 1, "k")
        same_lists(both, "LIST")


def test_dump_and_restore_go_both_ways(functions):
    both = functions
    both("FUNCTION", "LOAD", code("abc"))
    payload = bulk(both("FUNCTION", "DUMP"))
    both("FUNCTION", "RESTORE", payload)
    both("FUNCTION", "RESTORE", payload, "REPLACE")
    both("FUNCTION", "FLUSH")
    both("FUNCTION", "DUMP")
    both("FUNCTION", "RESTORE", payload)
    same_lists(both, "LIST", "WITHCODE")
    both("FUNCTION", "LOAD", "REPLACE", "#!lua name=other\nredis.register_function('f', function() end)")
    both("FUNCTION", "RESTORE", payload, "FLUSH")
    same_lists(both, "LIST")
    # All or nothing.
    both("FUNCTION", "DELETE", "abc")
    both("FUNCTION", "LOAD", "#!lua name=c\nredis.register_function('abc_set', function() end)")
    for policy in ["APPEND", "REPLACE"]:
        both("FUNCTION", "RESTORE", payload, policy)
        same_lists(both, "LIST")
    for damaged in [payload[:-1], payload[:-1] + b"x", b"", b"x" * 10, payload[1:]]:
        both("FUNCTION", "RESTORE", damaged)
    both("SET", "k", "v")
    both("FUNCTION", "RESTORE", bulk(both.oracle.call("DUMP", "k")))


def test_a_payload_of_redis_server(swiftlet, oracle):
    for name in ["a", "b", "c"]:
        oracle.call("FUNCTION", "LOAD", code(name))
    swiftlet.call("FUNCTION", "FLUSH")
    try:
        assert swiftlet.call("FUNCTION", "RESTORE", bulk(oracle.call("FUNCTION", "DUMP"))) == b"+OK\r\n"
        assert swiftlet.call("FCALL", "b_set", 1, "k", "v") == b"+OK\r\n"
        oracle.call("FUNCTION", "FLUSH")
        assert oracle.call("FUNCTION", "RESTORE", bulk(swiftlet.call("FUNCTION", "DUMP"))) == b"+OK\r\n"
        assert oracle.call("FCALL", "c_set", 1, "k", "v") == b"+OK\r\n"
    finally:
        swiftlet.call("FUNCTION", "FLUSH")
        oracle.call("FUNCTION", "FLUSH")


# --- Where they are kept ---


def libraries(connection):
    return connection.call("FUNCTION", "LIST", "WITHCODE")


def test_restarts(tmp_path):
    """From the log, from a snapshot and the log, from a snapshot; changes and deletions too."""
    life = Life(tmp_path).start()
    try:
        life.call("FUNCTION", "LOAD", code("a"))
        life.call("FUNCTION", "LOAD", code("b"))
        for step in range(4):
            before = libraries(life.connection)
            life.restart()
            assert libraries(life.connection) == before
            assert life.call("FCALL", "b_set", 1, "k", step) == b"+OK\r\n"
            if step == 0:
                life.call("SAVE")
            elif step == 1:
                life.call("FUNCTION", "DELETE", "a")
                life.call("FUNCTION", "LOAD", code("c"))
                life.call("FUNCTION", "LOAD", "REPLACE", code("b") + "-- other")
            else:
                # A checkpoint of functions alone, and one of keys alone.
                life.call("SAVE")
                life.call("SET", "x", step)
                life.call("SAVE")
        life.call("DEBUG", "RELOAD")
        assert libraries(life.connection) == before
        life.call("FUNCTION", "FLUSH")
        life.call("SAVE")
        life.restart()
        assert libraries(life.connection) == b"*0\r\n"
        life.call("FLUSHALL")
    finally:
        life.kill()


def test_flushall_leaves_functions(swiftlet):
    swiftlet.call("FUNCTION", "LOAD", code("a"))
    swiftlet.call("FLUSHALL")
    assert swiftlet.call("FCALL", "a_get", 1, "k") == b"$-1\r\n"
    memory = info(swiftlet, "memory")
    assert (memory["number_of_libraries"], memory["number_of_functions"]) == ("1", "2")
    assert int(memory["used_memory_functions"]) > len(code("a")) and int(memory["used_memory_vm_functions"]) > 0
    swiftlet.call("FUNCTION", "FLUSH")
    memory = info(swiftlet, "memory")
    assert (memory["number_of_libraries"], memory["used_memory_vm_functions"]) == ("0", "0")


def test_a_library_that_cannot_be_used_is_named(tmp_path, start):
    life = Life(tmp_path).start()
    life.call("FUNCTION", "LOAD", code("good"))
    life.call("FUNCTION", "LOAD", code("broken"))
    life.call("SAVE")
    life.kill()
    with contextlib.closing(sqlite3.connect(tmp_path / "dump.sqlite")) as snapshot, snapshot:
        snapshot.execute("UPDATE functions SET code = ? WHERE name = 'broken'", (b"#!lua name=broken\nno lua at all",))
    text = start("--appendonly", "yes", "--dir", str(tmp_path)).refusal()
    assert "library of functions 'broken' cannot be loaded" in text and "Error compiling function" in text


@pytest.mark.parametrize("origin", [start_redis, start_swiftlet], ids=["redis-server", "swiftlet"])
def test_full_sync_and_stream(origin):
    master = origin()
    try:
        m = master.connect()
        m.call("FUNCTION", "LOAD", code("a"))
        m.call("FUNCTION", "LOAD", code("gone"))
        replica = start_swiftlet("--replicaof", f"127.0.0.1 {master.port}")
        try:
            r = replica.connect()
            wait_until(lambda: info(r)["master_link_status"] == "up")
            assert r.call("FCALL_RO", "a_get", 1, "k") == b"$-1\r\n"
            m.call("FUNCTION", "DELETE", "gone")
            m.call("FUNCTION", "LOAD", code("b"))
            m.call("FCALL", "b_set", 1, "k", "v")
            wait_until(lambda: r.call("FCALL_RO", "b_get", 1, "k") == b"$1\r\nv\r\n")
            assert r.call("FCALL", "gone_get", 1, "k") == b"-ERR Function not found\r\n"
            payload = bulk(m.call("FUNCTION", "DUMP"))
            m.call("FUNCTION", "FLUSH")
            m.call("FUNCTION", "RESTORE", payload)
            m.call("SET", "k", "end")
            wait_until(lambda: r.call("FCALL_RO", "b_get", 1, "k") == b"$3\r\nend\r\n")
        finally:
            replica.stop()
    finally:
        master.stop()


def test_redis_server_follows():
    master = start_swiftlet()
    try:
        m = master.connect()
        m.call("FUNCTION", "LOAD", code("a"))
        with redis_replica(master) as (_, r):
            assert r.call("FCALL_RO", "a_get", 1, "k") == b"$-1\r\n"
            m.call("EVAL", "redis.call('SET', 'k', '1') redis.set_repl(0) redis.call('SET', 'none', '1')", 0)
            m.call("EVAL", "redis.call('INCR', 'k') redis.set_repl(1) redis.call('SET', 'log', '1')", 0)
            m.call("FUNCTION", "LOAD", code("b"))
            m.call("FCALL", "b_set", 1, "k", "v")
            wait_until(lambda: r.call("FCALL_RO", "b_get", 1, "k") == b"$1\r\nv\r\n")
            assert r.call("EXISTS", "none", "log") == b":0\r\n"
            assert info(r, "stats")["unexpected_error_replies"] == "0"
    finally:
        master.stop()


def test_import_of_what_redis_server_left(tmp_path):
    """Its append-only files have FUNCTION commands, and a base with libraries."""
    options = ("--appendonly", "yes", "--dir", str(tmp_path))
    redis = start_redis(*options)
    connection = redis.connect()
    connection.call("FUNCTION", "LOAD", code("a"))
    connection.call("BGREWRITEAOF")
    wait_until(lambda: info(connection, "persistence")["aof_rewrite_in_progress"] == "0")
    connection.call("FUNCTION", "LOAD", code("b"))
    connection.call("FUNCTION", "LOAD", code("c"))
    connection.call("FUNCTION", "DELETE", "c")
    payload = bulk(connection.call("FUNCTION", "DUMP"))
    connection.call("FUNCTION", "RESTORE", payload, "FLUSH")
    connection.call("FCALL", "a_set", 1, "k", "v")
    redis.process.terminate()
    redis.process.wait()
    server = Server(swiftlet_binary(), options)
    try:
        connection = loaded(server)
        assert connection.call("FCALL", "b_get", 1, "k") == b"$1\r\nv\r\n"
        assert libraries(connection).count(b"#!lua name=") == 2
    finally:
        server.stop()
