"""Replay what is stored of a model through the code that evaluates it live: evidence as of each due moment, finding, condition. Writes nothing.

Does not know incidents. At most 400 moments are judged, fewer of what is slow; what that leaves out is said in `gap`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from time import thread_time
from typing import NamedTuple

from watchkeeper import risks
from watchkeeper.core.evidence import Evidence
from watchkeeper.core.finding import Outcome
from watchkeeper.core.text import Text
from watchkeeper.monitoring.conditions import Condition, State
from watchkeeper.monitoring.due import Due
from watchkeeper.monitoring.evaluation import Evaluation, Transition, advance, due_after, evaluate_one
from watchkeeper.monitoring.schedules import next_due

MOST_MOMENTS = 400
ZERO = timedelta(0)
INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How closely to look: moments at least `least` apart, and fewer when judging them all would take more than so many seconds of computing."""

    least: timedelta = ZERO
    seconds: float = 8.0


USUAL = Pace()


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """One time that an incident would have been open; `end` is None while it still is."""

    segment: str
    start: datetime
    end: datetime | None = None
    explanation: Text

    def lasted(self, now: datetime) -> timedelta:
        return (self.end or now) - self.start


class Judged(NamedTuple):
    """What a replay saw at one moment: the outcome over all segments (fired before unknown before quiet), and whether an incident was open then."""

    at: datetime
    outcome: Outcome
    is_counted: bool


@dataclass(frozen=True, kw_only=True)
class Replay:
    """`gap` is how far moments lie apart because there were too many, zero when each due moment was judged.

    `unknown` counts the moments at which nothing could be judged by their reason; `values` are what findings measured.
    """

    start: datetime
    end: datetime
    gap: timedelta
    moments: tuple[Judged, ...]
    alarms: tuple[Alarm, ...]
    unknown: tuple[tuple[Text, int], ...]
    values: tuple[float, ...] = ()
    transitions: tuple[Transition, ...] = ()

    @property
    def days(self) -> int:
        return max(1, round((self.end - self.start) / timedelta(days=1)))

    @property
    def total(self) -> timedelta:
        """How long alarms lasted together."""
        return sum((alarm.lasted(self.end) for alarm in self.alarms), ZERO)

    @property
    def is_sparse(self) -> bool:
        """Not even every day was looked at."""
        return self.gap > timedelta(days=1)

    @property
    def unknown_moments(self) -> int:
        return sum(count for _, count in self.unknown)


@dataclass(frozen=True, eq=False)
class Past:
    """What is stored of a model from `start` on, to be looked at as of any moment since; views are kept for the next replay."""

    evidence: Evidence
    start: datetime
    _views: dict[datetime, Evidence] = field(default_factory=dict)

    @property
    def end(self) -> datetime:
        return self.evidence.now

    @cached_property
    def arrivals(self) -> list[datetime]:
        return [at for at in self.evidence.arrivals if self.start <= at <= self.end]

    def at(self, moment: datetime) -> Evidence:
        if moment not in self._views:
            self._views[moment] = self.evidence.at(moment)
        return self._views[moment]

    def next_arrival(self, after: datetime) -> datetime | None:
        place = bisect_right(self.arrivals, after)
        return self.arrivals[place] if place < len(self.arrivals) else None

    def has_news(self, after: datetime, until: datetime) -> bool:
        return bisect_right(self.arrivals, after) < bisect_right(self.arrivals, until)


def past_of(evidence: Evidence, *, days: int) -> Past | None:
    """The last days, from the first moment at which anything was known; None when nothing was, or when the past is not stored."""
    since = evidence.now - timedelta(days=days)
    known = evidence.arrivals
    if evidence.forgets or not known:
        return None
    return Past(evidence, max(since, known[0]))


