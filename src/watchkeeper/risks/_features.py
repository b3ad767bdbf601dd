"""What the risks that look at a model's features share: their parameters, and what keeps any of them from judging. Not a risk itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Annotated

from pydantic import Field

from watchkeeper.analysis.columns import ColumnHistory, short_name
from watchkeeper.analysis.drift import ColumnDrift, DriftLimits, column_drifts
from watchkeeper.analysis.multivariate import MomentHistory
from watchkeeper.analysis.shares import Places, column_shares
from watchkeeper.core.durations import Duration
from watchkeeper.core.finding import DataState, Finding
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import FEWER_WHEN_HIGHER, RiskParams
from watchkeeper.stats.drift import Verdict

NOT_OVER = N_("the first weeks, with which later days are compared, are not over")

# What is said of drift: without and with how much the most moved column matters.
_QUIET = (
    N_("no drift, {days}; most {column}: PSI {psi:number}, big from {limit:number}, chance gives {noise:number}"),
    N_("no drift, {days}; most {column} (importance {importance:number}): PSI {psi:number}, big from {limit:number}, chance gives {noise:number}"),
)
_PSI = (
    N_("{moved:integer} of {columns:integer} drifted, {days}; most {column}: PSI {psi:number}, big from {limit:number}, chance gives {noise:number}"),
    N_(
        "{moved:integer} of {columns:integer} drifted, {days}; most {column} (importance {importance:number}): PSI {psi:number}, big from"
        " {limit:number}, chance gives {noise:number}"
    ),
)
_DISTANCE = (
    N_(
        "{moved:integer} of {columns:integer} drifted, {days}; most {column}: its rows moved by {distance:number} standard deviations, big from {limit:number}"
    ),
    N_(
        "{moved:integer} of {columns:integer} drifted, {days}; most {column} (importance {importance:number}): its rows moved by {distance:number}"
        " standard deviations, big from {limit:number}"
    ),
)

TOO_FEW = N_("{rows:integer} rows are too few to tell drift from how much days differ anyway")


class WindowParams(RiskParams):
    """Parameters of what looks at the last closed days."""

    window: int = Field(1, description=N_("How many closed days are looked at together."), ge=1, le=31)
    alpha: float = Field(0.001, description=N_("How often chance alone may look like a difference, per window."), gt=0, lt=0.5)
    max_age: Duration = Field(timedelta(days=3), description=N_("Days that ended longer ago than this say nothing any more."), gt=timedelta(0))


class ChosenFeatures(RiskParams):
    """Which features are looked at."""

    features: tuple[str, ...] = Field((), description=N_("Features to look at; empty means all."))
    ignore: tuple[str, ...] = Field((), description=N_("Features that may change as they like."))

    def among(self, names: Iterable[str]) -> list[str]:
        """Those of the names, as the log has them, that are asked for."""
        return [name for name in names if short_name(name) not in self.ignore and (not self.features or short_name(name) in self.features)]


class FeatureParams(ChosenFeatures, WindowParams):
    """Some of the features, in the last closed days."""


class DriftParams(WindowParams):
    """What counts as drift, beside being significant."""

    least_psi: Annotated[float, FEWER_WHEN_HIGHER] = Field(
        0.1, description=N_("The population stability index from which a difference is big."), gt=0, allow_inf_nan=False
    )
    least_distance: Annotated[float, FEWER_WHEN_HIGHER] = Field(
        0.1, description=N_("How far rows moved on average, in standard deviations, from which a difference is big."), gt=0, allow_inf_nan=False
    )


def wanted(history: ColumnHistory, params: ChosenFeatures) -> list[str]:
    """The features that are asked for and have bins."""
    return params.among(name for name in history.columns if name.startswith("f."))


def obstacle(history: ColumnHistory, columns: Sequence[str], max_age: timedelta) -> Finding | None:
    """Why nothing can be judged; None when something can."""
    if not columns:
        return Finding.unknown(Text(N_("nothing can be compared yet: there is no reference, nor a week of predictions")))
    return no_recent_day(history, max_age)


def no_recent_day(history: ColumnHistory | MomentHistory, max_age: timedelta) -> Finding | None:
    """That no day is over, or the last one long ago; None otherwise."""
    if not history.days:
        return Finding.unknown(Text(N_("no day with predictions is over yet")))
    if history.now - history.ends[-1] > max_age:
        return Finding.unknown(Text(N_("the last predictions are of {day}"), {"day": str(history.days[-1])}), data=DataState.STALE)
    return None


def days_of(first: date | str, last: date | str) -> str:
    """A window of days in any language, or of parts of days as they are named.

    >>> days_of(date(2026, 11, 16), date(2026, 11, 22))
    '2026-11-16 – 2026-11-22'
    """
    return str(last) if first == last else f"{first} – {last}"


def judge_shares(history: ColumnHistory, params: FeatureParams, *, places: Places, increase: float, template: str, nothing: str) -> Finding:
    """Fires when the part of a feature's rows in some places has grown by `increase` and beyond chance.

    `template` has grown, feature, share, usual, limit and days; `nothing` says why no feature has such places.
    """
    names = wanted(history, params)
    if problem := obstacle(history, names, params.max_age):
        return problem
    shares = column_shares(history, names, places, window=params.window)
    if not shares:
        return Finding.unknown(Text(nothing))
    grown = [share for share in shares if share.increase >= increase and share.p_value < params.alpha]
    most = grown[0] if grown else shares[0]
    limit = min(1.0, most.usual + increase)
    facts: dict[str, Argument] = {
        "grown": len(grown),
        "feature": short_name(most.column),
        "share": most.share,
        "usual": most.usual,
        "limit": limit,
        "days": days_of(most.first, most.last),
    }
    if not grown:
        text = N_("no more than usual, {days}; most {feature}: {share:share}, usual {usual:share}, limit {limit:share}")
        return Finding.quiet(Text(text, facts), value=most.share, limit=limit)
    parts = tuple(short_name(share.column) for share in grown)
    return Finding.fired(Text(template, facts), value=most.share, limit=limit, since=history.ends[-1], parts=parts)


def judge_drift(history: ColumnHistory, columns: list[str], params: DriftParams) -> Finding:
    """Fires when any of the columns has drifted."""
    if problem := obstacle(history, columns, params.max_age):
        return problem
    limits = DriftLimits(alpha=params.alpha, least_psi=params.least_psi, least_distance=params.least_distance)
    drifts = column_drifts(history, columns, limits, window=params.window)
    judged = [drift for drift in drifts if drift.test.verdict is not Verdict.INSUFFICIENT]
    if not drifts:
        return Finding.unknown(Text(NOT_OVER))
    if not judged:
        return Finding.unknown(Text(TOO_FEW, {"rows": drifts[0].test.n}))
    return _grade(history, judged, params)


def _grade(history: ColumnHistory, drifts: list[ColumnDrift], params: DriftParams) -> Finding:
    moved, most = [drift for drift in drifts if drift.test.verdict.fires], drifts[0]
    is_weighed = most.column in history.importances
    facts: dict[str, Argument] = {
        "moved": len(moved),
        "columns": len(drifts),
        "column": short_name(most.column),
        "psi": most.test.psi,
        "limit": params.least_psi,
        "noise": most.test.noise_floor,
        "days": days_of(most.first, most.last),
    }
    if is_weighed:
        facts["importance"] = float(f"{most.importance:.2g}")
    if not moved:
        return Finding.quiet(Text(_QUIET[is_weighed], facts), value=most.test.psi, limit=params.least_psi)
    parts = tuple(short_name(drift.column) for drift in moved)
    if most.test.psi >= params.least_psi or not most.test.distance >= params.least_distance:
        return Finding.fired(Text(_PSI[is_weighed], facts), value=most.test.psi, limit=params.least_psi, since=history.ends[-1], parts=parts)
    facts |= {"distance": most.test.distance, "limit": params.least_distance}
    return Finding.fired(
        Text(_DISTANCE[is_weighed], facts), value=most.test.distance, limit=params.least_distance, since=history.ends[-1], parts=parts
    )
