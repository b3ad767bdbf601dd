"""A lock that dies with its process, on a file. Does not wait unless asked to."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _acquire(handle: int, *, wait: bool) -> None:
        msvcrt.locking(handle, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)

    def _release(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _acquire(handle: int, *, wait: bool) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))  # flock, not lockf: two clients of one process exclude each other too

    def _release(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)  # closing alone would leave it to the copy that a forked child has


def lock(path: Path, *, wait: bool = False) -> int | None:
    """A handle that holds the lock until `os.close`; None when someone else has it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _acquire(handle, wait=wait)
    except OSError:
        os.close(handle)
        return None
    return handle


@contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[bool]:
    """Whether the lock was got, for the time of the block."""
    handle = lock(path, wait=wait)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            _release(handle)
            os.close(handle)
