"""The configurations of docs/high-availability.md, with other ports."""

import contextlib
import re
import socket

from oracle import ROOT

PAGE = ROOT / "docs" / "high-availability.md"


def block(name, replaced=()):
    """What stands behind `<!-- tested: name -->`. `replaced`: {number or text there: the test's own}."""
    found = re.search(rf"<!-- tested: {re.escape(name)} -->\n```\n(.*?)```\n", PAGE.read_text(), re.S)
    text = found.group(1)
    for old, new in dict(replaced).items():
        changed = re.sub(rf"(?<!\w){re.escape(str(old))}(?!\w)", str(new), text)
        assert changed != text, f"{old} does not stand in {name}"
        text = changed
    return text


def names():
    return re.findall(r"<!-- tested: (\S+) -->", PAGE.read_text())


def low_port(rng):
    """A free port below those that the kernel gives out, so that port + 10000, a cluster's bus, is one too."""
    while True:
        port = rng.randrange(11_000, 20_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
