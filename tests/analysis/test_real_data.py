"""Estimated beside realised performance on real data: a census with labels a year late, and a year of flights whose meaning changes in summer.

`-s` prints the tables. The short form has fewer cases: `--long` goes through the whole year and many more re-weighted populations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tests.conftest import Runs
from tests.oracles.shown import show
from watchkeeper.analysis.causes import Cause, why
from watchkeeper.analysis.estimates import Estimator, estimator_of, record_of
from watchkeeper.analysis.metrics import score_table
from watchkeeper.analysis.outcomes import SegmentHistory, by_day
from watchkeeper.cli.demo import flights
from watchkeeper.core.finding import Outcome
from watchkeeper.risks import calibration_error, estimated_performance_drop
from watchkeeper.stats.audit import prediction_powered_mean, rows_to_label
from watchkeeper.stats.estimated import CalibrationMap, Trust, estimates
from watchkeeper.stats.performance import METRICS
from watchkeeper.stats.result import Assumption, Result
from watchkeeper.stats.scores import ScoreTable, score_codes
from watchkeeper.telemetry import engines
from watchkeeper.telemetry.days import day_starts
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.telemetry.outcome_queries import OutcomeKind
from watchkeeper.telemetry.outcomes import DayOutcomes, day_outcomes
from watchkeeper.wire import Stream

DAY = timedelta(days=1)
POINT = 0.01

CENSUS = Path(__file__).parent.parent / "data" / "employment_counts.parquet"
REFERENCE_YEAR, YEARS = 2015, (2016, 2017, 2018)
FIELDS = {"": "all together", "male": "by sex", "age_from": "by age band"}
ESTIMATED = ("accuracy", "roc_auc", "f1")
MOVED = 0.04
SAMPLE = 50_000
FLATTENED = 0.6
AUDITED = 500

NEW_YORK = ZoneInfo("America/New_York")
MODEL = UUID(int=1)
MORNING = time(7, 5)  # by then all labels but a few of a hundred thousand are known
WAVE_GAP = 0.08
WEEK = 7  # days, of a wave and of the estimator's record
SUMMER = (6, 7)  # June and July


@dataclass(frozen=True, kw_only=True)
class Census:
    """People by survey year: male, age_from, employed, score (the middle of its bin, which is all that an estimate reads).

    `calibrations` are learned from the reference year, by each field that a user would declare.
    """

    years: dict[int, pd.DataFrame]
    calibrations: dict[str, CalibrationMap]

    def compared(self, population: str, people: pd.DataFrame) -> list[Compared]:
        unlabelled = people.assign(employed=np.nan)
        estimated = {field: estimates(tables(unlabelled, field), calibration) for field, calibration in self.calibrations.items()}
        return [
            Compared(
                population=population,
                metric=metric,
                truth=realised(metric, people),
                of_reference=realised(metric, self.years[REFERENCE_YEAR]),
                estimated={field: found[metric].result for field, found in estimated.items()},
            )
            for metric in ESTIMATED
        ]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A metric of one population: what came true, and what was estimated with the calibration of each field."""

    population: str
    metric: str
    truth: float
    of_reference: float
    estimated: dict[str, Result]

    def error(self, field: str) -> float:
        return abs(self.estimated[field].estimate - self.truth)


@pytest.fixture(scope="module")
def census() -> Census:
    counts = pd.read_parquet(CENSUS)
    people = counts.loc[counts.index.repeat(counts["n"])].assign(score=lambda rows: (rows["score_bin"] + 0.5) / 200)
    years = {int(year): rows.reset_index(drop=True) for year, rows in people.groupby("year")}
    return Census(years=years, calibrations={field: CalibrationMap.of(tables(years[REFERENCE_YEAR], field)) for field in FIELDS})


def test_estimates_of_later_survey_years_are_within_a_point(census: Census) -> None:
    rows = [row for year in YEARS for row in census.compared(str(year), census.years[year])]

    show_census("Census: each survey year, calibration of 2015", rows)
    assert all(row.error(field) <= POINT for row in rows for field in FIELDS)


