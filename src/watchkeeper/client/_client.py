"""The calls of the SDK. Each takes a copy and returns; what comes after happens in the background."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self

from watchkeeper.client._columns import Naming
from watchkeeper.client._content import frame_content, training_content
from watchkeeper.client._delivery import Delivery, Discarding
from watchkeeper.client._frames import Frame, Rows, take
from watchkeeper.client._inbox import Content, Entry
from watchkeeper.client._self_check import Given, SelfCheck, check
from watchkeeper.client._settings import Settings, read_settings
from watchkeeper.client._trouble import Trouble, in_words
from watchkeeper.client._wire import Stream

REFERENCE_ROWS = 10_000
PREDICTION_FIELDS = ("id", "timestamp", "prediction", "score", "version", "run_id", "instance")
LABEL_FIELDS = ("id", "label", "timestamp", "prediction_timestamp")
AnyFrame = Any  # Any: a pandas or polars DataFrame, a pyarrow Table, a list of dicts or one dict
Call = ParamSpec("Call")


def _never_raises(call: Callable[Concatenate[Client, Call], None]) -> Callable[Concatenate[Client, Call], None]:
    """Whatever is passed, the caller's code goes on: the problem becomes the client's `last_error`."""

    @functools.wraps(call)
    def safely(client: Client, /, *args: Call.args, **kwargs: Call.kwargs) -> None:
        try:
            call(client, *args, **kwargs)
        except Exception as problem:  # the promise of this SDK: logging never breaks a prediction
            client._trouble.note(f"{call.__name__}: {in_words(problem)}", lost_rows=1)

    return safely


def connect(
    url: str | None = None,
    token: str | None = None,
    *,
    spool: str | os.PathLike[str] | None = None,
    spool_bytes: int | None = None,
) -> Client:
    """A client of one model. Arguments, or WATCHKEEPER_URL, WATCHKEEPER_TOKEN, WATCHKEEPER_SPOOL and WATCHKEEPER_SPOOL_BYTES.

    Never raises: without a usable address and token it warns once and discards what is logged.
    """
    try:
        return Client(read_settings(url, token, spool, spool_bytes))
    except Exception as problem:  # a monitored service must start even when its monitoring is set up wrongly
        return Client(None, problem=f"Watchkeeper is off, rows are discarded. {problem}")


class Client:
    """Made by `connect`. Safe to share between threads and to keep over a fork."""

    def __init__(self, settings: Settings | None, *, problem: str = "") -> None:
        self._settings = settings
        self._trouble = Trouble(settings.token if settings else "")
        self._delivery: Delivery | Discarding
        if settings is None:
            self._trouble.note(problem)
            self._delivery = Discarding(self._trouble, problem)
            return
        self._delivery = Delivery(settings, self._trouble)
        self._delivery.start()  # not only at the first row: files of an earlier process may wait

    def __repr__(self) -> str:
        return f"<watchkeeper.Client {self._settings.url if self._settings else '(off)'}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def last_error(self) -> str | None:
        """The last thing that went wrong, for a health page; None when nothing has."""
        return self._trouble.last_error

    @_never_raises
    def log_training(
        self,
        version: str,
        reference: AnyFrame = None,
        *,
        metrics: Mapping[str, float] | None = None,
        importances: Mapping[str, float] | None = None,
        data_sources: Sequence[str] = (),
        schema: Mapping[str, str] | None = None,
        trained_at: datetime | str | None = None,
        validation: AnyFrame = None,
        segments: Sequence[str] = (),
    ) -> None:
        """A training: the server makes a candidate version with a baseline of it.

        Of `reference` (rows of the training set) at most 10,000 are sent, spread evenly. `schema` maps columns to double, string,
        boolean, timestamp or vector; what it leaves out is read off the reference.

        `importances` says how much each feature matters to the model, as numbers in any unit, below 0 is 0; drift of what matters counts more.

        Of `validation` (rows that the training did not see) the columns `label`, `score`, `prediction` and the `segments` are sent, of at
        most 10,000 rows. With them the performance of a binary model is estimated before its first label.
        """
        frame = None if reference is None else take(reference, at_most=REFERENCE_ROWS)
        fields = {
            "version": version,
            "trained_at": trained_at or datetime.now(UTC),
            "metrics": dict(metrics or {}),
            "data_sources": list(data_sources),
        }
        if importances is not None:
            fields["importances"] = dict(importances)
        tried = None if validation is None else take(validation, at_most=REFERENCE_ROWS)
        content = functools.partial(training_content, frame, fields, dict(schema or {}), tried, tuple(segments))
        self._delivery.accept(Entry(Stream.TRAINING, 1, sum(part.size for part in (frame, tried) if part), content))

    @_never_raises
    def log_predictions(
        self,
        frame: AnyFrame,
        *,
        id: str = "id",
        timestamp: str | None = None,
        prediction: str | None = None,
        score: str | None = None,
        features: Sequence[str] | None = None,
        segments: Sequence[str] = (),
        version: str | None = None,
        run_id: str | None = None,
        instance: str | None = None,
        issued_at: str | None = None,
        target_time: str | None = None,
    ) -> None:
        """Predictions as they are made; the arguments name columns.

        An argument left out means the column of that name, if there is one; a missing `timestamp` column means now. `version`, `run_id`
        and `instance` may also be a value for all rows. `features=None`: every column that is left over.

        Of a forecast, `issued_at` is when it was made and `target_time` what time it is about. A `horizon` of its own goes among the segments.
        """
        told = {name: column for name, column in {"issued_at": issued_at, "target_time": target_time}.items() if column}  # else they may be features
        given = (id, timestamp, prediction, score, version, run_id, instance, *told.values())
        self._log_frame(Stream.PREDICTIONS, frame, (*PREDICTION_FIELDS, *told), given, features, segments, datetime.now(UTC))

    @_never_raises
    def log_labels(
        self, frame: AnyFrame, *, id: str = "id", label: str = "label", timestamp: str | None = None, prediction_timestamp: str | None = None
    ) -> None:
        """The truth about earlier predictions. `timestamp` is when it became known; `prediction_timestamp` makes the join cheap."""
        self._log_frame(Stream.LABELS, frame, LABEL_FIELDS, (id, label, timestamp, prediction_timestamp))

    @_never_raises
    def log_metrics(
        self,
        metrics: Mapping[str, float],
        *,
        dataset: str | None = None,
        timestamp: datetime | str | None = None,
        version: str | None = None,
        segment: str | None = None,
    ) -> None:
        """Numbers computed elsewhere, by name."""
        given = {"dataset": dataset, "version": version, "segment": segment}
        told = {name: value for name, value in given.items() if value is not None}
        at = timestamp or datetime.now(UTC)
        self._log_rows(Stream.METRICS, [{"name": name, "value": value, "timestamp": at, **told} for name, value in metrics.items()])

    @_never_raises
    def log_event(self, type: str, /, *, timestamp: datetime | str | None = None, **fields: object) -> None:
        """Something that happened to the model; further fields are kept with it."""
        self._log_rows(Stream.EVENTS, [{**fields, "type": type, "timestamp": timestamp or datetime.now(UTC)}])

    def heartbeat(self) -> None:
        """The model is alive, even when it has nothing to predict."""
        self.log_event("heartbeat")

    def self_check(
        self,
        inputs: Given,
        expected: Given,
        predict: Callable[[Given], Given],
        tolerance: float = 1e-6,
        name: str = "self_check",
    ) -> SelfCheck:
        """Run known cases and log the outcome. `predict(inputs)` is called once, here and now, and gives one answer per expected one."""
        result = check(inputs, expected, predict, tolerance=tolerance, name=name)
        self.log_event("self_check", **result.as_fields())
        return result

    def flush(self, timeout: float = 30) -> None:
        """Wait until everything logged is at the server. The only call that raises: NotDelivered, when something is not."""
        self._delivery.flush(timeout)

    @_never_raises
    def close(self) -> None:
        """Bring everything to the disk and, within two seconds, to the server. The rest is sent by the next client."""
        self._delivery.close()

    def _log_frame(
        self,
        stream: Stream,
        given: AnyFrame,
        fields: tuple[str, ...],
        columns: tuple[str | None, ...],
        features: Sequence[str] | None = (),
        segments: Sequence[str] = (),
        now: datetime | None = None,
    ) -> None:
        """Everything but the copy waits for the writer's thread: names and columns are matched there."""
        frame = take(given)
        if rows := len(frame):
            content = functools.partial(_frame_content, frame, fields, columns, features, segments, now, self._trouble.note)
            self._delivery.accept(Entry(stream, rows, frame.size, content))

    def _log_rows(self, stream: Stream, rows: Iterable[Mapping[str, object]]) -> None:
        copied = Rows(rows)
        self._delivery.accept(Entry(stream, len(copied), copied.size, copied.records))


def _frame_content(
    frame: Frame,
    fields: tuple[str, ...],
    columns: tuple[str | None, ...],
    features: Sequence[str] | None,
    segments: Sequence[str],
    now: datetime | None,
    note: Callable[[str], None],
) -> Content:
    naming = Naming(dict(zip(fields, columns, strict=True)), features, segments)
    return frame_content(frame, naming, {"timestamp": now} if now else {}, note)
