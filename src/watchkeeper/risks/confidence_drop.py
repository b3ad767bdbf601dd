"""Confidence drop.

The model is less sure of its predictions than it used to be: more scores lie in the middle, where it might as well say the contrary. Rows come for
which it learned little, or what decided is missing. It shows on the day itself, before any label.
Confidence is max(p, 1 - p) of a binary model's score, the highest class score of a model with several classes; scores must be probabilities. The
mean of the last closed days (`window`) is compared with that of the training rows, or with the model's own first four weeks when the training sent
no scores. It fires when the mean has fallen by `least_drop` and the distribution differs beyond how much days usually do. Of a calibrated model
the mean confidence is the share of predictions it expects to be right: a fall of 0.05 means five more errors expected in a hundred. A model that
becomes surer does not fire.
It is unknown while there are no probabilities, no reference or no closed day, and when there are so few rows, or days differ so much, that chance
would reach the limit.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from watchkeeper.analysis.columns import ColumnHistory, Ints
from watchkeeper.analysis.confidence import ConfidenceChange, confidence_change, has_confidence
from watchkeeper.analysis.examples import CONFIDENCE, NOW, SCORE, history, normal, sure
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import FEWER_WHEN_HIGHER, PREDICTING_KINDS, Defaults, Example
from watchkeeper.risks._features import NOT_OVER, TOO_FEW, WindowParams, days_of, no_recent_day
from watchkeeper.stats.drift import Verdict

NEEDS = ColumnHistory
MEASURES = "share"


class Params(WindowParams):
    least_drop: Annotated[float, FEWER_WHEN_HIGHER] = Field(
        0.05, description=N_("By how much the mean confidence must have fallen (0.05 = five points)."), gt=0, lt=1
    )
    undecided_below: float = Field(
        0.6, description=N_("Rows of lower confidence are called undecided; of one score 0.6 is the band 0.4 to 0.6."), gt=0, le=1
    )


DEFAULTS = Defaults(schedule={"every": "6h"}, criticality=2)

PLAN = (
    N_("Look at the features that drifted, lack values or lie out of range the same day: they usually say why."),
    N_("Look for the segment or the caller whose rows the model is unsure of."),
    N_("Have undecided rows looked at by people, or decided by the fallback, until it is known whether they are right."),
    N_("Collect labels for a random sample of them; decide on retraining with them."),
)

KINDS = PREDICTING_KINDS
PROBLEM_TYPES = ("", "binary", "multiclass")


def evaluate(evidence: ColumnHistory, params: Params) -> Finding:
    if not has_confidence(evidence):
        return Finding.unknown(Text(N_("confidence is not counted: no reference or week of predictions has scores that are probabilities")))
    if problem := no_recent_day(evidence, params.max_age):
        return problem
    change = confidence_change(
        evidence, window=params.window, alpha=params.alpha, least_drop=params.least_drop, undecided_below=params.undecided_below
    )
    if change is None:
        return Finding.unknown(Text(NOT_OVER))
    if change.test.verdict is Verdict.INSUFFICIENT:
        return Finding.unknown(Text(TOO_FEW, {"rows": change.test.n}))
    return _say(evidence, change, params)


def _say(evidence: ColumnHistory, change: ConfidenceChange, params: Params) -> Finding:
    limit = change.usual - params.least_drop
    facts: dict[str, Argument] = {
        "days": days_of(change.first, change.last),
        "mean": change.mean,
        "usual": change.usual,
        "limit": limit,
        "below": params.undecided_below,
        "undecided": change.undecided,
        "usually": change.usual_undecided,
    }
    if not (change.test.verdict.fires and change.fall >= params.least_drop):
        text = N_("confidence has not fallen to its limit, {days}: mean {mean:share}, usual {usual:share}, limit {limit:share}")
        return Finding.quiet(Text(text, facts), value=change.mean, limit=limit)
    text = N_(
        "less sure than usual, {days}: mean confidence {mean:share}, usual {usual:share}, limit {limit:share}; below {below:share} lie"
        " {undecided:share} of rows, usually {usually:share}"
    )
    return Finding.fired(Text(text, facts), value=change.mean, limit=limit, since=evidence.ends[-1])


def _days(days: int, last: Ints) -> ColumnHistory:
    usual = [sure(2000, seed=day) for day in range(days - 1)]
    return history(CONFIDENCE, reference=sure(10_000, seed=99), days=[*usual, last])


def examples() -> tuple[Example, ...]:
    return (
        Example(title=N_("as sure as in the training"), evidence=_days(30, sure(2000, seed=98)), outcome=Outcome.QUIET),
        Example(title=N_("seven points less sure"), evidence=_days(30, sure(2000, seed=98, mean=0.73)), outcome=Outcome.FIRED),
        Example(title=N_("seven points surer"), evidence=_days(30, sure(2000, seed=98, mean=0.87)), outcome=Outcome.QUIET),
        Example(title=N_("two points less sure among very many rows"), evidence=_days(30, sure(200_000, seed=98, mean=0.78)), outcome=Outcome.QUIET),
        Example(title=N_("fifteen rows on the last day"), evidence=_days(30, sure(15, seed=98, mean=0.73)), outcome=Outcome.UNKNOWN),
        Example(
            title=N_("a model whose scores are no probabilities"),
            evidence=history(SCORE, reference=None, days=[normal(500)]),
            outcome=Outcome.UNKNOWN,
        ),
        Example(title=N_("no predictions"), evidence=ColumnHistory(now=NOW), outcome=Outcome.UNKNOWN),
    )
