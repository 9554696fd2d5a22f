"""What keys hold: the values of the writers' model, and reading them from a server."""

from resp import bulk, bulks, decoded, integer

GROUP = b"g"


class Value:
    """What a key holds, by its type, and when it expires (ms since 1970; -1: never).

    string: bytes. list: a list. set: a set. zset: a dict from members to floats. hash: a dict from fields to values, or
    to (value, expiry) where the field expires. stream: a tuple of entries (id to value), last id, last id delivered to
    GROUP, and pending entries (id to consumer and deliveries).
    """

    def __init__(self, kind, content, expires=-1):
        self.kind, self.content, self.expires = kind, content, expires

    def __eq__(self, other):
        return isinstance(other, Value) and vars(self) == vars(other)

    def __repr__(self):
        shown = repr(self.content)
        if len(shown) > 400:
            shown = f"{shown[:200]} … {shown[-200:]}"
        length = f" ({len(self.content)})" if self.kind != "string" else ""
        return f"{self.kind}{length} {shown}" + (f" until {self.expires}" if self.expires >= 0 else "")


def elements(reply):
    """An array of bulk strings; fast for those without line ends in them."""
    parts = reply.split(b"\r\n")
    if reply[:1] == b"*" and len(parts) == 2 * int(parts[0][1:]) + 2:
        return parts[2::2]
    return bulks(reply)


def pairs(flat):
    return dict(zip(flat[::2], flat[1::2]))


READING = {
    "string": lambda k: [("GET", k)],
    "list": lambda k: [("LRANGE", k, 0, -1)],
    "set": lambda k: [("SMEMBERS", k)],
    "hash": lambda k: [("HGETALL", k)],
    "zset": lambda k: [("ZRANGE", k, 0, -1, "WITHSCORES")],
    "stream": lambda k: [
        ("XRANGE", k, "-", "+"), ("XINFO", "STREAM", k), ("XINFO", "GROUPS", k), ("XPENDING", k, GROUP, "-", "+", 100000),
    ],
}  # fmt: skip


def content_of(kind, replies):
    if kind == "string":
        return bulk(replies[0])
    if kind == "stream":
        entries, info, groups, pending = map(decoded, replies)
        return (
            {entry: fields[1] for entry, fields in entries},
            pairs(info)[b"last-generated-id"],
            pairs(groups[0])[b"last-delivered-id"],
            {entry: (consumer, deliveries) for entry, consumer, _, deliveries in pending},
        )
    flat = elements(replies[0])
    if kind == "list":
        return flat
    if kind == "set":
        return set(flat)
    content = pairs(flat)
    return {member: float(score) for member, score in content.items()} if kind == "zset" else content


def read(connection, database):
    """All keys of a database with what they hold. Key and type are read one after the other: nothing may expire or be
    written in between but keys that expire soon, which may be missing."""
    connection.call("SELECT", database)
    keys = elements(connection.call("KEYS", "*"))
    replies = connection.pipeline([r for k in keys for r in (("TYPE", k), ("PEXPIRETIME", k))])
    found = {}
    requests, wanted = [], []
    for key, kind, expires in zip(keys, replies[::2], replies[1::2]):
        kind = kind[1:-2].decode()
        if kind == "none":
            continue
        wanted.append((key, kind, integer(expires), len(READING[kind](key))))
        requests += READING[kind](key)
    replies = iter(connection.pipeline(requests))
    for key, kind, expires, count in wanted:
        content = content_of(kind, [next(replies) for _ in range(count)])
        if content is not None:
            found[key] = Value(kind, content, expires)
    # Fields that expire.
    hashes = [k for k, value in found.items() if value.kind == "hash" and b":fields:" in k]
    replies = connection.pipeline(
        [("HPEXPIRETIME", k, "FIELDS", len(found[k].content), *found[k].content) for k in hashes]
    )
    for key, reply in zip(hashes, replies):
        content = found[key].content
        for field, expires in zip(list(content), decoded(reply)):
            if expires >= 0:
                content[field] = (content[field], expires)
    return found
