import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from watchkeeper.stats.multiple import benjamini_hochberg, e_benjamini_hochberg

P = (0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216)


def test_the_case_of_ten_p_values() -> None:
    adjusted = benjamini_hochberg(P)

    assert adjusted[:3].round(3).tolist() == [0.010, 0.040, 0.084]
    assert (adjusted < 0.05).sum() == 2
    assert (benjamini_hochberg(P, dependent=True) < 0.05).sum() == 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_it_agrees_with_scipy(p: list[float]) -> None:
    assert benjamini_hochberg(p) == pytest.approx(false_discovery_control(p, method="bh"))
    assert benjamini_hochberg(p, dependent=True) == pytest.approx(false_discovery_control(p, method="by"))


def test_unknown_p_values_count_for_nothing() -> None:
    adjusted = benjamini_hochberg([0.01, np.nan, 0.02])

    assert adjusted[[0, 2]].tolist() == [0.02, 0.02]
    assert np.isnan(adjusted[1])
    assert benjamini_hochberg([]).tolist() == []
    assert np.isnan(benjamini_hochberg([np.nan])).all()


def test_e_values_of_the_case() -> None:
    assert e_benjamini_hochberg([60, 30, 12, 5, 1], level=0.1).tolist() == [True, True, False, False, False]
    assert e_benjamini_hochberg([np.inf, np.nan], level=0.1).tolist() == [True, False]
    assert e_benjamini_hochberg([], level=0.1).tolist() == []
