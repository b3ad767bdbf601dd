"""What the board shows: one row per model, put together from the slices in a fixed number of queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING
from uuid import UUID

from watchkeeper.accounts import queries as accounts
from watchkeeper.incidents import queries as incidents
from watchkeeper.monitoring import queries as monitoring
from watchkeeper.monitoring.queries import BoundRisk
from watchkeeper.registry import queries as registry
from watchkeeper.web.drawing import worst_of_days

if TYPE_CHECKING:
    from watchkeeper.accounts.models import Person, Unit
    from watchkeeper.incidents.models import Incident
    from watchkeeper.monitoring.models import ModelLight
    from watchkeeper.registry.models import RegisteredModel

STRIP_DAYS = 30


@dataclass(frozen=True)
class Row:
    """One model on the board."""

    model: RegisteredModel
    light: str
    score: int
    since: datetime
    known: int
    total: int
    units: tuple[str, ...]
    firing: tuple[BoundRisk, ...]
    days: tuple[str, ...]
    owners: tuple[Person, ...]
    incident: Incident | None

    @property
    def worst(self) -> BoundRisk | None:
        return self.firing[0] if self.firing else None

    @property
    def more(self) -> int:
        return len(self.firing) - 1

    @property
    def is_quiet(self) -> bool:
        return self.light in ("green", "grey")

    @property
    def cost(self) -> Decimal | None:
        """The known costs per day of what fires; None when none is known."""
        known = [risk.binding.cost_per_day for risk in self.firing if risk.binding.cost_per_day is not None]
        return sum(known, Decimal(0)) if known else None


@dataclass(frozen=True)
class Group:
    light: str
    rows: tuple[Row, ...]


def rows(models: Sequence[RegisteredModel], *, now: datetime) -> list[Row]:
    ids = [model.id for model in models]
    firing = monitoring.firing(ids)
    changes = monitoring.light_changes(ids, since=now - timedelta(days=STRIP_DAYS))
    technical, business = registry.owners_of(ids, side="technical"), registry.owners_of(ids, side="business")
    opened = incidents.open_incidents(ids)
    names = unit_names()
    return [
        _row(
            model,
            units=tuple(names[part] for part in unit_ids(model.unit.path)[1:]) or (model.unit.name,),
            firing=tuple(firing.get(model.id, ())),
            days=tuple(worst_of_days(changes.get(model.id, ()), now=now, days=STRIP_DAYS)),
            owners=tuple(technical.get(model.id) or business.get(model.id) or ()),
            incident=next(iter(opened.get(model.id, ())), None),
        )
        for model in models
    ]


def _row(
    model: RegisteredModel,
    *,
    units: tuple[str, ...],
    firing: tuple[BoundRisk, ...],
    days: tuple[str, ...],
    owners: tuple[Person, ...],
    incident: Incident | None,
) -> Row:
    light: ModelLight | None = getattr(model, "light", None)
    return Row(
        model=model,
        light=light.light if light else "grey",
        score=light.score if light else 0,
        since=light.since if light else model.created_at,
        known=light.known if light else 0,
        total=light.total if light else 0,
        units=units,
        firing=firing,
        days=days,
        owners=owners,
        incident=incident,
    )


def tallies(counts: Mapping[UUID, Mapping[str, int]], unit: Unit | None) -> dict[str, int]:
    """Models per light in a unit and below it, from the counts per unit."""
    inside = {found.id for found in accounts.all_units() if unit is None or found.path.startswith(unit.path)}
    sums = dict.fromkeys(("red", "yellow", "green", "grey"), 0)
    for id in inside & counts.keys():
        for light, number in counts[id].items():
            sums[light] += number
    return sums


def grouped(entries: Sequence[Row]) -> list[Group]:
    """Rows under their light, in the order they come."""
    return [Group(light, tuple(found)) for light, found in groupby(entries, key=lambda row: row.light)]


def unit_names() -> dict[UUID, str]:
    return {unit.id: unit.name for unit in accounts.all_units()}


def unit_ids(path: str) -> list[UUID]:
    """Ids from the root down to the unit of a path."""
    return [UUID(hex=part) for part in path.split("/") if part]
