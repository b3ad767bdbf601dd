"""Workers are killed, frozen and doubled while many risks fire: no incident twice, nobody told too little, repeats only under the same key."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable

from tests.conftest import Runs
from tests.faults.conftest import House
from tests.patience import wait_until

INCIDENTS = "SELECT COUNT(*) FROM incidents_incident WHERE kind = 'risk'"
WAITING = "SELECT COUNT(*) FROM alerts_message WHERE state <> 'delivered'"
NOT_SEALED = "SELECT COUNT(*) FROM alerts_notification WHERE due_at IS NOT NULL"
DUE = "SELECT COUNT(*) FROM monitoring_riskbinding WHERE evaluated_at IS NULL"
TWICE = "SELECT COUNT(*) FROM (SELECT 1 FROM alerts_notification GROUP BY incident_id, recipient, kind, occurrence HAVING COUNT(*) > 1)"


def is_all_told(house: House) -> bool:
    return not any(house.number(sql) for sql in (DUE, NOT_SEALED, WAITING))


def check_all_told_once(house: House, *, models: int) -> None:
    assert house.number(INCIDENTS) == models
    assert house.number("SELECT COUNT(DISTINCT binding_id) FROM incidents_incident WHERE state <> 'resolved'") == models
    assert house.number(TWICE) == 0
    inboxes = "SELECT COUNT(*) FROM alerts_notification WHERE recipient LIKE 'inbox:%' AND kind = 'opened'"
    assert house.number(inboxes) == models
    told = house.receiver.told()
    assert len(told) == models
    assert {kind for _, kind, _ in told} == {"opened"}
    assert set(house.receiver.after_the_key().values()) == {1}


def test_killed_workers_lose_no_alert_and_repeat_only_under_the_same_key(house: House, runs: Runs) -> None:
    kill_workers(house, models=runs(150, 3000), kills=runs(6, 200))


def kill_workers(house: House, *, models: int, kills: int) -> None:
    """Many risks fire at once while one worker after another dies; then everything told is counted."""
    chance = random.Random(11)  # noqa: S311 - a seed, not a secret
    house.nursery.call("tests.faults.seeding:silent_models", count=models, url=house.receiver.url)

    killed = 0
    while killed < kills and not is_all_told(house):
        pid = house.nursery.worker()
        time.sleep(chance.uniform(0.1, 0.9))
        assert house.nursery.kill(pid) == -signal.SIGKILL
        killed += 1
    last = house.nursery.worker()
    wait_until(lambda: is_all_told(house), what="everything delivered")
    house.nursery.kill(last)

    repeated = house.receiver.repeated
    print(f"{killed} kills of workers, {models} incidents, {len(house.receiver.told())} told, {repeated} repeated, 0 after the key")
    check_all_told_once(house, models=models)
    assert repeated <= killed, "one send is in flight per worker"


def test_two_workers_and_a_frozen_one_evaluate_nothing_twice(houses: Callable[..., House], runs: Runs) -> None:
    models, freezes, chance = runs(120, 1500), runs(2, 20), random.Random(12)  # noqa: S311 - a seed, not a secret
    house = houses(WATCHKEEPER_LEASE_SECONDS="0.5")
    house.nursery.call("tests.faults.seeding:silent_models", count=models, url=house.receiver.url)

    frozen, steady = house.nursery.worker(), house.nursery.worker()
    for _ in range(freezes):
        time.sleep(chance.uniform(0.05, 0.4))
        os.kill(frozen, signal.SIGSTOP)
        time.sleep(1)  # longer than its lease
        os.kill(frozen, signal.SIGCONT)
    wait_until(lambda: is_all_told(house), what="everything delivered")
    time.sleep(0.2)
    for pid in (frozen, steady):
        assert house.nursery.kill(pid, how=signal.SIGTERM) == 0

    check_all_told_once(house, models=models)
    assert house.number("SELECT COUNT(*) FROM monitoring_firedfinding") == models, "each was evaluated once"
    assert house.number("SELECT SUM(fired) FROM monitoring_findingcount") == models
    assert house.receiver.repeated <= freezes
    assert "Traceback" not in house.nursery.log()
