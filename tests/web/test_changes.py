"""The change log as a page: names beside ids, before and after, the seal, and only what one may see."""

from __future__ import annotations

from tests.platform import Platform
from tests.web.reading import browser, check_policy, said
from watchkeeper.alerts import flow
from watchkeeper.history.services import seal_changes
from watchkeeper.web.page import now


def test_a_change_names_its_author_its_reason_and_what_was_before(platform: Platform) -> None:
    model = platform.register(purpose="old purpose")
    flow.edit_model(model, fields={"purpose": "new purpose"}, actor=platform.actor, now=now(), reason="asked by audit")

    page = browser(platform.validator).get(f"/changes/?model={model.id}")

    check_policy(page)
    assert "administrator model: edited Late flights" in said(page)
    assert "old purpose → new purpose" in said(page)
    assert "Reason: asked by audit" in said(page)
    assert f"Business – → {platform.business_owner} Technical – → {platform.owner}" in said(page)


def test_filters_combine(platform: Platform) -> None:
    model = platform.register()
    client = browser(platform.administrator)

    assert "person: created" not in said(client.get("/changes/?object=model"))
    assert "model: registered" in said(client.get(f"/changes/?object=model&actor={platform.administrator.id}"))
    assert "Nothing was changed like this" in said(client.get(f"/changes/?actor={platform.outsider.id}"))
    assert "Nothing was changed like this" in said(client.get("/changes/?since=2999-01-01"))
    assert "model: registered" in said(client.get("/changes/?since=2020-01-01&object=model"))
    assert "model: registered" in said(client.get(f"/changes/?id={model.id}"))
    assert client.get("/changes/?since=nonsense").status_code == 200


def test_the_seal_and_the_unsealed_tail_are_shown(platform: Platform) -> None:
    platform.register()
    client = browser(platform.administrator)
    assert "are not sealed yet" in said(client.get("/changes/"))

    seal_changes(now=now())

    page = said(client.get("/changes/"))
    assert "every record is sealed in the chain" in page
    assert "#1 " in page


def test_everybody_sees_only_changes_of_their_models(platform: Platform) -> None:
    model = platform.register()

    assert "Late flights" not in said(browser(platform.outsider).get("/changes/"))
    assert "Nothing was changed like this" in said(browser(platform.outsider).get("/changes/"))
    assert browser(platform.outsider).get(f"/changes/?model={model.id}").status_code == 404
    assert "person: created" not in said(browser(platform.validator).get("/changes/"))
    assert "person: created" in said(browser(platform.administrator).get("/changes/"))


def test_long_lists_come_in_pages(platform: Platform) -> None:
    for number in range(6):
        platform.register(f"Model {number}")
    client = browser(platform.administrator)

    first, second = client.get("/changes/"), client.get("/changes/?page=2")

    assert "Next" in said(first)
    assert "Previous" in said(second)


def test_a_sentence_stands_in_words_and_a_date_that_is_none_stays_text(platform: Platform) -> None:
    model = platform.register(purpose="2026-99-99T99:99 is no date")
    platform.only(model, "metric_out_of_bounds", params={"metric": "mape", "upper": 12})
    platform.measure(model, "mape", 18)
    platform.work(minutes=1)
    client = browser(platform.administrator)

    for page in (client.get("/changes/"), client.get(f"/models/{model.id}/changes/")):
        assert "Explanation mape is 18, above the upper limit 12; measured" in said(page), said(page)[said(page).find("Explanation") :][:200]
        assert "Type Metric out of bounds" in said(page)
        assert "2026-99-99T99:99 is no date" in said(page)
