"""Short ways to put commands to both servers."""

import shlex


def run(both, text):
    """Runs each line of `text`, a command with shell quoting; `both` compares the replies."""
    for line in text.strip().splitlines():
        both(*shlex.split(line))


def members(both, *command):
    """The sorted elements of a reply whose order is the server's choice, compared without regard to it."""
    return both.sorted(*command)
