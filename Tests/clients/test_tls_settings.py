"""The settings of TLS: what a bad one is told, at start and later, and certificates that change while clients work."""

import contextlib
import os
import shutil
import socket
import ssl
import threading

import pytest

from certificates import Authority, Certificates, openssl
from oracle import free_port
from resp import bulk, bulks
from test_tls import TLSServer
from waiting import wait_until


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    made = Certificates(tmp_path_factory.mktemp("certificates"))
    made.expired = made.authority.issue("expired", is_expired=True)
    made.renewed = made.authority.issue("renewed")
    made.rsa = made.authority.issue("rsa", rsa=True)
    made.encrypted = made.directory / "encrypted.key"
    openssl(made.directory, "ec", "-in", "server.key", "-aes256", "-passout", "pass:1234", "-out", "encrypted.key")
    made.garbage = made.directory / "garbage"
    made.garbage.write_bytes(os.urandom(1000))
    made.unreadable = made.directory / "unreadable"
    shutil.copy(made.server[1], made.unreadable)
    made.unreadable.chmod(0)
    made.directory.chmod(0o755)
    for path in made.directory.iterdir():
        if path != made.unreadable:
            path.chmod(0o644)
    return made


def bad(certificates):
    """Settings beside the right ones, and what is said about them."""
    server, key = certificates.server
    missing = certificates.directory / "missing"
    return [
        ({"tls-cert-file": missing}, f"Failed to load certificate: {missing}: No such file or directory"),
        ({"tls-key-file": missing}, f"Failed to load private key: {missing}: No such file or directory"),
        ({"tls-cert-file": ""}, "No tls-cert-file configured!"),
        ({"tls-key-file": ""}, "No tls-key-file configured!"),
        ({"tls-cert-file": certificates.garbage}, f"Failed to load certificate: {certificates.garbage}: it holds no"),
        ({"tls-key-file": certificates.garbage}, f"Failed to load private key: {certificates.garbage}: it holds no"),
        ({"tls-key-file": certificates.client[1]}, f"it does not fit the certificate in {server}"),
        ({"tls-key-file": certificates.rsa[1]}, f"it does not fit the certificate in {server}"),
        ({"tls-key-file": certificates.encrypted}, "it holds no private key in PEM that tls-key-file-pass decrypts"),
        (
            {"tls-key-file": certificates.encrypted, "tls-key-file-pass": "wrong"},
            "it holds no private key in PEM that tls-key-file-pass decrypts",
        ),
        ({"tls-client-cert-file": missing}, "No tls-client-key-file configured!"),
        (
            {"tls-client-cert-file": server, "tls-client-key-file": certificates.client[1]},
            f"it does not fit the certificate in {server}",
        ),
        ({"tls-ca-cert-file": missing}, f"Failed to configure CA certificate(s): {missing}: No such file"),
        ({"tls-ca-cert-file": key}, f"Failed to configure CA certificate(s): {key}: it holds no"),
        ({"tls-ca-cert-file": ""}, "Either tls-ca-cert-file or tls-ca-cert-dir must be specified"),
        ({"tls-ca-cert-dir": missing}, f"Failed to configure CA certificate(s): {missing}: No such file"),
        ({"tls-dh-params-file": missing}, f"Failed to load DH params: {missing}: No such file or directory"),
        ({"tls-dh-params-file": certificates.garbage}, "it holds no parameters in PEM"),
        ({"tls-protocols": "SSLv3"}, "Invalid tls-protocols specified"),
        ({"tls-protocols": " "}, "Invalid tls-protocols specified"),
        ({"tls-ciphers": "NOSUCH"}, "Failed to configure ciphers 'NOSUCH'"),
        ({"tls-ciphersuites": "NOSUCH"}, "Failed to configure ciphersuites 'NOSUCH'"),
    ]


CASES = range(22)


@pytest.mark.parametrize("case", CASES)
def test_a_server_does_not_start_with_bad_settings(certificates, start, case):
    given, message = bad(certificates)[case]
    process = start("--tls-port", str(free_port()), *certificates.options(), *words(given))
    assert message in process.refusal()


def words(settings):
    return [word for name, value in settings.items() for word in (f"--{name}", str(value))]


