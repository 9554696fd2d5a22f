"""Places, compared with redis-server: scores, digits and the order of replies."""

import re

import pytest

from script import run
from seed import seeded


@pytest.fixture
def pair(protocols):
    return protocols


@pytest.fixture(params=[128, 0], ids=["listpack", "skiplist"])
def each_encoding(request, pair):
    pair("CONFIG", "SET", "zset-max-listpack-entries", request.param)
    yield pair
    pair("CONFIG", "SET", "zset-max-listpack-entries", 128)


PLACES = """
    GEOADD Sicily 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
    GEOADD Sicily NX 13.583333 37.316667 Agrigento 13 38 Palermo
    GEOADD Sicily XX CH 13.361389 38.115556 Palermo 12 38 none
    GEOADD Sicily CH 13.361390 38.115556 Palermo 12.5 38.1 Trapani
"""


def test_commands(each_encoding):
    run(each_encoding, PLACES)
    run(
        each_encoding,
        """
        ZRANGE Sicily 0 -1 WITHSCORES
        GEODIST Sicily Palermo Catania
        GEODIST Sicily Palermo Catania km
        GEODIST Sicily Palermo Catania MI
        GEODIST Sicily Palermo Catania ft
        GEODIST Sicily Palermo Palermo
        GEODIST Sicily Palermo none
        GEODIST none a b
        GEOHASH Sicily Palermo Catania none
        GEOHASH Sicily
        GEOHASH none a
        GEOPOS Sicily Palermo none Catania
        GEOPOS Sicily
        GEOPOS none a b
        GEOADD none XX 1 1 a
        EXISTS none
        GEORADIUS Sicily 15 37 200 km
        GEORADIUS Sicily 15 37 200 km WITHDIST
        GEORADIUS Sicily 15 37 200 km WITHCOORD
        GEORADIUS Sicily 15 37 200 km WITHHASH
        GEORADIUS Sicily 15 37 200 km WITHDIST WITHCOORD WITHHASH ASC
        GEORADIUS Sicily 15 37 200 km DESC COUNT 2
        GEORADIUS Sicily 15 37 200 km COUNT 1 ANY
        GEORADIUS_RO Sicily 15 37 200 km ASC
        GEORADIUSBYMEMBER Sicily Agrigento 100 km ASC
        GEORADIUSBYMEMBER_RO Sicily Agrigento 100 km WITHDIST ASC
        GEOSEARCH Sicily FROMLONLAT 15 37 BYRADIUS 200 km ASC
        GEOSEARCH Sicily FROMLONLAT 15 37 BYBOX 400 400 km ASC WITHCOORD WITHDIST
        GEOSEARCH Sicily FROMMEMBER Palermo BYBOX 400 400 mi DESC
        GEOSEARCH Sicily BYBOX 10 10 m FROMMEMBER Palermo
        GEOSEARCHSTORE d Sicily FROMLONLAT 15 37 BYBOX 400 400 km ASC COUNT 3
        ZRANGE d 0 -1 WITHSCORES
        GEOSEARCHSTORE d Sicily FROMLONLAT 15 37 BYBOX 400 400 km STOREDIST
        ZRANGE d 0 -1 WITHSCORES
        GEOSEARCHSTORE d none FROMLONLAT 15 37 BYBOX 400 400 km STOREDIST
        EXISTS d
        GEORADIUS Sicily 15 37 200 km STORE d
        ZRANGE d 0 -1 WITHSCORES
        GEORADIUS Sicily 15 37 200 km STOREDIST d
        ZRANGE d 0 -1 WITHSCORES
        GEORADIUSBYMEMBER Sicily Palermo 200 km STOREDIST d STORE e
        EXISTS d e
        GEORADIUS Sicily 15 37 1 m STORE d
        EXISTS d
        GEORADIUS none 15 37 1 m STORE d
        GEORADIUS none 15 37 1 m
        GEORADIUSBYMEMBER none a 1 m
        GEOSEARCH none FROMMEMBER a BYRADIUS 1 m
        GEOSEARCHSTORE Sicily Sicily FROMLONLAT 15 37 BYRADIUS 100 km
        ZRANGE Sicily 0 -1 WITHSCORES
    """,
    )


