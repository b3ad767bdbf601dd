"""What every query engine must do: the same counts from the same nasty rows. Engines are found by discovery."""

import math
from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import ibis
import numpy as np
import psycopg
import pyarrow as pa
import pytest

from tests.databases import connected
from watchkeeper.core.errors import InvalidInput, NotFound, Unavailable
from watchkeeper.telemetry import engines
from watchkeeper.telemetry.bins import NULL, ColumnBins, ColumnCounts, Layout, count_rows, make_bins
from watchkeeper.telemetry.columns import column_profiles
from watchkeeper.telemetry.days import Cut
from watchkeeper.telemetry.decode import decode
from watchkeeper.telemetry.derived_bins import derived_bins
from watchkeeper.telemetry.engines import FilesGone, Source, TableSource
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.telemetry.outcome_queries import OutcomeKind
from watchkeeper.telemetry.outcomes import day_outcomes
from watchkeeper.telemetry.profiles import BINS, count_scores, touched_windows, window_profiles
from watchkeeper.telemetry.relations import day_relations, relation_layout
from watchkeeper.wire import Stream

MODEL = UUID("00000000-0000-4000-8000-000000000003")
START = datetime(2026, 3, 29, tzinfo=UTC)
SCORES = (0.0, -0.0, 1.0, math.nextafter(0, -1), math.nextafter(1, 2), 0.25, 0.75, math.nan, math.inf, -math.inf, None, 1e308, -1e308)
VERSIONS = ("v1", "", "it's", 'a "quoted"\nname', "модель", None)


def nasty_log(tmp_path):
    """Two files of different schemas: the first has no score; the second sends half the ids of the first again."""
    log, windows = TelemetryLog(tmp_path / "a folder with 'quotes'"), set()
    plain = [{"id": f"{n}", "timestamp": (START + timedelta(minutes=7 * n)).isoformat(), "version": VERSIONS[n % 6]} for n in range(200)]
    scored = [{**row, "score": SCORES[n % 13]} for n, row in enumerate(plain) if n % 2]
    for batch, rows in enumerate((plain, scored)):
        table = decode(Stream.PREDICTIONS, rows, known={}, zone=UTC, batch=batch, received_at=START).table
        log.append(MODEL, Stream.PREDICTIONS, table, lane="worker", sequence=batch)
        windows |= touched_windows(table, UTC)
    return log, windows


