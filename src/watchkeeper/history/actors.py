"""Who did it. A value that every service takes, so that no change is ever without an author."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Actor:
    """`kind` is person, service (an API key), model (an integration token) or platform."""

    kind: str
    id: str

    @classmethod
    def person(cls, id: object) -> Actor:
        return cls("person", str(id))

    @classmethod
    def model(cls, id: object) -> Actor:
        return cls("model", str(id))


PLATFORM = Actor("platform", "watchkeeper")