def test_errors(pair):
    run(pair, PLACES)
    run(
        pair,
        """
        SET str x
        GEOADD str 1 1 a
        GEOPOS str a
        GEOHASH str a
        GEODIST str a b
        GEORADIUS str 1 1 1 m
        GEOSEARCH str FROMMEMBER a BYRADIUS 1 m
        GEOADD k 181 1 a
        GEOADD k 1 86 a
        GEOADD k -181.5 -1 a
        GEOADD k 1e300 1 a
        GEOADD k inf 1 a
        GEOADD k x 1 a
        GEOADD k 1 x a
        GEOADD k nan 1 a
        GEOADD k 1 1
        GEOADD k 1 1 a 2
        GEOADD k NX XX 1 1 a
        GEOADD k NX CH XX
        GEOADD k NX CH XX CH
        GEOADD k NX CH CH
        GEOADD k NX 1 1 a
        GEOADD k FOO 1 1 a
        GEODIST Sicily Palermo Catania yd
        GEODIST Sicily Palermo Catania km x
        GEODIST Sicily Palermo
        GEORADIUS Sicily x 1 1 m
        GEORADIUS Sicily 1 100 1 m
        GEORADIUS Sicily 1 1 x m
        GEORADIUS Sicily 1 1 -1 m
        GEORADIUS Sicily 1 1 1 x
        GEORADIUS Sicily 1 1 1 m FOO
        GEORADIUS Sicily 1 1 1 m COUNT
        GEORADIUS Sicily 1 1 1 m COUNT 0
        GEORADIUS Sicily 1 1 1 m COUNT -1
        GEORADIUS Sicily 1 1 1 m COUNT x
        GEORADIUS Sicily 1 1 1 m ANY
        GEORADIUS Sicily 1 1 1 m STORE
        GEORADIUS Sicily 1 1 1 m STORE d WITHDIST
        GEORADIUS_RO Sicily 1 1 1 m STORE d
        GEORADIUSBYMEMBER_RO Sicily Palermo 1 m STORE d
        GEORADIUSBYMEMBER Sicily none 1 m
        GEORADIUSBYMEMBER Sicily none x m
        GEORADIUSBYMEMBER Sicily Palermo x m
        GEORADIUSBYMEMBER none m x m
        GEORADIUSBYMEMBER none m 1 x STORE d
        GEORADIUSBYMEMBER none m 1 m STORE
        GEOSEARCH Sicily FROMLONLAT 15 37 BYRADIUS 1 km FROMMEMBER Palermo
        GEOSEARCH Sicily FROMMEMBER Palermo FROMLONLAT 15 37 BYRADIUS 1 km
        GEOSEARCH Sicily FROMMEMBER Palermo FROMMEMBER Catania BYRADIUS 1 km
        GEOSEARCH Sicily FROMLONLAT 1 1 FROMLONLAT 15 37 BYRADIUS 1 km
        GEOSEARCH Sicily BYRADIUS 1 km BYRADIUS 2 km FROMMEMBER Palermo
        GEOSEARCH Sicily BYBOX 1 1 km BYBOX 2 2 km FROMMEMBER Palermo
        GEOSEARCH Sicily BYBOX 1 1 km BYRADIUS 2 km FROMMEMBER Palermo
        GEOSEARCH Sicily BYRADIUS 2 km BYBOX 1 1 km FROMMEMBER Palermo
        GEOSEARCH Sicily BYRADIUS 2 km COUNT 1 ASC ASC
        gEOSEARCH Sicily FROMMEMBER Palermo ASC COUNT 1 WITHDIST
        GEOSEARCH none FROMMEMBER Palermo ASC COUNT 1 WITHDIST
        GEOSEARCH none BYRADIUS 2 km COUNT 1 ASC ASC
        GEOSEARCH Sicily FROMMEMBER none BYRADIUS 1 km
        GEOSEARCH Sicily FROMMEMBER Palermo BYBOX x 1 km
        GEOSEARCH Sicily FROMMEMBER Palermo BYBOX 1 x km
        GEOSEARCH Sicily FROMMEMBER Palermo BYBOX -1 1 km
        GEOSEARCH Sicily FROMMEMBER Palermo BYBOX 1 -1 km
        GEOSEARCH Sicily FROMMEMBER Palermo BYBOX 1 1 x
        GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS 1 m STORE d
        GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS 1 m STOREDIST
        GEOSEARCH Sicily FROMMEMBER Palermo BYRADIUS 1 m ANY
        GEOSEARCHSTORE d Sicily FROMMEMBER Palermo BYRADIUS 1 m ANY
        GEOSEARCHSTORE d Sicily FROMMEMBER Palermo BYRADIUS 1 m WITHDIST
        GEOSEARCHSTORE d Sicily BYRADIUS 1 m ASC ASC ASC
        GEOSEARCHSTORE d Sicily FROMMEMBER Palermo ASC ASC ASC
        GEOSEARCHSTORE d str FROMMEMBER Palermo BYRADIUS 1 m
        EXISTS d k
        COMMAND GETKEYS GEORADIUS a 1 1 1 m STORE b
        COMMAND GETKEYS GEORADIUSBYMEMBER a x 1 m COUNT 1 STOREDIST b
        COMMAND GETKEYS GEOSEARCHSTORE d s FROMMEMBER Palermo BYRADIUS 1 m
    """,
    )


