"""Users: rules, what they allow and what is refused, in which words; Redis 7.2's, where those of the oracle are older.

Random users and commands are compared with redis-server in Tests/differential/users.py, a sample of it here.
"""

import os
import pathlib
import subprocess
import sys

import pytest

from oracle import swiftlet_binary
from resp import bulks, decoded
from seed import new_seed
from waiting import wait_until

NO_KEY = b"-NOPERM No permissions to access a key\r\n"
NO_CHANNEL = b"-NOPERM No permissions to access a channel\r\n"
OK = b"+OK\r\n"


@pytest.fixture
def server(start):
    return start("--appendonly", "no", "--save", "", "--enable-debug-command", "yes")


def admin_of(server, *rules, name="ann"):
    """An administrator's connection; `rules` make a user."""
    admin = server.connect()
    if rules:
        assert admin.call("ACL", "SETUSER", name, "reset", "on", "nopass", *rules) == OK
    return admin


def user_of(server, name="ann", password="x"):
    connection = server.connect()
    assert connection.call("AUTH", name, password) == OK
    return connection


def commands(admin, name="ann"):
    reply = decoded(admin.call("ACL", "GETUSER", name))
    return dict(zip(reply[::2], reply[1::2]))[b"commands"].decode()


# MARK: Rules


@pytest.mark.parametrize(
    "rules, shown",
    [
        ("", "-@all"),
        ("+get -GET +GeT", "-@all +get"),
        ("+@hash +@slow -@hash", "-@all +@slow -@hash"),
        ("+config|get +client|id +config", "-@all +client|id +config"),
        ("+config +config|get -config|set", "-@all +config +config|get -config|set"),
        ("+get +set +@all", "+@all"),
        ("+@all -get -@all", "-@all"),
        ("+select|0 +SELECT|A +select|0", "-@all +select|a +select|0"),
        ("+select|0 -select", "-@all -select"),
        ("allcommands -debug +debug|digest", "+@all -debug +debug|digest"),
    ],
)
def test_commands_are_shown_as_they_were_given(server, rules, shown):
    """In what later rules leave of them, as in Redis 7.2."""
    assert commands(admin_of(server, *rules.split(" "))) == shown


ERRORS = """
ACL SETUSER v ~* ~foo
ACL SETUSER v &* &foo
ACL SETUSER v <foo
ACL SETUSER v !foo
ACL SETUSER v #foo
ACL SETUSER v %X~a
ACL SETUSER v %~a
ACL SETUSER v %RR~a
ACL SETUSER v +
ACL SETUSER v +@
ACL SETUSER v -select|0
ACL SETUSER v +select|
ACL SETUSER v +config|get|x
ACL SETUSER v +config|nosuch
ACL SETUSER v +nosuch|x
ACL SETUSER v +set|x|y
ACL SETUSER v (+get
ACL SETUSER v )
ACL SETUSER v ((+get))
ACL SETUSER v (>x)
ACL SETUSER v (+nosuch +get)
ACL SETUSER v bogus
ACL GETUSER v
ACL SETUSER v~b
ACL DELUSER v default
ACL DRYRUN nobody get a
ACL DRYRUN default nosuch
ACL DRYRUN default get
ACL LOG x
ACL LOG -1
ACL LOG RESET x
ACL LOAD
ACL SAVE
AUTH a b c
AUTH x
AUTH nobody x
"""


def test_errors_are_those_of_redis(both):
    both.each(ERRORS)
    for name in ("a b", "a\0b", "a\tb"):
        both("ACL", "SETUSER", name)
    both("ACL", "SETUSER", "v", "~a b"), both("ACL", "SETUSER", "v", "")
    both("ACL", "DELUSER", "v", "v~b"), both("ACL", "LOG", "RESET")


def test_a_wrong_rule_changes_nothing(server):
    admin = admin_of(server, "+get", "~a")
    before = admin.call("ACL", "LIST")
    assert admin.call("ACL", "SETUSER", "ann", "+set", ">word", "(+del)", "bogus").startswith(b"-ERR Error in ACL")
    assert admin.call("ACL", "LIST") == before


