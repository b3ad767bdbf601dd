"""Rows of the five ingest calls, validated at the border with pydantic. Server side only: the SDK sends what callers give it.

Prediction and label rows may carry further scalar fields: they are the segment fields (region, channel, …).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from watchkeeper.wire import FIRST_YEAR, LAST_YEAR, Stream

Name = Annotated[str, Field(min_length=1, max_length=200)]
RowId = Annotated[
    str,
    BeforeValidator(lambda given: str(given) if isinstance(given, int) and not isinstance(given, bool) else given),
    Field(min_length=1, max_length=200),
]
MOST_FEATURES = 2000  # that have an importance
Scalar = str | bool | int | float | None
Feature = Scalar | list[float | None]


def _within_years(at: datetime) -> datetime:
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise ValueError(f"{at.isoformat()} is outside the years {FIRST_YEAR}-{LAST_YEAR}")
    return at


Moment = Annotated[datetime, AfterValidator(_within_years)]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=True)


class PredictionRow(_Row):
    """One prediction. `score` is a probability or number, or `{class: p}`; further fields are segments.

    Of a ranking each item shown is a row: `query_id` says for which query, `rank` (1 is first) at which place. A forecast made at `issued_at` is
    about `target_time`; how far ahead that is is its segment `horizon`, unless you send one.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Scalar]

    id: RowId
    timestamp: Moment
    prediction: Scalar = None
    score: float | dict[str, float | None] | None = None
    features: dict[str, Feature] = Field(default_factory=dict)
    version: str | None = Field(None, max_length=200)
    run_id: str | None = Field(None, max_length=200)
    instance: str | None = Field(None, max_length=200)
    query_id: RowId | None = None
    rank: float | None = None
    item: RowId | None = None
    issued_at: Moment | None = None
    target_time: Moment | None = None


class LabelRow(_Row):
    """The truth about one prediction. `timestamp` is when it became known (default: received)."""

    id: RowId
    label: Scalar
    timestamp: Moment | None = None
    prediction_timestamp: Moment | None = None


class MetricRow(_Row):
    name: Name
    value: float = Field(allow_inf_nan=False)
    timestamp: Moment | None = None
    dataset: str = Field("", max_length=200)
    version: str = Field("", max_length=200)
    segment: str = Field("", max_length=200)


class EventRow(_Row):
    """Something that happened to the model: "deployed", "self_check", "process_changed", … Further fields are kept."""

    model_config = ConfigDict(extra="allow")

    type: Name
    timestamp: Moment | None = None


class ValidationRow(_Row):
    """A row the version was tried on, with its truth. Further fields are segments."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Scalar]

    label: Scalar
    prediction: Scalar = None
    score: float | None = None


class TrainingRow(_Row):
    """One training: makes a candidate version with its baseline. `schema` maps column names to types; `reference` are rows of the training set.

    `importances` says how much each feature matters to the model, in any unit. `validation` are rows that the training did not see: from their scores and labels it is learned what a score means (binary models).
    """

    version: Name
    trained_at: Moment | None = None
    schema_: dict[Name, str] | None = Field(None, alias="schema")
    metrics: dict[Name, float] = Field(default_factory=dict)
    data_sources: list[Name] = Field(default_factory=list)
    reference: list[dict[str, Feature]] | None = None
    importances: dict[Name, float | None] = Field(default_factory=dict, max_length=MOST_FEATURES)
    validation: list[ValidationRow] | None = None


ROWS: dict[Stream, type[_Row]] = {
    Stream.PREDICTIONS: PredictionRow,
    Stream.LABELS: LabelRow,
    Stream.METRICS: MetricRow,
    Stream.EVENTS: EventRow,
    Stream.TRAINING: TrainingRow,
}
ADAPTERS: dict[Stream, TypeAdapter[Any]] = {stream: TypeAdapter(row) for stream, row in ROWS.items()}  # Any: five row types


class RowError(BaseModel):
    """Why one row was refused: which (0-based), which field, what is wrong, what to do."""

    row: int
    field: str
    message: str
    remedy: str


class Receipt(BaseModel):
    """The answer to an ingest call. `errors` holds the first 100."""

    batch_id: str
    rows: int
    accepted: int
    rejected: int
    duplicate: bool = False
    errors: list[RowError] = []


def row_errors(index: int, problem: ValidationError) -> list[RowError]:
    """Pydantic's findings in the words of the wire."""
    return [
        RowError(row=index, field=".".join(map(str, error["loc"])), message=error["msg"], remedy=_remedy(error["type"]))
        for error in problem.errors(include_url=False, include_input=False, include_context=False)
    ]


def _remedy(kind: str) -> str:
    if kind == "missing":
        return "Add the field."
    if kind == "extra_forbidden":
        return "Remove the field, or move it into `features`."
    if kind.startswith("datetime"):
        return "Send an ISO 8601 time with its zone, e.g. 2026-11-22T14:30:00Z."
    if kind == "greater_than_equal":
        return "Send 0 or a larger number."
    if kind == "too_long":
        return "Send fewer of them."
    return "Send the type that the API documentation names for this field."


def as_utc(at: datetime) -> datetime:
    """A naive time is read as UTC here; the model's own time zone is applied when rows are decoded."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