def test_estimates_follow_a_population_that_moves_accuracy_by_four_points(census: Census, runs: Runs) -> None:
    """One population of twenty may miss the point. One of the sixty does: half of it is 16 to 24, whose accuracy has itself fallen since 2015."""
    rows = [
        row
        for year in YEARS
        for sign in (1, -1)
        for name, sample in moved_populations(census.years[year], sign, cases=runs(1, 10))
        for row in census.compared(f"{year}, {name}", sample)
    ]

    show_census("Census: re-weighted by age band until realised accuracy moves by four points, calibration of 2015", rows)
    for metric in ESTIMATED:
        errors = {field: np.array([row.error(field) for row in rows if row.metric == metric]) for field in FIELDS}
        of_fields = (f"{name}: mean {errors[field].mean():.4f}, most {errors[field].max():.4f}" for field, name in FIELDS.items())
        print(f"\nerror of {metric}, {len(errors[''])} populations: {'; '.join(of_fields)}")
        assert (errors["age_from"] <= POINT).mean() >= 0.95


def test_flattened_labels_leave_the_estimate_where_it_was_and_500_audited_rows_see_them(census: Census, runs: Runs) -> None:
    """P(y|x) is drawn 60 % towards 1/2, as in METHODS.md §2.4: the same scores, which mean less."""
    people, calibration = census.years[YEARS[0]], census.calibrations["age_from"]
    before = estimates(tables(people, "age_from"), calibration)["accuracy"].result
    decided, p = (people["score"] >= 0.5).to_numpy(), probabilities(people, calibration)
    flattened = people.assign(employed=np.random.default_rng(1).random(len(people)) < 0.5 + (p - 0.5) * (1 - FLATTENED))
    truth = realised("accuracy", flattened)

    estimate = estimates(tables(flattened, "age_from"), calibration)["accuracy"].result
    right, expected = (flattened["employed"] == decided).to_numpy(), np.where(decided, p, 1 - p)
    audits = [audit(right, expected, seed) for seed in range(runs(30, 1000))]

    covered = np.mean([result.low <= truth <= result.high for result in audits])
    show(
        "Honesty: labels flattened by 60 %",
        ("", "accuracy", "low", "high"),
        [
            ("realised before", realised("accuracy", people), "", ""),
            ("realised after", truth, "", ""),
            ("estimated before", before.estimate, before.low, before.high),
            ("estimated after", estimate.estimate, estimate.low, estimate.high),
            ("500 audited rows", audits[0].estimate, audits[0].low, audits[0].high),
        ],
    )
    print(f"\n{len(audits)} audits: {covered:.1%} of the intervals hold the truth, the highest bound is {max(result.high for result in audits):.4f}")
    assert estimate == before
    assert truth < estimate.low - 0.1
    assert Assumption.NO_CONCEPT_DRIFT in estimate.assumptions
    assert audits[0].low <= truth <= audits[0].high
    assert all(result.high < estimate.low for result in audits)
    assert covered >= 0.9
    assert all(Assumption.RANDOM_SAMPLE in result.assumptions for result in audits)


def show_census(title: str, rows: Sequence[Compared]) -> None:
    head = ("population", "metric", "realised", *FIELDS.values(), *(f"error {name}" for name in FIELDS.values()), "error of a constant")
    body = [
        (
            row.population,
            row.metric,
            row.truth,
            *(row.estimated[field].estimate for field in FIELDS),
            *map(row.error, FIELDS),
            abs(row.truth - row.of_reference),
        )
        for row in rows
    ]
    show(title, head, body)


