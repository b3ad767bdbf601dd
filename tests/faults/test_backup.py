"""A backup taken while rows come in is whole: put into a new folder it goes on where it was, with every row once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.faults.conftest import House, free_port
from tests.faults.nursery import FAST, Nursery
from tests.faults.senders import Senders
from tests.faults.test_web_dies import PENDING
from tests.patience import PATIENCE, wait_until


def watchkeeper(*words: str, data: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "watchkeeper.cli", *words, "--data", str(data)]
    return subprocess.run(command, env={**os.environ, **FAST}, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_a_backup_under_load_is_whole(house: House, tmp_path: Path) -> None:
    made = house.nursery.call("tests.faults.seeding:found", url=house.receiver.url)
    senders = Senders(free_port(), made["token"])
    house.nursery.start("tests.faults.seeding:serve", port=senders.port)
    worker = house.nursery.worker()
    senders.start(3)
    wait_until(lambda: len(senders.acknowledged) > 300, what="rows")
    known = set(senders.acknowledged)

    done = watchkeeper("backup", str(tmp_path / "backup"), data=house.folder)
    senders.stop()
    house.nursery.kill(worker)
    assert done.returncode == 0, done.stderr
    assert watchkeeper("restore", str(tmp_path / "backup"), data=tmp_path / "restored").returncode == 0

    restored = House(Nursery(house.nursery.mother, tmp_path / "restored"), house.receiver)
    worker = restored.nursery.worker()
    wait_until(lambda: restored.number(PENDING) == 0)
    restored.nursery.kill(worker, how=signal.SIGTERM)
    logged = Counter(restored.nursery.call("tests.faults.seeding:logged_ids", model=made["model"]))
    assert known <= set(logged)
    assert set(logged.values()) == {1}
    verified = watchkeeper("history", "verify", data=tmp_path / "restored")
    assert verified.returncode == 0, verified.stderr


def test_a_folder_that_is_in_use_is_not_written_over(house: House, tmp_path: Path) -> None:
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup" / "watchkeeper.sqlite3").write_bytes(b"")

    refused = watchkeeper("restore", str(tmp_path / "backup"), data=house.folder)

    assert refused.returncode == 1
    assert "is not empty" in refused.stderr
