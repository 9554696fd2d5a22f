"""Masters that lie: what they send is scripted, byte for byte. `SCENARIOS` says for each what a replica makes of it."""

import contextlib
import random
import socket
import struct
import threading
import time

from seed import chosen_seed

ID = b"0123456789abcdef" * 2 + b"01234567"
EOF_MARK = b"e" * 40
CHUNK = 1 << 16
PATIENCE = 8.0  # seconds for a replica to end a link

# What becomes of a link: the replica ends it, or goes on.
ENDS, GOES_ON = "ends", "goes on"


class Closed(Exception):
    """The replica ended the link."""


class Talk:
    """A connection to a replica, from the master's side."""

    def __init__(self, accepted):
        self.socket = accepted
        self.socket.settimeout(PATIENCE)
        self.buffer = b""
        self.rng = random.Random(1)

    def line(self):
        while b"\r\n" not in self.buffer:
            data = self.socket.recv(CHUNK)
            if not data:
                raise Closed
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def command(self):
        """The next one's words."""
        head = self.line()
        if not head.startswith(b"*"):
            return head.split()
        words = []
        for _ in range(int(head[1:])):
            self.line()
            words.append(self.line())
        return words

    def send(self, data):
        self.socket.sendall(data)

    def until_sync(self):
        """Answers the handshake up to PSYNC or SYNC, whose words it returns."""
        while True:
            words = self.command()
            name = words[0].upper()
            if name in (b"PSYNC", b"SYNC"):
                return words
            self.send(b"+PONG\r\n" if name == b"PING" else b"+OK\r\n")

    def full(self, head, payload=b""):
        self.until_sync()
        self.send(b"+FULLRESYNC " + ID + b" 1000\r\n" + head + payload)

    def forever(self, data, most=256 << 20):
        """The same again and again, until the replica has enough, or for some seconds."""
        deadline = time.monotonic() + PATIENCE
        sent = 0
        while time.monotonic() < deadline and sent < most:
            self.send(data)
            sent += len(data)

    def until_closed(self):
        """Reads what the replica has to say until it ends the link."""
        while self.socket.recv(CHUNK):
            pass
        raise Closed


