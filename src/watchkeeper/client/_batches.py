"""Many calls, few batches: rows of one stream share a body, a big frame keeps its own. Does not write or send them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import uuid4

from watchkeeper.client._arrow import stream_bodies
from watchkeeper.client._forks import held_back
from watchkeeper.client._inbox import Content, Entry, Row
from watchkeeper.client._json import encode
from watchkeeper.client._trouble import Trouble, in_words
from watchkeeper.client._wire import ARROW_STREAM, JSON, Stream

MAX_ROWS = 5_000
MAX_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class Batch:
    """What is sent as one request, byte for byte the same each time."""

    id: str
    stream: Stream
    rows: int
    media_type: str
    body: bytes


def batches(entries: Iterable[Entry], trouble: Trouble) -> Iterator[Batch]:
    """A row that cannot be told is given up alone; its neighbours go."""
    rows: dict[Stream, list[bytes]] = defaultdict(list)
    for entry in entries:
        content = _content(entry, trouble)
        if isinstance(content, list):
            rows[entry.stream] += _encoded(entry.stream, content, trouble)
        else:
            yield from (Batch(uuid4().hex, entry.stream, count, ARROW_STREAM, body) for count, body in stream_bodies(content))
    for stream, encoded in rows.items():
        yield from (_json_batch(stream, part) for part in _portions(encoded))


def _content(entry: Entry, trouble: Trouble) -> Content:
    try:
        with held_back():  # it may import pyarrow
            return entry.content()
    except Exception as problem:  # the caller's objects run here: they may raise anything, and must not stop the rows of others
        trouble.note(f"A call on {entry.stream} could not be read: {in_words(problem)}", lost_rows=entry.rows)
        return []


def _encoded(stream: Stream, rows: Iterable[Row], trouble: Trouble) -> list[bytes]:
    encoded = []
    for row in rows:
        try:
            encoded.append(encode(row))
        except Exception as problem:  # as above
            trouble.note(f"A row of {stream} could not be read: {in_words(problem)}", lost_rows=1)
    return encoded


def _portions(rows: list[bytes]) -> Iterator[list[bytes]]:
    portion: list[bytes] = []
    size = 0
    for row in rows:
        if portion and (len(portion) == MAX_ROWS or size + len(row) > MAX_BYTES):
            yield portion
            portion, size = [], 0
        portion.append(row)
        size += len(row)
    if portion:
        yield portion


def _json_batch(stream: Stream, rows: list[bytes]) -> Batch:
    batch_id = uuid4().hex
    body = b'{"batch_id":"%s","rows":[%s]}' % (batch_id.encode(), b",".join(rows))
    return Batch(batch_id, stream, len(rows), JSON, body)