def test_an_engine_counts_nasty_rows_right(engine, tmp_path):
    log, windows = nasty_log(tmp_path)

    profiles = window_profiles(engine, log, MODEL, windows, UTC)

    scores = [SCORES[n % 13] for n in range(200) if n % 2]
    sent = [score for score in scores if score is not None and not math.isnan(score)]
    inside = [score for score in sent if 0 <= score <= 1]
    total = sum((profile.counts for profile in profiles[1:]), profiles[0].counts)
    assert (total.rows, total.duplicates, total.score_nulls) == (200, 100, 200 - len(sent))
    assert total.score_counts[0] == sum(score < 0 for score in sent)
    assert total.score_counts[-1] == sum(score > 1 for score in sent)
    assert total.score_counts[BINS] == sum(score == 1 for score in sent)
    assert total.score_counts[BINS // 4 + 1] == sum(score == 0.25 for score in sent)
    assert total.score_sum == pytest.approx(sum(inside))
    assert total.score_spread == pytest.approx(sum(score * (1 - score) for score in inside))
    assert {profile.version for profile in profiles} == {version or "" for version in VERSIONS}
    assert {profile.start for profile in profiles} == windows


LONG = "x" * 190
EDGES = (0.0, -0.0, 1.0, -1.0, 0.1, 1e-200, 5e-324, 1e200, 1.7e308, -1e308, math.inf, -math.inf, math.nan, None, 2e154, 1e-160)
NUMBERS = (0.0, -0.0, 1.0, -1.0, 0.1, 1e-200, 1e100, math.inf, -math.inf, math.nan, None, 3.5, 1e140, 1e-160, 7.0)  # their sums need no order
BESIDE = {"naive": 0, "low": 3, "high": 5, "q05": 6, "q50": 8, "q99": 11}
WORDS = (" Yes", "no", "TRUE", "0", "", "it's", 'a "quoted"\nname', "модель", "100% %s", "Ø", None)
DAYS = [date(2026, 3, 28) + timedelta(days=n) for n in range(4)]  # the clocks of Berlin change on the second
BERLIN = ZoneInfo("Europe/Berlin")


def answered(engine, query, source, **moments):
    with engine.reading(source, **moments) as rows:
        return rows.run(query)


@pytest.fixture
def engine(each_engine):
    return each_engine


@pytest.fixture
def reference():
    engine = connected("duckdb", "")
    yield engine
    engine.close()


def nasty_rows(count, prediction, label):
    """Ids that come again, versions and words of all kinds, numbers at the edges of what a double holds, and labels that came twice or never."""
    at = [START - timedelta(hours=20) + timedelta(minutes=11 * n, microseconds=n) for n in range(count)]
    said = {"number": NUMBERS, "word": WORDS, "class": (1.0, 2.0, -3.0, 0.5, None)}[prediction]
    rows = [
        {
            "id": f"{n - (n % 10 == 9)}",
            "timestamp": at[n].isoformat(),
            "version": VERSIONS[n % 6],
            "run_id": (*WORDS[:4], None)[n // 40 % 5],
            "score": {"a": SCORES[n % 13], **{name: NUMBERS[(n + step) % 15] for name, step in BESIDE.items()}}
            if prediction == "number"
            else SCORES[n % 13],
            "prediction": said[n % len(said)],
            "features": {
                "number": NUMBERS[n % 15],
                "word": WORDS[n % 11],
                "flag": (True, False, None)[n % 3],
                "rate": SCORES[n % 11],
                "whole": n % 7,
                LONG + "a": n,
                LONG + "b": -n,
            },
            "region": WORDS[n % 11],
            "query_id": (*WORDS[:4], None)[n % 5],
            "rank": (1, 2, 3, 5e-324, -1, 1e308, math.inf, math.nan, None)[n % 9] if n % 2 else n,
        }
        for n in range(count)
    ]
    told = [
        {"id": row["id"], "timestamp": (at[n] + timedelta(seconds=n * n)).isoformat(), "label": label[n % len(label)]} for n, row in enumerate(rows)
    ]
    return rows, [row for n, row in enumerate(told) if n % 4]


def log_of(folder, rows, labels=()):
    log = TelemetryLog(folder)
    for stream, sent in ((Stream.PREDICTIONS, rows), (Stream.LABELS, labels)):
        if sent:
            decoded = decode(stream, sent, known={}, zone=UTC, batch=1, received_at=START)
            assert decoded.refused == ()
            log.append(MODEL, stream, decoded.table, lane="worker", sequence=1)
    return log


def assert_close(found, expected):
    """Equal to 1e-12, what cancels out apart, with the same infinities and NaN in the same places."""
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12, equal_nan=True)


def test_an_engine_counts_hours_as_the_first_one_does(engine, reference, tmp_path):
    rows, _ = nasty_rows(300, "word", (1,))
    log = log_of(tmp_path, rows)
    hours = [START + timedelta(hours=n) for n in range(-24, 48)]

    found, expected = (window_profiles(each, log, MODEL, hours, BERLIN) for each in (engine, reference))

    assert [(p.version, p.start) for p in found] == [(p.version, p.start) for p in expected]
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours.counts.rows, ours.counts.duplicates, ours.counts.score_nulls) == (
            theirs.counts.rows,
            theirs.counts.duplicates,
            theirs.counts.score_nulls,
        )
        assert ours.counts.score_counts == theirs.counts.score_counts
        assert_close([ours.counts.score_sum, ours.counts.score_spread], [theirs.counts.score_sum, theirs.counts.score_spread])
    assert sum(p.counts.duplicates for p in found) == 30


