"""The real server in its own processes, for tests that talk to it as users do."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import httpx

from tests.patience import PATIENCE


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """`watchkeeper up` on a free port. Use as a context manager; everything it started ends with it."""

    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        own = {"WATCHKEEPER_DATA": str(self.folder), "WATCHKEEPER_OUTGOING_ALLOW": "127.0.0.1", "WATCHKEEPER_BASE_URL": self.url}
        return {**os.environ, **own, **self.settings}

    def __enter__(self) -> Server:
        command = [sys.executable, "-m", "watchkeeper.cli", "up", "--port", str(self.port)]
        self.log = (self.folder.parent / "server.log").open("wb")
        self.process = subprocess.Popen(command, env=self.environment, stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if httpx.get(f"{self.url}/healthz", timeout=5).status_code == 200:
                    return self
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        self.__exit__(None, None, None)
        raise AssertionError(f"The server did not start: {self.output}")

    @property
    def output(self) -> str:
        return (self.folder.parent / "server.log").read_text(errors="replace")

    def run(self, *arguments: str) -> str:
        """A command of the command line on the same folder; what it printed."""
        command = [sys.executable, "-m", "watchkeeper.cli", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout.strip()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.log.close()
