"""An incident is worked on from its page: acknowledge, assign, tick, comment, resolve."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from django.test import Client

from tests.platform import Platform
from tests.web.reading import said
from watchkeeper.incidents.models import Incident


@pytest.fixture
def incident(platform: Platform) -> Incident:
    model = platform.register()
    risk = platform.only(model, "metric_out_of_bounds", params={"metric": "mape", "upper": 12}, criticality=3)
    platform.measure(model, "mape", 18.4)
    platform.work(minutes=10)
    found = platform.incident(risk)
    assert found is not None
    return found


def test_it_says_what_happened_who_was_told_and_what_to_do(owner: Client, incident: Incident) -> None:
    html = owner.get(f"/incidents/{incident.number}/").content.decode()

    assert "above the upper limit" in html
    assert "Check the number first" in html
    assert "business_owner" in html
    assert "0 of 5 done" in html


def test_it_is_acknowledged_and_assigned(owner: Client, platform: Platform, incident: Incident) -> None:
    owner.post(f"/incidents/{incident.number}/acknowledge/", {"until": ""})
    owner.post(f"/incidents/{incident.number}/assign/", {"to": str(platform.validator.id)})

    incident.refresh_from_db()
    assert (incident.state, incident.acknowledged_by, incident.assignee) == ("acknowledged", platform.owner, platform.validator)
    assert "assigned to validator" in owner.get(f"/incidents/{incident.number}/").content.decode()


def test_it_is_not_assigned_to_somebody_who_may_not_see_it(owner: Client, platform: Platform, incident: Incident) -> None:
    owner.post(f"/incidents/{incident.number}/assign/", {"to": str(platform.outsider.id)})

    incident.refresh_from_db()
    assert incident.assignee is None


def test_a_step_is_ticked_skipped_and_taken_back(owner: Client, incident: Incident) -> None:
    url = f"/incidents/{incident.number}/steps/1/"

    html = owner.post(url, {"do": "done"}, headers={"HX-Request": "true"}).content.decode()
    assert "1 of 5 done" in html
    assert "<html" not in html

    owner.post(url, {"do": "undo"})
    owner.post(f"/incidents/{incident.number}/steps/2/", {"do": "skip", "reason": "seen elsewhere"})
    steps = list(incident.steps.order_by("position"))
    assert (steps[0].done_at, steps[1].skipped_reason) == (None, "seen elsewhere")


def test_skipping_needs_a_reason(owner: Client, incident: Incident) -> None:
    owner.post(f"/incidents/{incident.number}/steps/1/", {"do": "skip", "reason": " "})

    assert incident.steps.get(position=1).done_at is None


def test_htmx_reads_the_page_again_when_a_click_is_refused(owner: Client, incident: Incident) -> None:
    answer = owner.post(f"/incidents/{incident.number}/steps/1/", {"do": "skip", "reason": ""}, headers={"HX-Request": "true"})

    assert (answer.status_code, answer.headers["HX-Refresh"], answer.content) == (204, "true", b"")
    assert "Skipping a step needs a reason." in said(owner.get(f"/incidents/{incident.number}/"))


def test_an_acknowledgement_ends_within_90_days(owner: Client, incident: Incident) -> None:
    refused = owner.post(f"/incidents/{incident.number}/acknowledge/", {"until": "2999-01-01T10:00"}, follow=True)

    incident.refresh_from_db()
    assert incident.state == "open"
    assert "An acknowledgement lasts at most 90 days." in refused.content.decode()


def test_what_is_over_stays_green_when_the_risk_fires_anew(owner: Client, platform: Platform, incident: Incident) -> None:
    for value in (9, 18.4):
        platform.measure(incident.model, "mape", value)
        platform.work(hours=2)
    newest = platform.incident(incident.binding)
    assert newest
    assert newest.number != incident.number

    pages = [owner.get(f"/incidents/{number}/").context["colour"] for number in (incident.number, newest.number)]

    assert pages == ["green", "red"]


def test_what_was_closed_while_it_fired_says_so(owner: Client, incident: Incident) -> None:
    owner.post(f"/incidents/{incident.number}/resolve/", {"cause": "data_shift", "reason": "known season"})

    page = said(owner.get(f"/incidents/{incident.number}/"))

    assert "Closed by hand while it fired: the light of the model stays, and the incident opens again on" in page


def test_a_cost_so_far_is_an_amount_of_money(owner: Client, platform: Platform) -> None:
    model = platform.register("Costly")
    risk = platform.only(model, "metric_out_of_bounds", params={"metric": "mape", "upper": 12}, cost_per_day=Decimal(1000))
    platform.measure(model, "mape", 18.4)
    platform.work(minutes=7)
    found = platform.incident(risk)
    assert found

    page = said(owner.get(f"/incidents/{found.number}/"))

    assert re.search(r"\$\d+\.\d\d so far", page), page[page.find("Cost") :][:100]


def test_a_value_beyond_all_measure_is_drawn(owner: Client, platform: Platform, incident: Incident) -> None:
    platform.measure(incident.model, "mape", 1.2e59)
    platform.work(minutes=10)

    for address in (
        f"/incidents/{incident.number}/",
        f"/incidents/{incident.number}/chart/",
        f"/models/{incident.model_id}/chart/?metric=mape&days=30",
    ):
        assert "1.2e+59" in owner.get(address).content.decode(), address


def test_a_comment_stands_in_the_timeline_escaped(owner: Client, incident: Incident) -> None:
    owner.post(f"/incidents/{incident.number}/comment/", {"text": "<script>ordering by hand</script>"})

    html = owner.get(f"/incidents/{incident.number}/").content.decode()
    assert "&lt;script&gt;ordering by hand" in html


def test_resolving_while_it_fires_needs_a_reason_and_keeps_what_was_typed(owner: Client, incident: Incident) -> None:
    url = f"/incidents/{incident.number}/resolve/"

    refused = owner.post(url, {"cause": "data_shift", "reason": ""})
    assert refused.status_code == 422
    assert '<option value="data_shift" selected>' in refused.content.decode()

    accepted = owner.post(url, {"cause": "data_shift", "reason": "a holiday"})
    incident.refresh_from_db()
    assert accepted.status_code == 302
    assert (incident.state, incident.cause, incident.resolution) == ("resolved", "data_shift", "a holiday")


def test_who_may_only_look_sees_no_buttons_and_is_refused(client: Client, platform: Platform, incident: Incident) -> None:
    platform.validator.grants.update(role="viewer")
    client.force_login(platform.validator)

    assert "Acknowledge" not in client.get(f"/incidents/{incident.number}/").content.decode()
    for action in ("acknowledge", "assign", "comment", "resolve", "cause", "steps/1"):
        assert client.post(f"/incidents/{incident.number}/{action}/", {"do": "done"}).status_code == 403


def test_a_get_changes_nothing(owner: Client, incident: Incident) -> None:
    assert owner.get(f"/incidents/{incident.number}/acknowledge/").status_code == 405


def test_a_silence_is_measured_in_hours_not_in_seconds(owner: Client, platform: Platform) -> None:
    model = platform.register()
    platform.only(model, "no_predictions", params={"silent_for": "1h"})
    platform.predict(model)
    platform.work(minutes=1)
    platform.work(hours=3)
    incident = Incident.objects.get()

    for page in (owner.get(f"/incidents/{incident.number}/"), owner.get(f"/models/{model.id}/")):
        assert "3 h 1 min" in said(page)
        assert "limit 1 h" in said(page)
        assert "10,860" not in said(page)
