from datetime import UTC, datetime, timedelta

from tests.platform import Platform
from tests.risks.story import fires, is_unknown, resolves
from watchkeeper.core.evidence import FilledDay, Schemas
from watchkeeper.core.finding import DataState, Finding, Outcome
from watchkeeper.incidents.models import Incident
from watchkeeper.incidents.rehearsing import rehearse_risk
from watchkeeper.monitoring.services import Binding
from watchkeeper.risks.schema_changed import Params, evaluate

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TRAINED = {"age": "double", "region": "string"}


def judge(seen: dict[str, str] | None, *, trained: dict[str, str] | None = TRAINED, seen_at: datetime = NOW, **params: object) -> Finding:
    return evaluate(Schemas(now=NOW, trained=trained, seen=seen, seen_at=seen_at), Params.model_validate(params))


def test_a_missing_a_new_and_a_retyped_column_are_all_named() -> None:
    finding = judge({"age": "string", "channel": "string"})

    assert finding.parts == ("age", "channel", "region")
    assert "missing region; new channel; other type age (double → string)" in finding.explanation.render()


def test_what_did_not_change_shows_as_a_dash() -> None:
    assert "missing age; new –; other type –" in judge({"region": "string"}).explanation.render()


def test_a_new_column_may_be_allowed() -> None:
    assert judge({**TRAINED, "channel": "string"}, allow_new=True).outcome == Outcome.QUIET


def test_an_ignored_column_may_change_as_it_likes() -> None:
    assert judge({"age": "double", "region": "double"}, ignore=["region"]).outcome == Outcome.QUIET


def test_the_order_of_columns_does_not_matter() -> None:
    assert judge(dict(reversed(TRAINED.items()))).outcome == Outcome.QUIET


def test_it_is_unknown_without_training_rows_or_features() -> None:
    for finding in (judge(TRAINED, trained=None), judge(TRAINED, trained={}), judge(None), judge({})):
        assert finding.outcome == Outcome.UNKNOWN


def test_columns_seen_long_ago_are_stale() -> None:
    finding = judge(TRAINED, seen_at=NOW - timedelta(days=7, seconds=1))

    assert (finding.outcome, finding.data) == (Outcome.UNKNOWN, DataState.STALE)


def test_of_the_past_missing_columns_are_told_when_their_day_is_over() -> None:
    day = timedelta(days=1)
    filled = [{"age", "region"}, {"age"}, {"age", "region", "channel"}]
    days = tuple(FilledDay(NOW - (3 - place) * day, frozenset(names)) for place, names in enumerate(filled))
    kept = Schemas(
        now=NOW, trained={**TRAINED, "plan": "string"}, seen={"age": "string"}, seen_at=NOW, counted=frozenset({"age", "region"}), days=days
    )

    outcomes = {back: evaluate(kept.at(NOW - back * day), Params()).outcome for back in (4, 3, 2.5, 2, 1.5, 1, 0)}

    assert [back for back, outcome in outcomes.items() if outcome == Outcome.FIRED] == [2, 1.5]
    assert outcomes[4] == Outcome.UNKNOWN
    assert evaluate(kept.at(NOW - 2 * day), Params()).parts == ("region",)
    assert evaluate(kept.at(NOW + 7 * day), Params()).data == DataState.STALE


def test_a_column_that_was_missing_for_days_is_found_by_a_rehearsal(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "schema_changed")
    rows = [{"x": float(n), "region": "North"} for n in range(60)]
    platform.train(model, {"x": "double", "region": "string"}, reference=rows)
    without = [{"x": row["x"]} for row in rows]
    for day in range(10):
        platform.predict_features(model, without if day in (4, 5) else rows)
        platform.work(hours=1)
        platform.work(hours=23)
    platform.work(hours=1)

    found = rehearse_risk(model, wanted=Binding(type="schema_changed"), now=platform.clock.now()).rehearsal

    assert found is not None
    (alarm,), (incident,) = found.replay.alarms, Incident.objects.filter(binding=risk)
    assert "missing region" in alarm.explanation.render()
    assert [caught.trouble.number for caught in found.caught] == [incident.number]
    assert alarm.end is not None
    assert incident.resolved_at is not None
    assert abs(alarm.start - incident.opened_at) <= timedelta(days=1)
    assert abs(alarm.end - incident.resolved_at) <= timedelta(days=2)


def test_story_of_a_column_that_disappears(platform: Platform) -> None:
    model = platform.register()
    risk = platform.only(model, "schema_changed")
    platform.train(model, {"x": "double", "region": "string"})
    platform.work()
    is_unknown(platform, risk)

    platform.predict(model, features={"x": 1.0})
    platform.work(hours=1)
    fires(platform, risk, says="region")

    platform.predict(model, features={"x": 1.0, "region": "North"})
    platform.work(hours=1)
    resolves(platform, risk)


def test_what_the_model_said_of_the_reference_rows_is_no_missing_column(platform: Platform) -> None:
    model = platform.register()
    binding = platform.only(model, "schema_changed")
    platform.train(model, {"age": "double", "score": "double", "prediction": "boolean"})
    platform.predict_features(model, [{"age": 40.0}], score=0.3)
    platform.work(minutes=2)
    platform.work(hours=1)

    assert platform.condition(binding) == "ok", platform.explanation(binding)
