"""Signing in by link and by password, first steps, one's own settings."""

from __future__ import annotations

import re

import pytest
from django.core.cache import cache

from tests.platform import Platform
from tests.web.reading import browser, check_policy, said
from watchkeeper.accounts import services
from watchkeeper.accounts.queries import person_of_key
from watchkeeper.accounts.tokens import read_token
from watchkeeper.web.page import now

LONG = "a long enough passphrase"


@pytest.fixture(autouse=True)
def no_earlier_attempts() -> None:
    cache.clear()


def link_for(platform: Platform) -> str:
    return f"/sign-in/{services.make_sign_in_link(platform.owner, actor=platform.actor, now=now())}/"


def test_opening_the_link_signs_nobody_in(platform: Platform) -> None:
    client, link = browser(), link_for(platform)

    answer = client.get(link)

    assert answer.status_code == 200
    assert "Press the button" in said(answer)
    assert "_auth_user_id" not in client.session
    check_policy(answer)


def test_the_button_signs_in_once_and_asks_for_name_and_password(platform: Platform) -> None:
    client, link = browser(), link_for(platform)

    answer = client.post(link)
    assert answer.headers["Location"] == "/account/welcome/"
    assert client.session["_auth_user_id"] == str(platform.owner.id)
    assert client.post("/account/welcome/", {"name": "Olga Owner", "password": LONG}).headers["Location"] == "/"

    platform.owner.refresh_from_db()
    assert platform.owner.name == "Olga Owner"
    assert platform.owner.check_password(LONG)
    assert client.get("/profile/").status_code == 200  # still signed in after the password changed
    again = browser().post(link)
    assert again.status_code == 410
    assert "watchkeeper up" in said(again)
    assert "ask an administrator" in said(again)


def test_a_wrong_link_says_what_to_do(platform: Platform) -> None:
    answer = browser().post("/sign-in/guessed/")

    assert answer.status_code == 410
    assert "This link does not work" in said(answer)


def test_a_weak_password_is_refused_and_the_name_is_kept(platform: Platform) -> None:
    client = browser(platform.owner)

    answer = client.post("/account/welcome/", {"name": "Olga", "password": "short"})

    assert answer.status_code == 422
    assert 'value="Olga"' in answer.content.decode()
    assert "at least 10 characters" in said(answer)


def test_name_and_password_can_wait(platform: Platform) -> None:
    assert 'href="/"' in browser(platform.owner).get("/account/welcome/").content.decode()


def test_one_signs_in_with_e_mail_and_password(platform: Platform) -> None:
    platform.owner.set_password(LONG)
    platform.owner.save()
    client = browser()
    page = client.get("/account/login/")
    check_policy(page)
    assert "Ask an administrator for a sign-in link" in said(page)

    answer = client.post("/account/login/", {"login": "owner@example.com", "password": LONG})

    assert answer.headers["Location"] == "/"
    assert client.session["_auth_user_id"] == str(platform.owner.id)
    client.post("/account/logout/")
    assert "_auth_user_id" not in client.session


def test_a_wrong_password_keeps_the_e_mail_and_too_many_are_stopped(platform: Platform) -> None:
    client = browser()

    answers = [client.post("/account/login/", {"login": "owner@example.com", "password": f"wrong {number}"}) for number in range(12)]

    assert 'value="owner@example.com"' in answers[0].content.decode()
    assert answers[-1].status_code == 429 or "Too many" in said(answers[-1])


def test_nobody_signs_up_by_himself(platform: Platform) -> None:
    answer = browser().get("/account/signup/")

    assert "Nobody signs up here by himself" in said(answer)


def test_the_profile_is_saved_and_a_wrong_zone_keeps_what_was_typed(platform: Platform) -> None:
    client = browser(platform.owner)
    page = client.get("/profile/")
    check_policy(page)

    wrong = client.post("/profile/", {"name": "Olga", "language": "en", "timezone": "Mars/Olympus", "theme": ""})
    assert wrong.status_code == 422
    assert 'value="Mars/Olympus"' in wrong.content.decode()
    client.post("/profile/", {"name": "Olga", "language": "ru", "timezone": "Europe/Moscow", "theme": "dark"})

    platform.owner.refresh_from_db()
    assert (platform.owner.name, platform.owner.language, platform.owner.timezone, platform.owner.theme) == ("Olga", "ru", "Europe/Moscow", "dark")
    assert '<html lang="ru" data-theme="dark">' in client.get("/profile/").content.decode()


def test_an_api_key_is_shown_once_works_and_is_revoked(platform: Platform) -> None:
    client = browser(platform.owner)

    client.post("/profile/keys/", {"name": "nightly export"})
    shown = re.search(r"wkk_[0-9a-f]{12}_[A-Za-z0-9]+", client.get("/profile/").content.decode())

    assert shown
    token = read_token(shown[0])
    assert token
    assert person_of_key(token, now=now()) == platform.owner
    assert shown[0] not in client.get("/profile/").content.decode()
    client.post(f"/profile/keys/{token.id}/revoke/")
    assert person_of_key(token, now=now()) is None


def test_a_key_of_somebody_else_cannot_be_revoked(platform: Platform) -> None:
    token = services.create_api_key(platform.owner, name="export", actor=platform.actor, now=now())

    answer = browser(platform.outsider).post(f"/profile/keys/{token.id}/revoke/")

    assert answer.status_code == 404
    assert person_of_key(token, now=now()) == platform.owner
