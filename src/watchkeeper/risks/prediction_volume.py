"""Unusual prediction volume.

The model is asked much less, or much more, than usual. Less: a caller was switched off or a filter before the model lets too little through.
More: a loop, a replay, or a new caller that nobody announced.
It counts the predictions of the last closed hours (`window`) and compares them with the median of the same hours of the week in the weeks
before, so a quiet Sunday is compared with Sundays. A window without a single prediction counts as zero.
It is unknown while the model has too short a history, and when so few predictions are usual that their number jumps by chance.
Hours are counted in UTC; in the weeks after the clocks change, the comparison is an hour off.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Annotated, Self

from pydantic import Field, model_validator

from watchkeeper.core.durations import Duration
from watchkeeper.core.evidence import Volumes, WindowCount
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import FEWER_WHEN_HIGHER, FEWER_WHEN_LOWER, PREDICTING_KINDS, Defaults, Example, RiskParams

NEEDS = Volumes

_HOUR, _WEEK = timedelta(hours=1), timedelta(weeks=1)


class Params(RiskParams):
    window: Duration = Field(timedelta(days=1), description=N_("How much time is counted: whole hours, from 1h to 168h."), ge=_HOUR, le=_WEEK)
    weeks: int = Field(4, description=N_("How many weeks before are looked at."), ge=1, le=52)
    min_weeks: int = Field(2, description=N_("How many of them must be known to judge."), ge=1)
    lower_ratio: Annotated[float, FEWER_WHEN_LOWER] = Field(0.5, description=N_("Fires below this share of what is usual."), ge=0, le=1)
    upper_ratio: Annotated[float, FEWER_WHEN_HIGHER] = Field(
        2.0, description=N_("Fires above this multiple of what is usual."), ge=1, allow_inf_nan=False
    )
    min_expected: float = Field(30, description=N_("With fewer usual predictions than this, their number says nothing."), gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _windows_fit(self) -> Self:
        if self.window % _HOUR:
            raise ValueError("window must be whole hours, for predictions are counted by the hour")
        if self.min_weeks > self.weeks:
            raise ValueError(f"min_weeks {self.min_weeks} must not exceed weeks {self.weeks}")
        return self


DEFAULTS = Defaults(schedule={"every": "1h"}, criticality=2)

PLAN = (
    N_("Find out whether the change was meant: a campaign, a holiday, a caller that moved away."),
    N_("Compare by caller, region or instance: which one sends less or more?"),
    N_("Fewer: look at the filters and joins before the model and at the quarantine."),
    N_("More: look for a retry loop or a replay, and whether rows come twice."),
)

KINDS = PREDICTING_KINDS


def evaluate(evidence: Volumes, params: Params) -> Finding:
    if evidence.first_at is None or not evidence.windows:
        return Finding.unknown(Text(N_("no prediction came in the last weeks")))
    end = evidence.now.replace(minute=0, second=0, microsecond=0)
    start = end - params.window
    # Before the oldest hour that was handed over nothing is known: absent hours there are not zeros.
    known_from = max(evidence.first_at, evidence.windows[0].start)
    same_phase = [start - week * _WEEK for week in range(1, params.weeks + 1) if start - week * _WEEK >= known_from]
    if len(same_phase) < params.min_weeks:
        text = Text(N_("weeks of history: {weeks:integer}, needed: {needed:integer}"), {"weeks": len(same_phase), "needed": params.min_weeks})
        return Finding.unknown(text)
    usual = median(_rows(evidence, begin, params.window) for begin in same_phase)
    if usual < params.min_expected:
        text = Text(
            N_("usual are {usual:number} predictions, too few to judge; needed: {needed:number}"), {"usual": usual, "needed": params.min_expected}
        )
        return Finding.unknown(text)
    return _grade(_rows(evidence, start, params.window), usual, end, params)


def _rows(evidence: Volumes, begin: datetime, window: timedelta) -> int:
    return sum(hour.rows for hour in evidence.windows if begin <= hour.start < begin + window)


def _grade(rows: int, usual: float, end: datetime, params: Params) -> Finding:
    lower, upper = usual * params.lower_ratio, usual * params.upper_ratio
    limit = upper if rows > usual else lower
    facts: dict[str, Argument] = {
        "rows": rows,
        "window": params.window.total_seconds(),
        "end": end.isoformat(),
        "share": rows / usual,
        "usual": usual,
        "limit": limit,
    }
    template = N_("{rows:integer} predictions in {window:duration} until {end:time}: {share:share} of the usual {usual:number}, limit {limit:number}")
    if lower <= rows <= upper:
        return Finding.quiet(Text(template, facts), value=rows, limit=limit)
    return Finding.fired(Text(template, facts), value=rows, limit=limit, since=end)


_NOW = datetime(2026, 11, 22, 12, 20, tzinfo=UTC)


def _daily(*, days: int, usual: int, today: int) -> Volumes:
    """One run a day at nine; `today` is the last one."""
    nine = _NOW.replace(hour=9, minute=0)
    counts = [usual] * days + [today]
    hours = [WindowCount(start=nine - timedelta(days=days - day), rows=rows) for day, rows in enumerate(counts)]
    return Volumes(now=_NOW, windows=tuple(hour for hour in hours if hour.rows), first_at=hours[0].start)


def examples() -> tuple[Example, ...]:
    return (
        Example(title=N_("a day like the same day of the weeks before"), evidence=_daily(days=35, usual=480, today=510), outcome=Outcome.QUIET),
        Example(title=N_("a quarter of the usual"), evidence=_daily(days=35, usual=480, today=120), outcome=Outcome.FIRED),
        Example(title=N_("nothing at all, where there used to be predictions"), evidence=_daily(days=35, usual=480, today=0), outcome=Outcome.FIRED),
        Example(
            title=N_("three times the usual"),
            evidence=_daily(days=35, usual=480, today=1440),
            outcome=Outcome.FIRED,
        ),
        Example(title=N_("the model predicts for five days only"), evidence=_daily(days=5, usual=480, today=120), outcome=Outcome.UNKNOWN),
        Example(title=N_("twelve predictions a day"), evidence=_daily(days=35, usual=12, today=2), outcome=Outcome.UNKNOWN),
    )
