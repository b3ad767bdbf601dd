"""What every query engine must do: the same profile from the same nasty rows. Engines are found by discovery."""

import math
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from watchkeeper.core.errors import NotFound
from watchkeeper.telemetry import engines
from watchkeeper.telemetry.decode import decode
from watchkeeper.telemetry.engines import FilesGone, Source
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.telemetry.profiles import BINS, touched_windows, window_profiles
from watchkeeper.wire import Stream

MODEL = UUID("00000000-0000-4000-8000-000000000003")
START = datetime(2026, 3, 29, tzinfo=UTC)
SCORES = (0.0, -0.0, 1.0, math.nextafter(0, -1), math.nextafter(1, 2), 0.25, 0.75, math.nan, math.inf, -math.inf, None, 1e308, -1e308)
VERSIONS = ("v1", "", "it's", 'a "quoted"\nname', "модель", None)


@pytest.fixture(params=sorted(engines.catalogue()))
def engine(request):
    engine = engines.get(request.param).connect()
    yield engine
    engine.close()


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


def test_an_engine_says_that_files_are_gone(engine, tmp_path):
    with pytest.raises(FilesGone):
        engine.run(lambda table: table.count().as_table(), Source(files=[str(tmp_path / "none.parquet")], columns={"id": "string"}))


def test_an_unknown_engine_is_named_with_those_that_are_known():
    with pytest.raises(NotFound, match="No engine 'abacus'") as raised:
        engines.get("abacus")

    assert "duckdb" in raised.value.remedy
