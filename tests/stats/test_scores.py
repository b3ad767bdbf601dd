import numpy as np
import pytest

from watchkeeper.stats.scores import CODES, PROBABILITIES, ScoreTable, pooled, score_codes

ARRAYS = ("n", "sum_s", "sum_s1ms", "n_labelled", "sum_y", "sum_s_labelled", "predicted_positive")


def test_a_score_on_an_edge_belongs_to_the_bin_above_except_one():
    assert score_codes([0.0, 0.0049, 0.005, 0.5, 0.995, 1.0]).tolist() == [1, 1, 2, 101, 200, 200]


def test_scores_outside_of_0_and_1_have_their_own_codes():
    assert score_codes([-1e-9, -np.inf, 1 + 1e-9, np.inf]).tolist() == [0, 0, 201, 201]


def test_the_sum_of_two_tables_is_the_table_of_all_rows():
    rng = np.random.default_rng(1)
    scores, labels = rng.uniform(-0.1, 1.1, 500), rng.choice([0, 1, np.nan], 500)

    total = ScoreTable.of(scores[:200], labels[:200]) + ScoreTable.of(scores[200:], labels[200:])

    whole = ScoreTable.of(scores, labels)
    for name in ARRAYS:
        np.testing.assert_allclose(getattr(total, name), getattr(whole, name), atol=1e-12)
    assert (total.tp, total.fp, total.fn, total.tn) == (whole.tp, whole.fp, whole.fn, whole.tn)


def test_a_row_without_score_is_left_out_and_one_without_label_is_not():
    table = ScoreTable.of([0.2, np.nan, 0.7], labels=[np.nan, 1, 1])

    assert (table.rows, table.labelled, table.positives, table.decided) == (2, 1, 1, 1)


def test_infinite_scores_are_counted_and_do_not_spoil_the_sums():
    table = ScoreTable.of([np.inf, -np.inf, 0.5], labels=[1, 0, 1])

    assert table.outside == 2
    assert table.sum_s.sum() == 0.5
    assert np.isfinite(table.score_variance).all()


def test_logged_decisions_win_over_the_threshold():
    table = ScoreTable.of([0.9, 0.1], labels=[1, 0], predictions=[0, 1])

    assert (table.tp, table.fp, table.fn, table.tn) == (0, 1, 1, 0)
    assert table.predicted_positive[score_codes(0.1)] == 1


def test_the_empty_table_is_the_neutral_one():
    table = ScoreTable.of([0.3], labels=[1])

    assert (table + ScoreTable.empty()).sum_s.tolist() == table.sum_s.tolist()
    assert pooled(()).rows == 0
    assert ScoreTable.empty().mean_score.shape == (CODES,)


@pytest.mark.parametrize("score", [0.0, 1.0, 0.1234567, 1e-9, 1 / 3])
def test_equal_scores_have_no_variance_within_their_bin(score):
    assert ScoreTable.of(np.full(100_000, score)).score_variance.tolist() == [0.0] * CODES


def test_small_but_different_scores_have_one():
    table = ScoreTable.of(np.random.default_rng(2).uniform(1e-7, 1e-6, 1000))

    assert table.score_variance[1] == pytest.approx(0.81e-12 / 12, rel=0.1)
    assert table.mean_score[PROBABILITIES][1] == 0.0075
