"""TLS as clients see it: who gets in, and that nothing of what they say or hear is lost."""

import contextlib
import hashlib
import socket
import ssl
import threading
import time

import pytest

from certificates import Authority, Certificates
from launched import Launched
from oracle import free_port, seeded, swiftlet_binary
from resp import Connection, bulk, encode
from waiting import wait_until


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


class TLSServer(Launched):
    def __init__(self, certificates, *options):
        self.certificates = certificates
        self.tls_port = free_port()
        super().__init__(
            swiftlet_binary(), "--tls-port", str(self.tls_port), *certificates.options(), *options, "--appendonly", "no"
        )

    def connect_tls(self, *arguments, **options):
        return self.certificates.connect(self.tls_port, *arguments, **options)

    def get_in(self, *arguments, **options):
        """Whether a client gets in. TLS 1.3 tells it of a certificate that is refused when it reads."""
        try:
            connection = self.connect_tls(*arguments, **options)
            try:
                return connection.call("PING") == b"+PONG\r\n"
            finally:
                connection.close()
        except (ssl.SSLError, ConnectionError):
            return False


@pytest.fixture(scope="module")
def shared(certificates):
    server = TLSServer(certificates)
    yield server
    server.stop()


@pytest.fixture
def server(shared):
    """With no data, no clients, and the settings that it began with."""
    plain = shared.connect()
    plain.call("FLUSHALL")
    plain.call("CONFIG", "SET", "tls-auth-clients", "yes", "client-output-buffer-limit", "normal 0 0 0")
    plain.call("CLIENT", "KILL", "SKIPME", "yes")
    plain.close()
    return shared


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("version", VERSIONS)
def test_both_ports_serve_the_same_data(server, version):
    plain = server.connect()
    encrypted = server.connect_tls(server.certificates.context(version=version))
    assert encrypted.socket.version() == {VERSIONS[0]: "TLSv1.2", VERSIONS[1]: "TLSv1.3"}[version]
    assert encrypted.call("SET", "k", "v") == b"+OK\r\n"
    assert plain.call("GET", "k") == b"$1\r\nv\r\n"
    clients = bulk(plain.call("CLIENT", "LIST"))
    assert clients.count(b"laddr=127.0.0.1:%d " % server.tls_port) == 1
    plain.close()
    encrypted.close()


def test_who_does_not_speak_tls_gets_nothing(server):
    plain = socket.create_connection(("127.0.0.1", server.tls_port), timeout=10)
    plain.sendall(b"SET k v\r\nPING\r\n")
    answer = b""
    try:
        while data := plain.recv(100):
            answer += data
    except ConnectionError:
        pass
    # An alert of TLS, or nothing.
    assert b"PONG" not in answer
    assert server.connect().call("GET", "k") == b"$-1\r\n"


@pytest.mark.parametrize("version", VERSIONS)
def test_client_certificates(server, certificates, tmp_path, version):
    foreign = Authority(tmp_path, "foreign").issue("stranger")
    expired = certificates.authority.issue(f"late{version}", is_expired=True)
    own, none, other, late = (certificates.context(c, version=version) for c in ("own", None, foreign, expired))
    admin = server.connect()
    for mode, expected in [
        ("yes", (True, False, False, False)),
        ("optional", (True, True, False, False)),
        ("no", (True, True, True, True)),
    ]:
        assert admin.call("CONFIG", "SET", "tls-auth-clients", mode) == b"+OK\r\n"
        assert tuple(server.get_in(c) for c in (own, none, other, late)) == expected, mode


def test_a_client_sees_the_servers_certificate(server, tmp_path):
    """And ends the connection when it does not know its authority."""
    with pytest.raises(ssl.SSLCertVerificationError):
        server.connect_tls(server.certificates.context(authority=Authority(tmp_path, "other")))


@pytest.mark.parametrize("version", VERSIONS)
def test_sessions_are_resumed(server, certificates, version):
    context = certificates.context(version=version)

    def reused(session):
        connection = server.connect_tls(context, session=session)
        assert connection.call("PING") == b"+PONG\r\n"
        result = connection.socket.session_reused, connection.socket.session
        connection.close()
        return result

    assert (first := reused(None))[0] is False
    assert reused(first[1])[0] is True
    # Certificates that are read anew begin anew: what they do not vouch for any more does not get in by an old session.
    server.connect().call("CONFIG", "SET", "tls-cert-file", str(certificates.server[0]))
    assert (second := reused(first[1]))[0] is False
    server.connect().call("CONFIG", "SET", "tls-session-caching", "no")
    assert reused(second[1])[0] is False
    assert reused(reused(None)[1])[0] is False
    server.connect().call("CONFIG", "SET", "tls-session-caching", "yes")


# MARK: Bytes


