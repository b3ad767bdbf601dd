from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from tests.platform import Platform
from tests.risks.story import Rows, a_bad_day
from watchkeeper.analysis.columns import ColumnHistory
from watchkeeper.analysis.examples import NOW
from watchkeeper.analysis.unusual_rows import unusual_rows
from watchkeeper.core.finding import Outcome
from watchkeeper.risks.rare_or_outlying_rows import Params, evaluate
from watchkeeper.telemetry.bins import Layout, count_rows, make_bins
from watchkeeper.telemetry.derived_bins import count_reference, derived_bins

FEATURES = 8


def rows(count: int, *, seed: int, odd: float = 0.0) -> Rows:
    """Features that hang together, with long tails, and a category; a share of rows lies far out in two numbers, half of these by an unseen level too."""
    chance = np.random.default_rng(seed)
    common = chance.normal(size=(count, 1))
    numbers = np.exp(0.5 * (common + chance.normal(size=(count, FEATURES))))
    is_odd = chance.random(count) < odd
    numbers[is_odd, :2] += 40
    regions = np.where(is_odd & (chance.random(count) < 0.5), "nowhere", chance.choice(["north", "south"], count))
    return [
        {**{f"x{n}": value for n, value in enumerate(row)}, "region": region} for row, region in zip(numbers.tolist(), regions.tolist(), strict=True)
    ]


def test_story_of_rows_put_together_wrongly(platform: Platform) -> None:
    a_bad_day(
        platform,
        "rare_or_outlying_rows",
        says="or more unusual values at once",
        reference=rows(3000, seed=1),
        bad=rows(1000, seed=2, odd=0.04),
        good=rows(1000, seed=3),
    )


def test_story_of_a_model_without_a_reference_whose_days_are_clean(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "rare_or_outlying_rows")
    platform.predict_days(model, [[{"features": row} for row in rows(150, seed=day)] for day in range(31)])

    assert platform.condition(risk) == "ok"
    assert platform.light(model) == "green"
    assert "of rows have 2 or more unusual values" in platform.explanation(risk)


def counted(reference: Rows, *days: Rows) -> ColumnHistory:
    """Days of rows against a reference, as they are counted in the log."""
    tables = [pa.Table.from_pylist([{f"f.{name}": value for name, value in row.items()} for row in rows]) for rows in (reference, *days)]
    layout = Layout((*make_bins(tables[0]).columns, *derived_bins(tables[0])))
    counts = [count_rows(layout, table) for table in tables[1:]]
    ends = tuple(NOW - timedelta(days=back) for back in reversed(range(len(days))))
    return ColumnHistory(
        now=NOW,
        layout=layout,
        reference=count_reference(layout, tables[0]),
        days=tuple((end - timedelta(days=1)).date() for end in ends),
        ends=ends,
        rows=np.array([entry.rows for entry in counts]),
        counts=np.array([entry.counts for entry in counts]),
        sums=np.array([entry.sums for entry in counts]),
    )


def test_it_names_the_columns_that_are_odd_most_often() -> None:
    history = counted(rows(3000, seed=1), *(rows(500, seed=10 + day) for day in range(25)), rows(500, seed=9, odd=0.06))

    finding = evaluate(history, Params())

    assert finding.outcome == Outcome.FIRED
    assert set(finding.parts) == {"x0", "x1", "region"}


@pytest.mark.parametrize("size", [200, 1000, 5000])
def test_clean_days_are_quiet_however_small_the_reference(size: int) -> None:
    """Rows never lie outside spans that they made themselves: the reference's own share must be that of rows it did not see."""
    for seed in range(5):
        history = counted(rows(size, seed=seed), *(rows(500, seed=100 * seed + 10 + day) for day in range(25)))
        findings = [evaluate(history.at(end), Params()) for end in history.ends]

        assert {finding.outcome for finding in findings} == {Outcome.QUIET}


def test_new_rows_are_as_unusual_as_the_reference_says() -> None:
    """Of twenty references: 0.1 % of each of nine columns and what their own size adds."""
    shares = []
    for seed in range(20):
        history = counted(rows(300, seed=seed), rows(5000, seed=1000 + seed))
        found = unusual_rows(history, least_values=1, window=1)
        assert found is not None
        shares.append((found.share, found.usual))

    new, usual = np.mean(shares, axis=0)
    assert new > 0.02
    assert usual == pytest.approx(new, rel=0.4)
