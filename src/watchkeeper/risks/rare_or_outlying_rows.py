"""Rare or outlying rows.

More rows than usual are odd in several features at once: values beyond nearly all that the training showed, levels that are rare or new. Each
feature by itself may look as always; together they are cases for which the model has learned nothing. Test rows in production, a new population, a
record put together wrongly.
Of each row the unusual values are counted: numbers outside the span that holds all but the outer 0.05 % of the reference at either end, levels that
are not seen in the reference or are among its rarest, which together hold a thousandth of its rows. The share of rows with at least `least_values` of
them in the last closed days (`window`) is compared with that of the training rows, or of the model's own first four weeks when none were sent. It
fires when it has grown by `increase`, and by more than chance and the usual difference between days explain. Nulls are not unusual values: see
missing values. Of times and of categories with more than a thousand levels nothing is unusual; a number that only ever grows is in every row.
It is unknown while there is no reference or no closed day, when fewer features than `least_values` are numbers or categories, and when the last
predictions are too old.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from watchkeeper.analysis.columns import ColumnHistory, Ints, short_name
from watchkeeper.analysis.examples import NOW, UNUSUAL, history
from watchkeeper.analysis.unusual_rows import counted_columns, most_unusual, unusual_rows
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import FEWER_WHEN_HIGHER, PREDICTING_KINDS, Defaults, Example
from watchkeeper.risks._features import NOT_OVER, WindowParams, days_of, obstacle
from watchkeeper.telemetry.bins import FIRST, NUMBER_PLACES

NEEDS = ColumnHistory
MEASURES = "share"


class Params(WindowParams):
    least_values: int = Field(2, description=N_("With so many unusual values a row is unusual."), ge=1, le=100)
    increase: Annotated[float, FEWER_WHEN_HIGHER] = Field(
        0.01, description=N_("By how much the share of unusual rows must have grown (0.01 = one point)."), gt=0, le=1
    )


DEFAULTS = Defaults(schedule={"every": "6h"}, criticality=2)

PLAN = (
    N_("Look at some of the rows: impossible, put together wrongly, test data, or a true new kind of case?"),
    N_("Find what they have in common: caller, segment, hour, version of a source."),
    N_("Wrong: have the source repaired, and keep such rows from being decided automatically."),
    N_("True: have people decide them, look at the performance there, collect labels and train on them."),
)

KINDS = PREDICTING_KINDS


def evaluate(evidence: ColumnHistory, params: Params) -> Finding:
    counted = counted_columns(evidence)
    if problem := obstacle(evidence, counted, params.max_age):
        return problem
    if len(counted) < params.least_values:
        text = N_("{counted:integer} features are numbers or categories: no row can have {least:integer} unusual values")
        return Finding.unknown(Text(text, {"counted": len(counted), "least": params.least_values}))
    found = unusual_rows(evidence, least_values=params.least_values, window=params.window)
    if found is None:
        return Finding.unknown(Text(NOT_OVER))
    limit = min(1.0, found.usual + params.increase)
    facts: dict[str, Argument] = {
        "least": params.least_values,
        "share": found.share,
        "usual": found.usual,
        "limit": limit,
        "days": days_of(found.first, found.last),
    }
    if not (found.increase >= params.increase and found.p_value < params.alpha):
        text = N_("{share:share} of rows have {least:integer} or more unusual values, {days}; usual {usual:share}, limit {limit:share}")
        return Finding.quiet(Text(text, facts), value=found.share, limit=limit)
    parts = tuple(short_name(name) for name in most_unusual(evidence, alpha=params.alpha, window=params.window))
    if not parts:
        text = N_("{share:share} of rows have {least:integer} or more unusual values at once, {days}; usual {usual:share}, limit {limit:share}")
        return Finding.fired(Text(text, facts), value=found.share, limit=limit, since=evidence.ends[-1])
    text = N_(
        "{share:share} of rows have {least:integer} or more unusual values at once, {days}; usual {usual:share}, limit {limit:share};"
        " most often {features:list}"
    )
    return Finding.fired(Text(text, facts | {"features": list(parts)}), value=found.share, limit=limit, since=evidence.ends[-1], parts=parts)


def _rows(count: int, *, odd: float = 0.002, seed: int = 1) -> Ints:
    """Counts of rows with no, one or two unusual values."""
    counts = np.zeros(NUMBER_PLACES, dtype=np.int64)
    counts[FIRST : FIRST + 3] = np.random.default_rng(seed).multinomial(count, (0.97 - odd, 0.03, odd))
    return counts


def _days(days: int, rows: int, *, last: float) -> ColumnHistory:
    usual = [_rows(rows, seed=day) for day in range(days - 1)]
    return history(UNUSUAL, reference=_rows(10_000, seed=99), days=[*usual, _rows(rows, odd=last, seed=98)])


def examples() -> tuple[Example, ...]:
    return (
        Example(title=N_("as few unusual rows as in the training"), evidence=_days(30, 2000, last=0.002), outcome=Outcome.QUIET),
        Example(title=N_("a twentieth of the rows is unusual in two features"), evidence=_days(30, 2000, last=0.05), outcome=Outcome.FIRED),
        Example(title=N_("a third of a point more among very many rows"), evidence=_days(30, 200_000, last=0.005), outcome=Outcome.QUIET),
        Example(title=N_("two unusual rows of forty"), evidence=_days(30, 40, last=0.05), outcome=Outcome.QUIET),
        Example(
            title=N_("three unusual values asked for, of two features"),
            evidence=_days(30, 2000, last=0.05),
            params={"least_values": 3},
            outcome=Outcome.UNKNOWN,
        ),
        Example(title=N_("no reference and no predictions"), evidence=ColumnHistory(now=NOW), outcome=Outcome.UNKNOWN),
    )
