"""Starts, flushes and ends the two threads of a client, and begins anew in a forked child. Does not know what rows mean."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable

from watchkeeper.client._answers import Verdict
from watchkeeper.client._inbox import Entry, Inbox
from watchkeeper.client._sender import Sender
from watchkeeper.client._settings import Settings
from watchkeeper.client._spool import Spool
from watchkeeper.client._trouble import NotDelivered, Trouble
from watchkeeper.client._writer import Writer

EXIT_SECONDS = 2.0


class Delivery:
    """Takes entries at once and sees to it that they arrive. In a forked child the threads start at the first entry: many a child logs nothing."""

    _inbox: Inbox
    _spool: Spool
    _writer: Writer
    _sender: Sender
    _progress: threading.Condition  # notified whenever a call is spooled or a batch is settled
    _starting: threading.Lock
    _is_running: bool
    _threads: tuple[threading.Thread, threading.Thread]

    def __init__(self, settings: Settings, trouble: Trouble) -> None:
        self._settings, self._trouble = settings, trouble
        self._is_closed = False
        self._begin()
        _deliveries.add(self)

    def accept(self, entry: Entry) -> None:
        if self._is_closed:
            return self._trouble.note("The client is closed: rows are discarded.", lost_rows=entry.rows)
        if self._sender.is_retired:
            return None
        self._inbox.put(entry)
        return self.start()

    def start(self) -> None:
        if self._is_running:
            return
        with self._starting:
            if not self._is_running:
                self._is_running = True
                for thread in self._threads:
                    thread.start()

    def flush(self, timeout: float) -> None:
        """Return when all is at the server; NotDelivered with the reason when it is not."""
        is_through = self._wait(timeout, self._is_stuck)
        self._trouble.raise_for_lost_rows()
        if not is_through:
            raise NotDelivered(f"Rows are kept and sent later, but not delivered yet. {self._trouble.last_error or f'Waited {timeout} s.'}")

    def close(self, timeout: float = EXIT_SECONDS) -> None:
        """Bring all rows to the disk and, as far as time allows, to the server; never raises and never waits longer."""
        deadline = time.monotonic() + timeout
        self._is_closed = True
        _deliveries.discard(self)
        if not self._is_running:
            return
        self._wait(timeout, lambda: self._sender.setback is not None)
        for stop, thread in zip((self._writer.stop, self._sender.stop), self._threads, strict=True):
            stop()
            thread.join(max(0.05, deadline - time.monotonic()))

    def after_fork(self) -> None:
        """In the child: rows, files and threads of the parent stay the parent's."""
        self._spool.abandon()
        self._trouble.after_fork()
        self._begin()

    def _begin(self) -> None:
        settings = self._settings
        self._is_running = False
        self._starting = threading.Lock()
        self._progress = threading.Condition()
        self._inbox = Inbox(max_calls=settings.memory_calls, max_bytes=settings.memory_bytes)
        self._spool = Spool(settings.spools, settings.spool_bytes)
        self._writer = Writer(self._inbox, self._spool, self._trouble, self._progress)
        self._sender = Sender(settings, self._spool, self._trouble, self._progress)
        self._threads = (
            threading.Thread(target=self._writer.run, name="watchkeeper-writer", daemon=True),
            threading.Thread(target=self._sender.run, name="watchkeeper-sender", daemon=True),
        )

    def _wait(self, timeout: float, is_hopeless: Callable[[], bool]) -> bool:
        """Whether everything logged until now arrived. On disk it must be in any case; hopelessness only ends the wait for the server."""
        deadline = time.monotonic() + timeout
        calls = self._inbox.calls
        self.start()
        self._writer.hurry()
        self._sender.hurry()
        with self._progress:
            if not self._progress.wait_for(lambda: self._writer.calls_written >= calls, timeout):
                return False
            self._progress.wait_for(lambda: self._sender.has_adopted or is_hopeless(), deadline - time.monotonic())
            newest = self._spool.newest()
            self._progress.wait_for(lambda: self._is_through(newest) or is_hopeless(), deadline - time.monotonic())
            return self._is_through(newest)

    def _is_through(self, newest: str) -> bool:
        return self._sender.has_adopted and self._spool.is_clear_up_to(newest)

    def _is_stuck(self) -> bool:
        return self._sender.setback is Verdict.BLOCKED


class Discarding:
    """Stands in for a delivery when there is nowhere to deliver to, so that the caller's code runs without Watchkeeper."""

    def __init__(self, trouble: Trouble, problem: str) -> None:
        self._trouble, self._problem = trouble, problem

    def accept(self, entry: Entry) -> None:
        self._trouble.note(self._problem, lost_rows=entry.rows)

    def start(self) -> None: ...

    def flush(self, timeout: float) -> None:
        self._trouble.raise_for_lost_rows()

    def close(self) -> None: ...


def _close_all() -> None:
    """One bound for all clients together: an exit must not wait longer because there are many."""
    deadline = time.monotonic() + EXIT_SECONDS
    for delivery in list(_deliveries):
        delivery.close(max(0.0, deadline - time.monotonic()))


def _after_fork_in_child() -> None:
    for delivery in list(_deliveries):
        delivery.after_fork()


_deliveries: set[Delivery] = set()  # held until closed: a client that its owner forgot still has rows to bring home
atexit.register(_close_all)
if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_after_fork_in_child)
