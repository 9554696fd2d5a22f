"""What happens to keys is told by every command as redis-server tells it: the same events in the same order."""

import time

import pytest

from events import Witness
from every_command import LINES, MORE_LINES, SETUP
from generator import Generator, Plain
from resp import bulks
from seed import new_seed

KEYS = (
    SETUP.strip().splitlines()
    + """
SET never v
SET later v EX 1000
SET one 1
SET float 1.5
RPUSH l1 a
HSET h1 f v
SADD e1 1
ZADD z1 1 a
XGROUP CREATE empty g $ MKSTREAM
XGROUP CREATECONSUMER x g d
SET other v
MOVE other 1
""".strip().splitlines()
)

# Requests that are hits, misses, leave nothing, are refused: those of a line follow one another.
CASES = """
append never more ; append nothing v ; append nothing , ; append l v
bitfield never set u8 0 1 ; bitfield never set u8 0 1 incrby u8 8 0 ; bitfield nothing get u8 0 ; bitfield nothing set u8 0 0 ; bitfield l set u8 0 1
bitfield never overflow fail incrby u2 0 9 ; bitfield missing overflow fail incrby u2 0 9
bitop and to never one ; bitop or to nothing none ; bitop not to nothing ; bitop and never nothing ; bitop and to l never
blmove l m left right 1 ; blmove l1 m left right 1 ; blmove s m left left 1
blmpop 1 2 nothing l left count 2 ; blmpop 1 1 l1 right ; blmpop 1 1 s left
blpop nothing l 1 ; blpop l1 1 ; blpop s 1
brpop nothing l 1 ; brpop l1 1 ; brpop s 1
brpoplpush l m 1 ; brpoplpush l1 new 1 ; brpoplpush s m 1
bzmpop 1 2 nothing z min ; bzmpop 1 1 z1 max count 2 ; bzmpop 1 1 s min
bzpopmax nothing z 1 ; bzpopmax z1 1 ; bzpopmax s 1
bzpopmin nothing z 1 ; bzpopmin z1 1 ; bzpopmin s 1
copy s copied ; copy nothing copied ; copy s t ; copy s t replace ; copy l s replace ; copy s s db 1 ; copy s never db 99 ; copy s s
decr one ; decr nothing ; decr l ; decr t
decrby one 2 ; decrby nothing 2 ; decrby one x
del s ; del nothing ; del t l nothing t m
expire s 100 ; expire nothing 100 ; expire s 100 nx ; expire s -1 ; expire later 5 gt ; expire later 0
expireat s 99999999999 ; expireat nothing 1 ; expireat s 1
flushall ; get s
flushdb ; get s
geoadd p 1 1 c ; geoadd p 1 1 c ; geoadd p xx 2 2 d ; geoadd nothing xx 2 2 d ; geoadd made 2 2 d ; geoadd p ch 3 3 c 4 4 d ; geoadd s 1 1 c ; geoadd p x y z
georadius p 15 37 200 km ; georadius p 15 37 200 km store to ; georadius p 100 37 1 km store to ; georadius nothing 15 37 200 km store s ; georadius nothing 15 37 200 km
georadiusbymember p a 200 km ; georadiusbymember p a 200 km storedist to ; georadiusbymember nothing a 200 km store to ; georadiusbymember p none 2 km store to
geosearchstore to p frommember a byradius 500 km asc ; geosearchstore to p fromlonlat 99 1 byradius 5 km ; geosearchstore to nothing frommember a byradius 5 km ; geosearchstore s p frommember a byradius 500 km ; geosearchstore to s frommember a byradius 500 km
getdel s ; getdel nothing ; getdel l
getex s ; getex s ex 100 ; getex s persist ; getex t persist ; getex nothing ex 100 ; getex s pxat 1 ; getex l
getset s 2 ; getset nothing 2 ; getset l 2
hdel h f ; hdel h none ; hdel h g f ; hdel nothing f ; hdel h1 f ; hdel s f
hincrby h f 1 ; hincrby h new 1 ; hincrby nothing f 1 ; hincrby s f 1 ; hincrby h f x
hincrbyfloat h f 1.5 ; hincrbyfloat h new 1 ; hincrbyfloat none f 1 ; hincrbyfloat s f 1 ; hincrbyfloat h f x
hmset h f 1 n 2 ; hmset nothing f 1 ; hmset s f 1 ; hmset h f
hset h f 1 ; hset h f 1 n 2 ; hset nothing f 1 ; hset s f 1 ; hset h f
hsetnx h f 1 ; hsetnx h n 1 ; hsetnx nothing f 1 ; hsetnx s f 1
incr one ; incr nothing ; incr l ; incr t
incrby one 2 ; incrby nothing 2 ; incrby one 9223372036854775807
incrbyfloat one 2.5 ; incrbyfloat nothing 2 ; incrbyfloat l 1 ; incrbyfloat one x
linsert l before 3 x ; linsert l after none x ; linsert nothing before a b ; linsert s before a b
lmove l m left right ; lmove l1 new right left ; lmove nothing l left right ; lmove l l left right ; lmove m s left right ; lmove s l left right
lmove m m left right ; lmove m m left left
lmpop 2 nothing l left count 2 ; lmpop 1 l1 right ; lmpop 1 nothing left ; lmpop 1 s left
lpop l ; lpop l 0 ; lpop l 2 ; lpop nothing ; lpop l1 ; lpop s
lpush l a b ; lpush nothing a ; lpush s a
lpushx l a b ; lpushx nothing a ; lpushx s a
lrem l 0 3 ; lrem l 0 none ; lrem nothing 0 a ; lrem l1 0 a ; lrem s 0 a
lset l 0 x ; lset l 99 x ; lset nothing 0 x ; lset s 0 x
ltrim l 0 1 ; ltrim l 0 -1 ; ltrim l 5 9 ; ltrim nothing 0 1 ; ltrim s 0 1
move s 1 ; move nothing 1 ; move t 99 ; move t 0 ; set other v ; move other 1
mset s 1 new 2 s 3 ; mset l 1 ; mset s
msetnx new 1 newer 2 ; msetnx s 1 newest 2 ; msetnx s
persist later ; persist s ; persist nothing
pexpire s 100000 ; pexpire nothing 1 ; pexpire s -1
pexpireat s 99999999999999 ; pexpireat nothing 1 ; pexpireat s 1
pfadd q 9 ; pfadd q 9 ; pfadd made ; pfadd made 1 ; pfadd l 1 ; pfadd t 1
pfcount q ; pfcount q ; pfcount nothing ; pfcount q nothing none ; pfcount l
pfdebug encoding q ; pfdebug todense q ; pfdebug encoding nothing ; pfdebug getreg r
pfmerge q r ; pfmerge made q r none ; pfmerge l q ; pfmerge alone
psetex s 100000 v ; psetex nothing 100000 v ; psetex l 100000 v ; psetex s 0 v
rename s new ; rename t l ; rename nothing s ; rename l l
renamenx s new ; renamenx t l ; renamenx nothing s ; renamenx l l
rpop l ; rpop l 0 ; rpop l 2 ; rpop nothing ; rpop l1 ; rpop s
rpoplpush l m ; rpoplpush l1 new ; rpoplpush nothing l ; rpoplpush l l ; rpoplpush s l
rpush l a b ; rpush nothing a ; rpush s a
rpushx l a b ; rpushx nothing a ; rpushx s a
sadd e 9 10 ; sadd e 9 ; sadd nothing 1 ; sadd s 1
sdiffstore to e d ; sdiffstore to nothing d ; sdiffstore to none e ; sdiffstore s e d ; sdiffstore to e l ; sdiffstore e e
set s 1 ; set new 1 ; set s 1 nx ; set never v get ; set nothing v get ; set l 1 get ; set l 1 ; set s 1 ex 100 ; set s 1 keepttl ; set none 1 xx ; set s 1 ex 0
setbit s 0 1 ; setbit s 0 1 ; setbit nothing 7 0 ; setbit l 0 1 ; setbit s 0 2
setex s 100 v ; setex nothing 100 v ; setex l 100 v ; setex s 0 v
setnx new 1 ; setnx s 1 ; setnx l 1
setrange t 1 x ; setrange nothing 1 x ; setrange t 0 ; setrange l 0 x ; setrange t -1 x
sinterstore to e d ; sinterstore to e nothing ; sinterstore to none nothing ; sinterstore s e d ; sinterstore to e l
smove e d 1 ; smove e d none ; smove e d 2 ; smove e1 new 1 ; smove nothing d 1 ; smove d d x ; smove d s x ; smove s d 1
sort l ; sort l store to ; sort nothing store to ; sort nothing ; sort l by nosort store s ; sort l by w:* get v:* get # ; sort t ; sort t store to
sort l by w:* get h->f get none->f store to ; sort e alpha desc limit 0 1 store e
spop e ; spop e 0 ; spop e 1 ; spop e 9 ; spop nothing ; spop nothing 2 ; spop e1 ; spop s ; spop s 2
srem e 1 none ; srem e none ; srem e 2 3 ; srem nothing 1 ; srem e1 1 ; srem s 1
sunionstore to e d ; sunionstore to nothing none ; sunionstore d e d ; sunionstore s e nothing ; sunionstore to e l
swapdb 0 1 ; swapdb 0 0 ; swapdb 0 99
unlink s ; unlink nothing ; unlink t l nothing t m
xack x g 1-1 ; xack x g 9-9 ; xack nothing g 1-1 ; xack s g 1-1
xadd x 9-9 f v ; xadd x 9-9 f v ; xadd x maxlen 1 10-1 f v ; xadd x maxlen 9 11-1 f v ; xadd made 1-1 f v ; xadd none nomkstream 1-1 f v ; xadd s 1-1 f v
xadd x minid 3 12-1 f v ; xadd x maxlen 0 13-1 f v
xautoclaim x g d 0 0 ; xautoclaim nothing g d 0 0 ; xautoclaim x none d 0 0 ; xautoclaim x g d 0 9-9 ; xautoclaim s g d 0 0
xclaim x g d 0 1-1 ; xclaim x g d 0 9-9 ; xclaim nothing g d 0 1-1 ; xclaim x none d 0 1-1 ; xclaim s g d 0 1-1
xdel x 1-1 ; xdel x 1-1 9-9 ; xdel x 2-1 ; xdel nothing 1-1 ; xdel s 1-1
xgroup create x n 0 ; xgroup create x n 0 ; xgroup create nothing n 0 ; xgroup create made n $ mkstream ; xgroup create s n 0
xgroup createconsumer x g n ; xgroup createconsumer x g n ; xgroup createconsumer nothing g n ; xgroup createconsumer x none n
xgroup delconsumer x g c ; xgroup delconsumer x g none ; xgroup delconsumer nothing g c
xgroup destroy x g ; xgroup destroy x g ; xgroup destroy nothing g
xgroup setid x g 0 ; xgroup setid x none 0 ; xgroup setid nothing g 0
xreadgroup group g c streams x > ; xreadgroup group g c streams x > ; xreadgroup group g c streams x 0 ; xreadgroup group g c streams nothing > ; xreadgroup group g c streams s >
xreadgroup group g c noack streams x > ; xreadgroup group g c streams x nothing > >
xsetid x 9-9 ; xsetid x 1-1 ; xsetid nothing 1-1 ; xsetid s 1-1
xtrim x maxlen 1 ; xtrim x maxlen 1 ; xtrim x minid 9-9 ; xtrim x maxlen ~ 0 ; xtrim nothing maxlen 1 ; xtrim s maxlen 1
zadd z 1 a ; zadd z 5 a 1 new ; zadd z nx 9 a ; zadd z xx 9 none ; zadd nothing xx 1 a ; zadd made 1 a ; zadd z incr 1 a ; zadd z incr 0 a ; zadd z gt 0 a ; zadd s 1 a ; zadd z x a
zadd z incr inf a ; zadd z incr -inf a
zdiffstore to 2 z y ; zdiffstore to 1 nothing ; zdiffstore to 2 none y ; zdiffstore s 1 z ; zdiffstore to 1 l
zincrby z 1 a ; zincrby z 1 new ; zincrby nothing 1 a ; zincrby z 0 a ; zincrby s 1 a
zinterstore to 2 z y ; zinterstore to 2 z nothing ; zinterstore to 2 none z ; zinterstore s 2 z y ; zinterstore to 2 z e ; zinterstore to 2 z l
zmpop 2 nothing z min ; zmpop 1 z1 max count 2 ; zmpop 1 nothing min ; zmpop 1 s min
zpopmax z ; zpopmax z 0 ; zpopmax z 2 ; zpopmax nothing ; zpopmax z1 ; zpopmax s
zpopmin z ; zpopmin z 0 ; zpopmin z 2 ; zpopmin nothing ; zpopmin z1 ; zpopmin s
zrangestore to z 0 -1 ; zrangestore to z 5 9 ; zrangestore to nothing 0 -1 ; zrangestore s z 0 -1 ; zrangestore to s 0 -1 ; zrangestore z z 0 0 rev
zrem z a none ; zrem z none ; zrem z b c ; zrem nothing a ; zrem z1 a ; zrem s a
zremrangebylex z [a [a ; zremrangebylex z [x [y ; zremrangebylex z - + ; zremrangebylex nothing - + ; zremrangebylex s - +
zremrangebyrank z 0 0 ; zremrangebyrank z 8 9 ; zremrangebyrank z 0 -1 ; zremrangebyrank nothing 0 0 ; zremrangebyrank s 0 0
zremrangebyscore z 1 1 ; zremrangebyscore z 8 9 ; zremrangebyscore z 0 9 ; zremrangebyscore nothing 0 1 ; zremrangebyscore s 0 1
zunionstore to 2 z y ; zunionstore to 1 nothing ; zunionstore y 2 z y ; zunionstore s 2 z e ; zunionstore to 2 z l
"""
CASE_LINES = [[command.split() for command in line.split(";")] for line in CASES.strip().splitlines()]
# Commands that never cause any event of the keys that they write.
# Those of consumer groups tell only of consumers that they make, which 7.0 does later than 7.2.
SILENT = {"flushall", "flushdb", "swapdb", "xack", "pfdebug", "xclaim", "xautoclaim", "xreadgroup"}
# Their cases are below, or elsewhere: those that redis-server 7.0 has not are in test_newer_commands.py.
ELSEWHERE = {
    "restore", "restore-asking", "migrate", *"hexpire hpexpire hexpireat hpexpireat hpersist".split(),
    *"hgetex hsetex hgetdel delex delifeq msetex xdelex xackdel".split(),
    *("function " + word for word in ("load", "delete", "flush", "restore")), "function",
}  # fmt: skip

