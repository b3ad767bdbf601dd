"""What SEMANTICS §2 says, written down a second time: naive, table-driven, without a look at the code it judges.

It keeps the whole history and works everything out from it again each time. Slow and plain is the point.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

Saw = Literal["fired", "almost", "quiet", "unknown", "error"]  # almost: inside the limit, but not beyond the clear limit
KNOWN = ("fired", "almost", "quiet")

# The table of SEMANTICS §2. "pending?" and "ok?" ask the timers: see `_is_long_enough` and `_is_held`.
TABLE: dict[tuple[str, str], str] = {
    ("ok", "fired"): "pending?",
    ("ok", "almost"): "ok",
    ("ok", "quiet"): "ok",
    ("pending", "fired"): "pending?",
    ("pending", "almost"): "ok",
    ("pending", "quiet"): "ok",
    ("firing", "fired"): "firing",
    ("firing", "almost"): "firing",
    ("firing", "quiet"): "ok?",
    ("recovering", "fired"): "firing",
    ("recovering", "almost"): "firing",
    ("recovering", "quiet"): "ok?",
}


@dataclass(frozen=True)
class Reading:
    at: datetime
    saw: Saw
    since: datetime | None = None
    data: str = "insufficient"  # of a reading that knows nothing


@dataclass(frozen=True)
class Wait:
    """The rule of a binding: `for`, n of m, hold."""

    for_: timedelta = timedelta(0)
    n: int = 1
    m: int = 1
    hold: timedelta = timedelta(0)


@dataclass(frozen=True)
class Seen:
    """State after each reading, and how good the data is after the last one."""

    states: tuple[str, ...]
    data: str

    @property
    def state(self) -> str:
        return self.states[-1] if self.states else "ok"

    @property
    def counts(self) -> bool:
        return self.state in ("firing", "recovering")


def judge(history: Sequence[Reading], wait: Wait) -> Seen:
    """Walk through the history by the table."""
    states: list[str] = []
    state, began = "ok", 0  # `began`: index of the reading with which the present pending or recovering began
    for index, reading in enumerate(history):
        if reading.saw in KNOWN:
            following = TABLE[state, reading.saw]
            if following == "pending?":
                began = index if state == "ok" else began
                following = "firing" if _is_long_enough(history[: index + 1], began, wait) else "pending"
            elif following == "ok?":
                began = index if state == "firing" else began
                following = "ok" if _known_time(history[began : index + 1]) >= wait.hold else "recovering"
            state = following
        states.append(state)
    return Seen(tuple(states), _data(history))


def _is_long_enough(history: Sequence[Reading], began: int, wait: Wait) -> bool:
    """Both are needed: the time it fired as far as it was known, and n of the last m known evaluations."""
    first = history[began]
    ahead = first.at - min(first.since or first.at, first.at)
    known = [reading.saw == "fired" for reading in history if reading.saw in KNOWN]
    return ahead + _known_time(history[began:]) >= wait.for_ and sum(known[-wait.m :]) >= wait.n


def _known_time(stretch: Sequence[Reading]) -> timedelta:
    """Time between neighbours that both knew something: while nothing is known, timers stand still."""
    pairs = itertools.pairwise(stretch)
    return sum((max(b.at - a.at, timedelta(0)) for a, b in pairs if a.saw in KNOWN and b.saw in KNOWN), timedelta(0))


def _data(history: Sequence[Reading]) -> str:
    data, errors = "insufficient", 0
    for reading in history:
        errors = errors + 1 if reading.saw == "error" else 0
        if reading.saw in KNOWN:
            data = "fresh"
        elif reading.saw == "unknown":
            data = reading.data
        elif errors >= 3:
            data = "error"
    return data


def light(bindings: Sequence[tuple[int, Seen | None]], *, yellow_from: int = 1, red_from: int = 3) -> tuple[str, int]:
    """Light and score from (criticality, what was seen) of each binding; None = never evaluated."""
    counted = [(criticality, seen) for criticality, seen in bindings if criticality > 0]
    score = sum(criticality for criticality, seen in counted if seen and seen.counts)
    fresh = [seen is not None and seen.data == "fresh" for _, seen in counted]
    ok = [is_fresh and seen is not None and seen.state == "ok" for is_fresh, (_, seen) in zip(fresh, counted, strict=True)]
    if score >= red_from:
        return "red", score
    if score >= yellow_from:
        return "yellow", score
    if not any(ok):
        return "grey", score
    if any(criticality == 3 and not is_fresh for is_fresh, (criticality, _) in zip(fresh, counted, strict=True)):
        return "grey", score
    return "green", score


@dataclass
class Case:
    """One incident as the oracle keeps it."""

    state: str = "open"
    how: str = ""
    resolved_at: datetime | None = None
    reopened: int = 0
    reopen_at: datetime | None = None
    acknowledged_until: datetime | None = None


@dataclass
class Docket:
    """The incidents of one binding, as SEMANTICS wants them."""

    cases: list[Case] = field(default_factory=list)

    @property
    def open(self) -> Case | None:
        return self.cases[-1] if self.cases and self.cases[-1].state != "resolved" else None

    def fires(self, at: datetime, *, never_ok_since_change: bool) -> None:
        """The condition became firing."""
        last = self.cases[-1] if self.cases else None
        if last and last.state != "resolved":
            return
        again = last and last.resolved_at and at - last.resolved_at <= timedelta(minutes=30)
        same = last and last.how == "rule_changed" and never_ok_since_change
        if last and (again or same):
            self.reopen(last)
        else:
            self.cases.append(Case())

    def reopen(self, case: Case) -> None:
        case.state, case.how, case.resolved_at, case.reopen_at, case.acknowledged_until = "open", "", None, None, None
        case.reopened += 1

    def ends(self, at: datetime, how: str) -> None:
        """The condition became ok, or the rule, the risk or the model went away."""
        for case in self.cases:
            case.reopen_at = None
        case = self.open
        if case:
            case.state, case.how, case.resolved_at, case.acknowledged_until = "resolved", how, at, None

    def resolve(self, at: datetime, *, still_fires: bool) -> None:
        case = self.open
        assert case
        case.state, case.how, case.resolved_at, case.acknowledged_until = "resolved", "manual", at, None
        case.reopen_at = at + timedelta(hours=24) if still_fires else None

    def acknowledge(self, until: datetime) -> None:
        assert self.open
        self.open.state, self.open.acknowledged_until = "acknowledged", until

    def time_passes(self, now: datetime, *, fires: bool) -> None:
        """What a worker does for time alone: acknowledgements run out, what was resolved by hand is looked at again."""
        for case in self.cases:
            if case.reopen_at and case.reopen_at <= now:
                case.reopen_at = None
                if fires and self.open is None:
                    self.reopen(case)
        case = self.open
        if case and case.acknowledged_until and case.acknowledged_until <= now:
            case.state, case.acknowledged_until = "open", None
