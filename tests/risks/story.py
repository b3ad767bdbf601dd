"""The turns of a risk's story: `test_story_…` in the risk's own test file goes through them on a whole platform."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.random import Generator

from tests.platform import Platform
from watchkeeper.alerts.models import Notification
from watchkeeper.monitoring.models import RiskBinding
from watchkeeper.registry.models import RegisteredModel
from watchkeeper.wire import Stream

Rows = Sequence[Mapping[str, Any]]  # Any: values of features


def is_unknown(platform: Platform, risk: RiskBinding) -> None:
    """Never green by absence of data."""
    assert platform.condition(risk) == "ok"
    assert platform.light(risk.model) == "grey"
    assert platform.incident(risk) is None


def fires(platform: Platform, risk: RiskBinding, *, says: str) -> None:
    """It fired, the light shows it, an incident is open with a plan, somebody was told in words."""
    assert platform.condition(risk) == "firing"
    assert says in platform.explanation(risk), platform.explanation(risk)
    assert platform.light(risk.model) in ("yellow", "red")
    incident = platform.incident(risk)
    assert incident is not None
    assert incident.state == "open"
    assert incident.steps.count() >= 3
    assert Notification.objects.filter(incident=incident, kind="opened").exists()


def resolves(platform: Platform, risk: RiskBinding) -> None:
    assert platform.condition(risk) == "ok"
    incident = platform.incident(risk)
    assert incident is not None
    assert (incident.state, incident.how) == ("resolved", "auto")
    assert platform.light(risk.model) == "green"


def a_bad_day(
    platform: Platform,
    type: str,
    *,
    says: str,
    bad: Rows,
    good: Rows,
    reference: Rows | None = None,
    **wanted: Any,  # Any: fields of a binding
) -> None:
    """A model is compared with its training rows: unknown without a day, a bad day fires, a good one resolves."""
    model = platform.register()
    risk = platform.only(model, type, **wanted)
    platform.work()
    is_unknown(platform, risk)

    platform.train(model, reference=reference or good)
    for rows in (bad, good):
        platform.predict_features(model, rows)
        platform.work(days=1)
        platform.work(hours=7)
        if rows is bad:
            fires(platform, risk, says=says)
    resolves(platform, risk)


def normal_rows(mean: float = 0.0, *, sd: float = 1.0, count: int = 1500, seed: int = 2) -> Rows:
    """Rows with one feature x, normal."""
    return [{"x": value} for value in np.random.default_rng(seed).normal(mean, sd, count)]


@dataclass
class LabelledModel:
    """A model whose days pass, each with predictions and their labels, which come `delay` after them."""

    platform: Platform
    model: RegisteredModel
    delay: timedelta = timedelta(hours=6)
    waiting: list[dict[str, Any]] = field(default_factory=list)  # Any: JSON
    passed: int = 0

    def days(
        self,
        days: int,
        *,
        rows: int = 120,
        truth: Callable[[float], float] = float,
        row: Callable[[Generator], Mapping[str, Any]] | None = None,  # Any: JSON
    ) -> None:
        """So many days are over, then the worker does all it finds. `truth` is the share of positives at a score; `row` makes other rows, with "label"."""
        rng, predictions = np.random.default_rng(self.passed), []
        self.platform.clock.advance((timedelta(hours=12) - time_of_day(self.platform)) % timedelta(days=1))
        for _ in range(days):
            at = self.platform.clock.now()
            for _ in range(rows):
                entry = {"id": uuid4().hex, "timestamp": at.isoformat(), **(row(rng) if row else scored_row(rng, truth))}
                label = {"id": entry["id"], "label": entry.pop("label"), "prediction_timestamp": at.isoformat()}
                predictions.append(entry)
                self.waiting.append({**label, "timestamp": (at + self.delay).isoformat()})
            self.platform.clock.advance(timedelta(days=1))
        self.passed += days
        now = self.platform.clock.now().isoformat()
        known = [label for label in self.waiting if label["timestamp"] <= now]
        self.waiting = [label for label in self.waiting if label["timestamp"] > now]
        self.platform.send(self.model, Stream.PREDICTIONS, predictions)
        self.platform.send(self.model, Stream.LABELS, known)
        self.platform.work(seconds=1)
        self.platform.work(minutes=2)
        self.platform.work(hours=7)


def time_of_day(platform: Platform) -> timedelta:
    now = platform.clock.now()
    return now - now.replace(hour=0, minute=0, second=0, microsecond=0)


def scored_row(rng: Generator, truth: Callable[[float], float] = float) -> dict[str, Any]:  # Any: JSON
    """A row of a binary model, with its label."""
    score = float(rng.uniform())
    return {"score": score, "prediction": score >= 0.5, "label": bool(rng.uniform() < truth(score))}


def sized_row(*, rows: int = 120, large: float | None = None, louder: float = 1.0) -> Callable[[Generator], dict[str, Any]]:  # Any: JSON
    """Rows of a regression, with their labels: errors are a tenth of what is predicted, times `louder`. The share of large predictions is `large`, or
    changes with every `rows`."""
    turns = count()

    def row(rng: Generator) -> dict[str, Any]:  # Any: JSON
        share = 0.2 + 0.05 * (5 * (next(turns) // rows) % 7) if large is None else large
        prediction = float(rng.uniform(80, 100) if rng.uniform() < share else rng.uniform(10, 30))
        return {"prediction": prediction, "label": prediction * (1 + 0.1 * louder * float(rng.normal()))}

    return row
