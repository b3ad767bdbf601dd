"""The web process is killed under load: no acknowledged row is lost, none is doubled, on SQLite and on PostgreSQL."""

from __future__ import annotations

import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing

from tests.conftest import Runs
from tests.faults.conftest import House, free_port
from tests.faults.senders import Senders
from tests.patience import PATIENCE, wait_until

PENDING = "SELECT COUNT(*) FROM ingest_batch WHERE state <> 'applied'"


def test_a_killed_web_process_loses_and_doubles_no_acknowledged_row(house: House, runs: Runs) -> None:
    kill_web(house, kills=runs(6, 200))


def kill_web(house: House, *, kills: int) -> None:
    """Senders send, the web process dies again and again, a worker applies; then every id is counted."""
    chance = random.Random(7)  # noqa: S311 - a seed, not a secret
    made = house.nursery.call("tests.faults.seeding:found", url=house.receiver.url)
    senders = Senders(free_port(), made["token"])
    worker = house.nursery.worker()

    senders.start(6)
    for _ in range(kills):
        pid, before = house.nursery.start("tests.faults.seeding:serve", port=senders.port), len(senders.acknowledged)
        wait_until(lambda before=before: len(senders.acknowledged) > before, what="something acknowledged")  # type: ignore[misc]  # a bound default
        time.sleep(chance.uniform(0, 0.3))
        assert house.nursery.kill(pid) == -signal.SIGKILL
    last = house.nursery.start("tests.faults.seeding:serve", port=senders.port)
    senders.stop()
    house.nursery.kill(last)
    wait_until(lambda: house.number(PENDING) == 0, what="all batches applied")
    house.nursery.kill(worker, how=signal.SIGTERM)

    logged = Counter(house.nursery.call("tests.faults.seeding:logged_ids", model=made["model"]))
    lost, doubled = set(senders.acknowledged) - set(logged), [id for id, count in logged.items() if count > 1]
    print(f"{kills} kills of web, {len(senders.acknowledged)} rows acknowledged in {senders.tries} tries, {len(lost)} lost, {len(doubled)} doubled")
    assert (lost, doubled, senders.refused) == (set(), [], [])
    assert len(senders.acknowledged) > kills * senders.rows
    assert house.number("SELECT \"rows\" FROM ingest_streamtimer WHERE stream = 'predictions'") == len(logged)


def test_a_database_locked_by_another_process_loses_nothing(house: House, runs: Runs) -> None:
    made = house.nursery.call("tests.faults.seeding:found", url=house.receiver.url)
    senders = Senders(free_port(), made["token"])
    house.nursery.start("tests.faults.seeding:serve", port=senders.port)
    wait_until(lambda: senders.send("before", ["before"]) == 202)
    statuses: list[int] = []

    with closing(sqlite3.connect(house.folder / "watchkeeper.sqlite3", isolation_level=None)) as locker:
        locker.execute("BEGIN IMMEDIATE")
        sender = threading.Thread(target=lambda: statuses.append(senders.send("during", ["during"])))
        sender.start()
        time.sleep(runs(2, 10))
        assert not statuses or statuses == [503]
        locker.execute("ROLLBACK")
    sender.join(timeout=PATIENCE)
    wait_until(lambda: senders.send("during", ["during"]) in (200, 202))

    assert statuses in ([202], [503])
    worker = house.nursery.worker()
    wait_until(lambda: house.number(PENDING) == 0)
    house.nursery.kill(worker, how=signal.SIGTERM)
    assert house.nursery.call("tests.faults.seeding:logged_ids", model=made["model"]) == ["before", "during"]
