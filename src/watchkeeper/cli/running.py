"""Start web and worker processes, keep them running, stop them together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

import structlog

log = structlog.get_logger()
THREADS = 32  # as many callers as wait for one group commit
RESTART_AFTER = 1.0


def web_command(*, host: str, port: int, processes: int) -> list[str]:
    return [
        sys.executable, "-m", "granian", "--interface", "wsgi", "--host", host, "--port", str(port), "--workers", str(processes),
        "--blocking-threads", str(THREADS), "--backpressure", str(THREADS * 4), "--no-ws", "--log-level", "warning",
        "--workers-kill-timeout", "10", "--respawn-failed-workers", "watchkeeper.cli.server:application",
    ]  # fmt: skip


def worker_command() -> list[str]:
    return [sys.executable, "-m", "watchkeeper.cli", "worker"]


def run_worker() -> None:
    """A worker until it is told to stop; what it was doing is finished first."""
    from watchkeeper.core.clock import clock_of
    from watchkeeper.core.settings import settings
    from watchkeeper.worker.loop import run
    from watchkeeper.worker.steps import Workshop

    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    run(Workshop(clock_of(settings().data, is_demo=settings().is_demo)), stop=stop)


def serve_all(*, host: str, port: int, processes: int) -> int:
    """Web and worker side by side; one that dies is started again. Ends with the first signal."""
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    commands = (web_command(host=host, port=port, processes=processes), worker_command())
    running = [subprocess.Popen(command, env=os.environ) for command in commands]  # noqa: S603 our own command lines
    while not stop.wait(0.2):
        for index, process in enumerate(running):
            if process.poll() is not None:
                log.warning("a process ended and is started again", command=commands[index][2], code=process.returncode)
                time.sleep(RESTART_AFTER)
                running[index] = subprocess.Popen(commands[index], env=os.environ)  # noqa: S603 our own command lines
    return _stop(running)


def _stop(running: Sequence[subprocess.Popen[bytes]]) -> int:
    for process in running:
        process.terminate()
    for process in running:
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
    return 0