# Commands that only read: a key that is not there is an event too.
READS = """
get nothing
mget s nothing l none
strlen nothing
getrange nothing 0 1
substr nothing 0 1
getbit nothing 0
bitcount nothing
bitpos nothing 1
bitfield_ro nothing get u8 0
lcs nothing none
exists s nothing none
touch s nothing
type nothing
ttl nothing
pttl nothing
expiretime nothing
dump nothing
object encoding nothing
object refcount nothing
memory usage nothing
sort_ro nothing
sort_ro l by w:*
llen nothing
lrange nothing 0 1
lindex nothing 0
lpos nothing a
hget nothing f
hmget nothing f g
hgetall nothing
hkeys nothing
hvals nothing
hlen nothing
hstrlen nothing f
hexists nothing f
hrandfield nothing
hscan nothing 0
scard nothing
sismember nothing 1
smismember nothing 1 2
smembers nothing
srandmember nothing
sscan nothing 0
sinter e nothing
sunion nothing none
sdiff nothing e
sintercard 2 e nothing
zcard nothing
zcount nothing 0 1
zlexcount nothing - +
zscore nothing a
zmscore nothing a b
zrank nothing a
zrange nothing 0 1
zrandmember nothing
zscan nothing 0
zunion 2 z nothing
zinter 2 nothing none
zdiff 1 nothing
zintercard 2 z nothing
geodist nothing a b
geohash nothing a
geopos nothing a
geosearch nothing frommember a byradius 1 m
georadius_ro nothing 1 1 1 m
georadiusbymember_ro nothing a 1 m
xlen nothing
xrange nothing - +
xrevrange nothing + -
xread streams nothing 0
xread streams x nothing 9-9 $
xinfo stream nothing
xinfo groups nothing
xinfo consumers nothing g
xpending nothing g
watch nothing
debug object nothing
"""

