"""What can be measured: groups of rows, registered by the modules that measure them."""


class Row:
    def __init__(self, name, unit="", goal=None, absolute=False):
        """`goal` is ('<=' or '>=', number), for the ratio, or where `absolute` for Swiftlet's own figure."""
        self.name, self.unit, self.goal, self.absolute = name, unit, goal, absolute


GROUPS = {}


def group(name, rows, **arguments):
    """Registers a measurement: a function of (bench, kind, directory) that returns {row's name: figure}."""

    def register(function):
        GROUPS[name] = (rows, lambda bench: bench.by_turns(lambda *where: function(bench, *where, **arguments)))
        return function

    return register


def paired(name, rows, **arguments):
    """Registers a measurement of both servers at once: a function of (bench, a directory for each kind) that returns
    {row's name: [(Swiftlet's figure, Redis's)]}."""

    def register(function):
        GROUPS[name] = (rows, lambda bench: bench.together(lambda where: function(bench, where, **arguments)))
        return function

    return register


LOGS = {
    "off": ["--appendonly", "no"],
    "everysec": ["--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0"],
    "always": ["--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0"],
}