def test_users_are_shown_in_order(server):
    admin = admin_of(server)
    for name in ("b", "a", "", "é", "B"):
        assert admin.call("ACL", "SETUSER", name) == OK
    assert bulks(admin.call("ACL", "USERS")) == [b"", b"B", b"a", b"b", b"default", "é".encode()]
    assert bulks(admin.call("ACL", "LIST"))[0] == b"user  off sanitize-payload resetchannels -@all"


# MARK: What is refused


def test_the_words_of_redis_7_2(server):
    admin = admin_of(server, "+get", "+client|id", "+publish", "+subscribe", "+psubscribe", "+eval", "~a*", "&c*")
    ann = user_of(server)
    assert ann.call("DEL", "a") == b"-NOPERM User ann has no permissions to run the 'del' command\r\n"
    assert ann.call("client", "LIST") == b"-NOPERM User ann has no permissions to run the 'client|list' command\r\n"
    assert ann.call("GET", "b") == NO_KEY and ann.call("GET", "a1") == b"$-1\r\n"
    assert ann.call("PUBLISH", "d", "m") == NO_CHANNEL == ann.call("SUBSCRIBE", "c", "d")
    assert ann.call("PSUBSCRIBE", "c1*") == NO_CHANNEL and ann.call("PUBLISH", "c1", "m") == b":0\r\n"
    assert ann.call("NOSUCH").startswith(b"-ERR unknown command") and ann.call("GET").startswith(b"-ERR wrong number")
    assert admin.call("ACL", "DRYRUN", "ann", "GET", "b").endswith(
        b"User ann has no permissions to access the 'b' key\r\n"
    )
    assert admin.call("ACL", "DRYRUN", "ann", "PUBLISH", "d", "m").endswith(b"to access the 'd' channel\r\n")
    script = b"-ERR ACL failure in script: "
    reply = ann.call("EVAL", "return redis.pcall('del', 'a')", "0")
    assert reply == script + b"User ann has no permissions to run the 'del' command\r\n"
    assert ann.call("EVAL", "return redis.pcall('get', 'b')", "0") == script + b"No permissions to access a key\r\n"
    for command, allowed in (("get', 'a", b":1\r\n"), ("get', 'b", b"$-1\r\n"), ("del', 'a", b"$-1\r\n")):
        assert ann.call("EVAL", f"return redis.acl_check_cmd('{command}')", "0") == allowed


def test_a_transaction_is_checked_again(server):
    admin = admin_of(server, "+@all", "~*")
    ann = user_of(server)
    assert ann.pipeline([["MULTI"], ["SET", "a", "1"], ["SET", "b", "1"], ["DEL", "a"]])[-1] == b"+QUEUED\r\n"
    admin.call("ACL", "SETUSER", "ann", "resetkeys", "~a", "-del")
    changed = "-NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This "
    changed += "command is no longer allowed for the following reason: no permission to "
    texts = ["touch the specified keys", "execute the command or subcommand"]
    expected = "*3\r\n+OK\r\n" + "".join(f"{changed}{text}\r\n" for text in texts)
    assert ann.call("EXEC") == expected.encode()
    log = decoded(admin.call("ACL", "LOG"))
    assert [entry[1:8:2] for entry in log] == [[1, b"command", b"multi", b"del"], [1, b"key", b"multi", b"b"]]
    # One that takes rights away itself.
    admin.call("ACL", "SETUSER", "ann", "+del", "~*")
    queued = [["MULTI"], ["ACL", "SETUSER", "ann", "-get"], ["GET", "a"], ["EXEC"]]
    assert b"no permission to execute the command" in ann.pipeline(queued)[-1]
    assert admin.call("ACL", "SETUSER", "ann", "-exec") == OK
    assert ann.pipeline([["MULTI"], ["EXEC"]])[-1].startswith(b"-EXECABORT Transaction discarded because of: NOPERM")


def test_who_waits_is_checked_again(server):
    admin = admin_of(server, "+@all", "~*")
    ann = user_of(server)
    ann.send("BLPOP", "list", "0")
    wait_until(lambda: b"flags=b" in admin.call("CLIENT", "LIST"))
    admin.call("ACL", "SETUSER", "ann", "resetkeys")
    # At once: it does not learn when the key comes.
    assert ann.reply() == NO_KEY
    admin.call("RPUSH", "list", "x")
    assert admin.call("LLEN", "list") == b":1\r\n"
    assert b"cmdstat_blpop:calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0" in admin.call(
        "INFO", "commandstats"
    )
    ann.send("BLPOP", "list", "0")
    assert ann.reply() == NO_KEY


