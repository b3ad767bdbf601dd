"""What every risk must do, built in or not. Finds its subjects by discovery: a new risk file needs no new test here."""

from __future__ import annotations

import ast
import json
import math
import sys
from dataclasses import MISSING, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import assume, given
from hypothesis import strategies as st

from watchkeeper import risks
from watchkeeper.core.durations import parse_duration
from watchkeeper.core.errors import InvalidInput
from watchkeeper.core.evidence import Evidence, MetricHistory, Point
from watchkeeper.core.finding import DataState, Finding, Outcome
from watchkeeper.core.text import Text
from watchkeeper.risks import Defaults, Example, RiskType, metric_out_of_bounds

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
BUILT_IN = sorted(file.stem for file in Path(risks.__file__).parent.glob("[a-z]*.py"))
TESTS = Path(__file__).parents[1] / "risks"
EVERY_RISK = pytest.mark.parametrize("risk", risks.catalogue().values(), ids=lambda risk: risk.key)
EVERY_EXAMPLE = pytest.mark.parametrize(
    ("risk", "example"),
    [pytest.param(risk, example, id=f"{risk.key}: {example.title}") for risk in risks.catalogue().values() for example in risk.examples],
)


def says(risk: RiskType, flag: str) -> bool:
    """A promise the risk's file makes about itself: ALWAYS_KNOWN, QUIET_WITHOUT_EVIDENCE."""
    return bool(getattr(sys.modules[risk.evaluate.__module__], flag, False))


def evaluated(risk: RiskType, example: Example) -> tuple[Finding, ...]:
    return risk.findings(example.evidence, risk.parse_params(example.params))


@EVERY_EXAMPLE
def test_the_example_has_the_outcome_it_promises(risk: RiskType, example: Example) -> None:
    assert {example.outcome} == {finding.outcome for finding in evaluated(risk, example)}


@EVERY_EXAMPLE
def test_the_explanation_reads_and_can_be_stored(risk: RiskType, example: Example) -> None:
    for finding in evaluated(risk, example):
        rendered = finding.explanation.render()

        assert rendered
        assert not set("{}") & set(rendered)
        assert finding.explanation == Text.from_json(json.loads(json.dumps(finding.explanation.as_json(), allow_nan=False)))


@EVERY_EXAMPLE
def test_a_fired_example_names_its_value_or_its_parts(risk: RiskType, example: Example) -> None:
    for finding in evaluated(risk, example):
        if finding.outcome != Outcome.FIRED:
            continue
        rendered = finding.explanation.render()
        shows_value = finding.value is not None and finding.value in finding.explanation.args.values()
        shows_parts = bool(finding.parts) and all(part in rendered for part in finding.parts)

        assert shows_value or shows_parts


@EVERY_EXAMPLE
def test_unknown_data_is_never_called_fresh(risk: RiskType, example: Example) -> None:
    for finding in evaluated(risk, example):
        assert (finding.outcome == Outcome.UNKNOWN) == (finding.data != DataState.FRESH)


@EVERY_EXAMPLE
def test_times_are_aware_and_a_recheck_lies_ahead(risk: RiskType, example: Example) -> None:
    for finding in evaluated(risk, example):
        assert finding.since is None or finding.since.tzinfo
        assert finding.since is None or finding.since <= example.evidence.now
        assert finding.recheck_at is None or finding.recheck_at > example.evidence.now


@EVERY_RISK
def test_it_shows_every_outcome_it_can_have(risk: RiskType) -> None:
    expected = {Outcome.QUIET, Outcome.FIRED} if says(risk, "ALWAYS_KNOWN") else set(Outcome)

    assert expected == {example.outcome for example in risk.examples}
    assert len(risk.examples) >= 3


@pytest.mark.parametrize("key", BUILT_IN)
def test_it_has_a_story_in_its_own_test_file(key: str) -> None:
    file = TESTS / f"test_{key}.py"
    functions = [node for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)] if file.exists() else []
    stories = [function for function in functions if function.name.startswith("test_story")]

    assert stories, f"{file.relative_to(TESTS.parents[1])} needs a function test_story_…(platform)"
    assert all([argument.arg for argument in story.args.args] == ["platform"] for story in stories)


def test_every_test_file_of_a_risk_belongs_to_one() -> None:
    assert {file.stem.removeprefix("test_") for file in TESTS.glob("test_*.py")} - {"new_risk"} == set(BUILT_IN)


@EVERY_RISK
def test_it_has_a_title_a_page_and_a_plan(risk: RiskType) -> None:
    assert risk.title
    assert risk.title != risk.key
    assert len(risk.page) > 80
    assert 3 <= len(risk.plan) <= 5
    assert len(set(risk.plan)) == len(risk.plan)
    assert issubclass(risk.needs, Evidence)


@EVERY_RISK
def test_every_parameter_is_described(risk: RiskType) -> None:
    assert [name for name, field in risk.params.model_fields.items() if not field.description] == []


