"""Durable before the acknowledgement, many at a time: one thread per process collects submissions and commits them in groups.

One single commit takes milliseconds of disk sync; a group shares it. A caller waits for its own receipt; an error of the database reaches
every caller of the group as Unavailable, and nothing was acknowledged.
"""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import structlog
from django.db import DatabaseError, DataError, IntegrityError, close_old_connections, connection, transaction

from watchkeeper.core.errors import Conflict, InvalidInput, Unavailable, WatchkeeperError
from watchkeeper.core.faults import crash_point
from watchkeeper.ingest.border import ERRORS_SHOWN, Submission
from watchkeeper.ingest.models import Batch, QuarantinedRow
from watchkeeper.registry.queries import TokenHolder
from watchkeeper.wire import Stream
from watchkeeper.wire.rows import Receipt

log = structlog.get_logger()
INLINE_BYTES = 256 * 1024
GROUP_MOST = 256
WAIT_SECONDS = 30.0


@dataclass
class Arrival:
    """One submission on its way to the disk; `done` is set when `receipt` or `error` is."""

    submission: Submission
    holder: TokenHolder
    received_at: datetime
    payload_path: str = ""
    receipt: Receipt | None = None
    error: WatchkeeperError | None = None
    done: threading.Event = field(default_factory=threading.Event)


class Receiver:
    """Takes submissions of all request threads of a process and commits them in groups."""

    def __init__(self, folder: Path, *, keeps_files: bool) -> None:
        self.folder, self.keeps_files = folder, keeps_files
        self._arrivals: queue.SimpleQueue[Arrival] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def receive(self, submission: Submission, *, holder: TokenHolder, now: datetime) -> Receipt:
        """Store the batch; returns when it is durable. Raises Conflict for a reused batch id, Unavailable when the database does not answer."""
        arrival = Arrival(submission, holder, now)
        if self.keeps_files and len(submission.body) > INLINE_BYTES:
            arrival.payload_path = write_payload(self.folder, submission.body, now)
        self._ensure_thread()
        self._arrivals.put(arrival)
        if not arrival.done.wait(WAIT_SECONDS):
            raise Unavailable("The database takes too long.", remedy="Send the same batch again with the same batch_id.")
        if arrival.error:
            raise arrival.error
        assert arrival.receipt
        return arrival.receipt

    def _ensure_thread(self) -> None:
        if self._thread and self._thread.is_alive():
            return
        with self._starting:
            if not (self._thread and self._thread.is_alive()):
                self._thread = threading.Thread(target=self._commit_for_ever, name="group commit", daemon=True)
                self._thread.start()

    def _commit_for_ever(self) -> None:
        while True:
            group = self._next_group()
            try:
                close_old_connections()
                _store_apart_if_refused(group)
            except Exception:  # the thread must outlive whatever one group brings
                log.exception("ingest: a group was not stored")
                connection.close()
            finally:
                for arrival in group:
                    arrival.error = arrival.error or (None if arrival.receipt else Unavailable("Not stored.", remedy="Send the same batch again."))
                    arrival.done.set()

    def _next_group(self) -> list[Arrival]:
        group = [self._arrivals.get()]
        while len(group) < GROUP_MOST:
            try:
                group.append(self._arrivals.get_nowait())
            except queue.Empty:
                break
        return group


def write_payload(folder: Path, body: bytes, now: datetime) -> str:
    """A large payload is a file, synced before its row is committed; its path below the folder."""
    relative = f"payloads/{now:%Y-%m-%d}/{uuid4().hex}"
    path = folder / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    for parent in (path.parent, path.parent.parent, folder):  # the names as well, or a power cut leaves a file nobody finds
        _sync_folder(parent)
    return relative


def _store_apart_if_refused(group: Sequence[Arrival]) -> None:
    """A group that the database refuses for what is in it is stored one by one: a broken batch spoils no other. One that does not answer is not asked
    again."""
    try:
        _store_twice_if_raced(group)
    except (DataError, IntegrityError) as problem:
        if len(group) == 1:
            _fail(group, problem)
            return
        for arrival in group:
            _store_apart_if_refused([arrival])
    except DatabaseError as problem:
        connection.close()
        _fail(group, problem)


