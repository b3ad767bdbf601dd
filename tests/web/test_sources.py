"""Data sources: who uses which table, as far as one may see the models."""

from __future__ import annotations

from tests.platform import Platform
from tests.web.reading import browser, check_policy, said
from watchkeeper.registry.models import DataSource
from watchkeeper.registry.services import link_sources


def test_sources_are_listed_searched_and_name_their_users(platform: Platform) -> None:
    model = platform.register()
    link_sources(model, addresses=["postgres://dwh/sales.orders", "s3://lake/flights"], actor=platform.actor, now=platform.clock.now())
    client = browser(platform.validator)
    source = DataSource.objects.get(address="postgresql://dwh/sales.orders")

    page, found, detail = client.get("/sources/"), client.get("/sources/?q=orders"), client.get(f"/sources/{source.id}/")

    for answer in (page, detail):
        check_policy(answer)
    assert "s3://lake/flights" in said(page)
    assert "s3://lake/flights" not in said(found)
    assert "postgresql://dwh/sales.orders 1" in said(found)
    assert "Late flights" in said(detail)
    assert "No address has this in it" in said(client.get("/sources/?q=nowhere"))


def test_an_outsider_sees_no_source(platform: Platform) -> None:
    link_sources(platform.register(), addresses=["postgres://dwh/sales.orders"], actor=platform.actor, now=platform.clock.now())
    client = browser(platform.outsider)

    assert "orders" not in said(client.get("/sources/"))
    assert client.get(f"/sources/{DataSource.objects.get().id}/").status_code == 404
    assert "new" in said(client.post("/sources/canonical/", {"data_sources": "postgres://dwh/sales.orders"}))
