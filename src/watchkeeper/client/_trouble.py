"""What went wrong, said once and without the token. Does not decide what to do about it."""

from __future__ import annotations

import logging
import threading

log = logging.getLogger("watchkeeper")
MAX_WARNINGS = 100  # distinct ones; a sentence that changes with every row must not flood the caller's log


class NotDelivered(Exception):
    """Raised by `flush` alone: something logged is not at the server. The message says why, and what becomes of it."""


class Trouble:
    """The last error, and how many rows were given up since the last flush."""

    def __init__(self, secret: str) -> None:
        self.last_error: str | None = None
        self._secret = secret
        self._said: set[str] = set()
        self._lost_rows = 0
        self._lost_reason = ""
        self._lock = threading.Lock()

    def note(self, problem: str, *, lost_rows: int = 0) -> None:
        """Remember a problem and warn about it once; `lost_rows` will never reach the server."""
        problem = problem.replace(self._secret, "***") if self._secret else problem
        with self._lock:
            self.last_error = problem
            self._lost_rows += lost_rows
            self._lost_reason = problem if lost_rows else self._lost_reason
            is_news = problem not in self._said and len(self._said) < MAX_WARNINGS
            if is_news:
                self._said.add(problem)
        if is_news:
            log.warning("%s", problem)

    def raise_for_lost_rows(self) -> None:
        """Tell, once, of rows that were given up since the last call."""
        with self._lock:
            lost, self._lost_rows = self._lost_rows, 0
        if lost:
            raise NotDelivered(f"{lost} row(s) were not delivered and will not be. The last reason: {self._lost_reason}")

    def after_fork(self) -> None:
        """The child's own account: its rows are not its parent's, and a lock held by a thread of the parent would never open."""
        self._lock = threading.Lock()
        self._lost_rows = 0


def in_words(problem: BaseException) -> str:
    """An exception as one sentence.

    >>> in_words(KeyError("id"))
    "KeyError: 'id'"
    """
    return f"{type(problem).__name__}: {problem}"[:500]
