"""What happened to incidents, as the layer above tells it. Does not tell anybody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from watchkeeper.incidents.models import Incident

HIGH = 3
REMIND_EVERY = {3: timedelta(hours=4), 2: timedelta(days=1)}
REMIND_EVERY_ELSE = timedelta(days=3)
ESCALATE_AFTER = {3: timedelta(hours=2), 2: timedelta(days=1)}


class Happening(StrEnum):
    """What people are told about; the closed set of notification kinds."""

    OPENED = "opened"
    REOPENED = "reopened"
    RESOLVED = "resolved"
    REMINDED = "reminder"
    ESCALATED = "escalated"
    ASSIGNED = "assigned"
    FLAPPING = "flapping"
    SETTLED = "settled"


@dataclass(frozen=True)
class News:
    """One thing that happened to one incident. `occurrence` tells the first reminder from the second."""

    incident: Incident
    happening: Happening
    occurrence: int = 0
