"""What every statistic returns: never a naked number. Formulas are in the modules beside this one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import inf, isfinite, nan


class Validity(StrEnum):
    """Whether a result may be judged, and if not, why."""

    OK = "ok"
    PRELIMINARY = "preliminary"
    TOO_FEW_ROWS = "too few rows"
    IMMATURE_LABELS = "immature labels"
    OUT_OF_SUPPORT = "out of support"
    UNDEFINED = "undefined"


class Assumption(StrEnum):
    """What must hold for the result to mean what it says."""

    INDEPENDENT_ROWS = "rows are independent"
    CALIBRATED = "scores are calibrated"
    INSIDE_SUPPORT = "rows lie inside the reference"
    NO_CONCEPT_DRIFT = "what the features mean for the target has not changed"
    RANDOM_SAMPLE = "audited rows were drawn at random"
    STABLE_DELAY = "labels arrive as late as they used to"


@dataclass(frozen=True, kw_only=True)
class Result:
    """An estimate with its 95 % interval.

    `n` is the number of rows, `n_effective` how many independent ones they are worth. `rule` names the method, in the words of METHODS.
    An estimate that cannot be told is NaN with an infinite interval and says why in `validity`.

    >>> Result(estimate=0.5, low=0.4, high=0.6, n=100).is_ok
    True
    """

    estimate: float
    low: float = -inf
    high: float = inf
    n: int
    n_effective: float = nan
    validity: Validity = Validity.OK
    assumptions: tuple[Assumption, ...] = ()
    rule: str = ""

    @classmethod
    def missing(cls, validity: Validity, *, n: int, rule: str = "", assumptions: tuple[Assumption, ...] = ()) -> Result:
        return cls(estimate=nan, n=n, validity=validity, rule=rule, assumptions=assumptions)

    @property
    def is_ok(self) -> bool:
        return self.validity is Validity.OK and isfinite(self.estimate)
