"""Apply acknowledged batches: metric points and events into the control store, prediction and label rows into the log, exactly once.

A commit of the log is a group of batches with a number. The group is written down first, then appended under its number, then marked as
applied: whatever is killed in between is done again with the same group and the same number, and the log refuses a number it has. Batch ids
would not do: with several web processes a smaller id can become visible after a larger one was applied.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from django.db import transaction
from django.db.models import Max, Sum

from watchkeeper import wire
from watchkeeper.core.evidence import Point
from watchkeeper.core.faults import crash_point
from watchkeeper.core.settings import settings
from watchkeeper.history.actors import Actor
from watchkeeper.ingest.border import parse_json
from watchkeeper.ingest.dirty import mark_days, soon
from watchkeeper.ingest.leasing import Follow, StillOurs, under_leases
from watchkeeper.ingest.models import Batch, DirtyDay, DirtyWindow, Event, LogColumn, LogCursor, QuarantinedRow
from watchkeeper.ingest.moments import are_wanted
from watchkeeper.ingest.outcomes import are_outcomes_counted, mark_labels
from watchkeeper.ingest.points import store_points
from watchkeeper.ingest.receiving import storable
from watchkeeper.ingest.validation import store_validation
from watchkeeper.registry.models import RegisteredModel
from watchkeeper.registry.services import Training, deploy_version, log_training
from watchkeeper.stats.importance import scaled
from watchkeeper.telemetry.arrow import UnreadableArrow
from watchkeeper.telemetry.days import local_day
from watchkeeper.telemetry.decode import Decoded, Refused, decode
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.telemetry.profiles import touched_windows
from watchkeeper.wire import Stream
from watchkeeper.wire.rows import ADAPTERS, EventRow, MetricRow, TrainingRow, as_utc

LANE = "ingest"
LOGGED = (Stream.PREDICTIONS, Stream.LABELS)
GROUP_BYTES = 64 * 1024 * 1024
GROUP_BATCHES = 2000


@dataclass
class Applied:
    """What one round did: batches applied, and the streams of each model that changed."""

    batches: int = 0
    streams: dict[UUID, set[str]] = field(default_factory=dict)

    def add(self, model: UUID, stream: str, batches: int) -> None:
        self.batches += batches
        self.streams.setdefault(model, set()).add(stream)


def apply_batches(telemetry: TelemetryLog, *, holder: str, now: datetime, follow: Follow, models: int = 200) -> Applied:
    """One round over the models that have something pending. One worker at a time applies for a model.

    `follow` is told of each model and stream in the transaction that marks their batches: what comes after them is never forgotten.
    """
    applied, due = Applied(), _due_streams(now, models)

    def work(model: UUID, still_ours: StillOurs) -> int:
        return _apply_model(telemetry, model, due[model], still_ours, now, follow, applied)

    under_leases(due, work, of="log", holder=holder, now=now, seconds=2 * settings().lease_seconds)
    return applied


def _due_streams(now: datetime, models: int) -> dict[UUID, list[Stream]]:
    """Models and their streams with something to apply now, in two queries: the log of a model takes one commit in 30 seconds, unless much waits."""
    pending = Batch.objects.filter(state=Batch.State.PENDING).values("model_id", "stream").annotate(size=Sum("size"), begun=Max("log_group"))
    committed = {
        (cursor.model_id, cursor.stream): cursor.committed_at for cursor in LogCursor.objects.filter(model__batches__state=Batch.State.PENDING)
    }
    due: dict[UUID, list[Stream]] = {}
    for row in pending.order_by("model_id"):
        last = committed.get((row["model_id"], row["stream"]))
        may_wait = row["stream"] in LOGGED and row["begun"] is None and row["size"] < GROUP_BYTES
        if not (may_wait and last and last <= now < last + timedelta(seconds=settings().log_commit_seconds)):
            due.setdefault(row["model_id"], []).append(Stream(row["stream"]))
    return dict(list(due.items())[:models])


def _apply_model(
    telemetry: TelemetryLog, model_id: UUID, streams: Sequence[Stream], still_ours: StillOurs, now: datetime, follow: Follow, applied: Applied
) -> int:
    model, before = RegisteredModel.objects.get(id=model_id), applied.batches
    for stream in (stream for stream in (*_CONTROL, *LOGGED) if stream in streams):
        if stream in _CONTROL:
            count = _apply_control_rows(model, stream, still_ours, now, follow)
        else:
            group = _next_group(model, stream, still_ours, now)
            count = len(group) if group and _apply_group(telemetry, model, stream, group, still_ours, now, follow) else 0
        if count:
            applied.add(model_id, stream, count)
    return applied.batches - before


# training, events, metrics: rows of the control store


def _apply_control_rows(model: RegisteredModel, stream: Stream, still_ours: StillOurs, now: datetime, follow: Follow) -> int:
    batches = list(Batch.objects.filter(model=model, stream=stream, state=Batch.State.PENDING).order_by("id")[:GROUP_BATCHES])
    if not batches:
        return 0
    with transaction.atomic():
        if not still_ours():
            return 0
        for batch in batches:
            rows = accepted_rows(batch)
            _CONTROL[stream](model, batch, rows)
        crash_point("apply: control rows before commit")
        Batch.objects.filter(id__in=[batch.id for batch in batches]).update(state=Batch.State.APPLIED, applied_at=now)
        follow(model.id, stream)
    crash_point("apply: control rows after commit")
    return len(batches)


def _store_points(model: RegisteredModel, batch: Batch, rows: Sequence[dict[str, Any]]) -> None:  # Any: JSON
    points = [MetricRow.model_validate(row) for row in rows]
    store_points({model.id: [_point(point, model, batch) for point in points]}, batch=batch.id)


def _point(row: MetricRow, model: RegisteredModel, batch: Batch) -> Point:
    return Point(row.name, row.value, _moment(row.timestamp, model, batch), batch.received_at, row.dataset, row.version, row.segment)


def _store_events(model: RegisteredModel, batch: Batch, rows: Sequence[dict[str, Any]]) -> None:  # Any: JSON
    events = [EventRow.model_validate(row) for row in rows]
    Event.objects.bulk_create(
        Event(
            model=model,
            type=event.type,
            timestamp=_moment(event.timestamp, model, batch),
            received_at=batch.received_at,
            fields=event.model_extra or {},
            batch=batch,
        )
        for event in events
        if event.type != "heartbeat"
    )
    for event in events:
        version = (event.model_extra or {}).get("version")
        if event.type == "deployed" and isinstance(version, str) and version:
            deploy_version(model, name=version[:200], actor=Actor.model(model.id), now=_moment(event.timestamp, model, batch))


def _store_trainings(model: RegisteredModel, batch: Batch, rows: Sequence[dict[str, Any]]) -> None:  # Any: JSON
    for row in rows:
        given = TrainingRow.model_validate(row)
        training = Training(
            version=given.version,
            trained_at=_moment(given.trained_at, model, batch),
            schema=given.schema_,
            metrics=given.metrics,
            importances=scaled(given.importances),
            data_sources=tuple(given.data_sources),
            reference_rows=len(given.reference or ()),
            reference_path=_write_reference(model, given.version, given.reference) if given.reference else "",
            validation_rows=len(given.validation or ()),
        )
        version = log_training(model, training=training, actor=Actor.model(model.id), now=batch.received_at)
        if given.validation:
            store_validation(version, given.validation, now=batch.received_at)


def _write_reference(model: RegisteredModel, version: str, rows: list[dict[str, Any]]) -> str:  # Any: JSON
    """Reference rows as Parquet beside the log; written whole or not at all."""
    relative = f"baselines/{model.id}/{hashlib.sha256(version.encode()).hexdigest()[:16]}.parquet"
    path = settings().data / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    pq.write_table(_reference_table(rows), draft)
    draft.replace(path)
    return relative


def _reference_table(rows: list[dict[str, Any]]) -> pa.Table:  # Any: JSON
    """Numbers as doubles, lists of numbers as lists, everything else as text: mixed columns never stop a training from being stored."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({name: _reference_column([row.get(name) for row in rows]) for name in names})