# Told as 7.2 tells it, where a consumer is made before it is known whether there is an entry for it.
NEWER = {
    "xclaim x g n 0 9-9": [("xgroup-createconsumer", 0, b"x")],
    "xautoclaim x g n 0 9-9": [("xgroup-createconsumer", 0, b"x")],
    "XCLAIM x g d 0 9-9 FORCE": [("xgroup-createconsumer", 0, b"x")],
}


@pytest.fixture(scope="module")
def witness(swiftlet_server, oracle_server):
    witness = Witness(swiftlet_server, oracle_server)
    yield witness
    witness.close()


@pytest.mark.parametrize("commands", CASE_LINES, ids=lambda commands: " ".join(commands[0]))
def test_a_command_tells_what_redis_tells(witness, commands):
    witness.prepare(KEYS)
    for command in commands:
        witness.events(*command)


def test_commands_that_only_read_tell_of_misses(witness):
    witness.prepare(KEYS)
    for line in READS.strip().splitlines():
        witness.events(*line.split())
    witness.call("UNWATCH")


@pytest.mark.parametrize("command", LINES + MORE_LINES, ids=" ".join)
def test_a_command_on_a_key_of_each_type(witness, command):
    witness.prepare(SETUP.strip().splitlines())
    newer = NEWER.get(" ".join(command))
    if newer is None:
        witness.events(*command)
    else:
        witness.call(*command)
        assert witness.take()[0] == newer


