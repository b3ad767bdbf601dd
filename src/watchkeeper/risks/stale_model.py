"""Stale model.

The version in use was trained long ago. The world has moved on since, and nobody knows by how much.
It looks at the training date of each current version; when several are in use, one that is too old is enough. It says nothing about quality:
an old model can still be good, but somebody should have looked.
It is unknown while no version is in use, when a version came without its training date, and when that date lies in the future.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import Field

from watchkeeper.core.durations import Duration
from watchkeeper.core.evidence import CurrentVersion, Passport
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import PREDICTING_KINDS, Defaults, Example, RiskParams

NEEDS = Passport

MEASURES = "duration"


class Params(RiskParams):
    max_age: Duration = Field(timedelta(days=180), description=N_("How long ago a version in use may have been trained."), gt=timedelta(0))


DEFAULTS = Defaults(schedule={"every": "1d"}, criticality=1)

PLAN = (
    N_("Compare the metrics of the last weeks with those the version was accepted with."),
    N_("If they held, write down that you looked, and give the model more time by raising the limit."),
    N_("If they fell, train a version on recent data and compare both on the same rows."),
    N_("Put the retraining on a timetable, so that it does not depend on somebody remembering."),
)

KINDS = PREDICTING_KINDS


def evaluate(evidence: Passport, params: Params) -> Finding:
    if not evidence.versions:
        return Finding.unknown(Text(N_("no version is in use yet")))
    trained = {version.name: version.trained_at for version in evidence.versions if version.trained_at and version.trained_at <= evidence.now}
    old = {name: at for name, at in trained.items() if evidence.now - at >= params.max_age}
    if not old and len(trained) < len(evidence.versions):
        undated = [version.name for version in evidence.versions if version.name not in trained]
        return Finding.unknown(Text(N_("no training date, or one in the future: {versions:list}"), {"versions": undated}))
    oldest = min(trained.values())
    age, limit, deadline = (evidence.now - oldest).total_seconds(), params.max_age.total_seconds(), oldest + params.max_age
    facts: dict[str, Argument] = {"versions": sorted(old or trained), "age": age, "limit": limit, "at": oldest.isoformat()}
    text = Text(N_("in use: {versions:list}, trained {age:duration} ago ({at:time}), limit {limit:duration}"), facts)
    if old:
        return Finding.fired(text, value=age, limit=limit, since=deadline, parts=tuple(sorted(old)))
    return Finding.quiet(text, value=age, limit=limit, recheck_at=deadline)


_NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def _passport(*, trained_at: datetime | None) -> Passport:
    version = CurrentVersion(name="2026-05", trained_at=trained_at, deployed_at=trained_at)
    return Passport(now=_NOW, registered_at=_NOW - timedelta(days=400), kind="model", problem_type="binary", versions=(version,))


def examples() -> tuple[Example, ...]:
    return (
        Example(title=N_("trained last month"), evidence=_passport(trained_at=_NOW - timedelta(days=30)), outcome=Outcome.QUIET),
        Example(title=N_("trained 200 days ago"), evidence=_passport(trained_at=_NOW - timedelta(days=200)), outcome=Outcome.FIRED),
        Example(
            title=N_("trained 30 days ago where two weeks are allowed"),
            evidence=_passport(trained_at=_NOW - timedelta(days=30)),
            params={"max_age": "2w"},
            outcome=Outcome.FIRED,
        ),
        Example(title=N_("nobody said when it was trained"), evidence=_passport(trained_at=None), outcome=Outcome.UNKNOWN),
    )
