"""`make new-channel`: what it writes passes the contract of channels and its own test, without a change anywhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.patience import PATIENCE
from tests.risks.test_new_risk import ROOT, as_distribution
from watchkeeper import channels
from watchkeeper.channels import _new


def test_a_new_channel_passes_the_contract_and_its_own_test(tmp_path: Path) -> None:
    file, test = _new.new_channel("pigeon", root=tmp_path / "checkout")
    as_distribution(tmp_path, risk="pigeon", file=file, group=channels.GROUP)
    options = ["-p", "no:django", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT), "-vv"]

    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(test), str(ROOT / "tests/contracts/test_channels.py"), "-k", "pigeon"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_a_private_receiver_is_refused[pigeon] PASSED" in done.stdout
    assert "test_it_sends_the_text_with_its_key PASSED" in done.stdout
