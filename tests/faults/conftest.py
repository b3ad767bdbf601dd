"""A migrated database to copy, a receiver that remembers over its own fsync, and houses full of processes."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

from tests.faults.nursery import Mother, Nursery


@dataclass(frozen=True)
class Delivered:
    webhook_id: str
    incident: int
    kind: str
    occurrence: int


@dataclass
class Receiver:
    """Every delivery, written down and synced before it is answered."""

    path: Path
    port: int = 0
    deliveries: list[Delivered] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def take(self, webhook_id: str, body: bytes) -> None:
        entries = [Delivered(webhook_id, entry["incident"], entry["kind"], entry["occurrence"]) for entry in json.loads(body)["data"]["incidents"]]
        with self._lock, self.path.open("a") as file:
            file.writelines(f"{entry}\n" for entry in entries)
            file.flush()
            os.fsync(file.fileno())
            self.deliveries += entries

    def told(self) -> Counter[tuple[int, str, int]]:
        """How often each (incident, kind, occurrence) arrived."""
        return Counter((entry.incident, entry.kind, entry.occurrence) for entry in self.deliveries)

    @property
    def repeated(self) -> int:
        return sum(self.told().values()) - len(self.told())

    def after_the_key(self) -> Counter[tuple[int, str, int]]:
        """The same when each webhook-id is taken once, as a receiver does."""
        return Counter((entry.incident, entry.kind, entry.occurrence) for entry in set(self.deliveries))


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    made = Receiver(tmp_path / "deliveries.txt")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.take(self.headers["webhook-id"], self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # Any: as in the standard library
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def mother() -> Iterator[Mother]:
    made = Mother()
    yield made
    made.close()


@pytest.fixture(scope="session")
def migrated(django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The empty, migrated database of the tests as a file."""
    path = tmp_path_factory.mktemp("migrated") / "watchkeeper.sqlite3"
    with django_db_blocker.unblock():
        connection.ensure_connection()
        with closing(sqlite3.connect(path)) as copy:
            connection.connection.backup(copy)
            copy.execute("PRAGMA journal_mode=WAL")
    return path


@dataclass
class House:
    """A data folder with its processes and a look into its database."""

    nursery: Nursery
    receiver: Receiver

    @property
    def folder(self) -> Path:
        return self.nursery.folder

    def ask(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:  # Any: rows
        with closing(sqlite3.connect(f"file:{self.folder}/watchkeeper.sqlite3?mode=ro", uri=True, timeout=20)) as reader:
            return reader.execute(sql, arguments).fetchall()

    def number(self, sql: str, *arguments: object) -> int:
        return int(self.ask(sql, *arguments)[0][0])


@pytest.fixture
def houses(db: None, migrated: Path, mother: Mother, tmp_path: Path, receiver: Receiver) -> Iterator[Callable[..., House]]:
    """Makes houses; their processes end with the test."""
    made: list[Nursery] = []

    def build(**settings: str) -> House:
        folder = tmp_path / f"data-{len(made)}"
        folder.mkdir()
        (folder / "watchkeeper.sqlite3").write_bytes(migrated.read_bytes())
        made.append(Nursery(mother, folder, settings))
        return House(made[-1], receiver)

    yield build
    for nursery in made:
        nursery.close()


@pytest.fixture
def house(houses: Callable[..., House]) -> House:
    return houses()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
