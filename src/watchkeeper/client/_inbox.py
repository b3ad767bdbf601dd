"""Rows between the caller and the disk: a bounded queue in memory. Putting never waits; what does not fit pushes out the oldest."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from watchkeeper.client._wire import Stream

Row = dict[str, Any]  # Any: what the caller logs
ArrowTable = Any  # Any: pyarrow is optional and untyped
Content = list[Row] | ArrowTable


class Entry(NamedTuple):
    """One call. `content` turns the copy the caller left into wire rows or an Arrow table, later, in the writer's thread."""

    stream: Stream
    rows: int
    size: int
    content: Callable[[], Content]


class Drained(NamedTuple):
    entries: list[Entry]
    dropped_rows: int
    calls: int  # how many calls there ever were: what `flush` waits for


class Inbox:
    """Bounded by calls and bytes; the newest entry always fits, whatever its size."""

    def __init__(self, *, max_calls: int, max_bytes: int) -> None:
        self.filled = threading.Event()
        self.calls = 0
        self._max_calls, self._max_bytes = max_calls, max_bytes
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._dropped_rows = 0
        self._lock = threading.RLock()  # re-entrant: a signal handler or a destructor may log in the middle of a put

    def put(self, entry: Entry) -> None:
        with self._lock:
            self._entries.append(entry)
            self._bytes += entry.size
            self.calls += 1
            while self._is_over() and len(self._entries) > 1:
                self._drop_oldest()
        if not self.filled.is_set():
            self.filled.set()

    def drain(self) -> Drained:
        with self._lock:
            drained = Drained(list(self._entries), self._dropped_rows, self.calls)
            self._entries.clear()
            self._bytes = self._dropped_rows = 0
            self.filled.clear()
        return drained

    def _is_over(self) -> bool:
        return len(self._entries) > self._max_calls or self._bytes > self._max_bytes

    def _drop_oldest(self) -> None:
        oldest = self._entries.popleft()
        self._bytes -= oldest.size
        self._dropped_rows += oldest.rows
