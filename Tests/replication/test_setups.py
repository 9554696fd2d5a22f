"""docs/high-availability.md works as it stands: `make setups`. Needs nutcracker and haproxy, which that target installs."""

import contextlib
import pathlib
import re
import shutil
import subprocess

import pytest

from agreement import agree, wait_offsets
from dataset import fill_mixed
from migrate import migrate_binary
from nodes import SWIFTLET, Nodes, binary_of
from oracle import free_port
from resp import Connection, bulk, bulks, integer
from seed import seeded
from setups import block, low_port, names
from waiting import wait_until

PASSWORD = "a-long-password"
TESTED = {"master.conf", "replica.conf", "sentinel.conf", "haproxy.cfg", "nutcracker.yml", "cluster.sh"}
COUNT = 600


def test_each_configuration_is_tested():
    """sentinel.conf is what sentinel.py runs."""
    assert set(names()) == TESTED
    assert "setups" in (pathlib.Path(__file__).parent / "sentinel.py").read_text()


@pytest.fixture
def nodes():
    started = Nodes()
    yield started
    started.stop()


@pytest.fixture
def run(tmp_path):
    """Starts a program that ends with the test."""
    started = []

    def start(*words):
        with open(tmp_path / f"log {len(started)}", "wb") as log:
            started.append(subprocess.Popen(list(map(str, words)), stdout=log, stderr=log, cwd=tmp_path))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def program(name):
    return shutil.which(name) or shutil.which(name, path="/usr/sbin") or pytest.skip(f"{name} is not installed")


def connected(port):
    """A connection, once somebody listens."""

    def attempt():
        with contextlib.suppress(OSError):
            return Connection(port)

    return wait_until(attempt)


def answers(port, *words):
    """The reply, on a connection of its own; None where there is none."""
    with contextlib.suppress(OSError), contextlib.closing(Connection(port)) as connection:
        return connection.call(*words)


class Configured:
    """A server with a file of the page."""

    def __init__(self, run, directory, name, ports):
        directory.mkdir()
        self.port = ports[6380 if name == "replica.conf" else 6379]
        file = directory / name
        file.write_text(block(name, ports) + f"dir {directory}\nbind 127.0.0.1\n")
        self.process = run(binary_of(SWIFTLET), file)
        self.connection = connected(self.port)
        wait_until(lambda: self.connection.call("AUTH", PASSWORD) == b"+OK\r\n")


def test_master_and_replica(run, tmp_path):
    ports = {6379: free_port()}
    master = Configured(run, tmp_path / "master", "master.conf", ports).connection
    assert master.call("SET", "a", 1).startswith(b"-NOREPLICAS")
    replica = Configured(run, tmp_path / "replica", "replica.conf", ports | {6380: free_port()}).connection
    wait_until(lambda: master.call("SET", "a", 1) == b"+OK\r\n")
    assert integer(master.call("WAIT", 1, 5000)) == 1
    assert bulk(replica.call("GET", "a")) == b"1"
    assert replica.call("SET", "a", 2).startswith(b"-READONLY")


def group(nodes):
    """A master and two replicas."""
    there = [nodes(SWIFTLET, appendonly="yes") for _ in range(3)]
    for node in there[1:]:
        node.follow(there[0].port)
        node.wait_linked()
    return there


def test_haproxy(nodes, run, tmp_path):
    one, two, three = group(nodes)
    ports = {6379: one.port, 6380: two.port, 6381: three.port, 6400: free_port(), 6401: free_port()}
    file = tmp_path / "haproxy.cfg"
    file.write_text(block("haproxy.cfg", ports))
    run(program("haproxy"), "-db", "-f", file)
    writes, reads = ports[6400], ports[6401]
    wait_until(lambda: answers(writes, "SET", "a", 1) == b"+OK\r\n")

    def served():
        """Who answers."""
        said = [answers(reads, "INFO", "server") or b"" for _ in range(10)]
        return {int(port) for reply in said for port in re.findall(rb"tcp_port:(\d+)", reply)}

    # Until the first checks are done, all are taken to be up.
    wait_until(lambda: served() == {two.port, three.port})
    # A failover, here by hand.
    one.kill()
    two.lead()
    three.follow(two.port)
    wait_until(lambda: answers(writes, "SET", "b", 2) == b"+OK\r\n")
    assert bulk(two.ok("GET", "b")) == b"2"
    three.kill()
    wait_until(lambda: answers(reads, "GET", "b") == b"$1\r\n2\r\n")


