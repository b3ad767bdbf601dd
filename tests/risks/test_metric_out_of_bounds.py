from datetime import UTC, datetime, timedelta
from math import inf, nan

import pytest

from tests.platform import Platform
from tests.risks.story import fires, is_unknown, resolves
from watchkeeper.core.errors import InvalidInput
from watchkeeper.core.evidence import MetricHistory, Point
from watchkeeper.core.finding import DataState, Finding, Outcome
from watchkeeper.risks import get, metric_out_of_bounds

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def point(value: float, *, ago: timedelta = HOUR, timestamp: datetime | None = None, dataset: str = "", segment: str = "") -> Point:
    return Point(name="auc", value=value, timestamp=timestamp or NOW - ago, received_at=NOW - ago, dataset=dataset, segment=segment)


def judge(*points: Point, baseline: float | None = None, **params: object) -> Finding:
    given = {"metric": "auc", "lower": 0.7} | params
    evidence = MetricHistory(now=NOW, registered_at=NOW, points=points, baseline={} if baseline is None else {"auc": baseline})
    return metric_out_of_bounds.evaluate(evidence, metric_out_of_bounds.Params.model_validate(given))


def test_a_value_exactly_on_the_limit_is_inside() -> None:
    assert judge(point(0.7)).outcome == Outcome.QUIET


def test_without_clear_limits_the_limit_itself_clears() -> None:
    assert judge(point(0.7)).is_clear


def test_a_value_exactly_on_the_clear_limit_is_clear() -> None:
    assert judge(point(0.75), clear_lower=0.75).is_clear


def test_between_limit_and_clear_limit_it_is_quiet_but_not_clear() -> None:
    finding = judge(point(0.72), clear_lower=0.75)

    assert (finding.outcome, finding.is_clear, finding.limit) == (Outcome.QUIET, False, 0.75)


def test_the_newest_value_counts_and_not_the_last_received() -> None:
    yesterday_late = point(0.5, ago=timedelta(minutes=1), timestamp=NOW - timedelta(days=1))

    assert judge(point(0.8), yesterday_late).outcome == Outcome.QUIET


def test_a_correction_of_the_same_time_replaces_the_first_value() -> None:
    at = NOW - timedelta(days=1)

    assert judge(point(0.5, ago=5 * HOUR, timestamp=at), point(0.8, ago=HOUR, timestamp=at)).outcome == Outcome.QUIET


def test_a_value_dated_2099_does_not_hide_those_that_follow() -> None:
    dated_2099 = point(0.9, ago=5 * HOUR, timestamp=datetime(2099, 1, 1, tzinfo=UTC))

    assert judge(dated_2099, point(0.5, ago=HOUR)).outcome == Outcome.FIRED


def test_a_value_just_as_old_as_allowed_still_counts() -> None:
    assert judge(point(0.5, ago=timedelta(days=2)), max_age="2d").outcome == Outcome.FIRED


def test_an_older_value_is_stale_and_never_quiet() -> None:
    finding = judge(point(0.9, ago=timedelta(days=2, seconds=1)), max_age="2d")

    assert (finding.outcome, finding.data) == (Outcome.UNKNOWN, DataState.STALE)


def test_it_asks_to_be_looked_at_when_the_value_grows_too_old() -> None:
    for value in (0.5, 0.9):
        assert NOW - HOUR + timedelta(days=2) == judge(point(value), max_age="2d").recheck_at


def test_without_an_age_limit_values_never_grow_old() -> None:
    assert judge(point(0.9, ago=timedelta(days=900)), max_age=None).outcome == Outcome.QUIET


def test_another_segment_or_dataset_is_not_looked_at() -> None:
    assert judge(point(0.5, segment="north"), point(0.5, dataset="test"), dataset="live").outcome == Outcome.UNKNOWN


def test_its_finding_belongs_to_the_segment_it_looks_at() -> None:
    assert judge(point(0.5, segment="north"), segment="north").segment == "north"


def test_since_is_when_the_value_came() -> None:
    assert judge(point(0.5)).since == NOW - HOUR


@pytest.mark.parametrize(
    ("mode", "lower", "outcome"),
    [
        ("baseline_ratio", 0.9, Outcome.FIRED),
        ("baseline_ratio", 0.8, Outcome.QUIET),
        ("baseline_diff", -0.1, Outcome.FIRED),
        ("baseline_diff", -0.2, Outcome.QUIET),
    ],
)
def test_it_compares_with_the_baseline(mode: str, lower: float, outcome: Outcome) -> None:
    assert outcome == judge(point(0.68), baseline=0.8, mode=mode, lower=lower).outcome


def test_it_compares_with_the_value_before_of_the_same_dataset() -> None:
    points = (point(0.8, ago=3 * HOUR, dataset="live"), point(0.4, ago=2 * HOUR, dataset="test"), point(0.4, dataset="live"))

    finding = judge(*points, mode="previous_ratio")

    assert (finding.outcome, finding.value) == (Outcome.FIRED, 0.5)


@pytest.mark.parametrize("mode", ["baseline_ratio", "baseline_diff", "previous_ratio"])
def test_without_anything_to_compare_with_it_is_unknown(mode: str) -> None:
    assert judge(point(0.8), mode=mode).outcome == Outcome.UNKNOWN


def test_a_ratio_to_zero_is_unknown() -> None:
    assert judge(point(0.8), baseline=0.0, mode="baseline_ratio").outcome == Outcome.UNKNOWN


@pytest.mark.parametrize("value", [nan, inf])
def test_what_is_no_number_is_never_quiet(value: float) -> None:
    assert judge(point(value), upper=1).outcome == Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("limits", "complaint"),
    [
        ({}, "give a lower limit, an upper limit or both"),
        ({"lower": 2, "upper": 1}, "no value can be good"),
        ({"lower": 1, "clear_lower": 0.5}, "clear_lower 0.5 must lie inside"),
        ({"upper": 1, "clear_upper": 1.5}, "clear_upper 1.5 must lie inside"),
        ({"upper": 1, "clear_lower": 0.5}, "clear_lower 0.5 must lie inside"),
        ({"lower": 0, "upper": 1, "clear_lower": 0.8, "clear_upper": 0.2}, "no value can be good"),
        ({"lower": nan}, "finite number"),
        ({"lower": 1, "mode": "relative"}, "baseline_ratio"),
    ],
)
def test_limits_that_make_no_sense_are_refused(limits: dict[str, object], complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        get("metric_out_of_bounds").parse_params({"metric": "auc", **limits})


def test_story_of_a_metric_that_leaves_its_bounds(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "metric_out_of_bounds", params={"metric": "mape", "upper": 12, "clear_upper": 11}, criticality=3)
    platform.work()
    is_unknown(platform, risk)

    platform.measure(model, "mape", 18.4)
    platform.work(minutes=10)
    fires(platform, risk, says="18.4")
    assert platform.light(model) == "red"

    platform.measure(model, "mape", 11.5)
    platform.work(minutes=10)
    assert platform.condition(risk) == "firing"  # not beyond the clear limit

    platform.measure(model, "mape", 9.0)
    platform.work(minutes=10)
    resolves(platform, risk)
