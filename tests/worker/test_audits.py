"""A random sample, labelled by people, tells what no estimate can see: that scores have come to mean something else."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from tests.platform import Platform
from tests.risks.story import LabelledModel
from watchkeeper.analysis.audits import audited
from watchkeeper.analysis.estimates import Estimator, estimator_of
from watchkeeper.core.clock import ManualClock
from watchkeeper.core.errors import Conflict, InvalidInput
from watchkeeper.history.models import Change
from watchkeeper.ingest import audits
from watchkeeper.ingest.models import AuditSample
from watchkeeper.ingest.outcome_histories import segment_histories
from watchkeeper.registry.models import RegisteredModel
from watchkeeper.wire import Stream

NEVER = timedelta(days=1000)


@pytest.fixture
def clock() -> ManualClock:
    """Begins so long ago that the days pass until now: pages read the real clock."""
    return ManualClock(datetime.now(UTC) - timedelta(days=18))


def flattened(score: float) -> float:
    """60 % of what the score told is gone."""
    return 0.5 + (score - 0.5) * 0.4


def learned(platform: Platform, **later: Any) -> LabelledModel:
    """Twelve days with labels, and five without, `later` as of LabelledModel.days."""
    model = LabelledModel(platform, platform.register())
    model.days(12, rows=100)
    model.delay = NEVER
    model.days(5, rows=150, **later)
    return model


def estimator(platform: Platform, model: RegisteredModel) -> Estimator:
    found = estimator_of(segment_histories([model.id], now=platform.clock.now())[model.id])
    assert found
    return found


def draw(platform: Platform, model: RegisteredModel, **wanted: Any) -> AuditSample:
    sample = audits.ask_for_sample(model, actor=platform.actor, now=platform.clock.now(), **{"days": 5, "size": 400, **wanted})
    platform.work(seconds=2)
    sample.refresh_from_db()
    return sample


def label(platform: Platform, model: LabelledModel, sample: AuditSample, count: int) -> None:
    """People label so many of the sample: they know the truth that never came by itself."""
    truth = {entry["id"]: entry["label"] for entry in model.waiting}
    at = platform.clock.now().isoformat()
    rows = [{"id": row.id, "label": truth[row.id], "timestamp": at} for row in audits.drawn(sample)[:count]]
    platform.send(model.model, Stream.LABELS, rows)
    platform.work(minutes=3)
    sample.refresh_from_db()


def test_the_sample_corrects_an_estimate_that_cannot_see_the_change(platform: Platform) -> None:
    model = learned(platform, truth=flattened)
    sample = draw(platform, model.model)
    truths = {entry["id"]: entry["label"] for entry in model.waiting}
    assert (len(sample.rows), sample.population) == (400, 750)
    assert Change.objects.filter(object_type="audit sample", model_id=model.model.id, after__size=400).exists()

    label(platform, model, sample, 400)
    found = audited(audits.audit_of(sample), estimator(platform, model.model))

    rows = audits.drawn(sample)
    right = sum((row.said == 1) == truths[row.id] for row in rows) / len(rows)
    assert found.accuracy.low <= 0.6 <= found.accuracy.high  # P(right) = 0.5 + 0.4 · 0.25
    assert abs(found.accuracy.estimate - right) < 0.04
    assert found.estimated is not None
    assert found.estimated.estimate == pytest.approx(0.75, abs=0.04)
    assert found.is_refuted


def test_where_nothing_changed_the_sample_agrees(platform: Platform) -> None:
    model = learned(platform)
    sample = draw(platform, model.model)
    label(platform, model, sample, 400)

    found = audited(audits.audit_of(sample), estimator(platform, model.model))

    assert found.accuracy.low <= 0.75 <= found.accuracy.high
    assert not found.is_refuted


def test_without_an_estimate_the_labelled_rows_speak_for_themselves(platform: Platform) -> None:
    model = LabelledModel(platform, platform.register(), delay=NEVER)
    model.days(5, rows=60)
    sample = draw(platform, model.model, days=5, size=200)
    label(platform, model, sample, 100)

    found = audited(audits.audit_of(sample), None)

    assert (found.accuracy.n, found.estimated) == (100, None)
    assert found.audit.waiting == 100
    assert found.accuracy.low < 0.75 < found.accuracy.high


def test_rows_are_drawn_with_equal_chances_and_none_twice(platform: Platform) -> None:
    model = LabelledModel(platform, platform.register(), delay=NEVER)
    model.days(6, rows=100)
    sample = draw(platform, model.model, days=6, size=300)

    rows = audits.drawn(sample)
    by_day = [sum(row.day == day for row in rows) for day in sorted({row.day for row in rows})]
    assert len({row.id for row in rows}) == 300
    assert len(by_day) == 6
    assert all(25 < count < 75 for count in by_day)  # 50 expected, SD 4.6
    assert len(audits.drawn(draw(platform, model.model, days=6, size=2000))) == 600


def test_what_cannot_be_drawn_is_refused_with_what_to_do(platform: Platform) -> None:
    model = platform.register()
    for wanted, message in ({"size": 5}, "A sample of 5 rows"), ({"days": 500}, "from 500 days"):
        with pytest.raises(InvalidInput, match=message):
            draw(platform, model, **wanted)
    with pytest.raises(Conflict, match="has no predictions"):
        draw(platform, model)


def test_a_corrected_label_counts(platform: Platform) -> None:
    model = LabelledModel(platform, platform.register(), delay=NEVER)
    model.days(3, rows=40)
    sample = draw(platform, model.model, days=3, size=30)
    label(platform, model, sample, 30)
    first = audits.drawn(sample)[0]
    before = sample.labels[first.id]

    platform.send(model.model, Stream.LABELS, [{"id": first.id, "label": not before, "timestamp": platform.clock.now().isoformat()}])
    platform.work(minutes=3)
    sample.refresh_from_db()

    assert sample.labels[first.id] == 1 - before


def test_the_page_draws_shows_and_hands_out_the_sample(client: Client, platform: Platform) -> None:
    client.force_login(platform.owner)
    model = learned(platform, truth=flattened)
    address = f"/models/{model.model.id}/performance/"
    assert "Draw a sample" in client.get(address).content.decode()

    asked = client.post(f"/models/{model.model.id}/audits/", {"size": 400, "days": 5})
    assert asked.status_code == 302
    assert "Being drawn" in client.get(address).content.decode()
    platform.work(seconds=2)
    assert "Waits for labels" in client.get(address).content.decode()
    sample = AuditSample.objects.get()
    lines = client.get(f"/models/{model.model.id}/audits/1.csv").content.decode().splitlines()
    assert (lines[0], len(lines)) == ("id,day,prediction,score,label", 401)

    label(platform, model, sample, 400)
    html = client.get(address).content.decode()
    assert "by audit" in html
    assert "they have come to mean something else" in html

    told = client.get(f"/api/v1/models/{model.model.id}/audits").json()["items"][0]
    assert (told["labelled"], told["is_estimate_refuted"]) == (400, True)
    rows = client.get(f"/api/v1/models/{model.model.id}/audits/1").json()["rows"]
    assert {row["label"] for row in rows} == {0, 1}
    assert client.post(f"/api/v1/models/{model.model.id}/audits", {"size": 1}, content_type="application/json").status_code == 422
