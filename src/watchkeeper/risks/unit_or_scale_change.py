"""Unit or scale change.

A feature has kept its name and changed its meaning: cents instead of euros, metres instead of kilometres, Fahrenheit instead of Celsius, a sign
turned round. The model takes the numbers as before and is wrong for every row.
Mean and standard deviation of each number's last closed days (`window`) are compared with those of the training, or of the model's own first
four weeks when none were sent. It fires when a usual conversion (powers of ten, a sign, temperature, miles, inches, pounds) explains both within
`tolerance`, and staying in the old unit does not. Any other difference is drift, and left to feature drift. A change that concerns only some
callers shows there too.
It is unknown while there is no reference or no closed day, when there are fewer rows than `min_rows`, and when the last predictions are too old.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from watchkeeper.analysis.columns import ColumnHistory, short_name
from watchkeeper.analysis.examples import AGE, NOW, history, normal
from watchkeeper.analysis.scale import scale_changes
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import FEWER_WHEN_LOWER, PREDICTING_KINDS, Defaults, Example
from watchkeeper.risks._features import FeatureParams, days_of, obstacle, wanted

NEEDS = ColumnHistory
MEASURES = "integer"


class Params(FeatureParams):
    tolerance: Annotated[float, FEWER_WHEN_LOWER] = Field(
        0.1, description=N_("How closely a conversion must fit: of the spread as a share, of the mean in standard deviations."), gt=0, le=0.5
    )
    min_rows: int = Field(100, description=N_("With fewer rows than this, means jump by chance."), ge=2)


DEFAULTS = Defaults(schedule={"every": "6h"}, criticality=3)

PLAN = (
    N_("Ask the owner of the source which unit is meant, and since when."),
    N_("Stop decisions that rest on this feature, or convert it before the model."),
    N_("Find the decisions taken since the change, and whether they can be corrected."),
    N_("Agree on the unit with the source in writing: in the column's name or in its contract."),
)

KINDS = PREDICTING_KINDS


def evaluate(evidence: ColumnHistory, params: Params) -> Finding:
    names = wanted(evidence, params)
    if problem := obstacle(evidence, names, params.max_age):
        return problem
    scales = scale_changes(evidence, names, window=params.window, tolerance=params.tolerance, min_rows=params.min_rows)
    if not scales:
        return Finding.unknown(Text(N_("no feature is a number with enough rows to compare; needed: {rows:integer}"), {"rows": params.min_rows}))
    changed = [scale for scale in scales if scale.change]
    if not changed:
        return Finding.quiet(Text(N_("{numbers:integer} numbers are in their unit"), {"numbers": len(scales)}), value=0, limit=0)
    parts = tuple(short_name(scale.column) for scale in changed)
    first = changed[0]
    facts: dict[str, Argument] = {
        "features": list(parts),
        "feature": parts[0],
        "change": first.change.words if first.change else "",
        "mean": first.mean,
        "usual": first.usual,
        "days": days_of(first.first, first.last),
    }
    text = Text(N_("in another unit, {days}: {features:list}; {feature} looks like {change:word}: mean {mean:number}, usual {usual:number}"), facts)
    return Finding.fired(text, value=len(changed), limit=0, since=evidence.ends[-1], parts=parts)


def _days(days: int, rows: int, *, mean: float, sd: float) -> ColumnHistory:
    """A feature around 1.5 with a spread of 0.4; on the last day another mean and spread."""
    usual = [normal(rows, mean=1.5, sd=0.4, seed=day) for day in range(days - 1)]
    return history(AGE, reference=normal(10_000, mean=1.5, sd=0.4, seed=99), days=[*usual, normal(rows, mean=mean, sd=sd, seed=98)])


def examples() -> tuple[Example, ...]:
    return (
        Example(title=N_("the unit it always had"), evidence=_days(30, 2000, mean=1.5, sd=0.4), outcome=Outcome.QUIET),
        Example(title=N_("the sign turned round"), evidence=_days(30, 2000, mean=-1.5, sd=0.4), outcome=Outcome.FIRED),
        Example(title=N_("a tenth of what it was"), evidence=_days(30, 2000, mean=0.15, sd=0.04), outcome=Outcome.FIRED),
        Example(title=N_("ordinary drift: half a unit higher"), evidence=_days(30, 2000, mean=2.0, sd=0.4), outcome=Outcome.QUIET),
        Example(title=N_("forty rows"), evidence=_days(30, 40, mean=1.5, sd=0.4), outcome=Outcome.UNKNOWN),
        Example(title=N_("no reference and no predictions"), evidence=ColumnHistory(now=NOW), outcome=Outcome.UNKNOWN),
    )
