"""Clients that send batches and send them again, under the same id, until they are acknowledged."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.patience import PATIENCE


@dataclass
class Senders:
    """`acknowledged` are the ids of rows whose batch was answered 200 or 202."""

    port: int
    token: str
    rows: int = 5
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat())  # the same bytes each time: another content is another batch
    acknowledged: list[str] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)
    tries: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self, count: int) -> None:
        self._threads = [threading.Thread(target=self._send_for_ever, args=(f"sender-{i}",), daemon=True) for i in range(count)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Every sender finishes the batch it has begun."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=PATIENCE)
            assert not thread.is_alive(), "a sender never got its answer"

    def _send_for_ever(self, name: str) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            ids = [f"{name}-{number}-{i}" for i in range(self.rows)]
            self._send_until_acknowledged(f"{name}-{number}", ids)
            self.acknowledged += ids

    def _send_until_acknowledged(self, batch_id: str, ids: list[str]) -> None:
        deadline = time.monotonic() + 150  # longer than the longest outage of a test
        while time.monotonic() < deadline:
            self.tries += 1
            status = self.send(batch_id, ids)
            if status in (200, 202):
                return
            if status not in (0, 503):
                self.refused.append((status, batch_id))
            time.sleep(0.02)
        raise TimeoutError(batch_id)

    def send(self, batch_id: str, ids: list[str]) -> int:
        """One try: the status, 0 for no answer at all."""
        rows = [{"id": id, "timestamp": self.at, "prediction": 1, "features": {"x": 1.0}} for id in ids]
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v1/ingest/predictions",
            data=json.dumps({"batch_id": batch_id, "rows": rows}).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as problem:
            return problem.code
        except OSError:
            return 0