def replay(binding: Due, past: Past, *, pace: Pace = USUAL) -> Replay:
    """Judge each due moment as a worker would have, always on time. `binding` may be one that nobody has saved."""
    gap = _gap(binding, past, pace)
    at, evaluation, judged_at = _first(binding, past), None, past.start
    known: dict[str, Condition] = {}
    moments: list[Judged] = []
    steps: list[Transition] = []
    unknown: Counter[str] = Counter()
    reasons: dict[str, Text] = {}
    values: list[float] = []
    while at is not None and at <= past.end:
        held = binding._replace(next_due_at=at)
        if evaluation is None or past.has_news(judged_at, at) or at - judged_at >= past.evidence.same_for:
            evaluation, judged_at = _judge(held, past, at), at
        evaluation = evaluation._replace(binding=held)
        for transition in advance(evaluation, known, now=at):
            steps.append(transition)
            known[transition.segment] = transition.condition
            if transition.is_needless:
                del known[transition.segment]
        outcome = _outcome(evaluation)
        moments.append(Judged(at, outcome, any(condition.is_counted for condition in known.values())))
        values += [finding.value for finding in evaluation.findings if finding.value is not None]
        if outcome is Outcome.UNKNOWN:
            reason = steps[-1].explanation
            unknown[reason.template] += 1
            reasons[reason.template] = reason
        at = _next(evaluation, known, past, at, gap if len(moments) < MOST_MOMENTS else max(gap, _spread(past, MOST_MOMENTS)))
    return Replay(
        start=past.start,
        end=past.end,
        gap=gap,
        moments=tuple(moments),
        alarms=_alarms(steps),
        unknown=tuple((reasons[template], count) for template, count in unknown.most_common()),
        values=tuple(values),
        transitions=tuple(steps),
    )


def _judge(binding: Due, past: Past, at: datetime) -> Evaluation:
    return evaluate_one(binding, {risks.get(binding.type).needs: {binding.model_id: past.at(at)}})


def _first(binding: Due, past: Past) -> datetime | None:
    planned = next_due(binding.schedule, after=past.start - INSTANT, spread_by=binding.model_id)
    return planned or past.next_arrival(past.start - INSTANT)


def _next(evaluation: Evaluation, known: Mapping[str, Condition], past: Past, at: datetime, gap: timedelta) -> datetime | None:
    """When a worker would look next: as due, as asked for by a finding, or when rows came that a rule without n of m waits for."""
    binding = evaluation.binding
    after = at + gap - INSTANT if gap else at
    due = next_due(binding.schedule, after=after, spread_by=binding.model_id) if gap else due_after(evaluation, now=at)
    is_settled = known and all(condition.state is State.OK and condition.data == "fresh" for condition in known.values())
    waits = "on" in binding.schedule or (binding.rule.m == 1 and not is_settled)
    arrival = past.next_arrival(after) if waits else None
    return min((moment for moment in (due, arrival) if moment), default=None)


def _gap(binding: Due, past: Past, pace: Pace) -> timedelta:
    """How far moments must lie apart so that they are not too many; zero when each due one can be judged."""
    planned = _planned(binding, past)
    same_for = past.evidence.same_for
    judged = min(planned, (past.end - past.start) / same_for) if same_for else planned
    affordable = pace.seconds / _cost(binding, past)
    apart = [_spread(past, most) for number, most in ((planned, MOST_MOMENTS), (judged, affordable)) if number > most]
    return max([*apart, pace.least])


def _cost(binding: Due, past: Past) -> float:
    """Seconds that one judgement takes, whatever else the machine does: that of a moment in the middle, when all is loaded."""
    _judge(binding, past, past.end)
    begun = thread_time()
    _judge(binding, past, past.start + (past.end - past.start) / 2)
    return max(thread_time() - begun, 1e-6)


def _planned(binding: Due, past: Past) -> int:
    """The number of due moments, as far as it matters."""
    if "on" in binding.schedule:
        return len(past.arrivals)
    number, at = 0, past.start
    while number <= MOST_MOMENTS:
        following = next_due(binding.schedule, after=at, spread_by=binding.model_id)
        if following is None or following > past.end:
            break
        number, at = number + 1, following
    return number


def _spread(past: Past, most: float) -> timedelta:
    return (past.end - past.start) / most


def _outcome(evaluation: Evaluation) -> Outcome:
    found = {finding.outcome for finding in evaluation.findings}
    return next((outcome for outcome in (Outcome.FIRED, Outcome.QUIET) if outcome in found), Outcome.UNKNOWN)


def _alarms(steps: list[Transition]) -> tuple[Alarm, ...]:
    """What was counted in each segment, in order of its start."""
    done: list[Alarm] = []
    running: dict[str, Alarm] = {}
    for step in steps:
        if step.condition.is_counted and not step.before.is_counted:
            running[step.segment] = Alarm(segment=step.segment, start=step.at, explanation=step.explanation)
        elif step.before.is_counted and not step.condition.is_counted:
            begun = running.pop(step.segment)
            done.append(Alarm(segment=begun.segment, start=begun.start, end=step.at, explanation=begun.explanation))
    return tuple(sorted([*done, *running.values()], key=lambda alarm: alarm.start))
