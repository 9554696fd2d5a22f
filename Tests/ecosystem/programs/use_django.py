"""Django's cache and sessions, and django-redis, which has locks and patterns."""

import os
import threading
import time

import django
from django.conf import settings  # noqa: E402

URL = os.environ["REDIS_URL"]
settings.configure(
    CACHES={
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": URL, "KEY_PREFIX": "a"},
        "other": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": URL, "KEY_PREFIX": "b"},
    },
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    INSTALLED_APPS=["django.contrib.sessions"],
    SECRET_KEY="x",
)
django.setup()

from django.contrib.sessions.backends.cache import SessionStore  # noqa: E402
from django.core.cache import caches  # noqa: E402

for name in ("default", "other"):
    cache = caches[name]
    assert cache.add("k", {"a": [1, None]}) and not cache.add("k", 2)
    assert cache.get("k") == {"a": [1, None]}
    cache.set("n", 5)
    assert cache.incr("n", 3) == 8 and cache.decr("n") == 7
    cache.set_many({f"m{i}": i for i in range(100)}, timeout=60)
    assert cache.get_many([f"m{i}" for i in range(100)]) == {f"m{i}": i for i in range(100)}
    cache.delete_many([f"m{i}" for i in range(50)])
    assert len(cache.get_many([f"m{i}" for i in range(100)])) == 50
    assert cache.get_or_set("made", lambda: 42) == 42
    assert cache.touch("made", 1) and not cache.touch("nothing")
    time.sleep(1.2)
    assert cache.get("made") is None
    try:
        cache.incr("nothing")
        raise AssertionError("a missing key was incremented")
    except ValueError:
        pass
    cache.set("v", 1, version=2)
    assert cache.get("v") is None and cache.incr_version("v", version=2) == 3 and cache.get("v", version=3) == 1

session = SessionStore()
session["user"] = 7
session.save()
assert SessionStore(session.session_key)["user"] == 7
session.cycle_key()
assert SessionStore(session.session_key)["user"] == 7
session.flush()

other = caches["other"]
other.set_many({f"p{i}": i for i in range(30)})
assert len(list(other.iter_keys("p*"))) == 30 and other.delete_pattern("p*") == 30
counts = {"now": 0, "most": 0, "sum": 0}


def hold():
    for _ in range(10):
        with other.lock("lock", timeout=10):
            counts["now"] += 1
            counts["most"] = max(counts["most"], counts["now"])
            counts["sum"] += 1
            time.sleep(0.002)
            counts["now"] -= 1


threads = [threading.Thread(target=hold) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert (counts["most"], counts["sum"]) == (1, 40), counts
caches["default"].clear()
print("caches, sessions, 40 locks held one at a time")
