"""Outcomes: additive counts of predictions joined with their labels, per version, day and segment, computed from the log. Does not store them.

Labels are looked for from a day before the prediction until `label_days` after it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta, tzinfo
from functools import partial
from itertools import repeat
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from watchkeeper.telemetry.columns import CountRows
from watchkeeper.telemetry.days import DAY, RowsOf, Run, Wanted, ask, logged_kind, read, runs_of
from watchkeeper.telemetry.engines import Engine, Reading
from watchkeeper.telemetry.kinds import quantile_of
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.telemetry.outcome_queries import BINS, NO_SCORE, OCTAVE, UNKNOWN, CountOutcomes, DaysOfLabels, OfRows, OutcomeKind, sign_of
from watchkeeper.wire import Stream

Floats = NDArray[np.float64]
Key = tuple[str, date, str]  # version, day, segment

MOST_CLASSES = 50
MOST_SEGMENTS = 200  # of a field, the largest ones of the days that are counted together


@dataclass(frozen=True, kw_only=True, eq=False)
class DayOutcomes:
    """Predictions of one version on one day in one segment (`field` and `segment` are empty for all) and the labels that came for them.

    `cells` as OutcomeKind says. `delays` has rows of label (UNKNOWN unless positive or negative), delay bucket and n: see `delay_bounds`.
    `judged` are the bad and the valid predictions of the cells, as service levels count them, where somebody has counted them already.
    """

    version: str
    day: date
    field: str
    segment: str
    rows: int
    labelled: int
    cells: Floats
    delays: Floats
    classes: tuple[str, ...] = ()
    judged: tuple[float, float] | None = None


def day_outcomes(
    engine: Engine,
    log: TelemetryLog,
    model: UUID | str,
    kind: OutcomeKind,
    fields: Collection[str],
    days: Collection[date],
    zone: tzinfo,
    *,
    label_days: int,
    last_only: bool,
) -> list[DayOutcomes]:
    """Outcomes of the days that have rows, of all rows and by each segment field ("region" for the column `s.region`)."""
    predictions, labels = (log.schema(model, stream) for stream in (Stream.PREDICTIONS, Stream.LABELS))
    numbers = ("score", "score.naive", "score.low", "score.high")
    quantiles = [name for name in predictions.names if quantile_of(name)]
    columns = dict.fromkeys((*numbers, *quantiles), "float64") | {
        "query_id": "string",
        "rank": "float64",
        "prediction": logged_kind(predictions, "prediction"),
    }
    wanted = Wanted(stream=Stream.PREDICTIONS, columns=columns | {f"s.{field}": "string" for field in fields})
    found: list[DayOutcomes] = []
    for run in runs_of(days, zone):
        counted = partial(_counted, kind, ("", *fields), run, last_only)
        found += read(engine, log, model, run, wanted, label_wanted(labels, label_days), take=counted) or ()
    return found


def _counted(kind: OutcomeKind, fields: Collection[str], run: Run, last_only: bool, rows: Reading) -> list[DayOutcomes]:
    total = rows.run(CountRows(RowsOf(last_only)))
    versions = set(total["version"].to_pylist())
    only = versions.pop() if len(versions) == 1 else None
    of = OfRows(by_version=only is None, last_only=last_only)
    found: list[DayOutcomes] = []
    for field in fields if total.num_rows else ():
        of = replace(of, field=field)
        counted = rows.run(CountOutcomes(kind, of))
        if not of.last_label_only and int(_rows_of(_cells_of(counted)).sum()) > int(total["n"].to_numpy().sum()):
            of = replace(of, last_label_only=True)  # more joined rows than predictions: an id has several labels
            counted = rows.run(CountOutcomes(kind, of))
        found += _outcomes(kind, field, run, counted, only)
    return found


def count_decisions(scores: Floats, said: Sequence[object], labels: Sequence[object]) -> Floats:
    """Cells of OutcomeKind.DECISIONS of rows at hand, as CountDecisions makes them of the log. A score that is NaN is none.

    >>> count_decisions(np.array([0.2, 0.9, np.nan]), [None, "yes", True], [0, "yes", None]).tolist()
    [[-1.0, 1.0, -1.0, 1.0, 0.0, 0.0], [41.0, 0.0, 0.0, 1.0, 0.2, 0.16000000000000003], [181.0, 1.0, 1.0, 1.0, 0.9, 0.08999999999999998]]
    """
    has_score = np.isfinite(scores)
    inside = np.clip(np.floor(np.where(has_score, scores, 0.0) * BINS) + 1, 0, BINS + 1)
    code = np.where(np.isnan(scores), NO_SCORE, np.where(scores < 0, 0, np.where(scores > 1, BINS + 1, np.where(scores == 1, BINS, inside))))
    by_score = np.where(np.isnan(scores), UNKNOWN, scores >= 0.5)
    decision = np.array([by_score[place] if (sign := sign_of(given)) is None else sign for place, given in enumerate(said)], dtype=np.float64)
    label = np.array([UNKNOWN if (sign := sign_of(given)) is None else sign for given in labels], dtype=np.float64)
    keys, groups = np.unique(np.column_stack([code, decision, label]), axis=0, return_inverse=True)
    s = np.where(has_score, scores, 0.0)
    sums = [np.bincount(groups.ravel(), weights=weights, minlength=len(keys)) for weights in (np.ones(len(s)), s, s * (1 - s))]
    return np.column_stack([keys, *sums])


def label_wanted(labels: pa.Schema, label_days: int) -> Wanted:
    """The labels of a run's predictions."""
    label = {"label": logged_kind(labels, "label")}
    return Wanted(stream=Stream.LABELS, columns=label, before=DAY, after=timedelta(days=label_days))


