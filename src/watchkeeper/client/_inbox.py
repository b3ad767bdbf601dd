"""Rows between the caller and the disk: a bounded queue in memory. Putting never waits; what does not fit pushes out the oldest."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
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
    """Bounded by calls and bytes; the newest entry always fits, whatever its size.

    Waking a thread costs more than all the rest of a put, so that only the first entry after a pause does it: see `wait`.
    """

    def __init__(self, *, max_calls: int, max_bytes: int) -> None:
        self.calls = 0
        self._is_waited_for = False
        # Held while it is silent. Not an Event: a signal handler that logs in the middle of its `set` would wait for itself.
        self._bell = threading.Lock()
        self._bell.acquire()
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
            if self._bytes > self._max_bytes or len(self._entries) > self._max_calls:
                self._make_room()
        if self._is_waited_for:
            self.wake()

    def wait(self) -> None:
        """Until there is an entry, or `wake`. Called by one thread only."""
        self._is_waited_for = True
        if not self._entries:  # looked at after the mark above: a put sees the mark, or is seen here
            self._bell.acquire()
        self._is_waited_for = False

    def wake(self) -> None:
        self._is_waited_for = False
        with suppress(RuntimeError):  # rung already
            self._bell.release()

    def drain(self) -> Drained:
        with self._lock:
            drained = Drained(list(self._entries), self._dropped_rows, self.calls)
            self._entries.clear()
            self._bytes = self._dropped_rows = 0
        return drained

    def _make_room(self) -> None:
        while len(self._entries) > 1 and (self._bytes > self._max_bytes or len(self._entries) > self._max_calls):
            oldest = self._entries.popleft()
            self._bytes -= oldest.size
            self._dropped_rows += oldest.rows