def test_a_consumer_is_made_as_in_newer_versions(witness):
    for command, events in NEWER.items():
        witness.prepare(SETUP.strip().splitlines())
        witness.call(*command.split())
        assert witness.take()[0] == events


def written(connection):
    """The names of all commands that write, subcommands with their container's."""
    found = set()
    for name in bulks(connection.call("COMMAND", "LIST")):
        if b"+write\r\n" in connection.call("COMMAND", "INFO", name):
            found.add(name.decode().replace("|", " "))
    return found


def test_every_command_that_writes_has_cases(swiftlet):
    tried = {" ".join(command[:2]) for line in CASE_LINES for command in line}
    tried |= {command[0] for line in CASE_LINES for command in line}
    names = {name for name in written(swiftlet) if name != "xgroup"}
    assert len(names) > 100
    assert names - tried - ELSEWHERE == set()


def test_every_command_that_writes_tells_something(witness):
    """But for those that Redis lets be silent."""
    told = set()
    for line in CASE_LINES:
        witness.prepare(KEYS)
        for command in line:
            witness.call(*command)
            ours, _ = witness.take()
            if any(name not in ("keymiss", "expired", "new") for name, _, _ in ours):
                told |= {command[0], " ".join(command[:2])}
    silent = written(witness.connections[0]) - told - ELSEWHERE - {"xgroup"}
    assert silent == SILENT


