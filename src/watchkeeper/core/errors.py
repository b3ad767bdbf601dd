"""Errors that reach people: each says what is wrong, what was given, what to do. Does not know HTTP; `status` is only the nearest word for it."""

from __future__ import annotations


class WatchkeeperError(Exception):
    """Base of everything we raise on purpose. `remedy` tells the reader what to do next."""

    status = 400
    title = "Bad request"

    def __init__(self, detail: str, *, remedy: str = "", fields: dict[str, str] | None = None, extra: dict[str, object] | None = None) -> None:
        super().__init__(detail)
        self.detail, self.remedy, self.fields, self.extra = detail, remedy, fields or {}, extra or {}


class InvalidInput(WatchkeeperError):
    status = 422
    title = "Invalid input"


class Unauthenticated(WatchkeeperError):
    status = 401
    title = "Not signed in"


class NotAllowed(WatchkeeperError):
    status = 403
    title = "Not allowed"


class NotFound(WatchkeeperError):
    status = 404
    title = "Not found"


class Conflict(WatchkeeperError):
    status = 409
    title = "Conflict"


class Gone(WatchkeeperError):
    status = 410
    title = "Gone"


class TooLarge(WatchkeeperError):
    status = 413
    title = "Too large"


class TooMany(WatchkeeperError):
    status = 429
    title = "Too many requests"


class Unavailable(WatchkeeperError):
    status = 503
    title = "Unavailable, try again"
