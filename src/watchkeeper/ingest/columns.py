"""Column profiles of a model's days (or hours, or runs): bins frozen from its reference, dirty days counted again and replaced in one transaction.

The reference is the training rows of the current version; a model that sent none is compared with its own first weeks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import structlog
from django.db import transaction
from django.db.models import F, Q, QuerySet, Sum, Window
from django.db.models.functions import DenseRank

from watchkeeper.analysis.columns import LEARN_DAYS, LOOKED_BACK, ColumnHistory, kept_windows
from watchkeeper.analysis.importance import learned_importances
from watchkeeper.core.settings import settings
from watchkeeper.history.bulk import prepared, prepared_objects
from watchkeeper.ingest.dirty import Of, clear_marks, days_with_rows, due_days, mark_again, postpone, refresh_days, zone_of, zones_of
from watchkeeper.ingest.leasing import Follow, StillOurs
from watchkeeper.ingest.models import ColumnProfile, DirtyDay, LogColumn, ProfileBins, WindowProfile
from watchkeeper.registry.models import Baseline, RegisteredModel
from watchkeeper.registry.queries import given_importances
from watchkeeper.telemetry.bins import ColumnCounts, Ints, Layout, make_bins, pack, unpack, unpack_all
from watchkeeper.telemetry.cells import Floats
from watchkeeper.telemetry.columns import column_profiles
from watchkeeper.telemetry.days import DAY, HOUR, Cut, day_starts, local_day
from watchkeeper.telemetry.derived_bins import count_reference, derived_bins
from watchkeeper.telemetry.engines import Engine
from watchkeeper.telemetry.kinds import is_output
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.wire import Stream

log = structlog.get_logger()
FIRST_DAYS = 7  # of a model without a reference, before its bins are frozen
COUNTED_AGAIN = LOOKED_BACK  # with new bins
SAMPLE_ROWS = 50_000
SENT_LATER = timedelta(hours=6)  # after an hour: its rows are history that is sent at once, not some that are on their way
SETTLES = timedelta(minutes=10)  # after the last row of a run, or the end of an hour: rows may be on their way


class _Made(NamedTuple):
    """Bins, the counts of the reference rows if there are any, and the sampled rows of the log."""

    layout: Layout
    counted: ColumnCounts | None
    logged: pa.Table


def refresh_columns(engine: Engine, telemetry: TelemetryLog, *, holder: str, now: datetime, follow: Follow, models: int = 20) -> int:
    """One round over the models with due days; returns the number of days done. `follow` is told in the transaction that clears them."""

    def work(model: UUID, still_ours: StillOurs) -> int:
        return _refresh_model(engine, telemetry, model, still_ours, now, follow)

    return refresh_days(Of.COLUMNS, work, holder=holder, now=now, models=models)


def column_histories(models: Collection[UUID], *, now: datetime, back: timedelta = LOOKED_BACK) -> dict[UUID, ColumnHistory]:
    """What is known of each model's columns: the reference, the windows it learned from, and the closed ones of the time asked for."""
    bins = {entry.model_id: entry for entry in _all_bins(models)}
    zones = zones_of(models)
    given, since = given_importances(models), (now - back).date()
    windows = {id: _windows(entry, zones[id], since, now) for id, entry in bins.items() if entry.cut != Cut.DAY}
    windows |= _days([entry for entry in bins.values() if entry.cut == Cut.DAY], zones, since, now)
    return {id: _history(bins[id], windows[id], given.get(id, {}), now) if id in bins else ColumnHistory(now=now, layout=Layout(())) for id in models}


@prepared_objects
def _all_bins(models: Collection[UUID]) -> QuerySet[ProfileBins]:
    """Those of each model, the newest last."""
    return ProfileBins.objects.filter(model__among=models).select_related("baseline").order_by("number")


class _Window(NamedTuple):
    """A closed window: when it was over, and its rows and packed counts of each version."""

    day: date
    part: str
    end: datetime
    counted: list[tuple[int, bytes]]


class _Windows(NamedTuple):
    """Those of a model, oldest first, and when the next one will be closed, as far as is known."""

    closed: list[_Window]
    next_at: datetime | None = None


def _profiles(bins: Collection[int], since: date, begin: date) -> QuerySet[ColumnProfile]:
    """Of the first weeks from `begin` on, and since a day."""
    counted = ColumnProfile.objects.filter(bins__among=bins, segment="", day__since=begin)
    place = Window(DenseRank(), partition_by="bins", order_by="day")
    first = counted.annotate(place=place).filter(place__lte=LEARN_DAYS).values("id")  # ids alone: the window would carry the counts through a sort
    return counted.filter(Q(day__since=since) | Q(id__in=first)).order_by("day")


@prepared
def _stored_days(bins: Collection[int], since: date) -> QuerySet[ColumnProfile, Any]:  # Any: values of columns
    return _profiles(bins, since, date.min).values_list("bins", "day", "rows", "counts")


