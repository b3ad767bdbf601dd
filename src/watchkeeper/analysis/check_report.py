"""What a check of one file against another says, as values. Does not compute them, nor put them into words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date
from math import isfinite, nan
from typing import Any, Literal, get_args

from watchkeeper.core.finding import Outcome
from watchkeeper.stats.domain_classifier import Apart
from watchkeeper.stats.drift import DriftTest
from watchkeeper.telemetry.bins import ColumnBins

# Worst first. Those that risks know too have their names.
Problem = Literal[
    "column_missing",
    "type_changed",
    "unit_or_scale_change",
    "missing_values",
    "new_categories",
    "out_of_range",
    "feature_drift",
    "vector_drift",
    "column_new",
]
PROBLEMS: tuple[Problem, ...] = get_args(Problem)


@dataclass(frozen=True, kw_only=True)
class CheckLimits:
    """From when on a difference counts. The defaults are those of the risks.

    `psi` and `distance` (in standard deviations) make drift big, `alpha` is how often chance alone may look like a difference, per day;
    `nulls`, `unseen`, `outside` and `unusual` are by how much the share of such rows must have grown. While it is unknown how much days differ,
    drift counts from a PSI of 0.25, or from `psi` if that is more.
    """

    psi: float = 0.1
    distance: float = 0.1
    alpha: float = 0.001
    nulls: float = 0.05
    unseen: float = 0.01
    outside: float = 0.01
    unusual: float = 0.01

    @classmethod
    def names(cls) -> tuple[str, ...]:
        return tuple(field.name for field in fields(cls))


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One thing that is otherwise than in the baseline.

    `value`, `usual` and `limit` share a unit: PSI (usual: what chance gives), shares of rows, means of a number in another unit. `kinds` are the
    column's before and after, `change` the conversion that explains another unit. Of vectors `measure` moved most (telemetry.vectors), and the share
    `missing` of the rows has none that can be measured, `usually_missing` in the baseline. With days: the worst of them, and on how many it was found.
    """

    problem: Problem
    value: float = nan
    usual: float = nan
    limit: float = nan
    distance: float = nan
    kinds: tuple[str, str] = ("", "")
    change: str = ""
    measure: str = ""
    missing: float = nan
    usually_missing: float = nan
    day: date | None = None
    days: int = 0


@dataclass(frozen=True, kw_only=True)
class UnusualRows:
    """The share of rows with several unusual values at once, in the window in which it grew most, and in the baseline.

    `grown` is in how many windows it grew beyond `limit` and chance; then `columns` have more unusual values than before, the first most.
    """

    share: float
    usual: float
    limit: float
    grown: int = 0
    columns: tuple[str, ...] = ()
    day: date | None = None


@dataclass(frozen=True, kw_only=True)
class ColumnReport:
    """One column: what differs, worst first; the drift test of the window that moved most; its distributions, of the filled rows.

    `kind` is that of the baseline (of the current file for a new column): double, string, boolean, timestamp, vector, null or an Arrow type.
    `bins` is None for a column that could not be compared, `test` also where only its being filled can; `p_value` is adjusted for
    the number of columns, `psi_limit` from where drift is big. `day` is None without days;
    `judged` is in how many windows there were rows enough.
    """

    column: str
    kind: str
    differences: tuple[Difference, ...] = ()
    bins: ColumnBins | None = None
    test: DriftTest | None = None
    p_value: float = nan
    psi_limit: float = nan
    day: date | None = None
    judged: int = 0
    rows: int = 0
    usual_nulls: float = nan
    nulls: float = nan
    baseline_shape: tuple[float, ...] = ()
    current_shape: tuple[float, ...] = ()

    @property
    def outcome(self) -> Outcome:
        if self.differences:
            return Outcome.FIRED
        return Outcome.QUIET if self.judged else Outcome.UNKNOWN


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """Every column, worst first. `days` are those of the current rows, empty without a timestamp; `rows_without_day` had no time.

    `left_out` are columns beyond the 500 that are compared. `unusual` tells of whole rows; None where fewer than two columns are numbers or
    categories. `together` is how well rows of the two sides are told apart; None when not asked for.
    """

    current: str
    baseline: str
    rows: int
    baseline_rows: int
    limits: CheckLimits
    columns: tuple[ColumnReport, ...]
    days: tuple[date, ...] = ()
    rows_without_day: int = 0
    left_out: tuple[str, ...] = ()
    unusual: UnusualRows | None = None
    together: Apart | None = None

    @property
    def outcome(self) -> Outcome:
        """Fired when anything differs, unknown when nothing does and no distribution could be judged: that ids are filled is no all-clear."""
        if any(column.differences for column in self.columns) or self.is_apart or self.has_unusual_rows:
            return Outcome.FIRED
        tested = [column for column in self.columns if column.test] or self.columns
        return Outcome.QUIET if any(column.judged for column in tested) else Outcome.UNKNOWN

    @property
    def is_apart(self) -> bool:
        return self.together is not None and self.together.is_apart

    @property
    def has_unusual_rows(self) -> bool:
        """More than the baseline."""
        return self.unusual is not None and self.unusual.grown > 0

    def with_outcome(self, outcome: Outcome) -> tuple[ColumnReport, ...]:
        return tuple(column for column in self.columns if column.outcome == outcome)

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        """Plain values; null where there is no number, dates as text."""
        plain: dict[str, Any] = _plain(asdict(self))
        for column, entry in zip(self.columns, plain["columns"], strict=True):
            entry["outcome"] = column.outcome.value
            del entry["bins"]
        return {"outcome": self.outcome.value} | plain


def _plain(value: Any) -> Any:  # Any: what dataclasses hold
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(entry) for entry in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and not isfinite(value):
        return None
    return value