@pytest.mark.parametrize("cut", [*Cut])
@pytest.mark.parametrize("last_only", [False, True])
@pytest.mark.parametrize("fetch_at_most", [1, 1_000_000], ids=["each column", "fetched"])
def test_an_engine_counts_columns_as_the_first_one_does(engine, reference, tmp_path, last_only, fetch_at_most, cut):
    rows, _ = nasty_rows(300, "word", (1,))
    log = log_of(tmp_path, rows)
    usual = make_bins(pa.table({f"f.{name}": [row["features"][name] for row in rows] for name in ("word", "flag", "whole", LONG + "a", LONG + "b")}))
    numbers = [
        ColumnBins(name="f.number", kind="number", low=-1.0, high=1e140, minimum=-1e300, maximum=1e300),
        ColumnBins(name="f.rate", kind="number", low=1e-9, high=1.0, minimum=0.0, maximum=1.0, is_log=True),
    ]
    layout = Layout((*usual.columns, *numbers))

    found, expected = (
        column_profiles(each, log, MODEL, layout, DAYS, BERLIN, last_only=last_only, cut=cut, fetch_at_most=fetch_at_most)
        for each in (engine, reference)
    )

    assert [(p.version, p.day, p.part, p.ended_at, p.counts.rows) for p in found] == [
        (p.version, p.day, p.part, p.ended_at, p.counts.rows) for p in expected
    ]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.counts.counts.tolist() == theirs.counts.counts.tolist()
        assert_close(ours.counts.sums, theirs.counts.sums)
    assert sum(p.counts.rows for p in found) == (270 if last_only else 300)


VECTORS = ([1.0, 2.0, 3.0], None, [], [1.0], [1.0, None, 2.0], [-0.5, 1e-300, 7.0], [1e200] * 3, [0.0] * 3, [math.nan] * 3, [math.inf, 1, 1], [1] * 4)


@pytest.mark.parametrize("last_only", [False, True])
@pytest.mark.parametrize("fetch_at_most", [1, 1_000_000], ids=["each column", "fetched"])
def test_an_engine_counts_vectors_like_the_rows_at_hand(engine, tmp_path, last_only, fetch_at_most):
    rows, _ = nasty_rows(300, "word", (1,))
    for n, row in enumerate(rows):
        row["features"] |= {"vector": VECTORS[n % 11]}
    log = log_of(tmp_path, rows)
    logged = log.rows(MODEL, Stream.PREDICTIONS, DAYS[0], DAYS[-1])
    usual = pa.array(np.random.default_rng(1).normal(size=(400, 3)).tolist(), pa.list_(pa.float64()))
    table = pa.table({"f.vector": usual, "f.gone": usual})
    layout = Layout((*make_bins(table).columns, *derived_bins(table)))

    found = column_profiles(engine, log, MODEL, layout, DAYS, UTC, last_only=last_only, fetch_at_most=fetch_at_most, numbers_at_once=30)

    ids = logged["id"].to_pylist()
    last = {id: place for place, id in enumerate(ids)}
    expected = count_rows(layout, logged.take(sorted(last.values())) if last_only else logged)
    total = sum((profile.counts for profile in found), ColumnCounts.empty(layout))
    assert len(layout.columns) == 2 + 2 * 5
    assert total.counts.tolist() == expected.counts.tolist()
    assert_close(total.sums, expected.sums)
    assert 0 < total.counts[layout.slices["d.f.vector.length"]][NULL] < total.rows


@pytest.mark.parametrize("prediction", ["word", "number"], ids=["one score", "several"])
@pytest.mark.parametrize("fetch_at_most", [1, 1_000_000], ids=["each column", "fetched"])
def test_an_engine_counts_derived_columns_like_the_rows_at_hand(engine, tmp_path, prediction, fetch_at_most):
    rows, _ = nasty_rows(300, prediction, (1,))
    log = log_of(tmp_path, rows)
    logged = log.rows(MODEL, Stream.PREDICTIONS, DAYS[0], DAYS[-1])
    likely = {name: (0.0, 0.5, 0.9, 0.25) for name in logged.column_names if name.startswith("score")}
    usual = {"f.number": (-1.0, 0.0, 1e100, 7.0), "f.whole": (1, 2, 3, 4), "f.word": ("", "it's", "100% %s", None), "f.flag": (True,) * 4}
    layout = Layout(tuple(derived_bins(pa.table(likely | usual | {"f.gone": (1.0,) * 4, "f.left": ("a",) * 4}))))

    found = column_profiles(engine, log, MODEL, layout, DAYS, UTC, last_only=False, fetch_at_most=fetch_at_most)

    expected = count_rows(layout, logged)
    total = sum((profile.counts for profile in found), ColumnCounts.empty(layout))
    assert [column.name for column in layout.columns] == ["d.confidence", "d.unusual_values"]
    assert np.count_nonzero(expected.counts[layout.slices["d.unusual_values"]]) == 5
    assert total.counts.tolist() == expected.counts.tolist()
    assert_close(total.sums, expected.sums)


