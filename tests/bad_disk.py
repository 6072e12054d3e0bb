"""A file system that passes every call on to a folder, until SIGUSR1: from then to SIGUSR2 each ends in EIO.

A program of the system's own Python with Debian's python3-fusepy: ``python3 bad_disk.py BEHIND MOUNTPOINT``.
"""

import errno
import os
import signal
import sys
import threading

from fusepy import FUSE, FuseOSError, Operations

failing = threading.Event()


class Through(Operations):
    """Every call on the folder behind."""

    def __init__(self, behind):
        self.behind = behind

    def __call__(self, operation, path, *arguments):
        if failing.is_set() and operation not in ("init", "destroy"):
            raise FuseOSError(errno.EIO)
        return super().__call__(operation, self.behind + path if path is not None else None, *arguments)

    def access(self, path, mode):
        if not os.access(path, mode):
            raise FuseOSError(errno.EACCES)

    chmod = staticmethod(os.chmod)
    chown = staticmethod(os.chown)
    mkdir = staticmethod(os.mkdir)
    rmdir = staticmethod(os.rmdir)
    unlink = staticmethod(os.unlink)
    readlink = staticmethod(os.readlink)

    def getattr(self, path, fh=None):
        found = os.lstat(path)
        names = ("st_atime", "st_ctime", "st_gid", "st_mode", "st_mtime", "st_nlink", "st_size", "st_uid")
        return {name: getattr(found, name) for name in names}

    def readdir(self, path, fh):
        return [".", "..", *os.listdir(path)]

    def statfs(self, path):
        found = os.statvfs(path)
        return {name: getattr(found, name) for name in dir(found) if name.startswith("f_") and name != "f_fsid"}

    def rename(self, old, new):
        os.rename(old, self.behind + new)

    def symlink(self, name, target):
        os.symlink(target, name)

    def link(self, target, source):
        os.link(self.behind + source, target)

    def utimens(self, path, times=None):
        os.utime(path, times)

    def open(self, path, flags):
        # The kernel sets the place of each write, also of those that append.
        return os.open(path, flags & ~os.O_APPEND)

    def create(self, path, mode, fi=None):
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, mode)

    def read(self, path, size, offset, fh):
        return os.pread(fh, size, offset)

    def write(self, path, data, offset, fh):
        return os.pwrite(fh, data, offset)

    def truncate(self, path, length, fh=None):
        os.truncate(path, length)

    def flush(self, path, fh):
        pass

    def release(self, path, fh):
        os.close(fh)

    def fsync(self, path, fdatasync, fh):
        os.fsync(fh)


if __name__ == "__main__":
    threads = {signal.SIGUSR1: failing.set, signal.SIGUSR2: failing.clear}
    # A thread of our own takes the signals, because the main one stays in C.
    signal.pthread_sigmask(signal.SIG_BLOCK, threads)

    def take_signals():
        while True:
            threads[signal.sigwait(threads)]()

    threading.Thread(target=take_signals, daemon=True).start()
    FUSE(Through(sys.argv[1]), sys.argv[2], foreground=True, allow_other=True, default_permissions=True)
