"""Windows of counted rows judged one by one against a reference: what the risks look for, told by column. Does not read rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta

import numpy as np

from watchkeeper.analysis.check_report import PROBLEMS, CheckLimits, ColumnReport, Difference, Problem, UnusualRows
from watchkeeper.analysis.columns import LEARN_DAYS, ColumnDays, ColumnHistory, Ints
from watchkeeper.analysis.drift import ColumnDrift, DriftLimits, column_drifts
from watchkeeper.analysis.scale import scale_changes
from watchkeeper.analysis.shapes import shape
from watchkeeper.analysis.shares import Places, column_shares, nulls, out_of_range, unseen
from watchkeeper.analysis.unusual_rows import counted_columns, most_unusual, unusual_rows
from watchkeeper.analysis.vectors import VectorDrift, vector_columns, vector_drifts
from watchkeeper.stats.drift import FLOORS, LARGE_PSI, LEAST_A_BIN, DriftTest, Verdict
from watchkeeper.telemetry.bins import ColumnCounts, Layout

SOME_DAY = date(2000, 1, 1)  # stands where nobody knows the day
LEAST_VALUES = 2  # that are unusual make a row unusual


@dataclass(frozen=True, kw_only=True, eq=False)
class Counted:
    """Counts of the reference, of `usual` days of it that tell how much days differ, and of the windows to be judged.

    `days` names the windows; empty when there is only one and it has no day.
    """

    layout: Layout
    reference: ColumnCounts
    windows: tuple[ColumnCounts, ...]
    usual: tuple[ColumnCounts, ...] = ()
    days: tuple[date, ...] = ()
    rows_without_day: int = 0


@dataclass(kw_only=True)
class _Column:
    """What the windows said of one column so far."""

    differences: dict[str, list[Difference]] = field(default_factory=dict)
    drifts: list[tuple[int, ColumnDrift]] = field(default_factory=list)
    judged: int = 0


def spread_over(days: Collection[int]) -> list[int]:
    """As many of the reference's days as tell how much days differ, taken by chance: any fixed step could leave a weekday out.

    >>> spread_over({3, 1, 2})
    [1, 2, 3]
    """
    ordered = np.array(sorted(days), dtype=np.int64)
    if len(ordered) <= LEARN_DAYS:
        return [int(day) for day in ordered]
    return sorted(np.random.default_rng(0).choice(ordered, LEARN_DAYS, replace=False).tolist())


def column_reports(counted: Counted, limits: CheckLimits, kinds: Mapping[str, str]) -> list[ColumnReport]:
    """Of each column: what was found in any window, and the window that moved most."""
    columns = {name: _Column() for name in kinds}
    with np.errstate(over="ignore", invalid="ignore"):  # squares of numbers beyond 1e154: their spread is not told
        for place in range(len(counted.windows)):
            _judge(_history(counted, place), place, limits, columns)
        return [_report(counted, limits, name, kinds[name], columns[name]) for name in kinds]


def rows_report(counted: Counted, limits: CheckLimits) -> UnusualRows | None:
    """Of rows with several unusual values at once: the window in which they became most, of those where they are more than usual if there is any."""
    if not counted.windows or len(counted_columns(_history(counted, 0))) < LEAST_VALUES:
        return None
    found = [unusual_rows(_history(counted, place), least_values=LEAST_VALUES, window=1) for place in range(len(counted.windows))]
    judged = {place: share for place, share in enumerate(found) if share is not None}
    grown = [place for place, share in judged.items() if share.increase >= limits.unusual and share.p_value < limits.alpha]
    worst = max(grown or judged, key=lambda place: judged[place].increase)
    return UnusualRows(
        share=judged[worst].share,
        usual=judged[worst].usual,
        limit=min(1.0, judged[worst].usual + limits.unusual),
        grown=len(grown),
        columns=most_unusual(_history(counted, worst), alpha=limits.alpha, window=1) if grown else (),
        day=counted.days[worst] if counted.days else None,
    )


def _history(counted: Counted, place: int) -> ColumnHistory:
    """One window as the last day of a history: before it the usual days, completed with the windows before it."""
    learned = (*counted.usual, *counted.windows[:place])[:LEARN_DAYS]
    counts = (*learned, counted.windows[place])
    last = counted.days[place] if counted.days else SOME_DAY
    days = tuple(last - timedelta(days=back) for back in reversed(range(len(counts))))  # only the last one is shown
    ends = tuple(datetime.combine(day, time.max, UTC) for day in days)
    return ColumnHistory(
        now=ends[-1],
        layout=counted.layout,
        reference=counted.reference,
        days=days,
        ends=ends,
        rows=np.array([entry.rows for entry in counts], dtype=np.int64),
        counts=np.array([entry.counts for entry in counts], dtype=np.int64),
        sums=np.array([entry.sums for entry in counts]),
    )


def _judge(history: ColumnHistory, place: int, limits: CheckLimits, columns: Mapping[str, _Column]) -> None:
    drift_limits = DriftLimits(alpha=limits.alpha, least_psi=limits.psi, least_distance=limits.distance)
    drifts = {drift.column: _limited(drift, limits) for drift in column_drifts(history, list(columns), drift_limits)}
    vectors = {drift.vector: drift for drift in vector_drifts(history, vector_columns(history), drift_limits, window=1)}
    drifts |= {name: _limited(drift.drifts[0], limits) for name, drift in vectors.items()}
    for name, drift in drifts.items():
        columns[name].drifts.append((place, drift))
    told = (*_drifted(drifts, vectors, limits), *_grown(history, columns, limits), *_rescaled(history, columns))
    for name, difference in told:
        columns[name].differences.setdefault(difference.problem, []).append(replace(difference, day=history.days[-1]))
    for name, column in columns.items():
        column.judged += _is_judged(drifts.get(name), int(history.rows[-1]))


def _limited(drift: ColumnDrift, limits: CheckLimits) -> ColumnDrift:
    """While it is unknown how much days differ, drift is told from a fixed PSI on: a higher limit that was asked for holds there too."""
    test = drift.test
    if test.verdict is Verdict.PRELIMINARY_DRIFT and test.psi < limits.psi:
        return replace(drift, test=replace(test, verdict=Verdict.PRELIMINARY))
    return drift


def psi_limit(test: DriftTest, limits: CheckLimits) -> float:
    """From where drift is big: while it is unknown how much days differ, only a large one is."""
    is_preliminary = test.verdict in (Verdict.PRELIMINARY, Verdict.PRELIMINARY_DRIFT)
    return max(limits.psi, LARGE_PSI, FLOORS * test.noise_floor) if is_preliminary else limits.psi


def _is_judged(drift: ColumnDrift | None, rows: int) -> bool:
    return drift.test.verdict is not Verdict.INSUFFICIENT if drift else rows >= 2 * LEAST_A_BIN


def _drifted(drifts: Mapping[str, ColumnDrift], vectors: Mapping[str, VectorDrift], limits: CheckLimits) -> Iterator[tuple[str, Difference]]:
    for name, drift in drifts.items():
        if not drift.test.verdict.fires:
            continue
        test = drift.test
        found = Difference(problem="feature_drift", value=test.psi, usual=test.noise_floor, limit=psi_limit(test, limits), distance=test.distance)
        if vector := vectors.get(name):
            found = replace(found, problem="vector_drift", measure=vector.measure, missing=vector.missing, usually_missing=vector.usually_missing)
        yield name, found


def _grown(history: ColumnHistory, columns: Collection[str], limits: CheckLimits) -> Iterator[tuple[str, Difference]]:
    """Shares of rows that grew beyond their limit and beyond chance, as the risks tell them."""
    kinds: tuple[tuple[Problem, Places, float], ...] = (
        ("missing_values", nulls, limits.nulls),
        ("new_categories", unseen, limits.unseen),
        ("out_of_range", out_of_range, limits.outside),
    )
    for problem, places, increase in kinds:
        for share in column_shares(history, columns, places):
            if share.increase >= increase and share.p_value < limits.alpha:
                limit = min(1.0, share.usual + increase)
                yield share.column, Difference(problem=problem, value=share.share, usual=share.usual, limit=limit)


def _rescaled(history: ColumnHistory, columns: Collection[str]) -> Iterator[tuple[str, Difference]]:
    for scale in scale_changes(history, columns):
        if scale.change:
            yield (
                scale.column,
                Difference(problem="unit_or_scale_change", value=float(scale.mean), usual=float(scale.usual), change=scale.change.words),
            )


def _report(counted: Counted, limits: CheckLimits, name: str, kind: str, found: _Column) -> ColumnReport:
    place, drift = max(found.drifts, key=_moved, default=(len(counted.windows) - 1, None))
    history = _history(counted, place)
    column = history.of(history.columns[name])
    current = column.counts[-1]
    return ColumnReport(
        column=name,
        kind=kind,
        differences=tuple(_worst(found.differences[problem], counted) for problem in PROBLEMS if problem in found.differences),
        bins=column.bins,
        test=drift.test if drift else None,
        p_value=drift.adjusted if drift else float("nan"),
        psi_limit=psi_limit(drift.test, limits) if drift else float("nan"),
        day=counted.days[place] if counted.days else None,
        judged=found.judged,
        rows=int(current.sum()),
        usual_nulls=_null_share(column, column.reference),
        nulls=_null_share(column, current),
        baseline_shape=shape(column, column.reference),
        current_shape=shape(column, current),
    )


def _moved(entry: tuple[int, ColumnDrift]) -> tuple[bool, bool, float]:
    test = entry[1].test
    return test.verdict.fires, test.verdict is not Verdict.INSUFFICIENT, float(np.nan_to_num(test.psi))


def _worst(differences: list[Difference], counted: Counted) -> Difference:
    worst = max(differences, key=lambda difference: np.nan_to_num(abs(difference.value - difference.usual)))
    return replace(worst, days=len(differences)) if counted.days else replace(worst, day=None)


def _null_share(column: ColumnDays, counts: Ints) -> float:
    return float(counts[column.bins.null_place] / counts.sum()) if counts.sum() else float("nan")
