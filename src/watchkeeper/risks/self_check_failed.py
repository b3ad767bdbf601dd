"""Self-check failed.

The model was given inputs whose right answers are known, and answered at least one of them wrongly, or the check could not run. The model, its
code or something it stands on has changed: this is no matter of statistics.
It looks at the events of type `self_check` as the client sends them: `name`, `passed` and `failed` (how many cases), `failures` (some of them:
case, expected, got) and `error` (why the check could not run). Of each name the newest counts; a date in the future is read as the time of receipt.
It is unknown while no self-check came, when one that used to come is too old, and when one does not say that any case was tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isfinite

from pydantic import Field

from watchkeeper.core.durations import Duration
from watchkeeper.core.evidence import Events, LoggedEvent
from watchkeeper.core.finding import DataState, Finding, Outcome
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.risks import Defaults, Example, RiskParams

NEEDS = Events


_SHOWN = 3  # wrong answers named in the explanation; the event holds the others


class Params(RiskParams):
    max_age: Duration = Field(timedelta(days=2), description=N_("A self-check older than this says nothing any more."), gt=timedelta(0))


DEFAULTS = Defaults(schedule={"on": "event"}, criticality=3)

PLAN = (
    N_("Look which cases failed and how far the answers are off: by a rounding, or by a world?"),
    N_("Ask what was deployed since the last check that passed: the model, a library, a feature, a machine."),
    N_("Run the same cases against the version before; if they pass there, roll back."),
    N_("If the right answers themselves have changed, correct the cases and write down why."),
)


def evaluate(evidence: Events, params: Params) -> Finding:
    newest: dict[str, _Check] = {}
    checks = [_read(event) for event in evidence.events if event.type == "self_check"]
    for check in sorted(checks, key=lambda check: (check.ran_at, check.received_at)):
        newest[check.name] = check
    fresh = [check for check in newest.values() if evidence.now - check.ran_at <= params.max_age]
    failing = [check for check in fresh if check.error or check.failed]
    if failing:
        return _fired(failing)
    if not newest:
        return Finding.unknown(Text(N_("no self-check came yet")))
    if len(fresh) < len(newest):
        old = [name for name, check in newest.items() if check not in fresh]
        text = Text(N_("too long ago: {checks:list}; limit {limit:duration}"), {"checks": old, "limit": params.max_age.total_seconds()})
        return Finding.unknown(text, data=DataState.STALE)
    recheck_at = min(check.ran_at for check in fresh) + params.max_age
    empty = [check.name for check in fresh if check.failed is None or check.passed == 0]
    if empty:
        return Finding.unknown(Text(N_("does not say that any case was tried: {checks:list}"), {"checks": empty}), recheck_at=recheck_at)
    facts: dict[str, Argument] = {"checks": [check.name for check in fresh], "at": _last_run(fresh)}
    return Finding.quiet(Text(N_("no case failed: {checks:list}; last run {at:time}"), facts), value=0, limit=0, recheck_at=recheck_at)


def _fired(failing: list[_Check]) -> Finding:
    names, since = tuple(check.name for check in failing), min(check.received_at for check in failing)
    failed = sum(check.failed or 0 for check in failing)
    facts: dict[str, Argument] = {"checks": [check.in_words() for check in failing], "failed": failed, "at": _last_run(failing)}
    if any(check.error for check in failing):
        return Finding.fired(Text(N_("could not run: {checks:list}; last run {at:time}"), facts), since=since, parts=names)
    text = Text(N_("cases failed: {failed:integer}, in {checks:list}; last run {at:time}"), facts)
    return Finding.fired(text, value=failed, limit=0, since=since, parts=names)


def _last_run(checks: list[_Check]) -> str:
    return max(check.ran_at for check in checks).isoformat()


@dataclass(frozen=True, kw_only=True)
class _Check:
    """A self-check as read from an untrusted event. A count is None when it is no number."""

    name: str
    ran_at: datetime
    received_at: datetime
    passed: float | None
    failed: float | None
    error: str
    wrong: tuple[str, ...]

    def in_words(self) -> str:
        details = self.error or ", ".join(self.wrong)
        return f"{self.name} ({details})" if details else self.name


def _read(event: LoggedEvent) -> _Check:
    fields, failures = event.fields, event.fields.get("failures")
    return _Check(
        name=_short(fields.get("name") or "self_check"),
        ran_at=min(event.timestamp, event.received_at),
        received_at=event.received_at,
        passed=_count(fields.get("passed")),
        failed=_count(fields.get("failed")),
        error=_short(fields.get("error") or ""),
        wrong=tuple(map(_wrong, failures[:_SHOWN])) if isinstance(failures, list | tuple) else (),
    )


def _count(given: object) -> float | None:
    return given if isinstance(given, int | float) and not isinstance(given, bool) and isfinite(given) else None


def _wrong(failure: object) -> str:
    if isinstance(failure, Mapping):
        return _short(f"#{failure.get('case')}: {failure.get('expected')} ≠ {failure.get('got')}")
    return _short(failure)


def _short(given: object) -> str:
    return str(given)[:200]


_NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def _events(*, ago: timedelta = timedelta(hours=1), **fields: object) -> Events:
    event = LoggedEvent(type="self_check", timestamp=_NOW - ago, received_at=_NOW - ago, fields={"name": "known clients", **fields})
    return Events(now=_NOW, registered_at=_NOW - timedelta(days=30), events=(event,))


def examples() -> tuple[Example, ...]:
    return (
        Example(title=N_("all twelve known cases are answered rightly"), evidence=_events(passed=12, failed=0), outcome=Outcome.QUIET),
        Example(
            title=N_("two of twelve known cases are answered wrongly"),
            evidence=_events(passed=10, failed=2, failures=[{"case": 3, "expected": 0.2, "got": 0.9}, {"case": 7, "expected": 0.4, "got": 0.1}]),
            outcome=Outcome.FIRED,
        ),
        Example(title=N_("the check could not load the model"), evidence=_events(error="model file not found"), outcome=Outcome.FIRED),
        Example(
            title=N_("the last check passed, five days ago"), evidence=_events(ago=timedelta(days=5), passed=12, failed=0), outcome=Outcome.UNKNOWN
        ),
        Example(title=N_("nobody checks"), evidence=Events(now=_NOW, registered_at=_NOW - timedelta(days=30)), outcome=Outcome.UNKNOWN),
    )
