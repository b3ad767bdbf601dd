"""Writes of people, teams, units, roles, keys and links. Each call is one transaction and one Change."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import uuid4

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from watchkeeper.accounts.models import MAX_DEPTH, ApiKey, Person, Role, RoleGrant, SignInLink, Team, Unit
from watchkeeper.accounts.queries import root_unit
from watchkeeper.accounts.tokens import Token, keyed_hash, make_token
from watchkeeper.core.errors import Conflict, InvalidInput
from watchkeeper.history.actors import Actor
from watchkeeper.history.services import difference, record

LINK_LIFETIME = timedelta(hours=24)


@transaction.atomic
def create_unit(name: str, *, parent: Unit | None, actor: Actor, now: datetime) -> Unit:
    name = _unit_name(name, parent=parent)
    if parent and parent.depth + 1 > MAX_DEPTH:
        raise InvalidInput(f"The tree is at most {MAX_DEPTH} levels deep.", remedy="Create the unit higher up.")
    id = uuid4()
    path = f"{parent.path if parent else '/'}{id.hex}/"
    unit = Unit.objects.create(id=id, parent=parent, name=name, path=path, depth=parent.depth + 1 if parent else 0)
    record(actor=actor, action="created", on="unit", id=unit.id, now=now, after={"name": name, "parent": parent and parent.id})
    return unit


def _unit_name(name: str, *, parent: Unit | None, renamed: Unit | None = None) -> str:
    """The name without spaces around it; refused when it cannot be a part of a path, or when a sibling has it."""
    name = name.strip()
    if not name or "/" in name:
        raise InvalidInput("A unit needs a name without a slash.", remedy="Slashes separate the levels of the tree.", fields={"name": name})
    taken = Unit.objects.filter(parent=parent, name=name).first() if parent else None
    if parent and taken and taken != renamed:
        raise Conflict(f"{parent.name} already has a unit {name!r}.", remedy="Use it, or choose another name.")
    return name


@transaction.atomic
def ensure_unit(names: Sequence[str], *, actor: Actor, now: datetime) -> Unit:
    """The unit at the path of names, created where missing."""
    unit = root_unit()
    for name in names:
        unit = Unit.objects.filter(parent=unit, name=name).first() or create_unit(name, parent=unit, actor=actor, now=now)
    return unit


@transaction.atomic
def rename_unit(unit: Unit, *, name: str, actor: Actor, now: datetime) -> Unit:
    before, unit.name = unit.name, _unit_name(name, parent=unit.parent, renamed=unit)
    if unit.name == before:
        return unit
    unit.save(update_fields=["name"])
    record(actor=actor, action="edited", on="unit", id=unit.id, now=now, before={"name": before}, after={"name": unit.name})
    return unit


@transaction.atomic
def create_person(*, email: str, name: str = "", is_service: bool = False, password: str | None = None, actor: Actor, now: datetime) -> Person:
    try:
        validate_email(email)
    except ValidationError as problem:
        raise InvalidInput(f"{email!r} is not an e-mail address.", remedy="Write it as name@example.com.", fields={"email": email}) from problem
    if Person.objects.filter(email=email.lower()).exists():
        raise Conflict(f"{email} is registered already.", remedy="Use the existing person.")
    person = Person.objects.create_user(email, password, name=name, is_service=is_service, created_at=now)
    record(actor=actor, action="created", on="person", id=person.id, now=now, after={"is_service": is_service})
    return person


@transaction.atomic
def edit_person(person: Person, *, actor: Actor, now: datetime, **fields: str) -> Person:
    """Change name, language, timezone or theme."""
    before = {name: getattr(person, name) for name in fields}
    for name, value in fields.items():
        setattr(person, name, value)
    person.save(update_fields=list(fields))
    was, became = difference(before, fields)
    if became:
        record(actor=actor, action="edited", on="person", id=person.id, now=now, before=was, after=became)
    return person


@transaction.atomic
def set_password(person: Person, password: str, *, actor: Actor, now: datetime) -> None:
    """The change says that it was set; of the password itself nothing is written down but its hash with the person."""
    person.set_password(password)
    person.save(update_fields=["password"])
    record(actor=actor, action="password set", on="person", id=person.id, now=now)


def mark_looked(person: Person, *, now: datetime) -> None:
    """Remember when the board was last looked at. A reading mark, not a change of configuration."""
    Person.objects.filter(id=person.id).update(looked_at=now)


@transaction.atomic
def create_team(name: str, *, members: Sequence[Person], actor: Actor, now: datetime) -> Team:
    if Team.objects.filter(name=name).exists():
        raise Conflict(f"There is a team {name!r} already.", remedy="Use it, or choose another name.")
    team = Team.objects.create(name=name)
    team.members.set(members)
    record(actor=actor, action="created", on="team", id=team.id, now=now, after={"name": name, "members": [person.id for person in members]})
    return team


@transaction.atomic
def set_members(team: Team, *, members: Sequence[Person], actor: Actor, now: datetime) -> Team:
    before = list(team.members.values_list("id", flat=True))
    team.members.set(members)
    record(actor=actor, action="edited", on="team", id=team.id, now=now, before={"members": before}, after={"members": [p.id for p in members]})
    return team


@transaction.atomic
def grant_role(person: Person, *, role: Role, unit: Unit, actor: Actor, now: datetime) -> RoleGrant:
    grant, is_new = RoleGrant.objects.get_or_create(person=person, unit=unit, role=role)
    if is_new:
        record(actor=actor, action="granted", on="role", id=grant.id, now=now, after={"person": person.id, "unit": unit.id, "role": role})
    return grant


@transaction.atomic
def revoke_role(grant: RoleGrant, *, actor: Actor, now: datetime) -> None:
    before = {"person": grant.person_id, "unit": grant.unit_id, "role": grant.role}
    if grant.role == Role.ADMINISTRATOR and grant.unit.depth == 0 and _administrators() == 1:
        raise Conflict("This is the last administrator.", remedy="Make somebody else administrator first.")
    record(actor=actor, action="revoked", on="role", id=grant.id, now=now, before=before)
    grant.delete()


def _administrators() -> int:
    return RoleGrant.objects.filter(role=Role.ADMINISTRATOR, unit__depth=0, person__is_active=True).values("person").distinct().count()


@transaction.atomic
def create_api_key(person: Person, *, name: str, actor: Actor, now: datetime) -> Token:
    """A new key; the returned token is the only time its text is seen."""
    token = make_token("wkk")
    ApiKey.objects.create(id=token.id, person=person, name=name, digest=token.digest, created_at=now)
    record(actor=actor, action="created", on="api key", id=token.id, now=now, after={"person": person.id, "name": name})
    return token


@transaction.atomic
def revoke_api_key(key: ApiKey, *, actor: Actor, now: datetime) -> None:
    ApiKey.objects.filter(id=key.id, revoked_at=None).update(revoked_at=now)
    record(actor=actor, action="revoked", on="api key", id=key.id, now=now)


@transaction.atomic
def make_sign_in_link(person: Person, *, actor: Actor, now: datetime) -> str:
    """The secret of a one-time link, valid for a day. Opening it shows a page with a button: mail scanners fetch links beforehand."""
    secret = secrets.token_urlsafe(32)
    SignInLink.objects.create(digest=keyed_hash(secret), person=person, expires_at=now + LINK_LIFETIME)
    record(actor=actor, action="invited", on="person", id=person.id, now=now)
    return secret


@transaction.atomic
def use_sign_in_link(secret: str, *, now: datetime) -> Person | None:
    """The person of an unused, unexpired link, which is used up by this."""
    used = SignInLink.objects.filter(digest=keyed_hash(secret), used_at=None, expires_at__gt=now, person__is_active=True).update(used_at=now)
    if not used:
        return None
    person = SignInLink.objects.select_related("person").get(digest=keyed_hash(secret)).person
    record(actor=Actor.person(person.id), action="signed in by link", on="person", id=person.id, now=now)
    return person


@transaction.atomic
def first_administrator(email: str, *, actor: Actor, now: datetime) -> Person:
    """The person of that address as administrator of the company, created when missing."""
    found = Person.objects.filter(email=email).first() or create_person(email=email, name="Administrator", actor=actor, now=now)
    grant_role(found, role=Role.ADMINISTRATOR, unit=root_unit(), actor=actor, now=now)
    return found


@transaction.atomic
def create_service(*, name: str, role: Role, unit: Unit, actor: Actor, now: datetime) -> Token:
    """A service account with a role on a unit, and its key."""
    count = Person.objects.filter(is_service=True).count()
    person = create_person(email=f"service-{count + 1}@watchkeeper.localhost", name=name, is_service=True, actor=actor, now=now)
    grant_role(person, role=role, unit=unit, actor=actor, now=now)
    return create_api_key(person, name=name, actor=actor, now=now)


@transaction.atomic
def found_company(name: str, *, actor: Actor, now: datetime) -> Unit:
    """The root of the tree, created once."""
    return Unit.objects.filter(depth=0).first() or create_unit(name, parent=None, actor=actor, now=now)
