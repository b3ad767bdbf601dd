"""Commands on a folder in which nothing is installed: a sentence, not a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import PATIENCE


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["sign-in"], "is not there yet, or of an earlier version. Start `watchkeeper up` once, or name another folder with --data."),
        (["doctor"], "Start `watchkeeper up` once, or run `watchkeeper migrate`."),
    ],
)
def test_it_says_what_to_do(command: list[str], says: str, tmp_path: Path) -> None:
    line = [sys.executable, "-m", "watchkeeper.cli", *command, "--data", str(tmp_path)]

    done = subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE, check=False)

    assert done.returncode == 1
    assert says in " ".join((done.stdout + done.stderr).split())
    assert "Traceback" not in done.stderr
