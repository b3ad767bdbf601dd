"""Made-up days of a regression whose errors grow with its predictions, for the examples of risks: drawn bin by bin."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
from scipy.special import ndtr

from watchkeeper.analysis.expected_errors import ErrorDays, ErrorHistory
from watchkeeper.analysis.outcome_examples import bucket_of, day_back, outcome_history
from watchkeeper.stats.scores import Floats
from watchkeeper.telemetry.bins import FINE, FIRST, NUMBER_PLACES, OVER_MAXIMUM, UNDER_MINIMUM, ColumnBins
from watchkeeper.telemetry.outcome_queries import NUMBER_SUMS, UNKNOWN, OutcomeKind
from watchkeeper.telemetry.outcomes import DayOutcomes

PREDICTION = ColumnBins(name="prediction", kind="number", low=0.0, high=100.0, minimum=0.0, maximum=100.0)
_PLACES = np.array([UNDER_MINIMUM, *range(FIRST, FIRST + FINE), OVER_MAXIMUM])
_SIZES = np.array([0.0, *(PREDICTION.edges[:-1] + PREDICTION.edges[1:]) / 2, 105.0])
_MEAN_ABSOLUTE = np.sqrt(2 / np.pi)  # of a standard normal number

ErrorDay = tuple[DayOutcomes, Floats]


def errors_of_day(
    back: int, rows: int = 1000, *, mean: float = 50.0, grows: bool = True, louder: float = 1.0, delay: float = 0.5, seed: int = 0
) -> ErrorDay:
    """The day `back` days ago: predictions around `mean`, normal errors of a tenth of their size (or of 5), times `louder`.

    Labels come `delay` days after the prediction, when that is over.
    """
    chance = np.random.default_rng([seed, back])
    below = ndtr((PREDICTION.edges - mean) / 10)
    n = chance.multinomial(rows, np.diff([0.0, *below, 1.0]))
    told = n if delay <= back else np.zeros_like(n)
    sd = louder * (_SIZES / 10 if grows else np.full(_SIZES.size, 5.0))
    squares = sd**2 * chance.chisquare(np.maximum(told, 1)) * (told > 0)
    absolute = sd * np.maximum(_MEAN_ABSOLUTE * told + chance.normal(size=told.size) * np.sqrt((1 - _MEAN_ABSOLUTE**2) * told), 0)
    sums = np.zeros((4, NUMBER_PLACES))
    sums[:, _PLACES] = n, told, absolute, squares
    errors = {"n": told.sum(), "absolute": sums[2].sum(), "error_2": sums[3].sum(), "error_4": 3 * (sd**4 * told).sum()}
    outcomes = DayOutcomes(
        version="1",
        day=day_back(back),
        field="",
        segment="",
        rows=rows,
        labelled=int(told.sum()),
        cells=np.array([[errors.get(name, 0.0) for name in NUMBER_SUMS]], dtype=np.float64),
        delays=np.array([[UNKNOWN, bucket_of(delay), rows]] if told.any() else [], dtype=np.float64).reshape(-1, 3),
    )
    return outcomes, sums


def error_history(days: Sequence[ErrorDay]) -> ErrorHistory:
    history = outcome_history([outcomes for outcomes, _ in days], kind=OutcomeKind.NUMBERS)
    by_day: dict[date, Floats] = {outcomes.day: sums for outcomes, sums in days}
    return ErrorHistory(
        now=history.now,
        kind=history.kind if history.labelled else None,
        days=history.days,
        ends=history.ends,
        errors=ErrorDays(column=PREDICTION, sums=by_day),
    )
