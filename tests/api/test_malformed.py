"""Malformed payloads: whatever is sent, no 5xx, and an answer in problem+json that says what to do.

Short in every run, 10,000 with `--long`.
"""

from __future__ import annotations

import gzip
import io
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pytest

from tests.conftest import Runs
from tests.platform import Platform
from watchkeeper.api.ingest import IngestApp
from watchkeeper.core.clock import ManualClock
from watchkeeper.core.settings import settings
from watchkeeper.ingest import receiving
from watchkeeper.registry.services import rotate_token
from watchkeeper.wire import ARROW_STREAM, JSON

STREAMS = ("predictions", "labels", "metrics", "events", "training", "nonsense", "")
ODD_VALUES: list[Any] = [
    None, True, False, 0, -1, 2**63, 2**200, -(2**63) - 1, 1e308, 1e-320, float("nan"), float("inf"), "", " ", "\x00", "\ud800", "𝔘" * 300, "x" * 10_000,
    "1900-01-01T00:00:00Z", "2200-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "yesterday", "2026-11-22T12:00:00", "=cmd|' /C calc'!A0",
    "<script>alert(1)</script>", "'; DROP TABLE ingest_batch; --", [], [[]], {}, {"a": {"b": {}}}, ["a", 1, None], {"": ""}, {"__proto__": 1},
]  # fmt: skip
FIELDS = (
    "id",
    "timestamp",
    "prediction",
    "score",
    "features",
    "version",
    "label",
    "name",
    "value",
    "type",
    "schema",
    "metrics",
    "reference",
    "region",
    "ID",
)


@pytest.fixture
def caller(db: None, clock: ManualClock, tmp_path: Path) -> Any:
    """Calls the ingest callable as a server does; the group commit runs in this thread, inside the test's transaction."""
    platform = Platform(clock, tmp_path)
    token = rotate_token(platform.register(), actor=platform.actor, now=clock.now()).text
    app = IngestApp(clock, settings().model_copy(update={"ingest_requests_per_minute": 10**9}))
    app.receiver.receive = _receive_here  # type: ignore[method-assign]  # the thread of the group commit has a connection of its own

    def call(method: str, path: str, body: bytes, **headers: str) -> tuple[int, dict[str, str], bytes]:
        seen: list[Any] = []
        environ = {
            "REQUEST_METHOD": method, "PATH_INFO": f"/api/v1/ingest/{path}", "CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": JSON,
            "HTTP_AUTHORIZATION": f"Bearer {token}", "wsgi.input": io.BytesIO(body), **headers,
        }  # fmt: skip
        answer = b"".join(app(environ, lambda status, sent: seen.extend((status, dict(sent)))))
        return int(seen[0][:3]), seen[1], answer

    return call


def _receive_here(submission: Any, *, holder: Any, now: Any) -> Any:
    arrival = receiving.Arrival(submission, holder, now)
    receiving.store_group([arrival])
    if arrival.error:
        raise arrival.error
    return arrival.receipt


def odd_value(dice: random.Random, depth: int = 0) -> Any:
    if depth < 3 and dice.random() < 0.2:
        return {dice.choice(FIELDS): odd_value(dice, depth + 1) for _ in range(dice.randrange(4))}
    return dice.choice(ODD_VALUES)


def odd_body(dice: random.Random) -> tuple[bytes, dict[str, str]]:
    """A body that is wrong in one of the ways the world has."""
    kind = dice.randrange(9)
    rows = [{dice.choice(FIELDS): odd_value(dice) for _ in range(dice.randrange(8))} for _ in range(dice.randrange(4))]
    text = json.dumps({"rows": rows, "batch_id": odd_value(dice) if dice.random() < 0.2 else str(dice.random())})
    match kind:
        case 0:
            return dice.randbytes(dice.randrange(200)), {}
        case 1:
            return text.encode()[: dice.randrange(len(text))], {}
        case 2:
            return json.dumps(odd_value(dice)).encode(), {}
        case 3:
            return (b"[" * dice.randrange(1, 5000)) + b"{}", {}
        case 4:
            return gzip.compress(text.encode())[: dice.randrange(5, 400)], {"HTTP_CONTENT_ENCODING": dice.choice(["gzip", "br", "GZIP", "zstd"])}
        case 5:
            return odd_arrow(dice), {"CONTENT_TYPE": ARROW_STREAM}
        case 6:
            return text.encode("utf-16"), {}
        case 7:
            return text.encode(), {"CONTENT_TYPE": dice.choice(["text/plain", "", "application/xml", "multipart/form-data"])}
        case _:
            return text.encode(), {}