def _reference_column(values: list[Any]) -> pa.Array:  # Any: JSON
    known = [value for value in values if value is not None]
    if all(map(_is_number, known)):
        return pa.array(list(map(_double, values)), pa.float64())
    if all(isinstance(value, list) and all(element is None or _is_number(element) for element in value) for value in known):
        return pa.array([None if value is None else list(map(_double, value)) for value in values], pa.list_(pa.float64()))
    return pa.array([_text(value) for value in values], pa.string())


def _double(value: float | None) -> float | None:
    return None if value is None else float(value)


def _is_number(value: Any) -> bool:  # Any: JSON
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Any) -> str | None:  # Any: JSON
    """As the log says it: a boolean is "true" or "false"."""
    return str(value).lower() if isinstance(value, bool) else None if value is None else str(value)


_CONTROL: dict[Stream, Callable[[RegisteredModel, Batch, Sequence[dict[str, Any]]], None]] = {  # in the order in which they are applied; Any: JSON
    Stream.TRAINING: _store_trainings,
    Stream.EVENTS: _store_events,
    Stream.METRICS: _store_points,
}


# predictions, labels: rows of the log


def _next_group(model: RegisteredModel, stream: Stream, still_ours: StillOurs, now: datetime) -> list[Batch]:
    """The batches of the next commit: a group that was begun and not finished, else a new one."""
    pending = Batch.objects.filter(model=model, stream=stream, state=Batch.State.PENDING).order_by("id")
    begun = pending.filter(log_group__isnull=False).order_by("log_group").first()
    if begun:
        return list(pending.filter(log_group=begun.log_group))
    with transaction.atomic():
        chosen: list[int] = []
        size = 0
        for batch_id, batch_size in pending.values_list("id", "size")[:GROUP_BATCHES]:
            if chosen and size + batch_size > GROUP_BYTES:
                break
            chosen.append(batch_id)
            size += batch_size
        if not chosen or not still_ours():
            return []
        cursor, _ = LogCursor.objects.get_or_create(model=model, stream=stream, defaults={"group": 0, "committed_at": now})
        cursor.group, cursor.committed_at = cursor.group + 1, now
        cursor.save(update_fields=["group", "committed_at"])
        Batch.objects.filter(id__in=chosen).update(log_group=cursor.group)
    crash_point("apply: group written, not appended")
    return list(pending.filter(id__in=chosen))