def test_an_unreadable_key(certificates, start, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs another user")
    tmp_path.chmod(0o777)
    for parent in list(tmp_path.parents)[:3]:
        if parent.stat().st_uid == 0 and parent != parent.parent and str(parent) != "/tmp":
            parent.chmod(0o755)
    directory = tmp_path / "data"
    directory.mkdir()
    directory.chmod(0o777)
    options = [*certificates.options(), "--tls-key-file", str(certificates.unreadable)]
    process = start("--tls-port", str(free_port()), *options, directory=directory, user=65534)
    assert f"Failed to load private key: {certificates.unreadable}: Permission denied" in process.refusal()


@pytest.fixture(scope="module")
def shared(certificates):
    server = TLSServer(certificates)
    yield server
    server.stop()


@pytest.mark.parametrize("case", CASES)
def test_config_set_refuses_bad_settings(certificates, shared, case):
    """All of it, and what was there stays."""
    given, message = bad(certificates)[case]
    admin = shared.connect()
    old = bulks(admin.call("CONFIG", "GET", "tls-*"))
    arguments = [str(word) for pair in given.items() for word in pair]
    reply = admin.call("CONFIG", "SET", *arguments)
    name = list(given)[-1] if len(given) == 1 else arguments[0]
    assert reply.startswith(
        f"-ERR CONFIG SET failed (possibly related to argument '{name}') - Unable to update TLS configuration: ".encode()
    ), reply
    assert message.encode() in reply
    assert bulks(admin.call("CONFIG", "GET", "tls-*")) == old
    assert shared.get_in()


def test_an_expired_certificate_is_said_in_the_log(certificates):
    """As in redis-server it is served: clients are who refuse it."""
    certificate, key = certificates.expired
    server = TLSServer(certificates, "--tls-cert-file", str(certificate), "--tls-key-file", str(key))
    try:
        assert f"The certificate in {certificate} has expired".encode() in server.output()
        with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
            server.connect_tls()
    finally:
        server.stop()


def test_keys_with_a_password(certificates):
    admin = None
    server = TLSServer(certificates, "--tls-key-file", str(certificates.encrypted), "--tls-key-file-pass", "1234")
    try:
        admin = server.connect()
        assert server.get_in()
        given = ("tls-client-cert-file", certificates.server[0], "tls-client-key-file", certificates.encrypted)
        assert b"-ERR" in admin.call("CONFIG", "SET", *map(str, given), "tls-client-key-file-pass", "123")
        assert admin.call("CONFIG", "SET", *map(str, given), "tls-client-key-file-pass", "1234") == b"+OK\r\n"
    finally:
        server.stop()


def test_authorities_in_a_directory(certificates, tmp_path):
    shutil.copy(certificates.authority.file, tmp_path / "ca.crt")
    openssl(tmp_path, "rehash", tmp_path)
    server = TLSServer(certificates, "--tls-ca-cert-file", "", "--tls-ca-cert-dir", str(tmp_path))
    try:
        assert server.get_in()
        foreign = Authority(certificates.directory, "foreign").issue("foreigner")
        assert not server.get_in(certificates.context(foreign))
    finally:
        server.stop()


# MARK: Protocols and ciphers


def cipher(server, certificates, version, ciphers=None):
    """What is agreed on; None: nothing."""
    try:
        connection = server.connect_tls(certificates.context(version=version, ciphers=ciphers))
        connection.call("PING")
        return connection.socket.cipher()[0]
    except (ssl.SSLError, ConnectionError):
        return None


def test_protocols_and_ciphers(certificates, shared):
    admin = shared.connect()
    old, new = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3

    def set_to(*arguments):
        assert admin.call("CONFIG", "SET", *arguments) == b"+OK\r\n", arguments

    set_to("tls-protocols", "TLSv1.2")
    assert cipher(shared, certificates, old) and not cipher(shared, certificates, new)
    set_to("tls-protocols", "tlsv1.3")
    assert not cipher(shared, certificates, old) and cipher(shared, certificates, new)
    # One in the middle that is not wanted.
    set_to("tls-protocols", "TLSv1.1 TLSv1.3")
    assert not cipher(shared, certificates, old) and cipher(shared, certificates, new)
    set_to("tls-protocols", "")
    aes, chacha = "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"
    set_to("tls-ciphers", f"{aes}:{chacha}")
    assert cipher(shared, certificates, old, f"{chacha}:{aes}") == chacha
    set_to("tls-prefer-server-ciphers", "yes")
    assert cipher(shared, certificates, old, f"{chacha}:{aes}") == aes
    set_to("tls-prefer-server-ciphers", "no", "tls-ciphers", chacha)
    assert not cipher(shared, certificates, old, aes)
    set_to("tls-ciphers", "", "tls-ciphersuites", "TLS_AES_128_GCM_SHA256")
    assert cipher(shared, certificates, new) == "TLS_AES_128_GCM_SHA256"
    set_to("tls-ciphersuites", "")
    assert cipher(shared, certificates, new) == "TLS_AES_256_GCM_SHA384"


def test_dh_parameters(certificates, tmp_path):
    parameters = tmp_path / "dh"
    openssl(tmp_path, "genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048", "-out", "dh")
    certificate, key = certificates.rsa
    options = ["--tls-cert-file", str(certificate), "--tls-key-file", str(key), "--tls-dh-params-file", str(parameters)]
    server = TLSServer(certificates, *options)
    try:
        ciphers = "DHE-RSA-AES128-GCM-SHA256"
        assert cipher(server, certificates, ssl.TLSVersion.TLSv1_2, ciphers) == ciphers
    finally:
        server.stop()


# MARK: Certificates that change


@contextlib.contextmanager
def load(server, count=4):
    """Clients that ask and get answers, and new ones that come, until the end of the block: how often they did."""
    stop = threading.Event()
    done = [0] * (2 * count)
    errors = []

    def ask(i):
        try:
            connection = server.connect_tls()
            while not stop.is_set():
                value = str(done[i])
                replies = connection.pipeline([("SET", f"k{i}", value), ("GET", f"k{i}")] * 8)
                assert replies == [b"+OK\r\n", b"$%d\r\n%s\r\n" % (len(value), value.encode())] * 8
                done[i] += 1
            connection.close()
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    def come(i):
        try:
            while not stop.is_set():
                connection = server.connect_tls()
                assert connection.call("PING") == b"+PONG\r\n"
                connection.close()
                done[i] += 1
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(count)]
    threads += [threading.Thread(target=come, args=(count + i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield done
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert errors == []


def test_certificates_change_under_load(certificates, tmp_path):
    """Files that are replaced under their names, good ones and bad ones."""
    certificate, key = tmp_path / "server.crt", tmp_path / "server.key"

    def install(pair):
        for source, target in zip(pair, (certificate, key)):
            shutil.copy(source, target)

    install(certificates.server)
    server = TLSServer(certificates, "--tls-cert-file", str(certificate), "--tls-key-file", str(key))
    try:
        admin = server.connect()
        old = server.connect_tls()
        serials = {pair: certificates_serial(pair[0]) for pair in (certificates.server, certificates.renewed)}
        assert old.serial() == serials[certificates.server]
        with load(server) as done:
            for round in range(20):
                install((certificates.garbage, certificates.garbage))
                assert b"-ERR" in admin.call("CONFIG", "SET", "tls-cert-file", str(certificate))
                pair = (certificates.renewed, certificates.server)[round % 2]
                install(pair)
                assert admin.call("CONFIG", "SET", "tls-cert-file", str(certificate)) == b"+OK\r\n"
                new = server.connect_tls()
                assert new.serial() == serials[pair]
                new.close()
                before = list(done)
                wait_until(lambda: all(now > then for now, then in zip(done, before)))
        assert old.call("PING") == b"+PONG\r\n"
    finally:
        server.stop()


def certificates_serial(path):
    return ssl._ssl._test_decode_cert(str(path))["serialNumber"]


# MARK: Ports


def test_ports_move(certificates):
    server = TLSServer(certificates)
    try:
        kept = server.connect_tls()
        assert kept.call("CONFIG", "SET", "tls-port", "0") == b"+OK\r\n"
        with pytest.raises(OSError):
            server.connect_tls()
        new = free_port()
        assert kept.call("CONFIG", "SET", "tls-port", new) == b"+OK\r\n"
        certificates.connect(new).close()
        # In use: refused, and everything listens where it did.
        with socket.create_server(("127.0.0.1", 0)) as other:
            other.listen()
            reply = kept.call("CONFIG", "SET", "tls-port", other.getsockname()[1])
        assert b"Unable to listen on this port" in reply
        certificates.connect(new).close()
        assert server.connect().call("PING") == b"+PONG\r\n"
        # TLS alone, on the port that was the plain one.
        assert kept.call("CONFIG", "SET", "port", "0", "tls-port", server.port) == b"+OK\r\n"
        alone = certificates.connect(server.port)
        assert f"tcp_port:{server.port}".encode() in bulk(alone.call("INFO", "server"))
    finally:
        server.stop()


def test_tls_begins_later(certificates, start):
    process = start("--port", "0", "--unixsocket", "s")
    # Without certificates there is no port for TLS.
    process = start()
    admin = process.connect()
    port = free_port()
    assert b"Unable to update TLS configuration: No tls-cert-file" in admin.call("CONFIG", "SET", "tls-port", port)
    assert b"Unable to update TLS configuration" in admin.call("CONFIG", "SET", "tls-replication", "yes")
    options = [word.removeprefix("--") for word in certificates.options()]
    # Nothing is encrypted yet: files are looked at when something is.
    assert admin.call("CONFIG", "SET", "tls-ca-cert-file", "/nowhere") == b"+OK\r\n"
    assert admin.call("CONFIG", "SET", "tls-port", port, *options) == b"+OK\r\n"
    assert certificates.connect(port).call("PING") == b"+PONG\r\n"


def test_names_and_defaults_are_those_of_redis(both):
    """Each name that redis-server has, in the same words."""
    for connection in (both.swiftlet, both.oracle):
        connection.call("CONFIG", "SET", "tls-session-cache-size", "20480")
    both("CONFIG", "GET", "tls-port")
    names = sorted(bulks(both.oracle.call("CONFIG", "GET", "tls-*"))[::2])
    assert len(names) == 20
    for name in names:
        both("CONFIG", "GET", name)
    for name, value in [
        ("tls-auth-clients", "maybe"), ("tls-port", "65536"), ("tls-session-caching", "maybe"),
        ("tls-session-cache-size", "-1"), ("tls-session-cache-timeout", "x"), ("tls-replication", ""),
    ]:  # fmt: skip
        both("CONFIG", "SET", name, value)
