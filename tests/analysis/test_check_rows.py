"""What a check says of whole rows: vectors by what is measured of them, and rows with several unusual values at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from watchkeeper.analysis import CheckLimits, CheckReport, check_files, check_tables
from watchkeeper.analysis.file_bins import VECTOR_ROWS
from watchkeeper.analysis.files import open_rows
from watchkeeper.core.finding import Outcome

BINNED = [f"c{n}" for n in range(10)]
FLOATS = pa.list_(pa.float32())
Vectors = list[list[float | None] | None]


def vectors(n: int, *, seed: int, mean: float = 1.0, dimension: int = 12) -> Vectors:
    return np.random.default_rng(seed).normal(mean, 1, (n, dimension)).tolist()  # type: ignore[no-any-return] # numpy


def numbers(n: int, *, seed: int, odd: float = 0.0) -> dict[str, object]:
    """Ten columns; a share of the rows has two values that are nearly impossible, each time in other columns."""
    chance = np.random.default_rng(seed)
    cells = chance.normal(0, 1, (n, len(BINNED)))
    for row in np.flatnonzero(chance.random(n) < odd):
        cells[row, chance.choice(len(BINNED), 2, replace=False)] = 5.0
    return dict(zip(BINNED, cells.T, strict=True))


def table(given: Vectors, kind: pa.DataType = FLOATS) -> pa.Table:
    return pa.table({"text": pa.array(given, kind)})


def problems(report: CheckReport) -> dict[str, list[str]]:
    return {column.column: [difference.problem for difference in column.differences] for column in report.columns if column.differences}


@pytest.mark.parametrize(
    "kind",
    [FLOATS, pa.large_list(pa.float64()), pa.list_(pa.float64(), 12), pa.list_(pa.int64())],
    ids=["float", "large", "fixed", "int"],
)
def test_vectors_like_those_of_the_baseline_are_quiet_and_others_are_not(kind: pa.DataType) -> None:
    scale = 1000 if pa.types.is_integer(kind.value_type) else 1
    before, same, other = (
        table((np.array(vectors(3000, seed=seed, mean=mean)) * scale).round(3 if scale == 1 else 0).tolist(), kind)
        for seed, mean in ((1, 1.0), (2, 1.0), (3, 0.3))
    )

    assert check_tables(same, before).outcome == Outcome.QUIET
    report = check_tables(other, before)
    assert problems(report) == {"text": ["vector_drift"]}
    [difference] = report.columns[0].differences
    assert difference.measure in ("length", "similarity to the mean", "cosine")
    assert difference.missing == difference.usually_missing == 0


def test_vectors_of_another_length_cannot_be_measured_and_drift() -> None:
    mixed = vectors(2400, seed=2) + vectors(600, seed=3, dimension=7)

    report = check_tables(table(mixed), table(vectors(3000, seed=1)))

    [difference] = report.columns[0].differences
    assert (difference.problem, difference.missing, difference.usually_missing) == ("vector_drift", 0.2, 0)


@pytest.mark.parametrize(
    "hostile",
    [
        [None] * 3000,
        [[]] * 3000,
        [[None, 1.0]] * 3000,
        [[float("nan")] * 12] * 3000,
        [[float("inf")] * 12] * 3000,
        [[0.0] * 12] * 3000,
        [[3e38] * 12] * 3000,
        [[1.0] * (n % 5) for n in range(3000)],
        [None if n % 2 else [float(n)] * 12 for n in range(3000)],
    ],
    ids=["null", "empty", "null elements", "NaN", "infinite", "zero", "huge", "all lengths", "half"],
)
@pytest.mark.parametrize("is_baseline", [False, True])
def test_strange_lists_on_either_side_are_answered(hostile: Vectors, is_baseline: bool, tmp_path: Path) -> None:
    usual = vectors(3000, seed=1)
    for name, given in (("baseline", hostile if is_baseline else usual), ("current", usual if is_baseline else hostile)):
        pq.write_table(table(given), tmp_path / f"{name}.parquet")

    report = check_files(tmp_path / "current.parquet", tmp_path / "baseline.parquet")

    assert is_baseline or problems(report)
    assert report.as_json()["columns"][0]["column"] == "text"
    assert check_files(tmp_path / "baseline.parquet", tmp_path / "baseline.parquet").outcome == Outcome.QUIET


def test_few_vectors_are_compared_only_for_being_filled() -> None:
    report = check_tables(table(vectors(150, seed=2, mean=9)), table(vectors(150, seed=1)))

    assert problems(report) == {}
    assert report.columns[0].test is None


def test_long_lists_are_read_in_small_batches(tmp_path: Path) -> None:
    pq.write_table(table(vectors(3000, seed=1, dimension=1000)), tmp_path / "long.parquet", row_group_size=3000)

    sizes = [len(batch) for batch in open_rows(tmp_path / "long.parquet").read(["text"])]

    assert max(sizes) == 2000
    assert sum(sizes) == 3000
    assert VECTOR_ROWS <= 10_000


def test_rows_with_several_unusual_values_are_told_where_no_column_is() -> None:
    before, same, odd = (pa.table(numbers(n, seed=seed, odd=share)) for n, seed, share in ((20_000, 1, 0), (5000, 2, 0), (5000, 3, 0.03)))

    assert (quiet := check_tables(same, before)).outcome == Outcome.QUIET
    assert quiet.unusual is not None
    assert quiet.unusual.usual < 0.001

    report = check_tables(odd, before)
    assert problems(report) == {}
    assert report.outcome == Outcome.FIRED
    assert report.unusual is not None
    assert report.unusual.share == pytest.approx(0.03, abs=0.006)
    assert set(report.unusual.columns) <= set(BINNED)
    assert check_tables(odd, before, limits=CheckLimits(unusual=0.1)).outcome == Outcome.QUIET
    assert check_tables(odd, before, columns=["c0"]).unusual is None


def test_a_small_baseline_does_not_make_rows_unusual() -> None:
    """Its rows fix the spans that they lie in: of other rows more are outside, the baseline's own among them."""
    fired = 0
    for seed in range(30):
        before, same = (pa.table(numbers(n, seed=100 * seed + n)) for n in (300, 5000))
        report = check_tables(same, before)
        assert report.unusual is not None
        fired += report.has_unusual_rows

    assert fired <= 1