def test_a_key_that_is_lost_is_not_watched_any_more(server):
    admin = admin_of(server, "+@all", "~*")
    for changes in (False, True):
        ann = user_of(server)
        assert ann.pipeline([["WATCH", "a"], ["MULTI"], ["PING"]])[-1] == b"+QUEUED\r\n"
        admin.call("ACL", "SETUSER", "ann", "resetkeys", "~b")
        if changes:
            admin.call("SET", "a", "1")
        assert ann.call("EXEC") == b"*-1\r\n" and ann.call("WATCH", "a") == NO_KEY
        admin.call("ACL", "SETUSER", "ann", "~*")


def test_client_side_caching_tells_nothing_of_other_keys(server):
    admin = admin_of(server, "+@all", "~a*", "%W~b*")
    ann = user_of(server)
    ann.call("HELLO", "3")
    track = ["CLIENT", "TRACKING", "ON", "BCAST"]
    assert ann.call(*track) == NO_KEY == ann.call(*track, "PREFIX", "a1", "PREFIX", "c")
    assert ann.call(*track, "PREFIX", "a1", "PREFIX", "b:") == OK
    admin.call("SET", "a1x", "1")
    assert ann.reply() == b">2\r\n$10\r\ninvalidate\r\n*1\r\n$3\r\na1x\r\n"
    admin.call("ACL", "SETUSER", "ann", "resetkeys", "~a*", "~b*")
    assert ann.call("PING") == b"+PONG\r\n"
    admin.call("ACL", "SETUSER", "ann", "resetkeys", "~a*")
    assert is_closed(ann)
    ann = user_of(server)
    ann.pipeline([["HELLO", "3"], ["CLIENT", "TRACKING", "ON"], ["MGET", "a", "a2"]])
    admin.call("ACL", "SETUSER", "ann", "resetkeys", "~a2")
    admin.pipeline([["SET", "a", "1"], ["SET", "a2", "1"]])
    assert ann.reply() == b">2\r\n$10\r\ninvalidate\r\n*1\r\n$2\r\na2\r\n"


def test_sort_looks_at_no_other_key(server):
    admin = admin_of(server, "+sort", "+sort_ro", "+eval", "~l")
    ann = user_of(server)
    admin.pipeline([["RPUSH", "l", "1", "2"], ["SET", "w1", "2"], ["SET", "w2", "1"]])
    by, get = (
        f"-ERR {option} option of SORT denied due to insufficient ACL permissions.".encode() for option in ("BY", "GET")
    )
    assert ann.call("SORT", "l", "BY", "w*") == by + b"\r\n"
    assert ann.call("SORT_RO", "l", "GET", "w*") == get + b"\r\n"
    assert ann.call("EVAL", "return redis.call('sort', 'l', 'get', 'w*')", "0").startswith(get)
    assert ann.call("SORT", "l", "BY", "nosort") == b"*2\r\n$1\r\n1\r\n$1\r\n2\r\n"
    admin.call("ACL", "SETUSER", "ann", "%R~*")
    assert ann.call("SORT", "l", "BY", "w*") == b"*2\r\n$1\r\n2\r\n$1\r\n1\r\n"


def test_databases(server):
    """Valkey 9's rule."""
    admin = admin_of(server, "~*", "+@all", "db=0,2")
    ann = user_of(server)
    no = b"-NOPERM No permissions to access database\r\n"
    for command in ("SELECT 1", "MOVE a 1", "COPY a b DB 1", "SWAPDB 0 1", "FLUSHALL"):
        assert ann.call(*command.split()) == no, command
    for command in ("GET a", "COPY a b DB 2", "DBSIZE", "FLUSHDB", "SELECT 2", "PING"):
        assert not ann.call(*command.split()).startswith(b"-"), command
    assert b"db=0,2 +@all" in admin.call("ACL", "LIST")
    admin.call("ACL", "SETUSER", "ann", "resetdbs", "db=1")
    for command in ("GET a", "DBSIZE", "KEYS *", "SCAN 0", "RANDOMKEY"):
        assert ann.call(*command.split()) == no, command
    assert not ann.call("CLIENT", "ID").startswith(b"-")
    for rule in ("db=", "db=x", "db=1,"):
        assert admin.call("ACL", "SETUSER", "ann", rule).endswith(b"Syntax error\r\n")
    admin.call("ACL", "SETUSER", "ann", "alldbs")
    assert b"db=" not in admin.call("ACL", "LIST")


