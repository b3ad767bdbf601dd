"""Made-up outcomes for the examples of risks: counts drawn bin by bin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta

import numpy as np

from watchkeeper.analysis.columns import Floats, Ints
from watchkeeper.analysis.examples import MIDNIGHT, NOW
from watchkeeper.analysis.outcomes import OutcomeHistory, SegmentHistory, by_day
from watchkeeper.telemetry.outcome_queries import BINS, NUMBER_SUMS, OCTAVE, UNKNOWN, OutcomeKind
from watchkeeper.telemetry.outcomes import DayOutcomes

_SCORES = (np.arange(BINS) + 0.5) / BINS
_TODAY = MIDNIGHT.date()
Truth = Callable[[Floats], Floats]


def scored(
    back: int,
    rows: int = 1000,
    *,
    truth: Truth = lambda score: score,
    middle: float = 1.0,
    labelled: float = 1.0,
    delay: float = 0.5,
    version: str = "1",
    field: str = "",
    segment: str = "",
    seed: int = 0,
) -> DayOutcomes:
    """Decisions of the day `back` days ago. `truth` tells the share of positives at a score, `middle` > 1 puts more scores near 0.5.

    Labels of a share of the rows come `delay` days after the prediction, when that is over.
    """
    rng = np.random.default_rng([seed, back])
    weights = (_SCORES * (1 - _SCORES)) ** (middle - 1)
    n = rng.multinomial(rows, weights / weights.sum())
    told = rng.binomial(n, labelled if delay <= back else 0.0)
    positive = rng.binomial(told, np.clip(truth(_SCORES), 0, 1))
    counts = {UNKNOWN: n - told, 1: positive, 0: told - positive}
    cells = np.concatenate([_cells(label, count) for label, count in counts.items()])
    late = [[label, bucket_of(delay), float(counts[label].sum())] for label in (0, 1) if counts[label].sum()]
    return DayOutcomes(
        version=version,
        day=day_back(back),
        field=field,
        segment=segment,
        rows=rows,
        labelled=int(told.sum()),
        cells=cells[cells[:, 3] > 0],
        delays=np.array(late).reshape(-1, 3),
    )


def numbers(
    back: int, rows: int = 500, *, error: float = 0.0, sd: float = 1.0, naive_sd: float = 2.0, width: float = 3.92, seed: int = 0
) -> DayOutcomes:
    """A regression of the day `back` days ago: truths around 100, errors of mean `error`, an interval `width` wide, a simple model beside."""
    rng = np.random.default_rng([seed, back])
    y = rng.normal(100, 10, rows)
    e, b = rng.normal(error, sd, rows), rng.normal(0, naive_sd, rows)
    relative, covered = np.abs(e / y), (np.abs(e) <= width / 2).sum()
    sums = (
        rows, e.sum(), (e**2).sum(), (e**4).sum(), np.abs(e).sum(), rows, relative.sum(), (relative**2).sum(),
        rows, (b**2).sum(), (b**4).sum(), (e**2 * b**2).sum(), rows, covered, width * rows, width**2 * rows, y.sum(), (y**2).sum(),
        0, 0, 0,
    )  # fmt: skip
    assert len(sums) == len(NUMBER_SUMS)
    return DayOutcomes(
        version="1",
        day=day_back(back),
        field="",
        segment="",
        rows=rows,
        labelled=rows,
        cells=np.array([sums], dtype=np.float64),
        delays=np.array([[UNKNOWN, bucket_of(0.5), rows]], dtype=np.float64),
    )


def outcome_history(days: Iterable[DayOutcomes], *, kind: OutcomeKind = OutcomeKind.DECISIONS) -> OutcomeHistory:
    days = tuple(sorted(days, key=lambda entry: entry.day))
    return OutcomeHistory(now=NOW, kind=kind, days=days, ends=_ends(days))


def segment_history(days: Iterable[DayOutcomes], segments: Sequence[DayOutcomes] = ()) -> SegmentHistory:
    """The same with days of segments, as many fields as they name."""
    days = tuple(sorted(days, key=lambda entry: entry.day))
    grouped: dict[str, dict[str, list[DayOutcomes]]] = {}
    for entry in sorted(segments, key=lambda entry: entry.day):
        grouped.setdefault(entry.field, {}).setdefault(entry.segment, []).append(entry)
    by_field = {field: {name: by_day(entries) for name, entries in of_field.items()} for field, of_field in grouped.items()}
    return SegmentHistory(now=NOW, kind=OutcomeKind.DECISIONS, days=days, ends=_ends(days), segments=by_field)


def _cells(label: int, counts: Ints) -> Floats:
    s = counts * _SCORES
    columns = (np.arange(BINS) + 1.0, _SCORES >= 0.5, np.full(BINS, label), counts, s, s * (1 - _SCORES))
    return np.column_stack([np.asarray(column, dtype=np.float64) for column in columns])


def day_back(days: int) -> date:
    return _TODAY - timedelta(days=days)


def bucket_of(days: float) -> float:
    """That of a delay."""
    return float(np.floor(np.log2(1 + days * 86_400) * OCTAVE))


def _ends(days: Iterable[DayOutcomes]) -> dict[date, datetime]:
    return {entry.day: MIDNIGHT - timedelta(days=(_TODAY - entry.day).days - 1) for entry in days}
