"""A worker that is killed while it takes rows of a watched folder: the next one goes on, and nothing is lost or doubled."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.faults.conftest import House
from tests.patience import wait_until
from watchkeeper.core.faults import POINTS


@pytest.mark.parametrize("point", [point for point in POINTS if point.startswith("watch:")])
def test_a_worker_that_dies_while_it_takes_rows_loses_and_doubles_nothing(houses: Callable[..., House], tmp_path: Path, point: str) -> None:
    lake = tmp_path / "lake"
    lake.mkdir()
    house = houses(WATCHKEEPER_WATCH_ROOTS=str(lake))
    begin = datetime.now(UTC) - timedelta(hours=3)
    for part in range(3):
        ids = [f"{part} {n}" for n in range(50)]
        pq.write_table(pa.table({"id": ids, "ts": pa.array([begin] * 50, pa.timestamp("us", "UTC")), "score": [0.5] * 50}), lake / f"{part}.parquet")
    made = house.nursery.call("tests.faults.seeding:found", url=house.receiver.url)
    house.nursery.call("tests.faults.seeding:watch", model=made["model"], folder=str(lake))

    died = [house.nursery.wait(house.nursery.worker(crash_at=point)) for _ in range(2)]
    next_one = house.nursery.worker()
    wait_until(lambda: house.number("SELECT COUNT(*) FROM ingest_watchedpart WHERE is_done") == 3, what="all files taken")
    wait_until(lambda: house.number("SELECT COUNT(*) FROM ingest_batch WHERE state <> 'applied'") == 0, what="all rows in the log")
    house.nursery.kill(next_one, how=signal.SIGTERM)

    assert died == [-signal.SIGKILL] * 2
    logged = Counter(house.nursery.call("tests.faults.seeding:logged_ids", model=made["model"]))
    assert logged == Counter(f"{part} {n}" for part in range(3) for n in range(50))
    assert house.number('SELECT "rows" FROM ingest_watchedplace') == 150
