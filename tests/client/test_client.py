"""The client never troubles its caller, and never tells the token."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import watchkeeper
from watchkeeper import wire
from watchkeeper.client import NotDelivered, _wire

TOKEN = "wk_a1b2_SecretSecretSecret"


def _hostile() -> Any:  # Any: it poses as whatever is asked for
    """An object that answers nothing. Made late: test collectors look into everything a module holds."""

    class Hostile:
        def __getattribute__(self, name: str) -> object:
            raise RuntimeError("leave me alone")

        def __repr__(self) -> str:
            raise RuntimeError("leave me alone")

    return Hostile()


def _garbage() -> dict[str, object]:
    return {
        "nothing": None,
        "a number": 7,
        "a text": "text",
        "bytes": b"bytes",
        "an object": object(),
        "a hostile object": _hostile(),
        "numbers in a list": [1, 2],
        "nothing in a list": [None],
        "an object in a row": {"id": object()},
        "a hostile object in a row": {"id": _hostile()},
        "a series": pd.Series([1]),
        "a function": lambda: None,
        "two columns of one name": pd.DataFrame([[1, 2]] * 300, columns=["id", "id"]),
    }


@pytest.mark.parametrize("kind", _garbage())
def test_garbage_never_raises_and_shows_in_last_error(kind: str, model: watchkeeper.Client, receiver: Any) -> None:
    model.log_predictions(_garbage()[kind])

    with pytest.raises(NotDelivered):
        model.flush()
    assert model.last_error


def test_every_call_survives_garbage(model: watchkeeper.Client) -> None:
    bad = _hostile()

    model.log_training(bad, reference=bad, metrics=bad, schema=bad, importances=bad)
    model.log_labels(bad, id=bad, label=bad)
    model.log_metrics(bad)
    model.log_event(bad, more=bad)
    model.log_predictions({"id": 1}, id=bad, features=bad, segments=bad)

    with pytest.raises(NotDelivered):
        model.flush()


def test_a_bad_row_does_not_take_its_neighbours_along(model: watchkeeper.Client, receiver: Any) -> None:
    loop: dict[str, Any] = {"id": "loop"}  # Any: contains itself
    loop["x"] = [loop]
    model.log_predictions([{"id": "good"}, {"id": "bad", "x": object()}, loop])

    with pytest.raises(NotDelivered, match="2 row"):
        model.flush()
    assert [row["id"] for row in receiver.rows("predictions")] == ["good"]


def test_a_missing_column_is_told_and_the_rows_go_without_it(model: watchkeeper.Client, receiver: Any) -> None:
    model.log_predictions({"id": 1, "probability": 0.5}, score="probabilty")
    model.flush()

    assert model.last_error == "No column 'probabilty' in the frame. It has: id, probability."
    assert len(receiver.rows("predictions")) == 1


def test_without_address_or_token_it_warns_once_and_discards(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.delenv("WATCHKEEPER_URL", raising=False)
    monkeypatch.delenv("WATCHKEEPER_TOKEN", raising=False)

    model = watchkeeper.connect()
    model.heartbeat()
    model.heartbeat()

    assert caplog.messages == ["Watchkeeper is off, rows are discarded. No address starting with http:// or https:// (WATCHKEEPER_URL is empty)."]
    with pytest.raises(NotDelivered, match="Watchkeeper is off"):
        model.flush()
    model.close()


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, receiver: Any, tmp_path: Path) -> None:
    monkeypatch.setenv("WATCHKEEPER_URL", f"{receiver.url}/")
    monkeypatch.setenv("WATCHKEEPER_TOKEN", f"{TOKEN}\n")
    monkeypatch.setenv("WATCHKEEPER_SPOOL", str(tmp_path / "elsewhere"))

    with watchkeeper.connect() as model:
        model.heartbeat()
        model.flush()

    assert f"Bearer {TOKEN}" == receiver.accepted[0].authorization
    assert (tmp_path / "elsewhere").is_dir()


@pytest.mark.parametrize("url", ["ftp://x", "http://[", "http://", "nonsense"])
def test_a_bad_address_never_raises(url: str, tmp_path: Path) -> None:
    with watchkeeper.connect(url, TOKEN, spool=tmp_path) as model:
        model.heartbeat()
        with pytest.raises(NotDelivered):
            model.flush(1)
        assert model.last_error


def test_the_token_is_in_no_log_and_no_repr(model: watchkeeper.Client, receiver: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    receiver.status, receiver.told = 422, {"detail": f"Bearer {TOKEN} is not welcome"}

    model.log_event("x")
    with pytest.raises(NotDelivered) as raised:
        model.flush()

    told = [caplog.text, repr(model), repr(vars(model)), str(model.last_error), str(raised.value)]
    assert all(TOKEN not in text and "SecretSecret" not in text for text in told)
    assert "*** is not welcome" in str(model.last_error)


def test_one_error_is_logged_once(model: watchkeeper.Client, receiver: Any, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(5):
        model.log_predictions(7)

    assert len([message for message in caplog.messages if "Cannot read a int" in message]) == 1


def test_a_self_check_that_passes_is_logged_with_its_counts(model: watchkeeper.Client, receiver: Any) -> None:
    result = model.self_check([1, 2, 3], [2.0, 4.0, 6.0], lambda inputs: [x * 2 + 1e-9 for x in inputs])
    model.flush()

    [event] = receiver.rows("events")
    del event["timestamp"]
    assert event == {"type": "self_check", "name": "self_check", "passed": 3, "failed": 0, "cases": 3, "failures": []}
    assert result.has_passed


def test_a_self_check_that_fails_shows_the_first_ten_cases(model: watchkeeper.Client, receiver: Any) -> None:
    frame = pd.DataFrame({"x": range(20)})
    result = model.self_check(frame, [0] * 20, lambda inputs: inputs["x"].to_numpy(), name="zeros")
    model.flush()

    [event] = receiver.rows("events")
    assert (event["passed"], event["failed"], event["cases"], len(event["failures"])) == (1, 19, 20, 10)
    assert event["failures"][0] == {"case": 1, "expected": 0, "got": 1}
    assert not result.has_passed


def test_a_self_check_whose_model_raises_tells_the_error(model: watchkeeper.Client, receiver: Any) -> None:
    def broken(inputs: object) -> None:
        raise RuntimeError("weights not found")

    result = model.self_check([1, 2], [1, 2], broken)
    model.flush()

    [event] = receiver.rows("events")
    assert (event["failed"], event["passed"], event["cases"], event["error"]) == (2, 0, 2, "RuntimeError: weights not found")
    assert (result.failed, result.error) == (2, event["error"])


def test_a_closed_client_says_so(model: watchkeeper.Client) -> None:
    model.close()
    model.heartbeat()

    assert model.last_error == "The client is closed: rows are discarded."


def test_the_client_speaks_the_format_of_the_server() -> None:
    assert [_wire.ARROW_STREAM, _wire.JSON, _wire.PREFIX, _wire.MAX_BATCH_BYTES] == [wire.ARROW_STREAM, wire.JSON, wire.PREFIX, wire.MAX_BATCH_BYTES]
    assert set(_wire.Stream) <= set(wire.Stream)


def test_importing_the_sdk_loads_nothing_heavy() -> None:
    heavy = "{'numpy', 'pandas', 'polars', 'pyarrow', 'pydantic', 'django'}"

    subprocess.run([sys.executable, "-c", f"import sys, watchkeeper; assert not {heavy} & set(sys.modules), sys.modules"], check=True)
