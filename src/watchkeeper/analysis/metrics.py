"""The metrics of each kind of outcome, computed from the counts of days. Knows no time and no limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from weakref import WeakKeyDictionary

import numpy as np

from watchkeeper.core.text import N_
from watchkeeper.stats import multiclass, performance, regression
from watchkeeper.stats.performance import Direction
from watchkeeper.stats.regression import ErrorSums
from watchkeeper.stats.result import Result
from watchkeeper.stats.scores import CODES, Floats, ScoreTable, mean_result, share_result
from watchkeeper.telemetry.outcome_queries import NUMBER_SUMS, RANKING_SUMS, UNKNOWN, OutcomeKind
from watchkeeper.telemetry.outcomes import DayOutcomes

Days = Sequence[DayOutcomes]


@dataclass(frozen=True, kw_only=True)
class OutcomeMetric:
    """A metric of days of one kind. `needs` tells whether the days have what it is made of, where not all have."""

    name: str
    title: str
    kind: OutcomeKind
    direction: Direction
    compute: Callable[[Days], Result]
    ideal: float
    needs: Callable[[Days], bool] | None = None


_TABLES: WeakKeyDictionary[DayOutcomes, ScoreTable] = WeakKeyDictionary()
_TOLD = np.array(
    [[1, 1, 1, 1, 1, 1, 1, 1, 1], [0, 1, 1, 0, 1, 1, 0, 1, 1], [0, 0, 1, 0, 0, 1, 0, 0, 1], [0, 0, 0, 0, 0, 0, 1, 1, 1]], dtype=np.float64
)
# of decision and label, each unknown, no or yes: all, labelled, labelled yes, decided yes


def score_table(days: Iterable[DayOutcomes]) -> ScoreTable:
    """The scores, decisions and labels of days. A decision without score stands for a score of 0 or 1.

    That of a single day is kept as long as the day: several risks ask how much days differ. Of several days the last few are kept: the risks of a
    model ask for the same reference one after the other.
    """
    entries = tuple(days)
    return _table_of_many(entries) if len(entries) > 1 else score_tables([entries])[0]


@lru_cache(maxsize=8)
def _table_of_many(days: tuple[DayOutcomes, ...]) -> ScoreTable:
    return score_tables([days])[0]


def score_tables(windows: Iterable[Iterable[DayOutcomes]]) -> list[ScoreTable]:
    """The same of several windows, in one go."""
    entries = [list(days) for days in windows]
    new = [days for days in entries if len(days) != 1 or days[0] not in _TABLES]
    made = [_score_table(*of_window) for of_window in zip(*_counted(new), strict=True)]
    _TABLES.update((days[0], table) for days, table in zip(new, made, strict=True) if len(days) == 1)
    of_many = (table for days, table in zip(new, made, strict=True) if len(days) != 1)
    return [_TABLES[days[0]] if len(days) == 1 else next(of_many) for days in entries]


def _counted(windows: Sequence[Days]) -> tuple[Floats, Floats, Floats]:
    """n, Σs and Σs(1-s) of each window, of shape (windows, codes, 9): by decision and label, each unknown, no or yes."""
    cells = [entry.cells.T for days in windows for entry in days]
    code, said, label, n, s, spread = np.concatenate([np.zeros((6, 0)), *cells], axis=1)
    window = np.repeat(np.arange(len(windows)), [len(days) for days in windows])
    first = np.repeat(window * 9.0 * CODES, [table.shape[1] for table in cells])
    place = first + (code * 3 + said - UNKNOWN) * 3 + label - UNKNOWN
    if (without := code < 0).any():
        is_yes = said == 1
        place += without * 9.0 * (np.where(is_yes, CODES - 2, 1) - code)
        s = np.where(without, n * is_yes, s)
        kept = ~(without & (said == UNKNOWN))
        place, n, s, spread = place[kept], n[kept], s[kept], spread[kept]
    places, size = place.astype(np.int64), len(windows) * 9 * CODES
    n, s, spread = (np.asarray(np.bincount(places, weights=weights, minlength=size), dtype=np.float64) for weights in (n, s, spread))
    return n.reshape(-1, CODES, 9), s.reshape(-1, CODES, 9), spread.reshape(-1, CODES, 9)


def _score_table(n: Floats, s: Floats, spread: Floats) -> ScoreTable:
    rows, scores = _TOLD @ n.T, _TOLD[:2] @ s.T
    of = n.sum(axis=0)
    return ScoreTable(
        n=rows[0],
        sum_s=scores[0],
        sum_s1ms=spread.sum(axis=1),
        n_labelled=rows[1],
        sum_y=rows[2],
        sum_s_labelled=scores[1],
        predicted_positive=rows[3],
        tp=int(of[8]),
        fp=int(of[7]),
        fn=int(of[5]),
        tn=int(of[4]),
    )


def of_each(metric: OutcomeMetric, windows: Iterable[Days]) -> list[Result]:
    """The metric of each of several windows by itself."""
    if metric.kind is OutcomeKind.DECISIONS:
        return [performance.METRICS[metric.name].compute(table) for table in score_tables(windows)]
    return [metric.compute(days) for days in windows]


def has_scores(days: Iterable[DayOutcomes]) -> bool:
    return any((entry.cells[:, 0] >= 0).any() for entry in days)


def has_quantiles(days: Iterable[DayOutcomes]) -> bool:
    return any(entry.cells[0, NUMBER_SUMS.index("n_quantile")] > 0 for entry in days)


def confusion(days: Iterable[DayOutcomes]) -> tuple[Floats, tuple[str, ...]]:
    """Labelled rows by class of the label and predicted class, and the classes, those the same on all days together."""
    counts: dict[tuple[str, str], float] = {}
    for entry in days:
        for said, label, n in entry.cells.tolist():
            if label != UNKNOWN and said != UNKNOWN:
                key = entry.classes[int(label)], entry.classes[int(said)]
                counts[key] = counts.get(key, 0.0) + n
    names = tuple(sorted({name for key in counts for name in key}))
    matrix = np.zeros((len(names), len(names)))
    for (label_name, said_name), n in counts.items():
        matrix[names.index(label_name), names.index(said_name)] = n
    return matrix, names


def number_sums(days: Iterable[DayOutcomes]) -> dict[str, float]:
    """NUMBER_SUMS of days, added up."""
    return _added(days, NUMBER_SUMS)


def ranking_sums(days: Iterable[DayOutcomes]) -> dict[str, float]:
    """RANKING_SUMS of days, added up."""
    return _added(days, RANKING_SUMS)


def _added(days: Iterable[DayOutcomes], names: tuple[str, ...]) -> dict[str, float]:
    total = sum((entry.cells[0] for entry in days), np.zeros(len(names)))
    return dict(zip(names, total.tolist(), strict=True))


def error_sums(days: Iterable[DayOutcomes]) -> ErrorSums:
    """The errors of days. Those of the naive prediction count where every labelled row has one."""
    sums = number_sums(days)
    is_compared = sums["n_naive"] == sums["n"] > 0
    naive = {name: sums[name] if is_compared else float("nan") for name in ("naive_2", "naive_4", "error_2_naive_2")}
    shared = {name: sums[name] for name in ("error", "error_2", "error_4", "absolute", "relative", "relative_2", "quantile", "quantile_2")}
    return ErrorSums(n=int(sums["n"]), n_relative=int(sums["n_relative"]), n_quantile=int(sums["n_quantile"]), **shared, **naive)


def interval_coverage(days: Iterable[DayOutcomes]) -> Result:
    """Share of the truths inside the interval that was predicted (`score.low` to `score.high`)."""
    sums = number_sums(days)
    return share_result(sums["covered"], sums["n_interval"], n=int(sums["n_interval"]))


def interval_width(days: Iterable[DayOutcomes]) -> Result:
    sums = number_sums(days)
    return mean_result(sums["width"], sums["width_2"], int(sums["n_interval"]))


def _decisions(name: str, title: str, *, needs: Callable[[Days], bool] | None = None) -> OutcomeMetric:
    metric = performance.METRICS[name]
    return OutcomeMetric(
        name=name,
        title=title,
        kind=OutcomeKind.DECISIONS,
        direction=metric.direction,
        compute=lambda days: metric.compute(score_table(days)),
        ideal=metric.ideal,
        needs=needs,
    )


def _classes(name: str, title: str, compute: Callable[[Floats], Result]) -> OutcomeMetric:
    def of(days: Days) -> Result:
        return compute(confusion(days)[0])

    return OutcomeMetric(name=name, title=title, kind=OutcomeKind.CLASSES, direction=Direction.HIGHER, compute=of, ideal=1.0)


def _numbers(
    name: str,
    title: str,
    compute: Callable[[ErrorSums], Result],
    direction: Direction,
    *,
    ideal: float = 0.0,
    needs: Callable[[Days], bool] | None = None,
) -> OutcomeMetric:
    def of(days: Days) -> Result:
        return compute(error_sums(days))

    return OutcomeMetric(name=name, title=title, kind=OutcomeKind.NUMBERS, direction=direction, compute=of, ideal=ideal, needs=needs)


def _rankings(name: str, title: str, total: str, squares: str) -> OutcomeMetric:
    """A mean over queries."""

    def of(days: Days) -> Result:
        sums = ranking_sums(days)
        return mean_result(sums[total], sums[squares], int(sums["queries"]), low=0.0, high=1.0, rule="mean over queries")

    return OutcomeMetric(name=name, title=title, kind=OutcomeKind.RANKINGS, direction=Direction.HIGHER, compute=of, ideal=1.0)


METRICS: Mapping[OutcomeKind, tuple[OutcomeMetric, ...]] = {
    OutcomeKind.DECISIONS: (
        _decisions("roc_auc", N_("ROC AUC"), needs=has_scores),
        _decisions("pr_auc", N_("PR AUC"), needs=has_scores),
        _decisions("accuracy", N_("accuracy")),
        _decisions("precision", N_("precision")),
        _decisions("recall", N_("recall")),
        _decisions("specificity", N_("specificity")),
        _decisions("f1", N_("F1")),
        _decisions("brier", N_("Brier score"), needs=has_scores),
        _decisions("log_loss", N_("log loss"), needs=has_scores),
        _decisions("calibration_error", N_("calibration error"), needs=has_scores),
        _decisions("calibration_gap", N_("calibration gap"), needs=has_scores),
    ),
    OutcomeKind.CLASSES: (
        _classes("accuracy", N_("accuracy"), multiclass.accuracy),
        _classes("macro_f1", N_("macro F1"), multiclass.macro_f1),
        _classes("weighted_f1", N_("weighted F1"), multiclass.weighted_f1),
    ),
    OutcomeKind.NUMBERS: (
        _numbers("mean_absolute_error", N_("mean absolute error"), regression.mean_absolute_error, Direction.LOWER),
        _numbers("root_mean_squared_error", N_("root mean squared error"), regression.root_mean_squared_error, Direction.LOWER),
        _numbers("mean_absolute_percentage_error", N_("mean absolute percentage error"), regression.mean_absolute_percentage_error, Direction.LOWER),
        _numbers("bias", N_("bias"), regression.bias, Direction.NEAREST),
        _numbers("skill_score", N_("skill score against the simple model"), regression.skill_score, Direction.HIGHER, ideal=1.0),
        _numbers("quantile_loss", N_("quantile loss"), regression.quantile_loss, Direction.LOWER, needs=has_quantiles),
    ),
    OutcomeKind.RANKINGS: (
        _rankings("ndcg_at_10", N_("NDCG of the first ten"), "ndcg", "ndcg_2"),
        _rankings("mean_average_precision", N_("mean average precision"), "precision", "precision_2"),
        _rankings("hit_rate_at_10", N_("hit rate of the first ten"), "hits", "hits"),
    ),
}
FIRST_CHOICE: Mapping[OutcomeKind, str] = {
    OutcomeKind.DECISIONS: "roc_auc",
    OutcomeKind.CLASSES: "accuracy",
    OutcomeKind.NUMBERS: "mean_absolute_error",
    OutcomeKind.RANKINGS: "ndcg_at_10",
}
NAMES = tuple(dict.fromkeys(metric.name for metrics in METRICS.values() for metric in metrics))


def metrics_of(kind: OutcomeKind, days: Days) -> list[OutcomeMetric]:
    """Those that the days can give: without scores only what decisions tell."""
    lacking = {need for need in {metric.needs for metric in METRICS[kind]} if need and not need(days)}
    return [metric for metric in METRICS[kind] if metric.needs not in lacking]


def metric_named(name: str, kind: OutcomeKind, days: Days) -> OutcomeMetric | None:
    """The metric of this name, or the usual one when no name is given; None when the days cannot give it."""
    offered = metrics_of(kind, days)
    wanted = name or FIRST_CHOICE[kind]
    found = next((metric for metric in offered if metric.name == wanted), None)
    return found or (offered[0] if not name and offered else None)
