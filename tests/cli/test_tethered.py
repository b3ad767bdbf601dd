"""What was started ends with what started it, even when that is killed and can tell nobody."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.patience import PATIENCE
from tests.servers import Server

PARENT = """
import os, subprocess, sys, time
from watchkeeper.cli.tethered import tethered_command

command = tethered_command("http.server", "0", "--bind", "127.0.0.1")
if sys.argv[1] == "elsewhere":
    command = [sys.executable, "-c", "import sys; sys.platform = 'darwin'; from watchkeeper.cli import tethered; "
               "tethered.tether(int(sys.argv[1])); print('tethered', flush=True); import time; time.sleep(3600)", command[3]]
child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
child.stdout.readline()  # it is there
print(child.pid, flush=True)
time.sleep(3600)
"""


def is_gone(process: psutil.Process) -> bool:
    try:
        process.wait(PATIENCE)
    except psutil.TimeoutExpired:
        return process.status() == psutil.STATUS_ZOMBIE  # nobody adopted it yet
    return True


@pytest.mark.parametrize("where", ["on Linux", "elsewhere"])
def test_a_child_ends_with_its_killed_parent(where: str) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, where], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = psutil.Process(int(parent.stdout.readline()))

        parent.kill()

    assert is_gone(child)


def test_up_that_is_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        family = psutil.Process(server.process.pid).children(recursive=True)
        assert len(family) >= 3  # web, its worker process, the worker

        server.process.send_signal(signal.SIGKILL)
        server.process.wait(PATIENCE)

        assert [process for process in family if not is_gone(process)] == []
