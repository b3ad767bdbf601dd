from datetime import UTC, datetime, timedelta

from tests.platform import Platform
from tests.risks.story import fires, is_unknown, resolves
from watchkeeper.core.evidence import MetricHistory, Point
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.risks.metrics_not_refreshed import Params, evaluate

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def point(*, days_ago: float, name: str = "auc", dataset: str = "", timestamp: datetime | None = None) -> Point:
    received_at = NOW - days_ago * DAY
    return Point(name=name, value=0.8, timestamp=timestamp or received_at, received_at=received_at, dataset=dataset)


def judge(*points: Point, registered: float = 90, rows: float | None = 0, **params: object) -> Finding:
    rows_at = None if rows is None else NOW - rows * DAY
    evidence = MetricHistory(now=NOW, registered_at=NOW - registered * DAY, points=points, newest_rows_at=rows_at)
    return evaluate(evidence, Params.model_validate(params))


def test_it_is_quiet_just_before_the_limit_and_asks_for_a_recheck_there() -> None:
    finding = judge(point(days_ago=6.99))

    assert (finding.outcome, finding.recheck_at) == (Outcome.QUIET, NOW + 0.01 * DAY)


def test_it_fires_exactly_at_the_limit() -> None:
    finding = judge(point(days_ago=7))

    assert (finding.outcome, finding.since) == (Outcome.FIRED, NOW)


def test_a_date_in_the_future_does_not_make_an_old_metric_fresh() -> None:
    assert judge(point(days_ago=9, timestamp=datetime(2099, 1, 1, tzinfo=UTC))).outcome == Outcome.FIRED


def test_it_is_quiet_while_no_new_data_came_since_the_metric() -> None:
    assert judge(point(days_ago=30), rows=30).outcome == Outcome.QUIET


def test_it_is_unknown_for_an_old_metric_of_a_model_without_rows() -> None:
    assert judge(point(days_ago=30), rows=None).outcome == Outcome.UNKNOWN


def test_a_recent_metric_needs_no_rows() -> None:
    assert judge(point(days_ago=1), rows=None).outcome == Outcome.QUIET


def test_a_new_model_has_time_until_its_first_metric() -> None:
    finding = judge(registered=2)

    assert (finding.outcome, finding.recheck_at) == (Outcome.UNKNOWN, NOW + 5 * DAY)


def test_it_fires_when_there_never_was_a_metric() -> None:
    assert judge(registered=8).outcome == Outcome.FIRED


def test_without_metric_and_without_rows_it_is_unknown() -> None:
    assert judge(registered=8, rows=None).outcome == Outcome.UNKNOWN


def test_another_metric_does_not_count() -> None:
    assert judge(point(days_ago=1, name="f1"), metric="auc").outcome == Outcome.FIRED


def test_another_dataset_does_not_count() -> None:
    assert judge(point(days_ago=1, dataset="test"), dataset="live").outcome == Outcome.FIRED


def test_story_of_metrics_that_stop_coming(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "metrics_not_refreshed", params={"older_than": "2d"})
    platform.work()
    is_unknown(platform, risk)

    platform.measure(model, "roc_auc", 0.8)
    platform.work(hours=1)
    for _ in range(4):
        platform.predict(model)
        platform.work(days=1)
    fires(platform, risk, says="2 d")

    platform.measure(model, "roc_auc", 0.79)
    platform.work(hours=1)
    resolves(platform, risk)