@pytest.mark.parametrize(
    ("kind", "prediction", "label"),
    [
        (OutcomeKind.DECISIONS, "word", (True, False, None)),
        (OutcomeKind.DECISIONS, "class", ("yes", " No", "perhaps", "1")),
        (OutcomeKind.CLASSES, "word", WORDS),
        (OutcomeKind.CLASSES, "class", (1.0, 2.0, -3.0, 0.5, 1e16, 1e-7, -0.0, 123456789.25, None)),
        (OutcomeKind.NUMBERS, "number", (0.0, -0.0, 1.0, 3.5, 0.1, None, math.nan, math.inf)),
        (OutcomeKind.RANKINGS, "number", (0.0, -0.0, 1.0, 3.5, -2.0, None, math.nan, math.inf)),
    ],
)
@pytest.mark.parametrize("last_only", [False, True])
def test_an_engine_counts_outcomes_as_the_first_one_does(engine, reference, tmp_path, kind, prediction, label, last_only):
    log = log_of(tmp_path, *nasty_rows(300, prediction, label))

    found, expected = (
        day_outcomes(each, log, MODEL, kind, ("region",), DAYS, BERLIN, label_days=400, last_only=last_only) for each in (engine, reference)
    )

    assert len(found) > 20
    assert [(o.version, o.day, o.field, o.segment, o.rows, o.labelled, o.classes) for o in found] == [
        (o.version, o.day, o.field, o.segment, o.rows, o.labelled, o.classes) for o in expected
    ]
    for ours, theirs in zip(found, expected, strict=True):
        assert_close(sorted(ours.cells.tolist()), sorted(theirs.cells.tolist()))
        assert sorted(ours.delays.tolist()) == sorted(theirs.delays.tolist())


@pytest.mark.parametrize(
    ("kind", "prediction", "label"),
    [
        (OutcomeKind.DECISIONS, "word", ("yes", " No", "perhaps", None)),
        (OutcomeKind.NUMBERS, "number", (0.0, -0.0, 1.0, 3.5, None, math.nan, math.inf, 1e308)),
    ],
)
@pytest.mark.parametrize("last_only", [False, True])
@pytest.mark.parametrize("fetch_at_most", [700, 10_000_000], ids=["in parts", "together"])
def test_an_engine_relates_features_to_labels_as_the_first_one_does(engine, reference, tmp_path, kind, prediction, label, last_only, fetch_at_most):
    rows, told = nasty_rows(300, prediction, label)
    log = log_of(tmp_path, rows, told)
    names = ("number", "word", "flag", "rate", "whole", LONG + "a")
    layout = relation_layout(make_bins(pa.table({f"f.{name}": [row["features"][name] for row in rows] for name in names})))

    said = next(iter(make_bins(pa.table({"prediction": np.linspace(0, 3, 50)})).columns))

    found, expected = (
        day_relations(each, log, MODEL, layout, kind, DAYS, BERLIN, label_days=400, last_only=last_only, said=said, fetch_at_most=fetch_at_most)
        for each in (engine, reference)
    )

    assert len(found) > 10
    assert [(r.version, r.day) for r in found] == [(r.version, r.day) for r in expected]
    for ours, theirs in zip(found, expected, strict=True):
        assert_close(ours.sums, theirs.sums)
        assert_close(ours.errors, theirs.errors)
    assert sum(r.errors[1].sum() for r in found) > 0
    assert sum(r.sums[0, layout.slices["f.flag"]].sum() for r in found) == (270 if last_only else 300)
    assert sum(r.sums[3].sum() for r in found) > 0


