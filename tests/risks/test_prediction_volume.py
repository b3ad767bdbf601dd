from datetime import UTC, datetime, timedelta

import pytest

from tests.platform import Platform
from tests.risks.story import fires, is_unknown, resolves
from watchkeeper.core.errors import InvalidInput
from watchkeeper.core.evidence import Volumes, WindowCount
from watchkeeper.core.finding import Finding, Outcome
from watchkeeper.risks import get, prediction_volume

NOW = datetime(2026, 11, 22, 12, 20, tzinfo=UTC)
LAST_HOUR = datetime(2026, 11, 22, 11, tzinfo=UTC)
HOUR, WEEK = timedelta(hours=1), timedelta(weeks=1)


def judge(*windows: WindowCount, first_at: datetime | None = None, **params: object) -> Finding:
    """Judges the last hour unless told otherwise."""
    given = {"window": "1h", **params}
    begin = first_at or (windows[0].start if windows else None)
    return prediction_volume.evaluate(Volumes(now=NOW, windows=windows, first_at=begin), prediction_volume.Params.model_validate(given))


def weekly(*rows: int) -> tuple[WindowCount, ...]:
    """The last hour, and the same hour of the weeks before it."""
    return tuple(WindowCount(start=LAST_HOUR - week * WEEK, rows=count) for week, count in enumerate(reversed(rows)))[::-1]


@pytest.mark.parametrize(("rows", "outcome"), [(49, Outcome.FIRED), (50, Outcome.QUIET), (200, Outcome.QUIET), (201, Outcome.FIRED)])
def test_exactly_at_the_limits_it_is_quiet(rows: int, outcome: Outcome) -> None:
    assert outcome == judge(*weekly(100, 100, rows)).outcome


def test_no_row_in_the_window_counts_as_zero() -> None:
    finding = judge(*weekly(100, 100, 0)[:-1])

    assert (finding.outcome, finding.value) == (Outcome.FIRED, 0)


def test_the_hour_that_is_not_over_does_not_count() -> None:
    running = WindowCount(start=LAST_HOUR + HOUR, rows=9000)

    assert judge(*weekly(100, 100, 100), running).outcome == Outcome.QUIET


def test_other_hours_of_the_week_are_not_compared() -> None:
    busy = tuple(WindowCount(start=LAST_HOUR - hours * HOUR, rows=9000) for hours in range(20, 1, -1))

    assert judge(*weekly(100, 100, 100)[:-1], *busy, *weekly(100)).outcome == Outcome.QUIET


def test_one_odd_week_does_not_move_the_median() -> None:
    assert judge(*weekly(100, 9000, 100, 100)).outcome == Outcome.QUIET


def test_one_known_week_is_too_short_a_history() -> None:
    assert judge(*weekly(100, 10)).outcome == Outcome.UNKNOWN


def test_an_hour_in_which_the_model_began_is_not_a_whole_hour() -> None:
    began_late = LAST_HOUR - 2 * WEEK + HOUR / 2

    assert judge(*weekly(100, 100, 10), first_at=began_late).outcome == Outcome.UNKNOWN


@pytest.mark.parametrize(("usual", "outcome"), [(29, Outcome.UNKNOWN), (30, Outcome.FIRED)])
def test_few_usual_predictions_say_nothing(usual: int, outcome: Outcome) -> None:
    assert outcome == judge(*weekly(usual, usual, 1)).outcome


def test_a_window_of_a_week_is_compared_with_the_weeks_before() -> None:
    hours = tuple(WindowCount(start=LAST_HOUR - ago * HOUR, rows=10 if ago >= 168 else 1) for ago in range(3 * 168 - 1, -1, -1))

    finding = judge(*hours, window="7d")

    assert (finding.outcome, finding.value) == (Outcome.FIRED, 168)


def test_a_model_that_never_predicted_is_unknown() -> None:
    assert judge().outcome == Outcome.UNKNOWN


@pytest.mark.parametrize("params", [{"window": "90m"}, {"window": "30m"}, {"window": "8d"}, {"weeks": 2, "min_weeks": 3}, {"lower_ratio": 1.5}])
def test_parameters_that_make_no_sense_are_refused(params: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        get("prediction_volume").parse_params(params)


def test_story_of_a_volume_that_drops(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "prediction_volume")
    platform.work()
    is_unknown(platform, risk)

    for _ in range(22):
        platform.predict(model, 60)
        platform.work(days=1)
    assert platform.light(model) == "green"
    platform.predict(model, 10)
    platform.work(days=1)
    platform.predict(model, 10)
    platform.work(days=1)
    fires(platform, risk, says="60")

    for _ in range(2):
        platform.predict(model, 60)
        platform.work(days=1)
    resolves(platform, risk)
