from math import inf, isnan, nan

import numpy as np
import pytest

from watchkeeper.stats.residuals import LossModel, expected_loss
from watchkeeper.stats.result import Assumption, Validity

CELL_LOSS = np.array([0.5, 1.0, 2.0, 4.0])


def windows(seed: int, count: int = 60, cell_loss=CELL_LOSS):
    """Windows whose mix of four cells moves, with the mean loss of each cell fixed."""
    rng = np.random.default_rng(seed)
    n = np.array([rng.multinomial(1000, rng.dirichlet([4, 4, 4, 4])) for _ in range(count)])
    return n, n * cell_loss + rng.normal(size=n.shape) * np.sqrt(n)


def test_it_follows_a_changed_mix_of_cells():
    result = expected_loss(LossModel.of(*windows(1)), [100, 0, 0, 900])

    assert result.estimate == pytest.approx(0.05 + 3.6, abs=0.05)
    assert result.is_ok
    assert Assumption.NO_CONCEPT_DRIFT in result.assumptions


def test_its_interval_holds_the_loss_of_later_windows_as_often_as_it_says():
    hits = []
    for seed in range(150):
        n, loss = windows(seed)
        result = expected_loss(LossModel.of(n[:-1], loss[:-1]), n[-1])
        hits.append(result.low <= loss[-1].sum() / n[-1].sum() <= result.high)

    assert np.mean(hits) >= 0.9


def test_it_is_not_published_when_a_constant_does_as_well():
    model = LossModel.of(*windows(2, cell_loss=np.ones(4)))
    result = expected_loss(model, [250] * 4, least_r_squared=0.1)

    assert model.r_squared < 0.1
    assert isnan(result.estimate)
    assert result.validity is Validity.UNDEFINED


def test_it_is_not_published_when_cells_changed_their_loss_over_time():
    rng = np.random.default_rng(3)
    n, loss = windows(3)
    loss = n * rng.permuted(np.tile(CELL_LOSS, (60, 1)), axis=1)

    assert expected_loss(LossModel.of(n, loss), [250] * 4).validity is Validity.UNDEFINED


def test_a_constant_loss_leaves_nothing_to_beat():
    n, _ = windows(4)

    assert isnan(LossModel.of(n, n * 1.0).r_squared) or LossModel.of(n, n * 1.0).r_squared < 1
    assert LossModel.of(n, n * 0.0).residuals.tolist() == [0.0] * 55
    assert expected_loss(LossModel.of(n, n * 0.0), [10] * 4).validity is Validity.UNDEFINED


def test_cells_that_the_reference_never_saw_have_no_expected_loss():
    n, loss = windows(5)
    n[:, 3], loss[:, 3] = 0, 0
    model = LossModel.of(n, loss)

    assert expected_loss(model, [500, 300, 200, 500]).validity is Validity.OUT_OF_SUPPORT
    assert expected_loss(model, [500, 300, 200, 10]).is_ok


def test_under_19_foretold_windows_there_is_a_number_without_bounds():
    result = expected_loss(LossModel.of(*windows(6, count=23)), [250] * 4)

    assert result.validity is Validity.PRELIMINARY
    assert (result.low, result.high) == (-inf, inf)
    assert expected_loss(LossModel.of(*windows(6, count=24)), [250] * 4).validity is Validity.OK


@pytest.mark.parametrize("counts", [[0] * 4, [1, 0, 0, 0], [nan] * 4])
def test_a_window_of_fewer_than_two_rows_has_no_loss(counts):
    assert expected_loss(LossModel.of(*windows(7)), counts).validity is Validity.TOO_FEW_ROWS


@pytest.mark.parametrize("reference", [np.zeros((0, 4)), np.zeros((30, 4)), np.full((30, 4), nan)])
def test_without_a_reference_there_is_no_loss(reference):
    assert expected_loss(LossModel.of(reference, reference), [250] * 4).validity is Validity.TOO_FEW_ROWS


def test_one_window_of_reference_foretells_nothing():
    assert expected_loss(LossModel.of(*windows(8, count=1)), [250] * 4).validity is Validity.UNDEFINED


def test_windows_of_different_cells_are_refused():
    with pytest.raises(ValueError, match=r"\(1, 2\) and \(1, 3\)"):
        LossModel.of([[1, 2]], [[1, 2, 3]])
