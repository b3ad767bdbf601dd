"""What every page starts from: who asks and when, and what the reader gets when something is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache, wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from watchkeeper.core.clock import Clock, clock_of
from watchkeeper.core.errors import WatchkeeperError
from watchkeeper.core.settings import settings
from watchkeeper.history.actors import Actor

if TYPE_CHECKING:
    from watchkeeper.accounts.models import Person

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


@cache
def clock() -> Clock:
    return clock_of(settings().data, is_demo=settings().is_demo)


def now() -> datetime:
    return clock().now()


def person_of(request: HttpRequest) -> Person:
    """The person of a page that is shown only to people who signed in."""
    return cast("Person", request.user)


def wants_fragment(request: HttpRequest) -> bool:
    """htmx asks for the part of the page that it swaps."""
    return "HX-Request" in request.headers and "HX-History-Restore-Request" not in request.headers


def actor_of(request: HttpRequest) -> Actor:
    return Actor.person(person_of(request).id)


def signed_in(view: View[P]) -> View[P]:
    """For people who signed in. What the platform refuses becomes a page that says what to do and whom to ask."""

    @wraps(view)
    def handle(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except WatchkeeperError as problem:
            return render(request, "refused.html", {"problem": problem}, status=problem.status)

    return cast("View[P]", login_required(handle))