def test_restored_keys(witness):
    witness.prepare(KEYS)
    payloads = {}
    for key in ("s", "l", "x"):
        reply = witness.connections[1].call("DUMP", key)
        payloads[key] = reply[reply.index(b"\r\n") + 2 : -2]
    witness.take()
    for name in ("RESTORE", "RESTORE-ASKING"):
        for key, payload in payloads.items():
            witness.events(name, "to" + key + name, 0, payload)
            witness.events(name, "to" + key + name, 0, payload)
            witness.events(name, "to" + key + name, 1000000, payload, "REPLACE")
            witness.events(name, "to" + key + name, 1, payload, "REPLACE", "ABSTTL")
            witness.events(name, "nothing", 1, payload, "ABSTTL")
            witness.events(name, "nothing", 0, "damaged")


def test_moved_to_another_server(witness, start):
    """MIGRATE deletes what the other server has taken."""
    target = start()
    target.connect().close()
    witness.prepare(KEYS)
    for keys in (["s"], ["", "KEYS", "t", "nothing", "l"]):
        key, more = keys[0], keys[1:]
        witness.events("MIGRATE", "127.0.0.1", target.port, key, 0, 5000, *more[:0], "REPLACE", *more)
    witness.events("MIGRATE", "127.0.0.1", target.port, "m", 0, 5000, "COPY", "REPLACE")
    witness.events("MIGRATE", "127.0.0.1", target.port, "nothing", 0, 5000)


