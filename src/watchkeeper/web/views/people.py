"""People, teams and units: who is here, who may do what, who owns what; invitations and leaving. Rights are asked of `accounts.rights`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext

from watchkeeper.accounts import queries, rights, services
from watchkeeper.accounts.rights import Ability
from watchkeeper.core.errors import NotAllowed
from watchkeeper.core.settings import settings
from watchkeeper.registry import queries as registry
from watchkeeper.registry.services import deactivate_person
from watchkeeper.web.acting import attempt, button, keep_once, page_of, query_without_page, status_of, take_once
from watchkeeper.web.forms import GrantForm, InviteForm, LeavingForm, TeamForm, UnitForm
from watchkeeper.web.page import actor_of, now, person_of, signed_in

if TYPE_CHECKING:
    from watchkeeper.accounts.models import Person, RoleGrant, Team, Unit

Choices = list[tuple[str, str]]


@dataclass(frozen=True)
class Held:
    """A role as it is shown: where it holds, and whether the reader may take it away."""

    grant: RoleGrant
    unit: str
    may_revoke: bool


@signed_in
def people(request: HttpRequest) -> HttpResponse:
    person = person_of(request)
    text = request.GET.get("q", "").strip()
    found = registry.people_visible_to(person)
    found = (found.filter(name__icontains=text) | found.filter(email__icontains=text)) if text else found
    shown = page_of(request, found)
    roles = _roles(list(shown), person)
    context = {
        "page": shown,
        "people": [(one, roles.get(one.id, [])) for one in shown],
        "teams": [(team, team.members.count()) for team in registry.teams_visible_to(person)],
        "query": query_without_page(request),
        "text": text,
        "may_invite": bool(rights.paths_where(person, Ability.ADMINISTER)),
    }
    return render(request, "people/people.html", context)


def _roles(people: list[Person], reader: Person) -> dict[UUID, list[Held]]:
    """Roles on units the reader may see, per person."""
    seen = set(queries.visible_units(reader))
    grants = [grant for grant in queries.grants_of(people) if grant.unit in seen or grant.person == reader]
    titles = queries.unit_titles(grant.unit for grant in grants)
    held: dict[UUID, list[Held]] = {}
    for grant in grants:
        may_revoke = rights.may(reader, Ability.ADMINISTER, grant.unit)
        held.setdefault(grant.person_id, []).append(Held(grant, titles[grant.unit_id], may_revoke))
    return held


@signed_in
def invite(request: HttpRequest) -> HttpResponse:
    person = person_of(request)
    units = _administered(person)
    form = InviteForm(request.POST or None, roles=queries.role_choices(), units=units, initial={"unit": request.GET.get("unit", "")})
    made = attempt(form, lambda: _invite(request, form)) if request.method == "POST" else None
    if made:
        return redirect("people_one", made.id)
    return render(request, "people/invite.html", {"form": form}, status=status_of(form))


@transaction.atomic
def _invite(request: HttpRequest, form: InviteForm) -> Person:
    """A person with a role and a one-time link, or none of them."""
    given, actor, at = form.cleaned_data, actor_of(request), now()
    unit = queries.unit_for(person_of(request), given["unit"])
    rights.require(person_of(request), Ability.ADMINISTER, unit)
    made = services.create_person(email=given["email"], name=given["name"].strip(), actor=actor, now=at)
    services.grant_role(made, role=queries.role_by(given["role"]), unit=unit, actor=actor, now=at)
    _keep_link(request, made)
    return made


def _keep_link(request: HttpRequest, invited: Person) -> None:
    secret = services.make_sign_in_link(invited, actor=actor_of(request), now=now())
    keep_once(request, f"link {invited.id}", f"{settings().base_url}/sign-in/{secret}/")


@signed_in
def person(request: HttpRequest, id: UUID) -> HttpResponse:
    reader = person_of(request)
    shown = registry.person_for(reader, id)
    units = _administered(reader, is_required=False)
    is_company_administrator = rights.is_administrator(reader)
    context = {
        "person": shown,
        "link": take_once(request, f"link {shown.id}"),
        "roles": _roles([shown], reader).get(shown.id, []),
        "models": registry.models_of(shown, seen_by=reader),
        "teams": shown.teams.order_by("name"),
        "grant_form": GrantForm(roles=queries.role_choices(), units=units) if units and shown.is_active else None,
        "may_invite": is_company_administrator and shown.is_active and not shown.is_service,
        "may_deactivate": is_company_administrator and shown.is_active and shown != reader,
    }
    return render(request, "people/person.html", context)


@button
def grant(request: HttpRequest, id: UUID) -> HttpResponse:
    reader = person_of(request)
    to = registry.person_for(reader, id)
    unit = queries.unit_for(reader, request.POST.get("unit", ""))
    rights.require(reader, Ability.ADMINISTER, unit)
    services.grant_role(to, role=queries.role_by(request.POST.get("role", "")), unit=unit, actor=actor_of(request), now=now())
    return redirect("people_one", to.id)


@button
def revoke(request: HttpRequest, id: UUID) -> HttpResponse:
    held = queries.grant_for(person_of(request), id)
    rights.require(person_of(request), Ability.ADMINISTER, held.unit)
    services.revoke_role(held, actor=actor_of(request), now=now())
    return redirect("people_one", held.person_id)


@button
def link(request: HttpRequest, id: UUID) -> HttpResponse:
    """A new one-time link lets its holder in as this person: only the company's administrators make one."""
    rights.require_administrator(person_of(request))
    invited = registry.person_for(person_of(request), id)
    if not invited.is_active or invited.is_service:
        raise NotAllowed("This person does not sign in.", remedy="Links are for people who work here.")
    _keep_link(request, invited)
    return redirect("people_one", invited.id)