def _days(bins: Collection[ProfileBins], zones: Mapping[UUID, ZoneInfo], since: date, now: datetime) -> dict[UUID, _Windows]:
    models = {entry.id: entry.model_id for entry in bins}
    found: dict[UUID, dict[date, _Window]] = {id: {} for id in models.values()}
    today = {id: local_day(now, zones[id]) for id in found}
    for of, day, rows, counts in _stored_days(list(models), since) if bins else ():
        model = models[of]
        if day < today[model]:
            window = found[model].setdefault(day, _Window(day, "", day_starts(day + DAY, zones[model]), []))
            window.counted.append((rows, bytes(counts)))
    return {id: _Windows(list(of.values())) for id, of in found.items()}


def _windows(bins: ProfileBins, zone: ZoneInfo, since: date, now: datetime) -> _Windows:
    """Parts of days, of which only those that are looked at are read whole. One is closed when its rows have settled, and none that came before its end
    waits to be counted."""
    waiting = set(DirtyDay.objects.filter(model=bins.model_id, of=Of.COLUMNS).values_list("day", flat=True))
    begin = _learned_since(bins, zone)
    ends: dict[tuple[date, str], datetime] = {}
    ids: dict[tuple[date, str], list[int]] = defaultdict(list)
    open_until: dict[tuple[date, str], datetime] = {}
    told = _profiles([bins.id], since, begin).values_list("id", "day", "part", "ended_at", "changed_at", "counted_at")
    for id, day, part, ended_at, changed_at, counted_at in told:
        end = ended_at or day_starts(day + DAY, zone)
        is_sent_later = bins.cut == Cut.HOUR and changed_at and changed_at > end + SENT_LATER
        settled = (end if is_sent_later else max(end, changed_at or end)) + SETTLES
        ends[day, part] = max(end, ends.get((day, part), end))
        ids[day, part].append(id)
        if settled > now or (day in waiting and counted_at and counted_at < end):
            open_until[day, part] = max(settled, open_until.get((day, part), settled))
    closed = sorted(ends.keys() - open_until.keys(), key=lambda window: (window[0], ends[window], window[1]))
    windows = {window: _Window(*window, ends[window], []) for window in kept_windows(closed, Cut(bins.cut))}
    of = {id: window for window in windows for id in ids[window]}
    for id, rows, counts in ColumnProfile.objects.filter(id__in=of).values_list("id", "rows", "counts"):
        windows[of[id]].counted.append((rows, bytes(counts)))
    soon = [until for until in open_until.values() if until > now]
    if bins.cut == Cut.HOUR:  # one that has no rows yet may get some
        soon.append(now.replace(minute=0, second=0, microsecond=0) + HOUR + SETTLES)
    return _Windows(list(windows.values()), min(soon, default=None))


def _learned_since(bins: ProfileBins, zone: ZoneInfo) -> date:
    """Where hours begin to tell what is usual: after another reference came, no hour of before does."""
    baseline = bins.baseline
    is_another = ProfileBins.objects.filter(model=bins.model_id, number__lt=bins.number).exclude(baseline=baseline).exists()
    if bins.cut != Cut.HOUR or baseline is None or not is_another:
        return date.min
    return baseline.first_day or local_day(baseline.created_at, zone)


def _history(bins: ProfileBins, windows: _Windows, given: Mapping[str, float], now: datetime) -> ColumnHistory:
    layout, closed = Layout.from_json(bins.columns), windows.closed
    rows, counts, sums = _added(layout, [window.counted for window in closed])
    return ColumnHistory(
        now=now,
        next_at=windows.next_at,
        layout=layout,
        reference=unpack(layout, bins.rows, bytes(bins.counts)) if bins.counts else None,
        cut=Cut(bins.cut),
        days=tuple(window.day for window in closed),
        parts=tuple(window.part for window in closed),
        ends=tuple(window.end for window in closed),
        rows=rows,
        counts=counts,
        sums=sums,
        importances={f"f.{name}": value for name, value in given.items()} or bins.importances or {},
        has_given_importances=bool(given),
    )


def _added(layout: Layout, counted: Sequence[Sequence[tuple[int, bytes]]]) -> tuple[Ints, Ints, Floats]:
    """Rows, counts and sums of each window, of its versions together."""
    packed = [entry for of_window in counted for entry in of_window]
    tables = np.array([rows for rows, _ in packed], dtype=np.int64), *unpack_all(layout, packed)
    if len(packed) == len(counted):
        return tables
    first = np.cumsum([0, *(len(of_window) for of_window in counted[:-1])])
    rows, counts, sums = (np.add.reduceat(table, first, axis=0) for table in tables)
    return rows, counts, sums


