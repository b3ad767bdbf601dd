"""What the board shows: one row per model, put together from the slices in a fixed number of queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING
from uuid import UUID

from watchkeeper.incidents import queries as incidents
from watchkeeper.monitoring import queries as monitoring
from watchkeeper.monitoring.queries import BoardLine, Reason
from watchkeeper.registry import queries as registry
from watchkeeper.web import present
from watchkeeper.web.drawing import worst_of_days

if TYPE_CHECKING:
    from watchkeeper.accounts.models import Unit
    from watchkeeper.incidents.queries import Opened

STRIP_DAYS = 90


@dataclass(frozen=True)
class Row:
    """One model on the board, all in the reader's words: two equal rows look the same, so a row is rendered once (`board_row`)."""

    model: BoardLine
    lasts: str
    units: tuple[str, ...]
    is_firing: bool
    title: str
    why: str
    more: int
    cost: Decimal | None
    days: tuple[str, ...]
    owner: str
    more_owners: int
    incident: Opened | None

    @property
    def is_quiet(self) -> bool:
        return self.model.light in ("green", "grey")


@dataclass(frozen=True)
class Group:
    light: str
    rows: tuple[Row, ...]


def rows(models: Sequence[BoardLine], *, units: Sequence[Unit], now: datetime) -> list[Row]:
    ids = [model.id for model in models]
    reasons, opened, owners = monitoring.reasons(ids), incidents.first_open(ids), registry.owner_names(ids)
    changes = monitoring.light_changes(ids, since=now - timedelta(days=STRIP_DAYS))
    names = unit_paths(units)
    return [
        _row(
            model,
            units=names[model.unit_id],
            reason=reasons.get(model.id),
            days=worst_of_days(changes.get(model.id, ()), now=now, days=STRIP_DAYS),
            owners=owners[model.id],
            incident=opened.get(model.id),
            now=now,
        )
        for model in models
    ]


def _row(
    model: BoardLine,
    *,
    units: tuple[str, ...],
    reason: Reason | None,
    days: tuple[str, ...],
    owners: Sequence[str],
    incident: Opened | None,
    now: datetime,
) -> Row:
    return Row(
        model=model,
        lasts=present.span(max(now - model.since, timedelta(0))),
        units=units,
        is_firing=reason is not None,
        title=present.translated(reason.title) if reason else "",
        why=present.words(reason.explanation) if reason else "",
        more=reason.more if reason else 0,
        cost=reason.cost_per_day if reason else None,
        days=days,
        owner=owners[0] if owners else "",
        more_owners=max(0, len(owners) - 1),
        incident=incident,
    )


def tallies(counts: Mapping[UUID, Mapping[str, int]], units: Sequence[Unit], unit: Unit | None) -> dict[str, int]:
    """Models per light in a unit and below it, from the counts per unit."""
    inside = {found.id for found in units if unit is None or found.path.startswith(unit.path)}
    sums = dict.fromkeys(("red", "yellow", "green", "grey"), 0)
    for id in inside & counts.keys():
        for light, number in counts[id].items():
            sums[light] += number
    return sums


def grouped(entries: Sequence[Row]) -> list[Group]:
    """Rows under their light, in the order they come."""
    return [Group(light, tuple(found)) for light, found in groupby(entries, key=lambda row: row.model.light)]


def unit_paths(units: Sequence[Unit]) -> dict[UUID, tuple[str, ...]]:
    """Names from below the root down to each unit; the root itself alone."""
    names = {unit.id: unit.name for unit in units}
    return {unit.id: tuple(names[id] for id in unit_ids(unit.path)[1:]) or (unit.name,) for unit in units}


def unit_ids(path: str) -> list[UUID]:
    """Ids from the root down to the unit of a path."""
    return [UUID(hex=part) for part in path.split("/") if part]
