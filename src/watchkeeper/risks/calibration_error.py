"""Calibration error.

The model's probabilities are not what they say: of the cases it gives 30 %, more or fewer than 30 % turn out positive. Whoever computes with the
probabilities (a price, a reserve, a cut-off) computes wrong, even where the ranking is still right.
The calibration gap of the last `window` mature days, the share of positives minus the mean score, is compared with that of the reference days: it
may not have grown by `tolerance`, beyond chance and beyond how much days differ. The same holds for the calibration error, the mean distance
over 15 groups of equally many scores, which sees scores that are too high at one end and too low at the other.
It is unknown while there are no scores, no labels, or no seven days to compare with.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from watchkeeper.analysis.metrics import METRICS, has_scores
from watchkeeper.analysis.outcome_examples import outcome_history, scored
from watchkeeper.analysis.outcomes import OutcomeHistory
from watchkeeper.analysis.performance import Comparison, compare
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import FEWER_WHEN_HIGHER, PREDICTING_KINDS, Defaults, Example
from watchkeeper.risks._features import days_of
from watchkeeper.risks._outcomes import OutcomeParams, obstacle
from watchkeeper.telemetry.outcome_queries import OutcomeKind
from watchkeeper.telemetry.outcomes import DayOutcomes

NEEDS = OutcomeHistory


class Params(OutcomeParams):
    window: int = Field(2, description=N_("How many mature days are looked at together."), ge=1, le=92)
    tolerance: Annotated[float, FEWER_WHEN_HIGHER] = Field(
        0.03, description=N_("How far probabilities may lie off, beyond the reference."), gt=0, lt=1
    )
    alpha: float = Field(0.001, description=N_("How often chance alone may look like a difference, per window."), gt=0, lt=0.5)


DEFAULTS = Defaults(schedule={"every": "6h"}, criticality=1)

PLAN = (
    N_("Look at the Performance page: are probabilities too high or too low, since when, in which segments?"),
    N_("All too high or low: did the share of positives change, by season, price or policy? Did training rows have another share?"),
    N_("Calibrate again on the newest mature labels; check cut-offs and everything that multiplies the probability."),
    N_("Ranking worse as well: look at the performance drop, and retrain."),
)

KINDS = PREDICTING_KINDS
PROBLEM_TYPES = ("", "binary")
_METRICS = tuple(metric for name in ("calibration_gap", "calibration_error") for metric in METRICS[OutcomeKind.DECISIONS] if metric.name == name)


def evaluate(evidence: OutcomeHistory, params: Params) -> Finding:
    if problem := obstacle(evidence, params.max_age):
        return problem
    if evidence.kind is not OutcomeKind.DECISIONS or not has_scores(evidence.days):
        return Finding.unknown(Text(N_("a calibration needs scores beside binary labels")))
    compared = [compare(evidence, metric, window=params.window) for metric in _METRICS]
    judged = [found for found in compared if found and found.current.is_ok and found.reference.is_ok]
    if not judged:
        return Finding.unknown(Text(N_("the labelled rows are too few to tell a calibration")))
    grown = [found for found in judged if found.worse >= params.tolerance and found.p_value < params.alpha]
    most = grown[0] if grown else max(judged, key=lambda found: found.worse)  # the gap first: it says in which direction
    return _say(evidence, most, bool(grown), params)


def _say(evidence: OutcomeHistory, found: Comparison, fires: bool, params: Params) -> Finding:
    value, limit = abs(found.current.estimate), abs(found.reference.estimate) + params.tolerance
    facts: dict[str, Argument] = {
        "metric": found.metric.title,
        "value": value,
        "reference": abs(found.reference.estimate),
        "limit": limit,
        "days": days_of(found.first, found.last),
        "labels": found.current.n,
    }
    if not fires:
        text = N_("{metric:word} {value:share}, reference {reference:share}, limit {limit:share}, {days}")
        return Finding.quiet(Text(text, facts), value=value, limit=limit)
    end = evidence.ends[found.last]
    if found.metric.name != "calibration_gap":
        text = N_("probabilities lie {value:share} off on average, were {reference:share}, limit {limit:share}, {days}, {labels:integer} labels")
    elif found.current.estimate < 0:
        text = N_("probabilities are {value:share} too high, were {reference:share} off, limit {limit:share}, {days}, {labels:integer} labels")
    else:
        text = N_("probabilities are {value:share} too low, were {reference:share} off, limit {limit:share}, {days}, {labels:integer} labels")
    return Finding.fired(Text(text, facts), value=value, limit=limit, since=end)


def _days(off: float = 0.0, *, slope: float = 1.0, rows: int = 1000, days: int = 60) -> OutcomeHistory:
    """Since four days positives are so much rarer than the scores say, or the scores too extreme."""

    def day(back: int) -> DayOutcomes:
        if back > 4:
            return scored(back, rows)
        return scored(back, rows, truth=lambda s: 0.5 + (s - 0.5) * slope - off)

    return outcome_history([day(back) for back in range(1, days + 1)])


def examples() -> tuple[Example, ...]:
    return (
        Example(title=N_("probabilities that are right"), evidence=_days(), outcome=Outcome.QUIET),
        Example(title=N_("probabilities ten points too high"), evidence=_days(0.1), outcome=Outcome.FIRED),
        Example(title=N_("probabilities ten points too low"), evidence=_days(-0.1), outcome=Outcome.FIRED),
        Example(title=N_("right on average, and too extreme"), evidence=_days(slope=0.4), outcome=Outcome.FIRED),
        Example(title=N_("one point off, of which many rows are sure"), evidence=_days(0.01, rows=50_000), outcome=Outcome.QUIET),
        Example(title=N_("five days with labels"), evidence=_days(days=5), outcome=Outcome.UNKNOWN),
        Example(title=N_("no labels"), evidence=outcome_history([]), outcome=Outcome.UNKNOWN),
    )
