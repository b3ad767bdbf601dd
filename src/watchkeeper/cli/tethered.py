"""A process that ends with the one that started it, even when that was killed: `python -m watchkeeper.cli.tethered PID MODULE …` runs the module."""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys
import threading
import time

PR_SET_PDEATHSIG = 1  # of linux/prctl.h
LOOK_EVERY = 1.0


def tethered_command(module: str, *arguments: str) -> list[str]:
    """The command line of a module that shall not outlive this process."""
    return [sys.executable, "-m", "watchkeeper.cli.tethered", str(os.getpid()), module, *arguments]


def tether(parent: int) -> None:
    """From now on the end of `parent` is a SIGTERM here. Linux tells; elsewhere a thread looks."""
    if not (sys.platform == "linux" and ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM) == 0):
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    if os.getppid() != parent:  # it was gone before anybody watched
        raise SystemExit(0)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    tether(int(sys.argv[1]))
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