@signed_in
def deactivate(request: HttpRequest, id: UUID) -> HttpResponse:
    """Somebody left: what they own alone needs a successor."""
    reader = person_of(request)
    rights.require_administrator(reader)
    leaver = registry.person_for(reader, id)
    others = [(str(other.id), str(other)) for other in queries.people().exclude(id=leaver.id).filter(is_service=False)]
    form = LeavingForm(request.POST or None, people=others)
    if request.method == "POST" and attempt(form, lambda: _deactivate(request, leaver, form)):
        return redirect("people_one", leaver.id)
    context = {"person": leaver, "form": form, "alone": registry.models_owned_alone(leaver)}
    return render(request, "people/deactivate.html", context, status=status_of(form))


def _deactivate(request: HttpRequest, leaver: Person, form: LeavingForm) -> bool:
    given = form.cleaned_data
    successor = queries.person_by(given["successor"]) if given["successor"] else None
    moved = deactivate_person(leaver, successor=successor, actor=actor_of(request), now=now(), reason=given["reason"])
    messages.success(request, gettext("%(name)s is deactivated; models handed over: %(count)s.") % {"name": leaver, "count": moved})
    return True


# teams


@signed_in
def create_team(request: HttpRequest) -> HttpResponse:
    _administered(person_of(request))
    form = TeamForm(request.POST or None, people=_colleagues())
    made = attempt(form, lambda: _create_team(request, form)) if request.method == "POST" else None
    if made:
        return redirect("people_team", made.id)
    return render(request, "people/team_form.html", {"form": form}, status=status_of(form))


def _create_team(request: HttpRequest, form: TeamForm) -> Team:
    return services.create_team(form.cleaned_data["name"].strip(), members=_chosen(form), actor=actor_of(request), now=now())