def moved_populations(people: pd.DataFrame, sign: int, *, cases: int) -> Iterator[tuple[str, pd.DataFrame]]:
    """The first so many seeds whose shares of the age bands move realised accuracy up or down; the estimate is not looked at."""
    bands = list(people.groupby("age_from").indices.values())
    usual, found = realised("accuracy", people), 0
    for seed in count():
        rng = np.random.default_rng(seed)
        sizes = rng.multinomial(SAMPLE, rng.dirichlet(np.ones(len(bands))))
        sample = people.iloc[np.concatenate([rng.choice(band, size) for band, size in zip(bands, sizes, strict=True)])]
        moved = realised("accuracy", sample) - usual
        if sign * moved >= MOVED:
            found += 1
            yield f"seed {seed}, moved {moved:+.3f}", sample
            if found == cases:
                return


def tables(people: pd.DataFrame, field: str) -> dict[str, ScoreTable]:
    if not field:
        return {"": ScoreTable.of(people["score"], people["employed"])}
    return {str(name): ScoreTable.of(part["score"], part["employed"]) for name, part in people.groupby(field)}


def realised(metric: str, people: pd.DataFrame) -> float:
    return METRICS[metric].compute(ScoreTable.of(people["score"], people["employed"])).estimate


def probabilities(people: pd.DataFrame, calibration: CalibrationMap) -> np.ndarray:
    bands, names = pd.factorize(people["age_from"])
    return calibration.probabilities(map(str, names))[bands, score_codes(people["score"])]


def audit(right: np.ndarray, expected: np.ndarray, seed: int) -> Result:
    """What 500 rows drawn at random say of the accuracy, whose prediction by row is `expected`."""
    drawn = rows_to_label(expected, AUDITED, rng=np.random.default_rng(seed))
    return prediction_powered_mean(right[drawn], expected[drawn], mean=expected.mean(), variance=expected.var(), n=expected.size)


@dataclass(frozen=True, kw_only=True)
class Wave:
    """Seven days in which late flights were more than eight in a hundred more than predicted; `gap` is by how much."""

    days: tuple[date, ...]
    gap: float


@dataclass(frozen=True, kw_only=True)
class Year:
    """Flights since the model went to work, counted by day from a real log, and the waves as the raw data tell them."""

    outcomes: tuple[DayOutcomes, ...]
    waves: tuple[Wave, ...]

    @property
    def last(self) -> date:
        return self.outcomes[-1].day

    def seen(self, last: date) -> SegmentHistory:
        """What is known on the morning after the day `last`."""
        seen = [entry for entry in self.outcomes if entry.day <= last]
        of_origin: dict[str, list[DayOutcomes]] = {}
        for entry in seen:
            if entry.field:
                of_origin.setdefault(entry.segment, []).append(entry)
        total = tuple(entry for entry in seen if not entry.field)
        return SegmentHistory(
            now=datetime.combine(last + DAY, MORNING, NEW_YORK).astimezone(UTC),
            kind=OutcomeKind.DECISIONS,
            days=total,
            ends={entry.day: day_starts(entry.day + DAY, NEW_YORK) for entry in total},
            segments={"origin": {name: by_day(entries) for name, entries in of_origin.items()}},
        )

    def learned(self, last: date) -> tuple[SegmentHistory, Estimator]:
        history = self.seen(last)
        estimator = estimator_of(history)
        assert estimator is not None
        return history, estimator