def _refresh_model(engine: Engine, telemetry: TelemetryLog, model_id: UUID, still_ours: StillOurs, now: datetime, follow: Follow) -> int:
    zone = zone_of(model_id)
    bins = _bins(telemetry, model_id, zone, now)
    if bins is None:
        postpone(model_id, Of.COLUMNS, now=now)
        return 0
    dirty = due_days(model_id, Of.COLUMNS, now=now)
    days = [entry.day for entry in dirty]
    profiles = column_profiles(
        engine,
        telemetry,
        model_id,
        Layout.from_json(bins.columns),
        days,
        zone,
        last_only=has_duplicates(model_id, days, zone),
        cut=Cut(bins.cut),
    )
    with transaction.atomic():
        if not still_ours():
            return 0
        stored = ColumnProfile.objects.filter(bins=bins, day__in=days)
        known = {
            (day, part, version, rows): at for day, part, version, rows, at in stored.values_list("day", "part", "version", "rows", "changed_at")
        }
        stored.delete()
        ColumnProfile.objects.bulk_create(
            ColumnProfile(
                bins=bins,
                version=entry.version,
                day=entry.day,
                part=entry.part,
                ended_at=entry.ended_at,
                changed_at=known.get((entry.day, entry.part, entry.version, entry.counts.rows)) or now,
                counted_at=now,
                rows=entry.counts.rows,
                counts=pack(entry.counts),
            )
            for entry in profiles
        )
        clear_marks(dirty)
        follow(model_id, "profiles")
    return len(dirty)


def has_duplicates(model_id: UUID, days: Collection[date], zone: ZoneInfo) -> bool:
    """Whether rows of these days were sent again: to tell the last of each id costs more than to count them."""
    first, end = day_starts(min(days), zone), day_starts(max(days) + DAY, zone)
    hours = WindowProfile.objects.filter(model=model_id, start__gte=first, start__lt=end)
    return bool(hours.aggregate(again=Sum("duplicates"))["again"])


def _bins(telemetry: TelemetryLog, model_id: UUID, zone: ZoneInfo, now: datetime) -> ProfileBins | None:
    """The bins in force: those of the current version's reference. None while there is neither a reference nor a week of rows.

    How much features matter is learned with them, or as soon as there is a week of rows.
    """
    newest = ProfileBins.objects.filter(model=model_id).order_by("-number").first()
    baseline = reference_baseline(model_id)
    cut = RegisteredModel.objects.values_list("window", flat=True).get(id=model_id)
    is_in_force = newest is not None and newest.cut == cut and are_made_of(newest, baseline)
    if newest and is_in_force and newest.importances is not None:
        return newest
    today = local_day(now, zone)
    first, closed = closed_days(model_id, zone, today)
    if newest and is_in_force:
        return _with_importances(newest, _rows_until(telemetry, model_id, first, today)) if closed >= FIRST_DAYS else newest
    if baseline is None and closed < FIRST_DAYS:
        return None
    made = (
        _made_of_log(telemetry, model_id, first, today) if baseline is None else _made_of_reference(telemetry, model_id, baseline, first, today, zone)
    )
    if made is None:
        return newest
    layout, counted, logged = made
    with transaction.atomic():
        bins = ProfileBins.objects.create(
            model_id=model_id,
            number=(newest.number if newest else 0) + 1,
            baseline=baseline,
            made_at=now,
            cut=cut,
            columns=layout.as_json(),
            rows=counted.rows if counted else 0,
            counts=pack(counted) if counted else None,
            importances=learned_importances(layout, logged) if closed >= FIRST_DAYS else None,
        )
        if newest:
            days = sorted(days_with_rows(model_id, zone))
            kept = {*(days[:LEARN_DAYS] if baseline is None else ()), *(day for day in days if day >= today - COUNTED_AGAIN)}
            mark_again(model_id, kept, of=Of.COLUMNS, now=now)
    return bins


def _with_importances(bins: ProfileBins, logged: pa.Table) -> ProfileBins:
    bins.importances = learned_importances(Layout.from_json(bins.columns), logged)
    bins.save(update_fields=["importances"])
    return bins


def reference_baseline(model_id: UUID) -> Baseline | None:
    """With rows, sent or in the log: of the version deployed last, else of the one trained last; the newest one of it."""
    with_rows = Baseline.objects.filter(version__model=model_id).exclude(reference_path="", first_day=None)
    return with_rows.order_by("-version__is_current", F("version__deployed_at").desc(nulls_last=True), "-created_at").first()


def are_made_of(bins: ProfileBins, baseline: Baseline | None) -> bool:
    """Whether the bins are those of this reference as it is now; None: of the model's own first days."""
    if baseline is None:
        return bins.counts is None
    return bins.baseline_id == baseline.id and bins.made_at >= baseline.created_at


