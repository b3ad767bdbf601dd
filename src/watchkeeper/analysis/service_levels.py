"""Good and bad predictions of mature days as a service level: counts by day, the budget of bad ones, and how fast it is spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import isnan

import numpy as np

from watchkeeper.analysis.metrics import number_sums, ranking_sums
from watchkeeper.analysis.outcomes import OutcomeHistory
from watchkeeper.stats.slo import (
    MODEL_WINDOWS,
    BurnReason,
    BurnWindow,
    Counts,
    ErrorBudget,
    Severity,
    burn_rate,
    error_budget,
    judge_burn,
    suggest_target,
)
from watchkeeper.telemetry.outcome_queries import UNKNOWN, OutcomeKind
from watchkeeper.telemetry.outcomes import DayOutcomes

_DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Burn:
    """How many times too fast a window spends the budget, by its long and its last part, and whether that fires."""

    window: BurnWindow
    long: float
    short: float
    reason: BurnReason

    @property
    def is_page(self) -> bool:
        return self.window.severity is Severity.PAGE


@dataclass(frozen=True, kw_only=True)
class ServiceLevel:
    """A budget of bad predictions over the last mature days. `counts` is of the whole budget window, which ends with `last`."""

    target: float
    first: date
    last: date
    counts: Counts
    budget: ErrorBudget
    burns: tuple[Burn, ...]

    @property
    def good_share(self) -> float:
        return 1 - self.counts.bad / self.counts.valid if self.counts.valid else float("nan")


def good_and_bad(kind: OutcomeKind, entries: Sequence[DayOutcomes]) -> Counts:
    """Labelled predictions, and the bad ones among them: wrong decisions and classes; truths outside the predicted interval of a regression.

    Of a ranking the queries that have something relevant, and those without it among the first ten.
    """
    (counts,) = good_and_bad_of(kind, [entries])
    return counts


def good_and_bad_of(kind: OutcomeKind, windows: Sequence[Sequence[DayOutcomes]]) -> list[Counts]:
    """The same of each of several windows."""
    if all(entry.judged for entries in windows for entry in entries):
        pairs = [[entry.judged or (0.0, 0.0) for entry in entries] for entries in windows]
        return [Counts(bad=sum(bad for bad, _ in of), valid=sum(valid for _, valid in of)) for of in pairs]
    if kind is OutcomeKind.NUMBERS:
        sums = [number_sums(entries) for entries in windows]
        return [Counts(bad=of["n_interval"] - of["covered"], valid=of["n_interval"]) for of in sums]
    if kind is OutcomeKind.RANKINGS:
        sums = [ranking_sums(entries) for entries in windows]
        return [Counts(bad=of["queries"] - of["hits"], valid=of["queries"]) for of in sums]
    first = 1 if kind is OutcomeKind.DECISIONS else 0
    cells = [entry.cells.T[first : first + 3] for entries in windows for entry in entries]
    said, label, n = np.concatenate([np.zeros((3, 0)), *cells], axis=1)
    of_cells = np.repeat(np.arange(len(windows)), [len(entries) for entries in windows])
    window = np.repeat(of_cells, [entry.shape[1] for entry in cells])
    judged = (said != UNKNOWN) & (label != UNKNOWN)
    bad, valid = (np.bincount(window, weights=n * chosen, minlength=len(windows)) for chosen in (judged & (said != label), judged))
    return [Counts(bad=b, valid=v) for b, v in zip(bad.tolist(), valid.tolist(), strict=True)]


def service_level(history: OutcomeHistory, *, target: float, budget: timedelta, windows: Sequence[BurnWindow] = MODEL_WINDOWS) -> ServiceLevel | None:
    """The budget as of the last mature day; None without one or without a target. The short window is that day: models of days have no hours."""
    if history.kind is None or not history.mature or isnan(target):
        return None
    kind, last = history.kind, history.mature[-1]

    def counts(span: timedelta) -> Counts:
        return good_and_bad(kind, history.of([day for day in history.mature if day > last - span]))

    whole, short = counts(budget), counts(_DAY)
    burns = tuple(_burn(counts(window.long), short, window, target) for window in windows)
    days = [day for day in history.mature if day > last - budget]
    expected = whole.valid * (budget / _DAY) / max(len(days), 1) if (last - history.mature[0]) < budget else float("nan")
    return ServiceLevel(
        target=target, first=days[0], last=last, counts=whole, budget=error_budget(whole, target=target, expected=expected), burns=burns
    )


def target_of(history: OutcomeHistory, agreed: float | None) -> float:
    """The target agreed on, else what was usual so far."""
    return usual_target(history) if agreed is None else agreed


def usual_target(history: OutcomeHistory) -> float:
    """What only one mature day in a hundred missed so far, as a first target; NaN while fewer than eight days tell."""
    if history.kind is None:
        return float("nan")
    days = good_and_bad_of(history.kind, [history.of([day]) for day in history.mature])
    return suggest_target(np.array([day.bad for day in days]), np.array([day.valid for day in days])).estimate


def _burn(long: Counts, short: Counts, window: BurnWindow, target: float) -> Burn:
    return Burn(
        window=window,
        long=burn_rate(long, target=target).estimate,
        short=burn_rate(short, target=target).estimate,
        reason=judge_burn(long, short, window=window, target=target),
    )