def test_each_day_is_judged_and_the_worst_is_named(tmp_path: Path) -> None:
    def days(first: int, odd: list[float]) -> pa.Table:
        parts = [numbers(1000, seed=first + day, odd=share) for day, share in enumerate(odd)]
        at = np.repeat(np.datetime64("2026-10-01", "us") + np.arange(len(odd)) * np.timedelta64(1, "D"), 1000)
        text = [row for day in range(len(odd)) for row in vectors(1000, seed=first + day, mean=1.0 if odd[day] < 0.1 else 0.5)]
        return pa.table({name: np.concatenate([part[name] for part in parts]) for name in BINNED} | {"at": at, "text": text})

    report = check_tables(days(50, [0, 0.05, 0.15]), days(0, [0.0] * 28), timestamp="at", ignore=[])

    assert report.unusual is not None
    assert (report.unusual.grown, str(report.unusual.day)) == (2, "2026-10-03")
    [difference] = next(column for column in report.columns if column.column == "text").differences
    assert (difference.problem, str(difference.day), difference.days) == ("vector_drift", "2026-10-03", 1)


def test_a_column_may_have_the_name_of_a_derived_one() -> None:
    def rows(seed: int) -> pa.Table:
        data = numbers(2000, seed=seed) | {"d.unusual_values": np.arange(2000.0) % 7, "d.text.length": ["a"] * 2000}
        return pa.table(data | {"text": vectors(2000, seed=seed)})

    report = check_tables(rows(2), rows(1))

    assert report.unusual is None
    assert report.outcome == Outcome.QUIET