def test_a_transaction_tells_in_the_order_of_its_commands(witness):
    witness.prepare(KEYS)
    commands = [
        "SET s v",
        "LPUSH l1 b",
        "LPOP l1 2",
        "GET nothing",
        "INCR l",
        "SELECT 1",
        "SET other w",
        "DEL other",
        "RENAME nothing t",
    ]
    for end in ("DISCARD", "EXEC"):
        assert witness.events("MULTI") == []
        for command in commands:
            assert witness.events(*command.split()) == []
        told = witness.events(end)
    assert [name for name, _, _ in told] == ["set", "lpush", "lpop", "del", "keymiss", "set", "del"]


WAITING = [
    ("BLPOP a 0", ["RPUSH a 1"]),
    ("BLPOP a b 0", ["RPUSH b 1 2"]),
    ("BRPOP a 0", ["RENAME l a"]),
    ("BLMOVE a b LEFT LEFT 0", ["RPUSH a 1"]),
    ("BLMOVE a m LEFT LEFT 0", ["RPUSH a 1 2"]),
    ("BRPOPLPUSH a a 0", ["RPUSH a 1 2"]),
    ("BLMPOP 0 1 a LEFT COUNT 5", ["RPUSH a 1 2"]),
    ("BZPOPMIN a 0", ["ZADD a 1 m"]),
    ("BZPOPMAX a 0", ["ZUNIONSTORE a 2 z y"]),
    ("BZMPOP 0 1 a MAX COUNT 2", ["ZADD a 1 m 2 n"]),
    ("XREAD BLOCK 0 STREAMS x $", ["XADD x 9-9 f v"]),
    ("XREAD BLOCK 0 STREAMS nothing $", ["XADD nothing 9-9 f v"]),
    ("XREADGROUP GROUP g d BLOCK 0 STREAMS empty >", ["XGROUP CREATECONSUMER empty g d", "XADD empty 9-9 f v"]),
    ("XREADGROUP GROUP g d BLOCK 0 STREAMS empty >", ["DEL empty"]),
    ("XREADGROUP GROUP g d BLOCK 0 STREAMS empty >", ["XGROUP DESTROY empty g"]),
    ("BLPOP a 0", ["MULTI", "RPUSH a 1", "RPUSH a 2", "SET s v", "EXEC"]),
]  # fmt: skip


