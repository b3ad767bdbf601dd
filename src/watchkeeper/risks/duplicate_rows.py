"""Duplicate rows.

Predictions come twice under one id: a retry loop, a replay, a job that ran two times. Counts and shares are taken of the last received row of
each id, so nothing is doubled here; wherever else the predictions go, they may be.
It counts the last full hours (`window`). It is unknown while no prediction came in it, and when there were too few.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import Field

from watchkeeper.core.durations import Duration
from watchkeeper.core.evidence import Volumes, WindowCount
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import FEWER_WHEN_HIGHER, PREDICTING_KINDS, Defaults, Example, RiskParams

NEEDS = Volumes
MEASURES = "share"


class Params(RiskParams):
    window: Duration = Field(timedelta(days=1), description=N_("How much time is counted, until the last full hour."), ge=timedelta(hours=1))
    max_share: Annotated[float, FEWER_WHEN_HIGHER] = Field(0.01, description=N_("The share of rows sent again from which it fires."), ge=0, lt=1)
    min_rows: int = Field(100, description=N_("With fewer rows than this, one repeat says nothing."), ge=1)


DEFAULTS = Defaults(schedule={"every": "1h"}, criticality=1)

PLAN = (
    N_("Find the caller: do the repeats come from one instance, one hour, one run?"),
    N_("Look for retries without the same batch id, for a job that was started twice, for a replay."),
    N_("Find out what else the doubled predictions set off: letters, offers, payments."),
)

KINDS = PREDICTING_KINDS


def evaluate(evidence: Volumes, params: Params) -> Finding:
    end = evidence.now.replace(minute=0, second=0, microsecond=0)
    hours = [hour for hour in evidence.windows if end - params.window <= hour.start < end]
    again, rows = sum(hour.duplicates for hour in hours), sum(hour.rows + hour.duplicates for hour in hours)
    if rows < params.min_rows:
        text = Text(N_("{rows:integer} rows came in the window, needed to judge: {needed:integer}"), {"rows": rows, "needed": params.min_rows})
        return Finding.unknown(text)
    share = again / rows
    facts: dict[str, Argument] = {"again": again, "rows": rows, "share": share, "limit": params.max_share, "end": end.isoformat()}
    text = Text(N_("{again:integer} of {rows:integer} rows until {end:time} were sent again: {share:share}, limit {limit:share}"), facts)
    if share > params.max_share:
        return Finding.fired(text, value=share, limit=params.max_share, since=end)
    return Finding.quiet(text, value=share, limit=params.max_share)


_NOW = datetime(2026, 11, 22, 12, 20, tzinfo=UTC)


def _volumes(rows: int, again: int) -> Volumes:
    start = datetime(2026, 11, 22, 9, tzinfo=UTC)
    return Volumes(now=_NOW, windows=(WindowCount(start=start, rows=rows, duplicates=again),), first_at=start)


def examples() -> tuple[Example, ...]:
    return (
        Example(title=N_("every id once"), evidence=_volumes(1000, 0), outcome=Outcome.QUIET),
        Example(title=N_("a fifth came twice"), evidence=_volumes(1000, 200), outcome=Outcome.FIRED),
        Example(title=N_("one repeat among forty rows"), evidence=_volumes(39, 1), outcome=Outcome.UNKNOWN),
        Example(title=N_("no predictions"), evidence=Volumes(now=_NOW), outcome=Outcome.UNKNOWN),
    )