@pytest.fixture(scope="module")
def year(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Year:
    """From March on, until the end of July in the short form."""
    end = flights.LAST_DAY + DAY if request.config.getoption("--long") else datetime(2013, 8, 1)  # noqa: DTZ001 - New York's clock, as the data
    frame = flights.train().between(flights.TRAINED_UNTIL, end)
    outcomes = counted(TelemetryLog(tmp_path_factory.mktemp("flights")), frame)
    return Year(outcomes=tuple(sorted(outcomes, key=lambda entry: entry.day)), waves=tuple(wave_of(frame, month) for month in SUMMER))


def test_the_calibration_error_fires_within_two_days_of_each_wave_of_summer(year: Year) -> None:
    first = date(2013, 6, 1)
    days = [first + DAY * n for n in range((year.last - first).days + 1)]
    found = {day: calibration_error.evaluate(year.seen(day), calibration_error.Params()) for day in days}
    fired = [day for day in days if found[day].outcome is Outcome.FIRED]

    show(
        "Flights: waves of summer, and the first morning on which calibration_error fires",
        ("wave", "observed - predicted", "first mature", "fires"),
        [
            (named(wave), wave.gap, morning(wave.days[0]), next((morning(day) for day in fired if day >= wave.days[0]), "never"))
            for wave in year.waves
        ],
    )
    print(f"\nmornings that fire, by month: {dict(Counter(f'{day:%B}' for day in fired))}")
    for wave in year.waves:
        assert year.seen(wave.days[0]).mature[-1] == wave.days[0]
        assert set(fired) & set(wave.days[:3])


def test_the_estimator_does_not_see_the_waves_and_says_what_it_takes_for_granted(year: Year) -> None:
    """ROC AUC does not fall in truth either. Estimated accuracy falls by two or three points, for the scores are nearer to the cut-off in summer:
    half of what it loses in truth, and its band still holds the reference."""
    for wave in year.waves:
        history, estimator = year.learned(wave.days[-1])
        table, reference = (score_table(history.of(days)) for days in (wave.days, estimator.periods.reference))
        realised, usual = ({name: METRICS[name].compute(given) for name in (*ESTIMATED, "brier")} for given in (table, reference))
        estimated = {name: estimator.estimate(name, wave.days) for name in realised}

        show(
            f"Flights: {named(wave)}, estimated without labels",
            ("metric", "reference", "estimated", "low", "high", "realised"),
            [(name, usual[name].estimate, found.estimate, found.low, found.high, realised[name].estimate) for name, found in estimated.items()],
        )
        assert METRICS["calibration_gap"].compute(table).estimate == pytest.approx(wave.gap, abs=0.001)
        assert wave.gap > WAVE_GAP
        assert estimated["roc_auc"].estimate >= usual["roc_auc"].estimate - POINT
        assert estimated["accuracy"].low <= usual["accuracy"].estimate <= estimated["accuracy"].high
        assert usual["accuracy"].estimate - realised["accuracy"].estimate > 1.5 * (usual["accuracy"].estimate - estimated["accuracy"].estimate)
        assert estimated["brier"].high < realised["brier"].estimate
        assert all(Assumption.NO_CONCEPT_DRIFT in found.assumptions for found in estimated.values())
        assert estimated_performance_drop.evaluate(history, estimated_performance_drop.Params()).outcome is Outcome.QUIET


def test_the_waves_come_from_the_concept(year: Year) -> None:
    shown = []
    for days in (*(wave.days for wave in year.waves), days_of_summer()):
        history, estimator = year.learned(days[-1])
        found = why(history, days, estimator.periods.reference)
        assert found is not None
        shown.append((f"{days[0]} to {days[-1]}", found.before, found.after, found.shift.concept, found.inputs, found.since, found.cause.name))
        assert found.cause is Cause.CONCEPT

    show(
        "Flights: squared error before and after, and where the change comes from",
        ("days", "before", "after", "concept", "inputs", "since", "cause"),
        shown,
    )


def test_after_two_misses_in_a_row_an_estimate_is_distrusted_until_two_hits(year: Year) -> None:
    """Every week of the year, as it was known when its days were mature: the record of yesterday is the beginning of today's."""
    params = estimated_performance_drop.Params(metric="accuracy")
    _, estimator = year.learned(year.last)
    shown, distrusted = [], []
    for name in ESTIMATED:
        tested = estimator.tested(name, window=WEEK)
        hits = [entry.is_hit for entry in tested]
        for at in range(1, len(hits)):
            history, then = year.learned(tested[at].last + DAY)
            trust = record_of(then.tested(name, window=WEEK)).trust
            assert [entry.last for entry in then.tested(name, window=WEEK)] == [entry.last for entry in tested[: at + 1]]
            if not hits[at] and not hits[at - 1]:
                assert trust is Trust.DISTRUSTED
            if hits[at] and hits[at - 1]:
                assert trust is not Trust.DISTRUSTED
            if name == "accuracy" and trust is Trust.DISTRUSTED:
                distrusted.append(tested[at].last)
                assert estimated_performance_drop.evaluate(history, params).outcome is Outcome.UNKNOWN
        shown.append((name, "".join("hit " if hit else "MISS " for hit in hits), f"{np.mean(hits):.0%}"))

    show("Flights: estimates of each week against what came out", ("metric", "weeks", "held"), shown)
    assert distrusted


def days_of_summer() -> tuple[date, ...]:
    first = date(2013, SUMMER[0], 1)
    return tuple(first + DAY * n for n in range(61))


def wave_of(frame: pd.DataFrame, month: int) -> Wave:
    """The first seven days beginning in the month whose gap is that of a wave: from the raw flights, before anything of ours looks at them."""
    landed = frame[frame["late"].notna()]
    for first in pd.date_range(f"2013-{month:02}-01", periods=30):
        span = landed[(landed["ts"] >= first) & (landed["ts"] < first + pd.Timedelta(days=WEEK))]
        gap = float((span["late"] - span["score"]).mean())
        if gap > WAVE_GAP:
            return Wave(days=tuple((first + pd.Timedelta(days=n)).date() for n in range(WEEK)), gap=gap)
    raise AssertionError(f"No wave in month {month}.")


def counted(log: TelemetryLog, frame: pd.DataFrame) -> list[DayOutcomes]:
    """Logged, and counted by the query of the platform. A label that is not known the next morning never comes."""
    at = frame["ts"].dt.tz_localize(NEW_YORK)
    known = at + pd.to_timedelta((45 + frame["distance"] / 7.5 + frame["arrival_delay"]).fillna(0), unit="min").dt.round("us")
    morning_after = (frame["ts"].dt.normalize() + pd.Timedelta(days=1, hours=MORNING.hour, minutes=MORNING.minute)).dt.tz_localize(NEW_YORK)
    landed = frame["late"].notna()
    told = landed & (known <= morning_after)
    assert (landed & ~told).sum() < 50
    version = pd.Series(flights.VERSION, index=frame.index)
    predictions = {"version": version, "prediction": frame["decision"], "score": frame["score"], "s.origin": frame["origin"]}
    log.append(MODEL, Stream.PREDICTIONS, as_logged(frame["id"], at, predictions), lane="test", sequence=1)
    labels = {"label": frame["late"][told] == 1}
    log.append(MODEL, Stream.LABELS, as_logged(frame["id"][told], known[told], labels), lane="test", sequence=1)
    days = sorted(set(frame["ts"].dt.date))
    engine = engines.get("duckdb").connect()
    try:
        return day_outcomes(engine, log, MODEL, OutcomeKind.DECISIONS, ("origin",), days, NEW_YORK, label_days=400, last_only=False)
    finally:
        engine.close()


def as_logged(id: pd.Series, at: pd.Series, columns: dict[str, pd.Series]) -> pa.Table:
    moment = at.dt.tz_convert(UTC)
    own = {
        "id": pa.array(id.astype(str)),
        "timestamp": pa.array(moment).cast(pa.timestamp("us", "UTC")),
        "batch": pa.array(np.ones(len(id), dtype=np.int64)),
        "row": pa.array(np.arange(len(id), dtype=np.int32)),
        "date": pa.array(moment.dt.date),
    }
    return pa.table(own | {name: pa.array(column) for name, column in columns.items()})


def named(wave: Wave) -> str:
    return f"{wave.days[0]:%d %B} to {wave.days[-1]:%d %B}"


def morning(day: date) -> str:
    return f"{day + DAY:%d %B} {MORNING:%H:%M}"
