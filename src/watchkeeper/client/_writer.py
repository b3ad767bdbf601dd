"""The thread between memory and disk: gathers for a moment, merges, writes. Does not send."""

from __future__ import annotations

import threading
import time
from collections import Counter
from datetime import UTC, datetime

from watchkeeper.client._batches import Batch, batches
from watchkeeper.client._inbox import Drained, Entry, Inbox
from watchkeeper.client._spool import Spool
from watchkeeper.client._trouble import Trouble, in_words
from watchkeeper.client._wire import Stream

GATHER_SECONDS = 0.05  # half of the promised 100 ms; the rest is for encoding and the disk
RETRY_SECONDS = 1.0
REPORT_SECONDS = 60.0  # a long outage drops rows all the time: one event a minute tells it


class Writer:
    """`calls_written` counts the calls that are on disk or given up: `flush` waits for it."""

    def __init__(self, inbox: Inbox, spool: Spool, trouble: Trouble, progress: threading.Condition) -> None:
        self.calls_written = 0
        self._inbox, self._spool, self._trouble, self._progress = inbox, spool, trouble, progress
        self._hurried = threading.Event()
        self._is_stopping = False
        self._dropped: Counter[str] = Counter()
        self._report_at = 0.0

    def hurry(self) -> None:
        self._hurried.set()

    def stop(self) -> None:
        self._is_stopping = True
        self._hurried.set()
        self._inbox.wake()

    def run(self) -> None:
        """While rows keep coming their caller wakes nobody: after each moment of gathering there is a look."""
        is_idle = True
        while not self._is_stopping:
            if is_idle:
                self._inbox.wait()
            self._hurried.wait(GATHER_SECONDS)
            try:
                is_idle = not self._write_all()
            except Exception as problem:  # the worker loop: the thread must outlive whatever one pass brings
                self._trouble.note(f"Cannot spool: {in_words(problem)}")
        self._report_drops(is_last=True)

    def _write_all(self) -> int:
        """Returns how many calls it wrote."""
        self._hurried.clear()
        drained = self._inbox.drain()
        self._dropped["memory"] += drained.dropped_rows
        for batch in batches(drained.entries, self._trouble):
            self._write(batch)
        self._report_drops()
        self._tell_progress(drained)
        return len(drained.entries)

    def _write(self, batch: Batch) -> None:
        """Holds on while the disk refuses: meanwhile the bounded queue in memory takes the rows."""
        while not self._is_written(batch):
            if self._is_stopping:
                return self._trouble.note("The client closed before the spool could be written.", lost_rows=batch.rows)
            time.sleep(RETRY_SECONDS)
        with self._progress:
            return self._progress.notify_all()

    def _is_written(self, batch: Batch) -> bool:
        try:
            self._dropped["spool"] += self._spool.write(batch)
        except OSError as problem:
            self._trouble.note(f"Cannot write to the spool: {in_words(problem)}")
            return False
        return True

    def _report_drops(self, *, is_last: bool = False) -> None:
        if not self._dropped.total() or (time.monotonic() < self._report_at and not is_last):
            return
        dropped, self._dropped = +self._dropped, Counter()
        self._report_at = time.monotonic() + REPORT_SECONDS
        for place, count in dropped.items():
            self._trouble.note(f"The {place} limit is reached: the oldest rows are dropped.", lost_rows=count)
        for batch in batches([_drop_event(place, count) for place, count in dropped.items()], self._trouble):
            self._write(batch)

    def _tell_progress(self, drained: Drained) -> None:
        with self._progress:
            self.calls_written = drained.calls
            self._progress.notify_all()


def _drop_event(place: str, count: int) -> Entry:
    row = {"type": "spool_dropped", "timestamp": datetime.now(UTC), "count": count, "place": place}
    return Entry(Stream.EVENTS, 1, 0, lambda: [row])
