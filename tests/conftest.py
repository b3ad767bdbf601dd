"""The cast and the tools every test shares: an owner, a validator, an administrator, an outsider who must see nothing; a clock held still."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

os.environ["WATCHKEEPER_DATA"] = tempfile.mkdtemp(prefix="watchkeeper-tests-")  # before Django reads its settings
os.environ["WATCHKEEPER_OUTGOING_ALLOW"] = "127.0.0.1"
os.environ["WATCHKEEPER_WATCH_ROOTS"] = tempfile.gettempdir()
os.environ["DJANGO_SETTINGS_MODULE"] = "watchkeeper.web.settings"  # here and not in pyproject.toml, which is read before this file

import django
import pytest

django.setup()  # before the other conftests, which import models

from tests.databases import connected, postgres_server  # noqa: E402 - Django first
from tests.platform import Platform  # noqa: E402 - Django first
from tests.receiver import Receiver  # noqa: E402 - the same
from watchkeeper.core.clock import ManualClock  # noqa: E402 - the same
from watchkeeper.core.garbage import collect_seldom  # noqa: E402 - the same
from watchkeeper.core.settings import settings  # noqa: E402 - the same
from watchkeeper.history import anchors  # noqa: E402 - the same
from watchkeeper.telemetry import engines  # noqa: E402 - the same
from watchkeeper.telemetry.engines import Engine  # noqa: E402 - the same

SLOW = {"browser", "cli", "faults", "stories"}
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="the same tests, run many more times (make faults)")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that start servers of their own first: no worker shall end with them while the other one waits."""
    items.sort(key=lambda item: not SLOW.intersection(item.path.parts))


def pytest_collection_finish() -> None:
    collect_seldom()  # as web and worker do


def pytest_unconfigure() -> None:
    shutil.rmtree(os.environ["WATCHKEEPER_DATA"], ignore_errors=True)


@dataclass(frozen=True)
class Runs:
    """How often a test repeats itself: a few times in every run, many times with `--long`."""

    is_long: bool

    def __call__(self, few: int, many: int) -> int:
        return many if self.is_long else few


@pytest.fixture
def runs(request: pytest.FixtureRequest) -> Runs:
    return Runs(request.config.getoption("--long"))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def platform(db: None, clock: ManualClock, tmp_path: Path) -> Iterator[Platform]:
    (settings().data / anchors.FILE).unlink(missing_ok=True)  # of the history of another test
    with Receiver() as receiver:
        yield Platform(clock, tmp_path, receiver=receiver)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a real PostgreSQL of the company, for the session. Not below pytest's own folder: the next session closes that to other users."""
    with tempfile.TemporaryDirectory(prefix="watchkeeper-tests-") as folder:
        yield from postgres_server(Path(folder))


@pytest.fixture
def engine() -> Iterator[Engine]:
    """The built-in one."""
    engine = connected("duckdb", "")
    yield engine
    engine.close()


@pytest.fixture(params=sorted(engines.catalogue()))
def each_engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Each engine in turn."""
    engine = connected(request.param, request.getfixturevalue("postgres") if request.param == "postgres" else "")
    yield engine
    engine.close()


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    """A data folder of its own for tests that start processes."""
    return tmp_path / "data"


def later(**span: float) -> timedelta:
    return timedelta(**span)
