from math import isnan, nan

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from watchkeeper.stats import performance
from watchkeeper.stats.estimated import (
    ASSUMPTIONS,
    ESTIMATORS,
    CalibrationMap,
    Trust,
    estimates,
    estimates_of,
    scenario_bound,
    support,
    track_record,
    trust_after,
)
from watchkeeper.stats.result import Assumption, Result, Validity
from watchkeeper.stats.scores import ScoreTable, pooled

BAND = Result(estimate=0.8, low=0.75, high=0.85, n=500)
HIT, MISS = 0.8, 0.5


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def draw(rng, n: int, *, share_of_b: float, flatten: float = 0.0):
    """Two segments: the score is right in a and far too sure in b."""
    is_b = rng.random(n) < share_of_b
    logit = rng.normal(0.3, 1.6, n)
    truth = sigmoid(np.where(is_b, 0.15 * logit - 0.1, logit))
    return is_b, sigmoid(logit), rng.random(n) < truth * (1 - flatten) + 0.5 * flatten


def tables(is_b, scores, labels=None) -> dict[str, ScoreTable]:
    return {name: ScoreTable.of(scores[part], None if labels is None else labels[part]) for name, part in (("a", ~is_b), ("b", is_b))}


@pytest.fixture(scope="module")
def reference() -> dict[str, ScoreTable]:
    return tables(*draw(np.random.default_rng(7), 200_000, share_of_b=0.2))


def calibrated(seed: int, n: int = 2000) -> tuple[dict[str, ScoreTable], ScoreTable]:
    rng = np.random.default_rng(seed)
    scores = rng.beta(0.8, 1.2, n)
    return {"": ScoreTable.of(scores)}, ScoreTable.of(scores, rng.random(n) < scores)


def test_five_rows_give_the_numbers_of_the_check_case():
    found = estimates({"": ScoreTable.of([0.9, 0.8, 0.3, 0.2, 0.6])})

    values = {name: found[name].result.estimate for name in ("accuracy", "precision", "recall", "f1", "roc_auc")}
    assert values == pytest.approx({"accuracy": 0.76, "precision": 0.766667, "recall": 0.821429, "f1": 0.793103, "roc_auc": 0.808442}, abs=1e-6)
    assert found["accuracy"].label_sd == pytest.approx(0.185472, abs=1e-6)
    assert found["specificity"].result.estimate == pytest.approx(1.5 / (1.5 + 0.7))
    assert found["accuracy"].result.validity is Validity.TOO_FEW_ROWS


def test_calibration_by_segment_repairs_a_shift_between_segments(reference):
    is_b, scores, labels = draw(np.random.default_rng(8), 200_000, share_of_b=0.7)
    realised = performance.accuracy(ScoreTable.of(scores, labels)).estimate

    by_segment = estimates(tables(is_b, scores), CalibrationMap.of(reference))["accuracy"].result
    of_all = estimates({"": ScoreTable.of(scores)}, CalibrationMap.of({"": pooled(reference.values())}))["accuracy"].result

    assert abs(by_segment.estimate - realised) <= 0.01
    assert by_segment.low <= realised <= by_segment.high
    assert abs(of_all.estimate - realised) >= 0.03


def test_it_does_not_see_concept_drift_and_says_so(reference):
    is_b, scores, labels = draw(np.random.default_rng(9), 50_000, share_of_b=0.2, flatten=0.6)

    result = estimates(tables(is_b, scores), CalibrationMap.of(reference))["accuracy"].result

    assert result.estimate - performance.accuracy(ScoreTable.of(scores, labels)).estimate > 0.05
    assert Assumption.NO_CONCEPT_DRIFT in result.assumptions


@pytest.mark.parametrize("name", ESTIMATORS)
def test_bands_hold_the_realised_value_as_often_as_they_say(name):
    hits = []
    for seed in range(150):
        window, labelled = calibrated(seed)
        result = estimates(window)[name].result
        hits.append(result.low <= performance.METRICS[name].compute(labelled).estimate <= result.high)

    assert np.mean(hits) >= 0.9


