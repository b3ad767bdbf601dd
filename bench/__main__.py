"""`python -m bench [name …]`: each benchmark in a process, a process group and a temporary folder of its own, ended when its time is up."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import bench
from bench._table import Row, head, line

MOST_SECONDS = 1800.0
INSIDE = "--inside"
ADDITIONS = 20_000_000


def names() -> list[str]:
    return [module.name for module in pkgutil.iter_modules(bench.__path__) if not module.name.startswith("_")]


def main(wanted: list[str]) -> int:
    unknown = sorted(set(wanted) - set(names()))
    if unknown:
        say(f"No benchmark {', '.join(unknown)}. Known: {', '.join(names())}.")
        return 2
    say(f"{os.cpu_count()} cores, Python {platform.python_version()}; at the start {state()}\n\n{head()}")
    for name in wanted or names():
        for row in outcome(name):
            say(line(row))
    say(f"\nat the end {state()}")
    return 0


def outcome(name: str) -> Iterator[Row]:
    """The rows of one benchmark as they come; a last one that says so when it failed."""
    with tempfile.TemporaryDirectory(prefix=f"watchkeeper-bench-{name}-") as folder:
        command = [sys.executable, "-m", "bench", INSIDE, name]
        environment = {**os.environ, "WATCHKEEPER_DATA": f"{folder}/data", "TMPDIR": folder}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:  # noqa: S603 - ourselves
            try:
                output, _ = process.communicate(timeout=MOST_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                output, _ = process.communicate()
        for written in output.splitlines():
            yield Row(**json.loads(written))
        if process.returncode:
            yield Row(f"{name}: ended with {process.returncode}", "", met=False)


def inside(name: str) -> int:
    for row in importlib.import_module(f"bench.{name}").run():
        say(row.as_json())
    return 0


def state() -> str:
    """How busy the machine is, and what is left of one core: figures of two runs compare only where these do."""
    started = time.perf_counter()
    sum(range(ADDITIONS))
    took = (time.perf_counter() - started) * 1000
    return f"load average {' '.join(f'{share:.1f}' for share in os.getloadavg())}, {ADDITIONS // 10**6} million additions in {took:,.0f} ms"


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    arguments = sys.argv[1:]
    raise SystemExit(inside(arguments[1]) if arguments[:1] == [INSIDE] else main(arguments))
