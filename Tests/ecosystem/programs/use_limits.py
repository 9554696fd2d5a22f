"""limits, each strategy with its scripts, and Flask-Limiter over it."""

import os
import time

from flask import Flask
from flask_limiter import Limiter
from limits import parse
from limits.storage import storage_from_string
from limits.strategies import STRATEGIES  # noqa: E402

URL = os.environ["REDIS_URL"]
storage = storage_from_string(URL)
for name, strategy in STRATEGIES.items():
    limiter = strategy(storage)
    for text, allowed in (("5/minute", 5), ("100/hour", 100)):
        rate = parse(text)
        assert sum(limiter.hit(rate, name, text) for _ in range(allowed * 2)) == allowed, (name, text)
        assert not limiter.test(rate, name, text)
        reset, remaining = limiter.get_window_stats(rate, name, text)
        assert remaining == 0 and reset > time.time() - 1, (name, reset, remaining)
        limiter.clear(rate, name, text)
        assert limiter.hit(rate, name, text, cost=3)
        assert limiter.get_window_stats(rate, name, text).remaining == allowed - 3
    short = parse("3/second")
    assert [limiter.hit(short, name, "short") for _ in range(4)] in ([True] * 3 + [False], [True] * 4)
    time.sleep(2.1)
    assert limiter.hit(short, name, "short"), name

app = Flask("limits")
limiter = Limiter(lambda: "everybody", app=app, storage_uri=URL, strategy="moving-window")


@app.get("/")
@limiter.limit("10/minute")
def index():
    return "ok"


client = app.test_client()
codes = [client.get("/").status_code for _ in range(15)]
assert codes == [200] * 10 + [429] * 5, codes
print(f"{len(STRATEGIES)} strategies, Flask-Limiter")