@pytest.mark.parametrize("name", ESTIMATORS)
def test_bands_hold_when_the_calibration_is_learned_from_half_as_many_rows(name):
    hits = []
    for seed in range(120):
        window, labelled = calibrated(seed, n=4000)
        _, learned = calibrated(10_000 + seed, n=2000)
        result = estimates(window, CalibrationMap.of({"": learned}))[name].result
        hits.append(result.low <= performance.METRICS[name].compute(labelled).estimate <= result.high)

    assert np.mean(hits) >= 0.9


def test_more_reference_rows_leave_less_open():
    window, _ = calibrated(1, n=4000)

    few, many = (estimates(window, CalibrationMap.of({"": calibrated(2, n=n)[1]}))["accuracy"] for n in (500, 50_000))

    assert many.map_sd < few.map_sd / 4
    assert many.label_sd == pytest.approx(few.label_sd, rel=0.05)
    assert many.sd == pytest.approx(np.hypot(many.label_sd, many.map_sd))


def test_the_label_noise_of_f1_equals_that_of_drawn_labels():
    window, _ = calibrated(3)
    rng, scores = np.random.default_rng(4), np.random.default_rng(3).beta(0.8, 1.2, 2000)

    labels, said = rng.random((1000, 2000)) < scores, scores >= 0.5
    drawn = 2 * (labels & said).sum(axis=1) / (labels.sum(axis=1) + said.sum())

    assert estimates(window)["f1"].label_sd == pytest.approx(np.std(drawn), rel=0.1)


def test_auc_of_bins_equals_the_exact_expected_one():
    scores = np.random.default_rng(5).beta(0.8, 1.2, 3000)
    order = np.sort(scores)
    below = np.cumsum(1 - order) - (1 - order) / 2
    exact = (order @ below) / (scores.sum() * (1 - scores).sum())

    assert estimates({"": ScoreTable.of(scores)})["roc_auc"].result.estimate == pytest.approx(exact, abs=1e-4)


def test_the_expected_brier_score_of_believed_scores_is_the_mean_of_their_variances():
    scores = np.random.default_rng(6).uniform(size=1000)

    assert estimates({"": ScoreTable.of(scores)})["brier"].result.estimate == pytest.approx((scores * (1 - scores)).mean(), abs=1e-12)


def test_the_curve_equals_isotonic_regression():
    _, labelled = calibrated(11, n=100_000)
    seen = labelled.n_labelled > 0
    fitted = IsotonicRegression().fit(np.flatnonzero(seen), (labelled.sum_y / np.maximum(labelled.n_labelled, 1))[seen], labelled.n_labelled[seen])

    assert CalibrationMap.of({"": labelled}).curve[seen] == pytest.approx(fitted.predict(np.flatnonzero(seen)), abs=0.005)


def test_a_segment_of_few_rows_follows_the_curve_of_all_and_one_of_many_its_own(reference):
    few = ScoreTable.of([0.505] * 3, labels=[0] * 3)

    mapped = CalibrationMap.of({**reference, "few": few, "many": ScoreTable.of([0.505] * 30_000, labels=[0] * 30_000)}, strength=30)

    code = 102
    assert mapped.probabilities(["many"])[0, code] < 0.01
    assert abs(mapped.probabilities(["few"])[0, code] - mapped.probabilities(["unheard of"])[0, code]) < 0.06


def test_a_window_outside_of_the_reference_has_no_estimate():
    learned = {"": ScoreTable.of(np.linspace(0, 0.3, 5000), labels=np.arange(5000) % 4 == 0)}

    for window in ({"": ScoreTable.of(np.linspace(0.29, 0.3, 5000))}, {"other": ScoreTable.of(np.linspace(0, 0.3, 5000))}):
        found = estimates(window, CalibrationMap.of(learned))
        assert {estimate.result.validity for estimate in found.values()} == {Validity.OUT_OF_SUPPORT}
        assert isnan(found["accuracy"].result.estimate)


def test_part_of_a_window_far_from_all_reference_scores_costs_the_estimate():
    calibration = CalibrationMap.of({"": ScoreTable.of(np.linspace(0, 0.3, 5000), labels=np.arange(5000) % 4 == 0)})
    inside, far, above = np.linspace(0, 0.3, 2000), np.full(300, 0.9), np.full(300, 1.1)

    assert estimates({"": ScoreTable.of(inside)}, calibration)["accuracy"].result.is_ok
    assert estimates({"": ScoreTable.of([*inside, *far[:50]])}, calibration)["accuracy"].result.is_ok
    assert estimates({"": ScoreTable.of([*inside, *far])}, calibration)["accuracy"].result.validity is Validity.OUT_OF_SUPPORT
    assert estimates({"": ScoreTable.of([*inside, *above])}, calibration)["accuracy"].result.validity is Validity.OUT_OF_SUPPORT
    assert estimates({"": ScoreTable.of([*inside, *above])})["accuracy"].result.validity is Validity.OUT_OF_SUPPORT


