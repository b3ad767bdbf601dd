"""What the detail of a feature says of its relation with the outcome: means by bins of the reference and of the last days, and where the model is off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import TYPE_CHECKING

from django.utils.safestring import SafeString
from django.utils.translation import gettext

from watchkeeper.analysis.relations import ENDLESS, FILLED, NOTHING, REST, UNSEEN, Bias, BinMeans, FeatureSums, Place, Related, biases, outcome_by
from watchkeeper.ingest.outcome_histories import outcome_histories
from watchkeeper.ingest.outcomes import has_labels
from watchkeeper.ingest.relations import related
from watchkeeper.web import present
from watchkeeper.web.relation_chart import RelationChart, relation_svgs

if TYPE_CHECKING:
    from watchkeeper.registry.models import RegisteredModel
    from watchkeeper.web.column_page import Detail

WINDOWS = (7, 28, 90)


class State(Enum):
    """Why there is nothing to show, or not all."""

    NO_LABELS = "no labels"
    NOT_COUNTED = "not counted"
    NO_NUMBERS = "no numbers"
    NOT_MATURE = "not mature"
    NO_BINS = "no bins"
    COUNTING = "counting"
    SHOWN = "shown"


@dataclass(frozen=True)
class BinLine:
    """One bin as words."""

    label: str
    now: BinMeans


@dataclass(frozen=True)
class Panel:
    state: State
    window: int
    feature: str
    related: Related | None = None
    facts: tuple[tuple[str, str], ...] = ()
    bias: Bias | None = None
    worst: str = ""
    charts: tuple[SafeString, ...] = ()
    lines: tuple[BinLine, ...] = ()

    @property
    def windows(self) -> tuple[int, ...]:
        return WINDOWS

    @property
    def reference_span(self) -> tuple[date, ...]:
        return self.related.reference_days[:: len(self.related.reference_days) - 1 or 1] if self.related else ()


def panel_of(model: RegisteredModel, opened: Detail, *, days: str, widths: Sequence[int], now: datetime) -> Panel | None:
    """None for what is no feature. `days` as written in an address."""
    if not opened.row.name.startswith("f."):
        return None
    window = next((window for window in WINDOWS if str(window) == days), WINDOWS[1])
    return panel(model, opened.row.name, window=window, widths=widths, now=now)


def panel(model: RegisteredModel, feature: str, *, window: int, widths: Sequence[int], now: datetime) -> Panel:
    """Of a feature as the log names it ("f.age"). To look at it makes it counted from now on."""
    history = outcome_histories([model.id], now=now)[model.id]
    if not history.labelled:
        return Panel(State.NOT_COUNTED if has_labels(model.id) else State.NO_LABELS, window, feature)
    found = related(model, history, window=window, feature=feature, now=now)
    if found is None:
        return Panel(State.NO_NUMBERS, window, feature)
    if not found.reference_days:
        return Panel(State.NOT_MATURE, window, feature, found)
    reference, current = (side.features.get(feature) for side in (found.reference, found.current))
    if reference is None or current is None:
        return Panel(State.NO_BINS, window, feature, found)
    state = State.COUNTING if found.waiting else State.SHOWN
    if not reference.labelled:
        return Panel(state, window, feature, found)
    latest = found.current if current.labelled else found.reference
    bias = next(iter(biases(latest)), None)
    means = outcome_by(reference, current)
    chart = RelationChart(means=means, reference=reference, current=current)
    return Panel(
        state=state,
        window=window,
        feature=feature,
        related=found,
        facts=tuple(_facts(reference, current)),
        bias=bias,
        worst=label_of(bias.worst.place) if bias else "",
        charts=tuple(svg for width in widths for svg in relation_svgs(chart, width=width)),
        lines=tuple(BinLine(label_of(entry.place), entry) for entry in (means.current or means.reference)),
    )


def label_of(place: Place) -> str:
    """What a bin holds, in words."""
    if place.level is not None:
        return place.level
    if place.special:
        return {
            NOTHING: gettext("empty"),
            ENDLESS: gettext("infinite"),
            REST: gettext("rarer ones"),
            UNSEEN: gettext("not in the reference"),
            FILLED: gettext("filled"),
        }[place.special]
    low, high = (present.number(edge) if edge is not None else "" for edge in (place.low, place.high))
    if low and high:
        return f"{low} – {high}"
    return gettext("up to %(value)s") % {"value": high} if high else gettext("above %(value)s") % {"value": low} if low else gettext("all")


def _facts(reference: FeatureSums, current: FeatureSums) -> list[tuple[str, str]]:
    arrow = "%s → %s"
    pairs = [(side.mean("y"), side.mean("prediction"), side.mean("residual")) for side in (reference, current)]
    names = (gettext("Mean label"), gettext("Mean prediction"), gettext("Mean residual"))
    rows = (gettext("Rows with a label"), arrow % (present.integer(reference.labelled), present.integer(current.labelled)))
    return [rows, *((name, arrow % (present.figure(before), present.figure(now))) for name, before, now in zip(names, *pairs, strict=True))]
