"""The history refuses to be changed; where somebody gets round the database, verification names the first bad record."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction

from tests.conftest import NOON
from watchkeeper.history.actors import PLATFORM
from watchkeeper.history.models import Change, Seal
from watchkeeper.history.services import record, seal_changes, verify_history

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
