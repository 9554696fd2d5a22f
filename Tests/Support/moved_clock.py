"""A server whose clocks the test moves, so that nothing has to wait."""

from resp import bulks


def advance(connection, seconds):
    """Moves the server's clocks forward."""
    assert connection.call("DEBUG", "ADVANCE-CLOCK", int(seconds * 1000)) == b"+OK\r\n"


def wall_ms(connection):
    """The server's time, in milliseconds since 1970."""
    seconds, micros = map(int, bulks(connection.call("TIME")))
    return seconds * 1000 + micros // 1000