class Liar:
    """Plays a script on each connection. `ended`: how the last one came to its end."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.script = None
        self.played = 0
        self.ended = None
        self.open = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                accepted, _ = self.listener.accept()
            except OSError:
                return
            self.open.append(accepted)
            threading.Thread(target=self.play, args=(accepted, self.script), daemon=True).start()

    def play(self, accepted, script):
        ended = "script"
        try:
            script(Talk(accepted))
        except (Closed, ConnectionError, BrokenPipeError):
            ended = ENDS
        except (OSError, ValueError):
            ended = GOES_ON
        finally:
            accepted.close()
            if script is self.script:
                self.ended, self.played = ended, self.played + 1

    def begin(self, script):
        self.script, self.played, self.ended = script, 0, None

    def hang_up(self):
        """Ends what is still going on; who connects anew is told nothing."""
        self.script = never
        for each in self.open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self.open = []

    def stop(self):
        self.hang_up()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


# What RDB files are made of.


def size(n):
    """A length of 64 bits."""
    return b"\x81" + struct.pack(">Q", n)


def short(data):
    return bytes([len(data)]) + data


def rdb(*parts, version=10, checksum=b"\0" * 8):
    return b"REDIS%04d" % version + b"".join(parts) + b"\xff" + checksum


def key(kind, name=b"bomb"):
    return bytes([kind]) + short(name)


HUGE = [1 << 31, 1 << 40, 1 << 62, (1 << 64) - 1]
LZF = b"\xc3"
BOMBS = {
    "string": lambda n: key(0) + size(n),
    "key": lambda n: b"\0" + size(n),
    "list": lambda n: key(1) + size(n),
    "set": lambda n: key(2) + size(n),
    "hash": lambda n: key(4) + size(n),
    "zset": lambda n: key(5) + size(n),
    "listpack": lambda n: key(16) + size(n),
    "quicklist": lambda n: key(18) + size(n),
    "quicklist node": lambda n: key(18) + b"\1\1" + size(n),
    "stream": lambda n: key(19) + size(n),
    "stream group": lambda n: key(19) + b"\0\0\1\1\0\0\0\0\0" + size(n),
    "LZF, long inside": lambda n: key(0) + LZF + b"\4" + size(n) + b"\0abc",
    "LZF, long outside": lambda n: key(0) + LZF + size(n) + b"\4" + b"\0abc",
    "sizes of a table": lambda n: b"\xfe\0\xfb" + size(n) + size(n),
    "number of a database": lambda n: b"\xfe" + size(n),
    "aux": lambda n: b"\xfa" + size(n),
    "function": lambda n: b"\xf5" + size(n),
    "module": lambda n: b"\xf7" + size(n) + size(n),
}
DAMAGE = {
    "no magic": b"MYSQL0010\xff" + b"\0" * 8,
    "version 9999": rdb(version=9999),
    "version text": b"REDISabcd\xff" + b"\0" * 8,
    "wrong checksum": rdb(key(0) + short(b"v"), checksum=b"\1" * 8),
    "unknown type": rdb(key(99) + b"\1x"),
    "end at once": b"",
    "zeros": b"\0" * 5000,
    "text": b"hello, I am your master\r\n" * 50,
    "empty list": rdb(key(1) + b"\0"),
    "a broken listpack": rdb(key(16) + short(b"\xff\xff\xff\xff\xff\xff\xff")),
    "a broken intset": rdb(key(11) + short(b"\x02\0\0\0\xff\xff\xff\xff")),
    "a key twice": rdb(key(0) + b"\1v", key(0) + b"\1w"),
    "a score that is none": rdb(key(5) + b"\1" + short(b"m") + struct.pack("<d", float("nan"))),
}


def sends(data):
    """In answer to the first PING."""

    def script(talk):
        talk.command()
        talk.send(data)
        talk.until_closed()

    return script


def answers_psync(data):
    def script(talk):
        talk.until_sync()
        talk.send(data)
        # A replica may try SYNC next, on the same link.
        while True:
            talk.command()
            talk.send(data)

    return script


def begins(head):
    """After +FULLRESYNC."""

    def script(talk):
        talk.full(head)
        talk.until_closed()

    return script


def with_length(payload, length=None):
    return begins(b"$%d\r\n" % (len(payload) if length is None else length) + payload)


def with_mark(payload):
    return begins(b"$EOF:" + EOF_MARK + b"\r\n" + payload + EOF_MARK)


def cut_off(payload, length=None):
    """Closes behind the payload."""

    def script(talk):
        talk.full(b"$%d\r\n" % (len(payload) if length is None else length), payload)
        talk.socket.shutdown(socket.SHUT_WR)
        talk.until_closed()

    return script


def endless(before, data, most=256 << 20):
    def script(talk):
        if before is None:
            talk.command()
        else:
            talk.full(before)
        talk.forever(data, most)
        talk.until_closed()

    return script


def streams(*parts):
    """A good RDB without keys, and then this."""

    def script(talk):
        payload = rdb()
        talk.full(b"$%d\r\n" % len(payload), payload)
        for part in parts:
            talk.send(part)
        talk.until_closed()

    return script


def endless_stream(data, most=256 << 20):
    def script(talk):
        payload = rdb()
        talk.full(b"$%d\r\n" % len(payload), payload)
        talk.forever(data, most)
        talk.until_closed()

    return script


def never(talk):
    talk.until_closed()


def request(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def full(id=ID, offset=b"1"):
    return b"+FULLRESYNC " + id + b" " + offset + b"\r\n"


HANDSHAKES = {
    "closes at once": (lambda talk: talk.socket.close(), None),
    "never answers": (never, ENDS),
    "an endless line": (endless(None, b"x" * CHUNK), ENDS),
    "NOAUTH": (sends(b"-NOAUTH Authentication required.\r\n"), GOES_ON),
    "an error": (sends(b"-ERR what do you want\r\n"), ENDS),
    "another type": (sends(b"*2\r\n:1\r\n$3\r\nfoo\r\n"), ENDS),
    "a huge bulk": (sends(b"$9223372036854775807\r\n"), ENDS),
    "noise": (sends(random.Random(1).randbytes(4000).replace(b"\n", b"") + b"\r\n"), ENDS),
}
PSYNCS = {
    "an error": b"-ERR unknown command\r\n",
    "LOADING": b"-LOADING Redis is loading the dataset in memory\r\n",
    "NOMASTERLINK": b"-NOMASTERLINK Can't SYNC while not connected with my master\r\n",
    "MASTERDOWN": b"-MASTERDOWN Link with MASTER is down\r\n",
    "no id": b"+FULLRESYNC\r\n",
    "no offset": b"+FULLRESYNC " + ID + b"\r\n",
    "a short id": full(b"abc"),
    "a long id": full(ID * 3),
    "an id of 64 KB": full(b"a" * CHUNK),
    "a negative offset": full(offset=b"-5"),
    "a huge offset": full(offset=b"9" * 30),
    "an offset that is text": full(offset=b"ten"),
    "CONTINUE that nobody asked for": b"+CONTINUE\r\n",
    "CONTINUE with a bad id": b"+CONTINUE xyz\r\n",
    "something else": b"+MAYBE\r\n",
    "a number": b":1000\r\n",
    "an empty line": b"\r\n\r\n\r\n",
}
HEADS = {
    "no length": b"$\r\n",
    "a length that is text": b"$abc\r\n",
    "length -1": b"$-1\r\n",
    "length -9223372036854775808": b"$-9223372036854775808\r\n",
    "a length beyond 64 bits": b"$99999999999999999999999\r\n",
    "a short mark": b"$EOF:abc\r\n",
    "a long mark": b"$EOF:" + b"x" * 5000 + b"\r\n",
    "an error": b"-ERR no memory\r\n",
    "another type": b"*1\r\n",
}
STREAMS = {
    "noise": (random.Random(2).randbytes(5000).replace(b"*", b"-") + b"\r\n", None),
    "a negative count": (b"*-5\r\n", None),
    "a huge count": (b"*1000000000\r\n", ENDS),
    "a huge bulk": (b"*1\r\n$9999999999\r\n", ENDS),
    "no bulk": (b"*1\r\n:5\r\n", ENDS),
    "unknown commands": (request(b"NOSUCH", b"a") * 3, None),
    "wrong arity": (request(b"SET", b"a"), None),
    "a type error": (request(b"SET", b"a", b"1") + request(b"LPUSH", b"a", b"1"), None),
    "MULTI without EXEC": (request(b"MULTI") + request(b"SET", b"half", b"1"), None),
    "MULTI in MULTI": (request(b"MULTI") * 2 + request(b"EXEC"), None),
    "EXEC alone": (request(b"EXEC"), None),
    "a database that is not there": (request(b"SELECT", b"99999") + request(b"SET", b"a", b"1"), None),
    "inline": (b"SET inline 1\r\n", None),
    "GETACK": (request(b"REPLCONF", b"GETACK", b"*"), None),
    "reads": (request(b"GET", b"a") + request(b"KEYS", b"*") + request(b"INFO"), None),
    "waits": (request(b"BLPOP", b"a", b"0") + request(b"WAIT", b"1", b"0"), None),
    "commands for masters": (request(b"PSYNC", b"?", b"-1") + request(b"SYNC") + request(b"FAILOVER"), None),
    "a command of 2 MB": (request(b"SET", b"a", b"x" * (2 << 20)), None),
    "numbers at their limit": (request(b"SET", b"n", b"9223372036854775807") + request(b"INCR", b"n"), None),
}


def scenarios():
    """Name: (script, what becomes of the link or None for either, whether the data are replaced)."""
    found = {f"handshake: {name}": (*pair, False) for name, pair in HANDSHAKES.items()}
    for name, answer in PSYNCS.items():
        found[f"PSYNC: {name}"] = answers_psync(answer), None, False
    for name, head in HEADS.items():
        found[f"head: {name}"] = begins(head), ENDS, False
    for name, payload in DAMAGE.items():
        found[f"RDB with a length: {name}"] = with_length(payload), None if payload == b"" else ENDS, False
        found[f"RDB with a mark: {name}"] = with_mark(payload), ENDS, False
    # As long as its types are known.
    for name in [name for name in found if name.endswith("version 9999")]:
        found[name] = found[name][0], None, True
    # One length each, another one with another seed.
    for number, (name, bomb) in enumerate(BOMBS.items(), chosen_seed()):
        n = HUGE[number % len(HUGE)]
        found[f"bomb: {name} of {n}"] = with_mark(rdb(bomb(n) + b"x" * 200)), ENDS, False
    found["RDB that is endless"] = endless(b"$EOF:" + EOF_MARK + b"\r\nREDIS0010", b"\0\1k\1v" * 10_000), None, False
    found["RDB with garbage behind its end"] = with_mark(rdb() + b"x" * 5000), ENDS, False
    found["RDB shorter than its length"] = cut_off(rdb(key(0) + b"\1v"), 1 << 40), ENDS, False
    found["RDB longer than its length"] = with_length(rdb(key(0) + b"\1v"), 12), ENDS, False
    found["lines forever"] = endless(b"", b"\n" * 1000, 4 << 20), None, False
    for name, (data, end) in STREAMS.items():
        found[f"stream: {name}"] = streams(data), end, True
    found["stream: an endless line"] = endless_stream(b"x" * CHUNK), ENDS, True
    found["stream: an endless transaction"] = (
        endless_stream(request(b"MULTI") + request(b"SET", b"a", b"x" * CHUNK)),
        None,
        True,
    )
    found["stream: endless PINGs"] = endless_stream(request(b"PING") * 1000, 16 << 20), None, True
    return found


SCENARIOS = scenarios()
