"""The disk is full: what cannot be stored is refused with 503, what was acknowledged is there, and it goes on when there is room again."""

from __future__ import annotations

import resource
import signal
from collections import Counter

from tests.faults.conftest import House, free_port
from tests.faults.senders import Senders
from tests.faults.test_web_dies import PENDING
from tests.patience import wait_until

ROOM = 300_000  # bytes by which the largest file may still grow


def test_a_full_disk_loses_nothing_and_recovers_by_itself(house: House) -> None:
    made = house.nursery.call("tests.faults.seeding:found", url=house.receiver.url)
    senders = Senders(free_port(), made["token"])
    web = house.nursery.start("tests.faults.seeding:serve", port=senders.port)
    wait_until(lambda: senders.send("first", ["first"]) in (200, 202))
    largest = max(file.stat().st_size for file in house.folder.glob("watchkeeper.sqlite3*"))
    resource.prlimit(web, resource.RLIMIT_FSIZE, (largest + ROOM, resource.RLIM_INFINITY))

    statuses: dict[int, int] = {}
    while list(statuses.values()).count(503) < 5:
        number = len(statuses)
        statuses[number] = senders.send(f"batch {number}", [f"{number}-{row}" for row in range(20)])
        assert statuses[number] in (202, 503)
    assert 202 in statuses.values(), "some of it found room"

    resource.prlimit(web, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    for number, status in statuses.items():
        if status == 503:
            wait_until(lambda number=number: senders.send(f"batch {number}", [f"{number}-{row}" for row in range(20)]) == 202)  # type: ignore[misc]  # bound
    worker = house.nursery.worker()
    wait_until(lambda: house.number(PENDING) == 0)
    house.nursery.kill(worker, how=signal.SIGTERM)

    logged = Counter(house.nursery.call("tests.faults.seeding:logged_ids", model=made["model"]))
    assert logged == Counter(["first", *(f"{number}-{row}" for number in statuses for row in range(20))])