@pytest.mark.parametrize("version", VERSIONS)
def test_large_values_and_pipelines(server, version):
    random = seeded(version)
    connection = server.connect_tls(server.certificates.context(version=version))
    for size in [0, 1, 16383, 16384, 16385, 65535, 65536, 65537, 3_000_001]:
        value = random.randbytes(size)
        assert connection.call("SET", "k", value) == b"+OK\r\n"
        assert bulk(connection.call("GET", "k")) == value
    # Replies are not read until all is sent: the server keeps what the socket does not take.
    requests = [("ECHO", random.randbytes(random.choice([3, 300, 17_000]))) for _ in range(2000)]
    data = b"".join(map(encode, requests))
    while data:
        part = random.choice([1, 50, 5000, 100_000])
        connection.socket.sendall(data[:part])
        data = data[part:]
    for _, value in requests:
        assert bulk(connection.reply()) == value
    connection.close()


def test_a_slow_reader_gets_all(server):
    """Records that the socket takes a part of, among them messages that others share."""
    value = seeded(1).randbytes(8_000_000)
    slow = server.connect_tls(receive_buffer=4096)
    other = server.connect()
    assert other.call("SET", "k", value) == b"+OK\r\n"
    slow.call("HELLO", "3")
    slow.call("SUBSCRIBE", "c")
    slow.send("GET", "k")
    messages = [bytes([65 + i]) * (100_000 + i) for i in range(20)]
    for message in messages:
        assert other.call("PUBLISH", "c", message) == b":1\r\n"
        slow.send("GET", "k") if message is messages[10] else None
    replies = [slow.reply() for _ in range(22)]
    pushes = [reply for reply in replies if reply.startswith(b">")]
    assert [push[push.rindex(b"\r\n", 0, -2) + 2 : -2] for push in pushes] == messages
    values = [hashlib.sha256(bulk(reply)).digest() for reply in replies if not reply.startswith(b">")]
    assert values == [hashlib.sha256(value).digest()] * 2
    slow.close()


class Segments:
    """A client whose records leave in parts that the test chooses."""

    def __init__(self, server, context):
        self.plain = socket.create_connection(("127.0.0.1", server.tls_port), timeout=30)
        self.plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    def flush(self, cuts=()):
        data = self.outgoing.read()
        for begin, end in zip([0, *cuts], [*cuts, len(data)]):
            if begin < end:
                self.plain.sendall(data[begin:end])
                time.sleep(0.0002 if cuts else 0)

    def drive(self, call, cuts=()):
        while True:
            try:
                result = call()
                self.flush(cuts)
                return result
            except ssl.SSLWantReadError:
                self.flush(cuts)
                data = self.plain.recv(65536)
                if not data:
                    self.incoming.write_eof()
                self.incoming.write(data)

    def handshake(self, cuts=()):
        self.drive(self.tls.do_handshake, cuts)

    def read(self, count):
        data = b""
        while len(data) < count:
            data += self.drive(lambda: self.tls.read(count - len(data)))
        return data

    def close(self):
        self.plain.close()


def test_records_that_come_in_parts(server):
    client = Segments(server, server.certificates.context())
    # The first message of the handshake in parts, too.
    client.handshake(cuts=range(1, 400, 40))
    request = encode(("SET", "key", "value")) + encode(("GET", "key"))
    expected = b"+OK\r\n$5\r\nvalue\r\n"
    client.tls.write(request)
    length = client.outgoing.pending
    client.flush()
    assert client.read(len(expected)) == expected
    for cut in range(1, length):
        client.tls.write(request)
        client.flush([cut])
        assert client.read(len(expected)) == expected, cut
    client.close()


def test_a_request_that_comes_with_the_end_of_the_handshake(server):
    """In TLS 1.3 the client has the last word, and may go on at once."""
    for _ in range(5):
        client = Segments(server, server.certificates.context(version=ssl.TLSVersion.TLSv1_3))
        while True:
            try:
                client.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                client.flush()
                client.incoming.write(client.plain.recv(65536))
        client.tls.write(encode(("PING",)))
        client.flush()
        assert client.read(7) == b"+PONG\r\n"
        client.close()


def test_requests_that_are_split_among_records(server):
    random = seeded(2)
    connection = server.connect_tls()
    requests = [("SET", f"k{i}", random.randbytes(random.randrange(100))) for i in range(20)] + [
        ("PING",),
        ("GET", "k3"),
    ]
    data = b"".join(map(encode, requests))
    expected = b"".join(connection.pipeline(requests))
    for cut in range(1, len(data), 3):
        connection.socket.sendall(data[:cut])
        connection.socket.sendall(data[cut:])
        assert b"".join(connection.reply() for _ in requests) == expected, cut
    # Several records in one segment, and every byte one of its own.
    client = Segments(server, server.certificates.context())
    client.handshake()
    for byte in data:
        client.tls.write(bytes([byte]))
    client.flush()
    assert client.read(len(expected)) == expected
    client.close()


def test_garbage_behind_the_handshake_ends_the_connection(server):
    random = seeded(3)
    for _ in range(50):
        client = Segments(server, server.certificates.context())
        client.handshake()
        client.tls.write(encode(("PING",)))
        record = bytearray(client.outgoing.read())
        if random.random() < 0.7:
            record[random.randrange(len(record))] ^= 1 << random.randrange(8)
        else:
            record = bytearray(random.randbytes(random.randrange(1, 40_000)))
        client.plain.sendall(record)
        client.plain.settimeout(1)
        received = b""
        try:
            while data := client.plain.recv(65536):
                received += data
        except (ConnectionError, TimeoutError):
            # A length that became longer waits for the rest.
            pass
        client.incoming.write(received)
        with pytest.raises(ssl.SSLError):
            client.tls.read(7)
            client.tls.read(7)
        client.close()
    assert server.get_in()


