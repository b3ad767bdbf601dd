"""Processes of the platform, forked from one that has imported everything: a worker or a web server starts in milliseconds, and dies for real.

Run as a program it is that process: it reads one JSON order per line and answers with one JSON line. It never touches the database itself.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from tests.patience import PATIENCE

FAST = {
    "WATCHKEEPER_SECRET_KEY": "the same for all processes of a test",
    "WATCHKEEPER_LEASE_SECONDS": "1",
    "WATCHKEEPER_LOG_COMMIT_SECONDS": "0.1",
    "WATCHKEEPER_GROUP_WAIT_SECONDS": "0",
    "WATCHKEEPER_GROUP_INTERVAL_SECONDS": "0",
    "WATCHKEEPER_OUTGOING_ALLOW": "127.0.0.1",
}


class Mother:
    """The process that forks the others. One for a whole test session: it takes seconds to import everything."""

    def __init__(self) -> None:
        environment = {**os.environ, **FAST}
        environment.pop("WATCHKEEPER_CRASH_AT", None)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=Path(__file__).parents[2],
        )

    def ask(self, order: Mapping[str, Any]) -> dict[str, Any]:  # Any: JSON
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return dict(json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(timeout=PATIENCE)


# What the platform imports only when it first needs it, and a child would import again each time.
LATE = (
    "watchkeeper.api.ingest",
    "watchkeeper.cli.running",
    "watchkeeper.worker.loop",
    "watchkeeper.web.urls",
    "tests.faults.seeding",
    "pandas",
    "ibis.backends.duckdb",
    "ibis.backends.sql.compilers.duckdb",
    "ibis.expr.operations",
    "sqlglot.dialects.duckdb",
    "pyarrow.pandas_compat",
    "dateutil.easter",
    "numpy.ma",
    "numpy.random",
    "encodings.idna",
)


@dataclass
class Nursery:
    """One data folder and the processes that work on it."""

    mother: Mother
    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    pids: set[int] = field(default_factory=set)

    def start(self, function: str, *, crash_at: str = "", **arguments: Any) -> int:  # Any: JSON
        """Fork a process that calls `module:function`; its pid."""
        environment = {**self.settings, "WATCHKEEPER_DATA": str(self.folder), "WATCHKEEPER_CRASH_AT": crash_at}
        order = {"start": function, "arguments": arguments, "environment": environment, "log": str(self.folder / "processes.log")}
        pid = int(self.mother.ask(order)["pid"])
        self.pids.add(pid)
        return pid

    def worker(self, *, crash_at: str = "") -> int:
        return self.start("watchkeeper.cli.running:run_worker", crash_at=crash_at)

    def call(self, function: str, **arguments: Any) -> Any:  # Any: JSON
        """Run a function to its end in a process of its own and hand back what it returned."""
        answer = self.folder / "answer.json"
        answer.unlink(missing_ok=True)
        ended = self.wait(self.start("tests.faults.nursery:answering", call=function, into=str(answer), given=arguments))
        assert ended == 0, f"{function} failed: {self.log()[-2000:]}"
        return json.loads(answer.read_text())

    def poll(self, pid: int) -> int | None:
        """None while it lives; its exit code, or minus the signal that ended it."""
        ended: int | None = self.mother.ask({"poll": pid})["ended"]
        if ended is not None:
            self.pids.discard(pid)
        return ended

    def wait(self, pid: int) -> int:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            ended = self.poll(pid)
            if ended is not None:
                return ended
            time.sleep(0.01)
        raise AssertionError(f"process {pid} did not end within {PATIENCE} s: {self.log()[-2000:]}")

    def kill(self, pid: int, *, how: signal.Signals = signal.SIGKILL) -> int:
        os.kill(pid, how)
        return self.wait(pid)

    def log(self) -> str:
        path = self.folder / "processes.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def close(self) -> None:
        for pid in list(self.pids):
            os.kill(pid, signal.SIGKILL)
            self.wait(pid)


def answering(call: str, into: str, given: dict[str, Any]) -> None:  # Any: JSON
    draft = Path(into).with_suffix(".draft")
    draft.write_text(json.dumps(_function(call)(**given)))
    draft.replace(into)


def _function(what: str) -> Any:  # Any: any function
    module, _, name = what.partition(":")
    return getattr(importlib.import_module(module), name)


def _grow_up(order: Mapping[str, Any]) -> NoReturn:  # Any: JSON
    """The life of a forked process."""
    from django.conf import settings as django_settings
    from django.db import connections

    from watchkeeper.core.settings import settings

    os.environ.update(order["environment"])
    settings.cache_clear()
    django_settings.DATABASES["default"] |= _database(order["environment"])
    if hasattr(connections._connections, "default"):  # made by an import, never opened
        del connections["default"]
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    code = 1
    try:
        _function(order["start"])(**order["arguments"])
        code = 0
    except Exception:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _database(environment: Mapping[str, str]) -> dict[str, Any]:  # Any: Django's own format
    """What differs from the database of the process that forked us, which never opened it."""
    if "DATABASE_URL" in environment:
        from watchkeeper.web import settings as web

        web._own = web.settings()
        return web._database()
    return {"NAME": str(Path(environment["WATCHKEEPER_DATA"]) / "watchkeeper.sqlite3")}


def _poll(pid: int) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "watchkeeper.web.settings"
    import django

    django.setup()
    from django.template.loader import get_template

    from watchkeeper import channels, risks
    from watchkeeper.telemetry import engines

    for catalogue in (channels.catalogue, risks.catalogue, engines.catalogue):
        catalogue()
    for late in LATE:
        importlib.import_module(late)
    for kind in ("txt", "html"):
        get_template(f"alerts/message.{kind}")
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        if "poll" in order:
            answer: dict[str, Any] = {"ended": _poll(order["poll"])}  # Any: JSON
        else:
            pid = os.fork()
            if pid == 0:
                _grow_up(order)
            answer = {"pid": pid}
        sys.__stdout__.write(json.dumps(answer) + "\n")  # type: ignore[union-attr]  # it is there
        sys.__stdout__.flush()  # type: ignore[union-attr]  # it is there


if __name__ == "__main__":
    _main()