def test_postgres_counts_a_table_where_it_is_and_in_utc(postgres):
    with psycopg.connect(postgres, autocommit=True) as company:
        company.execute('CREATE SCHEMA "Sales"')
        company.execute('CREATE TABLE "Sales"."Scored %" ("Id" bigint, at timestamptz, proba numeric, "Version" text)')
        company.execute(
            """INSERT INTO "Sales"."Scored %" SELECT n, '2026-03-29 00:30+02'::timestamptz + n * interval '1 minute', n / 100.0, 'v1'
            FROM generate_series(0, 99) n"""
        )
    engine = connected("postgres", postgres)
    columns = {"id": "string", "timestamp": "timestamp", "batch": "int64", "row": "int32", "version": "string", "score": "float64"}
    names = {"id": "Id", "timestamp": "at", "score": "proba", "version": "Version", "batch": "Id", "row": "Id"}
    source = TableSource(table=("Sales", "Scored %"), columns=columns, names=names)

    counted = answered(engine, count_scores, source, moments={"first": START - timedelta(hours=2), "end": START})
    engine.close()

    quarters = {int(quarter) for quarter in counted["quarter"].to_pylist()}
    assert sum(counted["kept"].to_pylist()) == 90  # from 22:30 to midnight, UTC
    assert min(quarters) * 900 == datetime(2026, 3, 28, 22, 30, tzinfo=UTC).timestamp()
    assert sum(counted["s"].to_pylist()) == pytest.approx(sum(range(90)) / 100)


def test_postgres_names_a_table_that_it_cannot_read_and_writes_nothing(postgres):
    engine = connected("postgres", postgres)

    with pytest.raises(InvalidInput, match=r"The table public.nothing cannot be read: relation .* does not exist"):
        answered(engine, lambda table: table.count().as_table(), TableSource(table=("public", "nothing"), columns={"id": "string"}))
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        engine.connection.execute("CREATE TABLE mine (x int)")
    engine.close()


def test_postgres_says_that_nobody_answers_and_keeps_the_password_to_itself():
    with pytest.raises(Unavailable, match="PostgreSQL does not answer") as raised:
        engines.get("postgres").connect(address="postgresql://reader:hunter2@127.0.0.1:9/company")

    assert "hunter2" not in f"{raised.value} {raised.value.remedy}"


def test_duckdb_reads_no_table_of_a_database(reference):
    with pytest.raises(InvalidInput, match="DuckDB reads files"):
        answered(reference, lambda table: table.count().as_table(), TableSource(table=("t",), columns={"id": "string"}))


@pytest.mark.parametrize("left", EDGES)
def test_an_engine_reckons_as_ieee_754_says(engine, tmp_path, left):
    rows = [{"id": f"{n}", "timestamp": START.isoformat(), "features": {"x": left, "y": right}} for n, right in enumerate(EDGES)]
    log = log_of(tmp_path, [*rows, {"id": "all", "timestamp": START.isoformat(), "features": {"x": 2.0, "y": 2.0}}])
    files = log.files(MODEL, Stream.PREDICTIONS, START.date(), START.date())
    source = Source(files=files, columns={"row": "int32", "f.x": "float64", "f.y": "float64"})

    def reckoned(table):
        x, y = table["f.x"], table["f.y"]
        return table.select("row", x=x, y=y, add=x + y, sub=x - y, mul=x * y, div=ibis.ifelse(y != 0, x / y, None)).order_by("row").limit(len(EDGES))

    found = answered(engine, reckoned, source).to_pydict()

    for index, (x, y) in enumerate(zip(found["x"], found["y"], strict=True)):
        if x is None or y is None:
            assert (found["add"][index], found["mul"][index]) == (None, None)
            continue
        with np.errstate(all="ignore"):
            a, b = np.float64(x), np.float64(y)
            expected = [a + b, a - b, a * b, a / b if y else math.nan]
        np.testing.assert_array_equal(
            [found["add"][index], found["sub"][index], found["mul"][index], found["div"][index] if y else math.nan], expected
        )


def test_an_engine_says_that_files_are_gone(engine, tmp_path):
    with pytest.raises(FilesGone):
        answered(engine, lambda table: table.count().as_table(), Source(files=[str(tmp_path / "none.parquet")], columns={"id": "string"}))


def test_an_unknown_engine_is_named_with_those_that_are_known():
    with pytest.raises(NotFound, match="No engine 'abacus'") as raised:
        engines.get("abacus")

    assert "duckdb" in raised.value.remedy
