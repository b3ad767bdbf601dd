"""Validation rows that come with a training: counted on arrival, so that estimates know from the first day what a score means."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
from django.db import transaction
from django.db.models import QuerySet

from watchkeeper.analysis.outcomes import LOOKED_BACK, Validation
from watchkeeper.history.bulk import prepared_objects
from watchkeeper.ingest.dirty import Of, mark_all_days
from watchkeeper.ingest.models import ValidationOutcome
from watchkeeper.ingest.outcome_tables import SEGMENT_FIELDS, WIDTHS, is_name, pack_table, unpack_table
from watchkeeper.registry.models import Baseline, ModelVersion
from watchkeeper.telemetry.days import local_day
from watchkeeper.telemetry.outcome_queries import UNKNOWN, OutcomeKind
from watchkeeper.telemetry.outcomes import MOST_SEGMENTS, DayOutcomes, Floats, count_decisions
from watchkeeper.wire.rows import ValidationRow


def has_validation(model: UUID) -> bool:
    return ValidationOutcome.objects.filter(baseline__version__model=model).exists()


@transaction.atomic
def store_validation(version: ModelVersion, rows: Sequence[ValidationRow], *, now: datetime) -> None:
    """In place of what the version's earlier validation rows counted. Days that are logged already are counted with their scores."""
    baseline = version.baselines.get(role=Baseline.Role.VALIDATION)
    ValidationOutcome.objects.filter(baseline=baseline).delete()
    ValidationOutcome.objects.bulk_create(
        ValidationOutcome(
            baseline=baseline,
            field=field,
            segment=segment,
            rows=len(part),
            labelled=int(cells[cells[:, 2] != UNKNOWN, 3].sum()),
            cells=pack_table(cells),
        )
        for field, segment, part in _parts(rows)
        for cells in [_counted(part)]
    )
    zone = ZoneInfo(version.model.timezone)
    mark_all_days(version.model_id, of=Of.OUTCOMES, begin=local_day(now - LOOKED_BACK, zone), zone=zone, now=now)


def validations_of(models: Collection[UUID]) -> dict[UUID, dict[str, Validation]]:
    """By model and version."""
    of_baseline: dict[Baseline, list[ValidationOutcome]] = defaultdict(list)
    for row in _stored(models):
        of_baseline[row.baseline].append(row)
    found: dict[UUID, dict[str, Validation]] = defaultdict(dict)
    for baseline, rows in of_baseline.items():
        found[baseline.version.model_id][baseline.version.name] = _validation(baseline, rows)
    return found


@prepared_objects
def _stored(models: Collection[UUID]) -> QuerySet[ValidationOutcome]:
    return ValidationOutcome.objects.filter(baseline__version__model__among=models).select_related("baseline__version").order_by("id")


def _parts(rows: Sequence[ValidationRow]) -> Iterable[tuple[str, str, Sequence[ValidationRow]]]:
    """All rows, then those of each segment of the first fields, the largest segments first."""
    yield "", "", rows
    fields = dict.fromkeys(name for row in rows for name in row.model_extra or {} if is_name(name))
    for field in list(fields)[:SEGMENT_FIELDS]:
        segments: dict[str, list[ValidationRow]] = defaultdict(list)
        for row in rows:
            segment = _as_logged((row.model_extra or {}).get(field))
            if segment and is_name(segment):
                segments[segment].append(row)
        for segment in sorted(segments, key=lambda name: (-len(segments[name]), name))[:MOST_SEGMENTS]:
            yield field, segment, segments[segment]


def _counted(rows: Sequence[ValidationRow]) -> Floats:
    scores = np.array([np.nan if row.score is None else row.score for row in rows])
    return count_decisions(scores, [row.prediction for row in rows], [row.label for row in rows])


def _as_logged(segment: object) -> str:
    """As the log says it: a boolean is "true" or "false"."""
    return str(segment).lower() if isinstance(segment, bool) else "" if segment is None else str(segment)


def _validation(baseline: Baseline, rows: Sequence[ValidationOutcome]) -> Validation:
    segments: dict[str, dict[str, list[DayOutcomes]]] = defaultdict(dict)
    for row in rows:
        segments[row.field][row.segment] = [_entry(baseline, row)]
    (whole,) = segments.pop("")[""]
    return Validation(since=baseline.created_at, whole=whole, segments=segments)


def _entry(baseline: Baseline, row: ValidationOutcome) -> DayOutcomes:
    return DayOutcomes(
        version=baseline.version.name,
        day=baseline.created_at.date(),
        field=row.field,
        segment=row.segment,
        rows=row.rows,
        labelled=row.labelled,
        cells=unpack_table(bytes(row.cells), WIDTHS[OutcomeKind.DECISIONS]),
        delays=np.zeros((0, 3)),
    )
