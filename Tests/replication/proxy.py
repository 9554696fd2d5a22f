"""A TCP proxy on loopback with faults that a test switches on: cuts at a byte, delays, half-open connections, a limit of the
rate. It stands between a replica and its master."""

import contextlib
import socket
import struct
import threading
import time

TO_MASTER, TO_REPLICA = "to master", "to replica"
HEAD = 4096  # bytes of each connection's answers that are kept


class Faults:
    """What happens to all that passes, from now on. Counts of bytes go over connections."""

    def __init__(self):
        self.lock = threading.Lock()
        self.moves = threading.Condition(self.lock)
        self.clear()

    def clear(self):
        self.delay = 0.0  # seconds before each chunk goes on
        self.rate = None  # bytes a second
        self.held = set()  # directions that stand still, their sockets open
        self.left = {}  # direction: so many bytes still pass, then both sockets are closed
        self.refuses = False  # new connections are closed at once


class Link:
    """A connection through the proxy."""

    def __init__(self, proxy, replica, master):
        self.proxy, self.sockets = proxy, (replica, master)
        self.passed = {TO_MASTER: 0, TO_REPLICA: 0}
        self.head = bytearray()
        self.is_open = True
        for source, target, direction in ((replica, master, TO_MASTER), (master, replica, TO_REPLICA)):
            threading.Thread(target=self.pump, args=(source, target, direction), daemon=True).start()

    def pump(self, source, target, direction):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if direction == TO_REPLICA and len(self.head) < HEAD:
                    self.head += data[:HEAD]
                if not self.forward(data, target, direction):
                    break
        self.close()

    def forward(self, data, target, direction):
        """Whether the connection goes on."""
        faults = self.proxy.faults
        with faults.lock:
            pause = faults.delay + (len(data) / faults.rate if faults.rate else 0)
        if pause:
            time.sleep(pause)
        with faults.moves:
            faults.moves.wait_for(lambda: direction not in faults.held or not self.is_open)
            left = faults.left.get(direction)
            if left is not None:
                data = data[:left]
                faults.left[direction] = left - len(data)
            ends = left is not None and faults.left[direction] == 0
            if ends:
                del faults.left[direction]
        if not self.is_open:
            return False
        target.sendall(data)
        self.passed[direction] += len(data)
        return not ends

    def close(self, abruptly=False):
        """Both ends; `abruptly`: what is still under way is lost, as when a machine goes."""
        with self.proxy.faults.moves:
            self.is_open = False
            self.proxy.faults.moves.notify_all()
        for end in self.sockets:
            with contextlib.suppress(OSError):
                if abruptly:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                else:
                    end.shutdown(socket.SHUT_RDWR)
            end.close()

    def answers(self):
        """The lines that say how a synchronization begins: +FULLRESYNC …, +CONTINUE …"""
        return [line for line in bytes(self.head).split(b"\r\n") if line.startswith((b"+FULLRESYNC", b"+CONTINUE"))]


class Proxy:
    def __init__(self, target):
        self.target = target  # a port, which may change
        self.faults = Faults()
        self.links = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                replica, _ = self.listener.accept()
            except OSError:
                return
            try:
                if self.faults.refuses:
                    raise ConnectionRefusedError
                master = socket.create_connection(("127.0.0.1", self.target), timeout=10)
                master.settimeout(None)
            except OSError:
                replica.close()
                continue
            for end in (replica, master):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.links.append(Link(self, replica, master))

    def stop(self):
        # shutdown wakes the thread that accepts, close alone does not.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()

    # Faults.

    def cut(self, abruptly=False):
        """Closes what is open."""
        for link in self.links:
            if link.is_open:
                link.close(abruptly)

    def cut_after(self, count, direction=TO_REPLICA):
        """Once `count` more bytes have passed, the connection that carries the last of them is closed."""
        with self.faults.lock:
            self.faults.left[direction] = count

    def hold(self, *directions):
        """Half-open: nothing passes, and nobody is told."""
        with self.faults.lock:
            self.faults.held = set(directions or (TO_MASTER, TO_REPLICA))

    def delay(self, seconds):
        self.faults.delay = seconds

    def limit(self, bytes_per_second):
        self.faults.rate = bytes_per_second

    def refuse(self):
        """No connection from now on, the open ones are cut."""
        self.faults.refuses = True
        self.cut()

    def heal(self):
        """No faults. What was held goes on."""
        with self.faults.moves:
            self.faults.clear()
            self.faults.moves.notify_all()

    # What was seen.

    @property
    def connections(self):
        return len(self.links)

    def passed(self, direction=TO_REPLICA):
        return sum(link.passed[direction] for link in self.links)

    def answers(self):
        return [answer for link in self.links for answer in link.answers()]
