"""The light of a model from the conditions of its bindings. Pure: the arithmetic a reader can check by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from watchkeeper.core.finding import DataState
from watchkeeper.monitoring.conditions import State

HIGH = 3


class Light(StrEnum):
    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"
    GREY = "grey"


@dataclass(frozen=True)
class Cutoffs:
    yellow_from: int = 1
    red_from: int = 3


class Contribution(NamedTuple):
    """One binding of criticality 1-3: the states and data of its segments."""

    binding: str
    criticality: int
    states: tuple[State, ...]
    data: tuple[DataState, ...]

    @property
    def is_counted(self) -> bool:
        return State.FIRING in self.states or State.RECOVERING in self.states

    @property
    def is_known(self) -> bool:
        return bool(self.data) and self.data.count(DataState.FRESH) == len(self.data)

    @property
    def is_ok(self) -> bool:
        return self.is_known and self.states.count(State.OK) == len(self.states)


@dataclass(frozen=True)
class Reading:
    """`score` is the sum of criticality of what fires; `known` of `total` bindings have fresh data."""

    light: Light
    score: int
    known: int
    total: int
    causes: tuple[str, ...]


def read_light(contributions: Sequence[Contribution], cutoffs: Cutoffs) -> Reading:
    """Yellow and red by score always win; then grey while nothing or something vital is not known; then green. A binding counts once."""
    counted = [entry for entry in contributions if entry.is_counted]
    score = sum(entry.criticality for entry in counted)
    return Reading(
        light=_light(contributions, score, cutoffs),
        score=score,
        known=sum(entry.is_known for entry in contributions),
        total=len(contributions),
        causes=tuple(entry.binding for entry in counted),
    )


def _light(contributions: Sequence[Contribution], score: int, cutoffs: Cutoffs) -> Light:
    if score >= cutoffs.red_from:
        return Light.RED
    if score >= cutoffs.yellow_from:
        return Light.YELLOW
    if not any(entry.is_ok for entry in contributions):
        return Light.GREY
    if any(entry.criticality == HIGH and not entry.is_known for entry in contributions):
        return Light.GREY
    return Light.GREEN
