"""Multivariate drift.

Features no longer go together as they did, although each by itself may look as always: income and credit limit used to rise together and now one
rises as the other falls. A join by a wrong key, rows whose columns were mixed up, a source that lags behind, or another population do that; a
model relies on what goes with what, and nothing that looks at one feature at a time can see it.
The numeric features of the training rows (or of the model's own first four weeks, when none were sent) have principal components that hold 65 % of
their variance. The rows of the last closed days (`window`) are rebuilt from these components, and what is left is their mean squared error, counted
in variances of the reference. It fires when the error differs from what is usual beyond how much days differ (learned from the first 28 days) and
by more than `tolerance`, upwards or downwards: it falls when values freeze or are filled in. The finding names the features whose part of
the error changed most. A feature that drifts by itself raises the error too: look at feature drift first.
Until 20 days have shown how much they differ, only an error that doubled or halved is told. A change within the components kept is not
seen; empty values count as the mean, and numbers beyond ten standard deviations as ten.
It is unknown while fewer than two numeric features vary, while there is no reference or no closed day, and when there are so few rows, or days
differ so much, that chance would reach the tolerance. The features are counted together from when this risk is first bound, with the 60 days before.
"""

from __future__ import annotations

from pydantic import Field

from watchkeeper.analysis.columns import short_name
from watchkeeper.analysis.moment_examples import day_of, moment_history
from watchkeeper.analysis.multivariate import MomentHistory, Together, drift_together
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import PREDICTING_KINDS, Defaults, Example
from watchkeeper.risks._features import NOT_OVER, TOO_FEW, WindowParams, days_of, no_recent_day
from watchkeeper.stats.drift import Verdict

NEEDS = MomentHistory


class Params(WindowParams):
    tolerance: float = Field(
        0.2, description=N_("By which share of its usual size the error must differ to be big."), gt=0, le=100, allow_inf_nan=False
    )


DEFAULTS = Defaults(schedule={"every": "6h"}, criticality=1)

PLAN = (
    N_("Look at the named features, each by itself and against each other: did one drift alone, or only what goes with what?"),
    N_("Ask the owners of their sources: was a join, a key, the order of columns, or the time of a refresh changed?"),
    N_("Compare a few recent rows with the source they came from, column by column."),
    N_("Source broken: have it repaired. Population changed: look at performance, realised or estimated, and consider retraining."),
)

KINDS = PREDICTING_KINDS


def evaluate(evidence: MomentHistory, params: Params) -> Finding:
    if len(evidence.columns) < 2:
        return Finding.unknown(
            Text(N_("nothing can be compared yet: it takes two numeric features that vary, and a reference or a week of predictions"))
        )
    if problem := no_recent_day(evidence, params.max_age):
        return problem
    if not evidence.is_judged(params.window):
        return Finding.unknown(Text(NOT_OVER))
    found = drift_together(evidence, window=params.window, alpha=params.alpha, tolerance=params.tolerance)
    if found is None or found.verdict is Verdict.INSUFFICIENT:
        return Finding.unknown(Text(TOO_FEW, {"rows": evidence.rows_of_last(params.window)}))
    return _grade(evidence, found)


def _grade(evidence: MomentHistory, found: Together) -> Finding:
    parts = tuple(short_name(column) for column in found.columns)
    limit = found.high if found.judged.ratio >= 1 else found.low
    facts: dict[str, Argument] = {
        "days": days_of(found.first, found.last),
        "error": found.error,
        "usual": found.usual,
        "limit": limit,
        "features": list(parts),
    }
    if not found.verdict.fires:
        text = N_("features go together as usual, {days}: error {error:number}, usual {usual:number}, limit {limit:number}")
        return Finding.quiet(Text(text, facts), value=found.error, limit=limit)
    text = N_(
        "features do not go together as usual, {days}: error {error:number}, usual {usual:number}, limit {limit:number}; it changed most for {features:list}"
    )
    return Finding.fired(Text(text, facts), value=found.error, limit=limit, since=evidence.ends[-1], parts=parts)


def _days(days: int, rows: int, *, has_reference: bool = True, last_correlation: float = 0.8, last_sd: float = 1.0) -> MomentHistory:
    usual = [day_of(rows, seed=day) for day in range(days - 1)]
    return moment_history([*usual, day_of(rows, seed=98, correlation=last_correlation, sd=last_sd)], has_reference=has_reference)


def examples() -> tuple[Example, ...]:
    return (
        Example(title=N_("a day like the training"), evidence=_days(30, 2000), outcome=Outcome.QUIET),
        Example(
            title=N_("two features that rose together now go against each other"),
            evidence=_days(30, 2000, last_correlation=-0.8),
            outcome=Outcome.FIRED,
        ),
        Example(title=N_("values that hardly vary any more"), evidence=_days(30, 2000, last_sd=0.3), outcome=Outcome.FIRED),
        Example(
            title=N_("a correlation that changed a little among very many rows"),
            evidence=_days(30, 20000, last_correlation=0.78),
            outcome=Outcome.QUIET,
        ),
        Example(
            title=N_("a correlation that flips on the third day after release"), evidence=_days(3, 500, last_correlation=-0.8), outcome=Outcome.FIRED
        ),
        Example(title=N_("forty rows a day"), evidence=_days(30, 40), outcome=Outcome.UNKNOWN),
        Example(title=N_("the first weeks of a model without a reference"), evidence=_days(20, 500, has_reference=False), outcome=Outcome.UNKNOWN),
    )
