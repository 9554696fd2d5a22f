"""walrus: its own tests."""

import os
import sys
import unittest

import redis  # noqa: E402

# Its tests connect to the port that redis has by itself.
port = int(os.environ["REDIS_PORT"])
begin = redis.Connection.__init__


def connect(self, *arguments, **options):
    options.update(host="127.0.0.1", port=port)
    begin(self, *arguments, **options)


redis.Connection.__init__ = connect

from walrus import tests  # noqa: E402

names = [name for name in vars(tests) if name.startswith("Test")]
suite = unittest.defaultTestLoader.loadTestsFromModule(tests)
result = unittest.TextTestRunner(verbosity=0).run(suite)
print(
    f"its own tests: {result.testsRun - len(result.failures) - len(result.errors) - len(result.skipped)} of {result.testsRun}"
)
sys.exit(not result.wasSuccessful())
