"""What the page of one incident shows, put together from the slices as typed values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING

from watchkeeper import risks
from watchkeeper.analysis.columns import ColumnHistory
from watchkeeper.analysis.expected_errors import ErrorHistory
from watchkeeper.analysis.multivariate import MomentHistory
from watchkeeper.analysis.outcomes import OutcomeHistory, SegmentHistory
from watchkeeper.core.evidence import MetricHistory
from watchkeeper.core.text import Text
from watchkeeper.incidents import queries
from watchkeeper.monitoring.effective import effective_of
from watchkeeper.monitoring.lights import cutoffs
from watchkeeper.monitoring.queries import bound_risks
from watchkeeper.registry import queries as registry
from watchkeeper.web import charts, performance_page

if TYPE_CHECKING:
    from watchkeeper.accounts.models import Person
    from watchkeeper.incidents.models import Incident, PlanStep, TimelineEntry

KEY_KINDS = {"opened", "reopened", "acknowledged", "acknowledgement ended", "resolved", "escalated", "assigned"}
DAY_SECONDS = 86400


@dataclass(frozen=True)
class PlanLine:
    """A step of the plan; `is_next` marks the first that is not done."""

    step: PlanStep
    is_next: bool


@dataclass(frozen=True)
class Plan:
    lines: tuple[PlanLine, ...]
    done: int

    @property
    def total(self) -> int:
        return len(self.lines)


def plan(incident: Incident) -> Plan:
    steps = queries.steps_of([incident.number]).get(incident.number, [])
    waiting = [step for step in steps if not step.done_at]
    following = waiting[0] if waiting and incident.is_open else None
    return Plan(tuple(PlanLine(step, step is following) for step in steps), len(steps) - len(waiting))


@dataclass(frozen=True)
class Line:
    """One entry of the timeline, with the name of who did it."""

    entry: TimelineEntry
    who: str
    text: Text
    is_key: bool

    @property
    def says(self) -> bool:
        return bool(self.text.template)


def timeline(incident: Incident, *, seen_by: Person) -> list[Line]:
    entries = queries.timeline_of(incident)
    names = registry.names_of(sorted({entry.actor_id for entry in entries if entry.actor_kind == "person"}), seen_by=seen_by)
    return [Line(entry, names.get(entry.actor_id, ""), Text.from_json(entry.text), entry.kind in KEY_KINDS) for entry in entries]


@dataclass(frozen=True)
class Cost:
    """What it costs per day and has cost so far; None when nobody said."""

    per_day: Decimal | None
    so_far: Decimal | None


def cost(incident: Incident, *, now: datetime) -> Cost:
    per_day = incident.cost_per_day
    if per_day is None:
        return Cost(None, None)
    lasted = ((incident.resolved_at or now) - incident.true_since).total_seconds() / DAY_SECONDS
    return Cost(per_day, per_day * Decimal(max(lasted, 0.0)))


def colour(incident: Incident) -> str:
    """Green once it is over; what was closed by hand while it fired is not over."""
    if not incident.is_open and incident.reopen_at is None:
        return "green"
    return "red" if incident.criticality >= cutoffs(incident.model.tier).red_from else "yellow"


def metric_of(incident: Incident) -> str:
    """The reported metric the risk is about, when its parameters name one and it can be drawn without a segment."""
    given = effective_of(incident.binding).as_json()
    return str(given.get("metric") or "") if subject_of(incident) is Subject.REPORTED and not given.get("segment") else ""


class Subject(Enum):
    """What a risk looks at, as far as the incident can show it."""

    REPORTED = "reported"
    OUTCOMES = "outcomes"
    COLUMNS = "columns"
    OTHER = "other"


def subject_of(incident: Incident) -> Subject:
    found = risks.catalogue().get(incident.binding.type)
    if found is None:
        return Subject.OTHER
    subjects = {
        MetricHistory: Subject.REPORTED,
        OutcomeHistory: Subject.OUTCOMES,
        SegmentHistory: Subject.OUTCOMES,
        ErrorHistory: Subject.OUTCOMES,
        ColumnHistory: Subject.COLUMNS,
        MomentHistory: Subject.COLUMNS,
    }
    return subjects.get(found.needs, Subject.OTHER)


def outcomes_of(incident: Incident, *, now: datetime) -> performance_page.Page | None:
    """Performance as the risk looks at it: its metric where it has one, over its window."""
    given = effective_of(incident.binding).as_json()
    window = int(given.get("window") or 7)
    return performance_page.page(
        incident.model,
        bound_risks(incident.model_id),
        metric=str(given.get("metric") or ""),
        window=window,
        widths=charts.WIDTHS[""],
        now=now,
        explains=True,
    )


def column_of(incident: Incident) -> str:
    """The column of the log that the incident concerns most."""
    part = incident.parts[0] if incident.parts else ""
    return part if part in ("", "prediction", "score") or part.startswith("score.") else f"f.{part}"


def assignable(incident: Incident) -> list[Person]:
    """Active people with a role where the model is, and its owners."""
    return registry.people_who_see(incident.model)
