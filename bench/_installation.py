"""An installation for one benchmark: schema and people in this process, the real web server and worker beside it. Ends what it started."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil

from bench._table import Row

START_SECONDS = 40.0


def set_up() -> Path:
    """Django on the folder that `python -m bench` gave us, with an empty schema. Models may be imported afterwards."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "watchkeeper.web.settings"
    import django

    django.setup()
    from watchkeeper.cli.founding import migrate

    migrate()
    return Path(os.environ["WATCHKEEPER_DATA"])


def connected(count: int) -> list[tuple[str, str]]:
    """Models with their base risks, all gaps and no data; their ids and tokens."""
    from watchkeeper.accounts import queries as accounts
    from watchkeeper.alerts import flow
    from watchkeeper.history.actors import PLATFORM
    from watchkeeper.registry.services import Owners

    made = [
        flow.connect_model(f"Model {n}", unit=accounts.root_unit(), actor=PLATFORM, now=datetime.now(UTC), fields={}, owners=Owners())
        for n in range(count)
    ]
    return [(str(entry.model.id), entry.token.text) for entry in made]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def web(**settings: str) -> Iterator[tuple[psutil.Process, int]]:
    """`watchkeeper web` and its port."""
    port = free_port()
    with _running("web", "--port", str(port), **settings) as process:
        _wait_until_it_answers(f"http://127.0.0.1:{port}/static/watchkeeper/app.css", process)
        yield process, port


@contextmanager
def worker(**settings: str) -> Iterator[psutil.Process]:
    with _running("worker", **settings) as process:
        yield process


@contextmanager
def _running(*command: str, **settings: str) -> Iterator[psutil.Process]:
    started = psutil.Popen([sys.executable, "-m", "watchkeeper.cli", *command], env={**os.environ, **settings}, stdout=subprocess.DEVNULL)
    try:
        yield started
    finally:
        family = [started, *started.children(recursive=True)] if started.is_running() else []
        started.terminate()
        _, alive = psutil.wait_procs(family, timeout=15)
        for process in alive:
            process.kill()


def _wait_until_it_answers(url: str, process: psutil.Process) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.is_running():
        try:
            httpx.get(url, timeout=5)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"{url} does not answer after {START_SECONDS} s.")


def memory(what: str, process: psutil.Process) -> Row:
    """Peak resident memory of a process and its children, as the kernel kept it."""
    family = [process, *process.children(recursive=True)]
    return Row(what, f"{sum(_peak_kb(member.pid) for member in family) / 1024:,.0f} MB at its peak")


def _peak_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
