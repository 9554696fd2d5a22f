"""What counts as use of a key: after each command the idle times of all keys are compared with redis-server's."""

import pytest

from oracle import bulk

# A key of each type; commands below name them.
SETUP = """
SET s 10
SET t text
RPUSH l 3 1 2
RPUSH m b
HSET h f 1 g 2
SADD e 1 2 3
SADD d 2 x
ZADD z 1 a 2 b 3 c
ZADD y 1 b
GEOADD p 13.361389 38.115556 a 15.087269 37.502669 b
PFADD q 1 2 3
PFADD r 4
XADD x 1-1 f v
XADD x 2-1 f v
XGROUP CREATE x g 0
XREADGROUP GROUP g c COUNT 1 STREAMS x >
"""

COMMANDS = """
OBJECT ENCODING s
OBJECT REFCOUNT s
OBJECT IDLETIME s
OBJECT HELP
MEMORY USAGE s
MEMORY USAGE x SAMPLES 0
DEBUG OBJECT t
DEBUG OBJECT l
DEBUG SDSLEN s
DEBUG DIGEST
DEBUG DIGEST-VALUE s l h e z x
WATCH s l x
TYPE s
TTL s
PTTL s
EXPIRETIME s
PEXPIRETIME s
EXISTS s l
TOUCH s
KEYS *
SCAN 0 COUNT 100
SCAN 0 COUNT 100 TYPE list
DBSIZE
RANDOMKEY
DUMP s
DUMP x
COPY s new
COPY s t
COPY s t REPLACE
RENAME s new
RENAME s t
RENAMENX s t
RENAMENX s new
MOVE s 1
EXPIRE s 100
PEXPIRE s 100000
EXPIRE s 100 XX
EXPIREAT s 99999999999
PEXPIREAT s 99999999999999
PERSIST s
DEL nothing
DEL s nothing
UNLINK l
GET s
GETEX s
GETEX s EX 100
GETEX s PERSIST
GETRANGE s 0 0
SUBSTR s 0 0
STRLEN s
MGET s t nothing l
LCS s t
SET s 1
SET s 1 KEEPTTL
SET s 1 NX
SET nothing 1 XX
SET s 1 GET
SETNX s 1
SETEX s 100 1
PSETEX s 100000 1
GETSET s 1
MSET s 1 t 2
MSETNX s 1 new 2
APPEND s 1
APPEND t 1
SETRANGE s 0 1
SETRANGE t 0 x
INCR s
DECR s
INCRBY s 1
DECRBY s 1
INCRBYFLOAT s 1.5
INCR t
GETDEL s
GETBIT s 0
SETBIT s 0 1
SETBIT t 0 1
BITCOUNT s
BITPOS s 1
BITFIELD s GET u8 0
BITFIELD s SET u8 0 1
BITFIELD_RO s GET u8 0
BITOP AND new s t
BITOP NOT s t
LLEN l
LRANGE l 0 -1
LINDEX l 0
LPOS l 1
LPUSH l 1
LPUSHX l 1
RPUSHX l 1
LSET l 0 x
LSET l 100 x
LREM l 0 1
LREM l 0 none
LTRIM l 0 1
LTRIM l 0 -1
LINSERT l BEFORE 1 0
LPOP l
RPOP l 2
LMOVE l m LEFT RIGHT
RPOPLPUSH l m
LMPOP 2 l m LEFT
BLPOP l m 1
BRPOP l 1
BLMPOP 1 1 l LEFT
BLMOVE l m LEFT RIGHT 1
BRPOPLPUSH l m 1
SORT l
SORT l STORE m
SORT l BY w:* GET s
SORT_RO l
HGET h f
HMGET h f g
HGETALL h
HKEYS h
HVALS h
HLEN h
HSTRLEN h f
HEXISTS h f
HRANDFIELD h
HSCAN h 0
HSET h f 2
HSETNX h f 2
HMSET h f 3
HINCRBY h f 1
HINCRBYFLOAT h f 1
HDEL h f
HDEL h none
SCARD e
SISMEMBER e 1
SMISMEMBER e 1 2
SMEMBERS e
SRANDMEMBER e
SRANDMEMBER e 2
SSCAN e 0
SADD e 1
SADD e 9
SREM e 1
SREM e none
SPOP e
SPOP e 2
SMOVE e d 1
SMOVE e d none
SINTER e d
SINTERCARD 2 e d
SINTERSTORE new e d
SINTERSTORE e e d
SUNION e d
SUNIONSTORE d e
SDIFF e d
SDIFFSTORE new e d
ZCARD z
ZCOUNT z 0 9
ZLEXCOUNT z - +
ZSCORE z a
ZMSCORE z a b
ZRANK z a
ZREVRANK z a
ZRANGE z 0 -1
ZRANGE z 0 9 BYSCORE
ZREVRANGE z 0 -1
ZRANGEBYSCORE z 0 9
ZREVRANGEBYSCORE z 9 0
ZRANGEBYLEX z - +
ZREVRANGEBYLEX z + -
ZRANDMEMBER z
ZSCAN z 0
ZRANGESTORE new z 0 -1
ZADD z 1 a
ZADD z XX 1 none
ZADD z 5 new
ZINCRBY z 1 a
ZREM z a
ZREM z none
ZREMRANGEBYRANK z 0 0
ZREMRANGEBYSCORE z 8 9
ZREMRANGEBYLEX z [a [a
ZPOPMIN z
ZPOPMAX z 2
ZMPOP 1 z MIN
BZPOPMIN z y 1
BZPOPMAX z 1
BZMPOP 1 1 z MIN
ZUNION 2 z y
ZUNIONSTORE new 2 z y
ZINTER 2 z y
ZINTERCARD 2 z y
ZINTERSTORE y 2 z y
ZDIFF 2 z y
ZDIFFSTORE new 2 z y
GEOADD p 1 1 new
GEODIST p a b
GEOHASH p a
GEOPOS p a
GEOSEARCH p FROMMEMBER a BYRADIUS 500 km
GEOSEARCHSTORE new p FROMMEMBER a BYRADIUS 500 km
GEORADIUS p 15 37 200 km
GEORADIUS p 15 37 200 km STORE new
GEORADIUS_RO p 15 37 200 km
GEORADIUSBYMEMBER p a 500 km
GEORADIUSBYMEMBER_RO p a 500 km
PFADD q 1
PFADD q 9
PFCOUNT q
PFCOUNT q r
PFMERGE new q r
PFMERGE q r
PFDEBUG ENCODING q
XLEN x
XRANGE x - +
XREVRANGE x + -
XREAD STREAMS x 0
XREAD COUNT 1 STREAMS x 9
XADD x 9-9 f v
XDEL x 1-1
XTRIM x MAXLEN 1
XSETID x 9-9
XINFO STREAM x
XINFO GROUPS x
XINFO CONSUMERS x g
XGROUP CREATE x new 0
XGROUP CREATECONSUMER x g d
XGROUP SETID x g 0
XGROUP DELCONSUMER x g c
XGROUP DESTROY x g
XREADGROUP GROUP g c STREAMS x >
XREADGROUP GROUP g c STREAMS x 0
XPENDING x g
XACK x g 1-1
XCLAIM x g d 0 1-1
XAUTOCLAIM x g d 0 0
GET l
LPUSH s 1
HGET s f
SADD l x
ZADD s 1 a
"""
LINES = [line.split() for line in COMMANDS.strip().splitlines()]
KEYS = "s t l m h e d z y p q r x new".split()


