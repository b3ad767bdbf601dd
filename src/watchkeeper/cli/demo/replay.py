"""Replay 2013 through the SDK and the real API: the clock moves to a morning, what happened until then is sent, the worker does its work."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd

import watchkeeper
from watchkeeper.cli.demo import flights
from watchkeeper.cli.demo.flights import DATA, FEATURES, VERSION, ScoredFlights
from watchkeeper.cli.demo.scenario import SILENT_FOR, ZONE, Registered
from watchkeeper.core.settings import DEMO_MARK

NEW_YORK = ZoneInfo(ZONE)
DAY, WEEK = timedelta(days=1), timedelta(days=7)
MORNING = timedelta(hours=7, minutes=5)
MONDAY = 0
CYCLE = timedelta(weeks=52)
DAY_BY_DAY = timedelta(weeks=2)  # the last weeks; what came before goes week by week, as nothing in it is judged more often
MONTHLY_RUN = timedelta(hours=6)  # of the first of a month


@dataclass
class State:
    """What the demo remembers between starts: its models, the shift of dates, and until when (New York's clock of now) it has sent."""

    models: dict[str, Registered]
    shift: timedelta
    sent_until: datetime

    @classmethod
    def read(cls, folder: Path) -> State:
        stored = json.loads((folder / DEMO_MARK).read_text())
        models = {key: Registered(**entry) for key, entry in stored["models"].items()}
        return cls(models, timedelta(days=stored["shift_days"]), datetime.fromisoformat(stored["sent_until"]))

    def write(self, folder: Path) -> None:
        models = {key: {"id": entry.id, "token": entry.token} for key, entry in self.models.items()}
        document = {"models": models, "shift_days": self.shift.days, "sent_until": self.sent_until.isoformat()}
        draft = folder / f"{DEMO_MARK}.draft"
        draft.write_text(json.dumps(document))
        draft.chmod(0o600)  # it holds tokens
        draft.replace(folder / DEMO_MARK)


@dataclass
class Feed:
    """The three models' own programs: what they send, and when."""

    scored: ScoredFlights
    state: State
    address: str
    folder: Path
    started_at: datetime
    clients: Mapping[str, watchkeeper.Client] = field(init=False)
    employment: pd.DataFrame = field(init=False)

    def __post_init__(self) -> None:
        spool = self.folder / "spool"
        self.clients = {key: watchkeeper.connect(self.address, entry.token, spool=spool / key) for key, entry in self.state.models.items()}
        self.employment = pd.read_parquet(DATA / "employment.parquet").sample(frac=1, random_state=1).reset_index(drop=True)

    def log_trainings(self, now: datetime) -> None:
        """Each model says what it was trained on, once."""
        trained_at = (flights.TRAINED_UNTIL + self.state.shift).replace(tzinfo=NEW_YORK)
        training = self.scored.training
        self.clients["flights"].log_training(
            version=VERSION, reference=training[FEATURES], metrics=flights.quality(training), data_sources=SOURCES, trained_at=trained_at
        )
        self.clients["flights"].log_event("deployed", version=VERSION, timestamp=trained_at)
        self.clients["gates"].log_training(version="rules-4", reference=training[["hour", "carrier", "dest"]], trained_at=trained_at)
        self.clients["gates"].log_event("deployed", version="rules-4", timestamp=trained_at)
        reference = pd.read_parquet(DATA / "employment_reference.parquet")
        accuracy = float((reference["employed"] == reference["prediction"]).mean())
        inputs = reference.drop(columns=["id", "employed", "year", "prediction", "predicted_probability"])
        tried = reference.rename(columns={"employed": "label", "predicted_probability": "score"})
        self.clients["employment"].log_training(
            version="2014", reference=inputs, validation=tried, metrics={"accuracy": accuracy}, trained_at=trained_at
        )
        self.clients["employment"].log_event("deployed", version="2014", timestamp=trained_at)
        self.clients["employment"].log_metrics({"accuracy": accuracy}, dataset="validation", timestamp=trained_at)
        self.flush()

    def send_between(self, start: datetime, end: datetime) -> int:
        """Flights scheduled in [start, end) of New York's clock now, with what is known of them; returns how many rows."""
        found = self._flights(start, end)
        if len(found):
            self._send_flights(found, known_by=end)
            if end <= self._silent_from():
                self._send_gates(found[found["origin"] == "JFK"])
        for month in pd.date_range(start.replace(hour=0, minute=0, second=0, microsecond=0), end, freq="MS"):
            if start <= month + MONTHLY_RUN < end:
                self._send_employment((month + MONTHLY_RUN).to_pydatetime())
        return len(found)

    def send_week(self, monday: datetime) -> None:
        """The metrics of the week before, as the models' own pipelines compute them on Monday morning."""
        week = self._flights(monday - WEEK, monday)
        measured = flights.quality(week)
        if measured:
            self.clients["flights"].log_metrics(measured, dataset="production", timestamp=monday.replace(tzinfo=NEW_YORK))
        jfk = week[week["origin"] == "JFK"]
        if len(jfk) and monday <= self._silent_from():
            holds = float(100 * jfk["decision"].mean())
            self.clients["gates"].log_metrics({"holds_per_100": holds}, timestamp=monday.replace(tzinfo=NEW_YORK))

    def flush(self) -> None:
        """All three at once: each waits for its own disk and network."""
        with ThreadPoolExecutor(len(self.clients)) as pool:
            for done in [pool.submit(client.flush, 60) for client in self.clients.values()]:
                done.result()

    def close(self) -> None:
        for client in self.clients.values():
            client.close()

    def _silent_from(self) -> datetime:
        return self.started_at - SILENT_FOR

    def _flights(self, start: datetime, end: datetime) -> pd.DataFrame:
        """Flights of 2013 moved to now; after its last day the year begins again, 52 weeks later."""
        moved, laps = self.state.shift, 0
        while start - moved > flights.LAST_DAY + DAY:
            moved, laps = moved + CYCLE, laps + 1
        found = self.scored.between(start - moved, end - moved)
        return found.assign(ts=found["ts"] + moved, id=found["id"].astype("str") + (f"-{laps}" if laps else ""))

    def _send_flights(self, day: pd.DataFrame, *, known_by: datetime) -> None:
        """With the truth of those that landed: known at their landing, about three quarters of an hour and a minute per 7.5 miles after schedule."""
        client = self.clients["flights"]
        client.log_predictions(
            day[["id", "ts", "decision", "score", *FEATURES]],
            id="id",
            timestamp="ts",
            prediction="decision",
            score="score",
            features=FEATURES,
            segments=["origin"],
            version=VERSION,
        )
        landed = day[day["late"].notna()]
        minutes = 45 + landed["distance"] / 7.5 + landed["arrival_delay"]
        known = (landed["ts"] + pd.to_timedelta(minutes, unit="min")).where(lambda at: at < known_by, known_by)
        labels = landed[["id", "ts"]].assign(late=landed["late"].astype(bool), known=known.dt.floor("s"))
        client.log_labels(labels, id="id", label="late", timestamp="known", prediction_timestamp="ts")

    def _send_gates(self, day: pd.DataFrame) -> None:
        frame = day[["id", "ts", "hour", "carrier", "dest"]].assign(hold=day["decision"])
        self.clients["gates"].log_predictions(
            frame, id="id", timestamp="ts", prediction="hold", features=["hour", "carrier", "dest"], version="rules-4"
        )

    def _send_employment(self, day: datetime) -> None:
        """The monthly run: a twelfth of the survey's rows, with the day of the run as their time."""
        part = self.employment.iloc[(day.month - 1) :: 12]
        inputs = [name for name in part.columns if name not in ("id", "year", "prediction", "predicted_probability")]
        frame = part[["prediction", "predicted_probability", *inputs]].assign(id=f"{day:%Y-%m}-" + part["id"].astype("str"), ts=day)
        self.clients["employment"].log_predictions(
            frame,
            id="id",
            timestamp="ts",
            prediction="prediction",
            score="predicted_probability",
            features=inputs,
            version="2014",
            run_id=f"{day:%Y-%m}",
        )


SOURCES = ["postgres://dwh/flights.departures", "postgres://dwh/weather.asos_hourly"]


def replay(feed: Feed, *, until: datetime, move_clock: Callable[[datetime], None], work: Callable[[], None], on_day: Callable[[int], None]) -> None:
    """Step by step: the clock stands at a morning, what came before it is sent, and the worker works until nothing is left."""
    at = feed.state.sent_until
    while (following := step_end(at, until)) + MORNING <= until:
        move_clock(utc(following + MORNING))
        rows = feed.send_between(at, following)
        if following.weekday() == MONDAY:
            feed.send_week(following)
        feed.flush()
        work()
        feed.state.sent_until = at = following
        on_day(rows)


def step_end(at: datetime, until: datetime) -> datetime:
    """The next Monday as long as that is weeks ago, then the next midnight.

    >>> step_end(datetime(2026, 3, 6), datetime(2026, 11, 22)), step_end(datetime(2026, 11, 20), datetime(2026, 11, 22))
    (datetime.datetime(2026, 3, 9, 0, 0), datetime.datetime(2026, 11, 21, 0, 0))
    """
    monday = at + DAY * (7 - at.weekday())
    return monday if monday + DAY_BY_DAY <= until else at + DAY


def utc(local: datetime) -> datetime:
    return local.replace(tzinfo=NEW_YORK).astimezone(UTC)


def local(at: datetime) -> datetime:
    """A moment on New York's clock, naive as the data."""
    return at.astimezone(NEW_YORK).replace(tzinfo=None)
