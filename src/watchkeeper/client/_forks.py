"""A fork waits while a background thread imports, loads certificates or holds a file's lock. Does not start or stop anything.

The child gets every lock as it stands, but not the thread that would open it: a module half imported, a certificate store half read or a
locked file would stay so in the child for ever.
"""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401 - pyarrow imports it too, and its hooks must not be registered while a fork waits for that
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

FORK_SECONDS = 5.0  # a caller is never held up for longer: what takes that long is stuck itself


class _Forks:
    """Which threads are in the middle of something, and the moment when none is."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._unfinished: set[int] = set()  # idents of threads

    @contextmanager
    def held_back(self) -> Iterator[None]:
        me = threading.get_ident()
        if me in self._unfinished:  # a part of something held back already
            yield
            return
        with self._changed:
            self._unfinished.add(me)
        try:
            yield
        finally:
            with self._changed:
                self._unfinished.discard(me)
                self._changed.notify_all()

    def before(self) -> None:
        """Keeps the condition until the fork is over, so that nothing begins meanwhile."""
        self._changed.acquire()
        me = threading.get_ident()
        self._changed.wait_for(lambda: self._unfinished <= {me}, FORK_SECONDS)

    def after_in_parent(self) -> None:
        self._changed.release()

    def after_in_child(self) -> None:
        self._changed = threading.Condition()
        self._unfinished = set()


_forks = _Forks()
held_back = _forks.held_back
if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(before=_forks.before, after_in_parent=_forks.after_in_parent, after_in_child=_forks.after_in_child)
