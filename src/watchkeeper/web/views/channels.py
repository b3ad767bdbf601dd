"""Channels, what was delivered through them, and silences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext, gettext_noop

from watchkeeper import channels as kinds
from watchkeeper import risks
from watchkeeper.accounts import queries as accounts
from watchkeeper.accounts import rights
from watchkeeper.accounts.rights import Ability
from watchkeeper.alerts import queries, services
from watchkeeper.alerts.services import ChannelOf
from watchkeeper.channels import ChannelKind, Result
from watchkeeper.core.errors import InvalidInput
from watchkeeper.incidents.queries import incident_for
from watchkeeper.registry import queries as registry
from watchkeeper.web.acting import REFUSALS, attempt, button, keep_once, page_of, query_without_page, refuse, status_of, take_once
from watchkeeper.web.forms import ChannelForm, SilenceForm
from watchkeeper.web.page import actor_of, now, person_of, signed_in
from watchkeeper.web.pages import blocks, calls, parameters
from watchkeeper.web.present import translated, words
from watchkeeper.web.schema_forms import SchemaForm

if TYPE_CHECKING:
    from watchkeeper.accounts.models import Person, Unit
    from watchkeeper.alerts.models import Channel
    from watchkeeper.registry.models import RegisteredModel

STATES = (gettext_noop("delivered"), gettext_noop("waiting"), gettext_noop("dead"), gettext_noop("suppressed"))
INBOX = gettext_noop("inbox")
MOST_OFFERED = 500
Grouped = list[tuple[str, list[tuple[str, str]]]]


@signed_in
def channels(request: HttpRequest) -> HttpResponse:
    found = [(channel, kinds.catalogue().get(channel.kind)) for channel in queries.channels_for(person_of(request))]
    return render(request, "channels/channels.html", {"channels": found, "dead": queries.dead_letters(person_of(request)).count()})


@signed_in
def create(request: HttpRequest) -> HttpResponse:
    """First the kind, then its settings, made from its configuration model."""
    key = request.POST.get("kind") or request.GET.get("kind") or ""
    if key not in kinds.catalogue():
        return render(request, "channels/choose.html", {"kinds": [(kind, blocks(kind.page)[:1]) for kind in kinds.catalogue().values()]})
    kind, person = kinds.get(key), person_of(request)
    form = ChannelForm(request.POST or None, of=_owners_of_channels(person), initial={"of": request.GET.get("of", "me")})
    config = SchemaForm(request.POST or None, schema=kind.config, secrets=kind.secret_fields, prefix="c")
    made = _create(request, kind, form, config) if request.method == "POST" else None
    if made:
        return redirect("channels_one", made.id)
    return render(request, "channels/create.html", {"kind": kind, "form": form, "config": config}, status=max(status_of(form), status_of(config)))


def _create(request: HttpRequest, kind: ChannelKind, form: ChannelForm, config: SchemaForm) -> Channel | None:
    if not all([form.is_valid(), config.is_valid()]):
        return None
    of, given = _channel_of(person_of(request), form.cleaned_data["of"]), config.given()
    try:
        made = services.create_channel(kind=kind.key, name=form.cleaned_data["name"], config=given, of=of, actor=actor_of(request), now=now())
    except REFUSALS as problem:
        _refuse(form, config, problem)
        return None
    for secret in queries.secrets_made(made, given).values():
        keep_once(request, f"channel {made.id}", secret)
    return made


@signed_in
def kind(request: HttpRequest, key: str) -> HttpResponse:
    shown = kinds.get(key)
    context = {
        "kind": shown,
        "blocks": blocks(shown.page),
        "parameters": parameters(shown.config, secrets=shown.secret_fields),
        "calls": calls(shown),
    }
    return render(request, "channels/kind.html", context)


@signed_in
def channel(request: HttpRequest, id: UUID) -> HttpResponse:
    """Settings with stars for secrets: what comes back as stars is kept."""
    shown = queries.channel_for(person_of(request), id)
    kind = kinds.get(shown.kind)
    form = ChannelForm(request.POST or None, of=None, initial={"name": shown.name})
    config = SchemaForm(request.POST or None, schema=kind.config, secrets=kind.secret_fields, initial=services.masked_config(shown), prefix="c")
    if request.method == "POST" and _edit(request, shown, form, config):
        messages.success(request, gettext("Saved. Send a test to see that it still works."))
        return redirect("channels_one", shown.id)
    context = {
        "channel": shown,
        "kind": kind,
        "form": form,
        "config": config,
        "blocks": blocks(kind.page),
        "secret": take_once(request, f"channel {id}"),
    }
    return render(request, "channels/channel.html", context, status=max(status_of(form), status_of(config)))


def _edit(request: HttpRequest, channel: Channel, form: ChannelForm, config: SchemaForm) -> bool:
    if not all([form.is_valid(), config.is_valid()]):
        return False
    try:
        services.edit_channel(channel, name=form.cleaned_data["name"], config=config.given(), actor=actor_of(request), now=now())
    except REFUSALS as problem:
        _refuse(form, config, problem)
        return False
    return True


def _refuse(form: ChannelForm, config: SchemaForm, problem: Exception) -> None:
    if isinstance(problem, InvalidInput) and "name" not in problem.fields:
        config.place(problem)
    elif isinstance(problem, REFUSALS):
        refuse(form, problem)


@button
def remove(request: HttpRequest, id: UUID) -> HttpResponse:
    services.remove_channel(queries.channel_for(person_of(request), id), actor=actor_of(request), now=now())
    messages.success(request, gettext("The channel is removed: nothing is sent there any more."))
    return redirect("channels")


@button
def test(request: HttpRequest, id: UUID) -> HttpResponse:
    tested = queries.channel_for(person_of(request), id)
    receipt = services.test_channel(tested, to=person_of(request), now=now())
    answer = {"name": tested.name, "detail": words(receipt.detail)}
    if receipt.result is Result.DELIVERED:
        messages.success(request, gettext("The test arrived through %(name)s: %(detail)s.") % answer)
    else:
        messages.error(request, gettext("The test did not arrive through %(name)s: %(detail)s.") % answer)
    return redirect("channels_one", tested.id)


def _channel_of(person: Person, chosen: str) -> ChannelOf:
    kind, _colon, id = chosen.partition(":")
    if kind == "model":
        return ChannelOf(model=_editable_model(person, id))
    if kind == "unit":
        return ChannelOf(unit=_editable_unit(person, id))
    return ChannelOf(person=person)


def _editable_model(person: Person, id: str) -> RegisteredModel:
    model = registry.model_for(person, id)
    registry.require(person, Ability.EDIT, model)
    return model


def _editable_unit(person: Person, id: str) -> Unit:
    unit = accounts.unit_for(person, id)
    rights.require(person, Ability.EDIT, unit)
    return unit


def _owners_of_channels(person: Person) -> Grouped:
    return [(gettext("Mine"), [("me", gettext("for me alone"))]), *_editable(person)]


def _editable(person: Person) -> Grouped:
    """Units and models the person may edit, as groups of a select."""
    titles = accounts.unit_titles(rights.units_where(person, Ability.EDIT))
    units = [(f"unit:{id}", title) for id, title in sorted(titles.items(), key=lambda pair: pair[1])]
    models = [(f"model:{model.id}", model.name) for model in registry.models_editable_by(person)[:MOST_OFFERED]]
    return [(name, entries) for name, entries in ((gettext("Units"), units), (gettext("Models"), models)) if entries]


# deliveries


@dataclass(frozen=True)
class Delivery:
    """One line of the log: the state in one word of a closed set, and why."""

    entry: Any  # Any: Notification
    state: str
    attempts: int
    detail: str
    risk: str


@signed_in
def deliveries(request: HttpRequest) -> HttpResponse:
    person = person_of(request)
    number, state = request.GET.get("incident", "").strip().lstrip("#"), request.GET.get("state", "")
    incident = incident_for(person, int(number)) if number.isdigit() else None
    shown = page_of(request, queries.deliveries(person, incident=incident, state=state if state in STATES else ""))
    context = {
        "page": shown,
        "deliveries": [_delivery(entry) for entry in shown],
        "query": query_without_page(request),
        "states": [(name, gettext(name)) for name in STATES],
        "state": state,
        "number": number,
        "dead": [(letter, words(letter.last_error)) for letter in queries.dead_letters(person)[:20]],
    }
    return render(request, "channels/deliveries.html", context)


def _delivery(entry: Any) -> Delivery:  # Any: Notification
    kind = risks.catalogue().get(entry.incident.binding.type)
    message = entry.message
    state = "suppressed" if entry.suppressed else message.state if message else INBOX if entry.channel is None else "waiting"
    detail = gettext(entry.suppressed) if entry.suppressed else words(message.last_error) if message and message.last_error else ""
    return Delivery(
        entry, gettext(state), message.attempts if message else 0, detail, translated(kind.title if kind else entry.incident.binding.type)
    )


@button
def again(request: HttpRequest, key: str) -> HttpResponse:
    services.retry_message(queries.dead_letter(person_of(request), key), actor=actor_of(request), now=now())
    messages.success(request, gettext("It will be sent again within seconds."))
    return redirect("channels_deliveries")


# silences


@signed_in
def silences(request: HttpRequest) -> HttpResponse:
    person, at = person_of(request), now()
    types = [(kind.key, gettext(kind.title)) for kind in risks.catalogue().values()]
    form = SilenceForm(request.POST or None, about=_editable(person), risks=types, initial={"about": request.GET.get("about", ""), "hours": 24})
    made = attempt(form, lambda: _silence(request, form)) if request.method == "POST" else None
    if made:
        return redirect("channels_silences")
    shown = [(silence, dict(types).get(silence.risk_type, ""), _may_end(person, silence)) for silence in queries.silences(person, now=at)]
    context = {"silences": shown, "form": form if _editable(person) else None, "now": at}
    return render(request, "channels/silences.html", context, status=status_of(form))


def _silence(request: HttpRequest, form: SilenceForm) -> object:
    person, given, at = person_of(request), form.cleaned_data, now()
    kind, _colon, id = given["about"].partition(":")
    return services.create_silence(
        model=_editable_model(person, id) if kind == "model" else None,
        unit=_editable_unit(person, id) if kind == "unit" else None,
        risk_type=given["risk_type"],
        starts_at=at,
        ends_at=form.ends_at(at),
        reason=given["reason"],
        is_maintenance=given["is_maintenance"],
        by=person,
        now=at,
    )


@button
def end_silence(request: HttpRequest, id: UUID) -> HttpResponse:
    person = person_of(request)
    silence = queries.silence_for(person, id, now=now())
    if not _may_end(person, silence):
        rights.require(person, Ability.EDIT, silence.model.unit if silence.model else silence.unit or accounts.root_unit())
    services.end_silence(silence, by=person, now=now())
    messages.success(request, gettext("The silence is over: people are told again."))
    return redirect("channels_silences")


def _may_end(person: Person, silence: Any) -> bool:  # Any: Silence
    """Whoever declared it, and whoever may edit what it is about."""
    if silence.created_by_id == person.id:
        return True
    if silence.model:
        return registry.may(person, Ability.EDIT, silence.model)
    return rights.may(person, Ability.EDIT, silence.unit or accounts.root_unit())
