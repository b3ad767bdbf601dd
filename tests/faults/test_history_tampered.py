"""The history refuses to be changed; where somebody gets round the database, verification names the first bad record."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction

from tests.conftest import NOON
from tests.receiver import Receiver
from watchkeeper.core.errors import InvalidInput
from watchkeeper.core.settings import settings
from watchkeeper.history.actors import PLATFORM
from watchkeeper.history.anchors import keep_anchor, kept_anchors, newest_anchor, parse_anchor
from watchkeeper.history.models import Change, Seal
from watchkeeper.history.services import record, seal_changes, verify_history
from watchkeeper.telemetry.log import TelemetryLog
from watchkeeper.worker import upkeep

pytestmark = pytest.mark.django_db
TRIGGERS = ("history_change_no_update", "history_change_no_delete", "history_seal_no_update", "history_seal_no_delete")


@pytest.fixture
def chain() -> list[Seal]:
    """Ten sealed records."""
    for number in range(1, 11):
        record(actor=PLATFORM, action="edited", on="model", id=uuid4(), now=NOON, after={"number": number})
    seal_changes(now=NOON)
    return list(Seal.objects.order_by("number"))


@pytest.fixture
def unprotected(chain: list[Seal]) -> list[Seal]:
    with connection.cursor() as cursor:
        for trigger in TRIGGERS:
            cursor.execute(f"DROP TRIGGER {trigger}")
    return chain


@pytest.mark.parametrize("table", ["history_change", "history_seal"])
@pytest.mark.parametrize("statement", ["DELETE FROM {table}", "UPDATE {table} SET {column} = {column}"])
def test_the_database_refuses_to_change_or_delete(chain: list[Seal], table: str, statement: str) -> None:
    column = "reason" if table == "history_change" else "hash"
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement.format(table=table, column=column))

    assert verify_history().bad_number is None
    assert verify_history().sealed == 10


@pytest.mark.parametrize("field", ["reason", "actor_id", "action", "object_id"])
def test_an_altered_record_is_named(unprotected: list[Seal], field: str) -> None:
    Change.objects.filter(pk=unprotected[3].change_id).update(**{field: "somebody else"})

    result = verify_history()

    assert (result.bad_number, result.sealed) == (4, 3)
    assert "altered" in result.what


def test_an_altered_time_or_content_is_named(unprotected: list[Seal]) -> None:
    Change.objects.filter(pk=unprotected[8].change_id).update(after={"number": 900})
    assert verify_history().bad_number == 9

    Change.objects.filter(pk=unprotected[5].change_id).update(at=NOON.replace(year=2020))
    assert verify_history().bad_number == 6


def test_a_record_rehashed_by_its_forger_betrays_the_next(unprotected: list[Seal]) -> None:
    Seal.objects.filter(number=5).update(hash="0" * 64)

    assert verify_history().bad_number == 5


def test_a_removed_record_is_named(unprotected: list[Seal]) -> None:
    Seal.objects.filter(number=7).delete()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM history_change WHERE id = %s", [unprotected[6].change_id.hex])

    result = verify_history()

    assert result.bad_number == 7
    assert "missing" in result.what


def test_removed_and_renumbered_records_are_named(unprotected: list[Seal]) -> None:
    Seal.objects.filter(number=7).delete()
    for number in (8, 9, 10):
        Seal.objects.filter(number=number).update(number=number - 1)

    assert verify_history().bad_number == 7


def test_swapped_records_are_named(unprotected: list[Seal]) -> None:
    first, second = unprotected[1].change_id, unprotected[2].change_id
    with connection.cursor() as cursor:
        cursor.execute("UPDATE history_seal SET change_id = %s WHERE number = 2", ["0" * 32])
        cursor.execute("UPDATE history_seal SET change_id = %s WHERE number = 3", [first.hex])
        cursor.execute("UPDATE history_seal SET change_id = %s WHERE number = 2", [second.hex])

    assert verify_history().bad_number == 2


def test_a_chain_whose_end_was_cut_off_misses_its_anchor(unprotected: list[Seal], tmp_path: Path) -> None:
    anchor = newest_anchor(now=NOON)
    assert anchor
    keep_anchor(anchor, folder=tmp_path)
    Seal.objects.filter(number__gt=8).delete()
    with connection.cursor() as cursor:
        cursor.executemany("DELETE FROM history_change WHERE id = %s", [[seal.change_id.hex] for seal in unprotected[8:]])

    assert verify_history().bad_number is None, "without an anchor nothing shows"
    result = verify_history(kept_anchors(tmp_path))

    assert (result.bad_number, result.sealed) == (9, 8)
    assert "the anchor of 2026" in result.what


def test_a_chain_that_was_written_anew_does_not_match_its_anchor(chain: list[Seal]) -> None:
    result = verify_history([parse_anchor(f"7:{'0' * 64}")])

    assert result.bad_number == 7
    assert "written anew" in result.what


def test_the_anchor_is_kept_and_sent_once_a_day(chain: list[Seal], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as outside:
        monkeypatch.setenv("WATCHKEEPER_DATA", str(tmp_path))
        monkeypatch.setenv("WATCHKEEPER_ANCHOR_URL", outside.url)
        settings.cache_clear()
        for hours in (0, 1, 25):
            upkeep.run_due(TelemetryLog(tmp_path / "telemetry"), holder="worker", now=NOON + timedelta(hours=hours))

    settings.cache_clear()
    assert [anchor.number for anchor in kept_anchors(tmp_path)] == [10, 10]
    assert [json.loads(request.body)["hash"] for request in outside.received] == [chain[-1].hash] * 2


@pytest.mark.parametrize("text", ["", "7", "seven:" + "0" * 64, "7:abc"])
def test_what_is_no_anchor_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not an anchor"):
        parse_anchor(text)
