"""Every message has its Russian, with the same placeholders; a page in Russian has no English left in its frame."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import translation
from django.utils.translation import trans_real

from tests.platform import Platform
from tests.web.reading import browser, check_policy, said
from watchkeeper.accounts.services import edit_person
from watchkeeper.web import messages
from watchkeeper.web.page import now


@pytest.fixture
def russian() -> Iterator[None]:
    """The .mo as `make setup` compiles it."""
    messages.main(["compile"])
    trans_real._translations.clear()  # type: ignore[attr-defined]  # Django reads a .mo once per process
    with translation.override("ru"):
        yield


def test_everything_is_translated_with_the_same_placeholders(capsys: pytest.CaptureFixture[str]) -> None:
    assert messages.check() == 0, capsys.readouterr().err


def without_russian(message: str) -> int:
    """What the check returns when this message has no Russian."""
    rest = messages.stored()
    rest.delete(message)
    return messages.check(rest)


def test_a_text_of_a_page_without_russian_fails_the_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert without_russian("Register a model") == 1
    assert "not translated: 'Register a model'\n" in capsys.readouterr().err


def test_a_text_of_a_risk_without_russian_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    without_russian("No owner")

    told = capsys.readouterr().err
    assert "warning, shown in English: 'No owner'\n" in told
    assert "not translated: 'No owner'\n" not in told


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        ("{age} назад", "placeholders or tags differ"),
        ("{age:number} назад", "placeholders or tags differ"),
    ],
)
def test_a_wrong_translation_is_found(found: str, problem: str) -> None:
    wanted, translated = messages.Message("{age:duration} ago"), messages.Message("{age:duration} ago", found)

    assert [message.partition(":")[0] for message in messages._problems(wanted, translated)] == [problem]


def test_plural_forms_are_three() -> None:
    wanted = messages.Message(("%(n)s day", "%(n)s days"))

    assert list(messages._problems(wanted, messages.Message(wanted.id, ("%(n)s день", "%(n)s дня", "%(n)s дней")))) == []
    assert list(messages._problems(wanted, messages.Message(wanted.id, ("%(n)s день", "%(n)s дней"))))


def test_it_collects_what_is_translated_where_it_is_shown() -> None:
    found = {message.id for message in messages.collected()}

    assert {
        "machine-learning model",
        "technical owner",
        "owners set",
        "No owner",
        "Signed webhook",
        "Register a model",
        "A channel needs a name.",
    } <= found


@pytest.mark.usefixtures("russian")
def test_pages_speak_russian(platform: Platform) -> None:
    platform.register()
    edit_person(platform.administrator, actor=platform.actor, now=now(), language="ru")
    client = browser(platform.administrator)
    paths = ("/people/", "/units/", "/channels/", "/channels/new/", "/deliveries/", "/silences/", "/inbox/", "/sources/", "/risks/", "/policies/")

    for path in (
        *paths,
        "/changes/",
        "/profile/",
        "/models/new/",
        "/risks/no_owner/",
        "/channels/new/?kind=email",
        "/policies/new/?type=stale_model",
    ):
        page = client.get(path)
        check_policy(page)
        assert page.status_code == 200
        text = re.sub(r"Watchkeeper|English|System", "", said(page))
        assert not re.search(r"\b(the|and|with|Save|Show|Add|yet)\b", text), (path, text)


@pytest.mark.usefixtures("russian")
def test_counts_take_the_russian_plurals() -> None:
    forms = [translation.ngettext("%(n)s day", "%(n)s days", count) % {"n": count} for count in (1, 2, 5, 21)]

    assert forms == ["1 день", "2 дня", "5 дней", "21 день"]


def test_the_compiled_file_is_not_committed() -> None:
    assert "*.mo" in (Path(__file__).parents[2] / ".gitignore").read_text()