# MARK: Clients of users that change


def is_closed(connection):
    try:
        return connection.call("PING") is None
    except ConnectionError:
        return True


def test_subscribers_who_may_not_hear_any_more_are_disconnected(server):
    admin = admin_of(server, "+@all", "~*", "&news", "&chat", "&n*")
    subscribed = {}
    for kind, name in (("SUBSCRIBE", "news"), ("SUBSCRIBE", "chat"), ("PSUBSCRIBE", "n*"), ("SSUBSCRIBE", "chat")):
        subscribed[kind, name] = user_of(server)
        subscribed[kind, name].call(kind, name)
    admin.call("ACL", "SETUSER", "ann", "resetchannels", "&news", "&n*", "&x")
    closed = [key for key, connection in subscribed.items() if is_closed(connection)]
    assert closed == [("SUBSCRIBE", "chat"), ("SSUBSCRIBE", "chat")]
    admin.call("ACL", "SETUSER", "ann", "allchannels")
    admin.call("ACL", "SETUSER", "ann", "resetchannels", "&*")
    assert not is_closed(subscribed["PSUBSCRIBE", "n*"])


def test_clients_of_a_deleted_user_are_disconnected(server):
    admin = admin_of(server, "+@all", "~*")
    ann, other = user_of(server), user_of(server)
    waiting = user_of(server)
    waiting.send("BLPOP", "list", "0")
    wait_until(lambda: b"flags=b" in admin.call("CLIENT", "LIST"))
    assert ann.pipeline([["ACL", "DELUSER", "ann", "nobody"]]) == [b":1\r\n"]
    assert is_closed(ann) and is_closed(other)
    with pytest.raises(ConnectionError):
        waiting.reply()
    assert b"user=ann" not in admin.call("CLIENT", "LIST")


def test_who_has_not_logged_in_follows_the_default_user(server):
    admin = admin_of(server, "+@all", "~*")
    user = user_of(server)
    before = server.connect()
    before.call("PING")
    admin.call("ACL", "SETUSER", "default", "off")
    late = server.connect()
    no_auth = b"-NOAUTH Authentication required.\r\n"
    assert late.call("GET", "a") == no_auth and before.call("GET", "a") == b"$-1\r\n" == user.call("GET", "a")
    assert late.call("HELLO", "3").startswith(b"-NOAUTH HELLO must be called")
    user.call("ACL", "SETUSER", "default", "on")
    assert late.call("GET", "a") == b"$-1\r\n"
    user.call("ACL", "SETUSER", "default", "resetpass", ">word")
    assert late.call("GET", "a") == no_auth and late.call("AUTH", "word") == OK
    assert late.call("ACL", "WHOAMI") == b"$7\r\ndefault\r\n"


def test_limits_before_logging_in(start):
    server = start("--requirepass", "word")
    for request, says in (
        (b"*11\r\n", b"-ERR Protocol error: unauthenticated multibulk length\r\n"),
        (b"*2\r\n$4\r\nAUTH\r\n$16385\r\n", b"-ERR Protocol error: unauthenticated bulk length\r\n"),
    ):
        stranger = server.connect()
        stranger.socket.sendall(request)
        assert stranger.reply() == says
        assert is_closed(stranger)
    stranger = server.connect()
    assert stranger.call("AUTH", "x" * 16384).startswith(b"-WRONGPASS")
    assert stranger.call(*["AUTH"] * 10) == b"-ERR syntax error\r\n"


