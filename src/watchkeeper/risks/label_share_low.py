"""Label share low.

Fewer predictions get a label in the end than used to. What is known of the model then rests on a part of its cases, often not a random one: the
accepted ones, those who complain.
Of the last `window` mature days, those that have had time enough, the share of labelled predictions is compared with that of the reference days:
it may not be lower by more than `tolerance` of it, beyond chance. With `least` the share may also not lie below that value, whatever it was.
It is unknown while no label ever came, and until seven mature days tell what is usual.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from watchkeeper.analysis.outcome_examples import outcome_history, scored
from watchkeeper.analysis.outcomes import OutcomeHistory
from watchkeeper.analysis.performance import design_effect, standard_error
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import FEWER_WHEN_HIGHER, PREDICTING_KINDS, Defaults, Example
from watchkeeper.risks._features import days_of
from watchkeeper.risks._outcomes import OutcomeParams, obstacle
from watchkeeper.stats.result import Result
from watchkeeper.stats.scores import share_result
from watchkeeper.telemetry.outcomes import DayOutcomes

NEEDS = OutcomeHistory


class Params(OutcomeParams):
    tolerance: Annotated[float, FEWER_WHEN_HIGHER] = Field(
        0.2, description=N_("By how much the share may become lower, as a part of the usual one."), gt=0, lt=1
    )
    least: float = Field(0.0, description=N_("A share below which it is too low whatever is usual."), ge=0, le=1)


DEFAULTS = Defaults(schedule={"every": "1d"}, criticality=1)
MEASURES = "share"

PLAN = (
    N_("Look at which predictions have no label: one segment, one decision, one range of scores?"),
    N_("Ask where labels come from: did a rule change of who is followed up, did ids stop matching?"),
    N_("Have a random sample of the unlabelled ones labelled: performance on it is not biased by who was chosen."),
)

KINDS = PREDICTING_KINDS
_Z = 3.29  # one in a thousand, one-sided


def evaluate(evidence: OutcomeHistory, params: Params) -> Finding:
    if problem := obstacle(evidence, params.max_age):
        return problem
    days = evidence.periods.judged[-params.window :]
    current, usual = _share(evidence.of(days)), _share(evidence.of(evidence.periods.reference))
    if not (current.is_ok and usual.is_ok):
        return Finding.unknown(Text(N_("{rows:integer} predictions are too few to tell a share of labels"), {"rows": current.n}))
    effect = design_effect([_share(evidence.of([day])) for day in evidence.periods.reference])
    limit = max(usual.estimate * (1 - params.tolerance), params.least)
    facts: dict[str, Argument] = {
        "share": current.estimate,
        "usual": usual.estimate,
        "limit": limit,
        "rows": current.n,
        "days": days_of(days[0], days[-1]),
    }
    is_beyond_chance = current.estimate + _Z * effect**0.5 * standard_error(current) < max(usual.estimate, params.least)
    if current.estimate < limit and is_beyond_chance:
        text = N_("{share:share} of {rows:integer} predictions got a label, usual {usual:share}, limit {limit:share}, {days}")
        return Finding.fired(Text(text, facts), value=current.estimate, limit=limit, since=evidence.ends[days[-1]])
    text = N_("{share:share} of predictions got a label, usual {usual:share}, limit {limit:share}, {days}")
    return Finding.quiet(Text(text, facts), value=current.estimate, limit=limit)


def _share(entries: list[DayOutcomes]) -> Result:
    rows = sum(entry.rows for entry in entries)
    return share_result(sum(entry.labelled for entry in entries), rows, n=rows)


def _days(labelled: float, *, rows: int = 500, days: int = 60) -> OutcomeHistory:
    return outcome_history([scored(back, rows, labelled=labelled if back <= 8 else 0.8) for back in range(1, days)])


def examples() -> tuple[Example, ...]:
    return (
        Example(title=N_("as many labels as always"), evidence=_days(0.8), outcome=Outcome.QUIET),
        Example(title=N_("half of the labels stay away"), evidence=_days(0.4), outcome=Outcome.FIRED),
        Example(title=N_("a tenth stays away"), evidence=_days(0.72), outcome=Outcome.QUIET),
        Example(title=N_("a share that is demanded and not reached"), evidence=_days(0.72), outcome=Outcome.FIRED, params={"least": 0.78}),
        Example(title=N_("three rows a day"), evidence=_days(0.4, rows=3), outcome=Outcome.UNKNOWN),
        Example(title=N_("no label ever"), evidence=outcome_history([scored(back, labelled=0.0) for back in range(1, 50)]), outcome=Outcome.UNKNOWN),
    )