def test_garbage_in_handshakes(server):
    random = seeded(4)
    for _ in range(100):
        client = Segments(server, server.certificates.context())
        with pytest.raises(ssl.SSLWantReadError):
            client.tls.do_handshake()
        hello = bytearray(client.outgoing.read())
        for _ in range(random.randrange(1, 4)):
            hello[random.randrange(len(hello))] = random.randrange(256)
        client.plain.sendall(hello if random.random() < 0.5 else hello[: random.randrange(len(hello))])
        client.close()
    assert server.get_in()


def test_the_end_is_seen_behind_a_request(server):
    """The client says that it ends, in the same segment as its last request: it has the answer, and the end."""
    admin = server.connect()
    client = Segments(server, server.certificates.context())
    client.handshake()
    client.tls.write(encode(("INCR", "n")))
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.unwrap()
    client.flush()
    assert client.read(4) == b":1\r\n"
    with pytest.raises(ssl.SSLZeroReturnError):
        client.drive(lambda: client.tls.read(1))
    wait_until(lambda: bulk(admin.call("CLIENT", "LIST")).count(b"\n") == 1)
    client.close()


def test_clients_are_killed_and_cut_at_their_limit(server):
    admin = server.connect()
    victim = server.connect_tls()
    identity = victim.call("CLIENT", "ID")[1:-2]
    assert admin.call("CLIENT", "KILL", "ID", identity) == b":1\r\n"
    with pytest.raises((ConnectionError, ssl.SSLError)):
        victim.call("PING")
    admin.call("CONFIG", "SET", "client-output-buffer-limit", "normal 1000000 0 0")
    admin.call("SET", "k", b"x" * 100_000)
    greedy = server.connect_tls(receive_buffer=4096)
    with contextlib.suppress(OSError):
        for _ in range(200):
            greedy.send("GET", "k")
    wait_until(lambda: bulk(admin.call("CLIENT", "LIST")).count(b"\n") == 1)
    greedy.close()


# MARK: Handshakes


def test_half_open_handshakes_are_bounded(certificates):
    server = TLSServer(certificates, "--maxclients", "400")
    silent = []
    try:
        admin = server.connect()
        before = memory(server)
        for i in range(600):
            silent.append(socket.create_connection(("127.0.0.1", server.tls_port), timeout=30))
            if i % 2:
                # Some begin, and say nothing more.
                silent[-1].sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100))
        # They count as clients, though no list shows them.
        assert admin.call("PING") == b"+PONG\r\n"
        wait_until(lambda: rejected(admin) > 0)
        assert bulk(admin.call("CLIENT", "LIST")).count(b"\n") == 1
        assert memory(server) - before < 30 << 20
        assert not server.get_in()
        # After ten seconds they are gone.
        wait_until(server.get_in, 30)
        assert b"took too long" in server.output()
    finally:
        for s in silent:
            s.close()
        server.stop()


def test_the_oldest_half_open_handshake_makes_room(certificates):
    server = TLSServer(certificates, "--maxclients", "5000")
    silent = []
    try:
        admin = server.connect()
        for _ in range(1100):
            silent.append(socket.create_connection(("127.0.0.1", server.tls_port), timeout=30))
        began = time.monotonic()
        assert server.get_in()
        assert time.monotonic() - began < 5
        assert rejected(admin) == 0
        silent[0].settimeout(10)
        assert silent[0].recv(1) == b""
    finally:
        for s in silent:
            s.close()
        server.stop()


def rejected(connection):
    text = bulk(connection.call("INFO", "stats"))
    return int(text.split(b"rejected_connections:")[1].split(b"\r\n")[0])


def memory(server):
    """Bytes resident."""
    for line in open(f"/proc/{server.pid}/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) << 10
    raise AssertionError("no VmRSS")


def test_a_flood_of_handshakes_leaves_others_alone(server):
    """Not a measurement, which Benchmarks makes: the loop is not held for as long as a few handshakes take."""
    stop = threading.Event()
    context = server.certificates.context(None)
    server.connect().call("CONFIG", "SET", "tls-auth-clients", "no")
    made = [0] * 4

    def flood(i):
        while not stop.is_set():
            server.connect_tls(context).close()
            made[i] += 1

    threads = [threading.Thread(target=flood, args=(i,)) for i in range(len(made))]
    for thread in threads:
        thread.start()
    try:
        connection = Connection(server.port)
        times = []
        end = time.monotonic() + 2
        while time.monotonic() < end:
            began = time.perf_counter()
            assert connection.call("PING") == b"+PONG\r\n"
            times.append(time.perf_counter() - began)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert sum(made) > 20
    assert sorted(times)[len(times) // 2] < 0.02
