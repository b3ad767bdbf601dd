"""The inbox: unread first, read one by one or all at once."""

from __future__ import annotations

from tests.platform import Platform
from tests.web.reading import browser, check_policy, said
from watchkeeper.alerts.models import Notification
from watchkeeper.alerts.queries import unread


def fire(platform: Platform) -> int:
    model = platform.register()
    risk = platform.only(model, "metric_out_of_bounds", params={"metric": "mape", "upper": 12}, criticality=3)
    platform.measure(model, "mape", 18.4)
    platform.work(minutes=10)
    incident = platform.incident(risk)
    assert incident
    return incident.number


def test_a_message_says_what_and_links_to_the_incident(platform: Platform) -> None:
    number = fire(platform)

    page = browser(platform.owner).get("/inbox/")

    check_policy(page)
    assert "1 unread" in said(page)
    assert "mape is 18.4" in said(page)
    assert f'href="/incidents/{number}/"' in page.content.decode()


def test_messages_are_marked_read(platform: Platform) -> None:
    fire(platform)
    client = browser(platform.owner)
    entry = Notification.objects.get(person=platform.owner, channel=None)

    client.post(f"/inbox/{entry.id}/read/")
    assert unread(platform.owner) == 0
    assert "all read" in said(client.get("/inbox/"))
    Notification.objects.update(read_at=None)
    client.post("/inbox/read/")

    assert unread(platform.owner) == 0
    assert unread(platform.business_owner) == 1


def test_nobody_reads_or_marks_the_messages_of_others(platform: Platform) -> None:
    fire(platform)
    client = browser(platform.outsider)
    entry = Notification.objects.get(person=platform.owner, channel=None)

    client.post(f"/inbox/{entry.id}/read/")

    assert unread(platform.owner) == 1
    assert "Nothing yet" in said(client.get("/inbox/"))