def test_twemproxy(nodes, run, tmp_path):
    there = [nodes(SWIFTLET) for _ in range(3)]
    ports = {22121: free_port()} | {port: node.port for port, node in zip((6379, 6380, 6381), there)}
    file = tmp_path / "nutcracker.yml"
    file.write_text(block("nutcracker.yml", ports))
    assert subprocess.run([program("nutcracker"), "-t", "-c", file], capture_output=True).returncode == 0
    run(program("nutcracker"), "-c", file, "-s", free_port())
    connection = connected(ports[22121])
    for n in range(COUNT):
        assert connection.call("SET", f"key:{n}", n) == b"+OK\r\n"
    assert bulks(connection.call("MGET", *(f"key:{n}" for n in range(COUNT)))) == [b"%d" % n for n in range(COUNT)]
    sizes = [integer(node.ok("DBSIZE")) for node in there]
    assert sum(sizes) == COUNT and min(sizes) > COUNT / 10, sizes
    assert integer(connection.call("LPUSH", "{tag}a", 1, 2)) == 2
    assert connection.call("RPOPLPUSH", "{tag}a", "{tag}b") == b"$1\r\n1\r\n"
    assert integer(connection.call("DEL", *(f"key:{n}" for n in range(COUNT)))) == COUNT


# The way out.


@pytest.fixture
def cluster(tmp_path):
    """Ports for two nodes, which end with the test."""
    rng = seeded()
    ports = [low_port(rng), low_port(rng)]
    yield ports
    for port in ports:
        with contextlib.suppress(OSError, ValueError):
            Connection(port).call("SHUTDOWN", "NOSAVE")


def shell(text, directory):
    """With redis-server where the page has valkey-server."""
    text = "set -eu\n" + text.replace("valkey-", "redis-")
    done = subprocess.run(["bash", "-c", text], cwd=directory, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def one_database(node):
    fill_mixed(node, 1, COUNT, databases=(0,))


def check_cluster(ports, node):
    """Every key is on one of the two, with its time."""
    sizes = [integer(answers(port, "DBSIZE")) for port in ports]
    assert sum(sizes) == integer(node.ok("DBSIZE")) and min(sizes) > COUNT / 10, sizes
    for key in bulks(node.ok("KEYS", "*")):
        type, when = node.ok("TYPE", key), integer(node.ok("PEXPIRETIME", key))
        (port,) = (port for port in ports if answers(port, "TYPE", key) == type)
        # A key moves with the time that it has left.
        assert abs(integer(answers(port, "PEXPIRETIME", key)) - when) < 5000, key


def test_cluster_by_replication(nodes, tmp_path, cluster):
    node = nodes(SWIFTLET)
    one_database(node)
    shell(block("cluster.sh", {6379: node.port, 7001: cluster[0], 7002: cluster[1]}), tmp_path)
    check_cluster(cluster, node)


def test_cluster_by_a_file(nodes, tmp_path, cluster):
    node = nodes(SWIFTLET, save="3600 1")
    one_database(node)
    node.ok("SAVE")
    text = block("cluster.sh", {7001: cluster[0], 7002: cluster[1]})
    begin, _, again = re.split("# It (?:follows|is).*\n", text)
    shell(begin, tmp_path)
    words = [migrate_binary(), "to-rdb", node.directory / "dump.sqlite", tmp_path / "node1" / "dump.rdb"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shell(again, tmp_path)
    check_cluster(cluster, node)


def test_replica_of_redis_is_a_way_in(nodes):
    """And redis-server's data come in the same way."""
    source, swiftlet = nodes("redis"), nodes(SWIFTLET, appendonly="yes")
    fill_mixed(source, 2, COUNT)
    swiftlet.follow(source.port)
    swiftlet.wait_linked()
    wait_offsets(source, swiftlet)
    agree(source, swiftlet)
    swiftlet.lead()
    assert swiftlet.ok("SET", "its own", 1) == b"+OK\r\n"
