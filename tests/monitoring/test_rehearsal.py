"""What a rehearsal says of a rule: its alarms against real incidents, and limits that are quieter and no blinder."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper import risks
from watchkeeper.core.evidence import MetricHistory, Point
from watchkeeper.monitoring.conditions import Rule
from watchkeeper.monitoring.due import Due
from watchkeeper.monitoring.rehearsal import Rehearsal, Trouble, rehearse, with_limits
from watchkeeper.monitoring.replay import Past

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
PARAMS = '{"metric": "mape", "upper": 12}'


def rehearsed(values: list[float], troubles: list[Trouble], *, params: str = PARAMS, **rule: Any) -> Rehearsal:  # Any: fields of Rule
    """One value a day until today, judged an hour later."""
    times = [NOW - (len(values) - place) * DAY for place in range(len(values))]
    points = tuple(Point("mape", value, at, at) for value, at in zip(values, times, strict=True))
    evidence = MetricHistory(now=NOW, registered_at=times[0], points=points)
    due = Due(UUID(int=0), UUID(int=1), "metric_out_of_bounds", params, None, {"cron": "0 13 * * *"}, Rule(**rule), None, None, 0)
    return rehearse(due, Past(evidence, times[0]), troubles)


def trouble(number: int, *, days_ago: float, lasted: float = 1.0) -> Trouble:
    start = NOW - days_ago * DAY
    return Trouble(number=number, type="performance_drop", start=start, opened_at=start, end=start + lasted * DAY)


def test_it_says_how_much_earlier_an_incident_would_have_been_known() -> None:
    found = rehearsed([9.0] * 20 + [15.0] * 4 + [9.0] * 6, [trouble(7, days_ago=8.0, lasted=2.0)])

    (caught,) = found.caught
    assert caught.trouble.number == 7
    assert caught.earlier == 2 * DAY - timedelta(hours=1)
    assert found.missed == ()
    assert found.unconfirmed == ()


def test_an_alarm_without_an_incident_is_not_confirmed_and_an_incident_without_an_alarm_is_missed() -> None:
    found = rehearsed([9.0] * 5 + [15.0] + [9.0] * 24, [trouble(7, days_ago=8.0)])

    assert found.caught == ()
    assert [missed.number for missed in found.missed] == [7]
    assert len(found.unconfirmed) == 1


def test_an_alarm_long_after_an_incident_began_is_not_confirmed_by_it() -> None:
    found = rehearsed([9.0] * 25 + [15.0] + [9.0] * 4, [trouble(7, days_ago=28.0, lasted=28.0)])

    assert found.caught == ()
    assert len(found.unconfirmed) == 1


def test_an_incident_before_all_that_is_stored_counts_neither_way() -> None:
    assert rehearsed([9.0] * 10, [trouble(7, days_ago=40.0)]).troubles == ()


def test_a_rule_that_is_quiet_enough_is_left_as_it_is() -> None:
    found = rehearsed([9.0] * 40 + [15.0] + [9.0] * 40, [])

    assert len(found.replay.alarms) == 1
    assert found.suggested is None


def test_a_loud_rule_gets_a_limit_with_one_alarm_a_quarter() -> None:
    values = [9.0 + (place % 5 == 0) * 4 for place in range(90)]
    values[50] = 30.0

    found = rehearsed(values, [])

    assert len(found.replay.alarms) > 10
    assert found.suggested
    assert len(found.suggested.rehearsal.replay.alarms) == 1
    assert 13 < found.suggested.params["upper"] < 30


def test_what_fires_most_of_the_time_is_too_loud_though_it_fires_once() -> None:
    found = rehearsed([15.0] * 60, [])

    assert len(found.replay.alarms) == 1
    assert found.is_too_loud


def test_moments_without_a_value_are_counted_with_the_reason() -> None:
    found = rehearsed([9.0] * 3, [], params='{"metric": "mape", "upper": 12, "max_age": "2h", "dataset": "validation"}')

    ((reason, count),) = found.replay.unknown
    assert "no value of mape" in reason.render()
    assert count == len(found.replay.moments) >= 3


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.floats(5, 25, allow_nan=False), min_size=10, max_size=60),
    starts=st.lists(st.floats(0.1, 59), max_size=4),
    lasted=st.floats(0.1, 5),
)
def test_a_suggestion_loses_no_incident_that_was_caught(values: list[float], starts: list[float], lasted: float) -> None:
    found = rehearsed(values, [trouble(number, days_ago=ago, lasted=lasted) for number, ago in enumerate(starts)])

    if found.suggested:
        assert found.suggested.rehearsal.numbers >= found.numbers
        assert not found.suggested.rehearsal.is_too_loud or len(found.suggested.rehearsal.unconfirmed) < len(found.unconfirmed)


@pytest.mark.parametrize("risk", [risk for risk in risks.catalogue().values() if risk.limits], ids=lambda risk: risk.key)
def test_a_looser_limit_never_makes_an_example_fire(risk: risks.RiskType) -> None:
    for example in risk.examples:
        due = Due(UUID(int=0), UUID(int=1), risk.key, json.dumps(dict(example.params)), None, {"every": "1h"}, Rule(), None, None, 0)
        looser = with_limits(due, 2.0, [1.0, 2.0])
        if looser:
            before = {finding.outcome for finding in risk.findings(example.evidence, due.params)}
            after = {finding.outcome for finding in risk.findings(example.evidence, risk.parse_params({**example.params, **looser}))}
            assert "fired" not in after or "fired" in before, (example.title, looser)
