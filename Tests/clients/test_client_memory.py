"""What CLIENT LIST and INFO say about connections' memory and the loop."""

import re
import time

from oracle import start_swiftlet
from resp import connect_slow_reader, encode
from waiting import wait_until


def fields(line):
    return dict(word.split("=", 1) for word in line.split() if "=" in word)


def client(connection, name):
    text = connection.call("CLIENT", "LIST").decode()
    return next(fields(line) for line in text.splitlines() if f"name={name} " in line)


def info(connection, section="all"):
    text = connection.call("INFO", section).decode()
    return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)


def test_own_line_has_what_redis_has(both):
    both("CLIENT", "SETNAME", "me")
    lines = [client(c, "me") for c in (both.swiftlet, both.oracle)]
    missing = set(lines[1]) - set(lines[0])
    assert not missing
    for name in ("qbuf", "argv-mem", "multi-mem", "obl", "oll", "omem", "multi", "events", "cmd"):
        assert lines[0][name] == lines[1][name], name
    assert int(lines[0]["tot-mem"]) > 0
    # Requests that came in one piece are in the buffer until they are done.
    request = [("CLIENT", "LIST"), ("PING",), ("PING",)]
    seen = []
    for c in (both.swiftlet, both.oracle):
        text = c.pipeline(request)[0].decode()
        seen.append(next(fields(line)["qbuf"] for line in text.splitlines() if "name=me " in line))
    assert seen[0] == seen[1]


def test_a_reader_that_does_not_read_is_seen():
    server = start_swiftlet()
    try:
        connection = server.connect()
        connection.call("SET", "big", b"x" * (10 << 20))
        idle = int(info(connection)["mem_clients_normal"])
        with connect_slow_reader(server) as s:
            s.sendall(encode(["CLIENT", "SETNAME", "slow"]))
            assert s.recv(100) == b"+OK\r\n"
            s.sendall(encode(["GET", "big"]) * 5)
            wait_until(lambda: int(client(connection, "slow")["omem"]) > 45 << 20)
            line = client(connection, "slow")
            assert int(line["oll"]) >= 1 and line["obl"] == "16384" and line["events"] == "rw"
            assert int(line["tot-mem"]) >= int(line["omem"])
            now = info(connection)
            assert int(now["client_recent_max_output_buffer"]) > 45 << 20
            assert int(now["mem_clients_normal"]) - idle > 45 << 20
        wait_until(lambda: int(info(connection)["mem_clients_normal"]) < idle + (1 << 20))
        # It was so a moment ago; 8 s later it is forgotten.
        wait_until(lambda: int(info(connection)["client_recent_max_output_buffer"]) < 1 << 20)
    finally:
        server.stop()


def test_requests_that_are_not_complete_or_wait_are_seen(swiftlet, swiftlet_server):
    part = swiftlet_server.connect()
    part.call("CLIENT", "SETNAME", "part")
    part.socket.sendall(b"*2\r\n$4\r\nECHO\r\n$2000000\r\n" + b"x" * 1_000_000)
    wait_until(lambda: int(client(swiftlet, "part")["qbuf"]) >= 1_000_000)
    assert int(info(swiftlet)["client_recent_max_input_buffer"]) >= 1_000_000
    waiting = swiftlet_server.connect()
    waiting.call("CLIENT", "SETNAME", "waiting")
    waiting.send("BRPOPLPUSH", "a" * 5000, "b", 0)
    wait_until(lambda: client(swiftlet, "waiting")["argv-mem"] == str(len("BRPOPLPUSH") + 5000 + 1 + 1))
    queueing = swiftlet_server.connect()
    queueing.call("CLIENT", "SETNAME", "queueing")
    queueing.call("MULTI")
    queueing.call("SET", "k", "x" * 100_000)
    line = client(swiftlet, "queueing")
    assert line["multi"] == "1" and int(line["multi-mem"]) > 100_000 and int(line["tot-mem"]) > 100_000
    queueing.call("DISCARD")
    assert client(swiftlet, "queueing")["multi-mem"] == "0"
    # A huge request is not kept.
    huge = swiftlet_server.connect()
    huge.call("CLIENT", "SETNAME", "huge")
    huge.call("ECHO", b"x" * 5_000_000)
    assert int(client(swiftlet, "huge")["tot-mem"]) < 200_000
    for connection in (part, waiting, queueing, huge):
        connection.close()


def test_the_loop_is_measured(swiftlet):
    before = info(swiftlet)
    for _ in range(50):
        swiftlet.call("PING")
    swiftlet.call("DEBUG", "SLEEP", "0.05")
    after = info(swiftlet)
    assert int(after["eventloop_cycles"]) - int(before["eventloop_cycles"]) >= 50
    commands = int(after["eventloop_duration_cmd_sum"]) - int(before["eventloop_duration_cmd_sum"])
    turns = int(after["eventloop_duration_sum"]) - int(before["eventloop_duration_sum"])
    assert turns >= commands >= 50_000
    # The mean of 16 samples, a tenth of a second each.
    time.sleep(0.3)
    now = info(swiftlet)
    assert int(now["instantaneous_eventloop_cycles_per_sec"]) > 0
    assert int(now["instantaneous_eventloop_duration_usec"]) >= 0


def test_what_is_freed_later_is_counted(swiftlet):
    swiftlet.call("CONFIG", "RESETSTAT")
    assert info(swiftlet)["lazyfreed_objects"] == "0"
    swiftlet.call("RPUSH", "l", *["x" * 100] * 100_000)
    swiftlet.call("UNLINK", "l")
    swiftlet.call("DEBUG", "POPULATE", 1000)
    swiftlet.call("FLUSHALL")
    wait_until(lambda: info(swiftlet)["lazyfreed_objects"] == "1001")
    assert info(swiftlet)["lazyfree_pending_objects"] == "0"
    assert re.fullmatch(r"\d+", info(swiftlet)["mem_clients_slaves"])