def _apply_group(
    telemetry: TelemetryLog, model: RegisteredModel, stream: Stream, group: Sequence[Batch], still_ours: StillOurs, now: datetime, follow: Follow
) -> bool:
    known = dict(LogColumn.objects.filter(model=model, stream=stream).values_list("name", "type"))
    zone = ZoneInfo(model.timezone)
    decoded = _decode_all(stream, group, known, zone)
    tables = [entry.table for entry in decoded if entry.table.num_rows]
    table = pa.concat_tables(tables, promote_options="default") if tables else None
    number = group[0].log_group
    assert number is not None
    if table is not None:
        telemetry.append(model.id, stream, table, lane=LANE, sequence=number)
    crash_point("apply: appended, not marked")
    with transaction.atomic():
        if not still_ours():
            return False
        _quarantine(model, stream, group, decoded)
        _remember_columns(model, stream, decoded, group)
        if stream is Stream.PREDICTIONS and table is not None:
            _mark_dirty(model, table, zone, group[-1].id, now)
            _notice_versions(model, table, group[-1].received_at)
        if stream is Stream.LABELS and table is not None:
            mark_labels(model.id, table, zone, first=group[0].id, last=group[-1].id, now=now)
        Batch.objects.filter(id__in=[batch.id for batch in group]).update(state=Batch.State.APPLIED, applied_at=now)
        follow(model.id, stream)
        crash_point("apply: marked, before commit")
    crash_point("apply: marked, after commit")
    return True


def _decode_all(stream: Stream, group: Sequence[Batch], known: dict[str, str], zone: ZoneInfo) -> list[Decoded]:
    """Each batch in turn; what one teaches about columns holds for the next."""
    decoded, types = [], dict(known)
    for batch in group:
        try:
            content = payload_of(batch) if batch.media_type == wire.ARROW_STREAM else _parsed(stream, accepted_rows(batch))
            entry = decode(stream, content, known=types, zone=zone, batch=batch.id, received_at=batch.received_at)
        except UnreadableArrow as problem:
            refused = Refused(0, "", str(problem), "Send the batch again with a new batch id.", {})
            entry = Decoded(pa.table({}), (refused,), {})
        types |= entry.learned
        decoded.append(entry)
    return decoded


