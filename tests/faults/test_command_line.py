"""The command line itself, granian included: `watchkeeper up` is killed with everything it started, and carries on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress

from tests.conftest import Runs
from tests.faults.conftest import House, free_port
from tests.faults.nursery import FAST
from tests.faults.senders import Senders
from tests.patience import PATIENCE, wait_until


def test_up_is_killed_whole_and_carries_on(house: House, runs: Runs) -> None:
    made = house.nursery.call("tests.faults.seeding:found", url=house.receiver.url)
    senders, kills = Senders(free_port(), made["token"]), runs(1, 20)

    senders.start(3)
    for turn in range(kills + 1):
        process, before = _up(house, senders.port), len(senders.acknowledged)
        try:
            wait_until(lambda before=before: len(senders.acknowledged) > before + 50, what="rows acknowledged")  # type: ignore[misc]  # a bound default
            if turn == kills:
                senders.stop()
                wait_until(lambda: house.number("SELECT COUNT(*) FROM ingest_batch WHERE state <> 'applied'") == 0, what="all applied")
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=PATIENCE)

    logged = Counter(house.nursery.call("tests.faults.seeding:logged_ids", model=made["model"]))
    print(f"{kills} kills of `up`, {len(senders.acknowledged)} rows acknowledged, {len(set(senders.acknowledged) - set(logged))} lost")
    assert set(senders.acknowledged) <= set(logged)
    assert set(logged.values()) == {1}


def _up(house: House, port: int) -> subprocess.Popen[bytes]:
    with (house.folder / "up.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "watchkeeper.cli", "up", "--data", str(house.folder), "--port", str(port)],
            env={**os.environ, **FAST, "WATCHKEEPER_DATA": str(house.folder)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
