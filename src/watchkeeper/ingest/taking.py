"""Rows of watched places become batches, as if they had been sent: everything that comes after is the same.

A batch and the note of how far the reading got are one transaction. What is killed is read on from there: nothing is lost, nothing taken twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import perf_counter
from uuid import UUID, uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import structlog
from django.db import transaction
from django.db.models import F

from watchkeeper import wire
from watchkeeper.core.errors import WatchkeeperError
from watchkeeper.core.faults import crash_point
from watchkeeper.core.settings import settings
from watchkeeper.ingest.border import check_submission
from watchkeeper.ingest.leasing import StillOurs, under_leases
from watchkeeper.ingest.models import WatchedPart, WatchedPlace
from watchkeeper.ingest.places import open_watched
from watchkeeper.ingest.receiving import INLINE_BYTES, Arrival, store_group, write_payload
from watchkeeper.registry.models import Stage
from watchkeeper.registry.queries import TokenHolder
from watchkeeper.telemetry.mapping import Columns, Digests, problems, row_digests, sent_form
from watchkeeper.telemetry.places import CannotWatch, Part, Place, Seen
from watchkeeper.wire import Stream

log = structlog.get_logger()
ROUND_SECONDS = 10.0  # of reading, before the other steps of the worker have their turn
MOST_DIGESTS = 2_000_000  # rows of a part; a larger one is taken whole when it changes
TOKEN = "watched"  # instead of a token's id  # noqa: S105 - not a secret


class _OutOfTime(Exception):
    """The round is over; the rest is read in the next one."""


@dataclass
class _Reading:
    """One look at one place."""

    place: WatchedPlace
    columns: Columns
    still_ours: StillOurs
    now: datetime
    ends_at: float
    batches: int = 0

    def check(self) -> None:
        if perf_counter() > self.ends_at or not self.still_ours():
            raise _OutOfTime


def look_at_places(*, holder: str, now: datetime, most: int = 50) -> int:
    """One round over the places that are due; returns the number of batches taken. One worker at a time looks at a place."""
    due = dict(WatchedPlace.objects.filter(next_look_at__lte=now).exclude(model__stage=Stage.RETIRED).values_list("id", "next_look_at")[:most])

    def work(place: UUID, still_ours: StillOurs) -> int:
        return _look(WatchedPlace.objects.select_related("model").get(id=place), still_ours, now)

    def after_failure(place: UUID) -> None:
        for watched in WatchedPlace.objects.filter(id=place):
            _note(watched, ["The reading failed for a reason that only the worker's log tells."], now)

    return under_leases(due, work, of="place", holder=holder, now=now, seconds=5 * settings().lease_seconds, after_failure=after_failure)


def _look(watched: WatchedPlace, still_ours: StillOurs, now: datetime) -> int:
    """Take what is new. A part that cannot be read does not hold up the others; the first failure is what the page and the risk say."""
    reading = _Reading(watched, Columns.from_json(watched.columns), still_ours, now, perf_counter() + ROUND_SECONDS)
    failures: list[str] = []
    try:
        place = open_watched(watched)
        try:
            _keep_mark(watched, place, is_read=False)
            for part in place.parts(_seen(reading, place)):
                try:
                    _take(reading, part, place.schema())
                except CannotWatch as problem:
                    failures.append(_sentence(problem))
            if not failures:
                _keep_mark(watched, place, is_read=True)
        finally:
            place.close()
    except _OutOfTime:
        return reading.batches  # its next look is still due
    except WatchkeeperError as problem:
        failures.append(_sentence(problem))
    _note(watched, failures, now)
    watched.parts.filter(taken_at__lt=now - watched.again).exclude(digests=b"").update(digests=b"")
    return reading.batches


def _keep_mark(watched: WatchedPlace, place: Place, *, is_read: bool) -> None:
    watched.mark = place.mark(watched.mark, is_read=is_read)
    WatchedPlace.objects.filter(pk=watched.pk).update(mark=watched.mark)


def _seen(reading: _Reading, place: Place) -> Seen:
    wrong = problems(reading.columns, place.schema())
    if wrong:
        raise CannotWatch(" ".join(what for _, what, _ in wrong), remedy="Repair it, or register the place with other columns.")
    watched, now = reading.place, reading.now
    newest = min(watched.newest_at, now) if watched.newest_at else None
    oldest = now - _keeps()
    parts = dict(watched.parts.filter(is_done=True).values_list("name", "identity"))
    return Seen(
        time_column=reading.columns.timestamp, parts=parts, mark=watched.mark, since=max(newest - watched.again, oldest) if newest else oldest
    )


def _take(reading: _Reading, part: Part, schema: pa.Schema) -> None:
    """The rows of a part that were not taken before, in batches of one stream each."""
    stored = _part(reading, part)
    known = np.frombuffer(bytes(stored.digests), dtype=np.uint64)
    for number, (stream, rows) in enumerate(_batches(reading, part, schema)):
        if number < stored.batches:
            continue
        reading.check()
        digests = row_digests(rows)
        fresh = rows.filter(pa.array(~np.isin(digests, known))) if len(known) else rows
        crash_point("watch: read, not stored")
        _store(reading, stored, stream, fresh, digests)
    WatchedPart.objects.filter(pk=stored.pk).update(is_done=True, taken_at=reading.now)


def _batches(reading: _Reading, part: Part, schema: pa.Schema) -> Iterator[tuple[Stream, pa.Table]]:
    for table in part.read(reading.columns.read(schema), set(reading.columns.named().values())):
        for stream in reading.columns.streams():
            yield stream, sent_form(table, reading.columns, stream)


def _part(reading: _Reading, part: Part) -> WatchedPart:
    """What is known of the part; of another identity it is read from its beginning."""
    stored, _ = WatchedPart.objects.get_or_create(
        place=reading.place, name=part.name[:1000], defaults={"identity": part.identity, "taken_at": reading.now}
    )
    if stored.identity != part.identity or stored.is_done:
        stored.identity, stored.batches, stored.is_done = part.identity, 0, False
        stored.save(update_fields=["identity", "batches", "is_done"])
    return stored


def _store(reading: _Reading, part: WatchedPart, stream: Stream, rows: pa.Table, digests: Digests) -> None:
    kept = b"" if len(part.digests) + digests.nbytes > 8 * MOST_DIGESTS else bytes(part.digests) + digests.tobytes()
    with transaction.atomic():
        if len(rows):
            _receive(reading, part, stream, rows)
        part.batches, part.rows, part.digests, part.taken_at = part.batches + 1, part.rows + len(rows), kept, reading.now
        part.save(update_fields=["batches", "rows", "digests", "taken_at"])
        if stream is reading.columns.streams()[0]:
            _count(reading, rows)
        crash_point("watch: stored, before commit")
    crash_point("watch: stored, after commit")
    reading.batches += 1


def _count(reading: _Reading, rows: pa.Table) -> None:
    newest = max(filter(None, (reading.place.newest_at, _newest(rows))), default=None)
    WatchedPlace.objects.filter(pk=reading.place.pk).update(rows=F("rows") + len(rows), newest_at=newest)
    reading.place.newest_at = newest


def _receive(reading: _Reading, part: WatchedPart, stream: Stream, rows: pa.Table) -> None:
    body = _body(rows)
    key = f"{reading.place.id.hex}-{part.pk}-{uuid4().hex}"
    submission = check_submission(stream, body=body, media_type=wire.ARROW_STREAM, header_key=key)
    holder = TokenHolder(TOKEN, reading.place.model_id, False, frozenset())
    arrival = Arrival(submission, holder, reading.now)
    if len(body) > INLINE_BYTES and not settings().postgres_url:
        arrival.payload_path = write_payload(settings().data, body, reading.now)
    store_group([arrival])
    if arrival.error:
        raise arrival.error


def _body(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_table(rows)
    return bytes(sink.getvalue().to_pybytes())


def _newest(rows: pa.Table) -> datetime | None:
    """By the wall clock where there is no zone: it only tells how far back to look again."""
    if "timestamp" not in rows.column_names or not len(rows):
        return None
    newest = pc.max(rows["timestamp"].cast(pa.int64())).as_py()
    return None if newest is None else datetime.fromtimestamp(newest / 1e6, UTC)


def _note(watched: WatchedPlace, failures: list[str], now: datetime) -> None:
    failure = failures[0] if failures else ""
    if len(failures) > 1:
        failure += f" (and {len(failures) - 1} more)"
    WatchedPlace.objects.filter(pk=watched.pk).update(
        looked_at=now, next_look_at=now + watched.every, failure=failure[:1000], failing_since=(watched.failing_since or now) if failure else None
    )


def _keeps() -> timedelta:
    return timedelta(days=settings().keep_rows_days)


def _sentence(problem: WatchkeeperError) -> str:
    return f"{problem.detail} {problem.remedy}".strip()
