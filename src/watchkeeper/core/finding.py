"""What one evaluation of a risk says. Does not decide what follows from it: that is monitoring's condition."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from watchkeeper.core.text import Text


class Outcome(StrEnum):
    QUIET = "quiet"
    FIRED = "fired"
    UNKNOWN = "unknown"


class DataState(StrEnum):
    """How good the data behind a condition is: an axis of its own, never mixed with the condition."""

    FRESH = "fresh"
    STALE = "stale"
    ERROR = "error"
    INSUFFICIENT = "insufficient"


class Finding(NamedTuple):
    """The result of one evaluation of one segment.

    `value` and `limit` share a unit, named in the explanation. `since` is when it became true, if the evidence says so.
    `is_clear` is False for a quiet value that has not passed the clear limit yet (hysteresis).
    `parts` names the features or streams concerned. `recheck_at` asks for an evaluation at a known moment.
    """

    outcome: Outcome
    explanation: Text
    value: float | None = None
    limit: float | None = None
    segment: str = ""
    since: datetime | None = None
    data: DataState = DataState.FRESH
    is_clear: bool = True
    parts: tuple[str, ...] = ()
    recheck_at: datetime | None = None

    @classmethod
    def quiet(
        cls, explanation: Text, *, value: float | None = None, limit: float | None = None, is_clear: bool = True, recheck_at: datetime | None = None
    ) -> Finding:
        return cls(outcome=Outcome.QUIET, explanation=explanation, value=value, limit=limit, is_clear=is_clear, recheck_at=recheck_at)

    @classmethod
    def fired(
        cls, explanation: Text, *, value: float | None = None, limit: float | None = None, since: datetime | None = None, parts: tuple[str, ...] = ()
    ) -> Finding:
        return cls(outcome=Outcome.FIRED, explanation=explanation, value=value, limit=limit, since=since, parts=parts)

    @classmethod
    def unknown(cls, explanation: Text, *, data: DataState = DataState.INSUFFICIENT, recheck_at: datetime | None = None) -> Finding:
        return cls(outcome=Outcome.UNKNOWN, explanation=explanation, data=data, recheck_at=recheck_at)

    def in_segment(self, segment: str) -> Finding:
        return self if segment == self.segment else self._replace(segment=segment)
