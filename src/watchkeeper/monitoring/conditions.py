"""The condition of a binding in one segment, as a pure state machine: state, finding and rule in, state and step out. No database, no clock.

The transitions are those of the table in docs/guide/conditions.md. Three rules carry it: unknown never changes a condition; silence never
resolves a problem, so timers stand still while nothing is known; leaving `firing` takes a value beyond the clear limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from watchkeeper.core.finding import DataState, Finding, Outcome

FLAPPING_WINDOW = 21
FLAPPING_START = 0.30
FLAPPING_STOP = 0.15
ERRORS_UNTIL_TOLD = 3
ZERO = timedelta(0)


class State(StrEnum):
    OK = "ok"
    PENDING = "pending"
    FIRING = "firing"
    RECOVERING = "recovering"


COUNTS_IN_LIGHT = frozenset({State.FIRING, State.RECOVERING})


class Step(StrEnum):
    """What an evaluation did, as the layers above need to know it."""

    NOTHING = "nothing"
    STARTED_PENDING = "started pending"
    FIRED = "fired"
    STILL_FIRING = "still firing"
    STARTED_RECOVERING = "started recovering"
    FIRED_AGAIN = "fired again"
    RESOLVED = "resolved"
    LOST_SIGHT = "no data"
    ERRED = "evaluation failed"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How long and how often a risk must fire, and how long it must be quiet."""

    for_: timedelta = ZERO
    n: int = 1
    m: int = 1
    hold: timedelta = ZERO


class Condition(NamedTuple):
    """`since` is when the state became true. `elapsed` is the running timer of pending or recovering, at its last known reading `read_at`.

    `recent` are the last m known outcomes (True = fired), `past` the last 21 states, newest last.
    """

    state: State = State.OK
    data: DataState = DataState.INSUFFICIENT
    since: datetime | None = None
    true_since: datetime | None = None
    elapsed: timedelta = ZERO
    read_at: datetime | None = None
    recent: tuple[bool, ...] = ()
    past: tuple[State, ...] = ()
    no_data_since: datetime | None = None
    value: float | None = None
    limit: float | None = None
    peak: float | None = None
    parts: tuple[str, ...] = ()
    errors: int = 0
    is_flapping: bool = False

    @property
    def is_counted(self) -> bool:
        return self.state in COUNTS_IN_LIGHT


def step(before: Condition, finding: Finding, rule: Rule, *, at: datetime) -> tuple[Condition, Step]:
    """The condition after one finding, made at the moment `at`."""
    if finding.outcome is Outcome.UNKNOWN:
        return _unknown(before, finding, at)
    fired = finding.outcome is Outcome.FIRED
    known = before._replace(
        data=finding.data,
        no_data_since=None,
        errors=0,
        recent=(*before.recent, fired)[-rule.m :],
        value=finding.value,
        limit=finding.limit,
        parts=finding.parts,
    )
    after, done = _fired(known, finding, rule, at) if fired else _quiet(known, finding, rule, at)
    return _with_past(after), done


def fail(before: Condition, *, at: datetime) -> tuple[Condition, Step]:
    """The condition after an evaluation that failed: the state stays; from the third failure on the data counts as in error."""
    errors = before.errors + 1
    stopped = before._replace(errors=errors, read_at=None)
    if errors < ERRORS_UNTIL_TOLD:
        return stopped, Step.NOTHING
    after = stopped._replace(data=DataState.ERROR, no_data_since=before.no_data_since or at)
    return after, Step.ERRED if errors == ERRORS_UNTIL_TOLD else Step.NOTHING


def _unknown(before: Condition, finding: Finding, at: datetime) -> tuple[Condition, Step]:
    after = before._replace(data=finding.data, no_data_since=before.no_data_since or at, errors=0, read_at=None)
    lost_sight = before.is_counted and before.no_data_since is None
    return after, Step.LOST_SIGHT if lost_sight else Step.NOTHING


def _fired(known: Condition, finding: Finding, rule: Rule, at: datetime) -> tuple[Condition, Step]:
    true_since = min(finding.since or at, at)
    if known.state is State.FIRING:
        return known._replace(peak=_peak(known), read_at=at), Step.STILL_FIRING
    if known.state is State.RECOVERING:
        return known._replace(state=State.FIRING, since=at, elapsed=ZERO, read_at=at, peak=_peak(known)), Step.FIRED_AGAIN
    if known.state is State.OK:
        pending = known._replace(state=State.PENDING, since=true_since, true_since=true_since, elapsed=at - true_since, read_at=at)
    else:
        pending = known._replace(elapsed=_running(known, at), read_at=at)
    if pending.elapsed >= rule.for_ and sum(pending.recent) >= rule.n:
        return pending._replace(state=State.FIRING, since=at, elapsed=ZERO, peak=pending.value), Step.FIRED
    return pending, Step.STARTED_PENDING if known.state is State.OK else Step.NOTHING


def _quiet(known: Condition, finding: Finding, rule: Rule, at: datetime) -> tuple[Condition, Step]:
    if known.state in (State.OK, State.PENDING):
        return _settled(known, at if known.state is State.PENDING or known.since is None else known.since), Step.NOTHING
    if not finding.is_clear:
        held = known._replace(state=State.FIRING, elapsed=ZERO, read_at=at, since=known.since if known.state is State.FIRING else at)
        return held, Step.STILL_FIRING if known.state is State.FIRING else Step.FIRED_AGAIN
    if known.state is State.FIRING:
        recovering = known._replace(state=State.RECOVERING, since=at, elapsed=ZERO, read_at=at)
    else:
        recovering = known._replace(elapsed=_running(known, at), read_at=at)
    if recovering.elapsed >= rule.hold:
        return _settled(recovering, at), Step.RESOLVED
    return recovering, Step.STARTED_RECOVERING if known.state is State.FIRING else Step.NOTHING


def _settled(known: Condition, since: datetime) -> Condition:
    if known.state is State.OK and known.since == since:
        return known
    return known._replace(state=State.OK, since=since, true_since=None, elapsed=ZERO, read_at=None, peak=None)


def _running(known: Condition, at: datetime) -> timedelta:
    """The timer: it runs between two known readings and stands still while nothing was known."""
    return known.elapsed + (max(at - known.read_at, ZERO) if known.read_at else ZERO)


def _peak(known: Condition) -> float | None:
    """The value furthest beyond the limit, on whichever side of it the value lies."""
    if known.value is None or known.peak is None or known.limit is None:
        return known.value if known.peak is None else known.peak
    return max(known.peak, known.value, key=lambda value: abs(value - known.limit))  # type: ignore[operator]  # limit was checked above


def _with_past(after: Condition) -> Condition:
    """Flapping: the share of changes in the last 21 states, started above 30 %, stopped below 15 %."""
    past = (*after.past, after.state)[-FLAPPING_WINDOW:]
    changes = _changes(past) / (FLAPPING_WINDOW - 1)
    is_flapping = changes > FLAPPING_START or (after.is_flapping and changes >= FLAPPING_STOP)
    if (past, is_flapping) == (after.past, after.is_flapping):
        return after
    return after._replace(past=past, is_flapping=is_flapping)


@lru_cache(maxsize=10_000)
def _changes(past: tuple[State, ...]) -> int:
    return sum(a != b for a, b in pairwise(past))
