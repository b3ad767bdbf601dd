"""The thread between disk and network: one batch after the other, oldest first, the same bytes and id until the server has it."""

from __future__ import annotations

import codecs
import random
import ssl
import threading
import time
from collections.abc import Callable
from functools import cache

import httpx

from watchkeeper.client._answers import Verdict, answer, first_error, reason, retry_after, verdict
from watchkeeper.client._forks import held_back
from watchkeeper.client._settings import Settings
from watchkeeper.client._spool import Spool, Spooled
from watchkeeper.client._trouble import Trouble, in_words
from watchkeeper.client._wire import PREFIX

ADOPT_SECONDS = 5.0
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.5, 60.0
TIMEOUT = httpx.Timeout(30.0, connect=5.0)


@cache
def _certificates() -> ssl.SSLContext:
    """Reading them takes a tenth of a second: once per process is enough."""
    return httpx.create_ssl_context()


class Sender:
    """`setback` is why the last attempt since `hurry` did not get through; `flush` waits no longer when a person must act."""

    def __init__(self, settings: Settings, spool: Spool, trouble: Trouble, progress: threading.Condition) -> None:
        self.setback: Verdict | None = None
        self.has_adopted = self.is_retired = False
        self._settings, self._spool, self._trouble, self._progress = settings, spool, trouble, progress
        self._hurried = threading.Event()
        self._is_stopping = False
        self._retry_seconds = FIRST_RETRY_SECONDS
        self._adopt_at = 0.0
        self._settlements: dict[Verdict, Callable[[Spooled, httpx.Response], None]] = {
            Verdict.DELIVERED: self._delivered,
            Verdict.REFUSED: self._refused,
            Verdict.BLOCKED: self._blocked,
            Verdict.RETIRED: self._retired,
            Verdict.LATER: self._later,
        }

    def hurry(self) -> None:
        """Try now, whatever the back-off says."""
        with self._progress:
            self.setback = None
            self._hurried.set()
            self._progress.notify_all()

    def stop(self) -> None:
        self._is_stopping = True
        self.hurry()

    def run(self) -> None:
        while not self._is_stopping:
            try:
                self._send_all()
            except Exception as problem:  # the worker loop: a broken address, proxy or certificate setting may raise anything
                self._trouble.note(f"Cannot send: {in_words(problem)}")
                self._pause(Verdict.BLOCKED, LAST_RETRY_SECONDS)
        self._spool.close()

    def _send_all(self) -> None:
        with self._http() as http:
            while not self._is_stopping:
                self._round(http)

    def _http(self) -> httpx.Client:
        """Everything that the first request would import is imported here, where a fork waits for it."""
        headers = {"Authorization": f"Bearer {self._settings.token}", "User-Agent": "watchkeeper-python"}
        with held_back():
            codecs.lookup("idna")
            return httpx.Client(base_url=self._settings.url, headers=headers, timeout=TIMEOUT, verify=_certificates())

    def _round(self, http: httpx.Client) -> None:
        self._adopt_when_due()
        if self.is_retired:
            self._spool.clear()
        if (taken := self._spool.take()) is None:
            return self._idle()
        try:
            self._settle(taken, self._post(http, taken))
        except FileNotFoundError:
            self._trouble.note("A file of the spool has vanished.", lost_rows=taken.rows)
            self._spool.remove(taken)
        except (httpx.HTTPError, OSError) as problem:
            self._trouble.note(f"Cannot reach {self._settings.url}: {in_words(problem)}")
            self._hold(taken, Verdict.LATER, 0.0)

    def _settle(self, taken: Spooled, response: httpx.Response) -> None:
        self._settlements[verdict(response)](taken, response)
        self._tell_progress()

    def _post(self, http: httpx.Client, taken: Spooled) -> httpx.Response:
        headers = {"Content-Type": taken.media_type, "Idempotency-Key": taken.batch_id}
        return http.post(f"{PREFIX}/{taken.stream}", content=self._spool.body(taken), headers=headers)

    def _delivered(self, taken: Spooled, response: httpx.Response) -> None:
        self._retry_seconds = FIRST_RETRY_SECONDS
        told = answer(response)
        if told.get("rejected"):
            self._trouble.note(f"The server put rows of {taken.stream} into quarantine. The first: {first_error(told) or 'no reason given'}")
        self._spool.remove(taken)

    def _refused(self, taken: Spooled, response: httpx.Response) -> None:
        kept = self._spool.reject(taken)
        self._trouble.note(f"The server refused a batch of {taken.stream}: {reason(response)}. It is kept in {kept.parent}.", lost_rows=taken.rows)

    def _blocked(self, taken: Spooled, response: httpx.Response) -> None:
        self._trouble.note(f"The server does not let us in: {reason(response)}. Rows are kept; check WATCHKEEPER_URL and WATCHKEEPER_TOKEN.")
        self._hold(taken, Verdict.BLOCKED, LAST_RETRY_SECONDS)

    def _retired(self, taken: Spooled, response: httpx.Response) -> None:
        self.is_retired = True
        self._spool.give_back(taken)
        self._trouble.note("The model is retired at the server: logging has stopped and unsent rows are dropped.", lost_rows=self._spool.clear())

    def _later(self, taken: Spooled, response: httpx.Response) -> None:
        self._trouble.note(f"The server asks to try again later: {reason(response)}.")
        self._hold(taken, Verdict.LATER, retry_after(response))

    def _hold(self, taken: Spooled, setback: Verdict, at_least_seconds: float) -> None:
        """Wait before the next attempt: doubling, a little random (a fleet must not come back as one), or as long as was asked."""
        self._spool.give_back(taken)
        self._pause(setback, max(at_least_seconds, self._retry_seconds * random.uniform(0.8, 1.0)))  # noqa: S311 - not a secret
        self._retry_seconds = min(self._retry_seconds * 2, LAST_RETRY_SECONDS)

    def _pause(self, setback: Verdict, seconds: float) -> None:
        self.setback = setback
        self._tell_progress()
        self._hurried.wait(seconds)
        self._hurried.clear()

    def _tell_progress(self) -> None:
        with self._progress:
            self._progress.notify_all()

    def _idle(self) -> None:
        with self._progress:
            self._progress.wait_for(lambda: self._is_stopping or self._spool.has_waiting(), ADOPT_SECONDS)

    def _adopt_when_due(self) -> None:
        if time.monotonic() < self._adopt_at:
            return
        self._adopt_at = time.monotonic() + ADOPT_SECONDS
        try:
            self._spool.adopt()
        except OSError as problem:
            self._trouble.note(f"Cannot read the spool: {in_words(problem)}")
        self.has_adopted = True
        self._tell_progress()
