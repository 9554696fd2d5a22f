"""A configuration is bytes and lines: line ends of any system, any encoding, and files that are none."""

import os
import shutil
import socket
import unicodedata

import pytest

from process import setting
from resp import bulks
from waiting import wait_until

LINES = [b"# a comment", b"requirepass secret", b"", b"maxclients 200"]
NOAUTH = b"-NOAUTH Authentication required.\r\n"


@pytest.mark.parametrize(
    "config",
    [
        b"\n".join(LINES),
        b"\n".join(LINES) + b"\n",
        b"\r\n".join(LINES),
        b"\r\n".join(LINES) + b"\r\n",
        b"# a\r\n\r\n# b\nrequirepass secret\r\nmaxclients 200",
        b"\xef\xbb\xbf" + b"\r\n".join(LINES),
        b"\xef\xbb\xbfrequirepass secret\nmaxclients 200\n",
        b"\t requirepass\t\tsecret \t\n  MaxClients  \t200\t\n",
        b"#\xcc\x81 begins with a combining mark\nrequirepass secret\nmaxclients 200\n",
        "# 配置文件\n".encode("gbk") + b"requirepass secret\nmaxclients 200\n",
        "# Größe\n".encode("latin1") + b"requirepass secret\nmaxclients 200\n",
        b"#" + b"x" * 100_000 + b"\nrequirepass secret\nmaxclients 200\n",
        "# a\u2028requirepass other\u0085requirepass third\nrequirepass secret\nmaxclients 200\n".encode(),
        b"requirepass \"secret\"\r\nmaxclients '200'\r\n",
    ],
)
@pytest.mark.parametrize("how", ["file", "include", "input"])
def test_line_ends_and_encodings(start, tmp_path, config, how):
    if how == "file":
        connection = start(config=config).connect()
    elif how == "include":
        (tmp_path / "included").write_bytes(config)
        connection = start(config=b"include %s\n" % bytes(tmp_path / "included")).connect()
    else:
        connection = start("-", stdin=config).connect()
    assert connection.call("PING") == NOAUTH
    assert connection.call("AUTH", "secret") == b"+OK\r\n"
    assert setting(connection, "maxclients") == b"200"


@pytest.mark.parametrize(
    "config, says",
    [
        ("# a\r\nrequirepass secret\r\n".encode("utf-16"), "the file is UTF-16"),
        ("\ufeff# a\r\nrequirepass secret\r\n".encode("utf-16-be"), "the file is UTF-16"),
        ("# a\r\nrequirepass secret\r\n".encode("utf-16-le"), "holds NUL bytes"),
        (b"# a\rrequirepass secret\rmaxclients 200\r", "lines end in CR alone"),
        (b"maxclients 200\n" + bytes(512), "holds NUL bytes"),
        (b"maxclients 200\n# a comment\0requirepass secret\n", "at line 2"),
        (b'maxclients "200\n', "Unbalanced quotes in configuration line"),
        (b"maxclients 200 300\n", "wrong number of arguments"),
        (b"maxclients\n", "wrong number of arguments"),
        (b'logfile "a\\x00b"\n', "can't hold NUL bytes"),
    ],
)
def test_what_is_no_configuration(start, config, says):
    """Rather than to be read as one long comment, which would start a server without its password."""
    text = start(config=config).refusal()
    assert text.count(says) == 1, text


def test_paths_that_cannot_be_read(start, tmp_path):
    for path in (tmp_path, tmp_path / "nothing"):
        text = start(str(path), bare=True).refusal()
        assert text.startswith(f"Fatal error, can't open config file '{path}': "), text
    text = start("nothing", bare=True).refusal()
    assert "/nothing'" in text, text


# MARK: Values


COMPOSED = unicodedata.normalize("NFC", "é").encode()
DECOMPOSED = unicodedata.normalize("NFD", "é").encode()