def test_under_200_labelled_rows_there_is_no_support():
    _, learned = calibrated(1, n=199)

    assert estimates(calibrated(2)[0], CalibrationMap.of({"": learned}))["f1"].result.validity is Validity.OUT_OF_SUPPORT


def test_the_same_distribution_is_worth_all_reference_rows():
    found = support(calibrated(1, n=20_000)[0], CalibrationMap.of({"": calibrated(2, n=20_000)[1]}))

    assert found.effective > 0.98 * found.n
    assert found.unsupported == pytest.approx(0)


def test_only_the_segments_of_the_window_count_for_its_support(reference):
    is_b, scores, _ = draw(np.random.default_rng(12), 5000, share_of_b=0.02)

    assert support({"b": tables(is_b, scores)["b"]}, CalibrationMap.of(reference)).n == reference["b"].labelled


@pytest.mark.parametrize("scores", [[], [0.5], [nan] * 5])
def test_fewer_than_two_rows_have_no_estimate(scores):
    assert {estimate.result.validity for estimate in estimates({"": ScoreTable.of(scores)}).values()} == {Validity.TOO_FEW_ROWS}
    assert {estimate.result.validity for estimate in estimates({}).values()} == {Validity.TOO_FEW_ROWS}


@pytest.mark.parametrize("scores", [[0.0] * 200, [1.0] * 200, [0.5] * 200, [0.0, 1.0] * 100, [np.inf, -np.inf] * 100, [5.0] * 200])
def test_extreme_scores_give_a_band_or_a_reason(scores):
    for calibration in (None, CalibrationMap.of({"": ScoreTable.of(scores * 2, labels=[0, 1] * 200)})):
        for estimate in estimates({"": ScoreTable.of(scores)}, calibration).values():
            result = estimate.result
            assert result.low <= result.estimate <= result.high or result.validity in (Validity.UNDEFINED, Validity.OUT_OF_SUPPORT)


@pytest.mark.parametrize("seed", range(40))
def test_nasty_mixtures_of_scores_give_a_band_or_a_reason(seed):
    rng = np.random.default_rng(seed)
    kinds = rng.choice([0, 1, 0.5, 1e-9, 1e-300, 1 - 1e-16, nan, np.inf, -np.inf, -1e-9, 1 + 1e-9, 1e300, 0.3, -5], rng.integers(1, 6))
    table = ScoreTable.of(rng.choice(kinds, 600), rng.choice([0, 1, nan], 600, p=rng.dirichlet([1, 1, 0.2])))

    for calibration in (None, CalibrationMap.of({"": table}), CalibrationMap.of({"": table}, strength=0)):
        results = [estimate.result for estimate in estimates({"": table, "other": table}, calibration).values()]
        assert all(result.low <= result.estimate <= result.high or not result.is_ok for result in results)


def test_a_calibrated_margin_counts_as_a_probability_of_0_or_1_in_the_brier_score():
    scores, labels = np.repeat([-3.0, 5.0], 500), np.tile([0, 0, 0, 1], 250)

    result = estimates({"": ScoreTable.of(scores)}, CalibrationMap.of({"": ScoreTable.of(scores, labels)}))["brier"].result

    assert result.estimate == pytest.approx(0.5, abs=0.001)


