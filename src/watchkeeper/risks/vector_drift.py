"""Vector drift.

The vectors that the model is asked about, embeddings for instance, are no longer like those of its training: other texts, images or customers come,
or what makes the vectors was changed: another embedding model, another scaling, half of the elements filled with zeros.
No element of a vector says much by itself. Of each vector its length is taken, the cosine of its angle to the mean vector of the reference, its
projections on the reference's principal directions (up to eight), and the share of its squared distance from the mean that lies outside them. Each of
these in the last closed days (`window`) is compared with the vectors of the training rows, or of the model's own first four weeks when none were
sent, as any column is: a difference must be significant, beyond how much days usually differ, after adjusting for all that is measured of the
vector (Benjamini and Hochberg), and big: a population stability index of `least_psi`, or rows that moved by `least_distance` standard deviations.
A vector that is empty, has another dimension than the reference's most frequent one, or an element that is no finite number cannot be measured; it
counts as missing, and when more are missing than usual that is drift too. At most ten vector columns of up to 4,096 elements are measured.
It is unknown while no vector column is measured (it takes 200 reference rows with vectors, half of which fix the directions), when no day is closed, and
when there are so few rows, or days differ so much, that chance would reach the limit.
"""

from __future__ import annotations

from watchkeeper.analysis.columns import ColumnHistory, short_name
from watchkeeper.analysis.drift import DriftLimits
from watchkeeper.analysis.examples import EMBEDDING, NOW, history, normal
from watchkeeper.analysis.vectors import VectorDrift, vector_columns, vector_drifts
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import PREDICTING_KINDS, Defaults, Example
from watchkeeper.risks._features import NOT_OVER, TOO_FEW, ChosenFeatures, DriftParams, days_of, no_recent_day
from watchkeeper.stats.drift import Verdict
from watchkeeper.telemetry.vectors import COSINE, LENGTH, OUTSIDE

NEEDS = ColumnHistory


class Params(ChosenFeatures, DriftParams):
    pass


DEFAULTS = Defaults(schedule={"every": "6h"}, criticality=1)

PLAN = (
    N_("Ask who makes the vectors: another embedding model or version, another preparation, another scaling?"),
    N_("More missing: look for vectors of another dimension, empty ones, elements that are no numbers."),
    N_("Look at some of the rows that are least like the training: which texts, images or customers are they?"),
    N_("Vectors made otherwise: have them made as in the training, or train again. Other rows: collect labels and consider retraining."),
)

KINDS = PREDICTING_KINDS

_MEASURES = {
    LENGTH: N_("length"),
    COSINE: N_("similarity to the mean"),
    "direction": N_("place along a principal direction"),
    OUTSIDE: N_("share outside the principal directions"),
}


def evaluate(evidence: ColumnHistory, params: Params) -> Finding:
    vectors = params.among(vector_columns(evidence))
    if not vectors:
        return Finding.unknown(
            Text(N_("no vector column is measured: no reference or week of predictions has 200 rows with vectors of one dimension"))
        )
    if problem := no_recent_day(evidence, params.max_age):
        return problem
    limits = DriftLimits(alpha=params.alpha, least_psi=params.least_psi, least_distance=params.least_distance)
    drifts = vector_drifts(evidence, vectors, limits, window=params.window)
    if not drifts:
        return Finding.unknown(Text(NOT_OVER))
    if all(drift.drifts[0].test.verdict is Verdict.INSUFFICIENT for drift in drifts):
        return Finding.unknown(Text(TOO_FEW, {"rows": drifts[0].drifts[0].test.n}))
    return _say(evidence, drifts, params)


def _say(evidence: ColumnHistory, drifts: list[VectorDrift], params: Params) -> Finding:
    moved, most = [drift for drift in drifts if drift.fires], drifts[0]
    test = most.drifts[0].test
    facts: dict[str, Argument] = {
        "moved": len(moved),
        "vectors": len(drifts),
        "vector": short_name(most.vector),
        "measure": _MEASURES[most.measure.partition(" ")[0]],
        "psi": test.psi,
        "limit": params.least_psi,
        "noise": test.noise_floor,
        "missing": most.missing,
        "usual": most.usually_missing,
        "days": days_of(most.drifts[0].first, most.drifts[0].last),
    }
    if not moved:
        text = N_("no drift, {days}; most {vector}, {measure:word}: PSI {psi:number}, big from {limit:number}, chance gives {noise:number}")
        return Finding.quiet(Text(text, facts), value=test.psi, limit=params.least_psi)
    parts = tuple(short_name(drift.vector) for drift in moved)
    if test.psi >= params.least_psi or not test.distance >= params.least_distance:
        text = N_(
            "{moved:integer} of {vectors:integer} vector columns drifted, {days}; most {vector}, {measure:word}: PSI {psi:number}, big from"
            " {limit:number}, chance gives {noise:number}; missing {missing:share}, usual {usual:share}"
        )
        return Finding.fired(Text(text, facts), value=test.psi, limit=params.least_psi, since=evidence.ends[-1], parts=parts)
    text = N_(
        "{moved:integer} of {vectors:integer} vector columns drifted, {days}; most {vector}, {measure:word}: its rows moved by {distance:number} standard"
        " deviations, big from {limit:number}; missing {missing:share}, usual {usual:share}"
    )
    facts |= {"distance": test.distance, "limit": params.least_distance}
    return Finding.fired(Text(text, facts), value=test.distance, limit=params.least_distance, since=evidence.ends[-1], parts=parts)


def _days(days: int, rows: int, *, last: float, missing: float = 0.0) -> ColumnHistory:
    """A measure that is normal; on the last day so many standard deviations higher, or a share of the vectors missing."""
    usual = [normal(rows, seed=day) for day in range(days - 1)]
    return history(EMBEDDING, reference=normal(5000, seed=99), days=[*usual, normal(rows, mean=last, seed=98, nulls=missing)])


def examples() -> tuple[Example, ...]:
    return (
        Example(title=N_("a day like the training"), evidence=_days(30, 2000, last=0.0), outcome=Outcome.QUIET),
        Example(title=N_("vectors half a standard deviation longer"), evidence=_days(30, 2000, last=0.5), outcome=Outcome.FIRED),
        Example(title=N_("a fifth of the vectors has another dimension"), evidence=_days(30, 2000, last=0.0, missing=0.2), outcome=Outcome.FIRED),
        Example(title=N_("forty rows a day"), evidence=_days(30, 40, last=0.5), outcome=Outcome.UNKNOWN),
        Example(title=N_("a model without vectors"), evidence=ColumnHistory(now=NOW), outcome=Outcome.UNKNOWN),
    )
