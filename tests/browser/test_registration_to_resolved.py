"""Story in a real browser: the first administrator signs in, registers a model, sees its first event arrive, and works an incident to its end."""

from __future__ import annotations

import httpx
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit, shot, sign_in_link
from tests.servers import Server


def test_from_the_sign_in_link_to_a_resolved_incident(visit: Visit, server: Server) -> None:
    page = visit.page
    sign_in(page, server)
    token = register(page)
    connect(page, server, token)
    bound(page)
    fired(page, server, token)
    resolved(page)
    in_history(page)


def sign_in(page: Page, server: Server) -> None:
    page.goto(sign_in_link(server))
    shot(page, "sign-in-link")
    page.get_by_role("button", name="Sign in").click()
    shot(page, "welcome")
    page.get_by_role("link", name="Later").click()
    expect(page.get_by_role("heading", name="Board", exact=True)).to_be_visible()
    shot(page, "board-empty")


def register(page: Page) -> str:
    page.get_by_role("link", name="Register a model").first.click()
    page.get_by_label("Name").first.fill("Demand forecast, fresh food")
    page.get_by_label("Unit").first.fill("Supply chain/Forecasting")
    shot(page, "wizard-1")
    page.get_by_role("button", name="Register").click()
    page.get_by_label("What it is for").fill("How much of each fresh product a store orders for tomorrow")
    shot(page, "wizard-2")
    page.get_by_role("button", name="Save and go on").click()
    shot(page, "wizard-3")
    page.get_by_role("button", name="Save and connect").click()
    expect(page.get_by_text("Waiting for the first event")).to_be_visible()
    shot(page, "wizard-4")
    return page.locator(".secret code").inner_text()


def connect(page: Page, server: Server, token: str) -> None:
    send(server, token, "mape", 9.7)
    expect(page.get_by_text("The log flows")).to_be_visible()
    shot(page, "wizard-connected")
    page.get_by_role("link", name="Open the model").click()
    expect(page.get_by_role("heading", name="Demand forecast, fresh food")).to_be_visible()


def bound(page: Page) -> None:
    page.get_by_role("navigation", name="Model").get_by_role("link", name="Risks").click()
    page.get_by_role("link", name="Add a risk").first.click()
    shot(page, "risk-choose")
    page.get_by_role("link", name="Metric out of bounds").first.click()
    page.get_by_label("Metric", exact=False).first.fill("mape")
    page.get_by_label("Upper", exact=True).fill("12")
    page.get_by_label("Criticality").select_option("3")
    shot(page, "risk-form")
    page.get_by_label("Evaluated").select_option("event")
    page.get_by_role("button", name="Watch it").click()
    expect(page.get_by_text("Metric out of bounds").first).to_be_visible()


def fired(page: Page, server: Server, token: str) -> None:
    send(server, token, "mape", 18.4)
    deadline = 0
    while deadline < 40 and not page.get_by_text("18.4").count():
        page.wait_for_timeout(500)
        page.goto(f"{server.url}/")
        deadline += 1
    shot(page, "board-red")
    page.get_by_role("link", name="Demand forecast, fresh food").first.click()
    shot(page, "model-red")
    page.get_by_role("link", name="Open incident").click()
    expect(page.get_by_role("heading", name="Metric out of bounds")).to_be_visible()


def resolved(page: Page) -> None:
    shot(page, "incident-open")
    page.get_by_role("button", name="Acknowledge").first.click()
    page.locator("button.tick").first.click()
    expect(page.get_by_text("1 of 5 done")).to_be_visible()
    page.get_by_label("Comment").fill("Prices of one region came in kopecks.")
    page.get_by_role("button", name="Comment").click()
    expect(page.get_by_text("Prices of one region came in kopecks.").first).to_be_visible()
    shot(page, "incident-worked")
    page.get_by_role("link", name="Resolve").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Cause").select_option("data_meaning")
    dialog.locator("textarea").fill("Corrected at the source; scored again tonight.")
    shot(page, "incident-resolve")
    dialog.get_by_role("button", name="Resolve", exact=True).click()
    expect(page.get_by_text("Resolved").first).to_be_visible()
    shot(page, "incident-resolved")


def in_history(page: Page) -> None:
    page.get_by_role("link", name="Changes").first.click()
    expect(page.get_by_text("registered").first).to_be_visible()
    shot(page, "changes")


def send(server: Server, token: str, name: str, value: float) -> None:
    answer = httpx.post(
        f"{server.url}/api/v1/ingest/metrics", headers={"Authorization": f"Bearer {token}"}, json={"rows": [{"name": name, "value": value}]}
    )
    assert answer.status_code == 202, answer.text
