"""rename-command, compared with redis-server; and that the log does not depend on it."""

import shutil

import pytest

LONG = "b840fc02d524045429941cc15f59e41cb7be6c52"
CONFIG = f"""
rename-command CONFIG ""
rename-command flushall Nuke
rename-command SET {LONG}
rename-command XGROUP xg
rename-command LPUSH a
rename-command a lp
rename-command INCR ""
rename-command DECR incr
rename-command EXEC go
rename-command MULTI begin
rename-command CLIENT klient
rename-command BLPOP GeT2
rename-command KEYS KEYS
rename-command EVAL ""
rename-command Script lua
rename-command SLAVEOF ""
""".encode()

REQUESTS = f"""
SET k v
{LONG} k v
{LONG.upper()} k2 v
{LONG} k
{LONG}x k v
get k
config get port
config
keys k2
lp l 1
lpush l
a l
incr n
decr n
xg
xg foo
xg create st g $ mkstream
xg create
xgroup create
command info set config
command getkeys {LONG} k v
command getkeys set k v
command list filterby pattern config*
klient setname x
klient foo
klient list foo
client
begin
{LONG} t 1
foo
go
begin
{LONG} t 1
lp l 2
incr n
go
exec
get2 l 0
object encoding t
blpop l 0
eval x 0
slaveof no one
"""


@pytest.fixture
def renamed(start):
    options = ["--appendonly", "yes", "--enable-debug-command", "yes"]
    ours = start(*options, config=CONFIG)
    oracle = start(*options, config=CONFIG, binary=shutil.which("redis-server"))
    return ours, oracle


def test_names_are_those_of_redis(renamed):
    ours, oracle = (server.connect() for server in renamed)
    for line in REQUESTS.strip().splitlines():
        assert ours.call(*line.split()) == oracle.call(*line.split()), line
    assert b"$3\r\nset\r\n" in ours.call("command", "info", LONG)
    # ACL knows commands by their own names, also those that are gone.
    assert b"config|get" in ours.call("acl", "cat", "admin")
    # A command that is gone is none of COMMAND's.
    assert b"\r\nconfig\r\n" not in ours.call("command") and b"\r\nflushall\r\n" in ours.call("command")


def test_the_log_is_readable_when_names_are_others(renamed, start):
    """And by those who wrote it, where a name means another command by now."""
    ours = renamed[0]
    connection = ours.connect()
    for line in REQUESTS.strip().splitlines():
        connection.call(*line.split())
    digest = connection.call("debug", "digest")
    log = b"".join(path.read_bytes() for path in ours.directory.glob("appendonly.aof.*"))
    assert LONG.encode() not in log.lower() and b"XGROUP" in log.upper()
    ours.kill()
    for config in (CONFIG, b"", b"rename-command set ''\nrename-command decr ''\nrename-command incr decr\n"):
        server = start("--enable-debug-command", "yes", config=config, directory=ours.directory)
        assert server.connect().call("debug", "digest") == digest
        server.kill()


def test_a_command_that_waited(start):
    """What is logged for it has its own name, as all that is logged."""
    server = start(config=CONFIG)
    waiting, other = server.connect(), server.connect()
    waiting.send("get2", "queue", "0")
    waiting.socket.settimeout(20)
    while b"cmd=blpop" not in other.call("klient", "list"):
        pass
    other.call("lp", "queue", "one", "two")
    assert waiting.reply() == b"*2\r\n$5\r\nqueue\r\n$3\r\ntwo\r\n"
    server.kill()
    connection = start(directory=server.directory).connect()
    assert connection.call("LRANGE", "queue", "0", "-1") == b"*1\r\n$3\r\none\r\n"


def test_the_file_keeps_its_lines(start):
    server = start(config=b"rename-command GET fetch\ntimeout 5\n")
    connection = server.connect()
    connection.call("CONFIG", "SET", "timeout", "6")
    assert connection.call("CONFIG", "REWRITE") == b"+OK\r\n"
    assert server.file.read_bytes().startswith(b"rename-command GET fetch\ntimeout 6\n")


@pytest.mark.parametrize(
    "line, says",
    [
        ("rename-command nosuch x", "No such command in rename-command"),
        ("rename-command get set", "Target command name already exists"),
        ("rename-command get a\nrename-command get b", "No such command in rename-command"),
        ("rename-command get a\nrename-command set A", "Target command name already exists"),
        ("rename-command get ''\nrename-command get b", "No such command in rename-command"),
        ("rename-command get", "Bad directive or wrong number of arguments"),
        ("rename-command config|get x", "No such command in rename-command"),
    ],
)
def test_renames_that_cannot_be(start, line, says):
    text = start(config=line.encode()).refusal()
    assert text.rstrip().endswith(says), text