@pytest.fixture(scope="module")
def payloads(oracle_server):
    """DUMP's of all keys, by the oracle, which Swiftlet can read."""
    connection = oracle_server.connect()
    connection.call("FLUSHALL")
    for line in SETUP.strip().splitlines():
        assert not connection.call(*line.split()).startswith(b"-"), line
    found = {key: bulk(connection.call("DUMP", key)) for key in KEYS}
    connection.call("FLUSHALL")
    return {key: payload for key, payload in found.items() if payload is not None}


def used(connection, payloads, command):
    """What the command leaves: for each key, whether it was used just now; None where it is gone."""
    connection.pipeline(
        [["FLUSHALL"]] + [["RESTORE", key, 0, payload, "IDLETIME", 1000] for key, payload in payloads.items()]
    )
    connection.call(*command)
    replies = connection.pipeline([["UNWATCH"]] + [["OBJECT", "IDLETIME", key] for key in KEYS])[1:]
    return {key: int(reply[1:]) < 500 if reply[:1] == b":" else None for key, reply in zip(KEYS, replies)}


@pytest.mark.parametrize("command", LINES, ids=" ".join)
def test_the_same_commands_count_as_use(both, payloads, command):
    ours, oracles = (used(connection, payloads, command) for connection in (both.swiftlet, both.oracle))
    if command[0] == "RANDOMKEY":
        # Which key it is differs, but not how many are used.
        assert list(ours.values()).count(True) == list(oracles.values()).count(True)
        return
    assert ours == oracles
