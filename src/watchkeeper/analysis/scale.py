"""A feature whose numbers say the same in another unit: told by mean and spread, apart from ordinary drift."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import log, sqrt

from watchkeeper.analysis.columns import ColumnDays, ColumnHistory, moments
from watchkeeper.core.text import N_


@dataclass(frozen=True, kw_only=True)
class Change:
    """New values are `factor` times the old ones plus `offset`."""

    words: str
    factor: float
    offset: float = 0.0


CHANGES = (
    *(Change(words=f"× {factor:g}", factor=factor) for factor in (10.0, 100.0, 1000.0, 1e6)),
    *(Change(words=f"÷ {divisor:g}", factor=1 / divisor) for divisor in (10.0, 100.0, 1000.0, 1e6)),
    Change(words=N_("sign turned"), factor=-1.0),
    Change(words="°C → °F", factor=1.8, offset=32.0),
    Change(words="°F → °C", factor=1 / 1.8, offset=-32 / 1.8),
    Change(words="mi → km", factor=1.609344),
    Change(words="km → mi", factor=1 / 1.609344),
    Change(words="in → cm", factor=2.54),
    Change(words="cm → in", factor=1 / 2.54),
    Change(words="lb → kg", factor=0.45359237),
    Change(words="kg → lb", factor=1 / 0.45359237),
)


@dataclass(frozen=True, kw_only=True)
class ScaleChange:
    """A column's mean and standard deviation in a window and in the reference. `change` is None when it is still in its unit."""

    column: str
    first: str
    last: str
    mean: float
    usual: float
    n: int
    change: Change | None


def scale_changes(
    history: ColumnHistory, columns: Collection[str], *, window: int = 1, tolerance: float = 0.1, min_rows: int = 100
) -> list[ScaleChange]:
    """Of each number with enough rows on both sides; those in another unit first. Spreads may differ by `tolerance` (as a share), means by so
    many standard deviations, and by two standard errors; what fits its old unit within five times that has not changed it."""
    chosen = [history.of(history.columns[name]) for name in columns]
    found = [entry for column in chosen if (entry := _scale(column, window, tolerance, min_rows)) is not None]
    return sorted(found, key=lambda entry: (entry.change is None, entry.column))


def _scale(column: ColumnDays, window: int, tolerance: float, min_rows: int) -> ScaleChange | None:
    if column.bins.kind != "number" or not column.is_judged(window):
        return None
    reference, sums = column.compared(window)
    before = _moments(column.numbers(reference), *sums)
    n = column.numbers(column.counts[-window:].sum(axis=0))
    after = _moments(n, *column.sums[-window:].sum(axis=0))
    known = column.numbers(reference)
    if before is None or after is None or min(n, known) < min_rows:
        return None
    windows = column.names[-window:]
    change = _changed(before, after, tolerance + 2 * sqrt(1 / n + 1 / known))
    return ScaleChange(column=column.bins.name, first=windows[0], last=windows[-1], mean=after[0], usual=before[0], n=n, change=change)


def _moments(n: int, total: float, squares: float) -> tuple[float, float] | None:
    """Mean and standard deviation; None when there is no spread to compare, or only what rounding left."""
    mean, deviation = moments(n, total, squares)
    return (mean, deviation) if deviation > 1e-6 * sqrt(max(1.0, squares / max(n, 1))) else None


def _changed(before: tuple[float, float], after: tuple[float, float], tolerance: float) -> Change | None:
    if _apart(before, after, Change(words="", factor=1.0)) <= 5 * tolerance:
        return None
    best = min(CHANGES, key=lambda change: _apart(before, after, change))
    return best if _apart(before, after, best) <= tolerance else None


def _apart(before: tuple[float, float], after: tuple[float, float], change: Change) -> float:
    """How badly a change explains what is seen: the larger of the log ratio of spreads and the distance of means in standard deviations."""
    mean, spread = change.factor * before[0] + change.offset, abs(change.factor) * before[1]
    return max(abs(log(after[1] / spread)), abs(after[0] - mean) / spread)
