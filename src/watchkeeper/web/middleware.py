"""What every page gets: a strict content security policy, and the reader's language, time zone and theme."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation

from watchkeeper.core.settings import settings

Handler = Callable[[HttpRequest], HttpResponse]
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"


def content_security_policy(handler: Handler) -> Handler:
    """No inline script, no inline style, nothing from elsewhere: a model's text can never run."""

    def handle(request: HttpRequest) -> HttpResponse:
        response = handler(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        return response

    return handle


def reader(handler: Handler) -> Handler:
    """The person's language and zone, else the browser's, else the installation's."""

    def handle(request: HttpRequest) -> HttpResponse:
        person = request.user if request.user.is_authenticated else None
        language = (person and person.language) or request.COOKIES.get("language") or translation.get_language_from_request(request)
        with translation.override(language), timezone.override(_zone((person and person.timezone) or _asked_zone(request))):
            request.LANGUAGE_CODE = translation.get_language() or settings().language
            return handler(request)

    return handle


def _asked_zone(request: HttpRequest) -> str:
    """What the browser said its zone is (a cookie set by app.js)."""
    return unquote(request.COOKIES.get("timezone", ""))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name or settings().time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo(settings().time_zone)
