"""What one call of the SDK costs the caller, while the server is away and the spool works. Run: python bench/client_call.py"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

import watchkeeper

FEATURES = 20


def measure(name: str, call: Callable[[], object], *, times: int, pause: float = 0.0) -> None:
    """`pause` imitates a service between two requests; without it the caller fights the background threads for the interpreter."""
    durations = []
    for _ in range(times):
        started = time.perf_counter_ns()
        call()
        durations.append(time.perf_counter_ns() - started)
        if pause:
            time.sleep(pause)
    p50, p99 = np.percentile(durations, [50, 99]) / 1000
    sys.stdout.write(f"{name:<52} p50 {p50:>10.1f} µs   p99 {p99:>10.1f} µs   max {max(durations) / 1000:>10.1f} µs\n")


def main() -> None:
    row = {"id": "a1b2c3", "prediction": "buy", "score": 0.5, "features": {f"x{n}": n * 1.5 for n in range(FEATURES)}}
    frames = {rows: pd.DataFrame(np.random.default_rng(7).random((rows, FEATURES))).assign(id=range(rows)) for rows in (1_000, 100_000)}
    with tempfile.TemporaryDirectory() as spool, watchkeeper.connect("http://127.0.0.1:9", "wk_bench_x", spool=spool) as model:
        model.heartbeat()
        measure("for comparison: json.dumps of the row, 1 ms apart", lambda: json.dumps(row), times=5_000, pause=0.001)
        measure(f"one row of {FEATURES} features, 1 ms apart", lambda: model.log_predictions(row), times=5_000, pause=0.001)
        measure(f"one row of {FEATURES} features, without a pause", lambda: model.log_predictions(row), times=50_000)
        for rows, frame in frames.items():
            measure(f"a pandas frame of {rows:,} × {FEATURES}", lambda frame=frame: model.log_predictions(frame), times=20, pause=0.2)  # type: ignore[misc] # a default is the binding


if __name__ == "__main__":
    main()
