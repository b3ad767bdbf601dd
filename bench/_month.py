"""One cold process of `bench.month`: counts a month of a log and judges each of its days. Prints JSON: what it took and what it found.

`python -m bench._month LOG what`; `what` is "all", or a part: "columns", "joined", "repeated" (the columns of the same files ten times over).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from time import perf_counter
from typing import TypeVar

import numpy as np
import pyarrow.parquet as pq

from bench import _generated as generated
from watchkeeper.analysis.columns import ColumnHistory
from watchkeeper.analysis.estimates import estimator_of
from watchkeeper.analysis.metrics import score_table
from watchkeeper.analysis.outcomes import SegmentHistory
from watchkeeper.core.finding import Outcome
from watchkeeper.risks import get as risk
from watchkeeper.stats.performance import roc_auc
from watchkeeper.telemetry import engines
from watchkeeper.telemetry.bins import count_rows, make_bins
from watchkeeper.telemetry.columns import DayProfile, column_profiles
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.telemetry.outcome_queries import OutcomeKind
from watchkeeper.telemetry.outcomes import DayOutcomes, day_outcomes
from watchkeeper.wire import Stream

MODEL = "00000000-0000-4000-8000-000000000001"
SENT = "reference.parquet"
DAY = timedelta(days=1)
QUALITY = ("feature_drift", "prediction_drift", "missing_values", "new_categories", "out_of_range", "unit_or_scale_change")
TIMES = 10
Done = TypeVar("Done")


class Repeated(TelemetryLog):
    """Each file read ten times over."""

    def files(self, model: object, stream: Stream, start: date, end: date) -> list[str]:
        return super().files(MODEL, stream, start, end) * TIMES


def main(folder: Path, what: str) -> None:
    log = (Repeated if what == "repeated" else TelemetryLog)(folder)
    layout = make_bins(sent := pq.read_table(folder / SENT))
    engine = engines.get("duckdb").connect(memory_mb=512, threads=2)  # as settings.profile_memory_mb
    before, month = ([first + n * DAY for n in range(generated.DAYS)] for first in (generated.REFERENCE_FROM, generated.ANALYSIS_FROM))

    def columns(days: list[date]) -> list[DayProfile]:
        return column_profiles(engine, log, MODEL, layout, days, UTC, last_only=False)

    def outcomes(days: list[date]) -> list[DayOutcomes]:
        return day_outcomes(engine, log, MODEL, OutcomeKind.DECISIONS, (), days, UTC, label_days=30, last_only=False)

    told: dict[str, float] = {}
    if what != "joined":
        told["columns"], counted = timed(lambda: columns(month))
    if what in ("all", "joined"):
        told["outcomes"], labelled = timed(lambda: outcomes(month))
    if what == "all":
        usual, known = columns(before), outcomes(before)
        history = _history([*usual, *counted])
        history = ColumnHistory(layout=layout, reference=count_rows(layout, sent), **history)
        told["judged"], told["found"] = timed(lambda: _alarms(history, month))
        told["estimated"], told["apart"] = timed(lambda: _apart([*known, *labelled], month))
    if what == "columns":
        told["day"], _ = timed(lambda: columns(month[-1:]))
        outcomes(month[:1])  # as on top of a year: its queries are written
        told["labelled_day"], _ = timed(lambda: outcomes(month[-1:]))
    sys.stdout.write(json.dumps(told))


def timed(work: Callable[[], Done]) -> tuple[float, Done]:
    start = perf_counter()
    done = work()
    return perf_counter() - start, done


def _end(day: date) -> datetime:
    return datetime.combine(day + DAY, time(), UTC)


def _history(seen: list[DayProfile]) -> dict[str, object]:
    return {
        "now": _end(seen[-1].day),
        "days": tuple(profile.day for profile in seen),
        "ends": tuple(_end(profile.day) for profile in seen),
        "rows": np.array([profile.counts.rows for profile in seen]),
        "counts": np.array([profile.counts.counts for profile in seen]),
        "sums": np.array([profile.counts.sums for profile in seen]),
    }


def _alarms(history: ColumnHistory, days: list[date]) -> int:
    """Drift and quality of every day when it was over: how many of the planted column-days were found."""
    found = set()
    for place, day in enumerate(days):
        known = history.at(_end(day))
        for key in QUALITY:
            kind = risk(key)
            for finding in kind.findings(known, kind.parse_params({})):
                if finding.outcome is Outcome.FIRED and place >= generated.DRIFT_FROM:
                    found |= {(part, day) for part in finding.parts if part in generated.DRIFTED}
    return len(found)


def _apart(entries: list[DayOutcomes], days: list[date]) -> float:
    """ROC AUC of every day, realised and estimated: how far apart they are on average."""
    ends = {entry.day: _end(entry.day) for entry in entries}
    history = SegmentHistory(now=_end(days[-1]) + DAY, kind=OutcomeKind.DECISIONS, days=tuple(entries), ends=ends)
    estimator = estimator_of(history)
    assert estimator is not None
    realised = [roc_auc(score_table(history.of([day]))).estimate for day in days]
    return float(np.mean([abs(estimator.estimate("roc_auc", [day]).estimate - truth) for day, truth in zip(days, realised, strict=True)]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
