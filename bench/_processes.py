"""Whole processes as others would start them: seconds by the clock from cold, and the kernel's account of their peak memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from threading import Timer
from typing import NamedTuple

_WITHOUT_PANDAS = """
import importlib.abc, runpy, sys

class Without(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "pandas":
            raise ModuleNotFoundError(name=name)

sys.meta_path.insert(0, Without())
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


class Cost(NamedTuple):
    """`is_whole` is False when the process was ended for taking too long, or failed: the figures are then those until its end."""

    seconds: float
    megabytes: float
    output: str
    is_whole: bool


def cost_of(command: Sequence[str], *, most_seconds: float) -> Cost:
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own benchmarks
        assert process.stdout is not None
        ending = Timer(most_seconds, process.kill)
        ending.start()
        output = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        ending.cancel()
    return Cost(time.perf_counter() - start, used.ru_maxrss / 1024, output, process.returncode == 0)


def ours(module: str, *arguments: str) -> list[str]:
    """A module as it runs on a server: pandas, which pyarrow imports on sight and takes a second for, is a requirement of the demo alone."""
    return [sys.executable, "-c", _WITHOUT_PANDAS, module, *arguments]
