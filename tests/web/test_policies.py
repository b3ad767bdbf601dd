"""The catalogue of risks and the policies made of it."""

from __future__ import annotations

import pytest

from tests.platform import Platform
from tests.web.reading import browser, check_policy, said
from watchkeeper import risks
from watchkeeper.accounts import services as accounts
from watchkeeper.accounts.models import Role
from watchkeeper.monitoring.models import Policy, PolicyVersion
from watchkeeper.web.page import now

DAILY = {
    "type": "metrics_not_refreshed",
    "name": "metrics refreshed daily",
    "p-older_than": "1d",
    "every": "1h",
    "criticality": "2",
    "action_plan": "Ask the owner\nAsk again",
}


@pytest.mark.parametrize("key", risks.catalogue())
def test_every_risk_has_a_page(platform: Platform, key: str) -> None:
    answer = browser(platform.outsider).get(f"/risks/{key}/")

    check_policy(answer)
    assert answer.status_code == 200
    assert risks.get(key).title in said(answer)
    assert risks.get(key).plan[0] in said(answer)
    assert [name for name in risks.get(key).params.model_fields if name not in said(answer)] == []
    assert [example.title for example in risks.get(key).examples if example.title not in said(answer)] == []
    assert risks.get(key).title in said(browser(platform.outsider).get("/risks/"))


def test_the_page_of_a_risk_shows_what_its_examples_say(platform: Platform) -> None:
    text = said(browser(platform.outsider).get("/risks/metric_out_of_bounds/"))

    assert "roc_auc is 0.81, not below the lower limit 0.75" in text
    assert "one of absolute , baseline_ratio , baseline_diff , previous_ratio" in text
    assert "duration, e.g. 10m" in text
    assert "MetricHistory" in text


def test_an_unknown_risk_is_not_found(platform: Platform) -> None:
    assert browser(platform.outsider).get("/risks/pigeons/").status_code == 404


def test_a_policy_is_made_and_gets_a_new_version(platform: Platform) -> None:
    accounts.grant_role(platform.outsider, role=Role.RISK_OFFICER, unit=platform.unit, actor=platform.actor, now=now())
    client = browser(platform.outsider)
    form = DAILY | {"unit": str(platform.unit.id)}
    check_policy(client.get("/policies/new/?type=metrics_not_refreshed"))

    made = client.post("/policies/new/", form)
    added = client.post(made.headers["Location"], form | {"p-older_than": "2d", "criticality": ""})

    first, second = PolicyVersion.objects.order_by("number")
    assert first.policy.unit == platform.unit
    assert (first.params["older_than"], first.schedule, first.criticality, first.action_plan) == (
        "1d",
        {"every": "1h"},
        2,
        ["Ask the owner", "Ask again"],
    )
    assert (second.params["older_than"], second.criticality) == ("2d", None)
    assert added.status_code == 302
    page = client.get(made.headers["Location"])
    check_policy(page)
    assert "Version 2" in said(page)
    assert "metrics refreshed daily" in said(client.get("/policies/"))


def test_models_stay_on_the_version_they_pinned(platform: Platform) -> None:
    client = browser(platform.administrator)
    url = client.post("/policies/new/", DAILY | {"unit": str(platform.company.id)}).headers["Location"]
    platform.bind(platform.register(), "", policy=PolicyVersion.objects.get())

    client.post(url, DAILY | {"p-older_than": "2d"})

    assert "Version 2" in said(client.get(url))
    assert said(client.get(url)).index("Pinned by no model") < said(client.get(url)).index("Pinned by Late flights")
    assert "Late flights" not in said(browser(platform.outsider).get(url))


def test_wrong_input_keeps_what_was_typed(platform: Platform) -> None:
    client = browser(platform.administrator)
    form = DAILY | {"unit": str(platform.company.id)}

    wrong = client.post("/policies/new/", form | {"p-older_than": "soon"})
    schedule = client.post("/policies/new/", form | {"every": "1s"})
    both = client.post("/policies/new/", form | {"cron": "0 7 * * 1"})

    assert {answer.status_code for answer in (wrong, schedule, both)} == {422}
    assert "is not a duration" in said(wrong)
    assert 'value="soon"' in wrong.content.decode()
    assert "Choose between 10s and 366d" in said(schedule)
    assert "not both" in said(both)
    assert not Policy.objects.exists()


def test_an_empty_parameter_that_may_be_empty_stays_empty(platform: Platform) -> None:
    form = {
        "type": "metric_out_of_bounds",
        "name": "auc",
        "unit": str(platform.company.id),
        "p-metric": "auc",
        "p-lower": "0.7",
        "p-max_age": "",
        "p-mode": "absolute",
    }

    browser(platform.administrator).post("/policies/new/", form)

    params = PolicyVersion.objects.get().params
    assert (params["metric"], params["lower"], params["max_age"]) == ("auc", 0.7, None)


@pytest.mark.parametrize("who", ["validator", "owner", "outsider"])
def test_only_those_who_govern_write_policies(platform: Platform, who: str) -> None:
    url = browser(platform.administrator).post("/policies/new/", DAILY | {"unit": str(platform.company.id)}).headers["Location"]
    client = browser(getattr(platform, who))

    answers = [
        client.get("/policies/new/"),
        client.post("/policies/new/", DAILY | {"name": "other", "unit": str(platform.unit.id)}),
        client.post(url, DAILY),
    ]

    assert {answer.status_code for answer in answers} == {403}
    assert PolicyVersion.objects.count() == 1
    assert "New version" not in said(client.get(url))
