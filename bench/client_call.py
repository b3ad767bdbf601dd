"""What one call of the SDK costs the caller, while the server is away and the spool works."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pandas as pd

import watchkeeper
from bench._table import Row, percentiles

FEATURES = 20


def run() -> Iterator[Row]:
    row = {"id": "a1b2c3", "prediction": "buy", "score": 0.5, "features": {f"x{n}": n * 1.5 for n in range(FEATURES)}}
    frames = {rows: pd.DataFrame(np.random.default_rng(7).random((rows, FEATURES))).assign(id=range(rows)) for rows in (1_000, 100_000)}
    with watchkeeper.connect("http://127.0.0.1:9", "wk_bench_x", spool=os.environ["TMPDIR"]) as model:
        model.heartbeat()
        yield _cost("SDK, for comparison: json.dumps of the row, 1 ms apart", lambda: json.dumps(row), times=4_000, pause=0.001)
        yield _cost(f"SDK, one row of {FEATURES} features, 1 ms apart", lambda: model.log_predictions(row), times=4_000, pause=0.001)
        yield _cost(f"SDK, one row of {FEATURES} features, without a pause", lambda: model.log_predictions(row), times=20_000)
        for rows, frame in frames.items():
            yield _cost(f"SDK, a pandas frame of {rows:,} x {FEATURES}", partial(model.log_predictions, frame), times=15, pause=0.2)


def _cost(what: str, call: Callable[[], object], *, times: int, pause: float = 0.0) -> Row:
    """`pause` imitates a service between two requests; without it the caller fights the background threads for the interpreter."""
    durations = []
    for _ in range(times):
        started = time.perf_counter_ns()
        call()
        durations.append((time.perf_counter_ns() - started) / 1000)
        if pause:
            time.sleep(pause)
    p50, p99 = percentiles(durations, 50, 99)
    return Row(what, f"half {p50:,.0f} µs, 99 of 100 {p99:,.0f} µs")
