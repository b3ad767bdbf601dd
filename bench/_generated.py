"""A binary classifier's log made with fixed seeds: 20 numbers, 5 categories of 10 to 1,000 levels, score, decision, label, time; 30 days a period.

In the last ten days of the analysis f00 has moved by 0.8 standard deviations, f01 is 1.6 times as wide, and the levels of c0 have changed places.
Scores are calibrated. f18 and f19 lack two of a hundred values.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from zlib import crc32

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SEED = 20240601
DAYS = 30
DRIFT_FROM = 20
DRIFTED = ("f00", "f01", "c0")
REFERENCE_FROM, ANALYSIS_FROM = date(2024, 1, 1), date(2024, 2, 1)
REFERENCE_ROWS = 100_000
SIZES = {"100k": 100_000, "1m": 1_000_000, "10m": 10_000_000}

LEVELS = (10, 50, 100, 500, 1000)
NUMBERS = tuple(f"f{place:02d}" for place in range(20))
CATEGORIES = tuple(f"c{place}" for place in range(len(LEVELS)))
FEATURES = (*NUMBERS, *CATEGORIES)

_chance = np.random.default_rng(SEED)
_SLOPES = _chance.normal(0, 0.35, 20)
_SLOPES[:2] = 0.8, -0.6
_EFFECTS = [_chance.normal(0, 0.4, levels) for levels in LEVELS]
_SHARES = [weights / weights.sum() for weights in (1.0 / np.arange(1, levels + 1) ** 0.8 for levels in LEVELS)]
_NAMES = [pa.array([f"c{place}_{level:04d}" for level in range(levels)]) for place, levels in enumerate(LEVELS)]


def reference() -> Iterator[tuple[date, pa.Table]]:
    """The days before, 100,000 rows together, none drifted."""
    return _days("ref", REFERENCE_ROWS, REFERENCE_FROM, drift_from=DAYS)


def analysis(size: str) -> Iterator[tuple[date, pa.Table]]:
    """The days that are judged, of one of the `SIZES`."""
    return _days(size, SIZES[size], ANALYSIS_FROM, drift_from=DRIFT_FROM)


def _days(seed: str, rows: int, first: date, *, drift_from: int) -> Iterator[tuple[date, pa.Table]]:
    chance = np.random.default_rng([SEED, crc32(seed.encode())])
    for day in range(DAYS):
        begin, end = rows * day // DAYS, rows * (day + 1) // DAYS
        yield first + timedelta(days=day), _rows(chance, end - begin, first + timedelta(days=day), is_drifted=day >= drift_from)


def _rows(chance: np.random.Generator, count: int, day: date, *, is_drifted: bool) -> pa.Table:
    numbers = _numbers(chance, count, is_drifted=is_drifted)
    codes = [_codes(chance, count, shares[::-1] if is_drifted and place == 0 else shares) for place, shares in enumerate(_SHARES)]
    centred = numbers.copy()
    centred[5:10] -= 1.13
    centred[10:13] = (centred[10:13] - 5.5) / 4
    centred[13:15] = (centred[13:15] - 0.5) * 3
    log_odds = np.full(count, -0.4)
    for effects, code in zip(_EFFECTS, codes, strict=True):
        log_odds += effects[code]
    log_odds += _SLOPES @ centred
    score = 1 / (1 + np.exp(-log_odds))
    label = chance.random(count) < score
    amount = 100 + 20 * log_odds
    amount_label = amount + chance.normal(0, 5 + 5 * np.abs(centred[0]), count)
    for lacking in (18, 19):
        numbers[lacking][chance.random(count) < 0.02] = np.nan
    moments = np.datetime64(day, "us") + np.sort(chance.integers(0, 86_400_000_000, count)).astype("timedelta64[us]")
    return pa.table(
        {"timestamp": pa.array(moments, pa.timestamp("us"))}
        | {name: pa.array(values) for name, values in zip(NUMBERS, numbers, strict=True)}
        | {name: levels.take(pa.array(code)) for name, levels, code in zip(CATEGORIES, _NAMES, codes, strict=True)}
        | {"score": score, "prediction": (score >= 0.5).astype(np.int64), "label": label.astype(np.int64)}
        | {"amount": amount, "amount_label": amount_label}
    )


def _numbers(chance: np.random.Generator, count: int, *, is_drifted: bool) -> Floats:
    """Normal, log-normal (5 to 9), whole (10 to 12), uniform (13, 14)."""
    x = chance.normal(size=(20, count))
    x[5:10] = np.exp(0.5 * x[5:10])
    x[10:13] = np.floor(chance.gamma(2.0, 3.0, size=(3, count)))
    x[13:15] = chance.uniform(0, 1, size=(2, count))
    if is_drifted:
        x[0] += 0.8
        x[1] *= 1.6
    return np.asarray(x)


def _codes(chance: np.random.Generator, count: int, shares: Floats) -> NDArray[np.int64]:
    return np.asarray(np.searchsorted(np.cumsum(shares)[:-1], chance.random(count), side="right"))
