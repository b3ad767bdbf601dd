"""Known inputs with known answers (a health test of the model). Runs when the caller says so; does not send."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from watchkeeper.client._inbox import Row
from watchkeeper.client._json import Plain, plain
from watchkeeper.client._trouble import in_words

Given = Any  # Any: what a model takes and gives: lists, arrays, frames
SHOWN_FAILURES = 10


@dataclass(frozen=True)
class Failure:
    """`case` counts from 0."""

    case: int
    expected: Plain
    got: Plain


@dataclass(frozen=True)
class SelfCheck:
    """How many cases came out as expected; `failures` holds the first ten, `error` why the check itself could not run."""

    name: str
    cases: int
    passed: int
    failures: tuple[Failure, ...] = ()
    error: str | None = None

    @property
    def failed(self) -> int:
        return self.cases - self.passed

    @property
    def has_passed(self) -> bool:
        return self.error is None and self.failed == 0

    def as_fields(self) -> Row:
        fields: Row = {"name": self.name, "passed": self.passed, "failed": self.failed, "cases": self.cases}
        fields["failures"] = [asdict(failure) for failure in self.failures]
        return fields | ({"error": self.error} if self.error else {})


def check(inputs: Given, expected: Given, predict: Callable[[Given], Given], *, tolerance: float, name: str) -> SelfCheck:
    """Call `predict(inputs)` once and compare answer by answer. Never raises: a model that cannot answer has failed."""
    answers: list[Plain] = []
    try:
        answers = _answers(expected)
        return _compared(answers, _answers(predict(inputs)), tolerance=tolerance, name=name)
    except Exception as problem:  # the model's own code runs here, and its failure is the finding
        return SelfCheck(name, cases=len(answers), passed=0, error=in_words(problem))


def is_same(expected: Plain, got: Plain, tolerance: float) -> bool:
    """Equal, numbers within the tolerance, vectors element by element.

    >>> is_same([0.2, 0.8], [0.2, 0.8000001], 1e-6)
    True
    """
    if isinstance(expected, list) and isinstance(got, list):
        return len(expected) == len(got) and all(is_same(one, other, tolerance) for one, other in zip(expected, got, strict=True))
    if isinstance(expected, int | float) and isinstance(got, int | float):
        return math.isclose(expected, got, rel_tol=0.0, abs_tol=tolerance)
    return bool(expected == got)


def _compared(expected: list[Plain], got: list[Plain], *, tolerance: float, name: str) -> SelfCheck:
    if len(got) != len(expected):
        return SelfCheck(name, cases=len(expected), passed=0, error=f"{len(expected)} answers expected, {len(got)} given")
    pairs = enumerate(zip(expected, got, strict=True))
    failures = [Failure(case, wanted, given) for case, (wanted, given) in pairs if not is_same(wanted, given, tolerance)]
    return SelfCheck(name, cases=len(expected), passed=len(expected) - len(failures), failures=tuple(failures[:SHOWN_FAILURES]))


def _answers(given: Given) -> list[Plain]:
    return [plain(answer) for answer in given]