@EVERY_RISK
def test_the_defaults_in_the_schema_can_be_sent_back(risk: RiskType) -> None:
    schema = risk.params.model_json_schema()
    defaults = {name: shape["default"] for name, shape in schema.get("properties", {}).items() if "default" in shape}
    needed = risk.examples[0].params

    assert set(risk.params.model_fields) == set(defaults) | set(schema.get("required", ()))
    assert risk.parse_params(needed) == risk.parse_params(defaults | dict(needed))


@EVERY_RISK
def test_an_unknown_parameter_is_refused(risk: RiskType) -> None:
    with pytest.raises(InvalidInput, match="no_such_parameter"):
        risk.parse_params({**risk.examples[0].params, "no_such_parameter": 1})


@EVERY_RISK
def test_its_defaults_can_be_bound(risk: RiskType) -> None:
    assert is_valid_schedule(risk.defaults)
    assert risk.defaults.criticality in {1, 2, 3}
    assert parse_duration(risk.defaults.for_) >= timedelta(0)
    assert parse_duration(risk.defaults.hold) >= timedelta(0)
    assert 1 <= risk.defaults.n <= risk.defaults.m


@EVERY_RISK
def test_a_risk_of_the_base_set_needs_no_parameters(risk: RiskType) -> None:
    if risk.defaults.in_base_set:
        assert risk.parse_params({}) is not None


@EVERY_RISK
def test_it_is_not_quiet_by_absence_of_evidence(risk: RiskType) -> None:
    params = risk.parse_params(risk.examples[0].params)

    outcomes = {finding.outcome for finding in risk.findings(empty(risk.needs), params)}

    assert (Outcome.QUIET in outcomes) == says(risk, "QUIET_WITHOUT_EVIDENCE")


def is_valid_schedule(defaults: Defaults) -> bool:
    match dict(defaults.schedule):
        case {"every": str(every), **rest}:
            return not rest and parse_duration(every) > timedelta(0)
        case {"on": "event", **rest}:
            return not rest
        case {"cron": str(cron), **rest}:
            return set(rest) <= {"timezone"} and bool(next(CronSim(cron, NOW.astimezone(ZoneInfo(rest.get("timezone", "UTC"))))))
    return False


def empty(kind: type[Evidence]) -> Evidence:
    """Evidence of a model of which nothing is known but its registration, a moment ago."""
    required = [field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING]
    given: dict[str, Any] = {name: NOW if name == "now" or name.endswith("_at") else "" for name in required}  # Any: fields of any kind of evidence
    return kind(**given)


# metric_out_of_bounds against a plain oracle

NUMBERS = st.floats(-1e6, 1e6)


def judge(value: float, **limits: float | None) -> Finding:
    point = Point(name="saved", value=value, timestamp=NOW, received_at=NOW)
    evidence = MetricHistory(now=NOW, registered_at=NOW, points=(point,))
    return metric_out_of_bounds.evaluate(evidence, metric_out_of_bounds.Params.model_validate({"metric": "saved", **limits}))


@given(value=NUMBERS, lower=NUMBERS | st.none(), upper=NUMBERS | st.none())
def test_out_of_bounds_agrees_with_a_plain_comparison(value: float, lower: float | None, upper: float | None) -> None:
    assume(lower is not None or upper is not None)
    low, high = -math.inf if lower is None else lower, math.inf if upper is None else upper
    assume(low <= high)

    finding = judge(value, lower=lower, upper=upper)

    assert (finding.outcome == Outcome.FIRED) == (not low <= value <= high)
    assert value == finding.value


@given(value=NUMBERS, bounds=st.lists(NUMBERS, min_size=4, max_size=4).map(sorted))
def test_a_value_is_clear_only_beyond_the_clear_limits(value: float, bounds: list[float]) -> None:
    lower, clear_lower, clear_upper, upper = bounds

    finding = judge(value, lower=lower, clear_lower=clear_lower, clear_upper=clear_upper, upper=upper)

    if finding.outcome == Outcome.QUIET:
        assert finding.is_clear == (clear_lower <= value <= clear_upper)
    else:
        assert not lower <= value <= upper


@given(values=st.lists(NUMBERS, min_size=2, max_size=30), bounds=st.tuples(NUMBERS, NUMBERS).map(sorted))
def test_a_trembling_value_does_not_resolve_before_the_clear_limit(values: list[float], bounds: list[float]) -> None:
    lower, clear_lower = bounds
    is_firing = False
    for value in values:
        finding = judge(value, lower=lower, clear_lower=clear_lower)
        was_firing, is_firing = is_firing, finding.outcome == Outcome.FIRED or (is_firing and not finding.is_clear)

        assert not (was_firing and not is_firing) or value >= clear_lower


@pytest.mark.parametrize("risk", risks.catalogue().values(), ids=risks.catalogue())
def test_what_it_measures_is_a_format_that_pages_know(risk: RiskType) -> None:
    assert risk.measures in ("number", "integer", "share", "duration")