def _fail(group: Sequence[Arrival], problem: DatabaseError) -> None:
    for arrival in group:
        arrival.error = Unavailable(f"The database refused: {type(problem).__name__}.", remedy="Send the same batch again, with the same batch_id.")


def _store_twice_if_raced(group: Sequence[Arrival]) -> None:
    """Another process may commit the same batch id between our look and our insert; the second look sees it."""
    try:
        store_group(group)
    except IntegrityError:
        store_group(group)


def store_group(group: Sequence[Arrival]) -> None:
    """One transaction: batches, quarantined rows, dead-man timers. Receipts are written on the arrivals; they count once this returns."""
    receipts: list[Callable[[], None]] = []
    with transaction.atomic():
        stored = _stored_contents(group)
        fresh: list[Arrival] = []
        for arrival in group:
            key = (arrival.holder.model_id, arrival.submission.key)
            earlier = stored.get(key)
            if earlier is None:
                stored[key] = (arrival.submission.digest, arrival.submission.stream)
                fresh.append(arrival)
            receipts.append(_answer(arrival, earlier))
        _insert(fresh)
        _move_timers(fresh)
        crash_point("receive: stored, before commit")
    crash_point("receive: stored, after commit")
    for answer in receipts:
        answer()


# Raw SQL here and below: in these three statements the ORM costs more than everything else in the commit together (measured by `make bench`).
_LOOK = "SELECT model_id, key, digest, stream FROM ingest_batch WHERE model_id IN ({}) AND key IN ({})"
Content = tuple[str, str]  # digest and stream: what makes two batches of one id the same


def _stored_contents(group: Sequence[Arrival]) -> dict[tuple[UUID, str], Content]:
    """What was acknowledged before under these ids."""
    keyed = [arrival for arrival in group if arrival.submission.is_keyed]
    if not keyed:
        return {}
    as_uuid = _uuid_adapter()
    models, keys = {as_uuid(a.holder.model_id) for a in keyed}, {a.submission.key for a in keyed}
    with connection.cursor() as cursor:
        cursor.execute(_LOOK.format(*(", ".join(["%s"] * len(these)) for these in (models, keys))), [*models, *keys])
        return {(UUID(str(model_id)), key): (digest, stream) for model_id, key, digest, stream in cursor.fetchall()}