def _parsed(stream: Stream, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:  # Any: JSON
    """JSON rows with their times as datetimes, as `decode` takes them."""
    adapter = ADAPTERS[stream]
    times = ("timestamp", "prediction_timestamp")
    parsed = []
    for row in rows:
        checked = adapter.validate_python(row)
        parsed.append({**row, "id": checked.id, **{name: getattr(checked, name) for name in times if row.get(name) is not None}})
    return parsed


def _quarantine(model: RegisteredModel, stream: Stream, group: Sequence[Batch], decoded: Sequence[Decoded]) -> None:
    for batch, entry in zip(group, decoded, strict=True):
        if not entry.refused:
            continue
        row_numbers = _original_rows(batch)
        QuarantinedRow.objects.bulk_create(
            QuarantinedRow(
                model=model,
                batch=batch,
                stream=stream,
                row=row_numbers(refused.row),
                field=refused.field[:200],
                message=refused.message,
                remedy=refused.remedy,
                content=storable(refused.payload),
                received_at=batch.received_at,
            )
            for refused in entry.refused
        )
        rows = {refused.row for refused in entry.refused}
        Batch.objects.filter(id=batch.id).update(rejected=min(batch.rows, batch.rejected + len(rows)))


def _original_rows(batch: Batch) -> Callable[[int], int]:
    """Row numbers as the client counts them: the border took some rows out before."""
    if not batch.rejected_rows:
        return lambda row: row
    kept = [row for row in range(batch.rows) if row not in set(batch.rejected_rows)]
    return lambda row: kept[row]


def _remember_columns(model: RegisteredModel, stream: Stream, decoded: Sequence[Decoded], group: Sequence[Batch]) -> None:
    seen: dict[str, datetime] = {}
    learned: dict[str, str] = {}
    for batch, entry in zip(group, decoded, strict=True):
        learned |= entry.learned
        seen |= {name: batch.received_at for name in entry.table.column_names if name.startswith(("f.", "s."))}
    LogColumn.objects.bulk_create(
        (LogColumn(model=model, stream=stream, name=name, type=kind, last_seen_at=group[-1].received_at) for name, kind in learned.items()),
        ignore_conflicts=True,
    )
    for at in set(seen.values()):
        LogColumn.objects.filter(model=model, stream=stream, name__in=[name for name, when in seen.items() if when == at]).update(last_seen_at=at)


def _mark_dirty(model: RegisteredModel, table: pa.Table, zone: ZoneInfo, last: int, now: datetime) -> None:
    starts = sorted(touched_windows(table, zone))
    DirtyWindow.objects.bulk_create(
        (DirtyWindow(model=model, start=start, batch=last) for start in starts),
        update_conflicts=True,
        unique_fields=["model", "start"],
        update_fields=["batch"],
    )
    days = {local_day(start, zone) for start in starts}
    mark_days(model.id, days, of=DirtyDay.Of.COLUMNS, batch=last, due=soon(now))
    if are_outcomes_counted(model.id):
        mark_days(model.id, days, of=DirtyDay.Of.OUTCOMES, batch=last, due=soon(now))
    if are_wanted(model.id):
        mark_days(model.id, days, of=DirtyDay.Of.MOMENTS, batch=last, due=soon(now))


def _notice_versions(model: RegisteredModel, table: pa.Table, at: datetime) -> None:
    """A version becomes current by its first prediction when none is current."""
    if "version" not in table.column_names or model.versions.filter(is_current=True).exists():
        return
    names = [name for name in pc.unique(table["version"]).to_pylist() if name]
    if names:
        deploy_version(model, name=names[-1], actor=Actor.model(model.id), now=at, alone=False)


# payloads


def payload_of(batch: Batch) -> bytes:
    if batch.payload_path:
        return Path(settings().data / batch.payload_path).read_bytes()
    return bytes(batch.payload or b"")


def accepted_rows(batch: Batch) -> list[dict[str, Any]]:  # Any: JSON
    rejected = set(batch.rejected_rows)
    return [row for index, row in enumerate(parse_json(payload_of(batch))["rows"]) if index not in rejected]


def _moment(given: datetime | None, model: RegisteredModel, batch: Batch) -> datetime:
    """A naive time is read in the model's zone; no time means when it was received."""
    if given is None:
        return batch.received_at
    return as_utc(given if given.tzinfo else given.replace(tzinfo=ZoneInfo(model.timezone)))


def telemetry_log() -> TelemetryLog:
    return TelemetryLog(settings().telemetry_root)