def test_the_last_login_of_hello_counts(server):
    admin = admin_of(server, "+@all", ">word", name="bob")
    admin.call("ACL", "SETUSER", "ann", "on", ">word", "+@all")
    client = server.connect()
    assert not client.call("HELLO", "2", "AUTH", "ann", "x", "AUTH", "ann", "word").startswith(b"-")
    assert client.call("ACL", "WHOAMI") == b"$3\r\nann\r\n"
    assert client.call("HELLO", "3", "AUTH", "bob", "word", "AUTH", "ann", "x").startswith(b"-WRONGPASS")
    assert client.call("ACL", "WHOAMI") == b"$3\r\nann\r\n"
    assert client.call("RESET") == b"+RESET\r\n" and client.call("ACL", "WHOAMI") == b"$7\r\ndefault\r\n"


# MARK: The log of denials


def test_the_log(server):
    admin = admin_of(server, "+get", "+acl|whoami", "~a")
    ann = user_of(server)
    for _ in range(3):
        ann.call("GET", "b")
    ann.call("DEL", "a")
    ann.call("AUTH", "ann\n", "x")
    log = decoded(admin.call("ACL", "LOG"))
    fields = [dict(zip(entry[::2], entry[1::2])) for entry in log]
    assert [(f[b"count"], f[b"reason"], f[b"object"], f[b"username"], f[b"entry-id"]) for f in fields] == [
        (1, b"auth", b"AUTH", b"ann\n", 2), (1, b"command", b"del", b"ann", 1), (3, b"key", b"b", b"ann", 0),
    ]  # fmt: skip
    assert all(f[b"context"] == b"toplevel" and b"user=ann" in f[b"client-info"] for f in fields)
    assert fields[2][b"timestamp-created"] <= fields[2][b"timestamp-last-updated"]
    stats = admin.call("INFO", "stats")
    for name, count in (("auth", 1), ("cmd", 1), ("key", 3), ("channel", 0)):
        assert f"acl_access_denied_{name}:{count}\r\n".encode() in stats
    # An event a minute later is another one.
    admin.call("DEBUG", "ADVANCE-CLOCK", "61000", "WALL")
    ann.call("GET", "b")
    assert len(decoded(admin.call("ACL", "LOG"))) == 4
    assert admin.call("CONFIG", "SET", "acllog-max-len", "1") == OK
    assert len(decoded(admin.call("ACL", "LOG"))) == 1
    assert admin.call("ACL", "LOG", "RESET") == OK and admin.call("ACL", "LOG") == b"*0\r\n"


def test_passwords_are_shown_nowhere(server):
    admin = admin_of(server)
    admin.call("CONFIG", "SET", "slowlog-log-slower-than", "0")
    monitor = server.connect()
    monitor.call("MONITOR")
    for command in (
        "ACL SETUSER bob on >sekret +@all", "ACL SETUSER bob >sekret bogus", "AUTH bob sekret", "HELLO 2 AUTH bob sekret",
        "ACL SETUSER bob <sekret >sekret (+get sekret", "CONFIG SET masterauth sekret", "AUTH bob sekret2",
        "CONFIG SET requirepass sekret", "MIGRATE 127.0.0.1 1 k 0 1 AUTH2 bob sekret",
    ):  # fmt: skip
        reply = admin.call(*command.split())
        assert b"sekret" not in reply or b"selector starting at '(+get'" in reply, command
    shown = admin.call("SLOWLOG", "GET", "100") + admin.call("CLIENT", "LIST") + admin.call("ACL", "LOG")
    admin.call("ECHO", "end")
    seen = b""
    while b"end" not in seen:
        seen += monitor.reply()
    assert b"sekret" not in shown + seen and "sekret" not in server.text()


# MARK: Files