def odd_arrow(dice: random.Random) -> bytes:
    arrays = {
        "id": pa.array(["a", None]),
        "timestamp": pa.array([dice.choice([0, 2**62]), None], pa.timestamp("us")),
        "f.x": pa.array([1.0, float("nan")]),
    }
    chosen = {name: array for name, array in arrays.items() if dice.random() < 0.8} or {"y": pa.array([[1], None])}
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, pa.table(chosen).schema) as writer:
        writer.write_table(pa.table(chosen))
    body = bytearray(sink.getvalue())
    for _ in range(dice.randrange(6)):
        body[dice.randrange(len(body))] = dice.randrange(256)
    return bytes(body[: dice.randrange(1, len(body) + 1)])


def test_whatever_is_sent_is_answered_in_words_and_never_by_5xx(caller: Any, runs: Runs) -> None:
    dice = random.Random(20261122)  # noqa: S311 - a seed, not a secret
    process, peak, warm = psutil.Process(), 0, 0
    answers: Counter[int] = Counter()
    for number in range(runs(400, 10_000)):
        body, headers = odd_body(dice)
        status, sent, answer = caller(dice.choice(["POST", "POST", "POST", "PUT", "GET"]), dice.choice(STREAMS), body, **headers)
        answers[status] += 1
        assert status < 500, (status, body[:300], headers)
        document = json.loads(answer)
        if status >= 400:
            assert sent["Content-Type"] == "application/problem+json"
            assert document["detail"]
            assert document["remedy"], document
        if number == 200:
            warm = process.memory_info().rss
        peak = max(peak, process.memory_info().rss)
    print(f"{answers.total():,} calls: {dict(sorted(answers.items()))}; memory {warm >> 20} MB after 200 of them, at most {peak >> 20} MB")
    assert peak < warm + 200 * 2**20  # memory stays flat


def test_a_gzip_bomb_is_stopped_before_it_unpacks(caller: Any) -> None:
    bomb = gzip.compress(b"0" * (70 * 2**20))

    status, _, answer = caller("POST", "predictions", bomb, HTTP_CONTENT_ENCODING="gzip")

    assert status == 413
    assert "64 MB" in json.loads(answer)["detail"]


def test_a_body_too_large_is_refused_before_it_is_read(caller: Any) -> None:
    status, _, _ = caller("POST", "predictions", b"", CONTENT_LENGTH=str(65 * 2**20))

    assert status == 413


def test_rows_that_fit_are_kept_when_others_do_not(caller: Any) -> None:
    rows = [{"id": "a", "timestamp": "2026-11-22T12:00:00Z"}, {"id": "b"}, {"id": "c", "timestamp": "2026-11-22T12:00:00Z", "score": "high"}]

    status, _, answer = caller("POST", "predictions", json.dumps({"rows": rows, "batch_id": "1"}).encode())

    receipt = json.loads(answer)
    assert (status, receipt["accepted"], receipt["rejected"]) == (202, 1, 2)
    assert receipt["errors"][0] == {"row": 1, "field": "timestamp", "message": "Field required", "remedy": "Add the field."}


@pytest.mark.parametrize("name", ["issued_at", "target_time"])
def test_a_time_of_a_forecast_that_is_none_is_refused_with_what_to_send(caller: Any, name: str) -> None:
    good = {"id": "a", "timestamp": "2026-11-22T12:00:00Z", "issued_at": "2026-11-22T06:00:00Z", "target_time": "2026-11-23", "score": {"q10": None}}

    status, _, answer = caller("POST", "predictions", json.dumps({"rows": [good, {**good, name: "soon"}]}).encode())

    receipt = json.loads(answer)
    assert (status, receipt["accepted"], receipt["rejected"]) == (202, 1, 1)
    assert (receipt["errors"][0]["row"], receipt["errors"][0]["field"]) == (1, name)
    assert receipt["errors"][0]["remedy"] == "Send an ISO 8601 time with its zone, e.g. 2026-11-22T14:30:00Z."


def test_the_same_batch_twice_is_one_and_another_content_is_a_conflict(caller: Any) -> None:
    def send(value: float) -> tuple[int, dict[str, Any]]:
        status, _, answer = caller("POST", "metrics", json.dumps({"batch_id": "w1", "rows": [{"name": "mape", "value": value}]}).encode())
        return status, json.loads(answer)

    assert send(1.0)[0] == 202
    status, receipt = send(1.0)
    assert (status, receipt["duplicate"]) == (200, True)
    assert send(2.0)[0] == 409


def test_all_rows_refused_is_422_and_they_are_in_quarantine(caller: Any) -> None:
    status, _, answer = caller("POST", "metrics", b'{"rows": [{"name": "mape"}]}')

    assert status == 422
    assert json.loads(answer)["rejected"] == 1
