"""Random predictions of some days, for people to label, and the labels that came for them. Chooses no days."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta, tzinfo
from uuid import UUID

import ibis
import ibis.expr.types as ir
import numpy as np

from watchkeeper.telemetry.columns import CountRows
from watchkeeper.telemetry.days import DAY, RowsOf, Run, Wanted, ask, logged_kind, rows_of_days, runs_of
from watchkeeper.telemetry.engines import Engine
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.telemetry.outcome_queries import UNKNOWN, is_positive
from watchkeeper.wire import Stream


@dataclass(frozen=True, kw_only=True)
class DrawnRow:
    """A prediction to be labelled: its decision (1, 0, or None), its score, and its segments by field."""

    id: str
    day: date
    said: int | None
    score: float | None
    segments: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class DrawRows:
    """`size` rows of [first, end) at random, each as likely as any other."""

    size: int
    fields: tuple[str, ...] = ()
    last_only: bool = False

    def __call__(self, log: ir.Table) -> ir.Table:
        said = ibis.coalesce(is_positive(log.prediction), (log.score >= 0.5).cast("int8"), UNKNOWN).cast("int8")
        segments = {f"s.{field}": log[f"s.{field}"].fill_null("") for field in self.fields}
        rows = rows_of_days(log, RowsOf(self.last_only), id=log.id, said=said, score=log.score, **segments)
        return rows.select("id", "day", "said", "score", *segments).order_by(ibis.random()).limit(self.size)


@dataclass(frozen=True)
class LabelsOf:
    """Every label that came for these ids: 1, 0, or null for what is neither, and when it became known."""

    ids: tuple[str, ...]

    def __call__(self, labels: ir.Table) -> ir.Table:
        told = labels.filter(labels.id.isin(self.ids) & labels.label.notnull())
        return told.select("id", "timestamp", "batch", "row", y=is_positive(told.label))


def draw_rows(
    engine: Engine,
    log: TelemetryLog,
    model: UUID | str,
    days: Collection[date],
    zone: tzinfo,
    *,
    size: int,
    fields: Sequence[str],
    last_only: bool,
    chance: np.random.Generator,
) -> tuple[list[DrawnRow], int]:
    """Up to `size` rows of the days, ordered by day and id, and of how many they were drawn."""
    columns = {"score": "float64", "prediction": logged_kind(log.schema(model, Stream.PREDICTIONS), "prediction")}
    wanted = Wanted(stream=Stream.PREDICTIONS, columns=columns | {f"s.{field}": "string" for field in fields})
    runs = [(run, _rows(engine, log, model, run, last_only)) for run in runs_of(days, zone)]
    total = sum(rows for _, rows in runs)
    shares = chance.multivariate_hypergeometric([rows for _, rows in runs], min(size, total)).tolist() if total else [0] * len(runs)
    drawn: list[DrawnRow] = []
    for (run, _), share in zip(runs, shares, strict=True):
        if share:
            answer = ask(engine, log, model, DrawRows(size=share, fields=tuple(fields), last_only=last_only), run, wanted)
            drawn += [_drawn(row, run, fields) for row in answer.to_pylist()] if answer else []
    return sorted(drawn, key=lambda row: (row.day, row.id)), total


def labels_of(
    engine: Engine, log: TelemetryLog, model: UUID | str, ids: Collection[str], days: Collection[date], zone: tzinfo, *, label_days: int
) -> dict[str, int]:
    """The label of each id that has one which is positive (1) or negative (0): the one known last."""
    wanted = Wanted(
        stream=Stream.LABELS,
        columns={"label": logged_kind(log.schema(model, Stream.LABELS), "label")},
        before=DAY,
        after=timedelta(days=label_days),
    )
    found: dict[str, tuple[tuple[object, ...], int | None]] = {}
    for run in runs_of(days, zone):
        answer = ask(engine, log, model, LabelsOf(tuple(sorted(ids))), run, wanted)
        for row in answer.to_pylist() if answer else []:
            place = row["timestamp"], row["batch"], row["row"]
            if row["id"] not in found or found[row["id"]][0] < place:
                found[row["id"]] = place, row["y"]
    return {id: y for id, (_, y) in found.items() if y is not None}


def _rows(engine: Engine, log: TelemetryLog, model: UUID | str, run: Run, last_only: bool) -> int:
    counted = ask(engine, log, model, CountRows(RowsOf(last_only)), run, Wanted(stream=Stream.PREDICTIONS, columns={}))
    return int(counted["n"].to_numpy().sum()) if counted is not None else 0


def _drawn(row: dict[str, object], run: Run, fields: Sequence[str]) -> DrawnRow:
    said, score = int(str(row["said"])), row["score"]
    return DrawnRow(
        id=str(row["id"]),
        day=run.day(int(str(row["day"]))),
        said=None if said == UNKNOWN else said,
        score=float(str(score)) if score is not None else None,
        segments={field: str(row[f"s.{field}"]) for field in fields},
    )