def test_the_file_of_users(start, tmp_path):
    file = tmp_path / "users.acl"
    file.write_text("user ann on >one ~a* (+get ~b)\n\n  user bob off\r\n")
    server = start("--aclfile", str(file))
    admin, ann = server.connect(), user_of(server, password="one")
    assert [line.split()[1] for line in bulks(admin.call("ACL", "LIST"))] == [b"ann", b"bob", b"default"]
    admin.call("ACL", "SETUSER", "bob", "on", "nopass", "%RW~*", "~x", "+get", "db=3", "&b\\*")
    assert admin.call("ACL", "SAVE") == OK
    saved = file.read_bytes()
    assert b"user bob on nopass sanitize-payload %RW~* ~x resetchannels &b\\* db=3 -@all +get\n" in saved
    listed = admin.call("ACL", "LIST")
    assert admin.call("ACL", "LOAD") == OK and admin.call("ACL", "LIST") == listed
    # Clients of others than the default user are disconnected.
    assert is_closed(ann) and admin.call("PING") == b"+PONG\r\n"
    admin.call("ACL", "DELUSER", "bob")
    file.write_bytes(b"user ann on +nosuch ~* ~a bogus\nfoo\nuser ann\nuser x (+get\n")
    before = admin.call("ACL", "LIST")
    error = admin.call("ACL", "LOAD").decode()
    parts = [
        f"-ERR {file}:1: Error in applying operation '+nosuch': Unknown command or category name in ACL. {file}:1: Adding a ",
        f" list of patterns. {file}:2 should start with user keyword followed by the username. WARNING: Duplicate user 'ann' ",
        f"found on line 3. {file}:4: Unmatched parenthesis in selector definition. WARNING: ACL errors detected, no change to",
    ]
    at = 0
    for part in parts:
        at = error.index(part, at)
    assert admin.call("ACL", "LIST") == before
    file.unlink()
    assert admin.call("ACL", "LOAD").startswith(b"-ERR Error loading ACLs, opening file ")
    file.write_bytes(b"user ann on +nosuch\n")
    text = start("--aclfile", str(file)).refusal()
    assert text.count(f"{file}:1: Error in applying operation '+nosuch'") == 1, text


def test_a_file_that_cannot_be_written(start, tmp_path):
    directory = tmp_path / "there"
    directory.mkdir()
    (directory / "users.acl").write_text("")
    server = start("--aclfile", str(directory / "users.acl"))
    admin = server.connect()
    (directory / "users.acl").unlink()
    directory.rmdir()
    assert admin.call("ACL", "SAVE").startswith(b"-ERR There was an error trying to save the ACLs.")
    assert "Cannot save the users to" in server.text() and admin.call("PING") == b"+PONG\r\n"


def test_the_password_holds_for_a_file_without_one(start, tmp_path):
    file = tmp_path / "users.acl"
    file.write_text("user default on nopass ~* &* +@all\n")
    admin = start("--aclfile", str(file), "--requirepass", "word").connect()
    assert admin.call("PING").startswith(b"-NOAUTH") and admin.call("AUTH", "word") == OK
    assert admin.call("ACL", "LOAD") == OK and admin.call("PING") == b"+PONG\r\n"


def test_users_of_the_configuration(start):
    text = b'user ann on >one +get ~a* "(+set ~b)" &c\n# a comment\nuser bob off nopass\ntimeout 5\n'
    server = start(config=text)
    admin, _ = server.connect(), user_of(server, password="one")
    assert admin.call("CONFIG", "REWRITE") == OK
    assert server.file.read_bytes().startswith(text), "lines that say what is so stay"
    admin.call("ACL", "SETUSER", "ann", "+del", "~quo'te\"d\\", "%RW~*")
    admin.call("ACL", "SETUSER", "", "on")
    listed = admin.call("ACL", "LIST")
    assert admin.call("CONFIG", "REWRITE") == OK
    admin = start(config=server.file.read_bytes()).connect()
    assert admin.call("ACL", "LIST") == listed
    assert b"# a comment\ntimeout 5\n" in server.file.read_bytes()


def test_channels_of_new_users(start):
    admin = start("--acl-pubsub-default", "allchannels").connect()
    admin.call("ACL", "SETUSER", "ann", "(+get)")
    assert b"user ann off sanitize-payload &* -@all (&* -@all +get)" in admin.call("ACL", "LIST")
    admin.call("CONFIG", "SET", "acl-pubsub-default", "resetchannels")
    admin.call("ACL", "SETUSER", "ann", "reset")
    assert b"user ann off sanitize-payload resetchannels -@all\r\n" in admin.call("ACL", "LIST")


# MARK: Any mixture, compared with redis-server

USERS = pathlib.Path(__file__).resolve().parents[1] / "differential" / "users.py"


def test_no_difference():
    if swiftlet_binary() is None:
        pytest.skip("swiftlet-server is not built")
    run = subprocess.run(
        [sys.executable, str(USERS), "--checks", "40000", "--seed", str(new_seed())],
        env={**os.environ, "SWIFTLET_SERVER": swiftlet_binary()},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout
    assert " no difference" in run.stdout, run.stdout
