"""Second moments and what principal components leave of them, against numpy and scikit-learn on the rows themselves, and on nasty rows."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from watchkeeper.stats.moments import moments_of, rows_in, standard_of, standardised
from watchkeeper.stats.reconstruction import Components, components_of, errors_of_unseen


def correlated(rows: int, columns: int, *, seed: int = 1, flipped: int | None = None) -> np.ndarray:
    """Rows that two hidden numbers make; one column may have its sign turned round."""
    weights = np.random.default_rng(0).normal(size=(2, columns))
    if flipped is not None:
        weights[:, flipped] *= -1
    chance = np.random.default_rng(seed)
    return chance.normal(size=(rows, 2)) @ weights + 0.4 * chance.normal(size=(rows, columns))


def learned(rows: np.ndarray, **kept: float) -> Components:
    found = components_of(moments_of(rows), **kept)
    assert found is not None
    return found


def test_the_case_of_the_method_a_correlation_that_flips() -> None:
    def with_correlation(r: float) -> np.ndarray:
        return np.array([[1, 0, 0], [0, 1, r], [0, r, 1]])

    components = components_of(with_correlation(0.8))

    assert components is not None
    assert components.kept == 1
    assert float(components.error(with_correlation(0.8))) == pytest.approx(0.2)
    assert float(components.error(with_correlation(-0.8))) == pytest.approx(1.8)
    assert components.parts(with_correlation(-0.8)) == pytest.approx([0.9, 0.9])


@pytest.mark.parametrize("columns", [2, 3, 7, 20])
@pytest.mark.parametrize("kept", [0.3, 0.65, 0.9])
def test_it_agrees_with_scikit_learn_on_rows(columns: int, kept: float) -> None:
    reference, current = correlated(500, columns), correlated(300, columns, seed=2, flipped=0) * 1.3 + 0.2
    scaler, components = StandardScaler().fit(reference), learned(reference, kept=kept)
    pca = PCA(components.kept).fit(scaler.transform(reference))

    rebuilt = pca.inverse_transform(pca.transform(scaler.transform(current)))
    squares = (scaler.transform(current) - rebuilt) ** 2

    assert components.parts(moments_of(current)) == pytest.approx(squares.mean(axis=0), rel=1e-8)
    assert float(components.error(moments_of(current))) == pytest.approx(squares.sum(axis=1).mean(), rel=1e-8)
    enough = PCA().fit(scaler.transform(reference)).explained_variance_ratio_.cumsum()
    assert components.kept == min(int((enough < kept - 1e-12).sum()) + 1, columns - 1)


def test_moments_of_parts_add_up_to_those_of_all() -> None:
    rows = correlated(900, 5)

    assert sum(moments_of(part) for part in np.array_split(rows, 7)) == pytest.approx(moments_of(rows))
    assert rows_in(np.stack([moments_of(rows[:10]), moments_of(rows[:0])])).tolist() == [10, 0]


def test_standardised_by_the_reference_they_are_its_correlations() -> None:
    rows = correlated(400, 6) * 50 + 1000
    standard = standard_of(moments_of(rows))

    assert standardised(moments_of(rows), standard) == pytest.approx(np.corrcoef(rows.T))
    assert (standard.mean, 1 / standard.weight) == (pytest.approx(rows.mean(axis=0)), pytest.approx(rows.std(axis=0)))


def test_the_error_falls_when_variance_collapses() -> None:
    reference = StandardScaler().fit_transform(correlated(2000, 6))
    components = learned(reference)

    assert float(components.error(moments_of(0.3 * reference))) == pytest.approx(0.09 * float(components.error(moments_of(reference))))


def test_a_constant_column_takes_no_part() -> None:
    rows = correlated(300, 4)
    beside = np.column_stack([rows, np.full(300, 7.0)])
    moved = np.column_stack([rows, np.full(300, 9.0)])

    components = learned(beside)

    assert components.standard.varying == 4
    assert components.parts(moments_of(moved))[:4] == pytest.approx(learned(rows).parts(moments_of(rows)))
    assert components.parts(moments_of(moved))[4] == 0


@pytest.mark.parametrize("rows", [np.zeros((0, 3)), np.ones((1, 3)), np.ones((50, 3)), np.arange(20.0)[:, None], np.zeros((10, 0))])
def test_without_two_columns_that_vary_there_are_no_components(rows: np.ndarray) -> None:
    assert components_of(moments_of(rows)) is None


def test_columns_that_are_each_other_leave_nothing() -> None:
    x = np.random.default_rng(1).normal(size=(200, 1))
    singular = x @ np.array([[1.0, -2.0, 0.5]])

    components = learned(singular)

    assert components.kept == 1
    assert float(components.error(moments_of(singular))) == pytest.approx(0.0, abs=1e-12)
    assert float(components.error(moments_of(singular * [1, 1, -1]))) > 0.5


def test_more_columns_than_rows_flatter_their_own_rows_only() -> None:
    parts = np.stack([moments_of(correlated(4, 40, seed=seed)) for seed in range(5)])
    components = components_of(parts.sum(axis=0), kept=0.95)

    assert components is not None
    seen, unseen = components.error(parts).mean(), errors_of_unseen(parts, kept=0.95).mean()
    fresh = np.mean([float(components.error(moments_of(correlated(4, 40, seed=seed)))) for seed in range(50, 90)])
    assert seen < 0.7 * fresh
    assert unseen == pytest.approx(fresh, rel=0.25)


def test_a_part_without_rows_has_no_error() -> None:
    parts = np.stack([moments_of(correlated(100, 4, seed=1)), moments_of(correlated(100, 4, seed=2)), np.zeros((5, 5))])

    assert np.isnan(errors_of_unseen(parts)).tolist() == [False, False, True]
    assert np.isnan(learned(correlated(100, 4)).error(parts)).tolist() == [False, False, True]


def test_a_row_spreads_as_much_as_normal_rows_do() -> None:
    rows = correlated(200_000, 5)
    components = learned(rows)
    values = (rows - rows.mean(axis=0)) / rows.std(axis=0) @ components.residual

    assert float(components.row_spread(moments_of(rows))) == pytest.approx((values**2).sum(axis=1).std(), rel=0.02)
