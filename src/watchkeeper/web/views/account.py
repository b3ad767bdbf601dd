"""Sign-in by a one-time link, first steps, and the person's own settings. Sign-in by password is allauth's, with our templates."""

from __future__ import annotations

from zoneinfo import available_timezones

from allauth.account.forms import SetPasswordForm
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, update_session_auth_hash
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from watchkeeper.accounts import queries, services
from watchkeeper.alerts.queries import channels_for
from watchkeeper.web.acting import attempt, button, keep_once, status_of, take_once
from watchkeeper.web.forms import KeyForm, NamingForm, ProfileForm
from watchkeeper.web.page import actor_of, now, person_of, signed_in

PASSWORD_BACKEND = settings.AUTHENTICATION_BACKENDS[0]
PROFILE = ("name", "language", "timezone", "theme")


@never_cache
@require_http_methods(["GET", "POST"])
def sign_in_link(request: HttpRequest, secret: str) -> HttpResponse:
    """GET only shows a button: mail scanners fetch links beforehand, and must not use them up."""
    if request.method == "GET":
        return render(request, "account/link.html", {"secret": secret})
    person = services.use_sign_in_link(secret, now=now())
    if person is None:
        return render(request, "account/link.html", {"is_dead": True}, status=410)
    login(request, person, backend=PASSWORD_BACKEND)
    return redirect("account_welcome")


def ask_for_link(request: HttpRequest) -> HttpResponse:
    """A forgotten password: the platform sends no mail of its own, so an administrator makes a new link."""
    return render(request, "account/forgotten.html")


@signed_in
def welcome(request: HttpRequest) -> HttpResponse:
    """After a link: a name and a password, both can wait."""
    person = person_of(request)
    form = NamingForm(request.POST or None, initial={"name": person.name})
    if form.is_valid() and _set_password(request, form):
        services.edit_person(person, actor=actor_of(request), now=now(), name=form.cleaned_data["name"].strip())
        return redirect(settings.LOGIN_REDIRECT_URL)
    return render(request, "account/welcome.html", {"form": form}, status=status_of(form))


def _set_password(request: HttpRequest, form: NamingForm) -> bool:
    """True when none was given, or when it was good enough and is set."""
    given = form.cleaned_data["password"]
    if not given:
        return True
    setting = SetPasswordForm(user=person_of(request), data={"password1": given, "password2": given})
    if not setting.is_valid():
        form.add_error("password", [message for messages in setting.errors.values() for message in messages])
        return False
    setting.save()
    update_session_auth_hash(request, person_of(request))
    return True


@signed_in
def profile(request: HttpRequest) -> HttpResponse:
    person = person_of(request)
    initial = {name: getattr(person, name) for name in PROFILE}
    form = ProfileForm(request.POST or None, initial=initial, themes=queries.theme_choices())
    if form.is_valid():
        services.edit_person(person, actor=actor_of(request), now=now(), **{name: form.cleaned_data[name] for name in PROFILE})
        return _with_cookies(form)
    context = {
        "form": form,
        "key_form": KeyForm(),
        "new_key": take_once(request, "api key"),
        "keys": queries.api_keys_of(person),
        "channels": channels_for(person).filter(person=person),
        "zones": sorted(available_timezones()),
    }
    return render(request, "account/profile.html", context, status=status_of(form))


def _with_cookies(form: ProfileForm) -> HttpResponse:
    """The frame reads theme and language from cookies first: what is saved here must not be hidden by an older choice."""
    answer = redirect("account")
    for name in ("language", "theme"):
        if form.cleaned_data[name]:
            answer.set_cookie(name, form.cleaned_data[name], max_age=365 * 86400, samesite="Lax")
        else:
            answer.delete_cookie(name)
    return answer


@button
def create_key(request: HttpRequest) -> HttpResponse:
    form = KeyForm(request.POST)
    person = person_of(request)
    token = attempt(form, lambda: services.create_api_key(person, name=form.cleaned_data["name"], actor=actor_of(request), now=now()))
    if token:
        keep_once(request, "api key", token.text)
    else:
        messages.error(request, gettext("Say what the key is for."))
    return redirect("account")


@button
def revoke_key(request: HttpRequest, id: str) -> HttpResponse:
    services.revoke_api_key(queries.api_key_of(person_of(request), id), actor=actor_of(request), now=now())
    messages.success(request, gettext("The key is revoked: nobody can use it any more."))
    return redirect("account")
