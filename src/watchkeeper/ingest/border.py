"""What happens at the border, before anything is stored: size, form, rows. Pure: bytes in, a checked submission out; no database, no clock."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import uuid4

import pydantic_core
from pydantic import ValidationError

from watchkeeper import wire
from watchkeeper.core.errors import InvalidInput, TooLarge
from watchkeeper.telemetry.arrow import OversizedArrow, UnreadableArrow, check_arrow_schema, open_arrow
from watchkeeper.wire import Stream
from watchkeeper.wire.rows import ADAPTERS, RowError, row_errors

MAX_ROWS = 1_000_000
MAX_KEY = 200
ERRORS_SHOWN = 100
REMEDY_ARROW = "See docs/guide/ingest.md for the columns of an Arrow batch."
REMEDY_JSON = 'Send {"rows": [{…}, …]} as JSON, or an Arrow IPC stream with Content-Type application/vnd.apache.arrow.stream.'


@dataclass(frozen=True)
class Refusal:
    """One refused row with everything its owner needs."""

    row: int
    error: RowError
    content: Any  # Any: the row as it was sent


@dataclass(frozen=True)
class Submission:
    """A checked batch, ready to be stored. `is_keyed` tells whether the client named it: only then a repeat is recognised."""

    stream: Stream
    key: str
    is_keyed: bool
    media_type: str
    body: bytes
    digest: str
    rows: int
    refusals: tuple[Refusal, ...] = ()
    beats: tuple[Stream, ...] = field(default=())  # whose dead-man timers it moves

    @cached_property
    def rejected_rows(self) -> list[int]:
        return sorted({refusal.row for refusal in self.refusals})

    @property
    def accepted(self) -> int:
        return self.rows - len(self.rejected_rows)


def check_submission(stream: Stream, *, body: bytes, media_type: str, header_key: str = "") -> Submission:
    """Check a batch. Raises InvalidInput or TooLarge with what to do; refused rows are part of the answer, not an error."""
    if len(header_key) > MAX_KEY:
        raise InvalidInput(f"The Idempotency-Key has {len(header_key)} characters.", remedy=f"Use at most {MAX_KEY}, e.g. a UUID.")
    if media_type == wire.ARROW_STREAM:
        return _check_arrow(stream, body, header_key)
    return _check_json(stream, body, header_key)


def inflate(body: bytes, *, encoding: str, cap: int = wire.MAX_BATCH_BYTES) -> bytes:
    """Undo `Content-Encoding: gzip`, never beyond the cap."""
    if encoding in ("", "identity"):
        return body
    if encoding != "gzip":
        raise InvalidInput(f"Content-Encoding {encoding!r} is not known.", remedy="Send gzip, or no encoding.")
    machine = zlib.decompressobj(wbits=31)
    try:
        out = machine.decompress(body, cap + 1)
    except zlib.error as problem:
        raise InvalidInput(f"The gzip data is broken: {problem}.", remedy="Compress the whole body once, with gzip.") from problem
    if len(out) > cap:
        raise TooLarge(f"The body is larger than {cap // 2**20} MB when unpacked.", remedy="Send smaller batches.")
    return out


def _check_arrow(stream: Stream, body: bytes, header_key: str) -> Submission:
    if stream not in (Stream.PREDICTIONS, Stream.LABELS):
        raise InvalidInput(f"{stream} are not taken as Arrow.", remedy="Send them as JSON.")
    try:
        head = open_arrow(body)
    except OversizedArrow as problem:
        raise TooLarge(str(problem), remedy="Send smaller batches.") from problem
    except UnreadableArrow as problem:
        raise InvalidInput(str(problem), remedy=REMEDY_ARROW) from problem
    problems = check_arrow_schema(stream, head.schema)
    if problems:
        raise InvalidInput(" ".join(problems[:20]), remedy=REMEDY_ARROW)
    return Submission(
        stream,
        header_key or str(uuid4()),
        bool(header_key),
        wire.ARROW_STREAM,
        body,
        wire.content_digest(body),
        head.rows,
        beats=(stream,) if head.rows else (),
    )


def _check_json(stream: Stream, body: bytes, header_key: str) -> Submission:
    document = parse_json(body)
    if not isinstance(document, dict) or not isinstance(document.get("rows"), list):
        raise InvalidInput("The body is not an object with a list `rows`.", remedy=REMEDY_JSON)
    unknown = sorted(set(document) - {"rows", "batch_id"})
    if unknown:
        raise InvalidInput(f"Unknown fields beside `rows`: {', '.join(unknown[:5])}.", remedy="Only `batch_id` and `rows` belong there.")
    key = document.get("batch_id") or header_key
    if not isinstance(key, str) or len(key) > MAX_KEY:
        raise InvalidInput("batch_id is not a text of at most 200 characters.", remedy="Use a UUID.", fields={"batch_id": "text"})
    rows = document["rows"]
    if len(rows) > MAX_ROWS:
        raise TooLarge(f"{len(rows)} rows in one batch.", remedy=f"Send at most {MAX_ROWS} rows at a time.")
    refusals = tuple(_refusals(stream, rows))
    bad = {refusal.row for refusal in refusals}
    beats = _beats(stream, (row for index, row in enumerate(rows) if index not in bad)) if len(bad) < len(rows) else ()
    return Submission(stream, key or str(uuid4()), bool(key), wire.JSON, body, wire.content_digest(body), len(rows), refusals, beats)


def parse_json(body: bytes) -> Any:  # Any: JSON
    try:
        return pydantic_core.from_json(body, allow_inf_nan=True)
    except ValueError as problem:
        raise InvalidInput(f"The body is not JSON: {problem}.", remedy=REMEDY_JSON) from problem


def _refusals(stream: Stream, rows: list[Any]) -> Iterable[Refusal]:  # Any: JSON
    adapter = ADAPTERS[stream]
    for index, row in enumerate(rows):
        if _depth(row) > wire.MAX_DEPTH:
            yield Refusal(
                index, RowError(row=index, field="", message=f"nested deeper than {wire.MAX_DEPTH} levels", remedy="Flatten the row."), None
            )
            continue
        try:
            adapter.validate_python(row)
        except ValidationError as problem:
            for error in row_errors(index, problem):
                yield Refusal(index, error, row)


def _depth(value: Any) -> int:  # Any: JSON
    """Levels of nesting, without recursion."""
    level, layer = 0, [value]
    while layer and level <= wire.MAX_DEPTH:
        layer = [inner for outer in layer if isinstance(outer, dict | list) for inner in (outer.values() if isinstance(outer, dict) else outer)]
        level += 1
    return level


def _beats(stream: Stream, accepted: Iterable[dict[str, Any]]) -> tuple[Stream, ...]:  # Any: JSON
    """A heartbeat arrives as an event, and must not pass for predictions."""
    if stream is not Stream.EVENTS:
        return (stream,)
    types = {row["type"] for row in accepted}
    return tuple(filter(None, (Stream.HEARTBEAT if "heartbeat" in types else None, Stream.EVENTS if types - {"heartbeat"} else None)))
