"""The SLO page and its export: objectives of good predictions, their budgets, how fast they burn."""

import json

from django.test import Client

from tests.platform import Platform
from tests.risks.story import LabelledModel
from watchkeeper.registry.models import RegisteredModel


def decided(share_good):
    def row(rng):
        truth = bool(rng.uniform() < 0.5)
        return {"score": 0.9 if truth else 0.1, "prediction": truth if rng.uniform() < share_good else not truth, "label": truth}

    return row


def read(client: Client, model: RegisteredModel) -> str:
    answer = client.get(f"/models/{model.id}/slo/")
    assert answer.status_code == 200
    return answer.content.decode().replace("\u00a0", " ")


def test_without_an_objective_one_is_suggested(owner: Client, platform: Platform) -> None:
    model = platform.register()
    LabelledModel(platform, model).days(12, row=decided(0.9))

    html = read(owner, model)

    assert "No objective is set" in html
    assert "So far one day in a hundred had fewer than" in html
    assert f"/models/{model.id}/risks/add/?type=slo_burn" in html


def test_a_budget_that_is_spent_says_what_follows(owner: Client, platform: Platform) -> None:
    model = platform.register()
    platform.bind(model, "slo_burn", params={"target": 0.9})
    labelled = LabelledModel(platform, model)
    labelled.days(20, row=decided(0.95))
    assert "of the budget is left" in read(owner, model)

    labelled.days(5, row=decided(0.3))
    html = read(owner, model)

    assert "The budget is spent" in html
    assert "no releases that are not repairs" in html
    assert "burning: act now" in html


def test_an_objective_before_any_label_is_not_green(owner: Client, platform: Platform) -> None:
    model = platform.register()
    platform.bind(model, "slo_burn", params={"target": 0.9})

    assert "No mature day can be counted yet" in read(owner, model)


def test_it_is_exported_as_openslo(owner: Client, platform: Platform) -> None:
    model = platform.register(name="Late flights, New York")
    platform.bind(model, "slo_burn", params={"target": 0.9, "budget": "28d"})
    LabelledModel(platform, model).days(12, row=decided(0.95))

    answer = owner.get(f"/models/{model.id}/slo/openslo.yaml")
    documents = [json.loads(part) for part in answer.content.decode().split("---\n")]

    assert {document["apiVersion"] for document in documents} == {"openslo/v1"}
    assert [document["kind"] for document in documents] == ["Service", "SLO", "AlertPolicy", "AlertPolicy", "AlertPolicy"]
    objective = documents[1]["spec"]
    assert objective["objectives"][0]["target"] == 0.9
    assert objective["timeWindow"] == [{"duration": "28d", "isRolling": True}]
    assert documents[0]["metadata"]["name"] == objective["service"] == "late-flights-new-york"
    named = [document["metadata"]["name"] for document in documents[2:]]
    assert [entry["alertPolicyRef"] for entry in objective["alertPolicies"]] == named