@pytest.mark.parametrize("waits,commands", WAITING, ids=lambda value: value if isinstance(value, str) else value[-1])
def test_what_waiting_clients_take_is_told(witness, waits, commands):
    witness.prepare(KEYS + (["XGROUP CREATECONSUMER empty g d"] if "GROUP g d" in waits else []))
    clients = witness.waiting()
    ours, theirs = witness.send(clients, *waits.split())
    assert ours == theirs
    for command in commands:
        witness.events(*command.split())
    for client in clients:
        client.reply()
        client.close()


def until(milliseconds):
    """Waits for a time of the clock."""
    while time.time() * 1000 <= milliseconds + 1:
        pass


TOUCHES = """
GET k
SET k w
EXISTS k
DEL k
UNLINK k
TYPE k
TTL k
MGET k k
SETNX k w
LPUSH k 1
INCR k
APPEND k w
RENAME k other
RENAME t k
COPY k other
COPY t k
MOVE k 1
PERSIST k
EXPIRE k 100
GETEX k PERSIST
GETDEL k
OBJECT ENCODING k
DUMP k
PFADD k 1
SINTERSTORE k e d
SUNIONSTORE k nothing
SINTERSTORE k e nothing
ZUNIONSTORE k 1 nothing
ZRANGESTORE k nothing 0 1
SORT nothing STORE k
BITOP NOT k nothing
GEOSEARCHSTORE k nothing FROMLONLAT 1 1 BYRADIUS 1 m
ZUNIONSTORE k 1 e
SORT k STORE other
XADD k 1-1 f v
BITOP NOT k t
ZADD k 1 m
HSET k f v
SCAN 0 COUNT 100
RANDOMKEY
"""


@pytest.mark.parametrize("command", TOUCHES.strip().splitlines())
def test_a_key_that_expires_when_it_is_looked_at(witness, command):
    witness.prepare(["SET t v", "SADD e 1", "SADD d 1"] if command != "RANDOMKEY" else [])
    witness.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    try:
        when = int(time.time() * 1000) + 2
        # Not by a time in the past, which deletes the key at once.
        witness.call("SET", "k", "v", "PXAT", when)
        witness.take()
        until(when)
        assert witness.events(*command.split()) != []
    finally:
        witness.call("DEBUG", "SET-ACTIVE-EXPIRE", 1)
        witness.call("UNWATCH")


def test_keys_that_expire_by_themselves(witness):
    witness.prepare(KEYS)
    for number in range(5):
        witness.call("SET", f"k{number}", "v", "PX", 1)
    deadline = time.monotonic() + 20
    found = [[], []]
    while min(len(each) for each in found) < 5 and time.monotonic() < deadline:
        for each, more in zip(found, witness.take()):
            each += [event for event in more if event[0] == "expired"]
    assert sorted(found[0]) == sorted(found[1]) == [("expired", 0, b"k%d" % number) for number in range(5)]


def ours(witness, *args):
    """What a command causes that the oracle does not have."""
    witness.connections[0].call(*args)
    return [(name, key.decode()) for name, _, key in witness.listeners[0].take()]


def test_fields_that_expire(witness):
    """As the documentation of Redis 7.4 has it."""
    witness.prepare(KEYS)
    for name, time_, past in (
        ("HEXPIRE", 100, 0),
        ("HPEXPIRE", 100000, 0),
        ("HEXPIREAT", 9999999999, 1),
        ("HPEXPIREAT", 9999999999999, 1),
    ):
        ours(witness, "HSET", "h", "f", 1, "g", 2)
        assert ours(witness, name, "h", time_, "FIELDS", 2, "f", "g") == [("hexpire", "h")]
        assert ours(witness, name, "h", time_, "NX", "FIELDS", 1, "f") == []
        assert ours(witness, name, "h", time_, "FIELDS", 1, "none") == []
        assert ours(witness, name, "nothing", time_, "FIELDS", 1, "f") == []
        assert ours(witness, name, "h", past, "FIELDS", 1, "f") == [("hdel", "h")]
        assert ours(witness, name, "h", past, "FIELDS", 1, "g") == [("hdel", "h"), ("del", "h")]
        assert ours(witness, name, "s", time_, "FIELDS", 1, "f") == []
    ours(witness, "HSET", "h", "f", 1, "g", 2)
    assert ours(witness, "HPERSIST", "h", "FIELDS", 1, "f") == []
    ours(witness, "HEXPIRE", "h", 100, "FIELDS", 1, "f")
    assert ours(witness, "HPERSIST", "h", "FIELDS", 2, "f", "g") == [("hpersist", "h")]
    assert ours(witness, "HPERSIST", "nothing", "FIELDS", 1, "f") == []