def closed_days(model_id: UUID, zone: ZoneInfo, today: date) -> tuple[date, int]:
    """The first day of the log, and how many days before today have rows."""
    days = days_with_rows(model_id, zone)
    days |= set(DirtyDay.objects.filter(model=model_id).values_list("day", flat=True))
    return min(days, default=today), len({day for day in days if day < today})


def _made_of_log(telemetry: TelemetryLog, model_id: UUID, first: date, today: date) -> _Made | None:
    rows = first_rows(telemetry, model_id, first, today)
    return _Made(Layout((*make_bins(rows).columns, *derived_bins(rows))), None, rows) if rows.num_columns else None


def first_rows(telemetry: TelemetryLog, model_id: UUID, first: date, today: date) -> pa.Table:
    """Some rows of a model's first weeks."""
    return _rows_until(telemetry, model_id, first, min(first + 4 * FIRST_DAYS * DAY, today))


def _rows_until(telemetry: TelemetryLog, model_id: UUID, first: date, end: date) -> pa.Table:
    return _log_columns(telemetry.sample(model_id, Stream.PREDICTIONS, first - DAY, end, SAMPLE_ROWS))


def _made_of_reference(telemetry: TelemetryLog, model_id: UUID, baseline: Baseline, first: date, today: date, zone: ZoneInfo) -> _Made | None:
    """Bins of the reference rows; what they lack (scores, say) is made of the log. Its reference is then the model's first weeks."""
    reference = reference_rows(telemetry, model_id, baseline, zone)
    if reference is None:
        return None
    logged = _rows_until(telemetry, model_id, first, today)
    lacking = logged.select([name for name in logged.column_names if name not in reference.column_names])
    derived = {column.name: column for rows in (lacking, reference) for column in derived_bins(rows)}
    layout = Layout((*make_bins(reference).columns, *make_bins(lacking).columns, *derived.values()))
    counted = count_reference(layout, reference)
    for column in layout.columns:
        if not any(name in reference.column_names for name in column.reads):
            counted.counts[layout.slices[column.name]] = 0
    return _Made(layout, counted, logged)


def reference_rows(telemetry: TelemetryLog, model_id: UUID, baseline: Baseline, zone: ZoneInfo) -> pa.Table | None:
    """The training rows that were sent, as the log would have them, or rows of the accepted period; None when they are gone."""
    if baseline.first_day and baseline.last_day:
        rows = _rows_of_period(telemetry, model_id, baseline.first_day, baseline.last_day, zone)
        return rows if rows.num_columns else None
    path = settings().data / baseline.reference_path
    if not path.exists():
        log.warning("reference rows are gone", model=str(model_id), path=baseline.reference_path)
        return None
    kinds = dict(LogColumn.objects.filter(model=model_id, stream=Stream.PREDICTIONS).values_list("name", "type"))
    return _as_logged(pq.read_table(path), kinds)


def _rows_of_period(telemetry: TelemetryLog, model_id: UUID, first: date, last: date, zone: ZoneInfo) -> pa.Table:
    sampled = telemetry.sample(model_id, Stream.PREDICTIONS, first - DAY, last + DAY, SAMPLE_ROWS)
    at, begin, end = sampled["timestamp"], day_starts(first, zone), day_starts(last + DAY, zone)
    return _log_columns(sampled.filter(pc.and_(pc.greater_equal(at, begin), pc.less(at, end))))


def _log_columns(table: pa.Table) -> pa.Table:
    """Features, prediction and scores; only those that ever held something."""
    wanted = [name for name in table.column_names if is_output(name) or name.startswith("f.")]
    return table.select([name for name in wanted if table[name].null_count < len(table)])


def _as_logged(reference: pa.Table, kinds: dict[str, str]) -> pa.Table:
    """Reference rows with the names and kinds that their columns have in the log. What cannot be read as its kind is null."""
    columns: dict[str, pa.ChunkedArray] = {}
    for name in reference.column_names:
        logged = name if is_output(name) else f"f.{name}"
        columns[logged] = _read_as(reference[name], kinds.get(logged, ""))
    return pa.table(columns)


def _read_as(cells: pa.ChunkedArray, kind: str) -> pa.ChunkedArray:
    if kind == "double" and pa.types.is_string(cells.type):
        fits = pc.match_substring_regex(cells, r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$")
        return pc.if_else(fits, pc.utf8_trim_whitespace(cells), pa.scalar(None, pa.string())).cast(pa.float64())
    if kind == "string" and not pa.types.is_string(cells.type):
        return cells.cast(pa.string())
    if kind == "timestamp" and pa.types.is_string(cells.type):
        return pa.chunked_array([pa.array([_moment(text) for text in cells.to_pylist()], pa.timestamp("us", "UTC"))])
    return cells


def _moment(text: str | None) -> datetime | None:
    try:
        read = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return read.replace(tzinfo=UTC) if read and read.tzinfo is None else read
