"""Where Swiftlet and redis-server 7.0.15 differ on purpose: the one list. docs/compatibility.md tells users."""


def error(text):
    return lambda reply: reply.startswith(b"-" + text)


def has(text):
    return lambda reply: text in reply


def anything(reply):
    return True


# Commands, the reply of ours, the oracle's, why.
KNOWN = [
    ({"LPOS"}, error(b"ERR value is out of range, value must between"), anything, "7.2 refuses this rank"),
    ({"OBJECT"}, has(b"embstr"), has(b"raw"), "SETBIT and BITFIELD that change no bit leave the string alone"),
    ({"OBJECT"}, has(b"int"), has(b"raw"), "the same"),
    ({"OBJECT"}, has(b"listpack"), has(b"skiplist"), "SORT makes a skiplist of a sorted set in redis-server"),
    ({"OBJECT"}, has(b"int"), has(b"embstr"), "INCRBYFLOAT leaves an integer as SET would: the log has it as SET"),
    (
        {"BLPOP", "BRPOP", "BLMOVE", "BRPOPLPUSH", "BLMPOP", "BZPOPMIN", "BZPOPMAX", "BZMPOP"},
        error(b"ERR timeout is out"),
        error(b"ERR timeout is neg"),
        "words of 7.2",
    ),
    (
        {"COMMAND"},
        has(b"*1\r\n"),
        error(b"ERR Invalid arguments"),
        "GETKEYS PFMERGE key: redis-server wants a source too",
    ),
    ({"XREAD", "XREADGROUP"}, error(b"ERR Unbalanced"), error(b"ERR Unbalanced"), "words of 7.2: names the command"),
]


def known(command, ours, oracles):
    """The reason why these replies may differ; None if they may not."""
    name = command[0].upper()
    for names, mine, theirs, reason in KNOWN:
        if name in names and mine(ours) and theirs(oracles):
            return reason
    return None


# Left out of the generator, as there is nothing to compare:
LEFT_OUT = {
    "HEXPIRE and its kin": "Redis 7.4; the oracle has none",
    "commands of Redis 8 and Valkey 9": "the oracle has none; test_newer_commands.py compares them with those two (make peers)",
    "ZRANK WITHSCORE": "Redis 7.2",
    "SET with a time in the past": "the key is there until it is looked at or found; only as SET, GET",
    "OBJECT IDLETIME, OBJECT FREQ, XPENDING's idle times": "depend on the time",
    "XADD *": "depends on the time",
    "HyperLogLogs that commands on strings damaged": "how soon it is noticed depends on how the bytes are walked",
    "OBJECT REFCOUNT's number": "which small integers are shared",
    "RESTORE with a time that is too large once now is added": "redis-server's sum overflows, and the key is gone",
    "numbers beyond a double's range": "redis-server leaves errno set, also behind a number, and refuses the weights of a SORT",
    "-0 as a score": "redis-server forgets the sign in a listpack and keeps it in a skiplist",
    "ZRANGEBYLEX over unequal scores": "redis-server's answer depends on the random levels of its skiplist",
    "sums of more than two scores that are not exact": "depend on the order of operands, which sorting may swap",
    "GEOSEARCHSTORE COUNT without ANY": "which of several at one distance is stored depends on how a part is sorted",
    "SORT ALPHA of texts with a zero byte": "strcoll sees less than the whole text, and depends on the locale",
    "XREADGROUP, XCLAIM, XAUTOCLAIM by an unknown consumer": "7.2 makes it earlier than 7.0; it is made before",
    "SRANDMEMBER, HRANDFIELD, ZRANDMEMBER with large negative counts": "endless answers",
}

# Commands that are not about data, or not the oracle's, or need a third server (test_migrate.py).
NO_DATA = set(
    """
    acl auth backup bgrewriteaof bgsave client command config debug echo hello info lastsave latency lolwut memory migrate monitor ping quit
    replicaof reset restore-asking role save select shutdown slaveof slowlog snapshot sql time wait waitaof pfselftest
    asking cluster failover function module psync publish psubscribe pubsub punsubscribe readonly readwrite replconf script spublish
    ssubscribe subscribe sunsubscribe sync unsubscribe
    hexpire hexpireat hexpiretime hpersist hpexpire hpexpireat hpexpiretime hpttl httl
    hgetex hsetex hgetdel delex delifeq msetex xdelex xackdel
    """.split()
)
