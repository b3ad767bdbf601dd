"""A real receiver on 127.0.0.1 that answers as told, and a client that writes its spool into the test's folder."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import watchkeeper
from tests.patience import PATIENCE, PROMPT

TOKEN = "wk_a1b2_SecretSecretSecret"
HANG, DROP = -1, -2  # instead of an HTTP status


@dataclass
class Received:
    stream: str
    batch_id: str
    media_type: str
    authorization: str
    body: bytes
    status: int

    @property
    def rows(self) -> list[dict[str, Any]]:  # Any: JSON
        if self.media_type == "application/json":
            return json.loads(self.body)["rows"]  # type: ignore[no-any-return] # JSON
        return self.table.to_pylist()  # type: ignore[no-any-return] # pyarrow is untyped

    @property
    def table(self) -> Any:  # Any: pyarrow is untyped
        return pa.ipc.open_stream(self.body).read_all()


@dataclass
class Receiver:
    """`status` is the answer to the next requests, `told` its body, `headers` its headers."""

    status: int = 202
    told: dict[str, Any] = field(default_factory=dict)  # Any: JSON
    headers: dict[str, str] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    url: str = ""
    released: threading.Event = field(default_factory=threading.Event)  # ends the hanging

    @property
    def accepted(self) -> list[Received]:
        return [one for one in self.received if one.status == 202]

    def rows(self, stream: str) -> list[dict[str, Any]]:  # Any: JSON
        return [row for one in self.accepted if one.stream == stream for row in one.rows]

    def wait_for(self, condition: Callable[[], object], seconds: float = PATIENCE) -> None:
        give_up_at = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < give_up_at, f"waited {seconds} s; received {[(one.stream, one.status) for one in self.received]}"
            time.sleep(0.01)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    state = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = state.status
            batch_id, media_type, authorization = (self.headers[name] for name in ("Idempotency-Key", "Content-Type", "Authorization"))
            state.received.append(Received(self.path.rsplit("/", 1)[1], batch_id, media_type, authorization, body, status))
            if status == HANG:
                state.released.wait(3 * PROMPT)
            if status in (HANG, DROP):
                self.close_connection = True
                return
            self.send_response(status)
            answer = json.dumps(state.told).encode()
            for name, value in {**state.headers, "Content-Length": str(len(answer))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield state
    state.released.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def model(receiver: Receiver, spool: Path) -> Iterator[watchkeeper.Client]:
    with watchkeeper.connect(receiver.url, TOKEN, spool=spool) as client:
        yield client


def batch_files(spool: Path) -> list[Path]:
    return sorted(path for path in spool.rglob("*") if path.suffix in (".json", ".arrow") and not path.name.startswith("."))


@pytest.fixture
def spooled(spool: Path) -> Callable[[], list[Path]]:
    """The batch files on disk, whoever's folder they are in."""
    return lambda: batch_files(spool)
