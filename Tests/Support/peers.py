"""Other servers, whose binaries the environment names: REDIS6 (6.2), REDIS8 (8.2) and VALKEY9 (9.1)."""

import os

PEERS = {name: os.environ[name] for name in ("REDIS6", "REDIS8", "VALKEY9") if name in os.environ}
