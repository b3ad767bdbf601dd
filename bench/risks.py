"""Every risk of one model, evaluated from a year of stored profiles: 25 columns, labelled decisions, two segment fields. One process, SQLite."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pyarrow as pa

from bench._installation import set_up
from bench._table import Row, at_most

if TYPE_CHECKING:
    from watchkeeper.registry.models import RegisteredModel
    from watchkeeper.telemetry.outcomes import DayOutcomes

DAYS, A_DAY, NUMBERS, LEVELS = 365, 2000, 20, (5, 10, 20, 50, 100)
SEGMENTS = {"region": ("north", "south", "east", "west"), "channel": ("web", "phone", "branch")}
ROUNDS = 15
GOAL_MS = 50.0
READING = "reading"
ASKED = {"metric_out_of_bounds": {"metric": "mape", "upper": 1}, "event_reported": {"type": "outage"}}  # parameters without a default
Done = TypeVar("Done")


def run() -> Iterator[Row]:
    set_up()
    now = datetime.now(UTC)
    model = _model(now)
    from watchkeeper import risks
    from watchkeeper.core.finding import Outcome
    from watchkeeper.core.garbage import collect_seldom
    from watchkeeper.monitoring.evaluation import read_evidence
    from watchkeeper.monitoring.evidence import load_evidence

    types = [type for type in risks.catalogue().values() if type.fits(kind=model.kind, problem_type=model.problem_type)]
    collect_seldom()  # as the worker does
    needed = {type.needs: [model.id] for type in types}
    rounds: list[dict[str, float]] = []
    judged = 0
    for _ in range(ROUNDS):
        seconds, evidence = _timed(read_evidence, needed, now=now)
        spent, judged = {READING: seconds}, 0
        for type in types:
            spent[type.key], findings = _timed(type.findings, evidence[type.needs][model.id], type.parse_params(ASKED.get(type.key, {})))
            judged += any(finding.outcome is not Outcome.UNKNOWN for finding in findings)
        rounds.append(spent)
    best, usual = (1000 * of(sum(spent.values()) for spent in rounds) for of in (min, median))
    least = {name: min(spent[name] for spent in rounds) for name in rounds[0]}
    read = least.pop(READING)
    loads = {kind.__name__: min(_timed(load_evidence, kind, [model.id], now=now)[0] for _ in range(ROUNDS)) for kind in needed}
    what = f"risks: all {len(types)} of a model ({judged} can judge) from {DAYS} days of {NUMBERS + len(LEVELS)} columns and labels"
    yield at_most(what, best, GOAL_MS, unit="ms", also=f", {1000 * read:.1f} of it reading; half of {ROUNDS} rounds {usual:.1f} ms")
    yield Row("risks: slowest to read, each by itself", _slowest(loads))
    yield Row("risks: slowest to judge", _slowest(least))


def _slowest(seconds: dict[str, float]) -> str:
    return ", ".join(f"{name} {1000 * spent:.1f} ms" for name, spent in sorted(seconds.items(), key=lambda entry: -entry[1])[:6])


def _timed(work: Callable[..., Done], *given: object, **named: object) -> tuple[float, Done]:
    start = perf_counter()
    done = work(*given, **named)
    return perf_counter() - start, done


def _model(now: datetime) -> RegisteredModel:
    from watchkeeper.accounts import queries as accounts
    from watchkeeper.registry.models import RegisteredModel

    model = RegisteredModel.objects.create(
        name="A year", unit=accounts.root_unit(), created_at=now - timedelta(days=DAYS), kind="model", problem_type="binary"
    )
    days = [now.date() - timedelta(days=back) for back in range(DAYS, 0, -1)]
    _columns(model, days, now)
    _outcomes(model, days)
    return model


def _columns(model: RegisteredModel, days: Sequence[date], now: datetime) -> None:
    from watchkeeper.ingest.models import ColumnProfile, ProfileBins
    from watchkeeper.telemetry.bins import count_rows, make_bins, pack

    chance = np.random.default_rng(1)
    reference = _rows(chance, 20_000)
    layout = make_bins(reference)
    counted = count_rows(layout, reference)
    columns = [column.as_json() for column in layout.columns]
    bins = ProfileBins.objects.create(model=model, number=1, made_at=now, columns=columns, rows=counted.rows, counts=pack(counted))
    ColumnProfile.objects.bulk_create(
        ColumnProfile(bins=bins, version="1", day=day, rows=A_DAY, counts=pack(count_rows(layout, _rows(chance, A_DAY)))) for day in days
    )


def _rows(chance: np.random.Generator, rows: int) -> pa.Table:
    columns: dict[str, pa.Array] = {}
    for n in range(NUMBERS):
        columns[f"f.{n}"] = pa.array(chance.normal(size=rows) if n % 2 else chance.lognormal(size=rows))
    for n, levels in enumerate(LEVELS, start=NUMBERS):
        columns[f"f.{n}"] = pa.array([f"level {k}" for k in range(levels)]).take(pa.array(chance.integers(0, levels, rows)))
    columns["score"] = pa.array(chance.uniform(size=rows))
    columns["prediction"] = pa.array([str(decision) for decision in columns["score"].to_numpy() > 0.5])
    return pa.table(columns)


def _outcomes(model: RegisteredModel, days: Sequence[date]) -> None:
    from watchkeeper.analysis.outcome_examples import scored
    from watchkeeper.ingest.outcomes import replace_outcomes
    from watchkeeper.telemetry.outcome_queries import OutcomeKind

    counted: list[DayOutcomes] = []
    for seed, day in enumerate(days):
        of_day = [scored(len(days) - seed, A_DAY, delay=7.0, seed=seed)]
        for field, segments in SEGMENTS.items():
            part = A_DAY // len(segments)
            of_day += [scored(len(days) - seed, part, delay=7.0, field=field, segment=name, seed=seed) for name in segments]
        counted += [replace(entry, day=day) for entry in of_day]
    replace_outcomes(model.id, OutcomeKind.DECISIONS, days, counted)
