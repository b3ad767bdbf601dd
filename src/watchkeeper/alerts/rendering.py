"""A message in words: what, where, since when, value against limit, cost if known, first steps, link. Rendered once, when it is sealed.

Text from a model's payload is untrusted: HTML is escaped by the template, control characters are removed from subjects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _

from watchkeeper import risks
from watchkeeper.accounts.models import Person
from watchkeeper.alerts.models import Channel, Notification
from watchkeeper.core.settings import settings
from watchkeeper.core.text import Text, duration, moment
from watchkeeper.history.services import plain
from watchkeeper.incidents.models import Incident
from watchkeeper.incidents.news import Happening

FIRST_STEPS = 3


@dataclass(frozen=True)
class Rendered:
    subject: str
    text: str
    html: str
    body: bytes


def render(notifications: Sequence[Notification], *, channel: Channel, person: Person | None, key: str, now: datetime) -> Rendered:
    """All notifications of one message, in the reader's language and time zone."""
    language = (person and person.language) or settings().language
    zone = ZoneInfo((person and person.timezone) or settings().time_zone)
    with translation.override(language):
        lines = [_line(notification, language, zone) for notification in notifications]
        context = {"lines": lines, "channel": channel, "base_url": settings().base_url}
        return Rendered(
            subject=_subject(lines),
            text=render_to_string("alerts/message.txt", context),
            html=render_to_string("alerts/message.html", context),
            body=_body(notifications, lines, key, now),
        )


def _line(notification: Notification, language: str, zone: ZoneInfo) -> dict[str, Any]:  # Any: template context
    incident, snapshot = notification.incident, notification.snapshot
    return {
        "happening": notification.kind,
        "headline": _headline(notification),
        "risk": _(risks.get(incident.binding.type).title),
        "model": incident.model.name,
        "explanation": Text.from_json(snapshot.get("explanation")).render(translate=_, language=language, zone=zone),
        "since": moment(incident.true_since, language=language, zone=zone),
        "lasted": duration((incident.resolved_at - incident.true_since).total_seconds(), translate=_) if incident.resolved_at else "",
        "how": _(Incident.How(snapshot["how"]).label) if snapshot.get("how") else "",
        "criticality": incident.criticality,
        "light": snapshot.get("light", ""),
        "cost": _cost(incident.cost_per_day),
        "steps": [_(step) for step in snapshot.get("plan", [])[:FIRST_STEPS]],
        "number": incident.number,
        "link": f"{settings().base_url}/incidents/{incident.number}",
        "why": notification.why,
    }


def _headline(notification: Notification) -> str:
    risk, model = _(risks.get(notification.incident.binding.type).title), notification.incident.model.name
    if notification.incident.kind == "platform":
        return _("Watchkeeper cannot evaluate “%(risk)s” of %(model)s") % {"risk": risk, "model": model}
    templates = {
        Happening.OPENED: _("%(model)s: %(risk)s"),
        Happening.REOPENED: _("%(model)s: %(risk)s, again"),
        Happening.RESOLVED: _("%(model)s: resolved, %(risk)s"),
        Happening.REMINDED: _("%(model)s: still, %(risk)s"),
        Happening.ESCALATED: _("%(model)s: nobody acknowledged, %(risk)s"),
        Happening.ASSIGNED: _("%(model)s: assigned to you, %(risk)s"),
        Happening.FLAPPING: _("%(model)s: keeps changing, %(risk)s"),
        Happening.SETTLED: _("%(model)s: settled, %(risk)s"),
    }
    return templates[Happening(notification.kind)] % {"model": model, "risk": risk}


def _cost(cost: Any) -> str:  # Any: Decimal or None
    if cost is None:
        return _("cost unknown")
    return _("%(amount)s %(currency)s a day") % {"amount": f"{cost:,.0f}", "currency": settings().currency}


def _subject(lines: list[dict[str, Any]]) -> str:  # Any: template context
    text = lines[0]["headline"]
    if len(lines) > 1:
        text = _("%(first)s and %(more)d more") % {"first": text, "more": len(lines) - 1}
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text)[:200]


def _body(notifications: Sequence[Notification], lines: list[dict[str, Any]], key: str, now: datetime) -> bytes:  # Any: template context
    """What machines get: one entry per notification, in the order in which things happened."""
    entries = [
        {
            "incident": notification.incident.number,
            "kind": notification.kind,
            "occurrence": notification.occurrence,
            "at": plain(notification.created_at),
            "state": notification.incident.state,
            "how": notification.snapshot.get("how", ""),
            "model": {"id": str(notification.incident.model_id), "name": line["model"]},
            "risk": {"id": str(notification.incident.binding_id), "type": notification.incident.binding.type, "title": line["risk"]},
            "segment": notification.incident.segment,
            "criticality": line["criticality"],
            "light": line["light"],
            "value": notification.snapshot.get("value"),
            "limit": notification.snapshot.get("limit"),
            "since": plain(notification.incident.true_since),
            "explanation": line["explanation"],
            "cost_per_day": plain(notification.incident.cost_per_day),
            "action_plan": line["steps"],
            "link": line["link"],
        }
        for notification, line in zip(notifications, lines, strict=True)
    ]
    return json.dumps({"type": "incidents", "timestamp": plain(now), "data": {"key": key, "incidents": entries}}, ensure_ascii=False).encode()
