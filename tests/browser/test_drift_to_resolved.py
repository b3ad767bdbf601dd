"""Story in a real browser: a feature drifts and the model gets worse, an incident says why, and it resolves when the data is right again."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import httpx
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit, shot
from tests.patience import wait_until
from tests.servers import Server

DAYS, BAD_DAYS, ROWS = 40, 3, 300
Rows = list[dict[str, Any]]  # Any: JSON


@pytest.fixture
def api(server: Server) -> httpx.Client:
    key = {"Authorization": f"Bearer {server.run('api-key', 'create', '--role', 'admin')}"}
    return httpx.Client(base_url=f"{server.url}/api/v1", headers=key, timeout=30)


def test_drift_is_found_explained_and_resolved(visit: Visit, server: Server, api: httpx.Client) -> None:
    made = api.post("/models", json={"name": "Churn, mobile", "unit": "Telecom/Retention", "problem_type": "binary"}).json()
    risks = {
        kind: api.post(f"/models/{made['id']}/risks", json={"type": kind, "params": params, "schedule": {"on": "event"}, "criticality": 2}).json()[
            "id"
        ]
        for kind, params in (("feature_drift", {"window": 2, "max_age": "9d"}), ("performance_drop", {"window": 2}))
    }
    days = [send_day(api, made["token"], back, is_bad=back <= BAD_DAYS) for back in range(DAYS, 0, -1)]
    reference = {"version": "1", "reference": [row["features"] for day in days[:10] for row in day]}
    ingest(api, made["token"], "training", [reference])
    wait_until(lambda: {"feature_drift", "performance_drop"} <= firing(api, made["id"], risks), what="drift and the fall")

    walk(visit.page, server)

    for back in range(BAD_DAYS, 0, -1):
        send_day(api, made["token"], back, is_bad=False, again=True)
    wait_until(lambda: not firing(api, made["id"], risks), what="both to be right again")
    visit.page.reload()
    expect(visit.page.get_by_text("Resolved").first).to_be_visible()
    shot(visit.page, "drift-incident-resolved")


def walk(page: Page, server: Server) -> None:
    page.goto(server.run("sign-in"))
    page.get_by_role("button", name="Sign in").click()
    page.goto(f"{server.url}/")
    page.get_by_role("link", name="Churn, mobile").first.click()
    page.get_by_role("navigation", name="Model").get_by_role("link", name="Data", exact=True).click()
    expect(page.get_by_text("columns drifted")).to_be_visible()
    assert "1 of" in page.locator(".lead").inner_text()
    shot(page, "drift-data")
    page.get_by_role("navigation", name="Model").get_by_role("link", name="Incidents").click()
    page.get_by_role("row").filter(has_text="Feature drift").get_by_role("link").first.click()
    shot(page, "drift-incident-column")
    page.get_by_role("link", name="See the column against its reference").click()
    expect(page.get_by_role("heading", name="tenure")).to_be_visible()
    page.get_by_role("navigation", name="Model").get_by_role("link", name="Incidents").click()
    page.get_by_role("row").filter(has_text="Performance drop").get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="Why")).to_be_visible()
    expect(page.get_by_text("The same inputs have come to mean something else.")).to_be_visible()
    shot(page, "drift-incident")


def firing(api: httpx.Client, model: str, risks: dict[str, str]) -> set[str]:
    return {kind for kind, id in risks.items() if api.get(f"/models/{model}/risks/{id}").json()["condition"] == "firing"}


def send_day(api: httpx.Client, token: str, back: int, *, is_bad: bool, again: bool = False) -> Rows:
    """Predictions of one day at noon and their labels; on a bad day the tenure is in another unit and scores say nothing. `again`: as it should have been."""
    chance = np.random.default_rng(back)
    at = (datetime.combine(datetime.now(UTC).date(), time(12), UTC) - timedelta(days=back)).isoformat()
    predictions, labels = [], []
    for n in range(ROWS):
        score, tenure, truth = float(chance.uniform()), float(chance.normal(40, 10)), float(chance.uniform())
        predictions.append({"id": f"{back}-{n}", "timestamp": at, "score": score, "features": {"tenure": tenure / 12 if is_bad else tenure}})
        labels.append({"id": f"{back}-{n}", "label": bool(truth < (0.5 if is_bad else score)), "prediction_timestamp": at})
    if not again:
        labels = [label | {"timestamp": at} for label in labels]
    ingest(api, token, "predictions", predictions)
    ingest(api, token, "labels", labels)
    return predictions


def ingest(api: httpx.Client, token: str, stream: str, rows: Rows) -> None:
    answer = api.post(f"/ingest/{stream}", json={"rows": rows}, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 202, answer.text
