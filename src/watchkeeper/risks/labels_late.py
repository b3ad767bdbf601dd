"""Labels late.

The truth about predictions comes later than it used to, or not at all. Everything that is judged by labels is then judged by old days, and a
model may fail for as long unseen.
The last `window` days of which half of the labels should be there by now are compared with the 28 days before them, when those were just as old.
It fires when more than `tolerance` of the expected labels are missing, beyond chance and beyond how much days differ.
It is unknown while no label ever came, and until seven earlier days tell what is usual.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from watchkeeper.analysis.labels import recent_labels
from watchkeeper.analysis.outcome_examples import outcome_history, scored
from watchkeeper.analysis.outcomes import OutcomeHistory
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import FEWER_WHEN_HIGHER, PREDICTING_KINDS, Defaults, Example, RiskParams
from watchkeeper.risks._features import days_of

NEEDS = OutcomeHistory


class Params(RiskParams):
    window: int = Field(3, description=N_("How many days that should have labels are looked at together."), ge=1, le=31)
    tolerance: Annotated[float, FEWER_WHEN_HIGHER] = Field(0.2, description=N_("The share of the expected labels that may be missing."), gt=0, lt=1)
    alpha: float = Field(0.001, description=N_("How often chance alone may look like lateness, per window."), gt=0, lt=0.5)


DEFAULTS = Defaults(schedule={"every": "6h"}, criticality=1)
MEASURES = "integer"

PLAN = (
    N_("Ask where labels come from: did a job fail, a file stay away, an access end?"),
    N_("Look at which labels are missing: all, one class, one segment? Do ids still match those of the predictions?"),
    N_("Have the source repaired and the missing labels sent: the days concerned are counted again by themselves."),
    N_("Until then judge by estimates and proxies, and have a random sample labelled."),
)

KINDS = PREDICTING_KINDS


def evaluate(evidence: OutcomeHistory, params: Params) -> Finding:
    if not evidence.labelled:
        return Finding.unknown(Text(N_("no label has come yet")))
    found = recent_labels(evidence, window=params.window)
    if found is None:
        return Finding.unknown(Text(N_("too few days have been long enough ago to tell when labels usually come")))
    limit = found.expected * (1 - params.tolerance)
    facts: dict[str, Argument] = {
        "labelled": found.labelled,
        "expected": found.expected,
        "missing": found.missing,
        "limit": limit,
        "rows": found.rows,
        "days": days_of(found.first, found.last),
    }
    if found.are_late(alpha=params.alpha, tolerance=params.tolerance):
        text = N_("{labelled:integer} labels for {rows:integer} predictions, {expected:integer} are usual by now, limit {limit:integer}, {days}")
        return Finding.fired(Text(text, facts), value=found.labelled, limit=limit, since=evidence.ends[found.last])
    text = N_("labels come as usual: {labelled:integer}, expected {expected:integer}, limit {limit:integer}, {days}")
    return Finding.quiet(Text(text, facts), value=found.labelled, limit=limit)


def _days(*, since: int = 0, delay: float = 0.5, labelled: float = 0.9, usual: float = 0.5, rows: int = 500) -> OutcomeHistory:
    """In the last days labels come later, or for fewer."""

    def share(back: int) -> float:
        return labelled if back <= since else 0.9

    return outcome_history([scored(back, rows, labelled=share(back), delay=delay if back <= since else usual) for back in range(1, 50)])


def examples() -> tuple[Example, ...]:
    return (
        Example(title=N_("labels after half a day, as always"), evidence=_days(), outcome=Outcome.QUIET),
        Example(title=N_("no labels for four days"), evidence=_days(since=4, labelled=0.0), outcome=Outcome.FIRED),
        Example(title=N_("half of the labels are missing"), evidence=_days(since=4, labelled=0.45), outcome=Outcome.FIRED),
        Example(title=N_("labels after ten days, as always"), evidence=_days(usual=10.0), outcome=Outcome.QUIET),
        Example(
            title=N_("labels after twenty days that used to come after ten"), evidence=_days(since=15, usual=10.0, delay=20.0), outcome=Outcome.FIRED
        ),
        Example(title=N_("a few less than usual"), evidence=_days(since=4, labelled=0.85), outcome=Outcome.QUIET),
        Example(title=N_("no label ever"), evidence=_days(since=60, labelled=0.0), outcome=Outcome.UNKNOWN),
        Example(title=N_("no predictions"), evidence=outcome_history([]), outcome=Outcome.UNKNOWN),
    )