def test_many_windows_are_estimated_as_each_by_itself(reference):
    rng, times = np.random.default_rng(13), 400  # more than are calculated together
    windows = [tables(*draw(rng, n, share_of_b=share)[:2]) for n, share in ((3000, 0.2), (3000, 0.9), (1, 0.0), (50, 0.5), (2000, 0.4))]
    windows += [{"b": windows[0]["b"]}, dict(reversed(windows[1].items())), {}, {"a": ScoreTable.of([5.0] * 500)}]

    for calibration in (None, CalibrationMap.of(reference)):
        together, alone = estimates_of(windows * times, calibration), [estimates(window, calibration) for window in windows]
        for name in ESTIMATORS:
            assert [said(found[name]) for found in together] == [said(found[name]) for found in alone] * times
            expected = [numbers(found[name]) for found in alone] * times
            np.testing.assert_allclose([numbers(found[name]) for found in together], expected, rtol=1e-9, equal_nan=True)
    assert {alone[place]["accuracy"].result.validity for place in (0, 2, 3, 8)} == {Validity.OK, Validity.TOO_FEW_ROWS, Validity.OUT_OF_SUPPORT}


def said(found):
    return found.result.validity, found.result.n, found.result.rule


def numbers(found):
    return found.result.estimate, found.result.low, found.result.high, found.result.n_effective, found.label_sd, found.map_sd


def test_a_reference_without_labels_supports_nothing():
    calibration = CalibrationMap.of({"": ScoreTable.of([0.2, 0.8] * 500)})

    assert estimates({"": ScoreTable.of([0.2, 0.8] * 500)}, calibration)["accuracy"].result.validity is Validity.OUT_OF_SUPPORT


def test_scores_that_are_only_believed_are_preliminary():
    result = estimates(calibrated(1)[0])["accuracy"].result

    assert result.validity is Validity.PRELIMINARY
    assert result.assumptions == ASSUMPTIONS


def test_the_record_counts_matured_windows_only():
    record = track_record([BAND, BAND, Result.missing(Validity.OUT_OF_SUPPORT, n=5), BAND], [0.82, nan, 0.8, 0.7])

    assert (record.windows, record.coverage, record.trust) == (2, 0.5, Trust.TRUSTED)
    assert record.rmse == pytest.approx(np.sqrt((0.02**2 + 0.1**2) / 2))


def test_two_matured_misses_in_a_row_cost_the_trust():
    assert track_record([BAND] * 3, [HIT, MISS, MISS]).trust is Trust.DISTRUSTED
    assert track_record([BAND] * 3, [MISS, HIT, MISS]).trust is Trust.TRUSTED
    assert track_record([BAND] * 3, [MISS, nan, MISS]).trust is Trust.DISTRUSTED
    assert track_record([], []).trust is Trust.UNTESTED


def test_trust_returns_after_two_hits_in_a_row():
    assert trust_after([False, False, True]) is Trust.DISTRUSTED
    assert trust_after([False, False, True, False, True]) is Trust.DISTRUSTED
    assert trust_after([False, False, True, True]) is Trust.TRUSTED


def test_a_scenario_widens_the_band_and_needs_no_constancy():
    result = Result(estimate=0.9, low=0.85, high=0.95, n=500, assumptions=ASSUMPTIONS)

    bound = scenario_bound(result, 0.1)

    assert (bound.low, bound.high) == (pytest.approx(0.75), 1.0)
    assert Assumption.NO_CONCEPT_DRIFT not in bound.assumptions


def test_it_gives_the_numbers_of_nannyml_on_its_data():
    rng = np.random.default_rng(42)
    x = np.concatenate([rng.normal(0, 1, 20_000), rng.normal(0, 1, 20_000) + np.linspace(0, 0.5, 20_000)])
    p = sigmoid(1.5 * x - 0.5)
    y = rng.random(40_000) < p
    chunks = [slice(start, start + 5000) for start in range(20_000, 40_000, 5000)]

    realised = [performance.accuracy(ScoreTable.of(p[chunk], y[chunk])).estimate for chunk in chunks]
    believed = [estimates({"": ScoreTable.of(p[chunk])}) for chunk in chunks]
    learned = [estimates({"": ScoreTable.of(p[chunk])}, CalibrationMap.of({"": ScoreTable.of(p[:20_000], y[:20_000])})) for chunk in chunks]

    assert realised == pytest.approx([0.7364, 0.7246, 0.7320, 0.7348])
    for name, numbers in {"accuracy": [0.735885, 0.737914, 0.733699, 0.735298], "f1": [0.684211, 0.711420, 0.729565, 0.748840]}.items():
        assert [found[name].result.estimate for found in believed] == pytest.approx(numbers, abs=1e-6)
        assert [found[name].result.estimate for found in learned] == pytest.approx(numbers, abs=0.002)
