"""Sign-in: by password, by single sign-on, or by a one-time link. Nobody signs up by himself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest

from watchkeeper.accounts import services
from watchkeeper.history.actors import Actor
from watchkeeper.web.page import now

if TYPE_CHECKING:
    from watchkeeper.accounts.models import Person


class InvitationOnly(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def set_password(self, user: Person, password: str) -> None:
        """All ways to a password lead here: everybody sets only their own."""
        services.set_password(user, password, actor=Actor.person(user.id), now=now())
