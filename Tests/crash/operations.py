"""What a writer sends: each request with its replies, and what it makes of the writer's keys."""

import time

from values import GROUP, Value

FAR = 4_000_000_000_000  # ms since 1970: expiries are after it, but for those of `brief`
BRIEF_KEYS = 3

OK, QUEUED = b"+OK\r\n", b"+QUEUED\r\n"


class Request:
    """Commands that are sent at once, with their replies (None: any) and what they make of the keys (None: no key)."""

    def __init__(self, commands, replies, changes, shared=False):
        self.commands, self.replies, self.changes, self.shared = commands, replies, changes, shared


def number(n):
    return b":%d\r\n" % n


def text(value):
    return b"$%d\r\n%s\r\n" % (len(value), value)


def array(*items):
    return b"*%d\r\n" % len(items) + b"".join(items)


class Requests:
    """The requests of one writer. Its state: `name`, `keys` (key to Value), `sequence`, `rng`, and `length`, about which
    its collections have."""

    def key(self, kind, count):
        key = b"%s:%s:%d" % (self.name, kind, self.rng.randrange(count))
        return key, self.keys.get(key)

    @property
    def value(self):
        """A value that was never written before: short mostly, a number sometimes, bytes of any kind, long at times."""
        kind = self.rng.random()
        if kind < 0.3:
            return b"%d" % self.sequence
        if kind < 0.4:
            return b"\0\r\n\xff%d" % self.sequence
        return b"v%d" % self.sequence + b"." * (0 if kind < 0.95 else self.rng.randrange(100, 20000))

    # Strings.

    def incr(self):
        key, old = self.key(b"counter", 4)
        n = int(old.content) + 1 if old else 1
        return Request([("INCR", key)], [number(n)], {key: Value("string", b"%d" % n)})

    def incr_shared(self):
        """A counter that many writers raise."""
        return Request([("INCR", self.shared)], [None], {}, shared=True)

    def set(self):
        key, _ = self.key(b"string", 20)
        value = self.value
        if self.rng.random() < 0.2:
            expires = FAR + self.sequence
            return Request([("SET", key, value, "PXAT", expires)], [OK], {key: Value("string", value, expires)})
        return Request([("SET", key, value)], [OK], {key: Value("string", value)})

    def brief(self):
        """A key that expires now and then, and is set again at any time."""
        key, _ = self.key(b"brief", BRIEF_KEYS)
        value = self.value
        if self.rng.random() < 0.7:
            expires = int(time.time() * 1000) + self.rng.randrange(1, 60)
            return Request([("SET", key, value, "PXAT", expires)], [OK], {key: Value("string", value, expires)})
        return Request([("SET", key, value)], [OK], {key: Value("string", value)})

    def delete(self):
        key, old = self.key(b"string", 20)
        return Request([("DEL", key)], [number(1 if old else 0)], {key: None})

    def rename(self):
        (source, value), (target, _) = self.key(b"string", 20), self.key(b"string", 20)
        if not value or source == target:
            return self.set()
        return Request([("RENAME", source, target)], [OK], {source: None, target: value})

    def expire(self):
        key, old = self.key(b"string", 20)
        if not old:
            return self.set()
        if old.expires >= 0:
            return Request([("PERSIST", key)], [number(1)], {key: Value("string", old.content)})
        expires = FAR + self.sequence
        return Request([("PEXPIREAT", key, expires)], [number(1)], {key: Value("string", old.content, expires)})

    def append(self):
        key, old = self.key(b"append", 2)
        content = old.content if old else b""
        if len(content) > 3000:
            return Request([("SET", key, "")], [OK], {key: Value("string", b"")})
        content += b"%d," % self.sequence
        command = ("APPEND", key, b"%d," % self.sequence)
        return Request([command], [number(len(content))], {key: Value("string", content)})

    # Collections.

    def renew(self):
        """A whole collection anew, so that all of its elements are to be saved by the next checkpoint."""
        n = [b"%d.%d" % (self.sequence, i) for i in range(self.length)]
        kind = self.rng.choice(["list", "set", "hash", "zset"])
        if kind == "list":
            key, old = self.key(b"list", 3)
            content, command = n, ("RPUSH", key, *n)
        elif kind == "set":
            key, old = self.key(b"set", 2)
            content, command = set(n), ("SADD", key, *n)
        elif kind == "hash":
            key, old = self.key(b"counts", 2)
            content = {b"f%d" % i: b"%d" % self.rng.randrange(100) for i in range(self.length)}
            command = ("HSET", key, *(x for pair in content.items() for x in pair))
        else:
            key, old = self.key(b"scores", 2)
            content = {b"m%d" % i: self.rng.randrange(100) + 0.5 for i in range(self.length)}
            command = ("ZADD", key, *(x for m, score in content.items() for x in (b"%.1f" % score, m)))
        return Request(
            [("MULTI",), ("DEL", key), command, ("EXEC",)],
            [OK, QUEUED, QUEUED, array(number(int(bool(old))), number(self.length))],
            {key: Value(kind, content)},
        )

    def push(self):
        key, old = self.key(b"list", 3)
        content = list(old.content) if old else []
        if len(content) >= self.length and self.rng.random() < 0.1:
            half = self.length // 2
            return Request([("LTRIM", key, 0, half - 1)], [OK], {key: Value("list", content[:half])})
        if len(content) >= self.length:
            last = content.pop()
            return Request([("RPOP", key)], [text(last)], {key: Value("list", content)})
        content.insert(0, b"%d" % self.sequence)
        return Request([("LPUSH", key, self.sequence)], [number(len(content))], {key: Value("list", content)})

    def edit(self):
        """Changes in a list that are not pushes at its head."""
        key, old = self.key(b"list", 3)
        if not old:
            return self.push()
        content, fresh = list(old.content), b"%d" % self.sequence
        at = self.rng.randrange(len(content))
        kind = self.rng.choice(["LSET", "LINSERT", "LREM", "RPUSH", "LPOP"])
        if kind == "LSET":
            content[at] = fresh
            return Request([("LSET", key, at, fresh)], [OK], {key: Value("list", content)})
        if kind == "LINSERT":
            command = ("LINSERT", key, "BEFORE", content[at], fresh)
            content.insert(at, fresh)
            return Request([command], [number(len(content))], {key: Value("list", content)})
        if kind == "LREM":
            removed = content.pop(at)
            return Request([("LREM", key, 1, removed)], [number(1)], {key: Value("list", content)})
        if kind == "RPUSH":
            content.append(fresh)
            return Request([("RPUSH", key, fresh)], [number(len(content))], {key: Value("list", content)})
        first = content.pop(0)
        return Request([("LPOP", key)], [text(first)], {key: Value("list", content)})

    def count(self):
        """Writes to elements that must not be replayed twice."""
        if self.rng.random() < 0.5:
            key, old = self.key(b"counts", 2)
            content = dict(old.content) if old else {}
            field = b"f%d" % self.rng.randrange(self.length)
            n = int(content.get(field, b"0")) + 1
            content[field] = b"%d" % n
            return Request([("HINCRBY", key, field, 1)], [number(n)], {key: Value("hash", content)})
        key, old = self.key(b"scores", 2)
        content = dict(old.content) if old else {}
        member = b"m%d" % self.rng.randrange(self.length)
        # 1.5 at first, then one more each time: exact in binary, and printed with one digit behind the point.
        step = b"1" if member in content else b"1.5"
        content[member] = content.get(member, 0) + float(step)
        reply = text(b"%.1f" % content[member])
        return Request([("ZINCRBY", key, step, member)], [reply], {key: Value("zset", content)})

    def hset(self):
        key, old = self.key(b"hash", 2)
        field, value = b"f%d" % self.rng.randrange(self.length), self.value
        content = dict(old.content) if old else {}
        fresh = field not in content
        if not fresh and self.rng.random() < 0.3:
            del content[field]
            return Request([("HDEL", key, field)], [number(1)], {key: Value("hash", content) if content else None})
        content[field] = value
        return Request([("HSET", key, field, value)], [number(int(fresh))], {key: Value("hash", content)})

    def expire_field(self):
        """Fields that expire in the far future, or not any more."""
        key, old = self.key(b"fields", 2)
        content = dict(old.content) if old else {}
        field = b"f%d" % self.rng.randrange(40)
        held = content.get(field)
        if held is None or self.rng.random() < 0.3:
            # The field's expiry goes.
            content[field] = b"%d" % self.sequence
            reply = number(int(held is None))
            return Request([("HSET", key, field, self.sequence)], [reply], {key: Value("hash", content)})
        if isinstance(held, tuple) and self.rng.random() < 0.3:
            content[field] = held[0]
            return Request([("HPERSIST", key, "FIELDS", 1, field)], [array(number(1))], {key: Value("hash", content)})
        expires = FAR + self.sequence
        content[field] = (held[0] if isinstance(held, tuple) else held, expires)
        command = ("HPEXPIREAT", key, expires, "FIELDS", 1, field)
        return Request([command], [array(number(1))], {key: Value("hash", content)})

    def zadd(self):
        key, old = self.key(b"zset", 2)
        member = b"m%d" % self.rng.randrange(self.length)
        content = dict(old.content) if old else {}
        fresh = member not in content
        if not fresh and self.rng.random() < 0.3:
            del content[member]
            return Request([("ZREM", key, member)], [number(1)], {key: Value("zset", content) if content else None})
        content[member] = self.sequence + 0.5
        command = ("ZADD", key, b"%d.5" % self.sequence, member)
        return Request([command], [number(int(fresh))], {key: Value("zset", content)})

    def sadd(self):
        key, old = self.key(b"set", 2)
        content = set(old.content) if old else set()
        if len(content) >= self.length:
            member = self.rng.choice(sorted(content))
            return Request([("SREM", key, member)], [number(1)], {key: Value("set", content - {member})})
        # One of the two holds numbers only, until it is made anew.
        member = b"%d" % self.sequence if key.endswith(b"0") else b"m%d" % self.sequence
        return Request([("SADD", key, member)], [number(1)], {key: Value("set", content | {member})})

    def stream(self):
        """A stream with a group and two consumers."""
        key, old = self.key(b"stream", 2)
        if not old:
            return Request(
                [("XGROUP", "CREATE", key, GROUP, 0, "MKSTREAM")], [OK],
                {key: Value("stream", ({}, b"0-0", b"0-0", {}))},
            )  # fmt: skip
        entries, last, delivered, pending = old.content
        entries, pending = dict(entries), dict(pending)

        def made(command, reply):
            return Request([command], [reply], {key: Value("stream", (entries, last, delivered, pending))})

        def order(entry):
            return int(entry.split(b"-")[0])

        kind = self.rng.choice(["XADD", "XADD", "XADD", "XREADGROUP", "XREADGROUP", "XACK", "XDEL", "XTRIM", "XCLAIM"])
        if kind == "XREADGROUP":
            fresh = [e for e in entries if order(e) > order(delivered)][:3]
            if fresh:
                delivered = fresh[-1]
                pending.update((e, (b"a", 1)) for e in fresh)
                shown = array(*(array(text(e), array(text(b"f"), text(entries[e]))) for e in fresh))
                command = ("XREADGROUP", "GROUP", GROUP, "a", "COUNT", 3, "STREAMS", key, ">")
                return made(command, array(array(text(key), shown)))
        if kind == "XACK" and pending:
            entry = self.rng.choice(list(pending))
            del pending[entry]
            return made(("XACK", key, GROUP, entry), number(1))
        if kind == "XDEL" and entries:
            entry = self.rng.choice(list(entries))
            del entries[entry]
            return made(("XDEL", key, entry), number(1))
        if kind == "XTRIM" and len(entries) > self.length:
            gone = list(entries)[: len(entries) - self.length // 2]
            for entry in gone:
                del entries[entry]
            return made(("XTRIM", key, "MAXLEN", "=", self.length // 2), number(len(gone)))
        if kind == "XCLAIM" and (held := [e for e in pending if e in entries]):
            entry = self.rng.choice(held)
            pending[entry] = (b"b", pending[entry][1])
            return made(("XCLAIM", key, GROUP, "b", 0, entry, "JUSTID"), array(text(entry)))
        last = b"%d-1" % self.sequence
        entries[last] = b"%d" % self.sequence
        return made(("XADD", key, last, "f", self.sequence), text(last))

    def change_type(self):
        """Keys that are now this, now that, now gone."""
        key, old = self.key(b"any", 4)
        n = b"%d" % self.sequence
        if old and self.rng.random() < 0.6:
            return Request([("DEL", key)], [number(1)], {key: None})
        if old:
            return Request([("SET", key, n)], [OK], {key: Value("string", n)})
        command, kind, content = self.rng.choice(
            [
                (("RPUSH", key, n, "x"), "list", [n, b"x"]),
                (("SADD", key, n, "x"), "set", {n, b"x"}),
                (("HSET", key, "f", n), "hash", {b"f": n}),
                (("ZADD", key, n, "m"), "zset", {b"m": float(n)}),
            ]
        )
        reply = number(1 if kind in ("hash", "zset") else 2)
        return Request([command], [reply], {key: Value(kind, content)})

    def transaction(self):
        """Two keys that are always equal."""
        pair = self.rng.randrange(3)
        a, b = b"%s:pair:%d:a" % (self.name, pair), b"%s:pair:%d:b" % (self.name, pair)
        value = self.value
        return Request(
            [("MULTI",), ("SET", a, value), ("SET", b, value), ("EXEC",)],
            [OK, QUEUED, QUEUED, array(OK, OK)],
            {a: Value("string", value), b: Value("string", value)},
        )


KINDS = [
    Requests.incr, Requests.incr, Requests.incr_shared, Requests.set, Requests.set, Requests.brief, Requests.delete,
    Requests.rename, Requests.expire, Requests.append, Requests.renew, Requests.push, Requests.push, Requests.edit,
    Requests.edit, Requests.count, Requests.count, Requests.hset, Requests.expire_field, Requests.zadd, Requests.sadd,
    Requests.stream, Requests.stream, Requests.change_type, Requests.transaction, Requests.transaction,
]  # fmt: skip
