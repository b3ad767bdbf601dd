"""The flight model: "lands more than 30 minutes late", trained on January and February, and what it makes of the rest of the year."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

DATA = Path(__file__).parent / "data"
NUMERIC = ["hour", "distance", "temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib"]
CATEGORICAL = ["carrier", "origin", "dest"]
FEATURES = NUMERIC + CATEGORICAL
LATE_MINUTES = 30
TRAINED_UNTIL = datetime(2013, 3, 1)  # noqa: DTZ001 - New York's clock, as the data
LAST_DAY = datetime(2013, 12, 31)  # noqa: DTZ001 - the same
VERSION = "2013-02"


@dataclass(frozen=True)
class ScoredFlights:
    """All flights with score and decision; `threshold` is the score from which a flight is announced as late."""

    frame: pd.DataFrame
    threshold: float
    training: pd.DataFrame

    def between(self, start: datetime, end: datetime) -> pd.DataFrame:
        """Flights scheduled in [start, end), New York's clock of 2013."""
        first, last = self.frame["ts"].searchsorted(np.array([start, end], dtype="datetime64[us]"))
        return self.frame.iloc[first:last]


def train() -> ScoredFlights:
    """Train on January and February, score the whole year. About five seconds."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # seconds to load: only the process that trains waits for it

    frame = pd.read_parquet(DATA / "flights.parquet").rename(columns={"scheduled_departure": "ts"})
    frame["hour"] = frame["ts"].dt.hour.astype("float32")
    frame["late"] = np.where(frame["arrival_delay"].isna(), np.nan, frame["arrival_delay"] > LATE_MINUTES)
    inputs = frame[NUMERIC].assign(**{name: frame[name].astype("category") for name in CATEGORICAL})
    is_training = (frame["ts"] < TRAINED_UNTIL) & frame["late"].notna()
    model = HistGradientBoostingClassifier(
        categorical_features="from_dtype", max_iter=120, learning_rate=0.07, max_leaf_nodes=15, min_samples_leaf=100, random_state=1
    )
    model.fit(inputs[is_training], frame["late"][is_training])
    frame["score"] = model.predict_proba(inputs)[:, 1]
    threshold = float(frame["score"][is_training].quantile(1 - frame["late"][is_training].mean()))
    frame["decision"] = frame["score"] >= threshold
    return ScoredFlights(frame, threshold, frame[is_training])


def quality(flights: pd.DataFrame) -> dict[str, float]:
    """What the week's landed flights say of the model. Empty below 100 flights or without both outcomes."""
    landed = flights[flights["late"].notna()]
    if len(landed) < 100 or landed["late"].nunique() < 2:
        return {}
    missed = (landed["late"] == 1) & ~landed["decision"]
    return {
        "brier": float(((landed["late"] - landed["score"]) ** 2).mean()),
        "calibration_gap": float((landed["late"] - landed["score"]).mean()),
        "missed_late_per_1000": float(1000 * missed.mean()),
        "roc_auc": roc_auc(landed["late"] == 1, landed["score"]),
    }


def roc_auc(truth: pd.Series, score: pd.Series) -> float:
    """How often a late flight has a higher score than one that is not, ties counted half: from the ranks of the late ones (Mann and Whitney).

    >>> roc_auc(pd.Series([False, True, False, True]), pd.Series([0.1, 0.4, 0.4, 0.8]))
    0.875
    """
    late = int(truth.sum())
    return float((score.rank()[truth].sum() - late * (late + 1) / 2) / (late * (len(truth) - late)))


def shift_to(now: datetime) -> timedelta:
    """Whole weeks that move 2013 so that its last day is yesterday or in the days just after: weekdays stay weekdays."""
    yesterday = now - timedelta(days=1)
    return timedelta(weeks=-(-(yesterday - LAST_DAY).days // 7))