def _answer(arrival: Arrival, earlier: Content | None) -> Callable[[], None]:
    """What to tell the caller once the transaction is durable."""
    submission = arrival.submission
    if earlier is None:
        return lambda: _accept(arrival)
    if earlier != (submission.digest, submission.stream):
        return lambda: _refuse(
            arrival, Conflict(f"Batch id {submission.key!r} was used with another content.", remedy="A repair uses a new batch id.")
        )
    return lambda: _accept(arrival, is_duplicate=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _accept(arrival: Arrival, *, is_duplicate: bool = False) -> None:
    submission = arrival.submission
    receipt = Receipt(
        batch_id=submission.key,
        rows=submission.rows,
        accepted=submission.accepted,
        rejected=len(submission.rejected_rows),
        duplicate=is_duplicate,
        errors=[refusal.error for refusal in submission.refusals[:ERRORS_SHOWN]],
    )
    if submission.rows and not submission.accepted:
        _refuse(
            arrival,
            InvalidInput(
                "All rows were refused; they are kept in the quarantine of the model.",
                remedy="Correct them and send them with a new batch id.",
                extra=receipt.model_dump(),
            ),
        )
        return
    arrival.receipt = receipt


def _refuse(arrival: Arrival, error: WatchkeeperError) -> None:
    arrival.error = error


_COLUMNS = (
    "model_id, stream, key, digest, media_type, payload, payload_path, size, rows, rejected, rejected_rows, errors, token_id, received_at, state"
)
_INSERT = f"INSERT INTO ingest_batch ({_COLUMNS}) VALUES ({', '.join(['%s'] * 15)})"  # noqa: S608 - constant text


def _insert(fresh: Sequence[Arrival]) -> None:
    if not fresh:
        return
    as_uuid = _uuid_adapter()
    rows = [_batch_row(arrival, as_uuid) for arrival in fresh]
    with connection.cursor() as cursor:
        cursor.executemany(_INSERT, rows)
    refused = [arrival for arrival in fresh if arrival.submission.refusals]
    if refused:
        _quarantine(refused)


def _uuid_adapter() -> Callable[[UUID], UUID | str]:
    return (lambda id: id) if connection.features.has_native_uuid_field else (lambda id: id.hex)


def _batch_row(arrival: Arrival, as_uuid: Callable[[UUID], UUID | str]) -> tuple[Any, ...]:  # Any: one value per column
    submission = arrival.submission
    return (
        as_uuid(arrival.holder.model_id),
        submission.stream.value,
        submission.key,
        submission.digest,
        submission.media_type,
        None if arrival.payload_path else submission.body,
        arrival.payload_path,
        len(submission.body),
        submission.rows,
        len(submission.rejected_rows),
        json.dumps(submission.rejected_rows),
        json.dumps([refusal.error.model_dump() for refusal in submission.refusals[:ERRORS_SHOWN]]),
        arrival.holder.token_id,
        connection.ops.adapt_datetimefield_value(arrival.received_at),
        "pending" if submission.accepted else "applied",
    )


def _quarantine(refused: Sequence[Arrival]) -> None:
    ids = {
        (batch.model_id, batch.key): batch.id
        for batch in Batch.objects.filter(key__in=[arrival.submission.key for arrival in refused]).only("id", "model_id", "key")
    }
    QuarantinedRow.objects.bulk_create(
        QuarantinedRow(
            model_id=arrival.holder.model_id,
            batch_id=ids[arrival.holder.model_id, arrival.submission.key],
            stream=arrival.submission.stream,
            row=refusal.row,
            field=refusal.error.field[:200],
            message=refusal.error.message,
            remedy=refusal.error.remedy,
            content=storable(refusal.content),
            received_at=arrival.received_at,
        )
        for arrival in refused
        for refusal in arrival.submission.refusals
    )


def storable(content: Any) -> Any:  # Any: JSON as sent, with what databases refuse taken out
    """JSON that every database takes: no NaN, no infinity, no NUL; a huge row is cut to its beginning."""
    text = json.dumps(content, default=str)
    if len(text) > 10_000:
        return text[:10_000].replace("\\u0000", "")
    return json.loads(text.replace("\\u0000", ""), parse_constant=str)


def _move_timers(fresh: Sequence[Arrival]) -> None:
    """The dead-man timers follow accepted rows, by the server's time of receipt."""
    moved: dict[tuple[UUID, str], list[Any]] = {}
    for arrival in fresh:
        for beat in arrival.submission.beats:
            entry = moved.setdefault((arrival.holder.model_id, beat.value), [arrival.received_at, 0])
            entry[0] = max(entry[0], arrival.received_at)
            entry[1] += arrival.submission.accepted
    if moved:
        _move([(model_id, stream, *entry) for (model_id, stream), entry in moved.items()])


def move_timer(model_id: UUID, stream: Stream, *, now: datetime) -> None:
    """A call that was turned away for its rate is still a sign of life."""
    with transaction.atomic():
        _move([(model_id, stream.value, now, 0)])


_MOVE = (
    "INSERT INTO ingest_streamtimer AS t (model_id, stream, first_received_at, last_received_at, rows) VALUES (%s, %s, %s, %s, %s) "
    "ON CONFLICT (model_id, stream) DO UPDATE SET rows = t.rows + excluded.rows, last_received_at = "
    "CASE WHEN excluded.last_received_at > t.last_received_at THEN excluded.last_received_at ELSE t.last_received_at END"
)


def _move(moved: Iterable[tuple[UUID, str, datetime, int]]) -> None:
    """Insert or move timers, in one order everywhere: two processes that move the same timers never wait for each other in a circle."""
    as_uuid, as_moment = _uuid_adapter(), connection.ops.adapt_datetimefield_value
    with connection.cursor() as cursor:
        cursor.executemany(_MOVE, [(as_uuid(id), stream, as_moment(at), as_moment(at), rows) for id, stream, at, rows in sorted(moved)])