@signed_in
def team(request: HttpRequest, id: UUID) -> HttpResponse:
    reader = person_of(request)
    shown = registry.team_for(reader, id)
    may_edit = registry.may_set_members(reader, shown)
    if request.method == "POST" and not may_edit:
        raise NotAllowed(f"You may not change {shown.name}.", remedy="Its members maintain what it owns: ask an administrator of those units.")
    form = TeamForm(request.POST or None, people=_colleagues(), is_new=False, initial={"members": [str(member.id) for member in shown.members.all()]})
    if request.method == "POST" and form.is_valid():
        services.set_members(shown, members=_chosen(form), actor=actor_of(request), now=now())
        return redirect("people_team", shown.id)
    context = {"team": shown, "members": shown.members.order_by("name"), "models": registry.models_of(shown, seen_by=reader)}
    return render(request, "people/team.html", context | {"form": form if may_edit else None})


def _colleagues() -> Choices:
    return [(str(one.id), str(one)) for one in queries.people().filter(is_service=False)]


def _chosen(form: TeamForm) -> list[Person]:
    return list(queries.people().filter(id__in=form.cleaned_data["members"]))


# units


@dataclass(frozen=True)
class Branch:
    """A unit in the tree, with what hangs on it."""

    unit: Unit
    models: int
    people: int
    depth: int


@signed_in
def units(request: HttpRequest) -> HttpResponse:
    found = list(queries.visible_units(person_of(request)))
    models, top = registry.model_counts(found), min((unit.depth for unit in found), default=0)
    titles = queries.unit_titles(found)
    branches = [Branch(unit, models[unit.id], queries.grants_on(unit).count(), min(unit.depth - top, 6)) for unit in found]
    return render(request, "people/units.html", {"branches": sorted(branches, key=lambda branch: _place(branch.unit, titles))})


def _place(unit: Unit, titles: dict[UUID, str]) -> list[str]:
    return [] if unit.depth == 0 else titles[unit.id].lower().split("/")


@signed_in
def unit(request: HttpRequest, id: UUID) -> HttpResponse:
    reader = person_of(request)
    shown = queries.unit_for(reader, id)
    may_edit = rights.may(reader, Ability.ADMINISTER, shown)
    form = UnitForm(request.POST or None, taken=_names_below(shown))
    if request.method == "POST":
        rights.require(reader, Ability.ADMINISTER, shown)
    made = attempt(form, lambda: _create_unit(request, form, shown)) if request.method == "POST" else None
    if made:
        return redirect("people_unit", shown.id)
    context = {
        "unit": shown,
        "above": [queries.unit_by(part) for part in shown.path.split("/")[1:-2]] if may_edit else [],
        "title": queries.unit_titles([shown])[shown.id],
        "children": shown.children.order_by("name"),
        "grants": queries.grants_on(shown),
        "models": registry.models_visible_to(reader).filter(unit=shown),
        "form": form if may_edit else None,
        "rename_form": UnitForm(initial={"name": shown.name}, prefix="new") if may_edit else None,
    }
    return render(request, "people/unit.html", context, status=status_of(form))


def _create_unit(request: HttpRequest, form: UnitForm, parent: Unit) -> Unit:
    return services.create_unit(form.cleaned_data["name"], parent=parent, actor=actor_of(request), now=now())


@button
def rename(request: HttpRequest, id: UUID) -> HttpResponse:
    shown = queries.unit_for(person_of(request), id)
    rights.require(person_of(request), Ability.ADMINISTER, shown)
    form = UnitForm(request.POST, prefix="new", taken=_names_below(shown.parent) - {shown.name} if shown.parent else ())
    if form.is_valid():
        services.rename_unit(shown, name=form.cleaned_data["name"], actor=actor_of(request), now=now())
    else:
        messages.error(request, " ".join(map(str, form.errors["name"])))
    return redirect("people_unit", shown.id)


def _names_below(unit: Unit) -> set[str]:
    return set(unit.children.values_list("name", flat=True))


def _administered(person: Person, *, is_required: bool = True) -> Choices:
    """Units in which the person hands out roles; a refusal when there are none and the page needs one."""
    titles = queries.unit_titles(rights.units_where(person, Ability.ADMINISTER))
    if is_required and not titles:
        rights.require_administrator(person)
    return [(str(id), title) for id, title in sorted(titles.items(), key=lambda pair: pair[1])]