@pytest.mark.parametrize(
    "password, others",
    [
        (b"a\xffb", [b"a\xef\xbf\xbdb", b"a\xfeb", b"ab"]),
        ("密码".encode("gbk"), ["密码".encode(), b"\xef\xbf\xbd"]),
        (COMPOSED, [DECOMPOSED, b"\xe9"]),
        (DECOMPOSED, [COMPOSED]),
        (b"a b\"c\\d#\x01\r\n'", [b"a b"]),
        (b"\x80" * 300, [b"\x80" * 299]),
    ],
)
@pytest.mark.parametrize("how", ["file", "quoted", "argument", "command"])
def test_passwords_are_bytes(start, password, others, how):
    """Also after CONFIG REWRITE and another start."""
    escaped = b'"%s"' % b"".join(b"\\x%02x" % c for c in password)
    plain = escaped if any(c in b" \"'\\\r\n" for c in password) else password
    config = {"file": b"requirepass " + plain + b"\n", "quoted": b"requirepass " + escaped + b"\n"}.get(how, b"\n")
    server = start(*[b"--requirepass", password] if how == "argument" else [], config=config)
    connection = server.connect()
    if how == "command":
        assert connection.call("CONFIG", "SET", "requirepass", password) == b"+OK\r\n"
    for _ in range(2):
        connection = server.connect()
        for other in others:
            assert connection.call("AUTH", other).startswith(b"-WRONGPASS"), other
        assert connection.call("AUTH", password) == b"+OK\r\n"
        assert connection.call("AUTH", "default", password) == b"+OK\r\n"
        assert setting(connection, "requirepass") == password
        assert connection.call("CONFIG", "REWRITE") == b"+OK\r\n"
        server.kill()
        server = start(config=server.file.read_bytes())


@pytest.mark.parametrize("name", ["données".encode("latin1"), "数据".encode("gbk"), "数据".encode()])
def test_paths_are_bytes(start, tmp_path, name):
    folder = os.path.join(bytes(tmp_path), name)
    os.mkdir(folder)
    config = (
        b"".join(
            b"%s %s\n" % (setting, os.path.join(folder, file))
            for setting, file in [(b"logfile", b"log"), (b"pidfile", b"pid"), (b"unixsocket", b"socket")]
        )
        + b"dir %s\nappendonly yes\n" % folder
    )
    server = start(config=config)
    server.kill()
    arguments = ["--port", str(server.port), "--bind", "127.0.0.1"]
    server.file.write_bytes(config)
    for expected in (b"$-1\r\n", b"$5\r\nvalue\r\n"):
        process = start(str(server.file), *arguments, bare=True)
        process.port = server.port
        connection = process.connect()
        assert setting(connection, "dir") == folder
        assert setting(connection, "unixsocket") == os.path.join(folder, b"socket")
        wait_until(lambda connection=connection: connection.call("PING") == b"+PONG\r\n")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(os.path.join(folder, b"socket"))
            client.sendall(b"PING\r\n")
            assert client.recv(100) == b"+PONG\r\n"
        assert {b"log", b"pid", b"socket", b"swiftlet.lock"} <= set(os.listdir(folder))
        assert connection.call("GET", "key") == expected
        connection.call("SET", "key", "value")
        assert connection.call("SAVE") == b"+OK\r\n"
        assert connection.call("CONFIG", "REWRITE") == b"+OK\r\n"
        assert process.end() == 0
        assert b"pid" not in os.listdir(folder)


def test_file_names_in_dir_are_utf8(start):
    text = start(config=b"dbfilename d\xfcmp.rdb\n").refusal()
    assert "dbfilename must be UTF-8" in text


