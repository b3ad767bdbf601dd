"""Predictions as Arrow batches: rows per second until acknowledged, then until they lie in the Delta log, then until their profiles are there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPConnection
from uuid import uuid4

from bench._arrow_rows import COLUMNS, body
from bench._installation import connected, memory, set_up, web, worker
from bench._table import Row, at_least

ROWS, BATCHES_PER_MODEL, MODELS = 50_000, 5, 8
SENDERS = 2
DISTINCT = 4  # bodies; each is sent under many batch ids
PATIENCE = 60.0


def run() -> Iterator[Row]:
    set_up()
    tokens = [token for _, token in connected(MODELS + 1)]
    bodies = [body(ROWS, seed=seed) for seed in range(DISTINCT)]
    rows = ROWS * BATCHES_PER_MODEL * MODELS
    with web() as (server, port):
        _send(port, [tokens.pop()], bodies)  # the first answer pays for imports
        started = time.perf_counter()
        with ThreadPoolExecutor(SENDERS) as pool:
            list(pool.map(partial(_send, port, bodies=bodies), [[token] * BATCHES_PER_MODEL for token in tokens]))
        seconds = time.perf_counter() - started
        also = f" ({len(bodies[0]) * rows / ROWS / seconds / 2**20:,.0f} MB/s)"
        yield at_least(f"Arrow, {COLUMNS} columns, {ROWS:,} rows a batch: acknowledged", rows / seconds, 500_000, unit="rows/s", also=also)
        yield memory("Arrow: memory of web", server)
    with worker() as process:
        applied, profiled = _applied_and_profiled()
        yield at_least("Arrow: applied into the Delta log", rows / applied, 150_000, unit="rows/s")
        yield Row("Arrow: rows in the log turned into hourly profiles", f"{rows / profiled:,.0f} rows/s")
        yield memory("Arrow: memory of worker", process)


def _send(port: int, tokens: list[str], bodies: list[bytes]) -> None:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    for number, token in enumerate(tokens):
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/vnd.apache.arrow.stream",
            "Idempotency-Key": uuid4().hex,
        }
        connection.request("POST", "/api/v1/ingest/predictions", bodies[number % len(bodies)], headers)
        answer = connection.getresponse()
        if answer.status != 202:
            raise AssertionError(f"{answer.status}: {answer.read()[:500]!r}")
        answer.read()


def _applied_and_profiled() -> tuple[float, float]:
    """Seconds from the first group written down to the last batch applied, and from there to the last profile."""
    from watchkeeper.ingest.models import Batch, DirtyWindow

    _wait_for(lambda: Batch.objects.filter(log_group__isnull=False).exists())
    begun = time.perf_counter()
    _wait_for(lambda: not Batch.objects.filter(state=Batch.State.PENDING).exists())
    applied = time.perf_counter()
    _wait_for(lambda: not DirtyWindow.objects.exists())
    return applied - begun, time.perf_counter() - applied


def _wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError("The worker did not get there in time.")
        time.sleep(0.01)
