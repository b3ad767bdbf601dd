"""Single predictions over HTTP: durable events per second and their latency, with the load generator beside the server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

from bench._installation import connected, memory, set_up, web
from bench._load import MARK, put_under_load
from bench._table import Row, at_least, at_most, percentiles

CONNECTIONS = 32
MODELS = 4  # one token may make 60,000 calls a minute
WARM_UP, SECONDS = 3.0, 15.0


def run() -> Iterator[Row]:
    set_up()
    requests = [_request(token) for _, token in connected(MODELS)]
    with web() as (server, port):
        load = put_under_load(port, requests, connections=CONNECTIONS, warm_up=WARM_UP, seconds=SECONDS)
        peak = memory("single predictions: memory of web", server)
    if set(load.statuses) != {"202"}:
        raise AssertionError(f"Not every event was accepted: {load.statuses}.")
    p50, p99 = percentiles(load.latencies, 50, 99)
    yield at_least(f"single predictions over {CONNECTIONS} connections, durable", load.per_second, 1500, unit="/s")
    yield at_most("single predictions: latency, 99 of 100 answers", p99, 60, unit="ms", also=f" (half: {p50:,.1f} ms)")
    yield peak


def _request(token: str) -> bytes:
    """One prediction with ten features; the batch id has a number that the generator fills in."""
    features = {**{f"x{n}": 1.5 * n for n in range(8)}, "airline": "LO", "weekday": "Monday"}
    row = {"id": f"p-{MARK.decode()}", "timestamp": datetime.now(UTC).isoformat(), "prediction": "late", "score": 0.73, "features": features}
    batch = json.dumps({"batch_id": f"b-{MARK.decode()}", "rows": [{**row, "id": "p-1"}]})
    head = (
        "POST /api/v1/ingest/predictions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: {len(batch)}\r\n\r\n"
    )
    return (head + batch).encode()