def days_of_labels(
    engine: Engine, log: TelemetryLog, model: UUID | str, since: int, days: Collection[date], zone: tzinfo, *, label_days: int
) -> set[date]:
    """The days among those given whose predictions got a label in batch `since` or later."""
    found: set[date] = set()
    for run in runs_of(days, zone):
        labels = Wanted(stream=Stream.LABELS, columns={}, before=DAY, after=timedelta(days=label_days))
        answer = ask(engine, log, model, DaysOfLabels(since), run, Wanted(stream=Stream.PREDICTIONS, columns={}), labels)
        found |= {run.day(index) for index in answer["day"].to_pylist()} if answer else set()
    return found


def delay_bounds(buckets: Floats) -> Floats:
    """Seconds by which the labels of a bucket have come, at the latest.

    >>> delay_bounds(np.array([0, 16, 256])).round(2).tolist()
    [0.04, 1.09, 68436.53]
    """
    return np.asarray(2.0 ** ((buckets + 1) / OCTAVE) - 1)


def _outcomes(kind: OutcomeKind, field: str, run: Run, answer: pa.Table, only: str | None) -> Iterator[DayOutcomes]:
    """The answer of a run, split by version, day and segment; `only` is the version of all rows where there is one alone."""
    counted, delays = _cells_of(answer), answer.filter(pc.is_valid(answer["bucket"]))
    groups, delayed = (_by_key(table, run, only) for table in (counted, delays))
    kept = _largest(groups, counted) if field else {segment for _, _, segment in groups}
    classes = _classes(counted) if kind is OutcomeKind.CLASSES else ()
    cells, late = _cells(kind, counted, classes), _columns(delays, ("sign", "bucket", "n"))
    for key in sorted(groups):
        version, day, segment = key
        if segment not in kept or (field and not segment):
            continue
        part = groups[key]
        rows, labelled = _totals(kind, counted, cells, part)
        yield DayOutcomes(
            version=version,
            day=day,
            field=field,
            segment=segment,
            rows=rows,
            labelled=labelled,
            cells=cells[part].sum(axis=0, keepdims=True) if kind.sums else cells[part],
            delays=late[delayed.get(key, [])],
            classes=classes,
        )


def _totals(kind: OutcomeKind, counted: pa.Table, cells: Floats, part: list[int]) -> tuple[int, int]:
    if kind.sums:
        rows, labelled = (int(counted[name].to_numpy()[part].sum()) for name in ("rows", "labelled"))
        return rows, labelled
    n, label = (cells[part, 3], cells[part, 2]) if kind is OutcomeKind.DECISIONS else (cells[part, 2], cells[part, 1])
    return int(n.sum()), int(n[label != UNKNOWN].sum())


def _cells(kind: OutcomeKind, counted: pa.Table, classes: tuple[str, ...]) -> Floats:
    if kind is OutcomeKind.DECISIONS:
        return _columns(counted, ("code", "said", "sign", "n", "s", "spread"))
    if kind.sums:
        return _columns(counted, kind.sums)
    place = {name: index for index, name in enumerate(classes)} | {None: UNKNOWN}
    other = len(classes) - 1
    said, y = ([place.get(name, other) for name in counted[column].to_pylist()] for column in ("said", "y"))
    return np.column_stack([np.array(said, dtype=np.float64), np.array(y, dtype=np.float64), _columns(counted, ("n",))[:, 0]])


def _classes(counted: pa.Table) -> tuple[str, ...]:
    """The most frequent classes, and an empty one for all others."""
    frequent: dict[str, int] = defaultdict(int)
    for column in ("said", "y"):
        for name, n in zip(counted[column].to_pylist(), counted["n"].to_pylist(), strict=True):
            if name is not None:
                frequent[name] += n
    return (*sorted(frequent, key=lambda name: (-frequent[name], name))[:MOST_CLASSES], "")


def _largest(groups: Mapping[Key, list[int]], counted: pa.Table) -> set[str]:
    """The segments with most rows."""
    counts = _rows_of(counted)
    sizes: dict[str, int] = defaultdict(int)
    for (_, _, segment), part in groups.items():
        sizes[segment] += int(counts[part].sum())
    return set(sorted(sizes, key=lambda segment: (-sizes[segment], segment))[:MOST_SEGMENTS])


def _rows_of(counted: pa.Table) -> NDArray[np.int64]:
    return np.asarray(counted["rows" if "rows" in counted.column_names else "n"].to_numpy(), dtype=np.int64)


def _by_key(table: pa.Table, run: Run, version: str | None) -> dict[Key, list[int]]:
    """Places of the rows of each version, day and segment."""
    found: dict[Key, list[int]] = defaultdict(list)
    segments = table["segment"].to_pylist() if "segment" in table.column_names else repeat("", len(table))
    for index, (key, segment) in enumerate(zip(run.keys(table, version), segments, strict=True)):
        found[(*key, segment)].append(index)
    return found


def _cells_of(answer: pa.Table) -> pa.Table:
    """The part of an answer that is no delays."""
    return answer.filter(pc.is_null(answer["bucket"]))


def _columns(table: pa.Table, names: Iterable[str]) -> Floats:
    """Columns side by side; a sum of nothing is 0."""
    columns = [table[name].combine_chunks().to_numpy(zero_copy_only=False).astype(np.float64) for name in names]
    return np.asarray(np.nan_to_num(np.column_stack(columns), nan=0.0, posinf=np.inf, neginf=-np.inf))
