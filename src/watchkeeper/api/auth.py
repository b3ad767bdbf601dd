"""Who calls the REST interface: a person by session or API key, or a model by its integration token (status of itself only)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from django.http import HttpRequest
from django.middleware.csrf import CsrfViewMiddleware

from watchkeeper.accounts.queries import person_of_key
from watchkeeper.accounts.tokens import read_token
from watchkeeper.core.clock import clock_of
from watchkeeper.core.errors import Gone, NotAllowed, NotFound, Unauthenticated
from watchkeeper.core.settings import settings
from watchkeeper.history.actors import Actor
from watchkeeper.registry.queries import holder_of

if TYPE_CHECKING:
    from watchkeeper.accounts.models import Person

clock = clock_of(settings().data, is_demo=settings().is_demo)
REMEDY = "Send `Authorization: Bearer wkk_…` with an API key (Profile, or `watchkeeper api-key create`), or sign in."


@dataclass(frozen=True)
class Caller:
    """The person behind a call, or the model whose token it carries."""

    person: Person | None = None
    model: UUID | None = None

    @property
    def actor(self) -> Actor:
        person = self.who
        return Actor("service" if person.is_service else "person", str(person.id))

    @property
    def who(self) -> Person:
        """The person; a model's token is refused everywhere but at its own status."""
        if self.person is None:
            raise NotAllowed("An integration token may only send its model's log and read its status.", remedy=REMEDY)
        return self.person


def authenticate(request: HttpRequest) -> Caller:
    header = request.headers.get("Authorization", "")
    if header:
        found = _by_token(header)
        if found.model is not None:
            _refuse_other_objects(request, found.model)
        return found
    if not request.user.is_authenticated:
        raise Unauthenticated("Nobody is signed in.", remedy=REMEDY)
    refusal = CsrfViewMiddleware(lambda _: None).process_view(request, lambda: None, (), {})  # type: ignore[arg-type,return-value]  # only the check is used
    if refusal:
        raise NotAllowed("The CSRF token is missing.", remedy="Send the X-CSRFToken header, or use an API key.")
    return Caller(person=request.user)


def _refuse_other_objects(request: HttpRequest, model: UUID) -> None:
    """To a model's token nothing exists but its own model, whether it is there or not."""
    match = request.resolver_match
    named = {name: str(value) for name, value in match.kwargs.items()} if match else {}
    is_own_model = "/models/" in request.path and named.get("id") == str(model)
    if named and not is_own_model:
        raise NotFound("No such object.", remedy="An integration token knows its own model only.")


def _by_token(header: str) -> Caller:
    token = read_token(header.removeprefix("Bearer ").strip()) if header.startswith("Bearer ") else None
    if token and token.prefix == "wk":
        holder = holder_of(token)
        if holder and holder.is_retired:
            raise Gone("This model is retired.", remedy="Ask an owner to restore it.")
        if holder and "status:read" in holder.scopes:
            return Caller(model=holder.model_id)
    person = person_of_key(token, now=clock.now())
    if person is None:
        raise Unauthenticated("This key is not known, or it was revoked.", remedy=REMEDY)
    return Caller(person=person)


def caller(request: HttpRequest) -> Caller:
    """What `authenticate` found."""
    found: Caller = request.auth  # type: ignore[attr-defined]  # set by ninja
    return found
