"""Start web and worker processes, keep them running, stop them together."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

import structlog

from watchkeeper.cli.tethered import tethered_command
from watchkeeper.core.errors import Conflict

log = structlog.get_logger()
THREADS = 32  # as many callers as wait for one group commit
RESTART_AFTER = 1.0


def check_port(host: str, port: int) -> None:
    """Refuse a port that is taken: web processes share theirs, so a second server would get every other call of the first."""
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as problem:
        raise Conflict(
            f"Port {port} of {host} cannot be used: {(problem.strerror or '').partition(' (')[0]}.",
            remedy="Stop what uses it, or choose another with --port.",
        ) from problem


def web_command(*, host: str, port: int, processes: int) -> list[str]:
    return [sys.executable, "-m", "granian", *_web_options(host, port, processes)]


def web_child(*, host: str, port: int, processes: int) -> list[str]:
    """The same as a process that ends with this one."""
    return tethered_command("granian", *_web_options(host, port, processes))


def worker_child() -> list[str]:
    return tethered_command("watchkeeper.cli", "worker")


def _web_options(host: str, port: int, processes: int) -> list[str]:
    return [
        "--interface", "wsgi", "--host", host, "--port", str(port), "--workers", str(processes),
        "--blocking-threads", str(THREADS), "--backpressure", str(THREADS * 4), "--no-ws", "--log-level", "error",
        "--workers-kill-timeout", "10", "--respawn-failed-workers", "watchkeeper.cli.server:application",
    ]  # fmt: skip


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
    """Web and worker side by side; one that dies is started again. Ends with the first signal; they end with it, even when it is killed."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    commands = {"web": web_child(host=host, port=port, processes=processes), "worker": worker_child()}
    running = {name: subprocess.Popen(command, env=os.environ) for name, command in commands.items()}  # noqa: S603 - our own command lines
    while not stop.wait(0.2):
        for name, process in running.items():
            if process.poll() is not None:
                log.warning("a process ended and is started again", command=name, code=process.returncode)
                time.sleep(RESTART_AFTER)
                running[name] = subprocess.Popen(commands[name], env=os.environ)  # noqa: S603 - our own command lines
    return _stop(list(running.values()))


def _stop(running: Sequence[subprocess.Popen[bytes]]) -> int:
    for process in running:
        process.terminate()
    for process in running:
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
    return 0