# MARK: CONFIG REWRITE


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_rewriting_keeps_bytes_and_line_ends(start, end, mark):
    lines = ["# Größe".encode("latin1"), b"timeout 5", b"# \xc4\xe3", b"  hz   20", b"masterauth p\xfc"]
    config = mark + end.join(lines) + end
    server = start(config=config)
    connection = server.connect()
    # The arguments differ from what the file says.
    ours = [b"port %d" % server.port, b"bind 127.0.0.1", b"dir " + bytes(server.directory)]
    connection.call("CONFIG", "SET", "timeout", "6")
    assert connection.call("CONFIG", "REWRITE") == b"+OK\r\n"
    lines[1] = b"timeout 6"
    written = server.file.read_bytes()
    kept, added = written.split(b"# Generated by CONFIG REWRITE" + end)
    assert kept == mark + end.join(lines) + end
    assert sorted(added.split(end)) == sorted([b""] + ours)
    # A second time nothing changes; nor where the last line has no end.
    connection.call("CONFIG", "REWRITE")
    assert server.file.read_bytes() == written
    server.file.write_bytes(written[: -len(end)])
    connection.call("CONFIG", "REWRITE")
    assert server.file.read_bytes() == written[: -len(end)]


# MARK: include


def test_includes(start, tmp_path):
    folder = tmp_path / "conf.d"
    folder.mkdir()
    (folder / "1.conf").write_bytes(b"timeout 1\nhz 11\n")
    (folder / "2.conf").write_bytes(b"timeout 2\ninclude conf.d/x/*.conf\n")
    (folder / "sub").mkdir()
    (folder / "sub" / "3.conf").write_bytes(b"tcp-keepalive 3")
    config = b"dir %s\ninclude conf.d/*.conf\ninclude conf.d/sub/3.conf\ninclude conf.d/[0-9].conf\n" % bytes(tmp_path)
    connection = start(config=config).connect()
    assert [setting(connection, name) for name in ("timeout", "hz", "tcp-keepalive")] == [b"2", b"11", b"3"]


def test_what_is_wrong_in_an_include_is_found(start, tmp_path):
    inner = tmp_path / "inner.conf"
    inner.write_bytes(b"# a\n\nmaxclient 5\n")
    text = start(config=b"timeout 5\ninclude %s\n" % bytes(inner)).refusal()
    assert f"Reading the included file {inner}, at line 3\n>>> 'maxclient 5'\n" in text
    assert text.count("maxclient 5") == 1 and "did you mean 'maxclients'?" in text
    inner.write_bytes(b"\ninclude %s\n" % bytes(tmp_path / "nothing"))
    text = start(config=b"include %s\n" % bytes(inner)).refusal()
    assert f"{inner}, at line 2\n" in text and f"Can't open '{tmp_path}/nothing': No such file or directory" in text
    inner.write_bytes(b"include %s\n" % bytes(inner))
    text = start(config=b"include %s\n" % bytes(inner)).refusal()
    assert "files include each other" in text
    text = start(config=b"include %s\n" % bytes(tmp_path)).refusal()
    assert "Is a directory" in text


# MARK: Arguments


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["--timeout", "7", "--timeout", "8"], {"timeout": b"8"}),
        (["--save", "60", "1", "300", "10"], {"save": b"60 1 300 10"}),
        (["--save", "60 1", "--save", "300 10"], {"save": b"60 1 300 10"}),
        (["--SAVE", "", "--Timeout", "8"], {"save": b"", "timeout": b"8"}),
        (["--save", "--timeout", "8"], {"save": b"", "timeout": b"8"}),
        (["--masterauth", "--x"], {"masterauth": b"--x"}),
        (["--masterauth", b"--\xff"], {"masterauth": b"--\xff"}),
        (["--", "--timeout", "8"], {"timeout": b"8"}),
        (["--", "timeout", "8"], {"timeout": b"8"}),
        (["--timeout 8 "], {"timeout": b"8"}),
        (["--user default on nopass ~* +@all"], {"requirepass": b""}),
    ],
)
def test_argument_forms(start, arguments, expected):
    connection = start(*arguments).connect()
    assert {name: setting(connection, name) for name in expected} == expected


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["--appendonly=yes"], "did you mean 'appendonly yes'?"),
        (["--maxmemroy", "1gb"], "did you mean 'maxmemory'?"),
        (["--", "timeuot", "8"], "did you mean 'timeout'?"),
        (["--rename-commnd", "a", "b"], "did you mean 'rename-command'?"),
        (["--maxmemory", "99999999999gb"], "argument must be between 0 and 9223372036854775807 inclusive"),
        (["--maxmemory", "-1"], "argument must be a memory value"),
        (["--repl-backlog-size", "0"], "argument must be between 1 and"),
        (["--timeout", "010"], "couldn't be parsed into an integer"),
        (["--maxmemory-clients", "101%"], "percentage argument must be less or equal to 100"),
    ],
)
def test_wrong_arguments(start, arguments, says):
    text = start(*arguments).refusal()
    assert text.count(says) == 1 and "Reading the command line" in text, text


