"""System checks: each with an id, a sentence, a hint."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from django.db import DatabaseError, connection
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from watchkeeper import channels, risks
from watchkeeper.alerts.queries import broken_channels, people_without_channel
from watchkeeper.cli.founding import now, waiting_migrations
from watchkeeper.core.settings import settings
from watchkeeper.history.anchors import kept_anchors
from watchkeeper.history.services import verify_history
from watchkeeper.monitoring import beats

LEAST_FREE_GB = 1.0


class Level(StrEnum):
    FINE = "ok"
    WARNING = "warning"
    WRONG = "error"


@dataclass(frozen=True)
class Check:
    id: str
    level: Level
    sentence: str
    hint: str = ""


def examine(out: Console) -> int:
    """Print every check; 1 when something is wrong."""
    found = list(_database())
    if found[0].level is Level.FINE:  # the others read it
        found += [check for examine_one in CHECKS for check in examine_one()]
    colours = {Level.FINE: "green", Level.WARNING: "yellow", Level.WRONG: "red"}
    for check in found:
        out.print(
            f"[{colours[check.level]}]{check.level:8}[/] {check.id}  {check.sentence}" + (f"\n              {check.hint}" if check.hint else "")
        )
    return int(any(check.level is Level.WRONG for check in found))


def _database() -> Iterator[Check]:
    try:
        waiting = waiting_migrations()
    except DatabaseError as problem:
        yield Check("W001", Level.WRONG, f"The database does not answer: {problem}", "Look at WATCHKEEPER_DATABASE_URL and at the server.")
        return
    if waiting:
        yield Check("W002", Level.WRONG, f"{waiting} migrations are waiting.", "Start `watchkeeper up` once, or run `watchkeeper migrate`.")
        return
    yield Check("W001", Level.FINE, f"The database answers ({connection.vendor}) and is up to date.")


def _disk() -> Iterator[Check]:
    free = shutil.disk_usage(settings().data).free / 2**30
    hint = "Free some space, or shorten WATCHKEEPER_KEEP_ROWS_DAYS."
    yield Check("W010", Level.FINE, f"{free:.0f} GB free.") if free > LEAST_FREE_GB else Check("W010", Level.WRONG, f"Only {free:.1f} GB free.", hint)


def _worker() -> Iterator[Check]:
    pulse = beats.pulse(now=now())
    if pulse.beat_at is None:
        yield Check("W020", Level.WARNING, "No worker has run yet.", "Start `watchkeeper up`, or `watchkeeper worker` beside `watchkeeper web`.")
    elif not pulse.is_well:
        yield Check("W020", Level.WRONG, f"The worker is behind: last cycle {pulse.beat_at:%Y-%m-%d %H:%M:%S}Z, lag {pulse.lag}.", "Look at its log.")
    else:
        yield Check("W020", Level.FINE, f"The worker keeps up; lag {pulse.lag.total_seconds():.0f} s.")


def _plugins() -> Iterator[Check]:
    yield Check("W030", Level.FINE, f"{len(risks.catalogue())} risk types, {len(channels.catalogue())} kinds of channel.")


def _channels() -> Iterator[Check]:
    for channel in broken_channels():
        yield Check(
            "W040",
            Level.WARNING,
            f"The channel {channel} has been failing since {channel.failing_since:%Y-%m-%d %H:%M}Z.",
            "Open it and send a test.",
        )
    without = people_without_channel()
    if without:
        hint = "Add a channel to the people, to their models, or one to the company that catches everything."
        yield Check("W041", Level.WARNING, f"{without} owners would only be told in the application.", hint)


def _history() -> Iterator[Check]:
    result = verify_history(kept_anchors(settings().data))
    if result.bad_number is not None:
        yield Check("W050", Level.WRONG, f"The history is broken at record {result.bad_number}: {result.what}.", "Compare with the last backup.")
    else:
        yield Check("W050", Level.FINE, f"The history is intact: {result.sealed} records sealed, {result.unsealed} waiting.")


CHECKS: tuple[Callable[[], Iterator[Check]], ...] = (_disk, _worker, _plugins, _channels, _history)


def show_settings(out: Console) -> None:
    """All settings: name, value, what it is. Secrets show as stars."""
    table = Table("variable", "value", "meaning")
    for name, field in type(settings()).model_fields.items():
        value = getattr(settings(), name)
        shown = ("**********" if value.get_secret_value() else "") if isinstance(value, SecretStr) else str(value)
        table.add_row(f"WATCHKEEPER_{name.upper()}", shown, field.description)
    out.print(table)
