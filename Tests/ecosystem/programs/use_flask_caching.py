"""Flask-Caching: views, memoized functions, many values at once."""

import os
import time

from flask import Flask
from flask_caching import Cache  # noqa: E402

app = Flask("caching")
cache = Cache(app, config={"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": os.environ["REDIS_URL"]})
calls = []


@app.get("/")
@cache.cached(timeout=1)
def index():
    calls.append("view")
    return str(len(calls))


@cache.memoize(60)
def square(number):
    calls.append(number)
    return number * number


with app.app_context():
    client = app.test_client()
    assert [client.get("/").text for _ in range(3)] == ["1"] * 3
    time.sleep(1.2)
    assert client.get("/").text == "2"
    assert [square(4), square(4), square(5)] == [16, 16, 25] and calls == ["view", "view", 4, 5]
    cache.delete_memoized(square, 4)
    assert square(4) == 16 and calls[-1] == 4
    cache.set_many({"a": 1, "b": [2]})
    assert cache.get_many("a", "b", "c") == [1, [2], None]
    assert cache.add("d", 1) and not cache.add("d", 2)
    assert cache.delete_many("a", "b") and cache.get("a") is None
    assert cache.cache.inc("n", 3) == 3 and cache.cache.dec("n") == 2
    cache.clear()
    assert cache.get("d") is None
print("views, memoized functions, many values")
