"""Constant prediction.

The model says the same to everybody. A default took its place, a feature that decides is null for all, or the service answers from a cache; from
outside everything looks alive.
It fires when one value makes up `max_share` of the predictions of the last closed days (`window`); of a score when so many lie in one of its 256
bins. Where the reference was as one-sided, its share is what the limit starts from: nine of ten "no" is usual for a rare event.
It is unknown while no day is over, when there were fewer rows than `min_rows`, and when the last predictions are too old.
"""

from __future__ import annotations

from pydantic import Field

from watchkeeper.analysis.columns import ColumnDays, ColumnHistory
from watchkeeper.analysis.examples import NOW, SCORE, history, normal
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import PREDICTING_KINDS, Defaults, Example
from watchkeeper.risks._features import WindowParams, obstacle

NEEDS = ColumnHistory
MEASURES = "share"


class Params(WindowParams):
    max_share: float = Field(0.98, description=N_("The share of one value from which it fires."), gt=0.5, le=1)
    min_rows: int = Field(50, description=N_("With fewer rows than this, one value may be chance."), ge=2)


DEFAULTS = Defaults(schedule={"every": "1h"}, criticality=3)

PLAN = (
    N_("Ask the service for two very different cases: does it answer the same?"),
    N_("Look for a feature that is null or constant since the same day."),
    N_("Look for a fallback, a cache, a default on error, a version that was swapped."),
    N_("Stop decisions that rest on it, or put the rule in force that was used before the model."),
)

KINDS = PREDICTING_KINDS


def evaluate(evidence: ColumnHistory, params: Params) -> Finding:
    names = [name for name in ("score", "prediction") if name in evidence.columns and evidence.columns[name].kind != "presence"]
    if problem := obstacle(evidence, names, params.max_age):
        return problem
    column = evidence.of(evidence.columns[names[0]])  # of a score more can be told than of its decision
    share, rows = _largest(column, params.window)
    if rows < params.min_rows:
        return Finding.unknown(
            Text(N_("{rows:integer} rows came in the window, needed to judge: {needed:integer}"), {"rows": rows, "needed": params.min_rows})
        )
    limit = max(params.max_share, (1 + _usual(column)) / 2)
    facts: dict[str, Argument] = {"share": share, "rows": rows, "column": names[0], "limit": limit, "last": str(evidence.days[-1])}
    text = Text(N_("{share:share} of {rows:integer} rows until {last} have the same {column}, limit {limit:share}"), facts)
    if share >= limit:
        return Finding.fired(text, value=share, limit=limit, since=evidence.ends[-1])
    return Finding.quiet(text, value=share, limit=limit)


def _largest(column: ColumnDays, window: int) -> tuple[float, int]:
    """The share of the most frequent place among what is not null, and how many rows that are."""
    counts = column.counts[-window:].sum(axis=0)[: column.bins.null_place]
    rows = int(counts.sum())
    return (float(counts.max()) / rows if rows else 0.0), rows


def _usual(column: ColumnDays) -> float:
    """The same of the reference; 0 when there is none but the days that are judged."""
    counts = column.sent[: column.bins.null_place]
    return float(counts.max() / counts.sum()) if counts.sum() else 0.0


def examples() -> tuple[Example, ...]:
    return (
        Example(title=N_("scores as different as ever"), evidence=history(SCORE, reference=None, days=[normal(500)]), outcome=Outcome.QUIET),
        Example(
            title=N_("every score is the same"),
            evidence=history(SCORE, reference=None, days=[normal(500, mean=0.01, sd=1e-4)]),
            outcome=Outcome.FIRED,
        ),
        Example(title=N_("ten predictions"), evidence=history(SCORE, reference=None, days=[normal(10, mean=0.01, sd=1e-4)]), outcome=Outcome.UNKNOWN),
        Example(title=N_("no predictions"), evidence=ColumnHistory(now=NOW), outcome=Outcome.UNKNOWN),
    )
