"""An ext4 file system in a file, on a loop device, whose power can be cut. Needs root and loop devices."""

import fcntl
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile
import time

# EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH, from Linux's fs/ext4/ext4.h: from then on nothing reaches the
# device, neither data nor journal, as when the power goes.
SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2


class Unavailable(Exception):
    """No such file systems here, and why."""


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise OSError(f"{' '.join(map(str, command))}: {done.stdout.strip()}")
    return done.stdout.strip()


class Volume:
    def __init__(self, megabytes):
        if os.geteuid() != 0:
            raise Unavailable("only root can mount file systems")
        for tool in ("mkfs.ext4", "losetup", "mount", "umount"):
            if not shutil.which(tool):
                raise Unavailable(f"there is no {tool}")
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="swiftlet-volume-"))
        self.image, self.path = self.work / "image", self.work / "mounted"
        self.path.mkdir()
        self.device = None
        self.is_mounted = False
        self.made = 0
        try:
            with open(self.image, "wb") as image:
                image.truncate(megabytes << 20)
            self.device = run("losetup", "--find", "--show", self.image)
            self.make()
        except OSError as error:
            self.remove()
            raise Unavailable(str(error)) from None

    def make(self):
        """An empty file system."""
        run("mkfs.ext4", "-q", "-F", self.device)
        self.made += 1
        self.mount()

    def mount(self):
        run("mount", "-t", "ext4", self.device, self.path)
        self.is_mounted = True

    def cut(self):
        """The power goes. Whoever writes or syncs gets EIO from now on."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(descriptor, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(descriptor)

    def unmount(self):
        deadline = time.monotonic() + 10
        while self.is_mounted:
            try:
                run("umount", self.path)
                self.is_mounted = False
            except OSError:
                # A process that was killed may still hold a file for a moment.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def remove(self):
        if self.is_mounted:
            self.unmount()
        if self.device:
            run("losetup", "--detach", self.device)
            self.device = None
        shutil.rmtree(self.work, ignore_errors=True)