def test_positions_at_scores_without_a_place(pair):
    for score in ("0", "-1", "1.5", "4503599627370495", "4503599627370496", "9007199254740992", "1e15"):
        pair("ZADD", "z", score, f"m{score}")
    members = [f"m{s}" for s in ("0", "1.5", "4503599627370495", "1e15")]
    pair("GEOPOS", "z", *members)
    pair("GEOHASH", "z", *members)
    pair("GEODIST", "z", members[0], members[-1])


def random_point(numbers, spread):
    if spread is None:
        return numbers.uniform(-180, 180), numbers.uniform(-85.05112878, 85.05112878)
    x, y, size = spread
    return (min(180, max(-180, numbers.gauss(x, size))), min(85.05112878, max(-85.05112878, numbers.gauss(y, size))))


AREAS = [
    None,
    None,
    (13, 38, 2),
    (0, 0, 1),
    (179.9, 10, 1),
    (-180, -40, 0.5),
    (30, 84, 3),
    (-60, -84.9, 2),
    (100, 70, 1),
    (0, 84.5, 0.1),
    (2.35, 48.85, 0.1),
]


@pytest.mark.parametrize("count", [60, 3000])
@pytest.mark.parametrize("area", AREAS)
def test_searches_at_random(both, area, count):
    numbers = seeded()
    words = []
    for i in range(count):
        x, y = random_point(numbers, area)
        words += [repr(x), repr(y), f"m{i}"]
    both("GEOADD", "k", *words)
    both("ZRANGE", "k", 0, -1, "WITHSCORES")
    members = [f"m{numbers.randrange(count)}" for _ in range(100)]
    both("GEOPOS", "k", *members)
    both("GEOHASH", "k", *members)
    for a, b in zip(members, members[1:]):
        both("GEODIST", "k", a, b, numbers.choice(("m", "km", "ft", "mi")))
    for _ in range(150):
        x, y = random_point(numbers, area)
        center = numbers.choice((["FROMMEMBER", numbers.choice(members)], ["FROMLONLAT", repr(x), repr(y)]))
        sizes = (1, 50, 3000, 50_000, 500_000, 5_000_000, 30_000_000)
        size = lambda: repr(numbers.choice(sizes) * numbers.uniform(0.5, 2))
        shape = numbers.choice((["BYRADIUS", size(), "m"], ["BYBOX", size(), size(), "ft"]))
        options = numbers.choice(([], ["ASC"], ["DESC"]))
        if numbers.random() < 0.4:
            options = options + ["COUNT", numbers.choice((1, 3, 10, 100))] + numbers.choice(([], ["ANY"]))
        with_ = [w for w in ("WITHDIST", "WITHCOORD", "WITHHASH") if numbers.random() < 0.3]
        if "COUNT" in options and "ANY" not in options:
            # Where distances are equal, Redis's order depends on how it sorts part of them: the distances count.
            distances = [
                re.findall(rb"\r\n(\d+\.\d{4})\r\n", c.call("GEOSEARCH", "k", *center, *shape, *options, "WITHDIST"))
                for c in (both.swiftlet, both.oracle)
            ]
            assert distances[0] == distances[1], (center, shape, options)
            continue
        both("GEOSEARCH", "k", *center, *shape, *options, *with_)
        if numbers.random() < 0.1:
            both("GEOSEARCHSTORE", "d", "k", *center, *shape, *options, *numbers.choice(([], ["STOREDIST"])))
            both("ZRANGE", "d", 0, -1, "WITHSCORES")


def test_scores_that_are_no_places(both):
    for score in ("-4.75", "-4", "-1", "-0.5", "2.5", "1e300", "-1e300", "-1e18", "4503599627370496", "9.2e18", "9.3e18",
                  "1e19", "1.8446744073709551615e19", "-9.3e18", "inf", "-inf"):  # fmt: skip
        both("ZADD", "z", score, "m")
        both("GEOPOS", "z", "m")
        both("GEOHASH", "z", "m")
        both("GEOSEARCH", "z", "FROMLONLAT", 180, 85, "BYRADIUS", 300, "km")