@pytest.mark.parametrize("place", ["first", "last", "after the file"])
def test_standard_input(start, place):
    text = b"timeout 7\nhz 20\n"
    if place == "first":
        server = start(bare=True, stdin=text)
        server.kill()
        port = str(server.port)
        server = start("-", "--port", port, "--bind", "127.0.0.1", "--hz", "30", bare=True, stdin=text)
        server.port = int(port)
    elif place == "last":
        server = start("--hz", "30", "-", stdin=text)
    else:
        server = start("--hz", "30", "-", stdin=text, config=b"timeout 5\nmaxclients 55\n")
    connection = server.connect()
    assert setting(connection, "timeout") == b"7" and setting(connection, "hz") == b"30"
    assert setting(connection, "maxclients") == (b"55" if place == "after the file" else b"10000")


def test_errors_are_said_once(start, tmp_path):
    directory = tmp_path / "damaged"
    directory.mkdir()
    (directory / "dump.sqlite").write_bytes(b"this is no database" * 100)
    text = start(directory=directory).refusal()
    assert text.count("dump.sqlite") == 1, text


def test_unknown_settings_of_a_command(both):
    both("CONFIG", "SET", "nosuchsetting", "1")
    reply = both.swiftlet.call("CONFIG", "SET", "maxmemroy", "1")
    assert reply.startswith(both.oracle.call("CONFIG", "SET", "maxmemroy", "1")[:-2]) and b"'maxmemory'?" in reply
    assert bulks(both("CONFIG", "GET", "nosuch*", "\xe9")) == []


def test_a_cache_runs_where_it_cannot_write(start, tmp_path):
    if os.getuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("needs setpriv to be somebody else than root")
    directory = tmp_path / "read only"
    directory.mkdir()
    server = start("--appendonly", "no", directory=directory)
    connection = server.connect()
    connection.call("SET", "key", "value")
    assert connection.call("SAVE") == b"+OK\r\n"
    assert server.end() == 0
    for path in [tmp_path, *tmp_path.parents]:
        if path.stat().st_uid == os.getuid() and path.name.startswith(("pytest", "test")):
            path.chmod(0o755)
    for path in directory.iterdir():
        path.chmod(0o444)
    directory.chmod(0o555)
    nobody = 65534 if os.getuid() == 0 else None
    try:
        text = start("--appendonly", "yes", directory=directory, user=nobody).refusal()
        assert text.count("cannot be written") == 1
        server = start("--appendonly", "no", "--save", "", directory=directory, user=nobody)
        connection = server.connect()
        assert connection.call("GET", "key") == b"$5\r\nvalue\r\n"
        assert connection.call("SET", "key", "other") == b"+OK\r\n"
        assert connection.call("SAVE").startswith(b"-ERR")
        assert connection.call("SET", "key", "other") == b"+OK\r\n"
        assert server.text().count("nothing can be saved") == 1
        assert server.end() == 0
    finally:
        directory.chmod(0o755)
