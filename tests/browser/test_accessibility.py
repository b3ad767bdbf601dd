"""Every page in a real browser: an accessibility checker finds nothing serious, nothing scrolls sideways on a phone, in both themes and languages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.browser.conftest import shot
from tests.conftest import Runs
from tests.patience import wait_until
from tests.servers import Server

SERIOUS = ("serious", "critical")
PAGES = {
    "board": "/",
    "incidents": "/incidents/",
    "incident": "{incident}",
    "model": "{model}",
    "model-metrics": "{model}metrics/",
    "model-risks": "{model}risks/",
    "risk-add": "{model}risks/add/?type=metric_out_of_bounds",
    "model-starter": "{model}risks/starter/",
    "model-passport": "{model}passport/",
    "model-places": "{model}places/",
    "model-columns": "{model}columns/?column=f.hour",
    "model-labels": "{model}labels/",
    "model-slo": "{model}slo/",
    "model-performance": "{model}performance/",
    "model-versions": "{model}versions/",
    "model-data": "{model}data/",
    "model-tokens": "{model}tokens/",
    "model-changes": "{model}changes/",
    "wizard": "/models/new/",
    "people": "/people/",
    "units": "/units/",
    "channels": "/channels/",
    "channel-kind": "/channels/kinds/webhook/",
    "channel-add": "/channels/new/?kind=webhook",
    "deliveries": "/deliveries/",
    "silences": "/silences/",
    "inbox": "/inbox/",
    "sources": "/sources/",
    "risks": "/risks/",
    "risk": "/risks/metric_out_of_bounds/",
    "policies": "/policies/",
    "changes": "/changes/",
    "profile": "/profile/",
}


BUSINESS = {"name": "missed_late_per_1000", "kind": "business", "direction": "lower", "unit": "per 1,000 flights"}


@pytest.fixture(scope="module")
def addresses(server: Server) -> dict[str, str]:
    """A model with an incident, made through the API."""
    key = {"Authorization": f"Bearer {server.run('api-key', 'create', '--role', 'admin')}"}
    with httpx.Client(base_url=f"{server.url}/api/v1", headers=key, timeout=20) as api:
        made = api.post(
            "/models", json={"name": "Late flights", "unit": "Travel/Operations", "data_sources": ["dwh.flights"], "metrics": [BUSINESS]}
        ).json()
        rule = {"type": "metric_out_of_bounds", "params": {"metric": "brier", "upper": 0.16}, "criticality": 3, "schedule": {"on": "event"}}
        api.post(f"/models/{made['id']}/risks", json=rule)
        now = datetime.now(UTC)
        rows = [{"name": "brier", "value": 0.11 + day / 100, "timestamp": (now - timedelta(days=10 - day)).isoformat()} for day in range(10)]
        api.post("/ingest/metrics", json={"rows": rows}, headers={"Authorization": f"Bearer {made['token']}"})
        training = {
            "version": "1",
            "trained_at": (now - timedelta(days=50)).isoformat(),
            "reference": [{"hour": n % 24, "carrier": "ABC"[n % 3]} for n in range(900)],
        }
        api.post("/ingest/training", json={"rows": [training]}, headers={"Authorization": f"Bearer {made['token']}"})
        day = (now - timedelta(days=2)).isoformat()
        flights = [{"id": f"{n}", "timestamp": day, "features": {"hour": n % 12, "carrier": "ABCD"[n % 4]}} for n in range(600)]
        api.post("/ingest/predictions", json={"rows": flights}, headers={"Authorization": f"Bearer {made['token']}"})

        def incidents() -> list[dict]:
            return api.get("/incidents", params={"model": made["id"]}).json()["items"]

        wait_until(lambda: bool(incidents()), what="the incident")
        found = incidents()
    return {"model": f"/models/{made['id']}/", "incident": f"/incidents/{found[0]['number']}/"}


@pytest.fixture(scope="module")
def state(browser: Browser, server: Server) -> Iterator[dict]:
    """Signed in once; the other visits take the cookies over."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(server.run("sign-in"))
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/welcome/")
    yield context.storage_state()
    context.close()


EVERY_RUN = [(1440, "light", "en"), (390, "dark", "ru")]
LOOKS = EVERY_RUN + [look for look in product((1440, 390), ("light", "dark"), ("en", "ru")) if look not in EVERY_RUN]


def test_pages_are_accessible_and_fit(browser: Browser, server: Server, addresses: dict[str, str], state: dict, runs: Runs) -> None:
    found = []
    for width, theme, language in LOOKS[: runs(len(EVERY_RUN), len(LOOKS))]:
        context = browser.new_context(storage_state=state, viewport={"width": width, "height": 900}, color_scheme=theme, locale=language)
        context.add_cookies([{"name": "language", "value": language, "url": server.url}])
        page = context.new_page()
        for name, path in PAGES.items():
            found += problems(page, server, name, path.format(**addresses), f"{width}-{theme}-{language}")
        context.close()

    assert found == []


def problems(page: Page, server: Server, name: str, path: str, kind: str) -> list[str]:
    answer = page.goto(f"{server.url}{path}")
    page.wait_for_timeout(300)  # fragments that load by themselves
    shot(page, f"{name}-{kind}")
    found = [f"{name}: HTTP {answer.status}"] if answer is None or answer.status != 200 else []
    if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
        found.append(f"{name}: scrolls sideways")
    violations = Axe().run(page).response["violations"]
    return found + [f"{name}: {v['id']}: {v['help']} ({v['nodes'][0]['html'][:120]})" for v in violations if v["impact"] in SERIOUS]
