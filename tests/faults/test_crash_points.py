"""Every named crash point: a process dies exactly there, the next one carries on, and nothing is lost or doubled."""

from __future__ import annotations

import signal
import time
from collections import Counter
from datetime import UTC, datetime

import pytest

from tests.faults.conftest import House, free_port
from tests.faults.senders import Senders
from tests.faults.test_workers_die import TWICE
from tests.patience import wait_until
from watchkeeper.core.faults import POINTS

OF_WEB = [point for point in POINTS if point.startswith("receive:")]
OF_WORKER = [point for point in POINTS if not point.startswith(("receive:", "watch:"))]  # those of watched places: test_watched_places.py
NOT_DONE = (
    "SELECT COUNT(*) FROM ingest_batch WHERE state <> 'applied'",
    "SELECT COUNT(*) FROM ingest_dirtywindow",
    "SELECT COUNT(*) FROM monitoring_riskbinding WHERE evaluated_at IS NULL",
    "SELECT COUNT(*) FROM alerts_notification WHERE due_at IS NOT NULL",
    "SELECT COUNT(*) FROM alerts_message WHERE state <> 'delivered'",
    "SELECT 1 - COUNT(*) FROM incidents_incident",
    "SELECT COUNT(*) FROM history_change c LEFT JOIN history_seal s ON s.change_id = c.id WHERE s.number IS NULL",
)


def is_done(house: House) -> bool:
    return not any(house.number(sql) for sql in NOT_DONE)


@pytest.mark.parametrize("point", OF_WORKER)
def test_a_worker_that_dies_here_loses_and_doubles_nothing(house: House, point: str) -> None:
    made = house.nursery.call("tests.faults.seeding:found", url=house.receiver.url)
    ids = [f"row {i}" for i in range(20)]
    predictions = [{"id": id, "timestamp": datetime.now(UTC).isoformat(), "prediction": 1, "features": {"x": 1.0}} for id in ids]
    house.nursery.call("tests.faults.seeding:send", model=made["model"], stream="predictions", rows=predictions, batch_id="first")
    house.nursery.call("tests.faults.seeding:send", model=made["model"], stream="metrics", rows=[{"name": "mape", "value": 18.4}], batch_id="second")

    died = house.nursery.wait(house.nursery.worker(crash_at=point))
    next_one = house.nursery.worker()
    wait_until(lambda: is_done(house), what=f"all done after a crash at {point}")
    house.nursery.kill(next_one, how=signal.SIGTERM)

    assert died == -signal.SIGKILL
    assert house.ask("SELECT name, value FROM ingest_metricpoint") == [("mape", 18.4)]
    assert Counter(house.nursery.call("tests.faults.seeding:logged_ids", model=made["model"])) == Counter(ids)
    assert house.number("SELECT SUM(\"rows\") FROM ingest_windowprofile WHERE segment = ''") == len(ids)
    assert house.ask("SELECT state, reopened FROM incidents_incident") == [("open", 0)]
    assert house.ask("SELECT light, score FROM monitoring_modellight") == [("yellow", 2)]
    assert house.number(TWICE) == 0
    assert set(house.receiver.told()) == {(1, "opened", 0)}
    assert set(house.receiver.after_the_key().values()) == {1}
    assert house.receiver.repeated <= 1
    sealed, unsealed, bad = house.nursery.call("tests.faults.seeding:verify")
    assert (unsealed, bad) == (0, None)
    assert sealed == house.number("SELECT COUNT(*) FROM history_change")


@pytest.mark.parametrize("point", OF_WEB)
def test_a_web_process_that_dies_here_loses_and_doubles_nothing(house: House, point: str) -> None:
    made = house.nursery.call("tests.faults.seeding:found", url=house.receiver.url)
    senders = Senders(free_port(), made["token"])

    dying = house.nursery.start("tests.faults.seeding:serve", crash_at=point, port=senders.port)
    while house.nursery.poll(dying) is None:
        assert senders.send("only", ["a", "b"]) == 0, "nobody was told that it is stored"
        time.sleep(0.01)
    kept_already = house.number("SELECT COUNT(*) FROM ingest_batch")
    house.nursery.start("tests.faults.seeding:serve", port=senders.port)
    wait_until(lambda: senders.send("only", ["a", "b"]) in (200, 202))
    worker = house.nursery.worker()
    wait_until(lambda: house.number("SELECT COUNT(*) FROM ingest_batch WHERE state = 'applied'") == 1)
    house.nursery.kill(worker, how=signal.SIGTERM)

    assert kept_already == int("after commit" in point)
    assert house.nursery.call("tests.faults.seeding:logged_ids", model=made["model"]) == ["a", "b"]
    assert house.number("SELECT \"rows\" FROM ingest_streamtimer WHERE stream = 'predictions'") == 2
