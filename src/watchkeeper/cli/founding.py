"""The first minute of an installation: schema, company, first administrator."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from rich.console import Console

from watchkeeper.accounts import queries, services
from watchkeeper.alerts import flow
from watchkeeper.core.clock import clock_of
from watchkeeper.core.errors import Conflict, NotFound
from watchkeeper.core.settings import settings
from watchkeeper.history.actors import PLATFORM
from watchkeeper.registry.services import Owners

FIRST = "administrator@watchkeeper.localhost"
LOCK = 20_130_101  # any number that nobody else locks


def now() -> datetime:
    return clock_of(settings().data, is_demo=settings().is_demo).now()


def waiting_migrations() -> int:
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def check_schema(folder: Path) -> None:
    """Refuse a folder in which nothing was ever installed, or something older."""
    if waiting_migrations():
        raise Conflict(
            f"The database of {folder.resolve()} is not there yet, or of an earlier version.",
            remedy="Start `watchkeeper up` once, or name another folder with --data.",
        )


def migrate() -> None:
    with _one_at_a_time():
        call_command("migrate", verbosity=0, interactive=False)
        services.found_company(settings().company, actor=PLATFORM, now=now())


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Commands that start together wait for each other: on this machine by a file, on others by the database they share."""
    with (settings().data / "migrate.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if connection.vendor != "postgresql":
            yield
            return
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        try:
            yield
        finally:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


def welcome(address: str, folder: Path) -> None:
    """Where it is, and how the first administrator gets in."""
    out = Console(highlight=False)
    out.print(f"Watchkeeper is at [bold]{address}[/bold], its data in {folder.resolve()}")
    link = first_sign_in(address)
    if link:
        out.print(f"Nobody has signed in yet. First administrator, once, within a day: [bold]{link}[/bold]", soft_wrap=True)


def first_sign_in(address: str) -> str:
    """A one-time link for the first administrator, as long as no person has ever signed in."""
    return "" if queries.has_anybody_signed_in() else sign_in_link(address)


def sign_in_link(address: str, email: str = "") -> str:
    person = queries.person_by(email) if email else services.first_administrator(FIRST, actor=PLATFORM, now=now())
    return f"{address}/sign-in/{services.make_sign_in_link(person, actor=PLATFORM, now=now())}/"


def service_key(*, role: str, name: str, unit: str) -> str:
    """A service account with a role on a unit, and its key."""
    migrate()
    wanted = queries.role_by("administrator" if role == "admin" else role)
    on = queries.unit_by(unit) if unit else queries.root_unit()
    return services.create_service(name=name, role=wanted, unit=on, actor=PLATFORM, now=now()).text


def register(name: str, unit: str) -> tuple[str, str]:
    migrate()
    try:
        where = queries.unit_by(unit) if unit else queries.root_unit()
    except NotFound:
        where = services.ensure_unit(queries.names_of(unit), actor=PLATFORM, now=now())
    made = flow.connect_model(name, unit=where, actor=PLATFORM, now=now(), fields={}, owners=Owners())
    return str(made.model.id), made.token.text