def test_fields_that_have_expired(witness):
    witness.prepare(KEYS)
    connection = witness.connections[0]
    connection.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    try:
        for command, last in ((["HGET", "h", "f"], []), (["HSETNX", "h", "f", "2"], [("new", "h"), ("hset", "h")])):
            for others in (["g", 1], []):
                ours(witness, "DEL", "h")
                ours(witness, "HSET", "h", "f", 1, *others)
                when = int(time.time() * 1000) + 20
                assert ours(witness, "HPEXPIREAT", "h", when, "FIELDS", 1, "f") == [("hexpire", "h")]
                until(when)
                gone = [("hexpired", "h")] + ([] if others else [("del", "h")])
                made = last[1:] if others else last
                assert ours(witness, *command) == gone + made
    finally:
        connection.call("DEBUG", "SET-ACTIVE-EXPIRE", 1)
    ours(witness, "DEL", "h")
    ours(witness, "HSET", "h", "f", 1, "g", 2)
    when = int(time.time() * 1000) + 20
    assert ours(witness, "HPEXPIREAT", "h", when, "FIELDS", 2, "f", "g") == [("hexpire", "h")]
    deadline = time.monotonic() + 20
    found = []
    while ("del", "h") not in found and time.monotonic() < deadline:
        found += [(name, key.decode()) for name, _, key in witness.listeners[0].take()]
    # One event for both.
    assert found == [("hexpired", "h"), ("del", "h")]


@pytest.fixture
def short_strings(witness):
    """Strings of at most 1 MB, as longer ones would only take time."""
    witness.call("CONFIG", "SET", "proto-max-bulk-len", 1 << 20)
    yield
    witness.call("CONFIG", "SET", "proto-max-bulk-len", 512 << 20)


def test_random_commands_tell_what_redis_tells(witness, short_strings):
    generator = Generator(new_seed())
    witness.prepare([])
    executed = []
    while len(executed) < 3000:
        unit = generator.unit()
        if not isinstance(unit, Plain):
            continue
        # SORT looks up what it finds in a set in an order of the server's own.
        sorts = any(str(args[0]).upper().startswith("SORT") for args, _ in unit.commands)
        for args, _ in unit.commands:
            executed.append(args)
            witness.call(*args)
            ours, theirs = [[e for e in found if e[0] != "keymiss"] if sorts else found for found in witness.take()]
            assert ours == theirs, "\n".join(map(str, executed[-14:]))


def test_nobody_listens(start):
    swiftlet = start("--enable-debug-command", "yes").connect()
    for request in (["DEBUG", "EVENTS", "TAKE"], ["DEBUG", "EVENTS"], ["DEBUG", "EVENTS", "x"]):
        assert swiftlet.call(*request).startswith(b"-ERR"), request
    for request in (["DEBUG", "EVENTS", "ON"], ["DEBUG", "EVENTS", "ON"]):
        assert swiftlet.call(*request) == b"+OK\r\n"
    swiftlet.call("SET", "k", "v")
    assert swiftlet.call("DEBUG", "EVENTS", "OFF") == b"+OK\r\n"
    swiftlet.call("SET", "k", "w")
    swiftlet.call("DEBUG", "EVENTS", "ON")
    # Nothing from the time before.
    assert swiftlet.call("DEBUG", "EVENTS", "TAKE") == b"*0\r\n"
    swiftlet.call("DEBUG", "EVENTS", "OFF")
