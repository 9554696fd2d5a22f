"""redis-migrate restore: files into running servers, whole, and what is said where that fails."""

import os
import re
import shutil
import signal
import socket
import subprocess
import threading

import pytest

from certificates import Certificates
from cluster import Cluster
from data import FAR, fill, mixed_requests
from migrate import migrate_binary
from oracle import free_port, start_redis
from peers import PEERS
from resp import bulk, bulks, integer
from seed import new_seed, seeded
from waiting import wait_until

LIBRARY = "#!lua name=lib\nredis.register_function('answer', function() return 42 end)"


def restore(source, port, *options, env=None, to=None):
    command = [migrate_binary(), "restore", str(source), "--to", to or f"127.0.0.1:{port}", *map(str, options)]
    environment = {**os.environ, **(env or {})}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)


def ok(run):
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def times(connection):
    keys = sorted(bulks(connection.call("KEYS", "*")))
    return dict(zip(keys, connection.pipeline([("PEXPIRETIME", key) for key in keys])))


class Source:
    """A snapshot and an RDB file of the same data, with what a server says of it."""

    def __init__(self, directory):
        self.snapshot, self.rdb = directory / "dump.sqlite", directory / "dump.rdb"
        server = start_redis()
        try:
            connection = server.connect()
            fill(connection.call)
            rng = seeded(new_seed())
            for _ in connection.pipeline(list(mixed_requests(rng, 300))):
                pass
            connection.call("XGROUP", "CREATE", "stream", "readers", "100-0")
            connection.call("XREADGROUP", "GROUP", "readers", "one", "COUNT", 7, "STREAMS", "stream", ">")
            connection.call("XREADGROUP", "GROUP", "readers", "two", "COUNT", 5, "STREAMS", "stream", ">")
            connection.call("PEXPIREAT", "stream", FAR + 1)
            connection.call("FUNCTION", "LOAD", LIBRARY)
            connection.call("SELECT", 3)
            connection.call("SET", "elsewhere", "3")
            connection.call("SELECT", 0)
            self.digest = connection.call("DEBUG", "DIGEST")
            self.times = times(connection)
            self.keys = integer(connection.call("DBSIZE")) + 1
            self.pending = connection.call("XPENDING", "stream", "readers", "-", "+", 100)
            assert connection.call("SAVE") == b"+OK\r\n"
            shutil.copy(os.path.join(server.directory, "dump.rdb"), self.rdb)
        finally:
            server.stop()
        run = subprocess.run(
            [migrate_binary(), "to-sqlite", self.rdb, self.snapshot], capture_output=True, text=True, timeout=60
        )
        ok(run)

    def assert_is_in(self, connection):
        assert connection.call("DEBUG", "DIGEST") == self.digest
        assert times(connection) == self.times
        assert connection.call("FCALL", "answer", 0) == b":42\r\n"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return Source(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def redis_server():
    server = start_redis()
    yield server
    server.stop()


@pytest.fixture
def redis(redis_server):
    connection = redis_server.connect()
    connection.call("FLUSHALL")
    connection.call("FUNCTION", "FLUSH")
    connection.port = redis_server.port
    yield connection
    connection.close()


@pytest.mark.parametrize("form", ["snapshot", "rdb"])
def test_into_redis_server(source, redis, form):
    out = ok(restore(getattr(source, form), redis.port))
    assert f"{source.keys} keys restored into Redis 7.0" in out and "libraries of functions: 1" in out
    source.assert_is_in(redis)
    # Times since deliveries go on; who has what, and how often, stays.
    now = redis.call("XPENDING", "stream", "readers", "-", "+", 100)
    assert [line for line in now.split(b"\r\n") if b"-" in line] == [
        line for line in source.pending.split(b"\r\n") if b"-" in line
    ]
    ok(restore(getattr(source, form), redis.port, "--replace"))
    source.assert_is_in(redis)


def test_into_swiftlet(source, swiftlet, swiftlet_server):
    swiftlet.call("FUNCTION", "FLUSH")
    assert "into Swiftlet" in ok(restore(source.rdb, swiftlet_server.port))
    source.assert_is_in(swiftlet)
    swiftlet.call("FUNCTION", "FLUSH")


def test_values_as_commands(source, redis):
    out = ok(restore(source.snapshot, redis.port, "--max-payload", "0.002"))
    assert "of these as commands in batches: " in out
    source.assert_is_in(redis)
    assert redis.call("XINFO", "GROUPS", "stream").count(b"readers") == 1
    assert integer(redis.call("XLEN", "stream")) == 298
    pending = redis.call("XPENDING", "stream", "readers")
    assert pending.startswith(b"*4\r\n:12\r\n")


def test_what_is_there_stays_unless_replaced(source, redis):
    redis.call("SET", "embstr", "mine")
    redis.call("RPUSH", "list large", "mine")
    run = restore(source.snapshot, redis.port, "--max-payload", "0.002")
    assert run.returncode == 2, run.stderr
    assert "not restored: 2 keys that are there (--replace replaces them)" in run.stderr
    assert '"embstr"' in run.stderr and '"list large"' in run.stderr
    assert bulk(redis.call("GET", "embstr")) == b"mine" and integer(redis.call("LLEN", "list large")) == 1
    ok(restore(source.snapshot, redis.port, "--replace", "--max-payload", "0.002"))
    source.assert_is_in(redis)


def test_all_into_one_database(source, redis):
    ok(restore(source.snapshot, redis.port, to=f"redis://127.0.0.1:{redis.port}/2"))
    assert redis.call("DBSIZE") == b":0\r\n"
    redis.call("SELECT", 2)
    assert integer(redis.call("DBSIZE")) == source.keys
    redis.call("SELECT", 0)


def test_passwords(source, tmp_path):
    server = start_redis("--requirepass", "sesame")
    try:
        run = restore(source.rdb, server.port)
        assert run.returncode == 1 and "NOAUTH" in run.stderr and "--password-env" in run.stderr
        run = restore(source.rdb, server.port, env={"REDISCLI_AUTH": "wrong"})
        assert run.returncode == 1 and "WRONGPASS" in run.stderr
        ok(restore(source.rdb, server.port, env={"REDISCLI_AUTH": "sesame"}))
        (tmp_path / "password").write_text("sesame\n")
        ok(restore(source.rdb, server.port, "--replace", "--password-file", tmp_path / "password"))
        ok(
            restore(
                source.rdb, server.port, "--replace", "--user", "default", "--password-env", "P", env={"P": "sesame"}
            )
        )
        ok(restore(source.rdb, 0, "--replace", to=f"redis://default:se%73ame@127.0.0.1:{server.port}"))
    finally:
        server.stop()


def test_tls_and_a_socket(source, tmp_path):
    certificates = Certificates(tmp_path)
    certificate, key = certificates.server
    port, path = free_port(), str(tmp_path / "socket")
    server = start_redis(
        "--tls-port", str(port), "--tls-cert-file", str(certificate), "--tls-key-file", str(key),
        "--tls-ca-cert-file", str(certificates.authority.file), "--unixsocket", path,
    )  # fmt: skip
    try:
        authority, client = ("--cacert", certificates.authority.file), certificates.client
        own = ("--cert", client[0], "--key", client[1])
        to = f"rediss://localhost:{port}"
        ok(restore(source.rdb, 0, *authority, *own, to=to))
        run = restore(source.rdb, 0, *own, to=to)
        assert run.returncode == 1 and "certificate is refused" in run.stderr
        ok(restore(source.rdb, 0, *own, "--insecure", "--replace", to=to))
        run = restore(source.rdb, 0, *authority, *own, "--sni", "other.example", to=to)
        assert run.returncode == 1 and "certificate is refused" in run.stderr, run.stderr
        run = restore(source.rdb, 0, *authority, to=to)
        assert run.returncode == 1
        ok(restore(source.rdb, 0, "--replace", to=path))
        source.assert_is_in(server.connect())
    finally:
        server.stop()


@pytest.fixture(scope="module")
def cluster():
    cluster = Cluster()
    yield cluster
    cluster.stop()


def single(source, tmp_path):
    """A snapshot of database 0 alone, as a cluster has no other."""
    server = start_redis()
    try:
        connection = server.connect()
        ok(restore(source.rdb, server.port, "--no-functions"))
        connection.call("SELECT", 3)
        connection.call("FLUSHDB")
        connection.call("SELECT", 0)
        connection.call("SAVE")
        shutil.copy(os.path.join(server.directory, "dump.rdb"), tmp_path / "single.rdb")
        keys = bulks(connection.call("KEYS", "*"))
        values = connection.pipeline([("DUMP", key) for key in keys])
        whens = connection.pipeline([("PEXPIRETIME", key) for key in keys])
        return tmp_path / "single.rdb", dict(zip(keys, zip(values, whens)))
    finally:
        server.stop()


def test_a_cluster(source, cluster, tmp_path):
    file, dumps = single(source, tmp_path)
    run = restore(source.rdb, cluster.nodes[1].port)
    assert run.returncode == 1 and "a cluster has database 0 alone" in run.stderr
    cluster.flush()
    out = ok(restore(file, cluster.nodes[1].port))
    assert "a cluster of 3 masters" in out and min(cluster.keys()) > 50
    assert sum(cluster.keys()) == len(dumps)
    ok(restore(file, cluster.nodes[2].port, "--replace", "--max-payload", "0.002"))
    assert {key: when for key, (_, when) in cluster.dumps().items()} == {key: when for key, (_, when) in dumps.items()}


def test_slots_that_move(source, cluster, tmp_path):
    """ASK while a slot is on its way, MOVED when it has gone: what the slots' map says is not the truth."""
    file, dumps = single(source, tmp_path)
    cluster.flush()
    source_node, target_node = cluster.nodes[0].connect(), cluster.nodes[2].connect()
    slots = range(2000)
    identifiers = cluster.identifier(0), cluster.identifier(2)
    for slot in slots:
        target_node.call("CLUSTER", "SETSLOT", slot, "IMPORTING", identifiers[0])
        source_node.call("CLUSTER", "SETSLOT", slot, "MIGRATING", identifiers[1])
    try:
        ok(restore(file, cluster.nodes[1].port))
        assert set(cluster.dumps()) == set(dumps)
        moved = {key for key in dumps if integer(source_node.call("CLUSTER", "KEYSLOT", key)) in slots}
        assert moved and moved <= set(bulks(target_node.call("KEYS", "*")))
    finally:
        for slot in slots:
            source_node.call("CLUSTER", "SETSLOT", slot, "STABLE")
            target_node.call("CLUSTER", "SETSLOT", slot, "STABLE")
        cluster.flush()


class Proxy:
    """Between redis-migrate and a server: cuts each connection after so many bytes, the last after ever more."""

    def __init__(self, port, cuts):
        self.target, self.cuts = port, list(cuts)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connections = 0
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            left = self.cuts.pop(0) if self.cuts else None
            threading.Thread(target=self._carry, args=(client, left), daemon=True).start()

    def _carry(self, client, left):
        server = socket.create_connection(("127.0.0.1", self.target))

        def back():
            try:
                while data := server.recv(65536):
                    client.sendall(data)
            except OSError:
                pass

        threading.Thread(target=back, daemon=True).start()
        try:
            while data := client.recv(65536 if left is None else min(65536, left)):
                server.sendall(data)
                if left is not None:
                    left -= len(data)
                    if left <= 0:
                        break
        except OSError:
            pass
        for end in (client, server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()

    def close(self):
        self.listener.close()


def test_connections_that_are_cut(source, redis):
    proxy = Proxy(redis.port, [3000, 50_000, 200_000])
    try:
        ok(restore(source.snapshot, proxy.port))
        assert proxy.connections >= 3
        source.assert_is_in(redis)
    finally:
        proxy.close()


def test_resuming_in_the_middle_of_a_list(source, redis, tmp_path):
    """A list that goes as commands cannot be sent twice: the restore stops, and the next one goes on with that key."""
    state = tmp_path / "state"
    options = ("--max-payload", "0.001", "--resume", state, "--no-functions")
    proxy = Proxy(redis.port, [])
    try:
        stops = 0
        # A key that goes as commands takes a connection of its own to look whether it is there.
        for cut in range(20_000, 400_000, 40_000):
            proxy.cuts = [cut]
            run = restore(source.snapshot, proxy.port, *options)
            if run.returncode == 0:
                break
            stops += 1
            assert run.returncode == 1 and f"--resume {state} goes on from here" in run.stderr, run.stderr
        proxy.cuts = []
        if state.exists():
            ok(restore(source.snapshot, proxy.port, *options))
        assert stops > 0 and not state.exists()
        assert redis.call("DEBUG", "DIGEST") == source.digest and times(redis) == source.times
    finally:
        proxy.close()


def test_a_restore_that_was_killed_goes_on(redis, tmp_path):
    server = start_redis()
    connection = server.connect()
    connection.call("DEBUG", "POPULATE", 100_000, "key", 100)
    connection.call("SAVE")
    digest = connection.call("DEBUG", "DIGEST")
    shutil.copy(os.path.join(server.directory, "dump.rdb"), tmp_path / "dump.rdb")
    server.stop()
    state = tmp_path / "state"
    command = [migrate_binary(), "restore", tmp_path / "dump.rdb", "--to", f"127.0.0.1:{redis.port}", "--resume", state]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    wait_until(lambda: integer(redis.call("DBSIZE")) > 5000)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = integer(redis.call("DBSIZE"))
    assert before < 100_000
    out = ok(restore(tmp_path / "dump.rdb", redis.port, "--resume", state))
    assert redis.call("DEBUG", "DIGEST") == digest and not state.exists()
    assert "restored before: " in out or "there already, perhaps from the restore" in out
    # Another file is not gone on with.
    state.write_text("redis-migrate restore 1\nother\n1 2 -1 0\n")
    run = restore(tmp_path / "dump.rdb", redis.port, "--resume", state)
    assert run.returncode == 1 and "is of another restore" in run.stderr


def test_a_target_without_memory(tmp_path, source):
    server = start_redis("--maxmemory-policy", "noeviction")
    try:
        connection = server.connect()
        used = re.search(rb"used_memory:(\d+)", connection.call("INFO", "memory"))
        connection.call("CONFIG", "SET", "maxmemory", int(used.group(1)) + 300_000)
        state = tmp_path / "state"
        run = restore(source.snapshot, server.port, "--resume", state)
        assert run.returncode == 1 and "OOM" in run.stderr and "raise maxmemory there" in run.stderr
        assert "at the key" in run.stderr
        connection.call("CONFIG", "SET", "maxmemory", 0)
        ok(restore(source.snapshot, server.port, "--resume", state))
        source.assert_is_in(connection)
    finally:
        server.stop()


def test_a_replica_and_nobody(source, redis):
    replica = start_redis("--replicaof", "127.0.0.1", str(redis.port))
    try:
        run = restore(source.snapshot, replica.port, "--no-functions", "--timeout", 5)
        assert run.returncode == 1 and ("READONLY" in run.stderr and "name its master" in run.stderr), run.stderr
    finally:
        replica.stop()
    run = restore(source.snapshot, free_port())
    assert run.returncode == 1 and "cannot connect" in run.stderr


class Grudging:
    """A server that is loading its data for a while, and takes everything then."""

    def __init__(self, refusals):
        self.refusals, self.restored = refusals, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        client, _ = self.listener.accept()
        stream = client.makefile("rb")
        while line := stream.readline():
            words = []
            for _ in range(int(line[1:])):
                size = int(stream.readline()[1:])
                words.append(stream.read(size + 2)[:-2])
            if words[0] == b"INFO":
                answer = b"$34\r\nredis_version:7.0.15\r\nrun_id:abc\r\n\r\n"
                text = b"redis_version:7.0.15\r\nrun_id:abc\r\n"
                answer = b"$%d\r\n%s\r\n" % (len(text), text)
            elif words[0] == b"RESTORE" and self.refusals > 0:
                self.refusals -= 1
                answer = b"-LOADING Redis is loading the dataset in memory\r\n"
            else:
                if words[0] == b"RESTORE":
                    self.restored.append(words[1])
                answer = b"+OK\r\n"
            client.sendall(answer)


def test_a_server_that_is_loading(source):
    server = Grudging(1000)
    out = ok(restore(source.snapshot, server.port, "--no-functions"))
    assert f"{source.keys} keys restored" in out
    assert len(server.restored) == len(set(server.restored)) == source.keys
    server = Grudging(1 << 60)
    run = restore(source.snapshot, server.port, "--no-functions", "--timeout", 1)
    assert run.returncode == 1 and "LOADING" in run.stderr and "--timeout" in run.stderr


def test_fields_that_expire(swiftlet, swiftlet_server, redis, tmp_path):
    swiftlet.call("HSET", "h", "a", 1, "b", 2, "c", 3)
    swiftlet.call("HPEXPIREAT", "h", FAR, "FIELDS", 1, "a")
    swiftlet.call("HPEXPIREAT", "h", FAR + 7, "FIELDS", 1, "b")
    swiftlet.call("SAVE")
    snapshot = os.path.join(swiftlet_server.directory, "dump.sqlite")
    digest = swiftlet.call("DEBUG", "DIGEST")
    shutil.copy(snapshot, tmp_path / "dump.sqlite")
    run = restore(tmp_path / "dump.sqlite", redis.port)
    assert run.returncode == 1 and "--drop-field-ttls" in run.stderr and '"h"' in run.stderr
    assert "fields' expiries were left out: 1" in ok(
        restore(tmp_path / "dump.sqlite", redis.port, "--drop-field-ttls", "--no-functions")
    )
    for options in ([], ["--max-payload", "0.00001"]):
        swiftlet.call("FLUSHALL")
        ok(restore(tmp_path / "dump.sqlite", swiftlet_server.port, "--no-functions", *options))
        found = swiftlet.call("HPEXPIRETIME", "h", "FIELDS", 3, "a", "b", "c")
        assert found == b"*3\r\n:%d\r\n:%d\r\n:-1\r\n" % (FAR, FAR + 7)
        assert swiftlet.call("DEBUG", "DIGEST") == digest


@pytest.mark.parametrize("name", PEERS)
def test_into_a_peer(source, name, start, tmp_path):
    """And back again, as the newest digest some numbers otherwise."""
    options = ["--no-functions"]
    server = start("--save", "", "--repl-diskless-sync-delay", "0", binary=PEERS[name])
    connection = server.connect()
    ok(restore(source.snapshot, server.port, *options))
    assert times(connection) == source.times or name == "REDIS6"
    for more in ([], ["--replace", "--max-payload", "0.002"]):
        ok(restore(source.rdb, server.port, *options, "--replace", *more))
        back = tmp_path / "back.rdb"
        command = [migrate_binary(), "from", f"127.0.0.1:{server.port}", back, "--force"]
        ok(subprocess.run(command, capture_output=True, text=True, timeout=60))
        run = subprocess.run([migrate_binary(), "verify", back], capture_output=True, text=True, timeout=60)
        assert source.digest[1:].strip().decode() in ok(run)
