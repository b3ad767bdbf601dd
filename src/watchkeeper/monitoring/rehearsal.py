"""A rule tried on the past: what it would have fired, against the incidents there really were, and which limits would have been quieter.

Knows incidents only as the `Trouble` it is given. Writes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import pstdev
from time import thread_time
from typing import Any

from watchkeeper import risks
from watchkeeper.core.errors import InvalidInput
from watchkeeper.core.text import N_, Argument, Text
from watchkeeper.monitoring.due import Due
from watchkeeper.monitoring.replay import USUAL, Alarm, Pace, Past, Replay, replay
from watchkeeper.risks import Limit

QUARTER = 92  # days
NEWS_FOR = timedelta(days=7)
SECONDS = 8.0  # of computing with other limits, before the last one is begun
LOOSER = (1.4, 2.0, 3.0, 5.0, 8.0)
STRICTER = 0.7
_SHIFTED = {0.7: -0.5, 1.4: 0.5, 2.0: 1.0, 3.0: 2.0, 5.0: 3.0, 8.0: 5.0}  # a bound is moved by so many standard deviations of its metric


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """An incident of the model that nobody called a false alarm. `end` is None while it is open."""

    number: int
    type: str
    start: datetime
    opened_at: datetime
    end: datetime | None


@dataclass(frozen=True, kw_only=True)
class Caught:
    """A real incident during which the rule would have fired. `earlier` is by how much before people were told of it; negative when later."""

    trouble: Trouble
    alarm: Alarm
    earlier: timedelta


@dataclass(frozen=True, kw_only=True)
class Tried:
    """The same rule with other limits. `params` are only those that differ."""

    params: Mapping[str, Any]  # Any: JSON of the parameters
    rehearsal: Rehearsal


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """`others` are other limits that were tried, strictest first; `suggested` the one of them to prefer, None when the given ones are."""

    replay: Replay
    caught: tuple[Caught, ...]
    missed: tuple[Trouble, ...]
    others: tuple[Tried, ...] = ()
    suggested: Tried | None = None
    assumes: tuple[Text, ...] = ()

    @property
    def unconfirmed(self) -> tuple[Alarm, ...]:
        """Alarms that no incident goes with. That does not make them false: perhaps nobody noticed."""
        return tuple(alarm for alarm in self.replay.alarms if not self.caught_by(alarm))

    @property
    def numbers(self) -> frozenset[int]:
        return frozenset(found.trouble.number for found in self.caught)

    @property
    def is_too_loud(self) -> bool:
        """More alarms without an incident than one in a quarter, or firing most of the time."""
        return len(self.unconfirmed) > max(1, round(self.replay.days / QUARTER)) or self.replay.total > (self.replay.end - self.replay.start) / 2

    def caught_by(self, alarm: Alarm) -> tuple[Trouble, ...]:
        return tuple(trouble for trouble in self.troubles if overlaps(alarm, trouble, self.replay.end))

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        return (*(found.trouble for found in self.caught), *self.missed)

    @property
    def summary(self) -> Text:
        template = N_(
            "rehearsed on the last {days:integer} d; alarms: {times:integer}, together {total:duration}; incidents caught: {caught:integer} of"
            " {incidents:integer}; alarms not confirmed by an incident: {unconfirmed:integer}; unknown moments: {unknown:integer} of"
            " {moments:integer}"
        )
        found = self.replay
        facts: dict[str, Argument] = {
            "days": found.days,
            "times": len(found.alarms),
            "total": found.total.total_seconds(),
            "caught": len(self.caught),
            "incidents": len(self.troubles),
            "unconfirmed": len(self.unconfirmed),
            "unknown": found.unknown_moments,
            "moments": len(found.moments),
        }
        return Text(template, facts)


def rehearse(
    binding: Due, past: Past, troubles: Sequence[Trouble], *, factors: Sequence[float] = (STRICTER, *LOOSER), pace: Pace = USUAL
) -> Rehearsal:
    """What the rule would have done, and with its limits by these factors: stricter ones, and while it is too loud looser ones, until one is not."""
    found = _confront(replay(binding, past, pace=pace), past, troubles)
    tried = tuple(_other_limits(binding, past, troubles, found, factors, pace))
    return Rehearsal(
        replay=found.replay,
        caught=found.caught,
        missed=found.missed,
        others=tried,
        suggested=_suggestion(found, tried),
        assumes=found.assumes,
    )


def limited(binding: Due, params: Mapping[str, Any]) -> Due:  # Any: JSON of the parameters
    """The same rule with other limits."""
    return binding._replace(own=json.dumps(json.loads(binding.own) | dict(params)))


def overlaps(alarm: Alarm, trouble: Trouble, now: datetime) -> bool:
    """Both at one time; an alarm that begins a week after people were told says nothing of the incident any more."""
    return alarm.start < min(trouble.end or now, trouble.opened_at + NEWS_FOR) and trouble.start < (alarm.end or now)


def _confront(found: Replay, past: Past, troubles: Sequence[Trouble]) -> Rehearsal:
    caught: list[Caught] = []
    missed: list[Trouble] = []
    for trouble in troubles:
        if (trouble.end or found.end) <= found.start:
            continue
        first = next((alarm for alarm in found.alarms if overlaps(alarm, trouble, found.end)), None)
        if first:
            caught.append(Caught(trouble=trouble, alarm=first, earlier=trouble.opened_at - first.start))
        else:
            missed.append(trouble)
    return Rehearsal(replay=found, caught=tuple(caught), missed=tuple(missed), assumes=tuple(_assumptions(found, past)))


def _assumptions(found: Replay, past: Past) -> Iterator[Text]:
    if found.gap:
        text = N_("looked at about every {gap:duration}, less often than the schedule says: what came and went in between is not seen")
        yield Text(text, {"gap": found.gap.total_seconds()})
    for assumed in past.evidence.assumes:
        yield Text(assumed)


def _suggestion(given: Rehearsal, tried: Sequence[Tried]) -> Tried | None:
    """Quiet enough and blind to nothing that was caught; the first that catches most. None when what is given is that."""
    keeps = [other for other in tried if other.rehearsal.numbers >= given.numbers]
    quiet = [other for other in keeps if not other.rehearsal.is_too_loud]
    if quiet:
        best = max(quiet, key=lambda other: len(other.rehearsal.caught))
        return best if given.is_too_loud or len(best.rehearsal.caught) > len(given.caught) else None
    least = min(keeps, key=lambda other: len(other.rehearsal.unconfirmed), default=None)
    return least if least and given.is_too_loud and len(least.rehearsal.unconfirmed) < len(given.unconfirmed) else None


def _other_limits(binding: Due, past: Past, troubles: Sequence[Trouble], given: Rehearsal, factors: Sequence[float], pace: Pace) -> Iterator[Tried]:
    begun = thread_time()
    for factor in factors if given.is_too_loud else [factor for factor in factors if factor < 1]:
        params = with_limits(binding, factor, given.replay.values)
        if params is None or thread_time() - begun > SECONDS:
            continue
        tried = Tried(params=params, rehearsal=_confront(replay(limited(binding, params), past, pace=pace), past, troubles))
        yield tried
        if factor > 1 and not tried.rehearsal.is_too_loud:
            return


def with_limits(binding: Due, factor: float, values: Sequence[float]) -> dict[str, Any] | None:  # Any: JSON of the parameters
    """The limits of the rule made looser by a factor; None when it has none, or these are not possible."""
    kind, params = risks.get(binding.type), binding.params
    spread = pstdev(values) if len(values) > 1 else 0.0
    moved = {name: _moved(getattr(params, name), limit, factor, spread) for name, limit in kind.limits.items()}
    changed = {name: value for name, value in moved.items() if value is not None and value != getattr(params, name)}
    try:
        read = kind.parse_params({**params.model_dump(mode="json"), **changed}) if changed else None
    except InvalidInput:
        return None
    shown = read.model_dump(mode="json") if read else {}
    return {name: shown[name] for name in changed} or None


def _moved(value: Any, limit: Limit, factor: float, spread: float) -> Any:  # Any: a number, a duration, or None where no limit is set
    if value is None:
        return None
    sign = 1 if limit.fewer_when_higher else -1
    if limit.shifts:
        return _rounded(value + sign * _SHIFTED[factor] * spread, digits=4)
    if isinstance(value, timedelta):
        return _whole(value * factor**sign)
    return max(1, round(value * factor**sign)) if isinstance(value, int) else _rounded(value * factor**sign)


def _whole(span: timedelta) -> timedelta:
    """In whole days, hours or minutes, as people write it.

    >>> str(_whole(timedelta(days=4, hours=21))), str(_whole(timedelta(hours=18, minutes=12)))
    ('5 days, 0:00:00', '18:00:00')
    """
    unit = next((unit for unit in (timedelta(days=1), timedelta(hours=1)) if span >= 3 * unit), timedelta(minutes=1))
    return max(1, round(span / unit)) * unit


def _rounded(value: float, *, digits: int = 2) -> float:
    """The digits that count: nobody sets a limit of 0.0700001."""
    return float(f"{value:.{digits}g}")
